/*
 * conversation: only the reading side ends one.
 *
 * A failed send is not the end: what the server sent before it is still in the kernel, and is read
 * first. Linux keeps received bytes readable after a reset.
 */
#include "client/conversation.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/protocol.h"

#define OUTGOING_CAP ((size_t) 256 << 10) /* unsent bytes; with more, no request is taken */
#define READ_BYTES ((size_t) 256 << 10)
#define NOT_YET UINT64_MAX
#define LINGER_MS 1000 /* for the end of the stream, if nothing else is awaited */

struct conversation {
    int socket;
    struct frame_rules rules; /* of replies */
    enum frame_codec request_codec;
    struct frame_decoder decoder;
    struct buffer incoming;
    struct buffer plain; /* a block without its stuffing */
    const char *wire;    /* the last frame, in `incoming` */
    size_t wire_size;
    struct buffer outgoing;
    int64_t reply_timeout_ms;

    uint64_t requests;
    uint64_t replies;
    uint64_t queued_bytes; /* in all, sent or not */
    uint64_t sent_bytes;
    /* In queued_bytes: the end of the first owed request; NOT_YET: its last piece is not queued. */
    uint64_t first_owed_end;
    int64_t heard_ms;      /* since when the server is silent, for the reply time-out */
    int64_t linger_end_ms; /* 0: the end of the stream is not all that is awaited */

    bool is_begun;  /* the last piece of the last request is not queued yet */
    bool is_paused; /* nothing is read for now */
    bool quitting;  /* no more requests will come */
    bool quit_queued;
    bool half_closed;
    bool stream_ended; /* nothing more will be received */
    bool announced;
    bool busy;
    int send_errno; /* why sending failed, or 0 */
    int receive_errno;

    enum conversation_end end;
    struct error why;
    char address[ADDRESS_TEXT_SIZE];
};

/* ---- beginning and end ---- */

static int connect_to(const struct conversation_settings *settings, char *address,
                      enum conversation_opening *opening, struct error *error)
{
    struct address_list list;
    switch (address_resolve(settings->address, ADDRESS_TO_CONNECT, &list, error)) {
    case ADDRESS_OK:
        break;
    case ADDRESS_MALFORMED:
        *opening = CONVERSATION_MALFORMED_ADDRESS;
        return -1;
    case ADDRESS_UNKNOWN_HOST:
        *opening = CONVERSATION_UNKNOWN_HOST;
        return -1;
    }
    size_t connected = 0;
    int timeout_ms = settings->connect_timeout_ms > 0 ? (int) settings->connect_timeout_ms : -1;
    int fd = address_connect(&list, timeout_ms, &connected, error);
    if (fd >= 0)
        address_print(&list.items[connected], address);
    else
        *opening = CONVERSATION_UNREACHABLE;
    address_list_fini(&list);
    return fd;
}

struct conversation *conversation_open(const struct conversation_settings *settings,
                                       enum conversation_opening *opening, struct error *error)
{
    struct conversation *conversation = calloc(1, sizeof *conversation);
    if (!conversation) {
        *opening = CONVERSATION_UNREACHABLE;
        error_set(error, "out of memory");
        return NULL;
    }
    conversation->socket = connect_to(settings, conversation->address, opening, error);
    if (conversation->socket < 0) {
        free(conversation);
        return NULL;
    }
    conversation->rules.codec = settings->codec;
    conversation->request_codec = frame_codec_of_requests(settings->codec);
    conversation->rules.max_bytes = PROTOCOL_MAX_REPLY;
    conversation->reply_timeout_ms = settings->reply_timeout_ms;
    *opening = CONVERSATION_OPEN;
    return conversation;
}

void conversation_close(struct conversation *conversation)
{
    if (!conversation)
        return;
    close(conversation->socket);
    buffer_fini(&conversation->incoming);
    buffer_fini(&conversation->plain);
    buffer_fini(&conversation->outgoing);
    free(conversation);
}

