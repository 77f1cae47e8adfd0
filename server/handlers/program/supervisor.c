/* supervisor: the loop that serves the instances, and its thread. */
#include "server/handlers/program/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "server/handlers/program/instance_end.h"
#include "server/handlers/program/instance_errors.h"
#include "server/handlers/program/recall.h"
#include "server/handlers/program/shared_restart.h"
#include "server/handlers/program/starts.h"
#include "server/handlers/program/worker.h"
#include "server/log/log.h"
#include "server/request.h"

enum { MAX_EVENTS = 64 };

void supervisor_wake(struct supervisor *supervisor) { eventfd_write(supervisor->wake.fd, 1); }

/* ---- giving out requests ---- */

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

static void serve_restart(struct supervisor *supervisor)
{
    struct restart *restart = &supervisor->restart;
    if (!restart_goes_on(restart))
        return;
    if (supervisor->plan.shared)
        shared_restart(&supervisor->shared, restart);
    else if (supervisor->plan.per_request)
        oneshots_restart(&supervisor->oneshots, restart);
    else if (supervisor->plan.talks)
        talks_restart(&supervisor->talks, restart);
    else
        own_restart(&supervisor->own, restart);
}

static void serve(struct supervisor *supervisor)
{
    serve_restart(supervisor);
    if (supervisor->plan.shared)
        shared_serve(&supervisor->shared);
    else if (supervisor->plan.per_request)
        serve_requests(supervisor);
    else if (supervisor->plan.talks)
        talks_serve(&supervisor->talks);
    else
        own_serve(&supervisor->own);
    restart_announce_end(&supervisor->restart);
}

/* A request wakes the thread only if something can take it. */
static bool wants_requests(struct supervisor *supervisor)
{
    if (supervisor->plan.talks || supervisor->workers.recalled)
        return false;
    if (supervisor->plan.per_request)
        return oneshots_can_begin(&supervisor->oneshots);
    return !supervisor->plan.shared || shared_wants_requests(&supervisor->shared);
}

/* ---- events ---- */

static void exited(struct supervisor *supervisor, struct instance *instance)
{
    if (instance->worker)
        worker_exited(&supervisor->workers, instance->worker);
    else if (instance->oneshot)
        oneshot_exited(&supervisor->oneshots, instance->oneshot);
    else if (instance->talk)
        talk_exited(&supervisor->talks, instance->talk);
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
        wait_timer_is_over(&supervisor->wait);
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
    if (instances->due_ms > instances->looked_ms)
        return;
    instances->due_ms = INT64_MAX;
    instances_act(instances);
    workers_act(&supervisor->workers);
    oneshots_act(&supervisor->oneshots);
    talks_act(&supervisor->talks);
}

static bool has_work(struct supervisor *supervisor)
{
    return starts_may_start(&supervisor->workers) ||
           (wants_requests(supervisor) && !queue_sleep(supervisor->queue));
}

static void run_batch(struct supervisor *supervisor)
{
    struct epoll_event events[MAX_EVENTS];
    int64_t look_due_us = has_work(supervisor) ? 0 : supervisor->workers.look_due_us;
    int count = wait_for_events(&supervisor->wait, look_due_us, events, MAX_EVENTS);
    request_answers_begin();
    for (int i = 0; i < count; i++)
        take_event(supervisor, events[i].data.ptr);
    workers_look(&supervisor->workers);
    request_answers_end();
    if (atomic_load_explicit(&supervisor->recall, memory_order_relaxed) == RECALL_ASKED) {
        recall(&supervisor->workers);
        atomic_store(&supervisor->recall, RECALL_DONE);
    }
    wait_end_look(&supervisor->wait, count == MAX_EVENTS, (unsigned) count);
    act_on_time(supervisor);
    if (!atomic_load(&supervisor->closing))
        serve(supervisor);
    instances_sweep(&supervisor->instances);
    log_nudge(supervisor->instances.log);
}

/* ---- the thread ---- */

