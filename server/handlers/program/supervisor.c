/* supervisor: shared workers or one for each session, and the loop that serves them. */
#include "server/handlers/program/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/log/log.h"
#include "server/request.h"

enum { MAX_EVENTS = 64 };

void supervisor_wake(struct supervisor *supervisor) { eventfd_write(supervisor->wake.fd, 1); }

/* ---- giving requests to workers ---- */

static void add_worker(struct supervisor *supervisor, struct worker *worker)
{
    LIST_INSERT_HEAD(&supervisor->all, worker, entry);
}

static void remove_worker(struct supervisor *supervisor, struct worker *worker)
{
    LIST_REMOVE(worker, entry);
    worker_fini(&supervisor->workers, worker);
}

static void refuse(struct request *request, const char *code, const char *text)
{
    request_refuse(request, code, "%s", text);
    request_release(request);
}

/* Refuses requests at once from now on, until an instance can be started again. */
static void go_down(struct supervisor *supervisor)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%d s", WORKER_MAX_DELAY_MS / 1000);
    struct worker *worker;
    LIST_FOREACH(worker, &supervisor->all, entry)
        worker_retry_slowly(&supervisor->workers, worker);
    log_put(supervisor->instances.log, LOG_WORKERS_DOWN, 0, text, (size_t) size);
}

/* When all workers are down no request waits for the next instances, since they come rarely. */
static void update_down(struct supervisor *supervisor)
{
    if (!supervisor->workers.changed || !supervisor->count)
        return;
    supervisor->workers.changed = false;
    bool down = true;
    const struct worker *worker;
    LIST_FOREACH(worker, &supervisor->all, entry)
        down = down && worker_is_down(worker);
    if (down && !supervisor_is_down(supervisor))
        go_down(supervisor);
    atomic_store_explicit(&supervisor->down, down, memory_order_relaxed);
}

static void serve_shared(struct supervisor *supervisor)
{
    struct worker *worker;
    struct request *request;
    while ((worker = workers_idle(&supervisor->workers)) &&
           (request = queue_take(supervisor->queue, NULL)))
        worker_give(&supervisor->workers, worker, request);
    update_down(supervisor);
    if (supervisor_is_down(supervisor))
        while ((request = queue_take(supervisor->queue, NULL)))
            refuse(request, PROTOCOL_UNAVAILABLE, WORKER_DOWN_TEXT);
}

static void flow_done(struct workers *workers, struct worker *worker)
{
    struct supervisor *supervisor =
        (struct supervisor *) ((char *) workers - offsetof(struct supervisor, workers));
    queue_flow_done(supervisor->queue, worker->flow);
}

static struct worker *own_worker(struct supervisor *supervisor, struct flow *flow)
{
    if (!flow->worker && (flow->worker = calloc(1, sizeof *flow->worker))) {
        flow->worker->number = flow->session;
        flow->worker->flow = flow;
        add_worker(supervisor, flow->worker);
    }
    return flow->worker;
}

static void end_flow(struct supervisor *supervisor, struct flow *flow)
{
    if (flow->worker)
        remove_worker(supervisor, flow->worker);
    free(flow->worker);
    flow_free(flow);
}

static void serve_own(struct supervisor *supervisor)
{
    struct flow *flow;
    struct request *request;
    while ((flow = queue_ended(supervisor->queue)))
        end_flow(supervisor, flow);
    while ((request = queue_take(supervisor->queue, &flow))) {
        struct worker *worker = own_worker(supervisor, flow);
        if (worker) {
            worker_give(&supervisor->workers, worker, request);
        } else {
            refuse(request, PROTOCOL_HANDLER_FAILED, "out of memory");
            queue_flow_done(supervisor->queue, flow);
        }
    }
}

static void serve(struct supervisor *supervisor)
{
    if (supervisor->count)
        serve_shared(supervisor);
    else
        serve_own(supervisor);
}

/* ---- events ---- */

static void exited(struct supervisor *supervisor, struct instance *instance)
{
    if (instance->worker)
        worker_exited(&supervisor->workers, instance->worker);
    else
        instance_exited(&supervisor->instances, instance);
}

static void readable(struct supervisor *supervisor, struct instance *instance)
{
    if (instance->worker)
        worker_read(&supervisor->workers, instance->worker);
    else
        instance_discard_output(&supervisor->instances, instance);
}

static void take_event(struct supervisor *supervisor, struct channel *channel)
{
    struct instance *instance = channel->instance;
    eventfd_t count;
    if (channel->fd < 0)
        return; /* closed earlier in this batch */
    switch (channel->kind) {
    case CHANNEL_WAKE:
        eventfd_read(channel->fd, &count);
        break;
    case CHANNEL_END:
        exited(supervisor, instance);
        break;
    case CHANNEL_INPUT:
        if (instance->worker)
            worker_write(&supervisor->workers, instance->worker);
        break;
    case CHANNEL_OUTPUT:
        readable(supervisor, instance);
        break;
    case CHANNEL_ERRORS:
        instance_log_errors(&supervisor->instances, instance);
        break;
    }
}

