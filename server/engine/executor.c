/* offload: who waits, who runs, and who has a token. */
#include "server/engine/executor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/engine/pool.h"
#include "server/engine/inbox.h"
#include "server/engine/loop.h"
#include "server/engine/cost.h"
#include "server/request_owner.h"
#include "server/engine/scheduling.h"
#include "server/engine/thread_state.h"
#include "server/engine/heap.h"

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

struct executor {
    struct pool *pool;
    unsigned bound;          /* tokens */
    struct inbox submitted;  /* by the owners of loops */
    _Atomic unsigned tokens; /* that are taken; may be more than there are. Written under `lock` */
    pthread_mutex_t lock;    /* guards all that follows. Lock order: this one, then the crew's */
    /* Wait for a token, in the order of the time until when they should have been answered, in
     * microseconds. */
    struct heap computing;
    /* Wait for nothing but a thread. */
    struct line sleeping, unknown;
    struct permit *runs; /* that have a token */
    unsigned newcomers;       /* threads begun for them since the last look */
};

struct executor *executor_new(unsigned running, struct pool *pool)
{
    struct executor *executor = calloc(1, sizeof *executor);
    if (!executor)
        return NULL;
    executor->pool = pool;
    executor->bound = running;
    pthread_mutex_init(&executor->lock, NULL);
    return executor;
}

/* ---- who waits ---- */

static bool needs_token(const struct request *request) { return request->cost >= COST_COMPUTES; }

