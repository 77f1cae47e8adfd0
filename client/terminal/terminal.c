/*
 * terminal: one poll(2) on signals, the keyboard, the socket and standard output. See terminal.h.
 *
 * A request is sent once: what was sent and not answered when a connection ends is named, never
 * repeated; what was entered and not sent goes back to the prompt.
 */
#include "client/terminal/terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/connect.h"
#include "client/owed.h"
#include "client/report.h"
#include "client/signals.h"
#include "client/status_line.h"
#include "client/stopwatch.h"
#include "client/terminal/history.h"
#include "client/terminal/notices.h"
#include "client/terminal/paste.h"
#include "client/terminal/prompt.h"
#include "common/clock.h"
#include "common/protocol.h"

#define AS_IT_IS '\\' /* in front of a line: the rest is sent as it is */

struct terminal {
    const struct options *options;
    struct output *output;
    /* At most one of the two; neither: the next line that is entered opens a connection. */
    struct conversation *conversation; /* owned, or NULL */
    struct connect_attempt *attempt;   /* owned, or NULL */
    struct owed_queue owed;            /* what the conversation owes */
    struct paste paste;                /* lines that are being sent */
    struct stopwatch stopwatch;
    struct signals signals;
    int64_t quiet_since_ms; /* when something was last asked, or heard */
    size_t told_requests;   /* how many the user knows to stand at the prompt */
    bool must_give_back;    /* what was not sent goes back to the prompt */
    bool has_reconnected;   /* this is not the first conversation */
    bool is_unreachable;    /* the last attempt to connect failed */
    bool is_leaving;        /* quit was said */
    bool is_suspended;      /* by our own doing */
    bool done;
    enum exit_status status;
};

static void note(struct terminal *terminal, enum exit_status status)
{
    terminal->status = exit_status_first(terminal->status, status);
}

/* Something without which there is no going on. */
static void fail(struct terminal *terminal, const char *verb, const char *object, int why)
{
    if (terminal->done) /* told */
        return;
    prompt_begin_output();
    report_io(verb, object, why);
    note(terminal, EXIT_STATUS_IO);
    terminal->done = true;
}

/* Whether the user waits for a reply: what was asked last was not given up. */
static bool awaits_reply(const struct terminal *terminal)
{
    const struct owed *last = owed_last(&terminal->owed);
    return last && !last->is_given_up;
}

/* ---- signals ---- */

static void die_of(struct terminal *terminal, int number)
{
    prompt_close();
    signals_die_of(&terminal->signals, number);
}

static void suspend(struct terminal *terminal)
{
    prompt_pause();
    terminal->is_suspended = signals_stop();
    if (!terminal->is_suspended)
        prompt_resume();
}

static void go_on(struct terminal *terminal)
{
    /* Stopped by force, the prompt's line was not left. */
    if (!terminal->is_suspended && prompt_is_shown())
        fputc('\n', prompt_screen());
    terminal->is_suspended = false;
    prompt_resume();
}

/* The user wants the prompt, whatever is on its way. */
static void stop_waiting(struct terminal *terminal)
{
    prompt_begin_output();
    fputs("^C\n", prompt_screen());
    prompt_end_output();
    owed_give_up(&terminal->owed);
    connect_abandon(terminal->attempt);
    terminal->attempt = NULL;
    terminal->must_give_back = true;
}

static void interrupt(struct terminal *terminal)
{
    if (terminal->is_leaving)
        die_of(terminal, SIGINT);
    else if (prompt_is_shown())
        prompt_clear_line();
    else
        stop_waiting(terminal);
}

static void take_signals(struct terminal *terminal)
{
    int number;
    while ((number = signals_next(&terminal->signals))) {
        switch (number) {
        case SIGINT:
            interrupt(terminal);
            break;
        case SIGTSTP:
            suspend(terminal);
            break;
        case SIGCONT:
            go_on(terminal);
            break;
        case SIGWINCH:
            prompt_resize();
            break;
        default:
            die_of(terminal, number);
        }
    }
}

/* ---- what the user enters ---- */

static void leave(struct terminal *terminal)
{
    terminal->is_leaving = true;
    terminal->quiet_since_ms = clock_ms();
    paste_drop(&terminal->paste);
    if (terminal->conversation)
        conversation_quit(terminal->conversation);
    else
        terminal->done = true;
}

static void remember(const struct paste_line *line)
{
    struct error error;
    if (!history_add(line->text, line->size, &error))
        report(error.text); /* no prompt is shown while lines are taken */
}

