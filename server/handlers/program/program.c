/*
 * program: the handler's functions, and its thread.
 *
 * The thread sleeps in epoll_wait(2): the copies' pipes, their pidfds, and an eventfd by which
 * other threads wake it: for a request while there is somebody to give it to, for a session's end,
 * for the close. Everything but the queue and a few flags is the thread's alone.
 */
#include "server/handlers/program/program.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/protocol.h"
#include "common/clock.h"
#include "server/handlers/kinds.h"
#include "server/handlers/program/queue.h"
#include "server/handlers/program/worker.h"
#include "server/log/log.h"
#include "server/request.h"

enum {
    QUEUE_BYTES = 8 << 20,
    MAX_EVENTS = 64,
    /* Descriptors: a copy has four, and one that is being ended keeps two. */
    COPY_DESCRIPTORS = 6,
    OTHER_DESCRIPTORS = 16, /* epoll, eventfd, and the pipes of one start */
};

struct program {
    struct queue queue;
    struct instances instances;
    struct workers workers;
    LIST_HEAD(, worker) all;
    unsigned count;        /* how many copies all sessions share; 0: each session has its own */
    struct worker *shared; /* those; owned */
    struct channel wake;   /* eventfd */
    pthread_t thread;
    sem_t started;       /* the first copies are, or `failure` is why not */
    int failure;         /* an errno */
    atomic_bool closing; /* set once by close() */
    atomic_bool down;    /* all copies are: requests are refused at once */
};

static void wake(struct program *program) { eventfd_write(program->wake.fd, 1); }

static bool is_down(const struct program *program)
{
    return atomic_load_explicit(&program->down, memory_order_relaxed);
}

/* ---- called by the engine ---- */

static void *session_begun(struct handler *handler, uint64_t session)
{
    (void) handler;
    return flow_new(session);
}

static void session_ended(struct handler *handler, void *data)
{
    struct program *program = handler->state;
    if (queue_flow_end(&program->queue, data))
        wake(program);
}

static void enqueue(struct program *program, struct flow *flow, struct request *request)
{
    enum queue_put result = queue_put(&program->queue, flow, request);
    if (result == QUEUE_PUT_WAKE)
        wake(program);
    if (result == QUEUE_NO_MEMORY)
        request_refuse(request, PROTOCOL_HANDLER_FAILED, "out of memory");
    if (result == QUEUE_NO_MEMORY || result == QUEUE_OVER)
        request_release(request);
}

static void handle(struct handler *handler, struct request *request)
{
    struct program *program = handler->state;
    struct flow *flow = request_session_data(request);
    if (memchr(request_message(request), '\n', request_size(request)))
        request_refuse(request, PROTOCOL_BAD_REQUEST,
                       "a program is given one line, and this request has a newline in it");
    else if (is_down(program))
        request_refuse(request, PROTOCOL_UNAVAILABLE, WORKER_DOWN_TEXT);
    else if (!flow || !request_hold(request))
        request_refuse(request, PROTOCOL_HANDLER_FAILED, "out of memory");
    else
        enqueue(program, flow, request);
}

static void abort_all(struct handler *handler)
{
    (void) handler;
    groups_abort();
}

/* ---- the thread: giving requests ---- */

static void add_worker(struct program *program, struct worker *worker)
{
    LIST_INSERT_HEAD(&program->all, worker, entry);
}

static void remove_worker(struct program *program, struct worker *worker)
{
    LIST_REMOVE(worker, entry);
    worker_fini(&program->workers, worker);
}

static void refuse(struct request *request, const char *code, const char *text)
{
    request_refuse(request, code, "%s", text);
    request_release(request);
}

/* From now on requests are refused at once, until a copy has been started again. */
static void go_down(struct program *program)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%d s", WORKER_MAX_DELAY_MS / 1000);
    struct worker *worker;
    LIST_FOREACH(worker, &program->all, entry)
        worker_retry_slowly(&program->workers, worker);
    log_put(program->instances.log, LOG_WORKERS_DOWN, 0, text, (size_t) size);
}

/* Nobody waits for the next copies when all are down, since they come rarely. */
static void update_down(struct program *program)
{
    if (!program->workers.changed || !program->count)
        return;
    program->workers.changed = false;
    bool down = true;
    const struct worker *worker;
    LIST_FOREACH(worker, &program->all, entry)
        down = down && worker_is_down(worker);
    if (down && !is_down(program))
        go_down(program);
    atomic_store_explicit(&program->down, down, memory_order_relaxed);
}

