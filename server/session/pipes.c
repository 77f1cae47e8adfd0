/* pipes: lines on their way to a program, and back. */
#include "server/session/pipes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/handler.h"
#include "server/session/output.h"
#include "server/session/session.h"
#include "server/session/shard.h"
#include "server/stream.h"

enum {
    READ_BYTES = 64 << 10,
    MAX_WAITING = 256 << 10, /* bytes of lines that the program has not taken */
    KEPT_BYTES = 16 << 10,   /* a buffer that is empty keeps no more memory */
    /* of a terminal that others may still be writing to, and that does not say how much it holds */
    LAST_BYTES_PTY = 1 << 20,
};

static struct handler *handler_of(const struct session *session)
{
    return session_shard(session)->shared->settings.config.handler;
}

/* ---- beginning and end ---- */

bool pipes_begin(struct session *session)
{
    struct peer_text peer;
    struct handler *handler = handler_of(session);
    struct pipes *pipes = calloc(1, sizeof *pipes);
    struct stream *stream =
        pipes ? stream_new(&session_shard(session)->loop, session->number, session) : NULL;
    session_describe_peer(session, &peer);
    if (stream)
        stream_hold(stream);
    if (!stream || !handler->kind->stream_begun(handler, stream, &peer)) {
        if (stream) { /* both references */
            stream_release(stream);
            stream_release(stream);
        }
        free(pipes);
        return false;
    }
    pipes->stream = stream;
    pipes->end_ms = CLOCK_NEVER;
    session->pipes = pipes;
    return true;
}

/* `*watches`: whether it is watched now. `fd` is looked at only when that is to change: before the
 * program runs, another thread may be putting its pipes there. */
static void watch(struct session *session, const int *fd, uint32_t events, bool *watches,
                  bool wanted)
{
    struct loop *loop = &session_shard(session)->loop;
    if (wanted == *watches)
        return;
    if (!wanted)
        loop_unwatch(loop, *fd);
    else if (!loop_watch(loop, EPOLL_CTL_ADD, *fd, events, LOOP_PIPES, session))
        session_break(session, strerror(errno));
    *watches = wanted;
}

static void watch_input(struct session *session, bool wanted)
{
    struct pipes *pipes = session->pipes;
    watch(session, &pipes->stream->input_fd, EPOLLOUT, &pipes->watches_input, wanted);
}

void pipes_watch_output(struct session *session, bool wanted)
{
    struct pipes *pipes = session->pipes;
    watch(session, &pipes->stream->output_fd, EPOLLIN, &pipes->watches_output, wanted);
}

void pipes_end(struct session *session)
{
    struct pipes *pipes = session->pipes;
    struct handler *handler = handler_of(session);
    watch_input(session, false);
    pipes_watch_output(session, false);
    pipes->stream->context = NULL;
    pipes->stream->output_over = pipes->output_over;
    handler->kind->stream_ended(handler, pipes->stream);
    stream_release(pipes->stream);
    buffer_fini(&pipes->input);
    buffer_fini(&pipes->output);
    free(pipes);
    session->pipes = NULL;
}

/* ---- to the program ---- */

bool pipes_have_room(const struct session *session)
{
    return buffer_size(&session->pipes->input) < MAX_WAITING;
}

static void close_input(struct session *session)
{
    struct pipes *pipes = session->pipes;
    if (pipes->stream->input_fd < 0)
        return;
    watch_input(session, false);
    close(pipes->stream->input_fd);
    pipes->stream->input_fd = -1;
    buffer_fini(&pipes->input);
}

void pipes_put(struct session *session, struct scratch *scratch, const char *line, size_t size)
{
    struct buffer *input = &session->pipes->input;
    if (!frame_codec_is_one_line(session_shard(session)->shared->settings.rules.codec) &&
        memchr(line, '\n', size)) {
        output_error(session, scratch, PROTOCOL_BAD_REQUEST, STREAM_ONE_LINE_TEXT);
        return;
    }
    if (session->pipes->is_deaf)
        return;
    if (!buffer_reserve(input, size + 1)) {
        session_break(session, "out of memory");
        return;
    }
    memcpy(buffer_tail(input), line, size);
    buffer_tail(input)[size] = '\n';
    buffer_added(input, size + 1);
}

void pipes_put_off_end(struct session *session)
{
    const struct shard *shard = session_shard(session);
    int64_t timeout = shard->shared->settings.config.drain_timeout_ms;
    if (timeout)
        session->pipes->end_ms = shard->loop.now_ms + timeout;
}

static void make_deaf(struct session *session)
{
    session->pipes->is_deaf = true;
    close_input(session);
}

