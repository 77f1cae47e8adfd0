/* batch: one poll(2) on the input, the socket, standard output and signals. */
#include "client/batch/batch.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/batch/batch_state.h"
#include "client/report.h"
#include "common/clock.h"
#include "common/protocol.h"

enum { AT_SOCKET, AT_INPUT, AT_OUTPUT, AT_SIGNALS, AT_ATTEMPT, POLLED };

static void end_input(struct batch *batch)
{
    batch->input_ended = true;
    if (batch->input.failure) {
        batch->is_cut = true;
        progress_erase(&batch->progress);
        report_io("read", "standard input", batch->input.failure);
        batch_note(batch, EXIT_STATUS_IO);
    }
    conversation_quit(batch->conversation);
}

/* A message that can't be sent ends the input. */
static void refuse(struct batch *batch, enum exit_status status, const char *why)
{
    uint64_t number = conversation_requests(batch->conversation) + !batch->is_inside;
    progress_erase(&batch->progress);
    report_not_sent(batch->input.unit, number, why);
    batch_note(batch, status);
    batch->is_cut = true;
    end_input(batch);
}

/* A request was queued, or its first piece. */
static void count_request(struct batch *batch)
{
    if (batch->is_inside || stopwatch_asked(&batch->stopwatch))
        return;
    progress_erase(&batch->progress);
    report_io("measure", "times", ENOMEM);
    batch_note(batch, EXIT_STATUS_IO);
}

static void ask(struct batch *batch, const char *text, size_t size)
{
    const char *why = NULL;
    enum conversation_asked asked = conversation_ask(batch->conversation, text, size, &why);
    if (asked == CONVERSATION_ASKED)
        count_request(batch);
    else
        refuse(batch, asked == CONVERSATION_REFUSED ? EXIT_STATUS_NOT_CARRIED : EXIT_STATUS_IO,
               why);
    batch->is_inside = false;
}

static void ask_lines(struct batch *batch, const char *lines, size_t size)
{
    if (!conversation_ask_lines(batch->conversation, lines, size, batch->input.line_count))
        refuse(batch, EXIT_STATUS_IO, "out of memory");
}

static void ask_piece(struct batch *batch, const char *text, size_t size)
{
    if (!conversation_begin(batch->conversation, text, size)) {
        refuse(batch, EXIT_STATUS_IO, "out of memory");
        return;
    }
    count_request(batch);
    batch->is_inside = true;
}

/* Takes messages from the input while they are there and welcome. */
static void feed(struct batch *batch)
{
    batch->input_awaited = false;
    stopwatch_read_clock(&batch->stopwatch);
    while (!batch->input_ended && !batch->input_awaited &&
           conversation_takes_requests(batch->conversation)) {
        const char *text = NULL;
        size_t size = 0;
        switch (input_next(&batch->input, &text, &size)) {
        case INPUT_MESSAGE:
            ask(batch, text, size);
            break;
        case INPUT_LINES:
            ask_lines(batch, text, size);
            break;
        case INPUT_PIECE:
            ask_piece(batch, text, size);
            break;
        case INPUT_NOT_YET:
            batch->input_awaited = true;
            break;
        case INPUT_END:
            end_input(batch);
            break;
        }
    }
}

/* It is the reply to the only request that was owed one. */
static void stop_on_error(struct batch *batch)
{
    batch->is_cut = input_rest(&batch->input, 0) == INPUT_REST_SOME;
    batch->input_ended = true;
    conversation_quit(batch->conversation);
}

static void count_error(struct batch *batch, const struct frame *reply)
{
    batch_note(batch, EXIT_STATUS_ERROR_REPLY);
    if (batch->errors++ > 0)
        return;
    batch->first_error = conversation_replies(batch->conversation);
    escape_text(reply->message, reply->size, batch->first_error_text);
    if (batch->stops_on_error && !batch->input_ended)
        stop_on_error(batch);
}

static void take_reply(struct batch *batch, const struct frame *reply)
{
    stopwatch_answered(&batch->stopwatch);
    if (protocol_is_error(reply->message, reply->size))
        count_error(batch, reply);
    if (batch->gives_blocks) {
        size_t size;
        const char *wire = conversation_wire(batch->conversation, &size);
        output_block(batch->output, wire, size);
    } else if (!conversation_is_silent(batch->conversation, reply)) {
        output_reply(batch->output, reply->message, reply->size);
    }
}

