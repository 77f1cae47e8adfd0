/*
 * conversation_requests: what is asked, up to the bytes that wait to be sent.
 */
#include <assert.h>
#include <string.h>

#include "client/conversation_state.h"
#include "common/clock.h"
#include "common/protocol.h"

#define OUTGOING_CAP ((size_t) 256 << 10) /* unsent bytes; with more, no request is taken */

bool conversation_takes_requests(const struct conversation *conversation)
{
    if (conversation->quitting || conversation->send_errno || conversation->stream_ended ||
        conversation->greetings > 0 || conversation->held_bytes > 0 || conversation->end)
        return false;
    if (conversation->is_one_by_one && conversation_owed(conversation) > 0 &&
        !conversation->is_begun)
        return false;
    return conversation_unsent(conversation) < OUTGOING_CAP && conversation_can_keep(conversation);
}

/* The server would take it for the end of the session, so it can't be carried as text. */
static bool means_quit(enum frame_codec codec, const char *message, size_t size)
{
    if (codec == FRAME_RAW)
        return protocol_find_quit(message, size);
    return protocol_is_quit(message, size);
}

static bool queue(struct conversation *conversation, const struct frame_edges *edges,
                  const char *message, size_t size)
{
    if (!frame_append(&conversation->outgoing, edges, message, size))
        return false;
    conversation->queued_bytes += edges->head_size + size + edges->tail_size;
    return true;
}

/* The first one ends at `end` in queued_bytes. */
static void count_requests(struct conversation *conversation, uint64_t end, size_t count)
{
    if (conversation_owed(conversation) == 0) {
        conversation->heard_ms = clock_ms();
        conversation->first_owed_end = end;
    }
    conversation->requests += count;
}

enum conversation_asked conversation_ask(struct conversation *conversation, const char *message,
                                         size_t size, const char **why)
{
    assert(conversation_takes_requests(conversation));
    if (conversation->drops_rest) {
        conversation->drops_rest = conversation->is_begun = false;
        return CONVERSATION_ASKED;
    }
    struct frame_edges edges;
    enum frame_codec codec = conversation->request_codec;
    enum frame_refusal refusal = frame_encode(codec, message, size, SIZE_MAX, &edges);
    if (refusal != FRAME_FITS) {
        *why = frame_refusal_text(refusal);
        return CONVERSATION_REFUSED;
    }
    if (!conversation->is_begun && means_quit(codec, message, size)) {
        *why = codec == FRAME_RAW ? "it holds " PROTOCOL_QUIT ", which would end the session"
                                  : PROTOCOL_QUIT " would end the session";
        return CONVERSATION_REFUSED;
    }
    if (!queue(conversation, &edges, message, size)) {
        *why = "out of memory";
        return CONVERSATION_NO_MEMORY;
    }
    if (!conversation->is_begun)
        count_requests(conversation, conversation->queued_bytes, 1);
    else if (conversation->first_owed_end == NOT_YET)
        conversation->first_owed_end = conversation->queued_bytes;
    conversation->is_begun = false;
    return CONVERSATION_ASKED;
}

bool conversation_ask_lines(struct conversation *conversation, const char *lines, size_t size,
                            size_t count)
{
    assert(conversation_takes_requests(conversation) && conversation->request_codec == FRAME_LINE);
    assert(count > 0 && !conversation->is_begun);
    if (!buffer_append(&conversation->outgoing, lines, size))
        return false;
    const char *first_end = memchr(lines, '\n', size);
    count_requests(conversation, conversation->queued_bytes + (uint64_t) (first_end - lines) + 1,
                   count);
    conversation->queued_bytes += size;
    return true;
}

bool conversation_begin(struct conversation *conversation, const char *message, size_t size)
{
    assert(conversation_takes_requests(conversation) && conversation->request_codec <= FRAME_CRLF);
    if (conversation->drops_rest)
        return true;
    conversation_mark(conversation); /* what is before this request need not wait for its end */
    /* While we are silent in the middle of a request, the server need not answer. */
    if (conversation_unsent(conversation) == 0)
        conversation->heard_ms = clock_ms();
    if (!buffer_append(&conversation->outgoing, message, size))
        return false;
    conversation->queued_bytes += size;
    if (!conversation->is_begun)
        count_requests(conversation, NOT_YET, 1);
    conversation->is_begun = true;
    return true;
}

void conversation_quit(struct conversation *conversation) { conversation->quitting = true; }

/* In raw the word could run together with a request, so it waits for the reply. */
static bool may_quit(const struct conversation *conversation)
{
    bool has_word = *conversation->quit_word;
    return conversation_owed(conversation) == 0 || conversation->is_begun ||
           (conversation->half_closes && !(has_word && conversation->rules.codec == FRAME_RAW));
}

static bool queue_quit_word(struct conversation *conversation)
{
    struct frame_edges edges;
    const char *word = conversation->quit_word;
    uint64_t before = conversation->queued_bytes;
    enum frame_codec codec = conversation->request_codec;
    if (frame_encode(codec, word, strlen(word), SIZE_MAX, &edges) != FRAME_FITS ||
        !queue(conversation, &edges, word, strlen(word)))
        return false;
    conversation->quit_bytes = (size_t) (conversation->queued_bytes - before);
    return true;
}

void conversation_queue_quit(struct conversation *conversation)
{
    if (!conversation->quitting || conversation->quit_queued || conversation->send_errno ||
        !may_quit(conversation))
        return;
    /* While a request is incomplete the word would become its end. */
    bool has_word = *conversation->quit_word && !conversation->is_begun;
    if (!has_word || queue_quit_word(conversation))
        conversation->quit_queued = true;
    else
        conversation_finish(conversation, CONVERSATION_OUT_OF_MEMORY, "out of memory");
}

bool conversation_is_over(const struct conversation *conversation)
{
    return conversation->quit_queued && conversation_owed(conversation) == 0;
}

uint64_t conversation_requests(const struct conversation *conversation)
{
    return conversation->requests;
}

uint64_t conversation_owed(const struct conversation *conversation)
{
    return conversation->requests - conversation->replies;
}
