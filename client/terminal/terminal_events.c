/* terminal_events: replies, and whatever else the server says, with its end. */
#include "client/terminal/notices.h"
#include "client/terminal/prompt.h"
#include "client/terminal/terminal_state.h"
#include "common/clock.h"
#include "common/protocol.h"

void terminal_print_replies(struct terminal *terminal)
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
        terminal_fail_output(terminal);
}

/* The conversation has ended: by the user's will, or the next line will open another one. */
static void take_end(struct terminal *terminal)
{
    enum exit_status status =
        link_take_end(&terminal->link, terminal->is_leaving, &terminal->paste);
    if (link_is_opening(&terminal->link))
        return;
    terminal_note(terminal, status);
    terminal->must_give_back = true;
    if (terminal->is_leaving || status == EXIT_STATUS_UNREACHABLE || status == EXIT_STATUS_TRUST)
        terminal->done = true;
}

static void take_reply(struct terminal *terminal, const struct frame *reply)
{
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    struct owed request = link_take_owed(&terminal->link);
    if (protocol_is_error(reply->message, reply->size)) {
        terminal_note(terminal, EXIT_STATUS_ERROR_REPLY);
        terminal->must_give_back |= terminal->options->stops_on_error;
    }
    if (request.is_given_up) {
        terminal_print_replies(terminal); /* those before it */
        notice_late(&request, now_ns);
    }
    if (!conversation_is_silent(terminal->link.conversation, reply))
        output_reply(terminal->output, reply->message, reply->size);
    if (stopwatch_runs(&terminal->stopwatch)) {
        terminal_print_replies(terminal);
        if (terminal->done) /* it could not be printed */
            return;
        stopwatch_add(&terminal->stopwatch, now_ns - request.at_ns);
        notice_time(now_ns - request.at_ns);
    }
}

void terminal_take_events(struct terminal *terminal)
{
    struct frame frame;
    while (!terminal->done) {
        switch (conversation_next(terminal->link.conversation, &frame)) {
        case CONVERSATION_REPLY:
            take_reply(terminal, &frame);
            break;
        case CONVERSATION_UNASKED:
            terminal_print_replies(terminal);
            notice_unasked(terminal->link.conversation, &frame);
            terminal_note(terminal, EXIT_STATUS_ERROR_REPLY);
            break;
        case CONVERSATION_GREETING:
            if (!terminal->options->is_quiet)
                notice_greeted(terminal->link.conversation, &frame);
            break;
        case CONVERSATION_FRAGMENT:
            terminal_print_replies(terminal);
            notice_fragment(terminal->link.conversation, &frame);
            terminal_note(terminal, EXIT_STATUS_ERROR_REPLY);
            break;
        case CONVERSATION_SILENCE:
            if (!terminal->options->is_quiet)
                notice_silence(terminal->link.conversation);
            break;
        case CONVERSATION_NOTHING:
            terminal_print_replies(terminal);
            return;
        case CONVERSATION_END:
            terminal_print_replies(terminal);
            take_end(terminal);
            return;
        }
    }
}