/* Takes most replies, by far. */
static void take_lines(struct batch *batch)
{
    const char *lines;
    size_t size;
    if (batch->takes_lines && conversation_next_lines(batch->conversation, &lines, &size) > 0)
        output_lines(batch->output, lines, size);
}

static void give_hint(struct batch *batch)
{
    if (batch->is_quiet)
        return;
    progress_erase(&batch->progress);
    report_silence(batch->conversation, batch->input_ended);
}

static void take_unasked(struct batch *batch, const struct frame *frame)
{
    progress_erase(&batch->progress);
    report_unasked(batch->conversation, frame->message, frame->size);
    batch_note(batch, EXIT_STATUS_ERROR_REPLY);
}

/* What is owed is lost with it, unless another conversation makes it good. */
static void take_fragment(struct batch *batch, const struct frame *frame)
{
    progress_erase(&batch->progress);
    report_fragment(batch->conversation, frame->message, frame->size);
    if (conversation_owed(batch->conversation) == 0)
        batch_note(batch, EXIT_STATUS_ERROR_REPLY);
}

static void take_end(struct batch *batch)
{
    bool has_more = conversation_owed(batch->conversation) > 0 || !batch->input_ended;
    batch->is_over = !has_more || !again_goes_on(&batch->again, batch->conversation) ||
                     !again_begin(&batch->again, batch->conversation);
}

/* Between two conversations. */
static void go_on(struct batch *batch, short revents)
{
    switch (again_step(&batch->again, &batch->conversation, &batch->input, revents)) {
    case AGAIN_TELL:
        progress_erase(&batch->progress);
        if (!batch->again.options->is_quiet)
            report_again(batch->conversation);
        break;
    case AGAIN_FAILED:
        progress_erase(&batch->progress);
        report_not_again(batch->again.why.text);
        if (batch->again.is_untrusted)
            batch_note(batch, EXIT_STATUS_TRUST);
        batch->is_over = true;
        break;
    case AGAIN_OVER:
        batch->is_over = true;
        break;
    case AGAIN_NOT_YET:
    case AGAIN_RESUMED:
        break;
    }
}

static void take_events(struct batch *batch)
{
    struct frame frame;
    stopwatch_read_clock(&batch->stopwatch);
    for (;;) {
        take_lines(batch);
        switch (conversation_next(batch->conversation, &frame)) {
        case CONVERSATION_REPLY:
            take_reply(batch, &frame);
            break;
        case CONVERSATION_UNASKED:
            take_unasked(batch, &frame);
            break;
        case CONVERSATION_GREETING:
            if (!batch->is_quiet) {
                progress_erase(&batch->progress);
                report_greeting(batch->conversation, frame.message, frame.size);
            }
            break;
        case CONVERSATION_FRAGMENT:
            take_fragment(batch, &frame);
            break;
        case CONVERSATION_SILENCE:
            give_hint(batch);
            break;
        case CONVERSATION_NOTHING:
            return;
        case CONVERSATION_END:
            take_end(batch);
            return;
        }
    }
}

static void fail_output(struct batch *batch)
{
    progress_erase(&batch->progress);
    /* Like any writer into a pipe that nobody reads. */
    if (batch->output->failure == EPIPE)
        signals_die_of(&batch->signals, SIGPIPE);
    report_io("write", "standard output", batch->output->failure);
    batch_note(batch, EXIT_STATUS_IO);
    batch->done = true;
}

/* Writes, unless more replies are ready to be read and there is little to write. */
static void flush(struct batch *batch, const struct pollfd *polled)
{
    struct output *output = batch->output;
    output_check(output, polled[AT_OUTPUT].revents);
    bool is_more_ready = polled[AT_SOCKET].revents & POLLIN;
    if (output_is_waiting(output) && (!is_more_ready || output_is_large(output))) {
        if (output->is_terminal)
            progress_erase(&batch->progress);
        output_flush(output);
    }
    if (stopwatch_has_many(&batch->stopwatch) ||
        (stopwatch_has_lines(&batch->stopwatch) && !output_is_waiting(output))) {
        progress_erase(&batch->progress);
        stopwatch_write(&batch->stopwatch);
    }
    if (output->failure)
        fail_output(batch);
    else if (batch->is_over && !output_is_waiting(output))
        batch->done = true;
}

