/*
 * output: replies on standard output; nothing else is written there.
 *
 * Replies are collected and written in large pieces, without ever blocking in write(2): the caller
 * polls the descriptor and flushes. On a terminal, control bytes are made visible, and errors are
 * red or, without colour, have "! " in front; elsewhere a reply's bytes are written as they are. A
 * newline ends each.
 */
#ifndef BANTER_CLIENT_OUTPUT_H
#define BANTER_CLIENT_OUTPUT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/options.h"
#include "common/buffer.h"

struct output {
    struct buffer buffer;
    bool is_terminal; /* replies are made printable */
    bool is_file;     /* never blocks for long; poll(2) is of no use for it */
    bool is_colored;  /* error replies are red */
    int failure;      /* errno of the first write that failed, or 0; nothing is written after it */
};

/* Looks at standard output and, for OPTIONS_AUTO, at NO_COLOR and TERM. */
void output_init(struct output *output, enum options_when color);
void output_fini(struct output *output);

/* Adds a reply. Lack of memory is a failure like a full disk. */
void output_reply(struct output *output, const char *reply, size_t size);

/* Adds a reply of FRAME_BLOCK as it is on the wire, so that replies can be told apart. */
void output_block(struct output *output, const char *wire, size_t size);

/* Adds replies with their newlines, none of them an error. Not for a terminal. */
void output_lines(struct output *output, const char *lines, size_t size);

/* Whether bytes wait to be written; whether they are too many to read more; whether they are enough
 * to be worth a write while more replies are ready to be read. */
bool output_is_waiting(const struct output *output);
bool output_is_full(const struct output *output);
bool output_is_large(const struct output *output);

/* How many replies are not written to their end. A reply of several lines counts as many, so that
 * the number is never too small. */
uint64_t output_unwritten(const struct output *output);

/* What to poll(2) standard output for. A file is never polled: it takes bytes at any time. With
 * nothing to write, the poll still shows that the reader is gone. */
void output_poll(const struct output *output, struct pollfd *fd);

/* Takes the result of that poll: a reader that is gone is a failure, EPIPE. */
void output_check(struct output *output, short revents);

/* Writes what standard output takes now without blocking. False if it failed, now or earlier. */
bool output_flush(struct output *output);

/* Writes everything, and blocks for it. Only for a terminal. */
bool output_flush_all(struct output *output);

/* Everything must have been flushed, unless it failed. False only if the close reports an error
 * that came late. */
bool output_close(struct output *output);

#endif
