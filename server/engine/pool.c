/* pool: threads, spares, and their end. */
#include "server/engine/pool.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/engine/loop.h"
#include "server/log/log.h"

enum {
    PATIENCE_MS = 10000,
    /* spares of the lowest priority that are kept, beyond as many as the reserve: calls that
     * compute when nobody expects it make one each */
    KEPT_BACKGROUND = 8,
    START_AGAIN_MS = 100, /* when a thread has not started, none is tried for this long */
    LOG_AGAIN_MS = 1000,
    STOP_STEP_MS = 100, /* between two looks at the clock, which see that it has leapt */
};

enum kind { USUAL, BACKGROUND, KINDS }; /* of threads, by their priority */

struct pool_thread {
    struct pool *pool;
    struct thread self;            /* its tid is set by the thread itself, before all else */
    LIST_ENTRY(pool_thread) entry; /* among the spares or the ended. Guarded by pool->lock */
    pthread_cond_t given;          /* with pool->lock: one of the next two is set, or a stop */
    struct loop *loop;             /* given to it, not yet begun. Guarded by pool->lock */
    struct job *job;               /* instead of a loop. Guarded by pool->lock */
    struct pool_thread *from;      /* with a loop: whose it was. Guarded by pool->lock */
    bool is_spare;                 /* it is in a list of spares. Guarded by pool->lock */
    _Atomic bool is_background;
    sem_t let_go; /* posted when a new owner has read the context */
    struct call_sample stall;
    struct permit permit;
    _Alignas(max_align_t) char context[];
};

LIST_HEAD(pool_threads, pool_thread);

struct pool {
    const struct pool_ops *ops;
    void (*work)(void *user, struct pool_thread *thread, struct job *job);
    void *work_user;
    struct log *log;
    unsigned bound;
    int64_t patience_ms;    /* of spares */
    pthread_mutex_t lock;   /* guards all that follows. Lock order: this one, then the log's */
    pthread_cond_t changed; /* a thread has ended or come back from a call, or a loop has drained */
    struct pool_threads spares[KINDS]; /* the latest first */
    struct pool_threads ended;         /* to be joined */
    int64_t start_at_ms, log_at_ms;    /* when a thread may be started, a failure logged, again */
    /* These three are written under the lock, and read by all. */
    _Atomic unsigned threads; /* that have not ended */
    _Atomic unsigned spare_counts[KINDS];
    _Atomic unsigned reserve; /* spares of the usual priority that are kept for loops */
    unsigned calling;         /* of them: in calls outside of the loops */
    unsigned loops;           /* given and not drained */
    unsigned ending;          /* threads that end by themselves */
    bool stopping;
    bool abandoned; /* a stop has not waited for all threads: those that end are joined by nobody */
};

/* ---- about a thread ---- */

void *pool_thread_context(struct pool_thread *thread) { return thread->context; }

const struct thread *pool_thread_self(const struct pool_thread *thread) { return &thread->self; }

struct call_sample *pool_thread_stall(struct pool_thread *thread) { return &thread->stall; }

struct permit *pool_thread_permit(struct pool_thread *thread) { return &thread->permit; }

struct pool_thread *pool_thread_of_permit(struct permit *permit)
{
    return (struct pool_thread *) ((char *) permit - offsetof(struct pool_thread, permit));
}

bool pool_thread_is_background(const struct pool_thread *thread)
{
    return atomic_load_explicit(&thread->is_background, memory_order_relaxed);
}

void pool_thread_set_background(struct pool_thread *thread)
{
    atomic_store_explicit(&thread->is_background, true, memory_order_relaxed);
    thread_sched_background(thread->self.tid);
}

void pool_thread_let_go(struct pool_thread *thread) { sem_post(&thread->let_go); }

unsigned pool_bound(const struct pool *pool) { return pool->bound; }

unsigned pool_threads(const struct pool *pool)
{
    return atomic_load_explicit(&pool->threads, memory_order_relaxed);
}

static unsigned count_spares(const struct pool *pool, enum kind kind)
{
    return atomic_load_explicit(&pool->spare_counts[kind], memory_order_relaxed);
}

