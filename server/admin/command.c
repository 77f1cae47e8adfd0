/* command: a table, and a function for each of its lines. */
#include "server/admin/command.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/args.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/protocol.h"
#include "server/handler_workers.h"
#include "server/reload.h"

/* How long the loops may take to answer. */
enum { ANSWER_MS = 1000 };

/* Of an answer that is no JSON: the names of files that were read anew fit. */
enum { TEXT_BYTES = 2048 };

/* Whether a command has an argument. */
enum argument { ARGUMENT_NONE, ARGUMENT_MAY, ARGUMENT_MUST };

struct entry {
    const char *name;
    const char *usage;
    enum argument argument;
    /* `argument` is NULL if there is none. The result is command_begin()'s. */
    bool (*run)(struct command *command, const char *argument);
};

/* ---- answers ---- */

static bool reply(struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool reply_error(struct command *command, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whatever names of files and others' errors are in it, it stays a line. */
static bool put_text(struct command *command, const char *text)
{
    size_t size = strlen(text);
    if (!buffer_reserve(&command->reply, ESCAPE_BYTE_SIZE * size))
        return true;
    char *begin = buffer_tail(&command->reply);
    buffer_added(&command->reply, (size_t) (escape_line(text, size, begin) - begin));
    return true;
}

static bool reply(struct command *command, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return put_text(command, text);
}

static bool reply_error(struct command *command, const char *code, const char *format, ...)
{
    char text[TEXT_BYTES], error[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    protocol_write_error(error, sizeof error, code, text);
    return put_text(command, error);
}

static bool reply_failed(struct command *command, int why)
{
    return reply_error(command, PROTOCOL_HANDLER_FAILED, "%s", strerror(why));
}

/* ---- what the loops know ---- */

static bool ask_loops(struct command *command);

static bool take_list(struct command *command)
{
    if (inquiry_list(command->inquiry, PROTOCOL_MAX_REPLY, &command->reply))
        return true;
    return reply_error(command, PROTOCOL_HANDLER_FAILED,
                       "the list is too long; ask for one session: sessions N");
}

/* One that is just on its way from one loop to another is in none: it is there when it is asked
 * for again. */
static bool take_close(struct command *command)
{
    if (inquiry_found(command->inquiry))
        return reply(command, "closed %llu", (unsigned long long) command->session);
    if (!command->asked_twice) {
        command->asked_twice = true;
        return ask_loops(command);
    }
    return reply_error(command, PROTOCOL_BAD_REQUEST, "there is no session %llu",
                       (unsigned long long) command->session);
}

/* All loops have answered, or their time is over. Returns whether that is the command's answer. */
static bool take_answers(struct command *command)
{
    struct inquiry *inquiry = command->inquiry;
    bool is_answered;
    admin_forget(&command->item);
    if (!inquiry_is_over(inquiry))
        is_answered = reply_error(command, PROTOCOL_HANDLER_TIMEOUT,
                                  "the loops have not answered within a second");
    else
        is_answered = command->kind == INQUIRY_LIST ? take_list(command) : take_close(command);
    inquiry_release(inquiry);
    if (command->inquiry == inquiry)
        command->inquiry = NULL;
    return is_answered;
}

static void end_wait(struct admin_item *item)
{
    struct command *command = (struct command *) item;
    if (take_answers(command))
        command->answered(command);
}

static void loops_answered(struct admin_item *item, uint32_t events)
{
    (void) events;
    end_wait(item);
}

static bool ask_loops(struct command *command)
{
    const struct command_host *host = command->host;
    command->inquiry = server_inquire(host->source.server, command->kind, command->session);
    if (!command->inquiry)
        return reply_failed(command, errno);
    command->item.ready = loops_answered;
    command->item.due = end_wait;
    if (!admin_watch(host->admin, &command->item, inquiry_fd(command->inquiry), EPOLLIN)) {
        int why = errno;
        inquiry_release(command->inquiry);
        command->inquiry = NULL;
        return reply_failed(command, why);
    }
    admin_due_at(host->admin, &command->item, admin_now_ms(host->admin) + ANSWER_MS);
    return false;
}

static bool ask_for_session(struct command *command, enum inquiry_kind kind, const char *number)
{
    struct error error;
    long session = 0;
    if (number && !args_number(number, 1, LONG_MAX, &session, &error))
        return reply_error(command, PROTOCOL_BAD_REQUEST, "%s", error.text);
    command->kind = kind;
    command->session = (uint64_t) session;
    command->asked_twice = false;
    return ask_loops(command);
}

static bool run_sessions(struct command *command, const char *argument)
{
    return ask_for_session(command, INQUIRY_LIST, argument);
}

static bool run_close(struct command *command, const char *argument)
{
    return ask_for_session(command, INQUIRY_CLOSE, argument);
}

/* ---- workers ---- */

static bool run_workers(struct command *command, const char *argument)
{
    (void) argument;
    status_append_workers(command->host->source.handler, &command->reply);
    return true;
}

/* What has come of a restart, unless it goes on. */
static void take_restart(struct admin_item *item, uint32_t events)
{
    struct command *command = (struct command *) item;
    struct handler *handler = command->host->source.handler;
    struct handler_restart restart;
    char text[TEXT_BYTES];
    eventfd_t ends;
    (void) events;
    eventfd_read(handler_restart_fd(handler), &ends);
    handler_restart_result(handler, &restart);
    if (restart.runs)
        return;
    admin_forget(item);
    handler_restart_text(&restart, text, sizeof text);
    if (restart.why[0])
        reply_error(command, PROTOCOL_HANDLER_FAILED, "%s", text);
    else
        reply(command, "%s", text);
    command->answered(command);
}

/* A command that waits for the end of another restart, which may just have come, has the descriptor
 * in the thread's epoll set. */
static bool run_restart_workers(struct command *command, const char *argument)
{
    struct admin *admin = command->host->admin;
    struct handler *handler = command->host->source.handler;
    struct error error;
    (void) argument;
    int fd = handler_restart_fd(handler);
    command->item.ready = take_restart;
    if (fd >= 0 && !admin_watch(admin, &command->item, fd, EPOLLIN))
        return errno == EEXIST ? reply_error(command, PROTOCOL_BAD_REQUEST,
                                             "the workers are being restarted already")
                               : reply_failed(command, errno);
    if (handler_restart_workers(handler, &error))
        return false;
    admin_forget(&command->item);
    return reply_error(command, PROTOCOL_BAD_REQUEST, "%s", error.text);
}

/* ---- others ---- */

static void reloaded(struct reloading_asker *asker, const struct reload_outcome *outcome)
{
    struct command *command =
        (struct command *) ((char *) asker - offsetof(struct command, reload));
    if (outcome->done)
        reply(command, "reloaded %s", outcome->files);
    else
        reply_error(command, "reload-failed", "%s: %s", outcome->file, outcome->why.text);
    command->answered(command);
}

static bool run_reload(struct command *command, const char *argument)
{
    (void) argument;
    command->reload.done = reloaded;
    reloading_ask(command->host->reloading, &command->reload);
    return false;
}

static bool run_status(struct command *command, const char *argument)
{
    (void) argument;
    status_append(&command->host->source, command->host->recent, &command->reply);
    return true;
}

static bool run_log(struct command *command, const char *argument)
{
    static const char *const names[] = {
        [LOG_MESSAGES] = "messages", [LOG_CONNECTIONS] = "connections", [LOG_ERRORS] = "errors"};
    unsigned level;
    if (!args_word(argument, names, sizeof names / sizeof *names, &level))
        return reply_error(command, PROTOCOL_BAD_REQUEST,
                           "what is logged can be messages, connections or errors");
    log_set_level(command->host->log, (enum log_level) level);
    return reply(command, "log %s", names[level]);
}

static bool run_stop(struct command *command, const char *argument)
{
    (void) argument;
    command->host->stop(command->host->stop_context);
    return reply(command, "stopping");
}

/* ---- the table ---- */

static const struct entry table[] = {
    {"status", "status", ARGUMENT_NONE, run_status},
    {"sessions", "sessions [N]", ARGUMENT_MAY, run_sessions},
    {"close", "close N", ARGUMENT_MUST, run_close},
    {"workers", "workers", ARGUMENT_NONE, run_workers},
    {"restart-workers", "restart-workers", ARGUMENT_NONE, run_restart_workers},
    {"reload", "reload", ARGUMENT_NONE, run_reload},
    {"log", "log messages|connections|errors", ARGUMENT_MUST, run_log},
    {"stop", "stop", ARGUMENT_NONE, run_stop},
};

enum { ENTRIES = sizeof table / sizeof *table };

static bool refuse_unknown(struct command *command, const char *name)
{
    char shown[ESCAPE_SIZE], known[TEXT_BYTES] = "";
    char *end = known;
    for (size_t i = 0; i < ENTRIES; i++)
        end = stpcpy(stpcpy(end, i > 0 ? ", " : ""), table[i].usage);
    return reply_error(command, PROTOCOL_BAD_REQUEST, "there is no command \"%s\"; there are: %s",
                       escape_text(name, strlen(name), shown), known);
}

static bool run(struct command *command, const char *name, const char *argument)
{
    const struct entry *entry = table;
    while (entry < table + ENTRIES && strcmp(entry->name, name) != 0)
        entry++;
    if (entry == table + ENTRIES)
        return refuse_unknown(command, name);
    if (argument ? entry->argument == ARGUMENT_NONE : entry->argument == ARGUMENT_MUST)
        return reply_error(command, PROTOCOL_BAD_REQUEST, "this command is: %s", entry->usage);
    return entry->run(command, argument);
}

/* Cuts the next word off `*rest`; NULL: there is none. */
static char *take_word(char **rest)
{
    char *word;
    while ((word = strsep(rest, " \t")) && !*word)
        continue;
    return word;
}

bool command_begin(struct command *command, const char *text, size_t size)
{
    char line[COMMAND_BYTES + 1];
    memcpy(line, text, size);
    line[size] = '\0';
    if (memchr(line, '\0', size))
        return reply_error(command, PROTOCOL_BAD_REQUEST, "a command has no NUL in it");
    char *rest = line, *name = take_word(&rest), *argument = take_word(&rest);
    if (take_word(&rest))
        return reply_error(command, PROTOCOL_BAD_REQUEST, "a command has one argument at most");
    return run(command, name ? name : "", argument);
}

void command_cancel(struct command *command)
{
    admin_forget(&command->item);
    reloading_forget(command->host->reloading, &command->reload);
    if (command->inquiry)
        inquiry_release(command->inquiry);
    command->inquiry = NULL;
}
