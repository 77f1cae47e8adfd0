/* crew: threads, spares, and their end. */
#include "server/engine/crew.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "server/log/log.h"
#include "server/engine/loop.h"
#include "server/engine/offload.h"
#include "server/request_owner.h"

enum { SPARE_PATIENCE_S = 10 };

struct crew_thread {
    struct crew *crew;
    pthread_t id;
    clockid_t cpu_clock;
    struct crew_thread *next; /* among the spares or the ended. Guarded by crew->lock */
    pthread_cond_t given;     /* with crew->lock: `loop` is set, or the crew stops */
    struct loop *loop;        /* given to it, not yet begun. Guarded by crew->lock */
    struct crew_thread *from; /* as above */
    struct request *request;  /* instead of a loop. As above */
    sem_t let_go;             /* posted when a new owner has read `turn` */
    struct turn turn;
    struct offload_run run;
};

struct crew {
    struct log *log;
    unsigned bound;
    struct offload *offload; /* NULL: loops are never taken */
    pthread_mutex_t lock;    /* guards all that follows. Lock order: this one, then the log's */
    pthread_cond_t changed; /* a thread has ended or come back from a call, or a loop has drained */
    /* for each use; the last one to become a spare first */
    struct crew_thread *spares[CREW_COMPUTES + 1];
    struct crew_thread *ended; /* to be joined */
    unsigned threads;          /* that have not ended */
    unsigned calling;          /* of them: in calls outside of the loops */
    unsigned loops;            /* given and not drained */
    bool stopping;
};

struct turn *crew_turn(struct crew_thread *thread) { return &thread->turn; }

pthread_t crew_thread_id(const struct crew_thread *thread) { return thread->id; }

struct offload_run *crew_thread_run(struct crew_thread *thread) { return &thread->run; }

unsigned crew_bound(const struct crew *crew) { return crew->bound; }

void crew_thread_let_go(struct crew_thread *thread) { sem_post(&thread->let_go); }

struct crew *crew_new(unsigned bound, struct log *log)
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        return NULL;
    crew->bound = bound;
    crew->log = log;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->changed, NULL);
    return crew;
}

void crew_set_offload(struct crew *crew, struct offload *offload) { crew->offload = offload; }

/* ---- a thread's life ---- */

static void free_thread(struct crew_thread *thread)
{
    request_free(thread->turn.request);
    buffer_fini(&thread->turn.input);
    buffer_fini(&thread->turn.output);
    buffer_fini(&thread->turn.large);
    pthread_cond_destroy(&thread->given);
    sem_destroy(&thread->let_go);
    free(thread);
}

/* What a thread that is a spare, or becomes one, may be used for. */
static struct crew_thread **spares_like(struct crew_thread *thread)
{
    return &thread->crew->spares[thread->run.gives_way ? CREW_COMPUTES : CREW_PROMPT];
}

static void link_spare(struct crew_thread *thread)
{
    struct crew_thread **spares = spares_like(thread);
    thread->next = *spares;
    *spares = thread;
}

/* False when it is no spare: it was picked, and will be given a loop or be put back. */
static bool unlink_spare(struct crew_thread *thread)
{
    struct crew_thread **link = spares_like(thread);
    while (*link && *link != thread)
        link = &(*link)->next;
    if (!*link)
        return false;
    *link = thread->next;
    return true;
}

/* Waits as a spare, with the lock held. True: `loop` or `request` is set. False: nobody needs this
 * thread. */
static bool wait_for_work(struct crew_thread *thread)
{
    struct crew *crew = thread->crew;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += SPARE_PATIENCE_S;
    bool late = false;
    while (!thread->loop && !thread->request) {
        if ((late || crew->stopping) && unlink_spare(thread))
            return false;
        late = pthread_cond_clockwait(&thread->given, &crew->lock, CLOCK_MONOTONIC, &until) != 0;
    }
    return true;
}

/* The loop was taken during a call. The request is the session's now, which waits for it. */
static void leave_call(struct crew_thread *thread)
{
    while (sem_wait(&thread->let_go) != 0)
        continue;
    request_returned(thread->turn.request);
    thread->turn.request = NULL;
    buffer_clear(&thread->turn.input);
    buffer_clear(&thread->turn.output);
    buffer_fini(&thread->turn.large);
}

static void join_ended(struct crew_thread *ended)
{
    while (ended) {
        struct crew_thread *next = ended->next;
        pthread_join(ended->id, NULL);
        free_thread(ended);
        ended = next;
    }
}

