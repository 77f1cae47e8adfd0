/*
 * terminal: one poll(2) on signals, the keyboard, the server and standard output.
 *
 * What was entered is sent line by line, as the server takes it; what could not be sent goes back
 * to the prompt.
 */
#include "client/terminal/terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "client/report.h"
#include "client/terminal/history.h"
#include "client/terminal/notices.h"
#include "client/terminal/prompt.h"
#include "client/terminal/terminal_state.h"
#include "common/clock.h"

/* ---- signals ---- */

/* The user wants the prompt, whatever is on its way. */
static void stop_waiting(struct terminal *terminal)
{
    notice_interrupted();
    link_give_up(&terminal->link);
    terminal->must_give_back = true;
}

static void interrupt(struct terminal *terminal)
{
    if (terminal->is_leaving)
        terminal_die_of(terminal, SIGINT);
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
            prompt_suspend();
            break;
        case SIGCONT:
            prompt_continue();
            break;
        case SIGWINCH:
            prompt_resize();
            break;
        default:
            terminal_die_of(terminal, number);
        }
    }
}

/* ---- what the user enters ---- */

static void leave(struct terminal *terminal)
{
    terminal->is_leaving = true;
    link_start_wait(&terminal->link);
    paste_drop(&terminal->paste);
    if (terminal->link.conversation)
        conversation_quit(terminal->link.conversation);
    else
        terminal->done = true;
}

static void remember(const struct paste_line *line)
{
    struct error error;
    if (!history_add(line->text, line->size, &error))
        report(error.text); /* no prompt is shown while lines are taken */
}

static void take_entered(void *context, char *text)
{
    struct terminal *terminal = context;
    terminal->shown_requests = 1;
    terminal->must_give_back = false;
    link_start_wait(&terminal->link);
    if (!text) { /* Ctrl-D, or the terminal is gone */
        fputc('\n', prompt_screen());
        leave(terminal);
        return;
    }
    size_t count;
    paste_set(&terminal->paste, text);
    paste_walk(&terminal->paste, terminal->options, remember, &count);
}

/* One Enter sends all lines of a paste, so their number is shown before. */
static void tell_requests(struct terminal *terminal)
{
    struct paste at_prompt = {.next = prompt_text()};
    size_t count;
    bool is_quitting = paste_walk(&at_prompt, terminal->options, NULL, &count);
    size_t shown = count + is_quitting;
    if (shown > 1 && shown != terminal->shown_requests)
        notice_requests(count, is_quitting);
    terminal->shown_requests = shown;
}

/* Sends a line, or gives it back with those behind it. */
static void ask(struct terminal *terminal, const struct paste_line *line)
{
    const char *why = NULL;
    bool is_as_it_is = line->size > 0 && *line->text == PASTE_AS_IT_IS;
    const char *text = line->text + is_as_it_is;
    size_t size = line->size - is_as_it_is;
    enum conversation_asked asked = conversation_ask(terminal->link.conversation, text, size, &why);
    paste_take(&terminal->paste);
    if (asked == CONVERSATION_ASKED) {
        if (!owed_add(&terminal->link.owed, text, size, clock_ns(CLOCK_MONOTONIC)))
            terminal_fail(terminal, "remember", "what was asked", ENOMEM);
        return;
    }
    notice_not_sent(text, size, why);
    terminal_note(terminal,
                  asked == CONVERSATION_REFUSED ? EXIT_STATUS_NOT_CARRIED : EXIT_STATUS_IO);
    terminal->must_give_back = true;
}

/* Sends what was entered, as far as the conversation takes it. */
static void send_entered(struct terminal *terminal)
{
    struct link *link = &terminal->link;
    struct paste_line line;
    while (!terminal->must_give_back && !link_is_opening(link) && !terminal->done &&
           paste_peek(&terminal->paste, &line)) {
        if (options_is_quit(terminal->options, line.text, line.size))
            leave(terminal);
        else if (!link->conversation)
            terminal->must_give_back = !link_connect(link);
        else if (conversation_takes_requests(link->conversation))
            ask(terminal, &line);
        else
            return;
    }
}

