/*
 * batch_end: what the end of a conversation means for the input, and the summary.
 */
#include "client/batch/batch_state.h"
#include "client/report.h"

#define INPUT_END_WAIT_MS 1000

void batch_note(struct batch *batch, enum exit_status status)
{
    batch->status = exit_status_first(batch->status, status);
}

/* Whether the connection ended too early for the input. A silent input may still have more, but its
 * end may be on its way: the writer of the last line is about to close it. */
static bool has_input_left(struct batch *batch)
{
    if (batch->input_ended)
        return false;
    return input_rest(&batch->input, INPUT_END_WAIT_MS) != INPUT_REST_NONE;
}

/* Everything was answered, but is it all of the input? */
static void judge_rest(struct batch *batch)
{
    bool is_stopped = batch->stops_on_error && batch->errors > 0; /* in front of such a word */
    if (is_stopped || !input_has_more_behind_quit(&batch->input))
        return;
    report_behind_quit(conversation_requests(batch->conversation) + 2);
    batch_note(batch, EXIT_STATUS_NOT_CARRIED);
}

void batch_judge_end(struct batch *batch)
{
    enum exit_status status = EXIT_STATUS_ANSWERED;
    switch (conversation_ended(batch->conversation)) {
    case CONVERSATION_GOES_ON:
        return;
    case CONVERSATION_BUSY:
        status = batch->again.has_resumed && conversation_replies(batch->conversation) > 0
                     ? EXIT_STATUS_LOST
                     : EXIT_STATUS_UNREACHABLE;
        break;
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
    else
        judge_rest(batch);
    batch_note(batch, status);
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
        return batch->status == EXIT_STATUS_LOST || batch->status == EXIT_STATUS_TIMEOUT ||
               (batch->stops_on_error && batch->errors > 0);
    return batch->status != EXIT_STATUS_ANSWERED ||
           (batch->is_interrupted && has_unanswered(batch));
}

void batch_sum_up(const struct batch *batch)
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
