/* batch: one poll(2) on the input, the socket, standard output and signals. */
#include "client/batch/batch.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/batch/input.h"
#include "client/batch/progress.h"
#include "client/report.h"
#include "client/signals.h"
#include "client/stopwatch.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/protocol.h"

#define INPUT_END_WAIT_MS 1000

struct batch {
    struct conversation *conversation;
    struct input input;
    bool takes_lines;  /* nothing has to be done for each request, or for each reply */
    bool gives_blocks; /* as they came, since a reply may have several lines, or none */
    struct output *output;
    struct progress progress;
    struct stopwatch stopwatch;
    struct signals signals;
    bool input_ended;
    bool input_awaited;  /* it must be read before there is another message */
    bool is_inside;      /* a message, of which pieces were sent */
    bool is_cut;         /* the input ended too early: we could not send or read it */
    bool is_over;        /* the conversation; there may still be output to write */
    bool is_interrupted; /* by a signal */
    bool done;
    enum exit_status status;
    uint64_t errors;
    uint64_t first_error; /* the number of its request */
    char first_error_text[ESCAPE_SIZE];
};

enum { AT_SOCKET, AT_INPUT, AT_OUTPUT, AT_SIGNALS, POLLED };

static void note(struct batch *batch, enum exit_status status)
{
    batch->status = exit_status_first(batch->status, status);
}

static void end_input(struct batch *batch)
{
    batch->input_ended = true;
    if (batch->input.failure) {
        batch->is_cut = true;
        progress_erase(&batch->progress);
        report_io("read", "standard input", batch->input.failure);
        note(batch, EXIT_STATUS_IO);
    }
    conversation_quit(batch->conversation);
}

