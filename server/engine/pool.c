/* crew: threads, spares, and their end. */
#include "server/engine/pool.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "server/log/log.h"
#include "server/engine/loop.h"
#include "server/engine/executor.h"
#include "server/request_owner.h"

enum { SPARE_PATIENCE_S = 10 };

struct pool_thread {
    struct pool *pool;
    pthread_t id;
    clockid_t cpu_clock;
    struct pool_thread *next; /* among the spares or the ended. Guarded by pool->lock */
    pthread_cond_t given;     /* with pool->lock: `loop` is set, or the crew stops */
    struct loop *loop;        /* given to it, not yet begun. Guarded by pool->lock */
    struct pool_thread *from; /* as above */
    struct request *request;  /* instead of a loop. As above */
    sem_t let_go;             /* posted when a new owner has read `turn` */
    struct scratch scratch;
    struct permit run;
};

struct pool {
    struct log *log;
    unsigned bound;
    struct executor *executor; /* NULL: loops are never taken */
    pthread_mutex_t lock;    /* guards all that follows. Lock order: this one, then the log's */
    pthread_cond_t changed; /* a thread has ended or come back from a call, or a loop has drained */
    /* for each use; the last one to become a spare first */
    struct pool_thread *spares[POOL_BACKGROUND + 1];
    struct pool_thread *ended; /* to be joined */
    unsigned threads;          /* that have not ended */
    unsigned calling;          /* of them: in calls outside of the loops */
    unsigned loops;            /* given and not drained */
    bool stopping;
};

struct scratch *pool_scratch(struct pool_thread *thread) { return &thread->scratch; }

pthread_t pool_thread_id(const struct pool_thread *thread) { return thread->id; }

struct permit *pool_thread_run(struct pool_thread *thread) { return &thread->run; }

unsigned pool_bound(const struct pool *pool) { return pool->bound; }

void pool_thread_let_go(struct pool_thread *thread) { sem_post(&thread->let_go); }

struct pool *pool_new(unsigned bound, struct log *log)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->bound = bound;
    pool->log = log;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    return pool;
}

void pool_set_offload(struct pool *pool, struct executor *executor) { pool->executor = executor; }

/* ---- a thread's life ---- */

static void free_thread(struct pool_thread *thread)
{
    request_free(thread->scratch.request);
    buffer_fini(&thread->scratch.input);
    buffer_fini(&thread->scratch.output);
    buffer_fini(&thread->scratch.large);
    pthread_cond_destroy(&thread->given);
    sem_destroy(&thread->let_go);
    free(thread);
}

/* What a thread that is a spare, or becomes one, may be used for. */
static struct pool_thread **spares_like(struct pool_thread *thread)
{
    return &thread->pool->spares[thread->run.gives_way ? POOL_BACKGROUND : POOL_INTERACTIVE];
}

static void link_spare(struct pool_thread *thread)
{
    struct pool_thread **spares = spares_like(thread);
    thread->next = *spares;
    *spares = thread;
}

/* False when it is no spare: it was picked, and will be given a loop or be put back. */
static bool unlink_spare(struct pool_thread *thread)
{
    struct pool_thread **link = spares_like(thread);
    while (*link && *link != thread)
        link = &(*link)->next;
    if (!*link)
        return false;
    *link = thread->next;
    return true;
}

/* Waits as a spare, with the lock held. True: `loop` or `request` is set. False: nobody needs this
 * thread. */
static bool wait_for_work(struct pool_thread *thread)
{
    struct pool *pool = thread->pool;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += SPARE_PATIENCE_S;
    bool late = false;
    while (!thread->loop && !thread->request) {
        if ((late || pool->stopping) && unlink_spare(thread))
            return false;
        late = pthread_cond_clockwait(&thread->given, &pool->lock, CLOCK_MONOTONIC, &until) != 0;
    }
    return true;
}

/* The loop was taken during a call. The request is the session's now, which waits for it. */
static void leave_call(struct pool_thread *thread)
{
    while (sem_wait(&thread->let_go) != 0)
        continue;
    request_returned(thread->scratch.request);
    thread->scratch.request = NULL;
    buffer_clear(&thread->scratch.input);
    buffer_clear(&thread->scratch.output);
    buffer_fini(&thread->scratch.large);
}

static void join_ended(struct pool_thread *ended)
{
    while (ended) {
        struct pool_thread *next = ended->next;
        pthread_join(ended->id, NULL);
        free_thread(ended);
        ended = next;
    }
}

