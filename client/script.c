/*
 * script: lines of any length, read in large pieces. Where lines may go out in pieces too, nothing
 * else is held; a netstring begins with its length, so that there the longest line is.
 */
#include "client/script.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/batch/batch.h"
#include "client/words.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/protocol.h"

#define READ_BYTES ((size_t) 64 << 10)
#define LONG_LINE_MS 1000 /* at most, for the end of a line that may have none */

struct script {
    struct input input; /* first, so that a pointer to it is one to the script */
    struct buffer buffer;
    struct frame_decoder decoder;
    uint64_t taken_bytes; /* of standard input, since we began */
    uint64_t first_byte;  /* where that was, in a file */
    bool is_literal;
    bool is_line;   /* the lines go out as they are: many at once, or a long one in pieces */
    bool is_inside; /* of a line whose beginning was given */
    bool has_ended; /* read(2) said so, or failed */
    bool has_quit;  /* the word came: what is behind it is no request */
};

/* The server judges how long a request may be. (The sums with line ends must not overflow.) */
static const struct frame_rules line_rules = {.codec = FRAME_LINE, .max_bytes = SIZE_MAX / 2};

static enum input_outcome give(struct script *script, size_t size, size_t consumed,
                               const char **text, size_t *text_size)
{
    *text = buffer_head(&script->buffer);
    *text_size = size;
    buffer_consume(&script->buffer, consumed);
    return INPUT_MESSAGE;
}

/* The beginning of a line that is longer than what is read at once. What might yet be the word for
 * quit is kept together, and a CR with the LF that may follow. */
static enum input_outcome give_piece(struct script *script, const char **text, size_t *text_size)
{
    const char *held = buffer_head(&script->buffer);
    size_t size = buffer_size(&script->buffer);
    if (!script->is_line || size < READ_BYTES ||
        (!script->is_inside && protocol_is_quit(held, size)))
        return INPUT_NOT_YET;
    while (size > 0 && held[size - 1] == '\r')
        size--;
    if (size == 0)
        return INPUT_NOT_YET;
    script->decoder = (struct frame_decoder){0};
    script->is_inside = true;
    give(script, size, size, text, text_size);
    return INPUT_PIECE;
}

/* Whole lines that need no look: none may be a word that asks for the end. */
static bool give_block(struct script *script, const char **text, size_t *text_size)
{
    static const char literal[] = {PROTOCOL_QUIT[0], '\0'};
    static const char special[] = {PROTOCOL_QUIT[0], WORDS_QUIT[0], '\0'};
    if (!script->input.takes_blocks || !script->is_line || script->is_inside)
        return false;
    const size_t size = frame_next_block(
        &line_rules, &script->decoder, buffer_head(&script->buffer), buffer_size(&script->buffer),
        script->is_literal ? literal : special, SIZE_MAX, &script->input.block);
    if (size > 0)
        give(script, size, size, text, text_size);
    return size > 0;
}

static enum input_outcome next_line(struct input *input, const char **text, size_t *size)
{
    struct script *script = (struct script *) input;
    struct buffer *buffer = &script->buffer;
    if (script->has_quit)
        return INPUT_END;
    if (give_block(script, text, size))
        return INPUT_BLOCK;
    struct frame line;
    const enum frame_outcome outcome =
        frame_next(&line_rules, &script->decoder, buffer_head(buffer), buffer_size(buffer), &line);
    if (outcome == FRAME_MESSAGE) {
        give(script, line.size, line.consumed, text, size);
    } else if (!script->has_ended) {
        return give_piece(script, text, size);
    } else if ((buffer_size(buffer) > 0 || script->is_inside) && !input->failure) {
        give(script, buffer_size(buffer), buffer_size(buffer), text, size);
        script->decoder = (struct frame_decoder){0};
    } else {
        return INPUT_END;
    }
    script->has_quit = !script->is_literal && !script->is_inside && words_mean_quit(*text, *size);
    script->is_inside = false;
    return script->has_quit ? INPUT_END : INPUT_MESSAGE;
}

static void read_input(struct input *input)
{
    struct script *script = (struct script *) input;
    if (!buffer_reserve(&script->buffer, READ_BYTES)) {
        input->failure = ENOMEM;
        script->has_ended = true;
        return;
    }
    const ssize_t size = read(input->fd, buffer_tail(&script->buffer), READ_BYTES);
    if (size > 0) {
        buffer_added(&script->buffer, (size_t) size);
        script->taken_bytes += (uint64_t) size;
    } else if (size == 0) {
        script->has_ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        input->failure = errno;
        script->has_ended = true;
    }
}

/* What is left of a line whose beginning was given is no line that is left. */
static enum input_rest rest_of_input(struct input *input, int wait_ms)
{
    struct script *script = (struct script *) input;
    const int64_t end_ms = clock_ms() + wait_ms;
    for (;;) {
        const char *text;
        size_t size;
        struct pollfd fd = {.fd = input->fd, .events = POLLIN};
        const bool was_inside = script->is_inside;
        const enum input_outcome outcome = next_line(input, &text, &size);
        if (outcome == INPUT_END)
            return INPUT_REST_NONE;
        if (outcome != INPUT_NOT_YET && !was_inside)
            return INPUT_REST_SOME;
        if (outcome != INPUT_NOT_YET)
            continue;
        const int64_t left_ms = end_ms - clock_ms();
        if (poll(&fd, 1, left_ms > 0 ? (int) left_ms : 0) != 1)
            return buffer_size(&script->buffer) > 0 ? INPUT_REST_SOME : INPUT_REST_UNKNOWN;
        if (left_ms < -LONG_LINE_MS)
            return INPUT_REST_SOME;
        read_input(input);
    }
}

static double share_of_file(const struct input *input)
{
    const struct script *script = (const struct script *) input;
    struct stat status;
    if (fstat(input->fd, &status) != 0 || !S_ISREG(status.st_mode))
        return -1;
    const uint64_t given = script->taken_bytes - buffer_size(&script->buffer);
    const uint64_t end = (uint64_t) status.st_size;
    /* Files of /proc have no size that means anything. */
    if (end <= script->first_byte || given > end - script->first_byte)
        return -1;
    return (double) given / (double) (end - script->first_byte);
}

enum exit_status script_run(struct conversation *conversation, const struct options *options,
                            struct output *output)
{
    const off_t position = lseek(STDIN_FILENO, 0, SEEK_CUR);
    struct script script = {
        .input = {.unit = "input line",
                  .fd = STDIN_FILENO,
                  .is_script = true,
                  .next = next_line,
                  .read = read_input,
                  .rest = rest_of_input,
                  .share = share_of_file},
        .first_byte = position > 0 ? (uint64_t) position : 0,
        .is_literal = options->is_literal,
        .is_line = options->conversation.codec == FRAME_LINE,
    };
    const enum exit_status status = batch_run(conversation, options, &script.input, output);
    buffer_fini(&script.buffer);
    return status;
}