/* A message that can't be sent ends the input. */
static void refuse(struct batch *batch, enum exit_status status, const char *why)
{
    uint64_t number = conversation_requests(batch->conversation) + !batch->is_inside;
    progress_erase(&batch->progress);
    report_not_sent(batch->input.unit, number, why);
    note(batch, status);
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
    note(batch, EXIT_STATUS_IO);
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

/* Whether the connection ended too early for the input. A silent input may still have more. If the
 * server announced the end, as it does to idle clients, it has left nothing undone. Otherwise the
 * end of the input may be on its way: the writer of the last line is about to close it. */
static bool has_input_left(struct batch *batch)
{
    if (batch->input_ended)
        return false;
    bool was_announced = conversation_was_announced(batch->conversation);
    enum input_rest rest = input_rest(&batch->input, was_announced ? 0 : INPUT_END_WAIT_MS);
    return rest == INPUT_REST_SOME || (rest == INPUT_REST_UNKNOWN && !was_announced);
}

static void judge_end(struct batch *batch)
{
    enum exit_status status = EXIT_STATUS_ANSWERED;
    switch (conversation_ended(batch->conversation)) {
    case CONVERSATION_GOES_ON:
        return;
    case CONVERSATION_BUSY: /* reported when the frame came */
        note(batch, EXIT_STATUS_UNREACHABLE);
        return;
    case CONVERSATION_CLOSED:
        status = has_input_left(batch) ? EXIT_STATUS_LOST : EXIT_STATUS_ANSWERED;
        break;
    case CONVERSATION_TLS_REQUIRED:
    case CONVERSATION_NO_GREETING:
        status = EXIT_STATUS_UNREACHABLE;
        break;
    case CONVERSATION_DENIED:
        status = EXIT_STATUS_TRUST;
        break;
    case CONVERSATION_STOPPING: /* unless everything was asked and answered */
        status = conversation_owed(batch->conversation) > 0 || has_input_left(batch)
                     ? EXIT_STATUS_LOST
                     : EXIT_STATUS_ANSWERED;
        break;
    case CONVERSATION_LOST:
        status = EXIT_STATUS_LOST;
        break;
    case CONVERSATION_TIMED_OUT:
        status = EXIT_STATUS_TIMEOUT;
        break;
    case CONVERSATION_OUT_OF_MEMORY:
        status = EXIT_STATUS_IO;
        break;
    }
    if (status != EXIT_STATUS_ANSWERED)
        report_end(batch->conversation);
    note(batch, status);
}

/* Whether the reply to some request was not written, so that a second run could go on with it. */
static bool has_unanswered(const struct batch *batch)
{
    if (conversation_owed(batch->conversation) > 0 || output_unwritten(batch->output) > 0 ||
        batch->is_cut)
        return true;
    bool is_finished =
        batch->status == EXIT_STATUS_ANSWERED || batch->status == EXIT_STATUS_ERROR_REPLY;
    return !batch->input_ended && (batch->is_interrupted ? !batch->input_awaited : !is_finished);
}

/* Messages of the command line are few: their replies can be counted by eye. */
static bool is_worth_a_summary(const struct batch *batch)
{
    if (conversation_requests(batch->conversation) == 0)
        return false;
    if (!batch->input.is_script)
        return batch->status == EXIT_STATUS_LOST || batch->status == EXIT_STATUS_TIMEOUT;
    return batch->status != EXIT_STATUS_ANSWERED ||
           (batch->is_interrupted && has_unanswered(batch));
}

static void sum_up(const struct batch *batch)
{
    if (!is_worth_a_summary(batch))
        return;
    uint64_t received = conversation_replies(batch->conversation);
    uint64_t unwritten = output_unwritten(batch->output);
    struct report_summary summary = {
        .unit = batch->input.unit,
        .sent = conversation_requests(batch->conversation),
        .received = received,
        .unwritten = unwritten < received ? unwritten : received,
        .has_unanswered = has_unanswered(batch),
        .errors = batch->errors,
        .first_error = batch->first_error,
        .first_error_text = batch->first_error_text,
    };
    report_summary(&summary);
}

static void count_error(struct batch *batch, const struct frame *reply)
{
    note(batch, EXIT_STATUS_ERROR_REPLY);
    if (batch->errors++ > 0)
        return;
    batch->first_error = conversation_replies(batch->conversation);
    escape_text(reply->message, reply->size, batch->first_error_text);
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
            progress_erase(&batch->progress);
            report_unasked(batch->conversation, frame.message, frame.size);
            note(batch, EXIT_STATUS_ERROR_REPLY);
            break;
        case CONVERSATION_NOTHING:
            return;
        case CONVERSATION_END:
            batch->is_over = true;
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
    note(batch, EXIT_STATUS_IO);
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
    bool wants_input = batch->input_awaited && !batch->input_ended && !batch->is_over;
    polled[AT_INPUT] = (struct pollfd){.fd = wants_input ? batch->input.fd : -1, .events = POLLIN};
    polled[AT_SIGNALS] = (struct pollfd){.fd = batch->signals.fd, .events = POLLIN};
    output_poll(batch->output, &polled[AT_OUTPUT]);
    conversation_poll(batch->conversation, !output_is_full(batch->output), &polled[AT_SOCKET]);
    /* A file takes bytes at any time, so it is written to when the socket has no more replies. */
    bool has_work = batch->output->is_file && output_is_waiting(batch->output);
    int wait_ms = clock_shorter_ms(conversation_wait_ms(batch->conversation),
                                   progress_wait_ms(&batch->progress));
    poll(polled, POLLED, has_work ? 0 : wait_ms);
}

static void do_what_is_ready(struct batch *batch, const struct pollfd *polled)
{
    conversation_step(batch->conversation, polled[AT_SOCKET].revents);
    take_events(batch);
    flush(batch, polled);
    show_progress(batch);
    if (polled[AT_INPUT].revents)
        input_read(&batch->input);
    if (polled[AT_SIGNALS].revents) {
        batch->is_interrupted = true;
        batch->done = true;
    }
}

enum exit_status batch_run(struct conversation *conversation, const struct options *options,
                           struct output *output)
{
    struct batch batch = {
        .conversation = conversation,
        .output = output,
        .takes_lines = !output->is_terminal && !options->wants_times,
        .gives_blocks = options->conversation.codec == FRAME_BLOCK && !*options->messages,
        .status = EXIT_STATUS_ANSWERED,
    };
    input_init(&batch.input, options, batch.takes_lines);
    if (!stopwatch_init(&batch.stopwatch, options->wants_times, batch.input.unit)) {
        report_io("measure", "times", ENOMEM);
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
    judge_end(&batch);
    stopwatch_sum_up(&batch.stopwatch);
    sum_up(&batch);
    stopwatch_fini(&batch.stopwatch);
    input_fini(&batch.input);
    signals_fini(&batch.signals);
    return batch.status;
}
