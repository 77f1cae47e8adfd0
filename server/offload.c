/* offload: who waits, who runs, and who has a token. */
#include "server/offload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/crew.h"
#include "server/inbox.h"
#include "server/loop.h"
#include "server/pace.h"
#include "server/request_engine.h"
#include "server/scheduling.h"
#include "server/thread_state.h"
#include "server/timers.h"

/* What a call may have of a core before it shares it with the next one. */
#define TOKEN_NS (100 * INT64_C(1000000))
/* A call that has used less than this between two looks has not computed. */
#define STILL_NS (INT64_C(100000))

/* So many threads are begun between two looks for requests of which nothing is known: most of them
 * are quick, and done by the threads that are there before another one is needed. */
enum { NEWCOMERS = 8 };

struct offload {
    struct crew *crew;
    unsigned bound;          /* tokens */
    struct inbox submitted;  /* by the owners of loops */
    _Atomic unsigned tokens; /* that are taken; may be more than there are. Written under `lock` */
    pthread_mutex_t lock;    /* guards all that follows. Lock order: this one, then the crew's */
    /* Wait for a token, in the order of the time until when they should have been answered, in
     * microseconds. */
    struct timers computing;
    /* Wait for nothing but a thread; the oldest first, by request->node.next. */
    struct inbox_node *first_free, *last_free;
    struct offload_run *runs; /* that have a token */
    unsigned newcomers;       /* threads begun for them since the last look */
};

struct offload *offload_new(unsigned running, struct crew *crew)
{
    struct offload *offload = calloc(1, sizeof *offload);
    if (!offload)
        return NULL;
    offload->crew = crew;
    offload->bound = running;
    pthread_mutex_init(&offload->lock, NULL);
    return offload;
}

/* ---- who waits ---- */

static bool needs_token(const struct request *request) { return request->pace >= PACE_COMPUTES; }

bool offload_submit(struct offload *offload, struct request *request)
{
    bool is_free = !needs_token(request);
    /* From here on the request may be answered at any time, and be gone. */
    bool was_empty = inbox_push(&offload->submitted, &request->node);
    /* Who gives a token back looks into the inbox. */
    return is_free || (was_empty && atomic_load(&offload->tokens) < offload->bound);
}

static void wait_for_thread(struct offload *offload, struct request *request)
{
    request->node.next = NULL;
    if (offload->last_free)
        offload->last_free->next = &request->node;
    else
        offload->first_free = &request->node;
    offload->last_free = &request->node;
}

/* The dearer one may be overtaken by what comes in the time that it takes itself. */
static void wait_for_token(struct offload *offload, struct request *request)
{
    int64_t until_us = clock_ms() * 1000 + pace_cost_us(request->pace);
    timers_arm(&offload->computing, &request->place, until_us);
}

static void sort_submitted(struct offload *offload)
{
    struct inbox_node *next;
    for (struct inbox_node *node = inbox_take_all(&offload->submitted); node; node = next) {
        struct request *request = (struct request *) node;
        next = node->next;
        request->place = (struct timer){0};
        /* Out of memory there is no order. */
        if (needs_token(request) &&
            timers_reserve(&offload->computing, offload->computing.count + 1))
            wait_for_token(offload, request);
        else
            wait_for_thread(offload, request);
    }
}

static struct request *take_free(struct offload *offload)
{
    struct inbox_node *node = offload->first_free;
    if (!node)
        return NULL;
    offload->first_free = node->next;
    if (!offload->first_free)
        offload->last_free = NULL;
    return (struct request *) node;
}

static struct request *take_cheapest(struct offload *offload)
{
    struct timer *timer = timers_take_due(&offload->computing, INT64_MAX - 1);
    return timer ? (struct request *) ((char *) timer - offsetof(struct request, place)) : NULL;
}

/* The next request that may be begun. One of which nothing is known may turn out to compute. */
static struct request *take_next(struct offload *offload)
{
    struct request *request = take_free(offload);
    if (!request && offload->tokens < offload->bound)
        request = take_cheapest(offload);
    if (request && request->pace != PACE_SLEEPS)
        offload->tokens++;
    return request;
}

/* ---- who runs ---- */

