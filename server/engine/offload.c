/* offload: who waits, who runs, and who has a token. */
#include "server/engine/offload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/engine/crew.h"
#include "server/engine/inbox.h"
#include "server/engine/loop.h"
#include "server/engine/pace.h"
#include "server/request_owner.h"
#include "server/engine/scheduling.h"
#include "server/engine/thread_state.h"
#include "server/engine/timers.h"

/* What a call may have of a core before it shares it with the next one. */
#define TOKEN_NS (100 * INT64_C(1000000))
/* A call that has used less than this between two looks has not computed. */
#define STILL_NS (INT64_C(100000))

/* So many threads are begun between two looks for requests of which nothing is known: most of them
 * are quick, and done by the threads that are there before another one is needed. Where they are not,
 * making sixty threads as fast as can be would keep the cores from the loops for longer than all else. */
enum { NEWCOMERS = 1 };

/* Requests, the oldest first, by request->node.next. */
struct line {
    struct inbox_node *first, *last;
};

struct offload {
    struct crew *crew;
    unsigned bound;          /* tokens */
    struct inbox submitted;  /* by the owners of loops */
    _Atomic unsigned tokens; /* that are taken; may be more than there are. Written under `lock` */
    pthread_mutex_t lock;    /* guards all that follows. Lock order: this one, then the crew's */
    /* Wait for a token, in the order of the time until when they should have been answered, in
     * microseconds. */
    struct timers computing;
    /* Wait for nothing but a thread. */
    struct line sleeping, unknown;
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

static void line_up(struct line *line, struct request *request)
{
    request->node.next = NULL;
    if (line->last)
        line->last->next = &request->node;
    else
        line->first = &request->node;
    line->last = &request->node;
}

static struct request *take_first(struct line *line)
{
    struct inbox_node *node = line->first;
    if (!node)
        return NULL;
    line->first = node->next;
    if (!line->first)
        line->last = NULL;
    return (struct request *) node;
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
            line_up(request->pace == PACE_SLEEPS ? &offload->sleeping : &offload->unknown, request);
    }
}

static struct request *take_cheapest(struct offload *offload)
{
    struct timer *timer = timers_take_due(&offload->computing, INT64_MAX - 1);
    return timer ? (struct request *) ((char *) timer - offsetof(struct request, place)) : NULL;
}

/* The next request that may be begun in a thread that gives way: one of which nothing is known may turn
 * out to compute. */
static struct request *take_computing(struct offload *offload)
{
    struct request *request = take_first(&offload->unknown);
    if (!request && offload->tokens < offload->bound)
        request = take_cheapest(offload);
    if (request)
        offload->tokens++;
    return request;
}

/* ---- who runs ---- */

/* Lists a run for which a token was taken. `now_ns` is the time of its clock. */
static void list_run(struct offload *offload, struct offload_run *run, pid_t thread,
                     clockid_t cpu_clock, int64_t now_ns)
{
    *run = (struct offload_run){.next = offload->runs,
                                .has_token = true,
                                .gives_way = true,
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
    pthread_getcpuclockid(pthread_self(), &cpu_clock);
    const pid_t thread = gettid();
    /* Before the lock is taken: from here on the others may keep it from running. */
    if (request && request->pace != PACE_SLEEPS && !run->gives_way)
        scheduling_give_way(0);
    for (;;) {
        const int64_t now_ns = clock_ns(cpu_clock);
        pthread_mutex_lock(&offload->lock);
        if (!request) {
            give_token_back(offload, run);
            sort_submitted(offload);
            request = run->gives_way ? take_computing(offload) : take_first(&offload->sleeping);
        }
        if (request && request->pace != PACE_SLEEPS)
            list_run(offload, run, thread, cpu_clock, now_ns);
        pthread_mutex_unlock(&offload->lock);
        if (!request)
            return;
        call(request);
        request = NULL;
    }
}

/* ---- the watcher ---- */

void offload_adopt(struct offload *offload, struct offload_run *run, pid_t thread,
                   clockid_t cpu_clock)
{
    const int64_t now_ns = clock_ns(cpu_clock);
    scheduling_give_way(thread);
    pthread_mutex_lock(&offload->lock);
    offload->tokens++;
    list_run(offload, run, thread, cpu_clock, now_ns);
    pthread_mutex_unlock(&offload->lock);
}

/* Whether a call no longer takes a core, or has had it long enough. To ask whether it sleeps is dear, and
 * of many that share the cores most are still at a look: the longer they are, the more seldom they are
 * asked for, at the first look, the second, the fourth. */
static bool is_through(struct offload_run *run)
{
    int64_t now_ns = clock_ns(run->cpu_clock);
    run->still = now_ns - run->seen_ns < STILL_NS ? run->still + 1 : 0;
    run->seen_ns = now_ns;
    if (now_ns - run->begun_ns > TOKEN_NS)
        return true;
    return run->still && (run->still & (run->still - 1)) == 0 && thread_state_sleeps(run->thread);
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

static bool may_begin_computing(struct offload *offload)
{
    return offload->unknown.first ? offload->newcomers++ < NEWCOMERS
                                  : offload->computing.count && offload->tokens < offload->bound;
}

/* What gets no thread is taken by those that run when they are through. */
void offload_admit(struct offload *offload)
{
    struct crew_thread *thread;
    pthread_mutex_lock(&offload->lock);
    sort_submitted(offload);
    while (offload->sleeping.first && (thread = crew_get(offload->crew, CREW_PROMPT)))
        crew_give_request(thread, take_first(&offload->sleeping));
    while (may_begin_computing(offload) && (thread = crew_get(offload->crew, CREW_COMPUTES)))
        crew_give_request(thread, take_computing(offload));
    pthread_mutex_unlock(&offload->lock);
}

bool offload_is_busy(struct offload *offload)
{
    pthread_mutex_lock(&offload->lock);
    bool is_busy = offload->runs || offload->sleeping.first || offload->unknown.first ||
                   offload->computing.count;
    pthread_mutex_unlock(&offload->lock);
    return is_busy;
}

bool offload_is_crowded(const struct offload *offload)
{
    return atomic_load(&offload->tokens) > offload->bound;
}

void offload_free(struct offload *offload)
{
    if (!offload)
        return;
    sort_submitted(offload);
    struct request *request;
    while ((request = take_first(&offload->sleeping)) ||
           (request = take_first(&offload->unknown)) || (request = take_cheapest(offload)))
        request_release(request);
    timers_fini(&offload->computing);
    pthread_mutex_destroy(&offload->lock);
    free(offload);
}
