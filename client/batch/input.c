/*
 * input: messages are all there from the start. Lines of any length are read in large pieces: if
 * they may go out in pieces too, no more is held; a netstring begins with its length, so that there
 * the longest line is held.
 */
#include "client/batch/input.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/protocol.h"

#define READ_BYTES ((size_t) 64 << 10)
#define LONG_LINE_MS 1000 /* at most, for the end of a line that may have none */

/* The server judges how long a request may be. (The sums with line ends must not overflow.) */
static const struct frame_rules line_rules = {.codec = FRAME_LINE, .max_bytes = SIZE_MAX / 2};

void input_init(struct input *input, const struct options *options, bool takes_lines)
{
    bool is_script = !*options->messages;
    off_t position = is_script ? lseek(STDIN_FILENO, 0, SEEK_CUR) : 0;
    *input = (struct input){
        .unit = is_script ? "input line" : "message",
        .is_script = is_script,
        .fd = is_script ? STDIN_FILENO : -1,
        .options = options,
        .next = options->messages,
        .first_byte = position > 0 ? (uint64_t) position : 0,
        .takes_lines = takes_lines,
    };
}

void input_fini(struct input *input) { buffer_fini(&input->buffer); }

/* Of the requests: in FRAME_LINE the lines go out as they are, many at once. */
static enum frame_codec codec_of(const struct input *input)
{
    return frame_codec_of_requests(input->options->conversation.codec);
}

static enum input_outcome next_message(struct input *input, const char **text, size_t *size)
{
    if (!*input->next)
        return INPUT_END;
    *text = *input->next++;
    *size = strlen(*text);
    return INPUT_MESSAGE;
}

static void give(struct input *input, size_t size, size_t consumed, const char **text,
                 size_t *text_size)
{
    *text = buffer_head(&input->buffer);
    *text_size = size;
    buffer_consume(&input->buffer, consumed);
}

/* The beginning of a line that is longer than one read. Two things are kept together: what might
 * still turn out to be the word for quit, and a CR with the LF that may follow. */
static enum input_outcome give_piece(struct input *input, const char **text, size_t *text_size)
{
    const char *held = buffer_head(&input->buffer);
    size_t size = buffer_size(&input->buffer);
    if (codec_of(input) > FRAME_CRLF || size < READ_BYTES ||
        (!input->is_inside && protocol_is_quit(held, size)))
        return INPUT_NOT_YET;
    while (size > 0 && held[size - 1] == '\r')
        size--;
    if (size == 0)
        return INPUT_NOT_YET;
    input->decoder = (struct frame_decoder){0};
    input->is_inside = true;
    give(input, size, size, text, text_size);
    return INPUT_PIECE;
}

/* Whole lines that need no look: none of them can be a word that ends the input. */
static bool give_lines(struct input *input, const char **text, size_t *text_size)
{
    static const char literal[] = {PROTOCOL_QUIT[0], '\0'};
    static const char special[] = {PROTOCOL_QUIT[0], OPTIONS_QUIT[0], '\0'};
    if (!input->takes_lines || codec_of(input) != FRAME_LINE || input->is_inside)
        return false;
    size_t size = frame_next_lines(
        &line_rules, &input->decoder, buffer_head(&input->buffer), buffer_size(&input->buffer),
        input->options->is_literal ? literal : special, SIZE_MAX, &input->line_count);
    if (size > 0)
        give(input, size, size, text, text_size);
    return size > 0;
}

static enum input_outcome next_line(struct input *input, const char **text, size_t *size)
{
    struct buffer *buffer = &input->buffer;
    if (input->has_quit)
        return INPUT_END;
    if (give_lines(input, text, size))
        return INPUT_LINES;
    struct frame line;
    enum frame_outcome outcome =
        frame_next(&line_rules, &input->decoder, buffer_head(buffer), buffer_size(buffer), &line);
    if (outcome == FRAME_MESSAGE) {
        give(input, line.size, line.consumed, text, size);
    } else if (!input->has_ended) {
        return give_piece(input, text, size);
    } else if ((buffer_size(buffer) > 0 || input->is_inside) && !input->failure) {
        give(input, buffer_size(buffer), buffer_size(buffer), text, size);
        input->decoder = (struct frame_decoder){0};
    } else {
        return INPUT_END;
    }
    input->has_quit = !input->is_inside && options_is_quit(input->options, *text, *size);
    input->is_inside = false;
    return input->has_quit ? INPUT_END : INPUT_MESSAGE;
}

enum input_outcome input_next(struct input *input, const char **text, size_t *size)
{
    return input->is_script ? next_line(input, text, size) : next_message(input, text, size);
}

void input_read(struct input *input)
{
    if (!buffer_reserve(&input->buffer, READ_BYTES)) {
        input->failure = ENOMEM;
        input->has_ended = true;
        return;
    }
    ssize_t size = read(input->fd, buffer_tail(&input->buffer), READ_BYTES);
    if (size > 0) {
        buffer_added(&input->buffer, (size_t) size);
        input->taken_bytes += (uint64_t) size;
    } else if (size == 0) {
        input->has_ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        input->failure = errno;
        input->has_ended = true;
    }
}

/* The rest of a line whose beginning was given does not count as a line that is left. */
static enum input_rest rest_of_script(struct input *input, int wait_ms)
{
    int64_t end_ms = clock_ms() + wait_ms;
    for (;;) {
        const char *text;
        size_t size;
        struct pollfd fd = {.fd = input->fd, .events = POLLIN};
        bool was_inside = input->is_inside;
        enum input_outcome outcome = next_line(input, &text, &size);
        if (outcome == INPUT_END)
            return INPUT_REST_NONE;
        if (outcome != INPUT_NOT_YET && !was_inside)
            return INPUT_REST_SOME;
        if (outcome != INPUT_NOT_YET)
            continue;
        int64_t left_ms = end_ms - clock_ms();
        if (poll(&fd, 1, left_ms > 0 ? (int) left_ms : 0) != 1)
            return buffer_size(&input->buffer) > 0 ? INPUT_REST_SOME : INPUT_REST_UNKNOWN;
        if (left_ms < -LONG_LINE_MS)
            return INPUT_REST_SOME;
        input_read(input);
    }
}

enum input_rest input_rest(struct input *input, int wait_ms)
{
    return input->is_script ? rest_of_script(input, wait_ms) : input_look(input);
}

enum input_rest input_look(const struct input *input)
{
    if (!input->is_script)
        return *input->next ? INPUT_REST_SOME : INPUT_REST_NONE;
    if (input->has_quit)
        return INPUT_REST_NONE;
    if (buffer_size(&input->buffer) > 0)
        return INPUT_REST_SOME;
    return input->has_ended ? INPUT_REST_NONE : INPUT_REST_UNKNOWN;
}

bool input_has_more_behind_quit(struct input *input)
{
    if (!input->has_quit)
        return false;
    struct pollfd fd = {.fd = input->fd, .events = POLLIN};
    if (buffer_size(&input->buffer) == 0 && !input->has_ended && poll(&fd, 1, 0) == 1)
        input_read(input);
    return buffer_size(&input->buffer) > 0;
}

double input_share(const struct input *input)
{
    struct stat status;
    if (!input->is_script || fstat(input->fd, &status) != 0 || !S_ISREG(status.st_mode))
        return -1;
    uint64_t given = input->taken_bytes - buffer_size(&input->buffer);
    uint64_t end = (uint64_t) status.st_size;
    /* Files of /proc have no size that means anything. */
    if (end <= input->first_byte || given > end - input->first_byte)
        return -1;
    return (double) given / (double) (end - input->first_byte);
}