static void serve_shared(struct program *program)
{
    struct worker *worker;
    struct request *request;
    while ((worker = workers_idle(&program->workers)) &&
           (request = queue_take(&program->queue, NULL)))
        worker_give(&program->workers, worker, request);
    update_down(program);
    if (is_down(program))
        while ((request = queue_take(&program->queue, NULL)))
            refuse(request, PROTOCOL_UNAVAILABLE, WORKER_DOWN_TEXT);
}

static void flow_done(struct workers *workers, struct worker *worker)
{
    struct program *program =
        (struct program *) ((char *) workers - offsetof(struct program, workers));
    queue_flow_done(&program->queue, worker->flow);
}

static struct worker *own_worker(struct program *program, struct flow *flow)
{
    if (!flow->worker && (flow->worker = calloc(1, sizeof *flow->worker))) {
        flow->worker->number = flow->session;
        flow->worker->flow = flow;
        add_worker(program, flow->worker);
    }
    return flow->worker;
}

static void end_flow(struct program *program, struct flow *flow)
{
    if (flow->worker)
        remove_worker(program, flow->worker);
    free(flow->worker);
    flow_free(flow);
}

static void serve_own(struct program *program)
{
    struct flow *flow;
    struct request *request;
    while ((flow = queue_ended(&program->queue)))
        end_flow(program, flow);
    while ((request = queue_take(&program->queue, &flow))) {
        struct worker *worker = own_worker(program, flow);
        if (worker) {
            worker_give(&program->workers, worker, request);
        } else {
            refuse(request, PROTOCOL_HANDLER_FAILED, "out of memory");
            queue_flow_done(&program->queue, flow);
        }
    }
}

static void serve(struct program *program)
{
    if (program->count)
        serve_shared(program);
    else
        serve_own(program);
}

/* ---- the thread: events ---- */

static void exited(struct program *program, struct instance *instance)
{
    if (instance->worker)
        worker_exited(&program->workers, instance->worker);
    else
        instance_exited(&program->instances, instance);
}

static void readable(struct program *program, struct instance *instance)
{
    if (instance->worker)
        worker_read(&program->workers, instance->worker);
    else
        instance_discard_output(&program->instances, instance);
}

static void take_event(struct program *program, struct channel *channel)
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
        exited(program, instance);
        break;
    case CHANNEL_INPUT:
        if (instance->worker)
            worker_write(&program->workers, instance->worker);
        break;
    case CHANNEL_OUTPUT:
        readable(program, instance);
        break;
    case CHANNEL_ERRORS:
        instance_log_errors(&program->instances, instance);
        break;
    }
}

static void act_on_time(struct program *program)
{
    struct instances *instances = &program->instances;
    if (instances->due_ms > instances->now_ms)
        return;
    instances->due_ms = INT64_MAX;
    instances_act(instances);
    struct worker *worker;
    LIST_FOREACH(worker, &program->all, entry)
        worker_act(&program->workers, worker);
}

/* In ms; -1: until something happens. */
static int time_to_sleep(struct program *program)
{
    /* A request wakes the thread only if there is somebody to give it to. */
    bool wants = !program->count || !LIST_EMPTY(&program->workers.idle) || is_down(program);
    if (wants && !queue_sleep(&program->queue))
        return 0;
    if (program->instances.due_ms == INT64_MAX)
        return -1;
    int64_t left = program->instances.due_ms - clock_ms();
    return left <= 0 ? 0 : left < INT32_MAX ? (int) left : INT32_MAX;
}

static void run_batch(struct program *program)
{
    struct epoll_event events[MAX_EVENTS];
    int timeout = time_to_sleep(program);
    int count = epoll_wait(program->instances.epoll_fd, events, MAX_EVENTS, timeout);
    program->instances.now_ms = clock_ms();
    for (int i = 0; i < count; i++)
        take_event(program, events[i].data.ptr);
    act_on_time(program);
    if (!atomic_load(&program->closing))
        serve(program);
    instances_sweep(&program->instances);
    log_nudge(program->instances.log);
}

/* ---- the thread: life ---- */

/* Starts the copies that all sessions share. 0, or the errno of what failed. */
static int start_shared(struct program *program)
{
    int failure = 0;
    program->instances.now_ms = clock_ms();
    for (unsigned i = program->count; i > 0; i--) {
        program->shared[i - 1].number = i;
        add_worker(program, &program->shared[i - 1]);
    }
    for (unsigned i = 0; i < program->count && !failure; i++)
        failure = worker_start(&program->workers, &program->shared[i]);
    return failure;
}