unsigned pool_spares(const struct pool *pool) { return count_spares(pool, USUAL); }

static unsigned reserve_of(const struct pool *pool)
{
    return atomic_load_explicit(&pool->reserve, memory_order_relaxed);
}

bool pool_is_short(const struct pool *pool) { return pool_spares(pool) < reserve_of(pool); }

bool pool_has_room(const struct pool *pool)
{
    return pool_spares(pool) + pool->bound > reserve_of(pool) + pool_threads(pool);
}

/* ---- a thread's life ---- */

static void free_thread(struct pool_thread *thread)
{
    thread->pool->ops->fini(thread->context);
    pthread_cond_destroy(&thread->given);
    sem_destroy(&thread->let_go);
    free(thread);
}

static enum kind kind_of(const struct pool_thread *thread)
{
    return pool_thread_is_background(thread) ? BACKGROUND : USUAL;
}

static void link_spare(struct pool_thread *thread)
{
    struct pool *pool = thread->pool;
    LIST_INSERT_HEAD(&pool->spares[kind_of(thread)], thread, entry);
    pool->spare_counts[kind_of(thread)]++;
    thread->is_spare = true;
}

static void unlink_spare(struct pool_thread *thread)
{
    LIST_REMOVE(thread, entry);
    thread->pool->spare_counts[kind_of(thread)]--;
    thread->is_spare = false;
}

/* Whether there are enough others for the reserve. */
static bool is_surplus(const struct pool_thread *thread)
{
    const struct pool *pool = thread->pool;
    return kind_of(thread) == BACKGROUND || pool_spares(pool) > reserve_of(pool);
}

/* Whether a spare may end; `late`: nobody has needed it for long. A stop needs the reserve as long
 * as there are loops. */
static bool may_end(const struct pool_thread *thread, bool late)
{
    const struct pool *pool = thread->pool;
    return pool->stopping ? is_surplus(thread) || pool->loops == 0 : late && is_surplus(thread);
}

/* Whether a thread that is through is not even kept as a spare. */
static bool is_one_too_many(const struct pool_thread *thread)
{
    const struct pool *pool = thread->pool;
    return kind_of(thread) == BACKGROUND &&
           count_spares(pool, BACKGROUND) >= reserve_of(pool) + KEPT_BACKGROUND;
}

/* Waits until it is signalled, with the lock held. The reserve sleeps for as long as nothing
 * happens; any other spare, until it is late (true). */
static bool wait_given(struct pool_thread *thread)
{
    struct pool *pool = thread->pool;
    if (!thread->is_spare || !is_surplus(thread)) {
        pthread_cond_wait(&thread->given, &pool->lock);
        return false;
    }
    struct timespec until = clock_timespec(clock_ms() + pool->patience_ms);
    return pthread_cond_clockwait(&thread->given, &pool->lock, CLOCK_MONOTONIC, &until) != 0;
}

/* Waits as a spare, with the lock held. True: it was given a loop or a job. False: nobody needs
 * this thread. One that is no spare was picked: it will be given something, or be put back. */
static bool wait_for_work(struct pool_thread *thread)
{
    bool late = false;
    while (!thread->loop && !thread->job) {
        if (thread->is_spare && may_end(thread, late)) {
            unlink_spare(thread);
            return false;
        }
        late = wait_given(thread);
    }
    return true;
}

/* The loop was taken during a call, which is over. */
static void leave_call(struct pool_thread *thread)
{
    while (sem_wait(&thread->let_go) != 0)
        continue;
    thread->pool->ops->lost(thread->context);
}

/* Joins those that have ended, with the lock held, but not while it waits for one. */
static void join_ended(struct pool *pool)
{
    struct pool_thread *thread;
    while ((thread = LIST_FIRST(&pool->ended))) {
        LIST_REMOVE(thread, entry);
        pthread_mutex_unlock(&pool->lock);
        pthread_join(thread->self.id, NULL);
        free_thread(thread);
        pthread_mutex_lock(&pool->lock);
    }
}

/* Does what the thread was given. Returns whether it was a loop that has drained. */
static bool do_work(struct pool_thread *thread, struct loop *loop, struct pool_thread *from,
                    struct job *job)
{
    struct pool *pool = thread->pool;
    if (loop && pool->ops->own(loop, thread, from))
        return true;
    if (loop)
        leave_call(thread);
    pool->work(pool->work_user, thread, job);
    return false;
}