/* All sessions have ended, or none has begun: ends the instances, and waits for them. */
static void end_all(struct supervisor *supervisor)
{
    instances_update_time(&supervisor->instances, CLOCK_NEVER);
    if (restart_goes_on(&supervisor->restart))
        restart_give_up(&supervisor->restart, RESTART_STOPPING_TEXT);
    restart_announce_end(&supervisor->restart);
    oneshots_end(&supervisor->oneshots);
    talks_end(&supervisor->talks);
    own_end(&supervisor->own);
    shared_end(&supervisor->shared, supervisor->workers.started);
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

/* Starts the instances of shared workers, and runs until one is ready, or none can be; or starts
 * what is to be started ahead. */
static void run_start(struct supervisor *supervisor)
{
    const struct workers *workers = &supervisor->workers;
    int failure = 0;
    instances_update_time(&supervisor->instances, CLOCK_NEVER);
    if (supervisor->plan.shared)
        failure = shared_start(&supervisor->shared);
    else
        serve(supervisor);
    if (failure)
        supervisor->failed =
            !command_error(supervisor->instances.command->argv[0], failure, &supervisor->error);
    while (supervisor->plan.shared && !workers->started && !supervisor->failed &&
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

bool supervisor_recall(struct supervisor *supervisor)
{
    enum recall_state recall = RECALL_NOT_ASKED;
    if (supervisor->plan.per_request || supervisor->plan.talks)
        return true;
    if (atomic_compare_exchange_strong(&supervisor->recall, &recall, RECALL_ASKED))
        supervisor_wake(supervisor);
    return recall == RECALL_DONE;
}

/* ---- preparation ---- */

static bool open_channels(struct supervisor *supervisor)
{
    struct instances *instances = &supervisor->instances;
    supervisor->wake = (struct channel){CHANNEL_WAKE, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), NULL};
    supervisor->started_fd = eventfd(0, EFD_CLOEXEC);
    return supervisor->wake.fd >= 0 && supervisor->started_fd >= 0 &&
           channel_watch(instances, &supervisor->wake, EPOLLIN | EPOLLET) &&
           wait_open(&supervisor->wait);
}

static void init_talks(struct supervisor *supervisor)
{
    const struct supervisor_plan *plan = &supervisor->plan;
    struct talk_rules rules = {.ahead = plan->ahead, .max = plan->max, .starts = plan->starts};
    talks_init(&supervisor->talks, &supervisor->instances, &rules);
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

static bool init_scoreboard(struct supervisor *supervisor)
{
    const struct supervisor_plan *plan = &supervisor->plan;
    unsigned most = plan->shared ? plan->shared + 1 : plan->max; /* with one for restarts */
    return scoreboard_init(&supervisor->instances.scoreboard, most);
}

static void init_workers(struct supervisor *supervisor, struct queue *queue)
{
    struct workers *workers = &supervisor->workers;
    workers_init(workers, &supervisor->instances, &supervisor->rules);
    workers->queue = queue;
    workers->on_demand = !supervisor->plan.shared;
    workers->max_starting = supervisor->plan.starts;
}

int supervisor_init(struct supervisor *supervisor, struct queue *queue,
                    const struct supervisor_plan *plan, const struct turn_rules *rules,
                    const struct command *command, const struct spawn_options *options,
                    struct log *log)
{
    *supervisor = (struct supervisor){
        .queue = queue, .plan = *plan, .rules = *rules, .wake.fd = -1, .started_fd = -1};
    wait_init(&supervisor->wait, &supervisor->instances);
    init_workers(supervisor, queue);
    init_oneshots(supervisor);
    init_talks(supervisor);
    own_init(&supervisor->own, &supervisor->workers, plan->ahead, plan->max);
    bool fits = shared_init(&supervisor->shared, &supervisor->workers, plan->shared);
    fits = restart_init(&supervisor->restart) && fits;
    if (instances_init(&supervisor->instances, command, options, log) && fits &&
        init_scoreboard(supervisor) && open_channels(supervisor)) {
        supervisor->restart.log = supervisor->instances.log;
        return 0;
    }
    int failure = errno;
    supervisor_fini(supervisor);
    return failure;
}

void supervisor_fini(struct supervisor *supervisor)
{
    channel_close(&supervisor->instances, &supervisor->wake);
    wait_fini(&supervisor->wait);
    descriptor_close(&supervisor->started_fd);
    instances_fini(&supervisor->instances);
    restart_fini(&supervisor->restart);
    scoreboard_fini(&supervisor->instances.scoreboard);
    talks_fini(&supervisor->talks);
    shared_fini(&supervisor->shared);
}
