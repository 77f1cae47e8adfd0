/* program: the handler's functions. They put requests into the queue, from which the supervisor's
 * thread takes them. */
#include "server/handlers/program/program.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/protocol.h"
#include "server/handlers/kinds.h"
#include "server/handlers/program/command.h"
#include "server/handlers/program/group.h"
#include "server/handlers/program/queue.h"
#include "server/handlers/program/supervisor.h"
#include "server/request.h"
#include "server/stream.h"

enum {
    QUEUE_BYTES = 8 << 20,
    QUEUE_SHARE_BYTES = 256 << 10,
    TAGGED_DEFAULT = 64,
    MAX_WORKERS = 1000,       /* for sessions */
    MAX_WORKERS_PER_CORE = 4, /* for requests */
};

static const struct queue_bounds queue_bounds = {QUEUE_BYTES, QUEUE_SHARE_BYTES};

struct program {
    struct command command;
    char *request_end; /* a newline, and the option's line with its own; owned */
    struct queue queue;
    struct supervisor supervisor;
};

/* ---- requests ---- */

static struct handler_session *session_begun(struct handler *handler, uint64_t session,
                                             const struct peer_text *peer)
{
    const struct program *program = handler->state;
    struct flow *flow = flow_new(session);
    if (flow && !program->supervisor.plan.shared)
        flow_set_peer(flow, peer);
    return flow ? &flow->base : NULL;
}

static void session_ended(struct handler *handler, void *data)
{
    struct program *program = handler->state;
    if (queue_flow_end(&program->queue, data))
        supervisor_wake(&program->supervisor);
}

static void enqueue(struct program *program, struct flow *flow, struct request *request)
{
    request_defer(request); /* until a copy is given it */
    enum queue_put result = queue_put(&program->queue, flow, request);
    if (result == QUEUE_PUT_WAKE)
        supervisor_wake(&program->supervisor);
    if (result == QUEUE_NO_MEMORY)
        request_refuse(request, PROTOCOL_HANDLER_FAILED, "out of memory");
    if (result == QUEUE_NO_MEMORY || result == QUEUE_OVER)
        request_release(request);
}

static void handle(struct handler *handler, struct request *request)
{
    struct program *program = handler->state;
    struct flow *flow = request_session_data(request);
    if (!program->supervisor.plan.per_request &&
        memchr(request_message(request), '\n', request_size(request)))
        request_refuse(request, PROTOCOL_BAD_REQUEST, "%s", STREAM_ONE_LINE_TEXT);
    else if (supervisor_is_down(&program->supervisor))
        request_refuse(request, PROTOCOL_UNAVAILABLE, WORKER_DOWN_TEXT);
    else if (!flow || !request_hold(request))
        request_refuse(request, PROTOCOL_HANDLER_FAILED, "out of memory");
    else
        enqueue(program, flow, request);
}

/* ---- sessions without requests ---- */

static void wake_if(struct program *program, enum talk_result result)
{
    if (result == TALK_WAKE)
        supervisor_wake(&program->supervisor);
}

static bool stream_begun(struct handler *handler, struct stream *stream,
                         const struct peer_text *peer)
{
    struct program *program = handler->state;
    enum talk_result result = talks_begin(&program->supervisor.talks, stream, peer);
    wake_if(program, result);
    return result != TALK_NO_MEMORY;
}

static void stream_ended(struct handler *handler, struct stream *stream)
{
    struct program *program = handler->state;
    wake_if(program, talks_over(&program->supervisor.talks, stream));
}

/* ---- all of them ---- */

static int64_t paused_ms(struct handler *handler, void *data, int64_t now_ms)
{
    struct program *program = handler->state;
    const struct flow *flow = data;
    int64_t own_ms = flow ? pause_ms(&flow->stops, now_ms) : 0;
    if (program->supervisor.plan.shared)
        return own_ms + pause_ms(&program->supervisor.shared.pause, now_ms);
    return own_ms + (flow ? pause_ms(&flow->pause, now_ms) : 0);
}

static void reply_held(struct handler *handler, struct request *request, size_t size)
{
    queue_reply_held(&((struct program *) handler->state)->queue, request, size);
}

static void reply_gone(struct handler *handler, struct request *request)
{
    struct program *program = handler->state;
    if (queue_reply_gone(&program->queue, request))
        supervisor_wake(&program->supervisor);
}

static bool recall(struct handler *handler)
{
    return supervisor_recall(&((struct program *) handler->state)->supervisor);
}

/* ---- workers ---- */

static struct scoreboard *scoreboard_of(struct handler *handler)
{
    return &((struct program *) handler->state)->supervisor.instances.scoreboard;
}

static bool next_worker(struct handler *handler, unsigned *place, struct handler_worker *worker)
{
    return scoreboard_next(scoreboard_of(handler), place, worker);
}

static uint64_t replacements(struct handler *handler)
{
    return scoreboard_replacements(scoreboard_of(handler));
}

static struct restart *restart_of(const struct handler *handler)
{
    return &((struct program *) handler->state)->supervisor.restart;
}

static bool restart_workers(struct handler *handler, struct error *error)
{
    bool asked = restart_ask(restart_of(handler), error);
    if (asked)
        supervisor_wake(&((struct program *) handler->state)->supervisor);
    return asked;
}

static int ended_fd(const struct handler *handler) { return restart_of(handler)->ended_fd; }

static void last_result(struct handler *handler, struct handler_restart *result)
{
    restart_result(restart_of(handler), result);
}

/* ---- open, close ---- */