static void *run_thread(void *argument)
{
    struct crew_thread *thread = argument;
    struct crew *crew = thread->crew;
    pthread_mutex_lock(&crew->lock);
    while (wait_for_work(thread)) {
        struct loop *loop = thread->loop;
        struct request *request = thread->request;
        struct crew_thread *from = thread->from;
        thread->loop = NULL;
        thread->request = NULL;
        pthread_mutex_unlock(&crew->lock);

        bool drained = loop && loop_run(loop, thread, from);
        if (loop && !drained)
            leave_call(thread);
        if (!drained)
            offload_serve(crew->offload, &thread->run, request);

        pthread_mutex_lock(&crew->lock);
        if (drained)
            crew->loops--;
        else
            crew->calling--;
        pthread_cond_broadcast(&crew->changed);
        link_spare(thread);
    }
    /* Who ends joins those that ended before, so that they don't pile up. */
    struct crew_thread *ended = crew->ended;
    crew->ended = NULL;
    pthread_mutex_unlock(&crew->lock);
    join_ended(ended);
    pthread_mutex_lock(&crew->lock);
    thread->next = crew->ended;
    crew->ended = thread;
    crew->threads--;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* ---- spares ---- */

/* A new thread, counted, and waiting, but not among the spares. */
static struct crew_thread *start_thread(struct crew *crew)
{
    struct crew_thread *thread = calloc(1, sizeof *thread);
    int failure = ENOMEM;
    if (thread) {
        thread->crew = crew;
        sem_init(&thread->let_go, 0, 0);
        pthread_cond_init(&thread->given, NULL);
        failure = pthread_create(&thread->id, NULL, run_thread, thread);
    }
    if (failure) {
        log_tell(crew->log, LOG_THREAD_FAILED, 0, "%s", strerror(failure));
        if (thread)
            free_thread(thread);
        return NULL;
    }
    pthread_getcpuclockid(thread->id, &thread->cpu_clock);
    return thread;
}

static struct crew_thread *take_spare(struct crew *crew, enum crew_use use)
{
    struct crew_thread *thread = crew->spares[use];
    if (thread)
        crew->spares[use] = thread->next;
    return thread;
}

struct crew_thread *crew_get(struct crew *crew, enum crew_use use)
{
    pthread_mutex_lock(&crew->lock);
    struct crew_thread *thread = take_spare(crew, use);
    if (!thread && use == CREW_COMPUTES)
        thread = take_spare(crew, CREW_PROMPT);
    if (!thread && crew->threads < crew->bound) {
        crew->threads++;
        thread = start_thread(crew);
        if (!thread)
            crew->threads--;
    }
    if (!thread) /* better slow than not at all */
        thread = take_spare(crew, CREW_COMPUTES);
    pthread_mutex_unlock(&crew->lock);
    return thread;
}

void crew_give(struct crew_thread *thread, struct loop *loop, struct crew_thread *from)
{
    struct crew *crew = thread->crew;
    loop->owner = thread;
    loop->owner_clock = thread->cpu_clock;
    pthread_mutex_lock(&crew->lock);
    thread->loop = loop;
    thread->from = from;
    if (from)
        crew->calling++;
    else
        crew->loops++;
    pthread_cond_signal(&thread->given);
    pthread_mutex_unlock(&crew->lock);
}

void crew_give_request(struct crew_thread *thread, struct request *request)
{
    struct crew *crew = thread->crew;
    pthread_mutex_lock(&crew->lock);
    thread->request = request;
    crew->calling++;
    pthread_cond_signal(&thread->given);
    pthread_mutex_unlock(&crew->lock);
}

void crew_put_back(struct crew_thread *thread)
{
    struct crew *crew = thread->crew;
    pthread_mutex_lock(&crew->lock);
    link_spare(thread);
    if (crew->stopping)
        pthread_cond_signal(&thread->given);
    pthread_mutex_unlock(&crew->lock);
}

/* ---- the end ---- */

static void wait_until(struct crew *crew, int64_t at_ms)
{
    struct timespec until = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
    if (at_ms == INT64_MAX)
        pthread_cond_wait(&crew->changed, &crew->lock);
    else
        pthread_cond_clockwait(&crew->changed, &crew->lock, CLOCK_MONOTONIC, &until);
}

unsigned crew_stop(struct crew *crew, int64_t deadline_ms, int64_t grace_ms)
{
    int64_t last_ms = deadline_ms == INT64_MAX ? INT64_MAX : deadline_ms + grace_ms;
    pthread_mutex_lock(&crew->lock);
    crew->stopping = true;
    for (enum crew_use use = CREW_PROMPT; use <= CREW_COMPUTES; use++)
        for (struct crew_thread *spare = crew->spares[use]; spare; spare = spare->next)
            pthread_cond_signal(&spare->given);
    while (crew->threads > 0) {
        bool only_calls = crew->loops == 0 && crew->threads == crew->calling;
        int64_t until = only_calls ? deadline_ms : last_ms;
        if (until != INT64_MAX && clock_ms() >= until)
            break;
        wait_until(crew, until);
    }
    unsigned left = crew->threads;
    struct crew_thread *ended = crew->ended;
    crew->ended = NULL;
    pthread_mutex_unlock(&crew->lock);
    join_ended(ended);
    return left;
}

void crew_free(struct crew *crew)
{
    if (!crew)
        return;
    pthread_cond_destroy(&crew->changed);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}
