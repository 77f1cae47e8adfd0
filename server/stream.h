/*
 * stream: what lies between a session and the program that its client talks to: two pipes. Lines go
 * both ways as they come, and nothing is paired, so there are no requests. The handler starts the
 * program and ends it; the session writes and reads the pipes. For handlers that relay (handler.h).
 *
 * Life. The session makes a stream and gives it to the handler (stream_begun() of its kind). The
 * handler says, once, that the program runs or that it does not; and, once, that its process has
 * ended. The session says that it is over (stream_ended()), at any time, and exactly once. Each of
 * the two has a reference, and so has what is on its way to the loop.
 *
 * The pipes. From stream_started() on they are the session's, which may close them. When it is over
 * those that are still open are the handler's again.
 */
#ifndef BANTER_SERVER_STREAM_H
#define BANTER_SERVER_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/engine/inbox.h"

struct loop;

/* What a client gets for a message that a program can't be given. */
#define STREAM_ONE_LINE_TEXT "a program is given one line, and this request has a newline in it"

struct stream {
    struct inbox_node started_node, ended_node; /* to the loop */
    atomic_uint references;
    /* constant */
    struct loop *loop; /* the session's */
    uint64_t session;  /* its number */
    void *context;     /* the session's own; NULL: it is over. For the loop's owner alone */
    void *data;        /* the handler's own */
    /* Neither blocks; -1: closed. The end that is written is the program's standard input. */
    int input_fd, output_fd;
    bool output_over; /* the session's: it has read the end of the program's output */
    const char *code; /* the program does not run: the error for the client; NULL: it does */
    char text[200];   /* and why */
};

/* ---- for the session ---- */

/* With one reference, the caller's. NULL: out of memory. */
struct stream *stream_new(struct loop *loop, uint64_t session, void *context);

/* Takes another reference, for the handler. */
void stream_hold(struct stream *stream);

/* The stream that has sent a node of its kinds, with the node's reference. */
struct stream *stream_of_node(struct inbox_node *node);

/* ---- for both ---- */

/* Drops a reference. */
void stream_release(struct stream *stream);

/* ---- for the handler, from any thread, each at most once ---- */

/* The program runs. */
void stream_started(struct stream *stream, int input_fd, int output_fd);

/* It does not, and will not: the client gets "-ERR CODE TEXT", and the session ends. The code is
 * static, the text is printf-like. */
void stream_refuse(struct stream *stream, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* After stream_started(): its process has ended. What is in its output now is the last of it, even
 * if others have that open too. */
void stream_process_ended(struct stream *stream);

#endif