/* The lines up to the word that asks for the end, which is none to be remembered: called for each
 * by the two below. Says whether the word is there. */
static bool walk_requests(const struct terminal *terminal, struct paste text,
                          void (*visit)(const struct paste_line *line), size_t *count)
{
    struct paste_line line;
    *count = 0;
    for (; paste_peek(&text, &line); paste_take(&text)) {
        if (options_is_quit(terminal->options, line.text, line.size))
            return true;
        if (visit)
            visit(&line);
        ++*count;
    }
    return false;
}

static void take_entered(void *context, char *text)
{
    struct terminal *terminal = context;
    terminal->told_requests = 1;
    terminal->must_give_back = false;
    terminal->quiet_since_ms = clock_ms();
    if (!text) { /* Ctrl-D, or the terminal is gone */
        fputc('\n', prompt_screen());
        leave(terminal);
        return;
    }
    size_t count;
    paste_set(&terminal->paste, text);
    walk_requests(terminal, terminal->paste, remember, &count);
}

/* A paste has many lines, and is sent with one Enter: how many requests it is, is told before. */
static void tell_requests(struct terminal *terminal)
{
    const struct paste text = {.next = prompt_text()};
    size_t count;
    const bool is_quitting = walk_requests(terminal, text, NULL, &count);
    const size_t told = count + is_quitting;
    if (told > 1 && told != terminal->told_requests)
        notice_requests(count, is_quitting);
    terminal->told_requests = told;
}

static void connect_again(struct terminal *terminal)
{
    terminal->attempt = connect_start(&terminal->options->conversation);
    if (terminal->attempt)
        return;
    prompt_begin_output();
    report_io("start", "a thread", errno);
    prompt_end_output();
    terminal->must_give_back = true;
}

static void take_connection(struct terminal *terminal)
{
    enum conversation_opening opening;
    struct error error;
    terminal->conversation = connect_finish(terminal->attempt, &opening, &error);
    terminal->attempt = NULL;
    terminal->has_reconnected = true;
    terminal->is_unreachable = terminal->conversation == NULL;
    terminal->quiet_since_ms = clock_ms();
    if (terminal->conversation) {
        notice_connected_again(terminal->conversation);
    } else {
        prompt_begin_output();
        report_opening(opening, error.text);
        prompt_end_output();
        terminal->must_give_back = true;
    }
}

/* Sends a line, or gives it back with those behind it. */
static void ask(struct terminal *terminal, const struct paste_line *line)
{
    const char *why = NULL;
    const bool is_as_it_is = line->size > 0 && *line->text == AS_IT_IS;
    const char *text = line->text + is_as_it_is;
    const size_t size = line->size - is_as_it_is;
    const enum conversation_asked asked =
        conversation_ask(terminal->conversation, text, size, &why);
    paste_take(&terminal->paste);
    if (asked == CONVERSATION_ASKED) {
        if (!owed_add(&terminal->owed, text, size, clock_ns(CLOCK_MONOTONIC)))
            fail(terminal, "remember", "what was asked", ENOMEM);
        return;
    }
    notice_not_sent(text, size, why);
    note(terminal, asked == CONVERSATION_REFUSED ? EXIT_STATUS_NOT_CARRIED : EXIT_STATUS_IO);
    terminal->must_give_back = true;
}

/* Sends what was entered, line by line, as far as the conversation takes it. */
static void send_entered(struct terminal *terminal)
{
    struct paste_line line;
    while (!terminal->must_give_back && !terminal->attempt && !terminal->done &&
           paste_peek(&terminal->paste, &line)) {
        if (options_is_quit(terminal->options, line.text, line.size)) {
            leave(terminal);
        } else if (!terminal->conversation) {
            connect_again(terminal);
        } else if (conversation_takes_requests(terminal->conversation)) {
            ask(terminal, &line);
        } else {
            return;
        }
    }
}

/* Asks for the next line when nothing is awaited. */
static void show_prompt(struct terminal *terminal)
{
    struct paste_line unsent;
    const bool has_unsent = paste_peek(&terminal->paste, &unsent);
    if (prompt_is_shown() || terminal->is_leaving || terminal->attempt || awaits_reply(terminal) ||
        (has_unsent && !terminal->must_give_back))
        return;
    terminal->must_give_back = false;
    prompt_show(has_unsent ? unsent.text : NULL);
    paste_drop(&terminal->paste);
    tell_requests(terminal);
}

