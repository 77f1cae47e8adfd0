/*
 * batch: one poll(2) on the input, the socket and standard output; each round does what is ready.
 */
#include "client/batch.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "client/report.h"
#include "common/protocol.h"

#define INPUT_END_WAIT_MS 1000

struct batch {
    struct conversation *conversation;
    struct input *input;
    struct output *output;
    bool input_ended;
    bool input_awaited; /* it has to be read before there is another message */
    bool done;
    enum exit_status status;
};

enum { AT_SOCKET, AT_INPUT, AT_OUTPUT, POLLED };

static void note(struct batch *batch, enum exit_status status)
{
    batch->status = exit_status_first(batch->status, status);
}

static void end_input(struct batch *batch)
{
    batch->input_ended = true;
    if (batch->input->failure) {
        report_io("read", "standard input", batch->input->failure);
        note(batch, EXIT_STATUS_IO);
    }
    conversation_quit(batch->conversation);
}

static void ask(struct batch *batch, const char *text, size_t size)
{
    const char *why = NULL;
    const enum conversation_asked asked = conversation_ask(batch->conversation, text, size, &why);
    if (asked == CONVERSATION_ASKED)
        return;
    report_not_sent(batch->input->unit, conversation_requests(batch->conversation) + 1, why);
    note(batch, asked == CONVERSATION_REFUSED ? EXIT_STATUS_NOT_CARRIED : EXIT_STATUS_IO);
    end_input(batch);
}

/* Takes messages from the input while they are there and welcome. */
static void feed(struct batch *batch)
{
    batch->input_awaited = false;
    while (!batch->input_ended && !batch->input_awaited &&
           conversation_takes_requests(batch->conversation)) {
        const char *text = NULL;
        size_t size = 0;
        switch (batch->input->next(batch->input, &text, &size)) {
        case INPUT_MESSAGE:
            ask(batch, text, size);
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

/* Whether the connection ended too early for the input. An input that is open may have more, but
 * where the server announced the end, as it does to idle clients, there is nothing that it
 * failed to do. Without that, the end of the input may be on its way: whoever wrote the last
 * line is about to close it. */
static bool has_input_left(const struct batch *batch)
{
    if (batch->input_ended)
        return false;
    const bool was_announced = conversation_was_announced(batch->conversation);
    const enum input_rest rest =
        batch->input->rest(batch->input, was_announced ? 0 : INPUT_END_WAIT_MS);
    return rest == INPUT_REST_SOME || (rest == INPUT_REST_UNKNOWN && !was_announced);
}

static void judge_end(struct batch *batch)
{
    enum exit_status status = EXIT_STATUS_ANSWERED;
    switch (conversation_ended(batch->conversation)) {
    case CONVERSATION_GOES_ON:
        return;
    case CONVERSATION_BUSY: /* told when the frame came */
        note(batch, EXIT_STATUS_UNREACHABLE);
        return;
    case CONVERSATION_CLOSED:
        status = has_input_left(batch) ? EXIT_STATUS_LOST : EXIT_STATUS_ANSWERED;
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
        report_unfinished(batch->conversation, batch->input->unit);
    note(batch, status);
}

static void take_reply(struct batch *batch, const struct frame *reply)
{
    if (protocol_is_error(reply->message, reply->size))
        note(batch, EXIT_STATUS_ERROR_REPLY);
    if (!conversation_is_null_operation(batch->conversation, reply))
        output_reply(batch->output, reply->message, reply->size);
}

static void take_events(struct batch *batch)
{
    struct frame frame;
    for (;;) {
        switch (conversation_next(batch->conversation, &frame)) {
        case CONVERSATION_REPLY:
            take_reply(batch, &frame);
            break;
        case CONVERSATION_UNASKED:
            report_unasked(batch->conversation, frame.message, frame.size);
            note(batch, EXIT_STATUS_ERROR_REPLY);
            break;
        case CONVERSATION_NOTHING:
            return;
        case CONVERSATION_END:
            batch->done = true;
            return;
        }
    }
}

static void fail_output(struct batch *batch)
{
    /* As any writer into a pipe that nobody reads; also where SIGPIPE was not delivered, as to a
     * poll(2). */
    if (batch->output->failure == EPIPE)
        raise(SIGPIPE);
    report_io("write", "standard output", batch->output->failure);
    note(batch, EXIT_STATUS_IO);
    batch->done = true;
}

/* Writes, but not while more replies are there to be read and little is gathered. */
static void flush(struct batch *batch, const struct pollfd *polled)
{
    if (polled[AT_OUTPUT].revents & (POLLERR | POLLHUP) && !output_is_waiting(batch->output))
        batch->output->failure = EPIPE;
    const bool is_more_ready = polled[AT_SOCKET].revents & POLLIN;
    if (!is_more_ready || output_is_large(batch->output))
        output_flush(batch->output);
    if (batch->output->failure)
        fail_output(batch);
}

static void wait_for_something(struct batch *batch, struct pollfd *polled)
{
    const bool wants_input = batch->input_awaited && !batch->input_ended;
    polled[AT_INPUT] = (struct pollfd){.fd = wants_input ? batch->input->fd : -1, .events = POLLIN};
    /* Without events it tells that nobody reads any more, before there is something to write. */
    polled[AT_OUTPUT] = (struct pollfd){.fd = batch->output->is_file ? -1 : STDOUT_FILENO,
                                        .events = output_is_waiting(batch->output) ? POLLOUT : 0};
    conversation_poll(batch->conversation, !output_is_full(batch->output), &polled[AT_SOCKET]);
    /* A file takes bytes at any time, and is written to when the socket has nothing more. */
    const bool has_work = batch->output->is_file && output_is_waiting(batch->output);
    poll(polled, POLLED, has_work ? 0 : conversation_wait_ms(batch->conversation));
}

/* The end of the conversation is not the end of what has to be written. */
static void drain_output(struct batch *batch)
{
    while (output_is_waiting(batch->output)) {
        struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
        if (!batch->output->is_file)
            poll(&fd, 1, -1);
        if (!output_flush(batch->output))
            fail_output(batch);
    }
}

enum exit_status batch_run(struct conversation *conversation, struct input *input,
                           struct output *output)
{
    struct batch batch = {.conversation = conversation,
                          .input = input,
                          .output = output,
                          .status = EXIT_STATUS_ANSWERED};
    while (!batch.done) {
        struct pollfd polled[POLLED];
        feed(&batch);
        wait_for_something(&batch, polled);
        conversation_step(conversation, polled[AT_SOCKET].revents);
        take_events(&batch);
        flush(&batch, polled);
        if (polled[AT_INPUT].revents)
            input->read(input);
    }
    drain_output(&batch);
    judge_end(&batch);
    return batch.status;
}
