/* options_program: see options_program.h. */
#include "server/options_program.h"

#include <string.h>

#include "common/args.h"
#include "server/options_state.h"

enum {
    MAX_WORKERS = 1024,
    MAX_MAX_WORKERS = 65536,
    MAX_AHEAD = 1024,
    MAX_LINE = 1024,
};

/* Whether the text is one line, and not too long for a program to be given. */
static bool check_line(const char *text, struct error *error)
{
    if (strchr(text, '\n') || strlen(text) > MAX_LINE)
        return error_set(error, "it must be one line of up to %d bytes", MAX_LINE);
    return true;
}

bool program_take_workers(const char *value, void *context, struct error *error)
{
    return args_count(value, MAX_WORKERS, &((struct options *) context)->program.workers, error);
}

bool program_take_max_workers(const char *value, void *context, struct error *error)
{
    return args_count(value, MAX_MAX_WORKERS, &((struct options *) context)->program.max_workers,
                      error);
}

bool program_take_worker_per_request(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->program.worker_per_request = true;
    return true;
}

bool program_take_worker_per_client(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->program.worker_per_client = true;
    return true;
}

/* newline, waits, line:TEXT, or none. */
bool program_take_reply_end(const char *value, void *context, struct error *error)
{
    static const char line[] = "line:";
    struct program_options *program = &((struct options *) context)->program;
    program->reply_mark = NULL;
    if (strcmp(value, "newline") == 0) {
        program->reply_end = REPLY_END_NEWLINE;
    } else if (strcmp(value, "waits") == 0) {
        program->reply_end = REPLY_END_WAITS;
    } else if (strcmp(value, "none") == 0) {
        program->reply_end = REPLY_END_NONE;
    } else if (strncmp(value, line, sizeof line - 1) == 0) {
        program->reply_end = REPLY_END_LINE;
        program->reply_mark = value + sizeof line - 1;
        return check_line(program->reply_mark, error);
    } else {
        return error_set(error,
                         "\"%s\" is no end of a reply; it can be newline, waits, line:TEXT or none",
                         value);
    }
    return true;
}

bool program_take_request_end(const char *value, void *context, struct error *error)
{
    ((struct options *) context)->program.request_end = value;
    return check_line(value, error);
}

bool program_take_ahead(const char *value, void *context, struct error *error)
{
    return args_count(value, MAX_AHEAD, &((struct options *) context)->program.ahead, error);
}

bool program_take_tagged(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->program.tagged = true;
    return true;
}

bool program_take_tell_peer(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->program.tell_peer = true;
    return true;
}

bool program_take_pty(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->program.pty = true;
    return true;
}

bool program_take_stderr(const char *value, void *context, struct error *error)
{
    bool reply = strcmp(value, "reply") == 0;
    ((struct options *) context)->program.stderr_to_reply = reply;
    return reply || strcmp(value, "log") == 0 ||
           error_set(error, "\"%s\" is no place for it; it can be log or reply", value);
}

bool program_take_start_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->program.start_timeout_ms, error);
}
