/* reading: into the thread's buffer or the session's own. */
#include "server/session/reading.h"

#include "common/protocol.h"
#include "server/session/session.h"
#include "server/session/shard.h"
#include "server/session/socket.h"

enum {
    /* what is left over is copied before the next read if it is no more than this */
    SMALL_REST = 32 << 10,
    /* a turn's buffer that has grown beyond this is given back after the turn */
    KEPT_INPUT_BYTES = 1 << 20,
    /* at most one read of a large message, whose beginning is there */
    LARGE_READ_BYTES = 256 << 10,
    /* a message may be expected to get so many times as long as it is by now */
    LONGER = 16,
};

/* Makes room for `size` bytes more of a message that may get much longer than it is by now. */
static __attribute__((noinline)) bool grow(const struct session *session, struct buffer *input,
                                           size_t size)
{
    size_t by_now = buffer_size(input) + size;
    size_t largest = session_rules(session)->max_bytes + READING_BYTES;
    return buffer_grow_within(input, size, largest / LONGER < by_now ? largest : LONGER * by_now);
}

static inline bool reserve(const struct session *session, struct buffer *input, size_t size)
{
    return buffer_room(input) >= size || grow(session, input, size);
}

/* ---- the turn's input: what was left over, then what is read ---- */

/* A little that was left over is copied in front of the read; with much, its buffer itself is
 * read into, so that a long message is not copied once a read. */
bool reading_begin(struct session *session, struct scratch *scratch)
{
    struct buffer *left = &session->active->input;
    scratch->reading = &scratch->input;
    if (buffer_size(left) > SMALL_REST) {
        scratch->large = *left;
        *left = (struct buffer){0};
        scratch->reading = &scratch->large;
    } else if (buffer_size(left) > 0) {
        if (!buffer_append(&scratch->input, buffer_head(left), buffer_size(left))) {
            session_break(session, "out of memory");
            return false;
        }
        if (left->capacity > SMALL_REST)
            buffer_fini(left);
        else
            buffer_clear(left);
    }
    return true;
}

/* Moves what is left over behind a message if the buffer is much larger: a few bytes, for which a
 * client takes its time, must not keep the memory of the large request before them. */
static __attribute__((noinline)) bool fit(struct buffer *rest)
{
    struct buffer fitting = {0};
    size_t size = buffer_size(rest);
    if (rest->begin == 0 || rest->capacity / 2 <= size + READING_BYTES)
        return true;
    if (!buffer_append(&fitting, buffer_head(rest), size))
        return false;
    buffer_fini(rest);
    *rest = fitting;
    return true;
}

bool reading_end(struct session *session, struct scratch *scratch)
{
    struct buffer *rest = scratch->reading;
    if (session->input_over)
        buffer_clear(rest);
    bool is_large = buffer_size(rest) >= READING_BYTES;
    if (rest == &scratch->large) {
        if (buffer_size(rest) == 0)
            buffer_fini(rest);
        else if (!fit(rest))
            session_break(session, "out of memory");
        session->active->input = *rest;
        scratch->large = (struct buffer){0};
    } else if (buffer_size(rest) > 0) {
        struct buffer *left = &session->active->input;
        size_t size = buffer_size(rest);
        if (!reserve(session, left, size) || !buffer_append(left, buffer_head(rest), size))
            session_break(session, "out of memory");
    }
    if (scratch->input.capacity > KEPT_INPUT_BYTES)
        buffer_fini(&scratch->input);
    else
        buffer_clear(&scratch->input);
    return is_large;
}

/* ---- reading ---- */

/* While draining, only what had been received when the stop began is still read. */
size_t reading_bound(const struct session *session, size_t bound)
{
    bool less = session->draining && session->active->drain_left < bound;
    return less ? session->active->drain_left : bound;
}

/* How much one read may return. In raw one read is one message, and one byte more tells that it
 * is too long; the quit word must be seen whatever the limit is. */
static size_t read_bound(const struct session *session)
{
    const struct frame_rules *rules = session_rules(session);
    size_t bound = READING_BYTES;
    if (rules->codec == FRAME_RAW) {
        size_t quit = sizeof PROTOCOL_QUIT - 1;
        bound = (rules->max_bytes > quit ? rules->max_bytes : quit) + 1;
    }
    return reading_bound(session, bound);
}

/* The same of a large message whose beginning is there: what there is room for, up to its largest
 * end, and as much behind it as with any read. */
static size_t large_read_bound(const struct session *session, const struct buffer *input)
{
    size_t most = session_rules(session)->max_bytes + READING_BYTES;
    size_t size = buffer_size(input), bound = READING_BYTES;
    if (size < most && bound < most - size)
        bound = most - size;
    if (bound > buffer_room(input))
        bound = buffer_room(input) > READING_BYTES ? buffer_room(input) : READING_BYTES;
    return reading_bound(session, bound < LARGE_READ_BYTES ? bound : LARGE_READ_BYTES);
}

static void end_of_stream(struct session *session)
{
    if (socket_was_cut(session))
        log_put(session_shard(session)->log, LOG_CUT, session->number, "", 0);
    session->eof = true;
    session->unparsed = true; /* what is left over is looked at once more */
}

size_t reading_up_to(struct session *session, struct buffer *input, size_t bound)
{
    if (!reserve(session, input, bound)) {
        session_break(session, "out of memory");
        return 0;
    }
    ssize_t got = socket_read(session, buffer_tail(input), bound);
    if (got > 0) {
        buffer_added(input, (size_t) got);
        counter_add(&session_shard(session)->counters.received, (uint64_t) got);
        if (session->draining)
            session->active->drain_left -= (uint32_t) got;
        return (size_t) got;
    }
    if (got == 0)
        end_of_stream(session);
    else if (!socket_would_block())
        session_break(session, socket_failure());
    else
        session->active->drain_left = 0;
    return 0;
}

/* The last `size` bytes of the input were read just now. */
static void take_telnet(struct session *session, struct scratch *scratch, size_t size)
{
    struct buffer *input = scratch->reading;
    bool failed = false;
    input->end -= size;
    buffer_added(input, telnet_filter(&session->active->telnet, buffer_tail(input), size,
                                      &scratch->output, &failed));
    if (failed)
        session_break(session, "out of memory");
}

void reading_once(struct session *session, struct scratch *scratch)
{
    bool is_large = scratch->reading == &scratch->large;
    size_t bound = is_large ? large_read_bound(session, scratch->reading) : read_bound(session);
    size_t got = reading_up_to(session, scratch->reading, bound);
    if (got > 0 && session_shard(session)->shared->settings.config.telnet)
        take_telnet(session, scratch, got);
}
