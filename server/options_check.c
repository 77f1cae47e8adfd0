/* options_check: what needs, or excludes, what. */
#include "server/options_check.h"

#include "common/frame.h"

/* The name of an option that concerns a program, if one was given; else NULL. */
static const char *program_option(const struct program_options *program)
{
    return program->workers                                        ? "--workers"
           : program->worker_per_client                            ? "--worker-per-client"
           : program->worker_per_request                           ? "--worker-per-request"
           : program->max_workers                                  ? "--max-workers"
           : program->reply_end != REPLY_END_NEWLINE               ? "--reply-end"
           : program->pty                                          ? "--pty"
           : program->stderr_to_reply                              ? "--stderr"
           : program->request_end                                  ? "--request-end"
           : program->ahead                                        ? "--ahead"
           : program->tagged                                       ? "--tagged"
           : program->tell_peer                                    ? "--tell-peer"
           : program->start_timeout_ms != OPTIONS_START_TIMEOUT_MS ? "--start-timeout"
                                                                   : NULL;
}

/* Whether the options that concern copies for one client or request fit together. */
static bool check_own_workers(const struct program_options *program, struct error *error)
{
    if (program->worker_per_client && program->worker_per_request)
        return error_set(error, "--worker-per-client and --worker-per-request can't be used "
                                "together; see banterd --help");
    if (program->worker_per_request && program->reply_end != REPLY_END_NEWLINE)
        return error_set(error, "--reply-end can't be used with --worker-per-request, since a "
                                "reply ends with its copy; see banterd --help");
    if (program->worker_per_request && program->ahead)
        return error_set(error,
                         "--ahead and --worker-per-request can't be used together; see banterd "
                         "--help");
    if (program->worker_per_request && program->tell_peer)
        return error_set(error,
                         "--tell-peer and --worker-per-request can't be used together: a copy has "
                         "its client in its environment; see banterd --help");
    if (program->worker_per_client && program->tell_peer)
        return error_set(error,
                         "--tell-peer and --worker-per-client can't be used together: a copy has "
                         "its client in its environment; see banterd --help");
    if (program->max_workers && !program->worker_per_client && !program->worker_per_request)
        return error_set(error, "--max-workers needs --worker-per-client or --worker-per-request; "
                                "see banterd --help");
    if (program->max_workers && program->workers > program->max_workers)
        return error_set(error, "--workers %u is more than --max-workers %u; see banterd --help",
                         program->workers, program->max_workers);
    return true;
}

/* Whether lines that are not paired fit together with the rest; each option that pairs them does
 * not. */
static bool check_talk(const struct server_config *config, const struct program_options *program,
                       struct error *error)
{
    enum frame_codec codec = config->codec;
    if (program->reply_end != REPLY_END_NONE)
        return true;
    if (!program->worker_per_client)
        return error_set(error,
                         "--reply-end none needs --worker-per-client, since it can't be told "
                         "whose a line is; see banterd --help");
    if (config->max_requests)
        return error_set(error,
                         "--max-requests can't be used with --reply-end none, which knows no "
                         "requests; see banterd --help");
    if (codec != FRAME_LINE && codec != FRAME_CRLF && codec != FRAME_NETSTRING)
        return error_set(error,
                         "--reply-end none needs --framing line, crlf or netstring, not %s; see "
                         "banterd --help",
                         frame_codec_name(codec));
    return true;
}

/* Whether the options that concern a program fit together. */
static bool check_program(const struct server_config *config, const struct program_options *program,
                          bool has_handler, struct error *error)
{
    const char *given = program_option(program);
    if (!program->argv && given)
        return error_set(error, "%s needs a program: -- PROGRAM [ARGUMENT]...; see banterd --help",
                         given);
    if (program->request_end && program->reply_end != REPLY_END_LINE)
        return error_set(error, "--request-end needs --reply-end line:TEXT; see banterd --help");
    if (program->tagged && (program->reply_end != REPLY_END_NEWLINE || program->request_end ||
                            program->worker_per_client || program->worker_per_request))
        return error_set(error, "--tagged and %s can't be used together; see banterd --help",
                         program->worker_per_client    ? "--worker-per-client"
                         : program->worker_per_request ? "--worker-per-request"
                         : program->request_end        ? "--request-end"
                                                       : "--reply-end");
    if (program->ahead &&
        (program->reply_end == REPLY_END_WAITS || program->reply_end == REPLY_END_NONE))
        return error_set(error,
                         "--ahead needs --reply-end newline or line:TEXT; see banterd --help");
    if (program->argv && has_handler)
        return error_set(error,
                         "--handler and a program can't both answer: leave out --handler, or -- "
                         "%s; see banterd --help",
                         program->argv[0]);
    return check_own_workers(program, error) && check_talk(config, program, error);
}

static bool check_framing(const struct server_config *config, struct error *error)
{
    bool is_of_lines = frame_codec_of_requests(config->codec) <= FRAME_CRLF;
    return is_of_lines || !config->telnet ||
           error_set(error,
                     "--telnet needs lines: --framing line, crlf or block; see banterd --help");
}

static bool check_memory(const struct server_config *config, struct error *error)
{
    return !config->max_memory ||
           config->max_memory >= SERVER_LEAST_MESSAGES * config->max_message ||
           error_set(error,
                     "--max-memory %zu has no room for %d requests of --max-message %zu: raise the "
                     "one or lower the other; see banterd --help",
                     config->max_memory, SERVER_LEAST_MESSAGES, config->max_message);
}

bool options_check(const struct server_config *config, const struct program_options *program,
                   bool has_handler, struct error *error)
{
    return check_framing(config, error) && check_memory(config, error) &&
           check_program(config, program, has_handler, error);
}
