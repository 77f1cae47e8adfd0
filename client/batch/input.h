/*
 * input: the source of the requests that come from no keyboard: the messages of the command line,
 * or standard input as a script, one request a line.
 *
 * A pull interface: it gives one message after the other and never blocks, but in input_rest().
 * Embedded by value.
 */
#ifndef BANTER_CLIENT_BATCH_INPUT_H
#define BANTER_CLIENT_BATCH_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/options.h"
#include "common/buffer.h"
#include "common/frame.h"

struct input {
    const char *unit;  /* the name of one message in errors: "input line" */
    bool is_script;    /* standard input; otherwise the messages of the command line */
    int fd;            /* to poll after INPUT_NOT_YET; -1: that does not occur */
    int failure;       /* errno of a read that failed, or 0; INPUT_END follows */
    size_t line_count; /* of INPUT_LINES: how many messages it holds */

    /* private */
    const struct options *options;
    char *const *next; /* the next message of the command line */
    struct buffer buffer;
    struct frame_decoder decoder;
    uint64_t taken_bytes; /* of standard input, since we began */
    uint64_t first_byte;  /* the offset of these in a file */
    bool takes_lines;
    bool is_inside; /* a line, whose beginning was given */
    bool has_ended; /* read(2) said so, or failed */
    bool has_quit;  /* the word came: what is behind it is no request */
};

/* Takes the options' messages, each as plain text, if there are any; standard input is then not
 * touched. Otherwise the lines of standard input (LF, or CR LF; the last one may lack it), up to a
 * line `quit` or `--QUIT--`. With --literal no line ends it. The options must outlive the input.
 * `takes_lines`: INPUT_LINES is welcome. */
void input_init(struct input *input, const struct options *options, bool takes_lines);
void input_fini(struct input *input);

enum input_outcome {
    INPUT_MESSAGE, /* or the last piece of one */
    INPUT_LINES,   /* many messages, as conversation_ask_lines() takes them */
    INPUT_PIECE,   /* of a message that is too long to be held; more of it follows */
    INPUT_NOT_YET, /* call input_read() when `fd` is readable */
    INPUT_END,
};

/* The next message. `text` is good until the next call of any of these. */
enum input_outcome input_next(struct input *input, const char **text, size_t *size);

/* Reads once. Does not block if `fd` is readable. */
void input_read(struct input *input);

/* What is left of an input when the connection has ended. */
enum input_rest {
    INPUT_REST_NONE,
    INPUT_REST_SOME,
    INPUT_REST_UNKNOWN, /* it is open, but silent */
};

/* The same without taking anything or blocking; what is there may be the word that ends the input.
 */
enum input_rest input_look(const struct input *input);

/* Blocks for at most about wait_ms, until there is a message or the end. */
enum input_rest input_rest(struct input *input, int wait_ms);

/* Whether there is input behind the word that ended it; none is waited for. */
bool input_has_more_behind_quit(struct input *input);

/* Which part of the whole was given so far, from 0 to 1; below 0: not known. */
double input_share(const struct input *input);

#endif
