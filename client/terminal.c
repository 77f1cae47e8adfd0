/*
 * terminal: one poll(2) on signals, the keyboard, the socket and standard output. See terminal.h.
 *
 * A request is sent once: what was sent and not answered when a connection ends is told, never
 * repeated; what was entered and not sent goes back to the prompt.
 */
#include "client/terminal.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client/prompt.h"
#include "client/report.h"
#include "client/words.h"
#include "common/protocol.h"

struct terminal {
    const struct options *options;
    struct output *output;
    struct conversation *conversation; /* owned; NULL: there is none, the next line opens one */
    char *entered;                     /* heap memory; lines that are being sent, or NULL */
    const char *unsent;                /* in `entered`: the first line that was not sent yet */
    int signals;                       /* signalfd */
    sigset_t owned_signals;
    sigset_t mask_before;
    bool must_give_back; /* what is unsent goes back to the prompt */
    bool is_interrupted; /* the user does not wait for what is owed */
    bool is_unreachable; /* the last attempt to connect failed */
    bool is_leaving;     /* quit was said */
    bool is_suspended;   /* by our own doing */
    bool done;
    enum exit_status status;
};

static void note(struct terminal *terminal, enum exit_status status)
{
    terminal->status = exit_status_first(terminal->status, status);
}

/* Tells something on the screen, above the prompt. */
static void __attribute__((format(printf, 1, 2))) tell(const char *format, ...)
{
    va_list arguments;
    prompt_begin_output();
    va_start(arguments, format);
    vfprintf(prompt_screen(), format, arguments);
    va_end(arguments);
    fputc('\n', prompt_screen());
    prompt_end_output();
}

/* ---- signals ---- */

static const int signal_numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

/* False with errno set on failure. */
static bool own_signals(struct terminal *terminal)
{
    sigemptyset(&terminal->owned_signals);
    for (size_t i = 0; i < sizeof signal_numbers / sizeof signal_numbers[0]; i++)
        sigaddset(&terminal->owned_signals, signal_numbers[i]);
    terminal->signals = signalfd(-1, &terminal->owned_signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (terminal->signals < 0)
        return false;
    sigprocmask(SIG_BLOCK, &terminal->owned_signals, &terminal->mask_before);
    /* It would end us with the terminal in our hands; a failed write tells the same. */
    signal(SIGPIPE, SIG_IGN);
    return true;
}

static void die_of(struct terminal *terminal, int number)
{
    prompt_close();
    signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &terminal->mask_before, NULL);
    raise(number);
}

static void suspend(struct terminal *terminal)
{
    sigset_t stop;
    sigset_t pending;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    prompt_pause();
    terminal->is_suspended = true;
    raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, NULL); /* here it stops, and goes on */
    sigprocmask(SIG_BLOCK, &stop, NULL);
    sigpending(&pending);
    if (!sigismember(&pending, SIGCONT)) { /* it could not be stopped: nobody would look after it */
        terminal->is_suspended = false;
        prompt_resume();
    }
}

static void go_on(struct terminal *terminal)
{
    /* Stopped by force, the prompt's line was not left. */
    if (!terminal->is_suspended && prompt_is_shown())
        fputc('\n', prompt_screen());
    terminal->is_suspended = false;
    prompt_resume();
}

static void interrupt(struct terminal *terminal)
{
    if (terminal->is_leaving) {
        die_of(terminal, SIGINT);
    } else if (prompt_is_shown()) {
        prompt_clear_line();
    } else {
        fputs("^C\n", prompt_screen());
        fflush(prompt_screen());
        terminal->is_interrupted = true;
        terminal->must_give_back = terminal->unsent != NULL;
    }
}

static void take_signals(struct terminal *terminal)
{
    struct signalfd_siginfo info;
    while (read(terminal->signals, &info, sizeof info) == (ssize_t) sizeof info) {
        switch (info.ssi_signo) {
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
            die_of(terminal, (int) info.ssi_signo);
        }
    }
}

/* ---- what the user enters ---- */

static void leave(struct terminal *terminal)
{
    terminal->is_leaving = true;
    terminal->unsent = NULL;
    if (terminal->conversation)
        conversation_quit(terminal->conversation);
    else
        terminal->done = true;
}