static void finish(struct conversation *conversation, enum conversation_end end, const char *why)
{
    conversation->end = end;
    error_set(&conversation->why, "%s", why);
}

/* The stream has ended and everything in it was taken: judges the end. */
static void finish_stream(struct conversation *conversation)
{
    struct frame frame;
    size_t rest = buffer_size(&conversation->incoming);
    bool is_cut =
        frame_end(&conversation->rules, &conversation->decoder, rest, &frame) != FRAME_END;
    bool is_owed = conversation_owed(conversation) > 0;
    /* EPIPE says no more than the end of the stream. */
    int broken_by = conversation->send_errno && conversation->send_errno != EPIPE
                        ? conversation->send_errno
                        : conversation->receive_errno;
    if (conversation->busy)
        finish(conversation, CONVERSATION_BUSY, "the server is busy");
    else if (is_cut)
        finish(conversation, CONVERSATION_LOST, "the server closed it in the middle of a reply");
    else if (broken_by && (is_owed || !conversation->quitting))
        finish(conversation, CONVERSATION_LOST, strerror(broken_by));
    else if (is_owed)
        finish(conversation, CONVERSATION_LOST, "the server closed it");
    else
        finish(conversation, CONVERSATION_CLOSED, "");
}

/* ---- asking ---- */