/* As many as may have their descriptors if the sessions get as many. */
static unsigned max_by_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max == RLIM_INFINITY)
        return UINT_MAX;
    rlim_t max = limit.rlim_max / 2 / SUPERVISOR_DESCRIPTORS_PER_WORKER;
    return max > UINT_MAX ? UINT_MAX : max > 0 ? (unsigned) max : 1;
}

/* How many requests of a session are given to an instance in one write. */
static unsigned at_once(const struct program_options *options)
{
    if (!options->ahead || options->tagged)
        return 1;
    return options->ahead < EXCHANGE_MAX ? options->ahead : EXCHANGE_MAX;
}

/* How many requests with IDs an instance has at once. */
static unsigned with_ids(const struct program_options *options)
{
    return !options->tagged ? 0 : options->ahead ? options->ahead : TAGGED_DEFAULT;
}

/* Of those that each session or request has to itself. */
static unsigned max_workers(const struct program_options *options, unsigned cores)
{
    unsigned max = options->worker_per_request ? MAX_WORKERS_PER_CORE * cores : MAX_WORKERS;
    unsigned fit = max_by_descriptors();
    if (options->max_workers)
        return options->max_workers;
    if (max > fit)
        max = fit;
    return max > options->workers ? max : options->workers;
}

/* How many requests all instances have at a time. */
static unsigned places(const struct program_options *options, const struct supervisor_plan *plan)
{
    unsigned each = options->tagged ? with_ids(options) : at_once(options);
    return plan->shared ? plan->shared * each : plan->max;
}

static struct supervisor_plan plan_of(const struct program_options *options, unsigned cores)
{
    if (!options->worker_per_client && !options->worker_per_request)
        return (struct supervisor_plan){.shared = options->workers ? options->workers : cores};
    return (struct supervisor_plan){
        .per_request = options->worker_per_request,
        .talks = options->reply_end == REPLY_END_NONE,
        .ahead = options->workers,
        .max = max_workers(options, cores),
        .starts = cores,
    };
}

/* What is written behind each request. NULL: out of memory. */
static char *make_request_end(const struct program_options *options, bool lines)
{
    const char *line = options->request_end;
    char *text = NULL;
    if (options->worker_per_request && !lines)
        return strdup("");
    return asprintf(&text, "\n%s%s", line ? line : "", line ? "\n" : "") < 0 ? NULL : text;
}

static bool start_supervisor(struct program *program, const struct program_options *options,
                             const struct supervisor_plan *plan, const struct handler_host *host,
                             struct error *error)
{
    struct turn_rules rules = {
        .reply = {options->reply_end, options->reply_mark, host->one_line},
        .end = program->request_end,
        .end_size = strlen(program->request_end),
        .start_timeout_ms = options->start_timeout_ms,
        .handler_timeout_ms = host->handler_timeout_ms,
        .tagged = with_ids(options),
        .ahead = at_once(options),
        .tell_peer = options->tell_peer,
    };
    struct spawn_options spawned = {
        .pty = options->pty,
        .stderr_to_output = options->stderr_to_reply,
    };
    struct supervisor *supervisor = &program->supervisor;
    int failure = supervisor_init(supervisor, &program->queue, plan, &rules, &program->command,
                                  &spawned, host->log);
    if (failure)
        return command_error(options->argv[0], failure, error);
    if (supervisor_start(supervisor, host->stop_fd, error))
        return true;
    supervisor_fini(supervisor);
    return false;
}

/* Of one whose supervisor is not there. */
static void program_free(struct program *program)
{
    queue_fini(&program->queue);
    command_fini(&program->command);
    free(program->request_end);
    free(program);
}

static bool open_program(struct handler *handler, const struct handler_spec *spec,
                         const struct handler_host *host, struct error *error)
{
    const struct program_options *options = spec->program;
    struct supervisor_plan plan = plan_of(options, host->cores);
    struct program *program = calloc(1, sizeof *program);
    if (!program)
        return command_error(options->argv[0], ENOMEM, error);
    handler->state = program;
    handler->descriptors = SUPERVISOR_DESCRIPTORS + (plan.shared ? plan.shared + 1 : plan.max) *
                                                        SUPERVISOR_DESCRIPTORS_PER_WORKER;
    handler->places = places(options, &plan);
    handler->late_ends_session = options->worker_per_client;
    handler->relays = plan.talks;
    queue_init(&program->queue, handler, &queue_bounds, options->worker_per_client);
    if (plan.per_request)
        queue_keep_flows(&program->queue);
    program->request_end = make_request_end(options, host->lines);
    if (!program->request_end)
        command_error(options->argv[0], ENOMEM, error);
    else if (command_init(&program->command, options->argv, error) &&
             start_supervisor(program, options, &plan, host, error))
        return true;
    program_free(program);
    return false;
}

static void close_program(struct handler *handler)
{
    struct program *program = handler->state;
    supervisor_stop(&program->supervisor);
    supervisor_fini(&program->supervisor);
    program_free(program);
}

const struct handler_kind handler_program = {
    .name = "program",
    .help = "runs a program",
    .open = open_program,
    .handle = handle,
    .close = close_program,
    .session_begun = session_begun,
    .session_ended = session_ended,
    .reply_held = reply_held,
    .reply_gone = reply_gone,
    .stream_begun = stream_begun,
    .stream_ended = stream_ended,
    .paused_ms = paused_ms,
    .recall = recall,
    .next_worker = next_worker,
    .replacements = replacements,
    .restart_workers = restart_workers,
    .restart_fd = ended_fd,
    .restart_result = last_result,
    .abort = groups_abort,
};
