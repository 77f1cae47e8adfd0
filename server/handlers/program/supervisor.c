/* supervisor: shared workers or one for each session, and the loop that serves them. */
#include "server/handlers/program/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/handlers/program/respawn.h"
#include "server/handlers/program/starts.h"
#include "server/handlers/program/tagged_worker.h"
#include "server/log/log.h"
#include "server/request.h"

enum { MAX_EVENTS = 64 };

void supervisor_wake(struct supervisor *supervisor) { eventfd_write(supervisor->wake.fd, 1); }

/* ---- giving requests to workers ---- */

static void add_worker(struct supervisor *supervisor, struct worker *worker)
{
    LIST_INSERT_HEAD(&supervisor->all, worker, entry);
}

static void remove_worker(struct supervisor *supervisor, struct worker *worker, bool gently)
{
    LIST_REMOVE(worker, entry);
    worker_fini(&supervisor->workers, worker, gently);
}

static struct supervisor *supervisor_of(struct workers *workers)
{
    return (struct supervisor *) ((char *) workers - offsetof(struct supervisor, workers));
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

/* Lets the time of requests stand still as long as no instance can take them, but all are
 * starting. */
static void update_pause(struct pause *pause, bool paused, int64_t now_ms)
{
    if (paused)
        pause_begin(pause, now_ms);
    else
        pause_end(pause, now_ms);
}

/* When all workers are down no request waits for the next instances, since they come rarely. */
static void update_down(struct supervisor *supervisor)
{
    if (!supervisor->workers.changed || !supervisor->count)
        return;
    supervisor->workers.changed = false;
    bool down = true, ready = false;
    const struct worker *worker;
    LIST_FOREACH(worker, &supervisor->all, entry) {
        down = down && worker_is_down(worker);
        ready = ready || worker_is_ready(worker);
    }
    if (down && !supervisor_is_down(supervisor) && supervisor->workers.started)
        go_down(supervisor);
    atomic_store_explicit(&supervisor->down, down, memory_order_relaxed);
    update_pause(&supervisor->pause, !ready && !down, supervisor->instances.now_ms);
}

/* A request of a lost instance, which has not begun with it. */
static void unread(struct workers *workers, struct request *request)
{
    struct supervisor *supervisor = supervisor_of(workers);
    supervisor->unread[supervisor->unread_count++] = request;
}

/* The next request that an idle worker gets; NULL: there is none. */
static struct request *next_request(struct supervisor *supervisor)
{
    if (supervisor->unread_count > 0)
        return supervisor->unread[--supervisor->unread_count];
    return queue_take(supervisor->queue, NULL);
}

/* How many requests of a session are given at once. */
static unsigned most_at_once(const struct supervisor *supervisor)
{
    return pace_fit(&supervisor->workers.pace, supervisor->rules.ahead);
}

/* The next requests that an idle worker gets. Returns how many. What an instance was lost over, or
 * has not read, comes alone. */
static unsigned next_requests(struct supervisor *supervisor, struct request **requests)
{
    if (supervisor->unread_count == 0)
        return queue_take_some(supervisor->queue, requests, most_at_once(supervisor), NULL);
    requests[0] = next_request(supervisor);
    return 1;
}

static void give_tagged(struct supervisor *supervisor)
{
    struct worker *worker;
    struct request *request;
    while ((worker = tagged_workers_with_room(&supervisor->workers)) &&
           (request = next_request(supervisor)))
        tagged_worker_add(&supervisor->workers, worker, request);
    LIST_FOREACH(worker, &supervisor->all, entry)
        worker_write_added(&supervisor->workers, worker);
}

static void give_turns(struct supervisor *supervisor)
{
    struct worker *worker;
    struct request *requests[EXCHANGE_MAX];
    unsigned count;
    while ((worker = workers_idle(&supervisor->workers)) &&
           (count = next_requests(supervisor, requests)) > 0)
        worker_give(&supervisor->workers, worker, requests, count);
}

static void serve_shared(struct supervisor *supervisor)
{
    struct request *request;
    if (supervisor->rules.tagged)
        give_tagged(supervisor);
    else
        give_turns(supervisor);
    update_down(supervisor);
    if (supervisor_is_down(supervisor))
        while ((request = next_request(supervisor)))
            refuse(request, PROTOCOL_UNAVAILABLE, WORKER_DOWN_TEXT);
}

static void flow_done(struct workers *workers, struct worker *worker)
{
    queue_flow_done(supervisor_of(workers)->queue, worker->flow);
}

/* The same as update_down() does for shared workers. */
static void update_own_pauses(struct supervisor *supervisor)
{
    if (!supervisor->workers.changed)
        return;
    supervisor->workers.changed = false;
    const struct worker *worker;
    LIST_FOREACH(worker, &supervisor->all, entry)
        if (worker->flow)
            update_pause(&worker->flow->pause, !worker_is_ready(worker) && !worker_is_down(worker),
                         supervisor->instances.now_ms);
}

/* A worker that belongs to no session yet. NULL: there are as many as there may be, or memory is
 * out. */
static struct worker *new_worker(struct supervisor *supervisor)
{
    struct worker *worker =
        supervisor->own_count < supervisor->plan.max ? calloc(1, sizeof *worker) : NULL;
    if (!worker)
        return NULL;
    supervisor->own_count++;
    worker->number = ++supervisor->number;
    add_worker(supervisor, worker);
    return worker;
}

static void free_worker(struct supervisor *supervisor, struct worker *worker)
{
    remove_worker(supervisor, worker, true);
    supervisor->own_count--;
    free(worker);
}

/* NULL: there are as many as there may be, or memory is out. */
static struct worker *own_worker(struct supervisor *supervisor, struct flow *flow)
{
    if (flow->worker)
        return flow->worker;
    struct worker *worker = spares_take(&supervisor->spares, &supervisor->workers);
    if (!worker && (worker = new_worker(supervisor)) && !supervisor->plan.ahead)
        worker->number = flow->session;
    if (worker)
        worker->flow = flow;
    return flow->worker = worker;
}

/* As many as are to wait. */
static void add_spares(struct supervisor *supervisor)
{
    struct worker *worker;
    while (supervisor->spares.count < supervisor->plan.ahead && (worker = new_worker(supervisor))) {
        spares_add(&supervisor->spares, worker);
        starts_wait(&supervisor->workers, worker);
    }
}

static void end_flow(struct supervisor *supervisor, struct flow *flow)
{
    if (flow->worker)
        free_worker(supervisor, flow->worker);
    flow_free(flow);
}

static void serve_own(struct supervisor *supervisor)
{
    struct flow *flow;
    struct request *requests[EXCHANGE_MAX];
    unsigned count;
    while ((flow = queue_ended(supervisor->queue)))
        end_flow(supervisor, flow);
    while ((count = queue_take_some(supervisor->queue, requests, most_at_once(supervisor), &flow)) >
           0) {
        struct worker *worker = own_worker(supervisor, flow);
        if (worker) {
            worker_give(&supervisor->workers, worker, requests, count);
        } else {
            while (count > 0)
                refuse(requests[--count], PROTOCOL_UNAVAILABLE,
                       "all copies of the program are taken");
            queue_flow_done(supervisor->queue, flow);
        }
    }
    add_spares(supervisor);
    /* One start in each batch: those that run already come first. */
    workers_start_next(&supervisor->workers);
    update_own_pauses(supervisor);
}

static void end_flows(struct supervisor *supervisor)
{
    struct flow *flow = queue_ended(supervisor->queue);
    if (!flow)
        return;
    oneshots_end_over(&supervisor->oneshots);
    for (; flow; flow = queue_ended(supervisor->queue))
        flow_free(flow);
}

/* One start in each batch at most: those that run already come first. */
static void serve_requests(struct supervisor *supervisor)
{
    struct oneshots *oneshots = &supervisor->oneshots;
    uint64_t number = oneshots->number;
    struct request *request;
    struct flow *flow;
    end_flows(supervisor);
    while (oneshots_can_begin(oneshots) && oneshots->number == number &&
           (request = queue_take(supervisor->queue, &flow)))
        oneshots_begin(oneshots, request, flow);
    if (oneshots->number == number)
        oneshots_start_ahead(oneshots);
}

static void serve(struct supervisor *supervisor)
{
    if (supervisor->count)
        serve_shared(supervisor);
    else if (supervisor->plan.per_request)
        serve_requests(supervisor);
    else
        serve_own(supervisor);
}

/* ---- events ---- */

static void exited(struct supervisor *supervisor, struct instance *instance)
{
    if (instance->worker)
        worker_exited(&supervisor->workers, instance->worker);
    else if (instance->oneshot)
        oneshot_exited(&supervisor->oneshots, instance->oneshot);
    else
        instance_exited(&supervisor->instances, instance);
}

static void readable(struct supervisor *supervisor, struct instance *instance)
{
    if (instance->worker)
        worker_read(&supervisor->workers, instance->worker);
    else if (instance->oneshot)
        oneshot_read(&supervisor->oneshots, instance->oneshot);
    else
        instance_discard_output(&supervisor->instances, instance);
}

static void writable(struct supervisor *supervisor, struct instance *instance)
{
    if (instance->worker)
        worker_write(&supervisor->workers, instance->worker);
    else if (instance->oneshot)
        oneshot_write(&supervisor->oneshots, instance->oneshot);
}

static void take_event(struct supervisor *supervisor, struct channel *channel)
{
    struct instance *instance = channel->instance;
    if (channel->fd < 0)
        return; /* closed earlier in this batch */
    switch (channel->kind) {
    case CHANNEL_WAKE: /* this and the timer are edge-triggered: they need not be read */
        break;
    case CHANNEL_TIMER:
        supervisor->timer_us = CLOCK_NEVER;
        break;
    case CHANNEL_END:
        exited(supervisor, instance);
        break;
    case CHANNEL_INPUT:
        writable(supervisor, instance);
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
    oneshots_act(&supervisor->oneshots);
}

/* The timer goes off when the next look is due. One that goes off too early does no harm, so it is
 * not set anew with each turn. False: a look is due already. */
static bool set_timer(struct supervisor *supervisor)
{
    int64_t at_us = supervisor->workers.look_due_us;
    if (at_us >= supervisor->timer_us)
        return true;
    if (at_us <= clock_ns(CLOCK_MONOTONIC) / 1000)
        return false;
    struct itimerspec spec = {.it_value = {at_us / 1000000, at_us % 1000000 * 1000}};
    timerfd_settime(supervisor->timer.fd, TFD_TIMER_ABSTIME, &spec, NULL);
    supervisor->timer_us = at_us;
    return true;
}

/* A request wakes the thread only if something can take it. */
static bool wants_requests(struct supervisor *supervisor)
{
    if (supervisor->plan.per_request)
        return oneshots_can_begin(&supervisor->oneshots);
    if (!supervisor->count || supervisor_is_down(supervisor))
        return true;
    return supervisor->rules.tagged ? tagged_workers_with_room(&supervisor->workers) != NULL
                                    : !TAILQ_EMPTY(&supervisor->workers.idle);
}

/* In ms; -1: until something happens. */
static int time_to_sleep(struct supervisor *supervisor)
{
    if (starts_may_start(&supervisor->workers) ||
        (wants_requests(supervisor) && !queue_sleep(supervisor->queue)) || !set_timer(supervisor))
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
    instances_update_time(&supervisor->instances);
    request_answers_begin();
    for (int i = 0; i < count; i++)
        take_event(supervisor, events[i].data.ptr);
    workers_look(&supervisor->workers);
    request_answers_end();
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
    instances_update_time(&supervisor->instances);
    for (unsigned i = supervisor->count; i > 0; i--) {
        supervisor->shared[i - 1].number = i;
        if (supervisor->rules.tagged &&
            !tagged_worker_init(&supervisor->shared[i - 1], supervisor->rules.tagged))
            failure = ENOMEM;
        add_worker(supervisor, &supervisor->shared[i - 1]);
    }
    for (unsigned i = 0; i < supervisor->count && !failure; i++)
        failure = worker_start(&supervisor->workers, &supervisor->shared[i]);
    return failure;
}

/* All sessions have ended, or none has begun: ends the instances, and waits for them. */
static void end_all(struct supervisor *supervisor)
{
    struct flow *flow;
    bool gently = supervisor->workers.started || !supervisor->count;
    instances_update_time(&supervisor->instances);
    oneshots_end(&supervisor->oneshots);
    while ((flow = queue_ended(supervisor->queue)))
        end_flow(supervisor, flow);
    while (supervisor->own_count > 0) /* spares */
        free_worker(supervisor, LIST_FIRST(&supervisor->all));
    while (!LIST_EMPTY(&supervisor->all))
        remove_worker(supervisor, LIST_FIRST(&supervisor->all), gently);
    while (!LIST_EMPTY(&supervisor->instances.all))
        run_batch(supervisor);
    instances_sweep(&supervisor->instances);
    log_nudge(supervisor->instances.log);
}

static void fail_start(struct supervisor *supervisor)
{
    const struct instances *instances = &supervisor->instances;
    const char *why = supervisor->workers.why, *last = instances->last_error;
    if (supervisor->workers.unseen)
        error_set(&supervisor->error, "%s", why);
    else
        error_set(&supervisor->error, "unable to run %s: %s%s%s", instances->command->argv[0], why,
                  *last ? ": " : "", last);
    supervisor->failed = true;
}

/* Starts the instances of shared workers, and runs until one is ready, or none can be. */
static void run_start(struct supervisor *supervisor)
{
    int failure = start_shared(supervisor);
    if (!supervisor->count)
        serve(supervisor); /* starts what is to be started ahead */
    const struct workers *workers = &supervisor->workers;
    if (failure)
        supervisor->failed =
            !command_error(supervisor->instances.command->argv[0], failure, &supervisor->error);
    while (supervisor->count && !workers->started && !supervisor->failed &&
           !atomic_load(&supervisor->closing)) {
        run_batch(supervisor);
        if (supervisor_is_down(supervisor) || workers->unseen)
            fail_start(supervisor);
    }
    if (supervisor->failed)
        atomic_store(&supervisor->closing, true);
    eventfd_write(supervisor->started_fd, 1);
}

static void *run(void *argument)
{
    struct supervisor *supervisor = argument;
    run_start(supervisor);
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

bool supervisor_start(struct supervisor *supervisor, int stop_fd, struct error *error)
{
    int failure = start_thread(supervisor);
    if (failure)
        return command_error(supervisor->instances.command->argv[0], failure, error);
    struct pollfd fds[] = {{supervisor->started_fd, POLLIN, 0}, {stop_fd, POLLIN, 0}};
    while (poll(fds, stop_fd ? 2 : 1, -1) < 0)
        continue;
    eventfd_t count; /* what was written before it is seen from here on */
    if (fds[0].revents && eventfd_read(supervisor->started_fd, &count) == 0 && !supervisor->failed)
        return true;
    supervisor_stop(supervisor);
    if (supervisor->failed)
        *error = supervisor->error;
    else
        error_set(error, "stopped before the program was ready");
    return false;
}

void supervisor_stop(struct supervisor *supervisor)
{
    atomic_store(&supervisor->closing, true);
    supervisor_wake(supervisor);
    pthread_join(supervisor->thread, NULL);
}

/* ---- preparation ---- */

static bool open_channels(struct supervisor *supervisor)
{
    struct instances *instances = &supervisor->instances;
    supervisor->wake = (struct channel){CHANNEL_WAKE, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), NULL};
    supervisor->timer = (struct channel){
        CHANNEL_TIMER, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), NULL};
    supervisor->started_fd = eventfd(0, EFD_CLOEXEC);
    return supervisor->wake.fd >= 0 && supervisor->timer.fd >= 0 && supervisor->started_fd >= 0 &&
           channel_watch(instances, &supervisor->wake, EPOLLIN | EPOLLET) &&
           channel_watch(instances, &supervisor->timer, EPOLLIN | EPOLLET);
}

/* How many requests an instance is given at once, at most. */
static unsigned most_given(const struct turn_rules *rules)
{
    return rules->tagged ? rules->tagged : rules->ahead;
}

static void init_oneshots(struct supervisor *supervisor)
{
    const struct supervisor_plan *plan = &supervisor->plan;
    struct oneshot_rules rules = {
        .end = supervisor->rules.end,
        .one_line = supervisor->rules.reply.one_line,
        .ahead = plan->ahead,
        .max = plan->max,
        .starts = plan->starts,
    };
    oneshots_init(&supervisor->oneshots, &supervisor->instances, &rules);
}

int supervisor_init(struct supervisor *supervisor, struct queue *queue,
                    const struct supervisor_plan *plan, const struct turn_rules *rules,
                    const struct command *command, const struct spawn_options *options,
                    struct log *log)
{
    unsigned count = plan->shared;
    *supervisor = (struct supervisor){.queue = queue,
                                      .plan = *plan,
                                      .count = count,
                                      .rules = *rules,
                                      .wake.fd = -1,
                                      .timer.fd = -1,
                                      .started_fd = -1,
                                      .timer_us = CLOCK_NEVER};
    workers_init(&supervisor->workers, &supervisor->instances, &supervisor->rules);
    init_oneshots(supervisor);
    spares_init(&supervisor->spares);
    supervisor->workers.queue = queue;
    supervisor->workers.on_demand = !count;
    supervisor->workers.max_starting = plan->starts;
    supervisor->workers.done = count ? NULL : flow_done;
    supervisor->workers.unread = count ? unread : NULL;
    supervisor->shared = calloc(count + 1, sizeof *supervisor->shared);
    supervisor->unread = calloc((size_t) count * most_given(rules) + 1, sizeof(struct request *));
    if (instances_init(&supervisor->instances, command, options, log) && supervisor->shared &&
        supervisor->unread && open_channels(supervisor))
        return 0;
    int failure = errno;
    supervisor_fini(supervisor);
    return failure;
}

void supervisor_fini(struct supervisor *supervisor)
{
    channel_close(&supervisor->wake);
    channel_close(&supervisor->timer);
    if (supervisor->started_fd >= 0)
        close(supervisor->started_fd);
    instances_fini(&supervisor->instances);
    free(supervisor->shared);
    free(supervisor->unread);
}