static void act_on_time(struct supervisor *supervisor)
{
    struct instances *instances = &supervisor->instances;
    if (instances->due_ms > instances->now_ms)
        return;
    instances->due_ms = INT64_MAX;
    instances_act(instances);
    struct worker *worker;
    LIST_FOREACH(worker, &supervisor->all, entry)
        worker_act(&supervisor->workers, worker);
}

/* In ms; -1: until something happens. */
static int time_to_sleep(struct supervisor *supervisor)
{
    /* A request wakes the thread only if a worker can take it. */
    bool wants = !supervisor->count || !LIST_EMPTY(&supervisor->workers.idle) ||
                 supervisor_is_down(supervisor);
    if (wants && !queue_sleep(supervisor->queue))
        return 0;
    if (supervisor->instances.due_ms == INT64_MAX)
        return -1;
    int64_t left = supervisor->instances.due_ms - clock_ms();
    return left <= 0 ? 0 : left < INT32_MAX ? (int) left : INT32_MAX;
}

static void run_batch(struct supervisor *supervisor)
{
    struct epoll_event events[MAX_EVENTS];
    int timeout = time_to_sleep(supervisor);
    int count = epoll_wait(supervisor->instances.epoll_fd, events, MAX_EVENTS, timeout);
    supervisor->instances.now_ms = clock_ms();
    for (int i = 0; i < count; i++)
        take_event(supervisor, events[i].data.ptr);
    act_on_time(supervisor);
    if (!atomic_load(&supervisor->closing))
        serve(supervisor);
    instances_sweep(&supervisor->instances);
    log_nudge(supervisor->instances.log);
}

/* ---- the thread ---- */

/* Starts the instances of the shared workers. Returns 0, or the errno of what failed. */
static int start_shared(struct supervisor *supervisor)
{
    int failure = 0;
    supervisor->instances.now_ms = clock_ms();
    for (unsigned i = supervisor->count; i > 0; i--) {
        supervisor->shared[i - 1].number = i;
        add_worker(supervisor, &supervisor->shared[i - 1]);
    }
    for (unsigned i = 0; i < supervisor->count && !failure; i++)
        failure = worker_start(&supervisor->workers, &supervisor->shared[i]);
    return failure;
}

/* All sessions have ended: ends the instances, and waits for them. */
static void end_all(struct supervisor *supervisor)
{
    struct flow *flow;
    supervisor->instances.now_ms = clock_ms();
    while ((flow = queue_ended(supervisor->queue)))
        end_flow(supervisor, flow);
    while (!LIST_EMPTY(&supervisor->all))
        remove_worker(supervisor, LIST_FIRST(&supervisor->all));
    while (!LIST_EMPTY(&supervisor->instances.all))
        run_batch(supervisor);
    instances_sweep(&supervisor->instances);
    log_nudge(supervisor->instances.log);
}

static void *run(void *argument)
{
    struct supervisor *supervisor = argument;
    supervisor->failure = start_shared(supervisor);
    if (supervisor->failure)
        atomic_store(&supervisor->closing, true);
    sem_post(&supervisor->started);
    while (!atomic_load(&supervisor->closing))
        run_batch(supervisor);
    end_all(supervisor);
    return NULL;
}

/* Starts the thread with all signals blocked: they are for other threads, and a write into a pipe
 * without a reader raises one. */
static int start_thread(struct supervisor *supervisor)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&supervisor->thread, NULL, run, supervisor);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

int supervisor_start(struct supervisor *supervisor)
{
    int failure = start_thread(supervisor);
    if (failure)
        return failure;
    while (sem_wait(&supervisor->started) != 0)
        continue;
    if (supervisor->failure)
        pthread_join(supervisor->thread, NULL);
    return supervisor->failure;
}

void supervisor_stop(struct supervisor *supervisor)
{
    atomic_store(&supervisor->closing, true);
    supervisor_wake(supervisor);
    pthread_join(supervisor->thread, NULL);
}

/* ---- preparation ---- */

static bool open_wake(struct supervisor *supervisor)
{
    supervisor->wake = (struct channel){CHANNEL_WAKE, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), NULL};
    return supervisor->wake.fd >= 0 &&
           channel_watch(&supervisor->instances, &supervisor->wake, EPOLLIN);
}

int supervisor_init(struct supervisor *supervisor, struct queue *queue, unsigned count,
                    struct command *command, struct log *log)
{
    *supervisor = (struct supervisor){.queue = queue, .count = count, .wake.fd = -1};
    supervisor->workers.instances = &supervisor->instances;
    supervisor->workers.on_demand = !count;
    supervisor->workers.done = count ? NULL : flow_done;
    supervisor->shared = calloc(count + 1, sizeof *supervisor->shared);
    sem_init(&supervisor->started, 0, 0);
    if (instances_init(&supervisor->instances, command, log) && supervisor->shared &&
        open_wake(supervisor))
        return 0;
    int failure = errno;
    supervisor_fini(supervisor);
    return failure;
}

void supervisor_fini(struct supervisor *supervisor)
{
    channel_close(&supervisor->wake);
    instances_fini(&supervisor->instances);
    sem_destroy(&supervisor->started);
    free(supervisor->shared);
}
