/*
 * conversation_traffic: moves bytes between the transport and the conversation's buffers, and has
 * an eye on the clock.
 *
 * A failed send is not the end: what the server sent before it is still in the kernel, and is read
 * first. Linux keeps received bytes readable after a reset.
 */
#include <errno.h>

#include "client/conversation_state.h"
#include "common/clock.h"

#define READ_BYTES ((size_t) 256 << 10)
#define LINGER_MS 1000  /* for the end of the stream, if nothing else is awaited */
#define WORD_MS 200     /* for the same, of a server that may know the word for quit */
#define SILENCE_MS 5000 /* of a server that has everything */

/* Through TLS the server ends first, if it knows the word for quit: some that speak TLS in front of
 * one take our end for everybody's, and cut. */
static bool leaves_end_to_server(const struct conversation *conversation)
{
    return conversation->transport.tls && conversation->quit_bytes > 0 &&
           !conversation->half_closes && !conversation->ignores_word;
}

/* Whether it is time to end our half, behind what is queued. */
static bool is_to_end(const struct conversation *conversation)
{
    return conversation->quit_queued && !conversation->half_closed &&
           !leaves_end_to_server(conversation);
}

static bool wants_to_send(const struct conversation *conversation)
{
    return !conversation->send_errno &&
           (conversation_unsent(conversation) > 0 ||
            transport_has_unsent(&conversation->transport) || is_to_end(conversation));
}

/* A server that answers, or has begun to, may take its time. */
static void look_for_silence(struct conversation *conversation)
{
    bool is_mute = conversation_owed(conversation) > 0 && !wants_to_send(conversation) &&
                   !conversation->is_paused && !conversation->told_silence &&
                   (!conversation->has_heard || buffer_size(&conversation->incoming) > 0);
    if (!is_mute)
        conversation->mute_since_ms = 0;
    else if (!conversation->mute_since_ms)
        conversation->mute_since_ms = clock_ms();
}

void conversation_poll(struct conversation *conversation, bool want_reply, struct pollfd *fd)
{
    conversation_mark(conversation);
    conversation_queue_quit(conversation);
    bool is_paused = !want_reply && !conversation_is_over(conversation);
    if (is_paused || conversation->is_paused) {
        conversation->heard_ms = clock_ms();
        conversation->held_end_ms = conversation->heard_ms + LINGER_MS;
    }
    conversation->is_paused = is_paused;
    if (is_paused)
        conversation->linger_end_ms = 0;
    look_for_silence(conversation);
    fd->events = (short) ((!is_paused && !conversation->stream_ended ? POLLIN : 0) |
                          (wants_to_send(conversation) ? POLLOUT : 0));
    /* poll(2) would report errors and hang-ups that are not to be acted on now. */
    fd->fd = fd->events && !conversation->end ? conversation->transport.socket : -1;
    fd->revents = 0;
}

/* The time at which the server has been silent for too long; 0: never. */
static int64_t silence_end_ms(const struct conversation *conversation)
{
    uint64_t owed = conversation_owed(conversation);
    /* The only reply that is owed is to a request that we have not sent to its end. */
    bool waits_for_us = owed == 1 && conversation->is_begun && !conversation->quitting &&
                        conversation_unsent(conversation) == 0;
    if (conversation->reply_timeout_ms == 0 || owed == 0 || waits_for_us)
        return 0;
    return conversation->heard_ms + conversation->reply_timeout_ms;
}

/* The earlier of two times, of which 0 is never. */
static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return !b_ms || (a_ms && a_ms < b_ms) ? a_ms : b_ms;
}

/* Whether there is something to read that poll(2) does not know of. */
static bool has_unread(const struct conversation *conversation)
{
    return !conversation->is_paused && !conversation->stream_ended && !conversation->end &&
           transport_has_unread(&conversation->transport);
}

int conversation_wait_ms(const struct conversation *conversation)
{
    if (has_unread(conversation))
        return 0;
    int64_t end_ms = earlier(silence_end_ms(conversation), conversation->linger_end_ms);
    if (conversation->mute_since_ms)
        end_ms = earlier(end_ms, conversation->mute_since_ms + SILENCE_MS);
    if (conversation->greetings > 0)
        end_ms = earlier(end_ms, conversation->greeting_end_ms);
    if (conversation_is_holding(conversation))
        end_ms = earlier(end_ms, conversation->held_end_ms);
    if (!end_ms || conversation->is_paused || conversation->end)
        return -1;
    return clock_wait_ms(end_ms - clock_ms());
}

