/*
 * batch: requests that come from no keyboard, sent ahead at full speed, and their replies on
 * standard output.
 *
 * Where the requests come from is an `input`: lines of standard input (script.h) or operands
 * (messages.h). The socket is always read while standard output takes what comes, the input only
 * while few bytes wait to be sent: so neither side can make the other stall for good, and memory
 * stays bounded.
 */
#ifndef BANTER_CLIENT_BATCH_BATCH_H
#define BANTER_CLIENT_BATCH_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "client/conversation.h"
#include "client/exit_status.h"
#include "client/options.h"
#include "client/output.h"

enum input_outcome {
    INPUT_MESSAGE,
    INPUT_BLOCK,   /* of messages, as conversation_ask_block() takes it */
    INPUT_PIECE,   /* of a message that is too long to be held; more of it follows */
    INPUT_NOT_YET, /* read(), when `fd` is readable, before there can be another one */
    INPUT_END,
};

/* What is left of an input when the connection has ended. */
enum input_rest {
    INPUT_REST_NONE,
    INPUT_REST_SOME,
    INPUT_REST_UNKNOWN, /* it is open, but silent */
};

struct input {
    const char *unit;  /* what one message is called in errors: "input line" */
    int fd;            /* to poll after INPUT_NOT_YET; -1 where that does not occur */
    int failure;       /* errno of a read that failed, or 0; the end follows */
    bool takes_blocks; /* INPUT_BLOCK is welcome; set by batch_run() */
    size_t block;      /* INPUT_BLOCK: how many messages it is */
    bool is_script;    /* many, so that a run that fails or is interrupted is summed up */
    /* The next message, or the last of its pieces; `text` is good until the next call of any of these. */
    enum input_outcome (*next)(struct input *input, const char **text, size_t *size);
    /* Reads once; does not block when `fd` is readable. NULL where `fd` is -1. */
    void (*read)(struct input *input);
    /* Waits for so long until there is something, or the end. */
    enum input_rest (*rest)(struct input *input, int wait_ms);
    /* Which part of the whole was given so far, from 0 to 1; below 0: not known. NULL: never. */
    double (*share)(const struct input *input);
};

/* Sends all that the input has, prints the replies, says quit and waits for the end; reports
 * what goes wrong. The output is flushed, unless it failed. The signals that end a program do so
 * after a script was summed up. */
enum exit_status batch_run(struct conversation *conversation, const struct options *options,
                           struct input *input, struct output *output);

#endif