/* Says that something takes its time, and for how long it does. In how many milliseconds there is
 * something else to say; -1: not before something happens. */
static int show_state(const struct terminal *terminal)
{
    const char *verb = terminal->attempt ? "Connecting" : "Waiting";
    const char *hint = terminal->is_leaving ? "Ctrl-C ends it" : "Ctrl-C gives the prompt back";
    const bool is_owed = terminal->conversation && conversation_owed(terminal->conversation) > 0;
    if (prompt_is_shown() || !(terminal->attempt || is_owed))
        return -1;
    char text[STATUS_LINE_TEXT_SIZE];
    const int64_t waited_ms = clock_ms() - terminal->quiet_since_ms;
    prompt_show_state(text, status_line_wait_text(waited_ms, verb, hint, text));
    return status_line_next_ms(waited_ms);
}

/* ---- what the server says ---- */

static void fail_output(struct terminal *terminal)
{
    if (terminal->output->failure == EPIPE)
        die_of(terminal, SIGPIPE);
    fail(terminal, "write", "standard output", terminal->output->failure);
}

static void print_replies(struct terminal *terminal)
{
    struct output *output = terminal->output;
    if (output->is_terminal && output_is_waiting(output)) {
        prompt_begin_output();
        output_flush_all(output);
        prompt_end_output();
    } else {
        output_flush(output);
    }
    if (output->failure)
        fail_output(terminal);
}

static void take_unasked(struct terminal *terminal, const struct frame *frame)
{
    prompt_begin_output();
    report_unasked(terminal->conversation, frame->message, frame->size);
    prompt_end_output();
    note(terminal, EXIT_STATUS_ERROR_REPLY);
}

/* The conversation has ended: by the user's will, or by what the next line will have to repair. */
static void end_conversation(struct terminal *terminal)
{
    const enum conversation_end end = conversation_ended(terminal->conversation);
    if (end == CONVERSATION_BUSY && !terminal->has_reconnected) { /* told already */
        note(terminal, EXIT_STATUS_UNREACHABLE);
        terminal->done = true;
        return;
    }
    terminal->is_unreachable = end == CONVERSATION_BUSY;
    if (end != CONVERSATION_CLOSED || !terminal->is_leaving || !terminal->options->is_quiet)
        notice_end(terminal->conversation, &terminal->owed);
    if (end == CONVERSATION_TIMED_OUT)
        note(terminal, EXIT_STATUS_TIMEOUT);
    else if (end == CONVERSATION_OUT_OF_MEMORY)
        note(terminal, EXIT_STATUS_IO);
    else if (conversation_owed(terminal->conversation) > 0 && end != CONVERSATION_BUSY)
        note(terminal, EXIT_STATUS_LOST);
    terminal->must_give_back = true;
    owed_fini(&terminal->owed);
    conversation_close(terminal->conversation);
    terminal->conversation = NULL;
    if (terminal->is_leaving)
        terminal->done = true;
}

static void take_reply(struct terminal *terminal, const struct frame *reply)
{
    const struct owed request = *owed_first(&terminal->owed);
    const int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    owed_answered(&terminal->owed);
    if (!request.is_given_up)
        terminal->quiet_since_ms = clock_ms();
    if (protocol_is_error(reply->message, reply->size))
        note(terminal, EXIT_STATUS_ERROR_REPLY);
    if (request.is_given_up) {
        print_replies(terminal); /* those before it */
        notice_late(&request, now_ns);
    }
    if (!conversation_is_null_operation(terminal->conversation, reply))
        output_reply(terminal->output, reply->message, reply->size);
    if (stopwatch_runs(&terminal->stopwatch)) {
        print_replies(terminal);
        if (terminal->done) /* it could not be */
            return;
        stopwatch_add(&terminal->stopwatch, now_ns - request.at_ns);
        notice_time(now_ns - request.at_ns);
    }
}

static void take_events(struct terminal *terminal)
{
    struct frame frame;
    while (!terminal->done) {
        switch (conversation_next(terminal->conversation, &frame)) {
        case CONVERSATION_REPLY:
            take_reply(terminal, &frame);
            break;
        case CONVERSATION_UNASKED:
            print_replies(terminal);
            take_unasked(terminal, &frame);
            break;
        case CONVERSATION_NOTHING:
            print_replies(terminal);
            return;
        case CONVERSATION_END:
            print_replies(terminal);
            end_conversation(terminal);
            return;
        }
    }
}

/* ---- all together ---- */