void pipes_write(struct session *session)
{
    struct pipes *pipes = session->pipes;
    struct buffer *input = &pipes->input;
    ssize_t written;
    if (buffer_size(input) == 0 || !pipes->has_started)
        return;
    do /* SIGPIPE is ignored */
        written = write(pipes->stream->input_fd, buffer_head(input), buffer_size(input));
    while (written < 0 && errno == EINTR);
    if (written < 0 && errno != EAGAIN) {
        make_deaf(session);
        return;
    }
    if (written > 0)
        buffer_consume(input, (size_t) written);
    if (written > 0 && pipes->end_ms != CLOCK_NEVER)
        pipes_put_off_end(session);
    watch_input(session, buffer_size(input) > 0);
    if (buffer_size(input) == 0 && input->capacity > KEPT_BYTES)
        buffer_fini(input);
}

void pipes_end_input(struct session *session)
{
    struct pipes *pipes = session->pipes;
    if (!pipes->has_started)
        return;
    if (pipes->end_ms == CLOCK_NEVER)
        pipes_put_off_end(session);
    if (buffer_size(&pipes->input) == 0)
        close_input(session);
}

/* ---- from the program ---- */

void pipes_process_ended(struct session *session)
{
    struct pipes *pipes = session->pipes;
    int held = 0;
    pipes->has_ended = true;
    pipes->rest = LAST_BYTES_PTY;
    if (!isatty(pipes->stream->output_fd) && ioctl(pipes->stream->output_fd, FIONREAD, &held) == 0)
        pipes->rest = (size_t) held;
    make_deaf(session);
}

/* Frames a line, which may end in a CR of its own, or the error in its place. */
static void take_line(struct session *session, struct scratch *scratch, const char *line,
                      size_t size)
{
    struct pipes *pipes = session->pipes;
    if (size > 0 && line[size - 1] == '\r')
        size--;
    if (size <= PROTOCOL_MAX_REPLY && !pipes->is_skipping)
        output_line(session, scratch, line, size);
    else if (!pipes->is_skipping)
        output_unsendable(session, scratch, FRAME_IS_TOO_LONG);
    pipes->is_skipping = false;
}

/* Frames the complete lines, and takes them out. */
static void take_lines(struct session *session, struct scratch *scratch, struct buffer *from)
{
    struct pipes *pipes = session->pipes;
    const char *at = buffer_head(from), *end = buffer_tail(from), *newline;
    while (at < end &&
           (newline = memchr(at + pipes->scanned, '\n', (size_t) (end - at) - pipes->scanned))) {
        pipes->scanned = 0;
        take_line(session, scratch, at, (size_t) (newline - at));
        at = newline + 1;
    }
    pipes->scanned = (size_t) (end - at);
    if (pipes->scanned > PROTOCOL_MAX_REPLY + 1) { /* one more, for a CR */
        if (!pipes->is_skipping)
            output_unsendable(session, scratch, FRAME_IS_TOO_LONG);
        pipes->is_skipping = true;
    }
    if (pipes->is_skipping) {
        at = end;
        pipes->scanned = 0;
    }
    buffer_consume(from, (size_t) (at - buffer_head(from)));
}

/* Reads once, and no more than there is still to come. */
static void read_once(struct session *session, struct buffer *into)
{
    struct pipes *pipes = session->pipes;
    size_t bound = pipes->has_ended && pipes->rest < READ_BYTES ? pipes->rest : READ_BYTES;
    ssize_t got = 0;
    if (!buffer_reserve(into, READ_BYTES)) {
        session_break(session, "out of memory");
        return;
    }
    if (bound > 0)
        do
            got = read(pipes->stream->output_fd, buffer_tail(into), bound);
        while (got < 0 && errno == EINTR);
    if (got > 0)
        buffer_added(into, (size_t) got);
    if (got > 0 && pipes->has_ended)
        pipes->rest -= (size_t) got;
    pipes->output_over = got == 0 || (got < 0 && (errno != EAGAIN || pipes->has_ended));
}

void pipes_read(struct session *session, struct scratch *scratch)
{
    struct pipes *pipes = session->pipes;
    struct buffer *rest = &pipes->output;
    /* Most often nothing is left over, and the thread's buffer will do. */
    struct buffer *reading = buffer_size(rest) > 0 ? rest : &scratch->input;
    read_once(session, reading);
    take_lines(session, scratch, reading);
    if (pipes->output_over && buffer_size(reading) > 0)
        take_line(session, scratch, buffer_head(reading), buffer_size(reading));
    else if (reading != rest && !buffer_append(rest, buffer_head(reading), buffer_size(reading)))
        session_break(session, "out of memory");
    if (reading != rest)
        buffer_clear(reading);
    else if (buffer_size(rest) == 0)
        buffer_fini(rest);
}
