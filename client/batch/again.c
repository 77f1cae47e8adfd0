/*
 * again: what each end promises of the requests without a reply, and the steps to the next
 * conversation.
 */
#include "client/batch/again.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"

void again_init(struct again *again, const struct connect_retries *retries,
                const struct options *options)
{
    *again = (struct again){.options = options, .retries = *retries};
}

void again_fini(struct again *again) { connect_abandon(again->attempt); }

/* A server that is gone is not asked for its word, unless nothing was sent over this connection:
 * then nothing of it was run. */
static bool may_be_repeated(const struct again *again, const struct conversation *conversation)
{
    return again->options->again == OPTIONS_AGAIN_LOST ||
           (again->options->again == OPTIONS_AGAIN_STOPPING && again->has_resumed &&
            !conversation_has_sent(conversation));
}

bool again_goes_on(const struct again *again, const struct conversation *conversation)
{
    if (!conversation_can_resume(conversation))
        return false;
    switch (conversation_ended(conversation)) {
    case CONVERSATION_STOPPING:
        return again->options->again != OPTIONS_AGAIN_NEVER;
    case CONVERSATION_BUSY: /* it has read nothing */
        return again->options->waits || again->has_resumed;
    case CONVERSATION_CLOSED:
    case CONVERSATION_LOST:
        return may_be_repeated(again, conversation);
    default:
        return false;
    }
}

bool again_begin(struct again *again, struct conversation *conversation)
{
    uint64_t replies = conversation_replies(conversation);
    bool is_first = !again->has_resumed && conversation_ended(conversation) != CONVERSATION_BUSY;
    if (is_first || replies != again->replies) {
        again->retries = connect_retries(again->options);
        again->is_retry = false;
    } else {
        if (!connect_put_off(&again->retries))
            return false;
        again->is_retry = again->has_resumed;
    }
    conversation_hang_up(conversation);
    again->replies = replies;
    again->awaits_input = conversation_owed(conversation) == 0;
    again->is_under_way = true;
    again->why = (struct error){0};
    return true;
}

void again_poll(const struct again *again, struct pollfd *fd)
{
    *fd = (struct pollfd){.fd = again->attempt ? connect_fd(again->attempt) : -1, .events = POLLIN};
}

int again_wait_ms(const struct again *again, const struct input *input)
{
    bool is_silent = again->awaits_input && input_look(input) == INPUT_REST_UNKNOWN;
    if (!again->is_under_way || is_silent || again->attempt)
        return -1;
    return clock_wait_ms(again->retries.next_ms - clock_ms());
}

static enum again_outcome end(struct again *again, enum again_outcome outcome)
{
    again->is_under_way = false;
    return outcome;
}

static enum again_outcome try_later(struct again *again)
{
    return connect_put_off(&again->retries) ? AGAIN_NOT_YET : end(again, AGAIN_FAILED);
}

static enum again_outcome start(struct again *again)
{
    struct conversation_settings settings = connect_settings(&again->retries, again->options);
    bool is_told = again->is_retry;
    again->attempt = connect_start(&settings);
    if (!again->attempt) {
        error_set(&again->why, "%s", strerror(errno));
        return try_later(again);
    }
    again->is_retry = true;
    return is_told ? AGAIN_NOT_YET : AGAIN_TELL;
}

static enum again_outcome finish(struct again *again, struct conversation **conversation)
{
    enum conversation_opening opening;
    struct conversation *next = connect_finish(again->attempt, &opening, &again->why);
    again->attempt = NULL;
    if (!next && (opening == CONVERSATION_UNREACHABLE || opening == CONVERSATION_UNKNOWN_HOST))
        return try_later(again);
    if (!next) {
        again->is_untrusted = opening == CONVERSATION_UNTRUSTED;
        return end(again, AGAIN_FAILED);
    }
    conversation_resume(next, *conversation);
    conversation_close(*conversation);
    *conversation = next;
    again->has_resumed = true;
    return end(again, AGAIN_RESUMED);
}

enum again_outcome again_step(struct again *again, struct conversation **conversation,
                              const struct input *input, short revents)
{
    if (again->attempt)
        return revents ? finish(again, conversation) : AGAIN_NOT_YET;
    if (again->awaits_input) {
        enum input_rest rest = input_look(input);
        if (rest == INPUT_REST_NONE)
            return end(again, AGAIN_OVER);
        if (rest == INPUT_REST_UNKNOWN)
            return AGAIN_NOT_YET;
        again->awaits_input = false;
    }
    return clock_ms() >= again->retries.next_ms ? start(again) : AGAIN_NOT_YET;
}