/* Lists a run for which a token was taken. */
static void list_run(struct offload *offload, struct offload_run *run, pid_t thread,
                     clockid_t cpu_clock)
{
    int64_t now_ns = clock_ns(cpu_clock);
    *run = (struct offload_run){.next = offload->runs,
                                .has_token = true,
                                .thread = thread,
                                .cpu_clock = cpu_clock,
                                .begun_ns = now_ns,
                                .seen_ns = now_ns};
    if (run->next)
        run->next->previous = run;
    offload->runs = run;
}

static void give_token_back(struct offload *offload, struct offload_run *run)
{
    if (!run->has_token)
        return;
    run->has_token = false;
    offload->tokens--;
    if (run->next)
        run->next->previous = run->previous;
    if (run->previous)
        run->previous->next = run->next;
    else
        offload->runs = run->next;
}

/* Calls the handler, unless nobody waits for the answer any more. */
static void call(struct request *request)
{
    struct stint stint;
    if (!request_is_over(request)) {
        stint_begin(&stint);
        request_call(request);
        request->pace = stint_end(&stint, request->pace);
    }
    if (request_detach(request))
        loop_post(request->loop, &request->node);
    request_returned(request);
}

void offload_serve(struct offload *offload, struct offload_run *run, struct request *request)
{
    clockid_t cpu_clock;
    scheduling_be_patient(0);
    pthread_getcpuclockid(pthread_self(), &cpu_clock);
    pthread_mutex_lock(&offload->lock);
    for (;;) {
        if (!request) {
            give_token_back(offload, run);
            sort_submitted(offload);
            request = take_next(offload);
        }
        if (!request)
            break;
        if (request->pace != PACE_SLEEPS)
            list_run(offload, run, gettid(), cpu_clock);
        pthread_mutex_unlock(&offload->lock);
        call(request);
        request = NULL;
        pthread_mutex_lock(&offload->lock);
    }
    pthread_mutex_unlock(&offload->lock);
}

/* ---- the watcher ---- */

void offload_adopt(struct offload *offload, struct offload_run *run, pid_t thread,
                   clockid_t cpu_clock)
{
    scheduling_be_patient(thread);
    pthread_mutex_lock(&offload->lock);
    offload->tokens++;
    list_run(offload, run, thread, cpu_clock);
    pthread_mutex_unlock(&offload->lock);
}

/* Whether a call no longer takes a core, or has had it long enough. */
static bool is_through(struct offload_run *run)
{
    int64_t now_ns = clock_ns(run->cpu_clock);
    bool is_still = now_ns - run->seen_ns < STILL_NS;
    run->seen_ns = now_ns;
    return now_ns - run->begun_ns > TOKEN_NS || (is_still && thread_state_sleeps(run->thread));
}

void offload_look(struct offload *offload)
{
    pthread_mutex_lock(&offload->lock);
    for (struct offload_run *run = offload->runs, *next; run; run = next) {
        next = run->next;
        if (is_through(run))
            give_token_back(offload, run);
    }
    offload->newcomers = 0;
    pthread_mutex_unlock(&offload->lock);
}

/* Whether another thread may be begun for what waits. What it refuses, or gets no thread, is taken
 * by those that run when they are through. */
static bool may_begin(struct offload *offload)
{
    const struct request *first = (const struct request *) offload->first_free;
    if (!first)
        return offload->computing.count && offload->tokens < offload->bound;
    return first->pace != PACE_UNKNOWN || offload->newcomers++ < NEWCOMERS;
}

void offload_admit(struct offload *offload)
{
    pthread_mutex_lock(&offload->lock);
    sort_submitted(offload);
    while (may_begin(offload)) {
        struct crew_thread *thread = crew_get(offload->crew);
        if (!thread)
            break;
        crew_give_request(thread, take_next(offload));
    }
    pthread_mutex_unlock(&offload->lock);
}

bool offload_is_busy(struct offload *offload)
{
    pthread_mutex_lock(&offload->lock);
    bool is_busy = offload->runs || offload->first_free || offload->computing.count;
    pthread_mutex_unlock(&offload->lock);
    return is_busy;
}

void offload_free(struct offload *offload)
{
    if (!offload)
        return;
    sort_submitted(offload);
    struct request *request;
    while ((request = take_free(offload)) || (request = take_cheapest(offload)))
        request_release(request);
    timers_fini(&offload->computing);
    pthread_mutex_destroy(&offload->lock);
    free(offload);
}
