/*
 * conversation_unanswered: what was sent is kept until it is answered, so that it can be sent again
 * over another connection.
 *
 * Requests are not looked at one by one for that. A mark is set behind those that were queued in a
 * row, and their bytes go when the last of them is answered. Only a new connection looks for the
 * first unanswered one, in the bytes before the first mark.
 */
#include <assert.h>
#include <stdint.h>

#include "client/conversation_state.h"
#include "common/clock.h"

/* Bytes that are kept; with more, no request is taken. It begins with what keeps a server at work
 * that is near, and grows while the way there and back is what takes long. */
#define FIRST_WINDOW ((size_t) 192 << 10)
#define LARGEST_WINDOW ((size_t) 32 << 20)
#define LONGEST_KEPT ((size_t) 1 << 20) /* if the replies may come behind it */
#define SILENT_MS 5                     /* that is long */
#define FAR_ROUNDS 3 /* windows in a row with such a silence: the server is far away */
#define GROWTH 4
#define BURST_PART 256                 /* of what was owed, in one piece: it was not the server */
#define MARK_BYTES ((size_t) 64 << 10) /* between two marks, at least */

static size_t at_most(size_t size, size_t limit) { return size < limit ? size : limit; }

static uint64_t head_byte(const struct conversation *conversation)
{
    return conversation->queued_bytes - buffer_size(&conversation->outgoing);
}

/* ---- marks ---- */

static struct conversation_mark *marks_of(const struct conversation *conversation, size_t *count)
{
    *count = buffer_size(&conversation->marks) / sizeof(struct conversation_mark);
    /* Aligned: they lie whole marks behind what malloc() returned. */
    return (struct conversation_mark *) (void *) buffer_head(&conversation->marks);
}

void conversation_mark(struct conversation *conversation)
{
    size_t count;
    struct conversation_mark *marks = marks_of(conversation, &count);
    struct conversation_mark *last = count > 0 ? &marks[count - 1] : NULL;
    struct conversation_mark mark = {conversation->requests, conversation->queued_bytes};
    uint64_t marked = last ? last->requests : conversation->head_requests;
    if (!conversation->keeps || conversation->is_begun || conversation->quit_queued ||
        marked == mark.requests)
        return;
    if (last && mark.bytes - conversation->mark_begin < MARK_BYTES) {
        *last = mark;
        return;
    }
    conversation->mark_begin = last ? last->bytes : head_byte(conversation);
    /* If memory is out, the next mark does for both. */
    buffer_append(&conversation->marks, &mark, sizeof mark);
}

/* ---- what is kept ---- */

void conversation_keep(struct conversation *conversation)
{
    conversation->keeps = true;
    conversation->window = FIRST_WINDOW;
}

bool conversation_can_keep(const struct conversation *conversation)
{
    return !conversation->keeps || conversation->is_begun || conversation->half_closes ||
           buffer_size(&conversation->outgoing) < conversation->window;
}

void conversation_look_at_window(struct conversation *conversation, int64_t now_ms)
{
    conversation->was_silent =
        !conversation_can_keep(conversation) && now_ms - conversation->heard_ms >= SILENT_MS;
    conversation->replies_before = conversation->replies;
}

/* A slow server answers one by one, and would make the window grow for nothing; on a busy machine a
 * server that is near is silent now and then, but not for each window that it is sent. */
static void grow_window(struct conversation *conversation)
{
    uint64_t burst = conversation->replies - conversation->replies_before;
    conversation->is_silent_round |=
        conversation->was_silent && burst > conversation_owed(conversation) / BURST_PART;
    conversation->was_silent = false;
    if (conversation->replies < conversation->round_end)
        return;
    conversation->silent_rounds =
        conversation->is_silent_round ? conversation->silent_rounds + 1 : 0;
    if (conversation->silent_rounds == FAR_ROUNDS) {
        conversation->window = at_most(GROWTH * conversation->window, LARGEST_WINDOW);
        conversation->silent_rounds = 0;
    }
    conversation->is_silent_round = false;
    conversation->round_end = conversation->requests;
}

/* What can't wait for replies is let go as it is sent: a request that is too long to be kept, with
 * those before it, and all requests if the server answers behind the last of them. */
static void forget_if_too_long(struct conversation *conversation)
{
    size_t size = buffer_size(&conversation->outgoing);
    if ((conversation->is_begun || conversation->half_closes) && size > LONGEST_KEPT &&
        size > conversation->window)
        conversation->forgotten = conversation->requests;
}

static void drop_to(struct conversation *conversation, uint64_t byte)
{
    uint64_t head = head_byte(conversation);
    if (byte > head)
        buffer_consume(&conversation->outgoing, (size_t) (byte - head));
}