bool executor_submit(struct executor *executor, struct request *request)
{
    bool is_free = !needs_token(request);
    /* From here on the request may be answered at any time, and be gone. */
    bool was_empty = inbox_push(&executor->submitted, &request->node);
    /* Who gives a token back looks into the inbox. */
    return is_free || (was_empty && atomic_load(&executor->tokens) < executor->bound);
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
static void wait_for_token(struct executor *executor, struct request *request)
{
    int64_t until_us = clock_ms() * 1000 + cost_us(request->cost);
    heap_put(&executor->computing, &request->place, until_us);
}

static void sort_submitted(struct executor *executor)
{
    struct inbox_node *next;
    for (struct inbox_node *node = inbox_take_all(&executor->submitted); node; node = next) {
        struct request *request = (struct request *) node;
        next = node->next;
        request->place = (struct heap_item){0};
        /* Out of memory there is no order. */
        if (needs_token(request) &&
            heap_reserve(&executor->computing, executor->computing.count + 1))
            wait_for_token(executor, request);
        else
            line_up(request->cost == COST_SLEEPS ? &executor->sleeping : &executor->unknown, request);
    }
}

static struct request *take_cheapest(struct executor *executor)
{
    struct heap_item *item = heap_take(&executor->computing, INT64_MAX);
    return item ? (struct request *) ((char *) item - offsetof(struct request, place)) : NULL;
}

/* The next request that may be begun in a thread that gives way: one of which nothing is known may turn
 * out to compute. */
static struct request *take_computing(struct executor *executor)
{
    struct request *request = take_first(&executor->unknown);
    if (!request && executor->tokens < executor->bound)
        request = take_cheapest(executor);
    if (request)
        executor->tokens++;
    return request;
}

/* ---- who runs ---- */

/* Lists a run for which a token was taken. `now_ns` is the time of its clock. */
static void list_run(struct executor *executor, struct permit *run, pid_t thread,
                     clockid_t cpu_clock, int64_t now_ns)
{
    *run = (struct permit){.next = executor->runs,
                                .has_token = true,
                                .gives_way = true,
                                .thread = thread,
                                .cpu_clock = cpu_clock,
                                .begun_ns = now_ns,
                                .seen_ns = now_ns};
    if (run->next)
        run->next->previous = run;
    executor->runs = run;
}

static void give_token_back(struct executor *executor, struct permit *run)
{
    if (!run->has_token)
        return;
    run->has_token = false;
    executor->tokens--;
    if (run->next)
        run->next->previous = run->previous;
    if (run->previous)
        run->previous->next = run->next;
    else
        executor->runs = run->next;
}

/* Calls the handler, unless nobody waits for the answer any more. */
static void call(struct request *request)
{
    struct call_sample sample;
    if (!request_is_over(request)) {
        call_sample_begin(&sample);
        request_call(request);
        request->cost = call_sample_end(&sample, request->cost);
    }
    if (request_detach(request))
        loop_post(request->loop, &request->node);
    request_returned(request);
}

void executor_run(struct executor *executor, struct permit *run, struct request *request)
{
    clockid_t cpu_clock;
    pthread_getcpuclockid(pthread_self(), &cpu_clock);
    const pid_t thread = gettid();
    /* Before the lock is taken: from here on the others may keep it from running. */
    if (request && request->cost != COST_SLEEPS && !run->gives_way)
        scheduling_give_way(0);
    for (;;) {
        const int64_t now_ns = clock_ns(cpu_clock);
        pthread_mutex_lock(&executor->lock);
        if (!request) {
            give_token_back(executor, run);
            sort_submitted(executor);
            request = run->gives_way ? take_computing(executor) : take_first(&executor->sleeping);
        }
        if (request && request->cost != COST_SLEEPS)
            list_run(executor, run, thread, cpu_clock, now_ns);
        pthread_mutex_unlock(&executor->lock);
        if (!request)
            return;
        call(request);
        request = NULL;
    }
}

/* ---- the watcher ---- */

void executor_adopt(struct executor *executor, struct permit *run, pid_t thread,
                   clockid_t cpu_clock)
{
    const int64_t now_ns = clock_ns(cpu_clock);
    scheduling_give_way(thread);
    pthread_mutex_lock(&executor->lock);
    executor->tokens++;
    list_run(executor, run, thread, cpu_clock, now_ns);
    pthread_mutex_unlock(&executor->lock);
}

/* Whether a call no longer takes a core, or has had it long enough. To ask whether it sleeps is dear, and
 * of many that share the cores most are still at a look: the longer they are, the more seldom they are
 * asked for, at the first look, the second, the fourth. */
static bool is_through(struct permit *run)
{
    int64_t now_ns = clock_ns(run->cpu_clock);
    run->still = now_ns - run->seen_ns < STILL_NS ? run->still + 1 : 0;
    run->seen_ns = now_ns;
    if (now_ns - run->begun_ns > TOKEN_NS)
        return true;
    return run->still && (run->still & (run->still - 1)) == 0 && thread_state_sleeps(run->thread);
}

void executor_sample(struct executor *executor)
{
    pthread_mutex_lock(&executor->lock);
    for (struct permit *run = executor->runs, *next; run; run = next) {
        next = run->next;
        if (is_through(run))
            give_token_back(executor, run);
    }
    executor->newcomers = 0;
    pthread_mutex_unlock(&executor->lock);
}

static bool may_begin_computing(struct executor *executor)
{
    return executor->unknown.first ? executor->newcomers++ < NEWCOMERS
                                  : executor->computing.count && executor->tokens < executor->bound;
}

/* What gets no thread is taken by those that run when they are through. */
void executor_dispatch(struct executor *executor)
{
    struct pool_thread *thread;
    pthread_mutex_lock(&executor->lock);
    sort_submitted(executor);
    while (executor->sleeping.first && (thread = pool_get(executor->pool, POOL_INTERACTIVE)))
        pool_give_request(thread, take_first(&executor->sleeping));
    while (may_begin_computing(executor) && (thread = pool_get(executor->pool, POOL_BACKGROUND)))
        pool_give_request(thread, take_computing(executor));
    pthread_mutex_unlock(&executor->lock);
}

bool executor_is_busy(struct executor *executor)
{
    pthread_mutex_lock(&executor->lock);
    bool is_busy = executor->runs || executor->sleeping.first || executor->unknown.first ||
                   executor->computing.count;
    pthread_mutex_unlock(&executor->lock);
    return is_busy;
}

bool executor_is_crowded(const struct executor *executor)
{
    return atomic_load(&executor->tokens) > executor->bound;
}

void executor_free(struct executor *executor)
{
    if (!executor)
        return;
    sort_submitted(executor);
    struct request *request;
    while ((request = take_first(&executor->sleeping)) ||
           (request = take_first(&executor->unknown)) || (request = take_cheapest(executor)))
        request_release(request);
    heap_fini(&executor->computing);
    pthread_mutex_destroy(&executor->lock);
    free(executor);
}