static void take_keys(struct terminal *terminal, short revents)
{
    if (prompt_is_shown() && revents) {
        prompt_read();
        if (prompt_is_shown())
            tell_requests(terminal);
    } else if (revents & (POLLHUP | POLLERR)) { /* nobody is there any more */
        leave(terminal);
    }
}

static void take_output_state(struct terminal *terminal, short revents)
{
    if (revents & (POLLERR | POLLHUP) && !output_is_waiting(terminal->output))
        terminal->output->failure = EPIPE;
    if (revents)
        print_replies(terminal);
}

static void wait_and_act(struct terminal *terminal)
{
    enum { AT_SIGNALS, AT_KEYS, AT_OUTPUT, AT_SOCKET, AT_ATTEMPT, POLLED };
    struct output *output = terminal->output;
    const bool is_polled_output = !output->is_terminal && !output->is_file;
    struct pollfd polled[POLLED] = {
        [AT_SIGNALS] = {.fd = terminal->signals.fd, .events = POLLIN},
        [AT_KEYS] = {.fd = terminal->is_leaving ? -1 : STDIN_FILENO,
                     .events = prompt_is_shown() ? POLLIN : 0},
        [AT_OUTPUT] = {.fd = is_polled_output ? STDOUT_FILENO : -1,
                       .events = output_is_waiting(output) ? POLLOUT : 0},
        [AT_SOCKET] = {.fd = -1},
        [AT_ATTEMPT] = {.fd = terminal->attempt ? connect_fd(terminal->attempt) : -1,
                        .events = POLLIN},
    };
    int wait_ms = show_state(terminal);
    if (terminal->conversation) {
        conversation_poll(terminal->conversation, !output_is_full(output), &polled[AT_SOCKET]);
        wait_ms = clock_shorter_ms(wait_ms, conversation_wait_ms(terminal->conversation));
    }
    poll(polled, POLLED, wait_ms);

    if (polled[AT_SIGNALS].revents)
        take_signals(terminal);
    take_output_state(terminal, polled[AT_OUTPUT].revents);
    if (terminal->conversation) {
        conversation_step(terminal->conversation, polled[AT_SOCKET].revents);
        take_events(terminal);
    }
    if (terminal->attempt && polled[AT_ATTEMPT].revents) /* unless it was just given up */
        take_connection(terminal);
    take_keys(terminal, polled[AT_KEYS].revents);
}

static bool begin(struct terminal *terminal)
{
    const struct options *options = terminal->options;
    struct error error;
    if (!stopwatch_init(&terminal->stopwatch, options->wants_times, NULL)) {
        report_io("measure", "times", ENOMEM);
        return false;
    }
    if (!signals_init(&terminal->signals, SIGNALS_TERMINAL)) {
        report_io("use", "the terminal", errno);
        return false;
    }
    if (!prompt_open(take_entered, terminal, terminal->signals.fd)) {
        report_io("use", "the terminal", errno);
        signals_fini(&terminal->signals);
        return false;
    }
    report_to(prompt_screen());
    if (!history_open(options->has_history, options->history, &error))
        report(error.text);
    if (!options->is_quiet)
        notice_greeting();
    return true;
}

/* Also what standard output has not taken yet, when it is no terminal and slow. */
static void end(struct terminal *terminal)
{
    if (terminal->is_unreachable)
        note(terminal, EXIT_STATUS_UNREACHABLE);
    notice_times(&terminal->stopwatch);
    prompt_close();
    report_to(NULL);
    signals_fini(&terminal->signals);
    if (output_is_waiting(terminal->output) && !output_flush_all(terminal->output))
        fail_output(terminal);
    connect_abandon(terminal->attempt);
    history_close();
}

enum exit_status terminal_run(struct conversation *conversation, const struct options *options,
                              struct output *output)
{
    struct terminal terminal = {.options = options,
                                .output = output,
                                .conversation = conversation,
                                .status = EXIT_STATUS_ANSWERED};
    if (begin(&terminal)) {
        while (!terminal.done) {
            send_entered(&terminal);
            show_prompt(&terminal);
            if (!terminal.done)
                wait_and_act(&terminal);
        }
        end(&terminal);
    } else {
        note(&terminal, EXIT_STATUS_IO);
    }
    owed_fini(&terminal.owed);
    paste_fini(&terminal.paste);
    stopwatch_fini(&terminal.stopwatch);
    conversation_close(terminal.conversation);
    return terminal.status;
}