static uint64_t not_needed(const struct conversation *conversation)
{
    return conversation->replies > conversation->forgotten ? conversation->replies
                                                           : conversation->forgotten;
}

void conversation_drop_answered(struct conversation *conversation)
{
    size_t count;
    if (!conversation->keeps) {
        drop_to(conversation, conversation->sent_bytes);
        return;
    }
    grow_window(conversation);
    forget_if_too_long(conversation);
    uint64_t done = not_needed(conversation);
    struct conversation_mark *marks = marks_of(conversation, &count);
    for (; count > 0 && marks->requests <= done && marks->bytes <= conversation->sent_bytes;
         count--, marks++) {
        drop_to(conversation, marks->bytes);
        conversation->head_requests = marks->requests;
        buffer_consume(&conversation->marks, sizeof *marks);
    }
    /* What was sent of the request that is not queued to its end yet. */
    if (conversation->is_begun && done == conversation->requests &&
        conversation->head_requests + 1 == conversation->requests)
        drop_to(conversation, conversation->sent_bytes);
}

/* ---- another connection ---- */

bool conversation_can_resume(const struct conversation *conversation)
{
    return conversation->keeps && !conversation->is_malformed &&
           conversation->forgotten <= conversation->replies;
}

/* The first request in some bytes; false if its end is not among them. */
static bool find_first(const struct conversation *conversation, const char *data, size_t size,
                       struct frame *request)
{
    struct frame_rules rules = {.codec = conversation->request_codec, .max_bytes = SIZE_MAX / 2};
    struct frame_decoder decoder = {0};
    return frame_next(&rules, &decoder, data, size, request) == FRAME_MESSAGE;
}

/* The size of the first request in `outgoing`, or of what there is of it. */
static size_t first_size(const struct conversation *conversation)
{
    const struct buffer *outgoing = &conversation->outgoing;
    struct frame request;
    bool is_whole =
        find_first(conversation, buffer_head(outgoing), buffer_size(outgoing), &request);
    return is_whole ? request.consumed : buffer_size(outgoing);
}

/* The word for quit is sent anew. */
static void drop_quit(struct conversation *conversation)
{
    conversation->outgoing.end -= conversation->quit_bytes;
    conversation->queued_bytes -= conversation->quit_bytes;
    conversation->quit_bytes = 0;
}

/* Leaves the unanswered requests alone in `outgoing`. */
static void skip_answered(struct conversation *conversation)
{
    size_t count;
    const struct conversation_mark *marks = marks_of(conversation, &count);
    for (; count > 0 && marks->requests <= conversation->replies; count--, marks++)
        buffer_consume(&conversation->marks, sizeof *marks);
    for (; conversation->head_requests < conversation->replies; conversation->head_requests++)
        buffer_consume(&conversation->outgoing, first_size(conversation));
}

void conversation_resume(struct conversation *conversation, struct conversation *former)
{
    assert(conversation_can_resume(former) && conversation->requests == 0);
    drop_quit(former);
    skip_answered(former);
    conversation->outgoing = former->outgoing;
    conversation->marks = former->marks;
    former->outgoing = former->marks = (struct buffer){0};
    conversation->requests = former->requests;
    conversation->replies = former->replies;
    conversation->queued_bytes = former->queued_bytes;
    conversation->window = former->window;
    conversation->mark_begin = former->mark_begin;
    conversation->head_requests = former->head_requests;
    conversation->forgotten = former->forgotten;
    conversation->is_begun = former->is_begun;
    conversation->quitting = former->quitting;

    uint64_t owed = conversation_owed(conversation);
    bool is_first_begun = owed == 1 && conversation->is_begun;
    conversation->sent_bytes = conversation->connection_begin = head_byte(conversation);
    conversation->first_owed_end =
        is_first_begun ? NOT_YET : conversation->sent_bytes + first_size(conversation);
    conversation->drops_rest = conversation->is_begun && owed == 0;
    conversation->heard_ms = clock_ms();
}

bool conversation_has_sent(const struct conversation *conversation)
{
    return conversation->sent_bytes > conversation->connection_begin;
}

void conversation_each_unanswered(struct conversation *conversation,
                                  void (*visit)(void *context, const char *message, size_t size),
                                  void *context)
{
    struct buffer *outgoing = &conversation->outgoing;
    struct frame request;
    assert(conversation->end && conversation_can_resume(conversation));
    drop_quit(conversation);
    skip_answered(conversation);
    for (size_t at = 0; at < buffer_size(outgoing); at += request.consumed) {
        if (!find_first(conversation, buffer_head(outgoing) + at, buffer_size(outgoing) - at,
                        &request))
            break;
        visit(context, request.message, request.size);
    }
}