static void *run_thread(void *argument)
{
    struct pool_thread *thread = argument;
    struct pool *pool = thread->pool;
    pthread_mutex_lock(&pool->lock);
    while (wait_for_work(thread)) {
        struct loop *loop = thread->loop;
        struct request *request = thread->request;
        struct pool_thread *from = thread->from;
        thread->loop = NULL;
        thread->request = NULL;
        pthread_mutex_unlock(&pool->lock);

        bool drained = loop && loop_run(loop, thread, from);
        if (loop && !drained)
            leave_call(thread);
        if (!drained)
            executor_run(pool->executor, &thread->run, request);

        pthread_mutex_lock(&pool->lock);
        if (drained)
            pool->loops--;
        else
            pool->calling--;
        pthread_cond_broadcast(&pool->changed);
        link_spare(thread);
    }
    /* Who ends joins those that ended before, so that they don't pile up. */
    struct pool_thread *ended = pool->ended;
    pool->ended = NULL;
    pthread_mutex_unlock(&pool->lock);
    join_ended(ended);
    pthread_mutex_lock(&pool->lock);
    thread->next = pool->ended;
    pool->ended = thread;
    pool->threads--;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* ---- spares ---- */

/* A new thread, counted, and waiting, but not among the spares. */
static struct pool_thread *start_thread(struct pool *pool)
{
    struct pool_thread *thread = calloc(1, sizeof *thread);
    int failure = ENOMEM;
    if (thread) {
        thread->pool = pool;
        sem_init(&thread->let_go, 0, 0);
        pthread_cond_init(&thread->given, NULL);
        failure = pthread_create(&thread->id, NULL, run_thread, thread);
    }
    if (failure) {
        log_tell(pool->log, LOG_THREAD_FAILED, 0, "%s", strerror(failure));
        if (thread)
            free_thread(thread);
        return NULL;
    }
    pthread_getcpuclockid(thread->id, &thread->cpu_clock);
    return thread;
}

static struct pool_thread *take_spare(struct pool *pool, enum pool_use use)
{
    struct pool_thread *thread = pool->spares[use];
    if (thread)
        pool->spares[use] = thread->next;
    return thread;
}

struct pool_thread *pool_get(struct pool *pool, enum pool_use use)
{
    pthread_mutex_lock(&pool->lock);
    struct pool_thread *thread = take_spare(pool, use);
    if (!thread && use == POOL_BACKGROUND)
        thread = take_spare(pool, POOL_INTERACTIVE);
    if (!thread && pool->threads < pool->bound) {
        pool->threads++;
        thread = start_thread(pool);
        if (!thread)
            pool->threads--;
    }
    if (!thread) /* better slow than not at all */
        thread = take_spare(pool, POOL_BACKGROUND);
    pthread_mutex_unlock(&pool->lock);
    return thread;
}

void pool_give(struct pool_thread *thread, struct loop *loop, struct pool_thread *from)
{
    struct pool *pool = thread->pool;
    loop->owner = thread;
    loop->owner_clock = thread->cpu_clock;
    pthread_mutex_lock(&pool->lock);
    thread->loop = loop;
    thread->from = from;
    if (from)
        pool->calling++;
    else
        pool->loops++;
    pthread_cond_signal(&thread->given);
    pthread_mutex_unlock(&pool->lock);
}

void pool_give_request(struct pool_thread *thread, struct request *request)
{
    struct pool *pool = thread->pool;
    pthread_mutex_lock(&pool->lock);
    thread->request = request;
    pool->calling++;
    pthread_cond_signal(&thread->given);
    pthread_mutex_unlock(&pool->lock);
}

void pool_put_back(struct pool_thread *thread)
{
    struct pool *pool = thread->pool;
    pthread_mutex_lock(&pool->lock);
    link_spare(thread);
    if (pool->stopping)
        pthread_cond_signal(&thread->given);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- the end ---- */

static void wait_until(struct pool *pool, int64_t at_ms)
{
    struct timespec until = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
    if (at_ms == INT64_MAX)
        pthread_cond_wait(&pool->changed, &pool->lock);
    else
        pthread_cond_clockwait(&pool->changed, &pool->lock, CLOCK_MONOTONIC, &until);
}

unsigned pool_stop(struct pool *pool, int64_t deadline_ms, int64_t grace_ms)
{
    int64_t last_ms = deadline_ms == INT64_MAX ? INT64_MAX : deadline_ms + grace_ms;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    for (enum pool_use use = POOL_INTERACTIVE; use <= POOL_BACKGROUND; use++)
        for (struct pool_thread *spare = pool->spares[use]; spare; spare = spare->next)
            pthread_cond_signal(&spare->given);
    while (pool->threads > 0) {
        bool only_calls = pool->loops == 0 && pool->threads == pool->calling;
        int64_t until = only_calls ? deadline_ms : last_ms;
        if (until != INT64_MAX && clock_ms() >= until)
            break;
        wait_until(pool, until);
    }
    unsigned left = pool->threads;
    struct pool_thread *ended = pool->ended;
    pool->ended = NULL;
    pthread_mutex_unlock(&pool->lock);
    join_ended(ended);
    return left;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
