/*
 * pipes: a session's way to the program that its client talks to, and back (server/stream.h): lines
 * that wait for room in the program's input, what it has written cut into lines, and what epoll
 * watches of both pipes. What is done when is the relay's (session/relay.h).
 *
 * Only the owner of the session's loop calls these, of a session that is a relay.
 */
#ifndef BANTER_SERVER_SESSION_PIPES_H
#define BANTER_SERVER_SESSION_PIPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "server/session/scratch.h"
#include "server/session/state.h"

struct stream;

struct pipes {
    struct stream *stream; /* a reference */
    struct buffer input;   /* lines that the program has not taken yet */
    struct buffer output;  /* the beginning of a line that it has written */
    size_t scanned;        /* bytes of that, which have no newline */
    bool is_skipping;      /* that line is too long: what is left of it is dropped */
    /* Once its process has ended: how many bytes of its output are left, at most. */
    size_t rest;
    /* The client has ended, or may have behind what is not read yet, since the program does not
     * take more: when the session ends, even if the program goes on. CLOCK_NEVER: it may go on. */
    int64_t end_ms;
    bool has_started;
    bool has_ended;   /* its process has */
    bool is_deaf;     /* it has closed its input: lines are thrown away */
    bool output_over; /* all that it has written was framed */
    bool watches_input, watches_output;
};

/* The session is to be a relay from here on: asks the handler for a program. False: out of memory,
 * and it is not. */
bool pipes_begin(struct session *session);

/* It is no relay any more, and the program is the handler's to end. */
void pipes_end(struct session *session);

/* Whether lines may be put. */
bool pipes_have_room(const struct session *session);

/* A line for the program. */
void pipes_put(struct session *session, struct scratch *scratch, const char *line, size_t size);

/* Writes to the program what it takes of the lines. */
void pipes_write(struct session *session);

/* Nothing more is put: the program's input ends as soon as all is written. */
void pipes_end_input(struct session *session);

/* Sets `end_ms` anew: from now on the program has --drain-timeout. */
void pipes_put_off_end(struct session *session);

/* The program's process has ended. */
void pipes_process_ended(struct session *session);

/* Reads once what the program has written, and frames the lines. At its end a line without an end
 * is one, too. */
void pipes_read(struct session *session, struct scratch *scratch);

/* Watches the program's output, or does not: its end can't be ignored otherwise. */
void pipes_watch_output(struct session *session, bool wanted);

#endif
