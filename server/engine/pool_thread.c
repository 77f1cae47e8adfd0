/* pool_thread: its life, from the start to the list of those that have ended. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/engine/pool_state.h"

/* Spares of the lowest priority that are kept, beyond as many as the reserve: calls that compute
 * when nobody expects it make one each. */
enum { KEPT_BACKGROUND = 8 };

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

/* ---- a thread's life ---- */

static void free_thread(struct pool_thread *thread)
{
    thread->pool->ops->fini(thread->context);
    pthread_cond_destroy(&thread->given);
    sem_destroy(&thread->let_go);
    free(thread);
}

/* Whether there are enough others for the reserve. */
static bool is_surplus(const struct pool_thread *thread)
{
    const struct pool *pool = thread->pool;
    return pool_kind_of(thread) == BACKGROUND ||
           pool_count_spares(pool, USUAL) > pool_count_kept(pool);
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
    return pool_kind_of(thread) == BACKGROUND &&
           pool_count_spares(pool, BACKGROUND) >= pool_count_kept(pool) + KEPT_BACKGROUND;
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
            pool_unlink_spare(thread);
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

void pool_join_ended(struct pool *pool)
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

void pool_wake_spares(struct pool *pool)
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
        pool_wake_spares(pool);
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
        pool_link_spare(thread);
    }
    pool->ending++;
    pool_join_ended(pool); /* whoever ends does, so that they don't pile up */
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

struct pool_thread *pool_thread_start(struct pool *pool)
{
    struct pool_thread *thread = calloc(1, sizeof *thread + pool->ops->context_bytes);
    if (!thread)
        return NULL;
    thread->pool = pool;
    thread->permit.thread = &thread->self;
    sem_init(&thread->let_go, 0, 0);
    pthread_cond_init(&thread->given, NULL);
    int failure = pthread_create(&thread->self.id, NULL, run_thread, thread);
    if (failure) {
        free_thread(thread);
        errno = failure;
        return NULL;
    }
    pthread_getcpuclockid(thread->self.id, &thread->self.cpu_clock);
    return thread;
}
