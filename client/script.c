/*
 * script: lines of any length, read in large pieces; nothing but the pieces and the longest line is
 * held.
 */
#include "client/script.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "client/batch.h"
#include "client/words.h"
#include "common/buffer.h"
#include "common/frame.h"

#define READ_BYTES ((size_t) 64 << 10)

struct script {
    struct input input; /* first, so that a pointer to it is one to the script */
    struct buffer buffer;
    struct frame_decoder decoder;
    bool is_literal;
    bool has_ended; /* read(2) said so, or failed */
    bool has_quit;  /* the word came: what is behind it is no request */
};

/* The server judges how long a request may be. (The sums with line ends must not overflow.) */
static const struct frame_rules line_rules = {.codec = FRAME_LINE, .max_bytes = SIZE_MAX / 2};

static enum input_outcome next_line(struct input *input, const char **text, size_t *size)
{
    struct script *script = (struct script *) input;
    struct buffer *buffer = &script->buffer;
    if (script->has_quit)
        return INPUT_END;
    struct frame line;
    const enum frame_outcome outcome =
        frame_next(&line_rules, &script->decoder, buffer_head(buffer), buffer_size(buffer), &line);
    if (outcome == FRAME_MESSAGE) {
        *text = line.message;
        *size = line.size;
        buffer_consume(buffer, line.consumed);
    } else if (!script->has_ended) {
        return INPUT_NOT_YET;
    } else if (buffer_size(buffer) > 0 && !input->failure) {
        *text = buffer_head(buffer);
        *size = buffer_size(buffer);
        buffer_consume(buffer, *size);
        script->decoder = (struct frame_decoder){0};
    } else {
        return INPUT_END;
    }
    script->has_quit = !script->is_literal && words_mean_quit(*text, *size);
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
    } else if (size == 0) {
        script->has_ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        input->failure = errno;
        script->has_ended = true;
    }
}

static enum input_rest rest_of_input(struct input *input, int wait_ms)
{
    struct script *script = (struct script *) input;
    const char *text;
    size_t size;
    struct pollfd fd = {.fd = input->fd, .events = POLLIN};
    enum input_outcome outcome = next_line(input, &text, &size);
    if (outcome == INPUT_NOT_YET && poll(&fd, 1, wait_ms) == 1) {
        read_input(input);
        outcome = next_line(input, &text, &size);
    }
    if (outcome == INPUT_NOT_YET)
        return buffer_size(&script->buffer) > 0 ? INPUT_REST_SOME : INPUT_REST_UNKNOWN;
    return outcome == INPUT_MESSAGE ? INPUT_REST_SOME : INPUT_REST_NONE;
}

enum exit_status script_run(struct conversation *conversation, bool is_literal,
                            struct output *output)
{
    struct script script = {
        .input = {.unit = "input line",
                  .fd = STDIN_FILENO,
                  .next = next_line,
                  .read = read_input,
                  .rest = rest_of_input},
        .is_literal = is_literal,
    };
    const enum exit_status status = batch_run(conversation, &script.input, output);
    buffer_fini(&script.buffer);
    return status;
}