static void receive(struct conversation *conversation)
{
    struct buffer *incoming = &conversation->incoming;
    if (!buffer_reserve(incoming, READ_BYTES)) {
        conversation_finish(conversation, CONVERSATION_OUT_OF_MEMORY, "out of memory");
        return;
    }
    ssize_t size = transport_read(&conversation->transport, buffer_tail(incoming), READ_BYTES);
    if (size > 0) {
        int64_t now_ms = clock_ms();
        buffer_added(incoming, (size_t) size);
        conversation_look_at_window(conversation, now_ms);
        conversation->heard_ms = now_ms;
        conversation->has_heard = true;
        if (!conversation_has_sent(conversation))
            conversation->early_bytes = buffer_size(incoming);
        conversation->mute_since_ms = 0;
        if (conversation_owed(conversation) > 0)
            conversation->linger_end_ms = 0;
    } else if (size == 0) {
        conversation->stream_ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        conversation->stream_ended = true;
        conversation->receive_errno = errno;
        conversation->cut_why = transport_why(&conversation->transport, &conversation->is_refused);
    }
}

static void send_some(struct conversation *conversation)
{
    size_t unsent = conversation_unsent(conversation);
    if (unsent > 0 || transport_has_unsent(&conversation->transport)) {
        ssize_t size = transport_write(&conversation->transport,
                                       conversation_unsent_head(conversation), unsent);
        if (size >= 0) {
            /* The server owes a reply once the request has left. */
            if (conversation->sent_bytes < conversation->first_owed_end)
                conversation->heard_ms = clock_ms();
            conversation->sent_bytes += (uint64_t) size;
            conversation_drop_answered(conversation);
        } else if (errno != EAGAIN && errno != EINTR) {
            conversation->send_errno = errno;
        }
    }
    if (conversation_unsent(conversation) == 0 && is_to_end(conversation)) {
        transport_end(&conversation->transport);
        conversation->half_closed = true;
    }
}

static void await_end(struct conversation *conversation, int64_t now)
{
    bool leaves_it = leaves_end_to_server(conversation) && !conversation->send_errno;
    if (!conversation->linger_end_ms) {
        conversation->linger_end_ms = now + (leaves_it ? WORD_MS : LINGER_MS);
    } else if (now >= conversation->linger_end_ms && leaves_it) {
        conversation->ignores_word = true;
        conversation->linger_end_ms = now + LINGER_MS;
    } else if (now >= conversation->linger_end_ms) {
        conversation_finish_stream(conversation);
    }
}

void conversation_look_at_clock(struct conversation *conversation)
{
    int64_t silence_ms = silence_end_ms(conversation);
    bool awaits_end = conversation->send_errno || conversation_is_over(conversation);
    bool awaits_greeting = conversation->greetings > 0 && conversation->greeting_end_ms;
    if (conversation->is_paused || (!silence_ms && !awaits_end && !awaits_greeting))
        return; /* a server that is not read is not silent */
    int64_t now = clock_ms();
    if (awaits_greeting && now >= conversation->greeting_end_ms)
        conversation_finish(conversation, CONVERSATION_NO_GREETING,
                            "its greeting has not come in time");
    else if (silence_ms && now >= silence_ms)
        conversation_finish(conversation, CONVERSATION_TIMED_OUT, "nothing received for --timeout");
    else if (awaits_end)
        await_end(conversation, now);
}

bool conversation_silence_is_due(struct conversation *conversation)
{
    if (!conversation->mute_since_ms || conversation->told_silence ||
        clock_ms() < conversation->mute_since_ms + SILENCE_MS)
        return false;
    conversation->told_silence = true;
    return true;
}

void conversation_step(struct conversation *conversation, short revents)
{
    if (conversation->end)
        return;
    bool is_readable = revents & (POLLIN | POLLHUP | POLLERR) || has_unread(conversation);
    if (is_readable && !conversation->stream_ended)
        receive(conversation);
    if (revents & POLLOUT)
        send_some(conversation);
}