/* The line behind the one that ends at `end`; NULL: there is none. The newline that ends a paste
 * is not the beginning of one more line. */
static const char *line_behind(const char *end)
{
    return end[0] == '\n' && end[1] != '\0' ? end + 1 : NULL;
}

static void take_entered(void *context, char *text)
{
    struct terminal *terminal = context;
    terminal->is_interrupted = false;
    if (!text) { /* Ctrl-D, or the terminal is gone */
        fputc('\n', prompt_screen());
        leave(terminal);
        return;
    }
    free(terminal->entered);
    terminal->entered = text;
    terminal->unsent = text;
    for (const char *line = text; line;) {
        const char *end = strchrnul(line, '\n');
        prompt_remember(line, (size_t) (end - line));
        line = line_behind(end);
    }
}

static bool connect_again(struct terminal *terminal)
{
    enum conversation_opening opening;
    struct error error;
    /* As at the start, signals may end an attempt and with it the program. */
    prompt_pause();
    sigprocmask(SIG_SETMASK, &terminal->mask_before, NULL);
    terminal->conversation = conversation_open(&terminal->options->conversation, &opening, &error);
    sigprocmask(SIG_BLOCK, &terminal->owned_signals, NULL);
    prompt_resume();
    terminal->is_unreachable = terminal->conversation == NULL;
    if (terminal->conversation) {
        tell("Connected to %s again", conversation_address(terminal->conversation));
    } else {
        report_opening(opening, error.text);
        terminal->must_give_back = true;
    }
    return terminal->conversation != NULL;
}

static void ask(struct terminal *terminal, const char *line, size_t size)
{
    const char *why = NULL;
    if (size > 0 && *line == WORDS_AS_IT_IS) {
        line++;
        size--;
    }
    if (conversation_ask(terminal->conversation, line, size, &why) != CONVERSATION_ASKED)
        tell("Not sent: %s", why);
}

/* Sends what was entered, line by line, as far as the conversation takes it. */
static void send_entered(struct terminal *terminal)
{
    while (terminal->unsent && !terminal->must_give_back) {
        const char *end = strchrnul(terminal->unsent, '\n');
        const size_t size = (size_t) (end - terminal->unsent);
        if (!terminal->options->is_literal && words_mean_quit(terminal->unsent, size)) {
            leave(terminal);
            return;
        }
        if (!terminal->conversation && !connect_again(terminal))
            return;
        if (!conversation_takes_requests(terminal->conversation))
            return;
        ask(terminal, terminal->unsent, size);
        terminal->unsent = line_behind(end);
    }
}

/* Asks for the next line when nothing is awaited. */
static void show_prompt(struct terminal *terminal)
{
    const bool is_awaited = terminal->conversation &&
                            conversation_owed(terminal->conversation) > 0 &&
                            !terminal->is_interrupted;
    if (prompt_is_shown() || terminal->is_leaving || is_awaited ||
        (terminal->unsent && !terminal->must_give_back))
        return;
    const char *text = terminal->unsent;
    terminal->unsent = NULL;
    terminal->must_give_back = false;
    prompt_show(text);
}

/* ---- what the server says ---- */