/* All sessions have ended: so do the copies. */
static void end_all(struct program *program)
{
    struct flow *flow;
    program->instances.now_ms = clock_ms();
    while ((flow = queue_ended(&program->queue)))
        end_flow(program, flow);
    while (!LIST_EMPTY(&program->all))
        remove_worker(program, LIST_FIRST(&program->all));
    while (!LIST_EMPTY(&program->instances.all))
        run_batch(program);
    instances_sweep(&program->instances);
    log_nudge(program->instances.log);
}

static void *run(void *argument)
{
    struct program *program = argument;
    program->failure = start_shared(program);
    if (program->failure)
        atomic_store(&program->closing, true);
    sem_post(&program->started);
    while (!atomic_load(&program->closing))
        run_batch(program);
    end_all(program);
    return NULL;
}

/* With all signals blocked: they are for other threads, and a write into a pipe whose reader has
 * gone raises one. */
static int start_thread(struct program *program)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&program->thread, NULL, run, program);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

/* ---- open, close ---- */

static void program_free(struct program *program)
{
    if (program->wake.fd >= 0)
        close(program->wake.fd);
    if (program->instances.epoll_fd >= 0)
        close(program->instances.epoll_fd);
    log_ring_free(program->instances.log);
    command_fini(&program->instances.command);
    queue_fini(&program->queue);
    sem_destroy(&program->started);
    free(program->shared);
    free(program);
}

static void close_program(struct handler *handler)
{
    struct program *program = handler->state;
    atomic_store(&program->closing, true);
    wake(program);
    pthread_join(program->thread, NULL);
    program_free(program);
}

static unsigned worker_count(const struct program_options *options, unsigned cores)
{
    if (options->worker_per_client)
        return 0;
    return options->workers ? options->workers : cores;
}

static bool open_descriptors(struct program *program)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &program->wake};
    program->instances.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    program->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return program->instances.epoll_fd >= 0 && program->wake.fd >= 0 &&
           epoll_ctl(program->instances.epoll_fd, EPOLL_CTL_ADD, program->wake.fd, &event) == 0;
}

static struct program *program_new(struct handler *handler, const struct program_options *options,
                                   const struct handler_host *host)
{
    struct program *program = calloc(1, sizeof *program);
    if (!program)
        return NULL;
    program->wake = (struct channel){CHANNEL_WAKE, -1, NULL};
    program->instances.epoll_fd = -1;
    program->instances.due_ms = INT64_MAX;
    program->instances.log = log_ring_new(host->log);
    program->workers.instances = &program->instances;
    program->workers.on_demand = options->worker_per_client;
    program->workers.done = options->worker_per_client ? flow_done : NULL;
    program->count = worker_count(options, host->cores);
    program->shared = calloc(program->count + 1, sizeof *program->shared);
    sem_init(&program->started, 0, 0);
    queue_init(&program->queue, handler, QUEUE_BYTES, options->worker_per_client);
    if (program->shared && open_descriptors(program))
        return program;
    int failure = errno;
    program_free(program);
    errno = failure;
    return NULL;
}

/* Runs the thread until its first copies have started. 0, or the errno of what failed. */
static int program_start(struct program *program)
{
    int failure = start_thread(program);
    if (failure)
        return failure;
    while (sem_wait(&program->started) != 0)
        continue;
    if (program->failure)
        pthread_join(program->thread, NULL);
    return program->failure;
}

static bool open_program(struct handler *handler, const struct handler_spec *spec,
                         const struct handler_host *host, struct error *error)
{
    const struct program_options *options = spec->program;
    struct program *program = program_new(handler, options, host);
    if (!program)
        return command_error(options->argv[0], errno, error);
    handler->state = program;
    handler->descriptors = program->count * COPY_DESCRIPTORS + OTHER_DESCRIPTORS;
    handler->descriptors_per_client = options->worker_per_client ? COPY_DESCRIPTORS : 0;
    bool found = command_init(&program->instances.command, options->argv, error);
    int failure = found ? program_start(program) : 0;
    if (failure)
        command_error(options->argv[0], failure, error);
    if (found && !failure)
        return true;
    program_free(program);
    return false;
}

const struct handler_kind handler_program = {
    .name = "program",
    .help = "runs a program",
    .open = open_program,
    .handle = handle,
    .close = close_program,
    .session_begun = session_begun,
    .session_ended = session_ended,
    .abort = abort_all,
};
