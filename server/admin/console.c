/* console: reads, takes commands, sends; and what it waits for. */
#include "server/admin/console.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/protocol.h"

enum {
    READ_BYTES = 4096,
    MAX_UNSENT = 64 << 10, /* over it no command is taken */
    COMMANDS_AT_ONCE = 16, /* before others have their turn */
    WRITE_TIMEOUT_MS = 10000,
    LINGER_MS = 1000, /* how long the other end may take to close */
};

static const struct frame_rules rules = {FRAME_LINE, COMMAND_BYTES, PROTOCOL_QUIT};
static_assert(COMMAND_BYTES == 256, "the text says so");
#define TOO_LONG_TEXT "a command may have 256 bytes"

/* ---- sending ---- */

static enum frame_codec codec_of(const struct console *console)
{
    return frame_codec_ending(FRAME_LINE, console->in_crlf);
}

/* False: the other end is gone, or memory is out. */
static bool send_some(struct console *console)
{
    struct buffer *output = &console->output;
    while (buffer_size(output) > 0) {
        ssize_t sent = send(console->fd, buffer_head(output), buffer_size(output),
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        buffer_consume(output, (size_t) sent);
        console->active_ns = clock_ns(CLOCK_MONOTONIC);
    }
    buffer_fini(output);
    return true;
}

static bool put_error(struct console *console, const char *code, const char *text)
{
    return protocol_append_error(&console->output, codec_of(console), code, text);
}

static bool put_reply(struct console *console)
{
    struct buffer *reply = &console->command.reply;
    bool done =
        buffer_size(reply) > 0 && frame_put(&console->output, codec_of(console), buffer_head(reply),
                                            buffer_size(reply), SIZE_MAX) == FRAME_FITS;
    buffer_fini(reply);
    return done;
}

/* ---- commands ---- */

/* No more are taken. */
static void end_input(struct console *console)
{
    console->input_over = true;
    console->unparsed = false;
}

/* False: memory is out; so for those below. */
static bool take_message(struct console *console, const struct frame *frame)
{
    console->in_crlf = frame->ends_in_crlf;
    if (protocol_is_quit(frame->message, frame->size)) {
        end_input(console);
        return true;
    }
    console->waits = !command_begin(&console->command, frame->message, frame->size);
    return console->waits || put_reply(console);
}

/* Nothing complete is left. */
static bool take_end(struct console *console)
{
    struct frame frame;
    console->unparsed = false;
    if (!console->eof)
        return true;
    enum frame_outcome outcome =
        frame_end(&rules, &console->decoder, buffer_size(&console->input), &frame);
    end_input(console);
    return outcome != FRAME_END_PARTIAL ||
           put_error(console, PROTOCOL_INCOMPLETE, "the stream ended before it did");
}

static bool take_next(struct console *console)
{
    struct buffer *input = &console->input;
    struct frame frame;
    bool done = true;
    switch (frame_next(&rules, &console->decoder, buffer_head(input), buffer_size(input), &frame)) {
    case FRAME_MESSAGE:
        done = take_message(console, &frame);
        break;
    case FRAME_OVERSIZE:
        console->in_crlf = frame.ends_in_crlf;
        done = put_error(console, PROTOCOL_TOO_LONG, TOO_LONG_TEXT);
        break;
    case FRAME_OVERSIZE_END:
        break;
    default: /* FRAME_MORE: nothing else comes of lines */
        buffer_consume(input, frame.consumed);
        return take_end(console);
    }
    buffer_consume(input, frame.consumed);
    return done;
}

static bool take_commands(struct console *console)
{
    for (int i = 0; i < COMMANDS_AT_ONCE; i++) {
        if (!console->unparsed || console->waits || buffer_size(&console->output) > MAX_UNSENT)
            return true;
        if (!take_next(console))
            return false;
    }
    return true;
}

/* ---- what it waits for ---- */

static void watch(struct console *console)
{
    struct admin *admin = console->command.host->admin;
    bool unsent = buffer_size(&console->output) > 0;
    bool reads = console->closing ||
                 (!unsent && !console->waits && !console->unparsed && !console->input_over);
    int64_t active_ms = console->active_ns / 1000000;
    int64_t due_ms = unsent              ? active_ms + WRITE_TIMEOUT_MS
                     : console->closing  ? active_ms + LINGER_MS
                     : console->waits    ? CLOCK_NEVER
                     : console->unparsed ? admin_now_ms(admin)
                                         : CLOCK_NEVER;
    admin_due_at(admin, &console->item, due_ms);
    if (!admin_watch(admin, &console->item, console->fd,
                     (reads ? EPOLLIN : 0) | (unsent ? EPOLLOUT : 0)))
        console->ended(console);
}

/* All is sent: what still comes is thrown away, until the other end closes, too. A socket that is
 * closed with something unread would break the connection. */
static bool begin_close(struct console *console)
{
    console->closing = true;
    console->active_ns = clock_ns(CLOCK_MONOTONIC);
    return !console->eof && shutdown(console->fd, SHUT_WR) == 0;
}

/* Goes on as far as it can. It may have ended behind that. */
static void go_on(struct console *console)
{
    bool good = take_commands(console) && send_some(console);
    bool is_over = console->input_over && !console->waits && buffer_size(&console->output) == 0;
    if (good && is_over && !console->closing)
        good = begin_close(console);
    if (good)
        watch(console);
    else
        console->ended(console);
}

/* ---- callbacks ---- */

static void answered(struct command *command)
{
    struct console *console =
        (struct console *) ((char *) command - offsetof(struct console, command));
    console->waits = false;
    console->active_ns = clock_ns(CLOCK_MONOTONIC);
    if (put_reply(console))
        go_on(console);
    else
        console->ended(console);
}

/* False: the connection is over. */
static bool read_some(struct console *console)
{
    struct buffer *input = &console->input;
    if (!buffer_reserve(input, READ_BYTES))
        return false;
    ssize_t got = recv(console->fd, buffer_tail(input), READ_BYTES, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (console->closing)
        return got > 0;
    buffer_added(input, (size_t) got);
    console->active_ns = clock_ns(CLOCK_MONOTONIC);
    console->eof = got == 0;
    console->unparsed = true;
    return true;
}

static void ready(struct admin_item *item, uint32_t events)
{
    struct console *console = (struct console *) item;
    bool has_come = console->item.events & EPOLLIN & events;
    if ((events & (EPOLLIN | EPOLLOUT)) == 0 || (has_come && !read_some(console)))
        console->ended(console); /* or there is nobody any more */
    else
        go_on(console);
}

static void due(struct admin_item *item)
{
    struct console *console = (struct console *) item;
    if (console->closing || buffer_size(&console->output) > 0)
        console->ended(console);
    else
        go_on(console);
}

/* ---- beginning and end ---- */

struct console *console_open(const struct command_host *host, int fd,
                             void (*ended)(struct console *console))
{
    struct console *console = calloc(1, sizeof *console);
    if (!console) {
        close(fd);
        return NULL;
    }
    *console = (struct console){
        .item = {.ready = ready, .due = due},
        .command = {.host = host, .answered = answered},
        .ended = ended,
        .fd = fd,
        .active_ns = clock_ns(CLOCK_MONOTONIC),
    };
    if (admin_watch(host->admin, &console->item, fd, EPOLLIN))
        return console;
    int why = errno;
    close(fd);
    free(console);
    errno = why;
    return NULL;
}

bool console_is_idle(const struct console *console)
{
    return !console->waits && !console->unparsed && buffer_size(&console->output) == 0;
}

void console_close(struct console *console, const char *code, const char *text)
{
    bool is_told = !code || console->closing || put_error(console, code, text);
    command_cancel(&console->command);
    admin_forget(&console->item);
    if (is_told)
        send_some(console);
    close(console->fd);
    buffer_fini(&console->command.reply);
    buffer_fini(&console->input);
    buffer_fini(&console->output);
    free(console);
}

void console_refuse(int fd, const char *code, const char *text)
{
    struct buffer frame = {0};
    char scrap[READ_BYTES];
    if (protocol_append_error(&frame, FRAME_LINE, code, text))
        (void) !send(fd, buffer_head(&frame), buffer_size(&frame), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void) !recv(fd, scrap, sizeof scrap, MSG_DONTWAIT); /* left unread it would break the reply */
    buffer_fini(&frame);
    close(fd);
}