static void wake_spares(struct pool *pool)
{
    struct pool_thread *spare;
    for (enum kind kind = USUAL; kind < KINDS; kind++)
        LIST_FOREACH(spare, &pool->spares[kind], entry)
            pthread_cond_signal(&spare->given);
}

/* Does what the thread was given, with the lock held, but not meanwhile. */
static void work_once(struct pool_thread *thread)
{
    struct pool *pool = thread->pool;
    struct loop *loop = thread->loop;
    struct job *job = thread->job;
    struct pool_thread *from = thread->from;
    thread->loop = NULL;
    thread->job = NULL;
    pthread_mutex_unlock(&pool->lock);
    bool has_drained = do_work(thread, loop, from, job);
    pthread_mutex_lock(&pool->lock);
    if (!has_drained)
        pool->calling--;
    else if (--pool->loops == 0 && pool->stopping)
        wake_spares(pool);
    pthread_cond_broadcast(&pool->changed);
}

static void *run_thread(void *argument)
{
    struct pool_thread *thread = argument;
    struct pool *pool = thread->pool;
    pthread_mutex_lock(&pool->lock);
    thread->self.tid = gettid();
    while (wait_for_work(thread)) {
        work_once(thread);
        if (is_one_too_many(thread))
            break;
        link_spare(thread);
    }
    pool->ending++;
    join_ended(pool); /* whoever ends does, so that they don't pile up */
    if (pool->abandoned) {
        pthread_detach(thread->self.id);
        free_thread(thread);
    } else {
        LIST_INSERT_HEAD(&pool->ended, thread, entry);
    }
    pool->ending--;
    pool->threads--;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* ---- spares ---- */

static void log_failure(struct pool *pool, int failure)
{
    int64_t now_ms = clock_ms();
    pool->start_at_ms = now_ms + START_AGAIN_MS;
    if (now_ms < pool->log_at_ms)
        return;
    pool->log_at_ms = now_ms + LOG_AGAIN_MS;
    log_tell(pool->log, LOG_THREAD_FAILED, 0, "%s", strerror(failure));
}

/* A new thread, counted, and waiting, but not among the spares. With the lock held, so that it does
 * nothing before this returns. */
static struct pool_thread *start_thread(struct pool *pool)
{
    struct pool_thread *thread = calloc(1, sizeof *thread + pool->ops->context_bytes);
    int failure = ENOMEM;
    if (thread) {
        thread->pool = pool;
        thread->permit.thread = &thread->self;
        sem_init(&thread->let_go, 0, 0);
        pthread_cond_init(&thread->given, NULL);
        failure = pthread_create(&thread->self.id, NULL, run_thread, thread);
    }
    if (failure) {
        log_failure(pool, failure);
        if (thread)
            free_thread(thread);
        errno = failure;
        return NULL;
    }
    pthread_getcpuclockid(thread->self.id, &thread->self.cpu_clock);
    return thread;
}

/* A new thread if the bound, the stop and the system allow one; with the lock held. */
static struct pool_thread *add_thread(struct pool *pool)
{
    /* Once the last loop has drained nothing is begun, and when the last thread has ended the pool
     * may be freed. */
    bool is_over = pool->stopping && pool->loops == 0;
    if (is_over || pool->threads >= pool->bound || clock_ms() < pool->start_at_ms)
        return NULL;
    pool->threads++;
    struct pool_thread *thread = start_thread(pool);
    if (!thread)
        pool->threads--;
    return thread;
}

static struct pool_thread *take_spare(struct pool *pool, enum kind kind)
{
    struct pool_thread *thread = LIST_FIRST(&pool->spares[kind]);
    if (thread)
        unlink_spare(thread);
    return thread;
}

struct pool_thread *pool_get(struct pool *pool, enum pool_use use)
{
    struct pool_thread *thread = NULL;
    pthread_mutex_lock(&pool->lock);
    if (use == POOL_BACKGROUND)
        thread = take_spare(pool, BACKGROUND);
    bool may_take = use == POOL_LOOP || pool_spares(pool) > reserve_of(pool);
    if (!thread && may_take)
        thread = take_spare(pool, USUAL);
    if (!thread && (use == POOL_LOOP || pool_has_room(pool)))
        thread = add_thread(pool);
    pthread_mutex_unlock(&pool->lock);
    return thread;
}

void pool_refill(struct pool *pool)
{
    struct pool_thread *thread;
    if (!pool_is_short(pool))
        return;
    pthread_mutex_lock(&pool->lock);
    while (pool_is_short(pool) && (thread = add_thread(pool)))
        link_spare(thread);
    pthread_mutex_unlock(&pool->lock);
}

void pool_keep(struct pool *pool, unsigned reserve)
{
    pool->reserve = reserve;
    pool_refill(pool);
}

void pool_give_loop(struct pool_thread *thread, struct loop *loop, struct pool_thread *from)
{
    struct pool *pool = thread->pool;
    loop->owner = thread;
    loop->owner_clock = thread->self.cpu_clock;
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

void pool_give_job(struct pool_thread *thread, struct job *job)
{
    struct pool *pool = thread->pool;
    pthread_mutex_lock(&pool->lock);
    thread->job = job;
    pool->calling++;
    pthread_cond_signal(&thread->given);
    pthread_mutex_unlock(&pool->lock);
}

void pool_put_back(struct pool_thread *thread)
{
    struct pool *pool = thread->pool;
    pthread_mutex_lock(&pool->lock);
    link_spare(thread);
    pthread_cond_signal(&thread->given); /* it may end now, or begin to wait for that */
    pthread_mutex_unlock(&pool->lock);
}

/* ---- the pool's life ---- */

struct pool *pool_new(unsigned bound, const struct pool_ops *ops, struct log *log)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->bound = bound;
    pool->patience_ms = PATIENCE_MS;
    pool->ops = ops;
    pool->log = log;
    for (enum kind kind = USUAL; kind < KINDS; kind++)
        LIST_INIT(&pool->spares[kind]);
    LIST_INIT(&pool->ended);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    return pool;
}

void pool_set_patience(struct pool *pool, int64_t ms) { pool->patience_ms = ms; }

void pool_set_work(struct pool *pool,
                   void (*work)(void *user, struct pool_thread *thread, struct job *job),
                   void *user)
{
    pool->work = work;
    pool->work_user = user;
}

/* How many neither are spares nor end by themselves, with the lock held. */
static unsigned count_busy(const struct pool *pool)
{
    return pool->threads - pool->ending - count_spares(pool, USUAL) -
           count_spares(pool, BACKGROUND);
}

/* Waits for a change, with the lock held. Returns for how long the whole process has stood still
 * meanwhile, as far as can be seen. */
static int64_t wait_for_change(struct pool *pool, int64_t until_ms)
{
    if (until_ms == CLOCK_NEVER) {
        pthread_cond_wait(&pool->changed, &pool->lock);
        return 0;
    }
    int64_t step_ms = clock_ms() + STOP_STEP_MS;
    int64_t at_ms = until_ms < step_ms ? until_ms : step_ms;
    struct timespec at = clock_timespec(at_ms);
    pthread_cond_clockwait(&pool->changed, &pool->lock, CLOCK_MONOTONIC, &at);
    return clock_paused_ms(clock_ms(), at_ms);
}

unsigned pool_stop(struct pool *pool, int64_t deadline_ms, int64_t grace_ms)
{
    unsigned left;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    wake_spares(pool);
    while (left = count_busy(pool), pool->threads > 0) {
        int64_t until_ms = deadline_ms + (pool->loops > 0 ? grace_ms : 0);
        if (deadline_ms == CLOCK_NEVER || left == 0)
            until_ms = CLOCK_NEVER;
        else if (clock_ms() >= until_ms)
            break;
        int64_t paused_ms = wait_for_change(pool, until_ms);
        if (deadline_ms != CLOCK_NEVER)
            deadline_ms += paused_ms;
    }
    join_ended(pool);
    pool->abandoned = left > 0;
    pthread_mutex_unlock(&pool->lock);
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