static void show_progress(struct batch *batch)
{
    if (!progress_is_due(&batch->progress))
        return;
    bool is_owed = conversation_owed(batch->conversation) > 0;
    struct progress_state state = {
        .sent = conversation_requests(batch->conversation),
        .answered = conversation_replies(batch->conversation),
        .sent_share = input_share(&batch->input),
        .is_idle = batch->input_awaited && !is_owed,
    };
    progress_show(&batch->progress, &state);
}

static void wait_for_something(struct batch *batch, struct pollfd *polled)
{
    bool wants_input = (batch->input_awaited || batch->again.awaits_input) && !batch->input_ended &&
                       !batch->is_over;
    polled[AT_INPUT] = (struct pollfd){.fd = wants_input ? batch->input.fd : -1, .events = POLLIN};
    polled[AT_SIGNALS] = (struct pollfd){.fd = batch->signals.fd, .events = POLLIN};
    output_poll(batch->output, &polled[AT_OUTPUT]);
    conversation_poll(batch->conversation, !output_is_full(batch->output), &polled[AT_SOCKET]);
    again_poll(&batch->again, &polled[AT_ATTEMPT]);
    /* A file takes bytes at any time, so it is written to when the socket has no more replies. */
    bool has_work = batch->output->is_file && output_is_waiting(batch->output);
    /* It may have ended just now, for want of memory. */
    bool has_ended =
        !batch->is_over && !batch->again.is_under_way && conversation_ended(batch->conversation);
    int wait_ms = clock_shorter_ms(conversation_wait_ms(batch->conversation),
                                   progress_wait_ms(&batch->progress));
    poll(polled, POLLED,
         has_work || has_ended
             ? 0
             : clock_shorter_ms(wait_ms, again_wait_ms(&batch->again, &batch->input)));
}

static void do_what_is_ready(struct batch *batch, const struct pollfd *polled)
{
    if (polled[AT_INPUT].revents)
        input_read(&batch->input);
    if (batch->again.is_under_way) {
        go_on(batch, polled[AT_ATTEMPT].revents);
    } else {
        conversation_step(batch->conversation, polled[AT_SOCKET].revents);
        take_events(batch);
    }
    flush(batch, polled);
    show_progress(batch);
    if (polled[AT_SIGNALS].revents) {
        batch->is_interrupted = true;
        batch->done = true;
    }
}

enum exit_status batch_run(struct conversation *conversation, const struct connect_retries *retries,
                           const struct options *options, struct output *output)
{
    struct batch batch = {
        .conversation = conversation,
        .output = output,
        .takes_lines = !output->is_terminal && !options->wants_times && !options->stops_on_error,
        .gives_blocks = options->conversation.codec == FRAME_BLOCK && !*options->messages,
        .is_quiet = options->is_quiet,
        .stops_on_error = options->stops_on_error,
        .status = EXIT_STATUS_ANSWERED,
    };
    again_init(&batch.again, retries, options);
    input_init(&batch.input, options, batch.takes_lines);
    if (!stopwatch_init(&batch.stopwatch, options->wants_times, batch.input.unit)) {
        report_io("measure", "times", ENOMEM);
        conversation_close(conversation);
        return EXIT_STATUS_IO;
    }
    signals_init(&batch.signals, SIGNALS_BATCH); /* if it fails they end us at once */
    progress_init(&batch.progress, options->progress);
    while (!batch.done) {
        struct pollfd polled[POLLED];
        feed(&batch);
        wait_for_something(&batch, polled);
        do_what_is_ready(&batch, polled);
    }
    progress_erase(&batch.progress);
    if (!batch.again.is_under_way)
        batch_judge_end(&batch);
    stopwatch_sum_up(&batch.stopwatch);
    batch_sum_up(&batch);
    stopwatch_fini(&batch.stopwatch);
    input_fini(&batch.input);
    signals_fini(&batch.signals);
    again_fini(&batch.again);
    conversation_close(batch.conversation);
    return batch.status;
}