/* Asks for the next line, unless something is awaited. */
static void show_prompt(struct terminal *terminal)
{
    struct paste_line unsent;
    bool has_unsent = paste_peek(&terminal->paste, &unsent);
    if ((prompt_is_shown() && !has_unsent) || terminal->is_leaving ||
        link_is_awaited(&terminal->link) || (has_unsent && !terminal->must_give_back))
        return;
    terminal->must_give_back = false;
    prompt_show(has_unsent ? unsent.text : NULL);
    paste_drop(&terminal->paste);
    tell_requests(terminal);
}

/* ---- all together ---- */

static void take_keys(struct terminal *terminal, short revents)
{
    if (prompt_is_shown() && revents) {
        prompt_read();
        if (prompt_is_shown())
            tell_requests(terminal);
    } else if (revents & (POLLHUP | POLLERR)) { /* the terminal is gone */
        leave(terminal);
    }
}

enum { AT_SIGNALS, AT_KEYS, AT_OUTPUT, AT_SOCKET, AT_ATTEMPT, POLLED };

static void wait_for_something(struct terminal *terminal, struct pollfd *polled)
{
    struct link *link = &terminal->link;
    polled[AT_SIGNALS] = (struct pollfd){.fd = terminal->signals.fd, .events = POLLIN};
    polled[AT_KEYS] = (struct pollfd){.fd = terminal->is_leaving ? -1 : STDIN_FILENO,
                                      .events = prompt_is_shown() ? POLLIN : 0};
    output_poll(terminal->output, &polled[AT_OUTPUT]);
    if (terminal->output->is_terminal) /* the keyboard says when that is gone */
        polled[AT_OUTPUT].fd = -1;
    int wait_ms = clock_shorter_ms(link_show_wait(link, terminal->is_leaving), link_wait_ms(link));
    link_poll(link, !output_is_full(terminal->output), &polled[AT_SOCKET], &polled[AT_ATTEMPT]);
    if (link->conversation)
        wait_ms = clock_shorter_ms(wait_ms, conversation_wait_ms(link->conversation));
    poll(polled, POLLED, wait_ms);
}

/* On the way to a conversation. */
static void go_on(struct terminal *terminal, short revents)
{
    if (link_step(&terminal->link, revents))
        return;
    terminal->must_give_back = true;
    terminal->done |= !terminal->link.is_later;
}

static void do_what_is_ready(struct terminal *terminal, const struct pollfd *polled)
{
    struct link *link = &terminal->link;
    if (polled[AT_SIGNALS].revents)
        take_signals(terminal);
    output_check(terminal->output, polled[AT_OUTPUT].revents);
    if (polled[AT_OUTPUT].revents)
        terminal_print_replies(terminal);
    if (link->conversation) {
        conversation_step(link->conversation, polled[AT_SOCKET].revents);
        terminal_take_events(terminal);
    }
    if (link_is_opening(link)) /* unless it was just given up */
        go_on(terminal, polled[AT_ATTEMPT].revents);
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
    if (!options->is_quiet) {
        notice_identity(terminal->link.conversation);
        notice_greeting(options->is_literal);
    }
    return true;
}

static void end(struct terminal *terminal)
{
    terminal_note(terminal, terminal->link.no_connection);
    notice_times(&terminal->stopwatch);
    prompt_close();
    report_to(NULL);
    signals_fini(&terminal->signals);
    /* What standard output has not taken yet: it is no terminal, and slow. */
    if (output_is_waiting(terminal->output) && !output_flush_all(terminal->output))
        terminal_fail_output(terminal);
    history_close();
}

enum exit_status terminal_run(struct conversation *conversation,
                              const struct connect_retries *retries, const struct options *options,
                              struct output *output)
{
    struct terminal terminal = {
        .options = options, .output = output, .status = EXIT_STATUS_ANSWERED};
    link_init(&terminal.link, conversation, retries, options);
    if (begin(&terminal)) {
        while (!terminal.done) {
            struct pollfd polled[POLLED];
            send_entered(&terminal);
            show_prompt(&terminal);
            if (terminal.done)
                break;
            wait_for_something(&terminal, polled);
            do_what_is_ready(&terminal, polled);
        }
        end(&terminal);
    } else {
        terminal_note(&terminal, EXIT_STATUS_IO);
    }
    paste_fini(&terminal.paste);
    stopwatch_fini(&terminal.stopwatch);
    link_fini(&terminal.link);
    return terminal.status;
}