bool conversation_takes_requests(const struct conversation *conversation)
{
    if (conversation->quitting || conversation->send_errno || conversation->stream_ended ||
        conversation->announced || conversation->end)
        return false;
    if (conversation->rules.codec == FRAME_RAW)
        return conversation_owed(conversation) == 0;
    return buffer_size(&conversation->outgoing) < OUTGOING_CAP;
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
    /* While we are silent in the middle of a request, the server need not answer. */
    if (buffer_size(&conversation->outgoing) == 0)
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
static void queue_quit(struct conversation *conversation)
{
    enum frame_codec codec = conversation->request_codec;
    if (!conversation->quitting || conversation->quit_queued || conversation->send_errno ||
        (codec == FRAME_RAW && conversation_owed(conversation) > 0))
        return;
    if (conversation->is_begun) { /* it would become the end of that request */
        conversation->quit_queued = true;
        return;
    }
    struct frame_edges edges;
    frame_encode(codec, PROTOCOL_QUIT, strlen(PROTOCOL_QUIT), SIZE_MAX, &edges);
    if (queue(conversation, &edges, PROTOCOL_QUIT, strlen(PROTOCOL_QUIT)))
        conversation->quit_queued = true;
    else
        finish(conversation, CONVERSATION_OUT_OF_MEMORY, "out of memory");
}

/* ---- moving bytes ---- */

static bool wants_to_send(const struct conversation *conversation)
{
    return buffer_size(&conversation->outgoing) > 0 ||
           (conversation->quit_queued && !conversation->half_closed && !conversation->send_errno);
}

void conversation_poll(struct conversation *conversation, bool want_reply, struct pollfd *fd)
{
    queue_quit(conversation);
    if (!want_reply || conversation->is_paused)
        conversation->heard_ms = clock_ms();
    conversation->is_paused = !want_reply;
    if (conversation->is_paused)
        conversation->linger_end_ms = 0;
    fd->events = (short) ((want_reply && !conversation->stream_ended ? POLLIN : 0) |
                          (wants_to_send(conversation) ? POLLOUT : 0));
    /* poll(2) would report errors and hang-ups that are not to be acted on now. */
    fd->fd = fd->events && !conversation->end ? conversation->socket : -1;
    fd->revents = 0;
}

/* The time at which the server has been silent for too long; 0: never. */
static int64_t silence_end_ms(const struct conversation *conversation)
{
    uint64_t owed = conversation_owed(conversation);
    /* The only reply that is owed is to a request that we have not sent to its end. */
    bool waits_for_us = owed == 1 && conversation->is_begun && !conversation->quitting &&
                        buffer_size(&conversation->outgoing) == 0;
    if (conversation->reply_timeout_ms == 0 || owed == 0 || waits_for_us)
        return 0;
    return conversation->heard_ms + conversation->reply_timeout_ms;
}

int conversation_wait_ms(const struct conversation *conversation)
{
    int64_t end_ms = silence_end_ms(conversation);
    if (conversation->linger_end_ms && (!end_ms || conversation->linger_end_ms < end_ms))
        end_ms = conversation->linger_end_ms;
    if (!end_ms || conversation->is_paused || conversation->end)
        return -1;
    int64_t left_ms = end_ms - clock_ms();
    if (left_ms < 0)
        return 0;
    return left_ms < INT_MAX ? (int) left_ms : INT_MAX;
}

static void receive(struct conversation *conversation)
{
    struct buffer *incoming = &conversation->incoming;
    if (!buffer_reserve(incoming, READ_BYTES)) {
        finish(conversation, CONVERSATION_OUT_OF_MEMORY, "out of memory");
        return;
    }
    ssize_t size = recv(conversation->socket, buffer_tail(incoming), READ_BYTES, 0);
    if (size > 0) {
        buffer_added(incoming, (size_t) size);
        conversation->heard_ms = clock_ms();
        conversation->linger_end_ms = 0;
    } else if (size == 0) {
        conversation->stream_ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        conversation->stream_ended = true;
        conversation->receive_errno = errno;
    }
}

static void send_some(struct conversation *conversation)
{
    struct buffer *outgoing = &conversation->outgoing;
    if (buffer_size(outgoing) > 0) {
        ssize_t size =
            send(conversation->socket, buffer_head(outgoing), buffer_size(outgoing), MSG_NOSIGNAL);
        if (size >= 0) {
            /* The server owes a reply once the request has left. */
            if (conversation->sent_bytes < conversation->first_owed_end)
                conversation->heard_ms = clock_ms();
            conversation->sent_bytes += (uint64_t) size;
            buffer_consume(outgoing, (size_t) size);
        } else if (errno != EAGAIN && errno != EINTR) {
            conversation->send_errno = errno;
            buffer_clear(outgoing);
        }
    }
    if (buffer_size(outgoing) == 0 && conversation->quit_queued && !conversation->half_closed) {
        shutdown(conversation->socket, SHUT_WR);
        conversation->half_closed = true;
    }
}

/* Ends a wait that took too long, or begins to wait for the end of the stream alone. */
static void look_at_clock(struct conversation *conversation)
{
    int64_t silence_ms = silence_end_ms(conversation);
    bool awaits_end = conversation->send_errno || conversation->announced ||
                      (conversation->half_closed && conversation_owed(conversation) == 0);
    if (conversation->is_paused || (!silence_ms && !awaits_end))
        return; /* a server that is not read is not silent */
    int64_t now = clock_ms();
    if (silence_ms && now >= silence_ms)
        finish(conversation, CONVERSATION_TIMED_OUT, "nothing received for --timeout");
    else if (awaits_end && !conversation->linger_end_ms)
        conversation->linger_end_ms = now + LINGER_MS;
    else if (awaits_end && now >= conversation->linger_end_ms)
        finish_stream(conversation);
}

void conversation_step(struct conversation *conversation, short revents)
{
    if (conversation->end)
        return;
    if (revents & (POLLIN | POLLHUP | POLLERR) && !conversation->stream_ended)
        receive(conversation);
    if (revents & POLLOUT)
        send_some(conversation);
}

/* ---- what came ---- */

static enum conversation_event give(struct conversation *conversation, const struct frame *frame)
{
    bool is_unasked = protocol_is_unasked(frame->message, frame->size);
    if (is_unasked) {
        conversation->announced = true;
        conversation->busy |= protocol_is_error_code(frame->message, frame->size, PROTOCOL_BUSY);
    }
    if (is_unasked || conversation_owed(conversation) == 0)
        return CONVERSATION_UNASKED;
    conversation->replies++;
    return CONVERSATION_REPLY;
}

static void finish_frame(struct conversation *conversation, enum frame_outcome outcome)
{
    if (outcome == FRAME_BAD)
        finish(conversation, CONVERSATION_LOST, "what the server sent is no netstring");
    else
        finish(conversation, CONVERSATION_LOST, "the server sent a reply of more than 16 MiB");
}

/* A frame has come: keeps where it is, and makes its message what it is without the wire's own. */
static bool unwrap(struct conversation *conversation, struct frame *frame)
{
    struct buffer *plain = &conversation->plain;
    conversation->wire = buffer_head(&conversation->incoming);
    conversation->wire_size = frame->consumed;
    if (!frame->is_stuffed)
        return true;
    buffer_clear(plain);
    if (!frame_unstuff(plain, frame->message, frame->size)) {
        finish(conversation, CONVERSATION_OUT_OF_MEMORY, "out of memory");
        return false;
    }
    frame->message = buffer_head(plain);
    frame->size = buffer_size(plain);
    return true;
}

enum conversation_event conversation_next(struct conversation *conversation, struct frame *frame)
{
    struct buffer *incoming = &conversation->incoming;
    if (conversation->end)
        return CONVERSATION_END;
    enum frame_outcome outcome = frame_next(&conversation->rules, &conversation->decoder,
                                            buffer_head(incoming), buffer_size(incoming), frame);
    if (outcome != FRAME_MORE && outcome != FRAME_MESSAGE) {
        finish_frame(conversation, outcome);
        return CONVERSATION_END;
    }
    if (outcome == FRAME_MESSAGE && !unwrap(conversation, frame))
        return CONVERSATION_END;
    /* Consumed bytes stay in place until more are read. */
    buffer_consume(incoming, frame->consumed);
    if (outcome == FRAME_MESSAGE)
        return give(conversation, frame);
    if (conversation->stream_ended)
        finish_stream(conversation);
    else
        look_at_clock(conversation);
    return conversation->end ? CONVERSATION_END : CONVERSATION_NOTHING;
}

size_t conversation_next_lines(struct conversation *conversation, const char **lines, size_t *size)
{
    /* Error replies and unasked frames begin like this. */
    static const char special[] = {PROTOCOL_ERROR[0], '\0'};
    struct buffer *incoming = &conversation->incoming;
    size_t count = 0;
    *lines = buffer_head(incoming);
    if (conversation->end)
        return 0;
    *size =
        frame_next_lines(&conversation->rules, &conversation->decoder, *lines,
                         buffer_size(incoming), special, conversation_owed(conversation), &count);
    buffer_consume(incoming, *size);
    conversation->replies += count;
    return count;
}

enum conversation_end conversation_ended(const struct conversation *conversation)
{
    return conversation->end;
}

const char *conversation_why(const struct conversation *conversation)
{
    return conversation->why.text;
}

bool conversation_was_announced(const struct conversation *conversation)
{
    return conversation->announced;
}

bool conversation_is_silent(const struct conversation *conversation, const struct frame *reply)
{
    if (conversation->rules.codec == FRAME_BLOCK)
        return reply->size == 0;
    return conversation->rules.codec == FRAME_RAW &&
           reply->size == strlen(PROTOCOL_NULL_OPERATION) &&
           memcmp(reply->message, PROTOCOL_NULL_OPERATION, reply->size) == 0;
}

const char *conversation_wire(const struct conversation *conversation, size_t *size)
{
    *size = conversation->wire_size;
    return conversation->wire;
}

const char *conversation_address(const struct conversation *conversation)
{
    return conversation->address;
}

uint64_t conversation_requests(const struct conversation *conversation)
{
    return conversation->requests;
}

uint64_t conversation_replies(const struct conversation *conversation)
{
    return conversation->replies;
}

uint64_t conversation_owed(const struct conversation *conversation)
{
    return conversation->requests - conversation->replies;
}