static void fail_output(struct terminal *terminal)
{
    if (terminal->output->failure == EPIPE)
        die_of(terminal, SIGPIPE);
    report_io("write", "standard output", terminal->output->failure);
    note(terminal, EXIT_STATUS_IO);
    terminal->done = true;
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

static void tell_end(const struct terminal *terminal)
{
    const struct conversation *conversation = terminal->conversation;
    const char *address = conversation_address(conversation);
    const uint64_t owed = conversation_owed(conversation);
    if (conversation_ended(conversation) != CONVERSATION_CLOSED)
        tell("Connection to %s lost: %s", address, conversation_why(conversation));
    else if (!terminal->is_leaving || !terminal->options->is_quiet)
        tell("Connection to %s closed", address);
    if (owed > 0)
        tell("%" PRIu64 " %s not answered", owed, owed == 1 ? "request was" : "requests were");
}

/* The conversation has ended: by the user's will, or by what the next line will have to repair. */
static void end_conversation(struct terminal *terminal)
{
    const enum conversation_end end = conversation_ended(terminal->conversation);
    if (end == CONVERSATION_BUSY) { /* told already */
        note(terminal, EXIT_STATUS_UNREACHABLE);
        terminal->done = true;
        return;
    }
    tell_end(terminal);
    if (end == CONVERSATION_TIMED_OUT)
        note(terminal, EXIT_STATUS_TIMEOUT);
    else if (end == CONVERSATION_OUT_OF_MEMORY)
        note(terminal, EXIT_STATUS_IO);
    else if (conversation_owed(terminal->conversation) > 0)
        note(terminal, EXIT_STATUS_LOST);
    terminal->must_give_back = terminal->unsent != NULL;
    conversation_close(terminal->conversation);
    terminal->conversation = NULL;
    if (terminal->is_leaving)
        terminal->done = true;
}

static void take_reply(struct terminal *terminal, const struct frame *reply)
{
    if (protocol_is_error(reply->message, reply->size))
        note(terminal, EXIT_STATUS_ERROR_REPLY);
    if (!conversation_is_null_operation(terminal->conversation, reply))
        output_reply(terminal->output, reply->message, reply->size);
}

static void take_events(struct terminal *terminal)
{
    struct frame frame;
    for (;;) {
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
    if (prompt_is_shown() && revents)
        prompt_read();
    else if (revents & (POLLHUP | POLLERR)) /* nobody is there any more */
        leave(terminal);
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
    enum { AT_SIGNALS, AT_KEYS, AT_OUTPUT, AT_SOCKET, POLLED };
    struct output *output = terminal->output;
    const bool is_polled_output = !output->is_terminal && !output->is_file;
    struct pollfd polled[POLLED] = {
        [AT_SIGNALS] = {.fd = terminal->signals, .events = POLLIN},
        [AT_KEYS] = {.fd = terminal->is_leaving ? -1 : STDIN_FILENO,
                     .events = prompt_is_shown() ? POLLIN : 0},
        [AT_OUTPUT] = {.fd = is_polled_output ? STDOUT_FILENO : -1,
                       .events = output_is_waiting(output) ? POLLOUT : 0},
        [AT_SOCKET] = {.fd = -1},
    };
    int wait_ms = -1;
    if (terminal->conversation) {
        conversation_poll(terminal->conversation, !output_is_full(output), &polled[AT_SOCKET]);
        wait_ms = conversation_wait_ms(terminal->conversation);
    }
    poll(polled, POLLED, wait_ms);

    if (polled[AT_SIGNALS].revents)
        take_signals(terminal);
    take_output_state(terminal, polled[AT_OUTPUT].revents);
    if (terminal->conversation) {
        conversation_step(terminal->conversation, polled[AT_SOCKET].revents);
        take_events(terminal);
    }
    take_keys(terminal, polled[AT_KEYS].revents);
}

/* What standard output has not taken yet, when it is no terminal and slow. */
static void drain_output(struct terminal *terminal)
{
    struct output *output = terminal->output;
    if (output_is_waiting(output) && !output_flush_all(output))
        fail_output(terminal);
}

enum exit_status terminal_run(struct conversation *conversation, const struct options *options,
                              struct output *output)
{
    struct terminal terminal = {.options = options,
                                .output = output,
                                .conversation = conversation,
                                .status = EXIT_STATUS_ANSWERED};
    if (!own_signals(&terminal) || !prompt_open(take_entered, &terminal)) {
        report_io("use", "the terminal", errno);
        conversation_close(conversation);
        return EXIT_STATUS_IO;
    }
    if (!options->is_quiet)
        tell("Please enter 'quit' to exit");
    while (!terminal.done) {
        send_entered(&terminal);
        show_prompt(&terminal);
        if (!terminal.done)
            wait_and_act(&terminal);
    }
    if (terminal.is_unreachable)
        note(&terminal, EXIT_STATUS_UNREACHABLE);
    prompt_close();
    sigprocmask(SIG_SETMASK, &terminal.mask_before, NULL);
    drain_output(&terminal);
    conversation_close(terminal.conversation);
    free(terminal.entered);
    close(terminal.signals);
    return terminal.status;
}
