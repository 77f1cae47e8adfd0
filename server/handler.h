/*
 * handler: what makes a reply from a request. A kind of handler is a struct of functions in one
 * table (handlers/table.c); a handler is a kind that has been opened.
 *
 * Many threads call handle() at once. It answers each request exactly once (server/request.h), now
 * or later, from any thread. It may take as long as it likes: after a few milliseconds the loop and
 * its other sessions go on without the thread that is in handle().
 */
#ifndef BANTER_SERVER_HANDLER_H
#define BANTER_SERVER_HANDLER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct handler;
struct handler_kind;
struct handler_restart;
struct handler_session;
struct handler_worker;
struct log;
struct nats_front_figures;
struct nats_options;
struct peer_text;
struct program_options;
struct request;
struct stream;

/* Which handler to open. */
struct handler_spec {
    const struct handler_kind *kind;
    const char *argument; /* the text after "NAME:"; NULL: none */
    /* For handler_program alone (handlers/program/program.h). The caller's, until the handler is
     * closed. */
    const struct program_options *program;
    const struct nats_options *nats; /* for handler_nats alone; as above */
};

/* What the server offers to a handler of any kind. */
struct handler_host {
    struct log *log;            /* the caller's, until the handler is closed; NULL: no log */
    int64_t handler_timeout_ms; /* how long a request may wait for its answer; 0: for ever */
    unsigned cores;             /* how many processor cores the handler may use; at least 1 */
    bool lines;                 /* requests are lines */
    bool one_line;              /* a reply can't have a newline in it */
    size_t max_message;         /* bytes of a request */
    /* Readable once the start is to be given up; 0: never. */
    int stop_fd;
};

/* Up to this size a reply is small: those of all the requests that a session may have under way
 * hold 4 MiB at most. */
enum { HANDLER_SMALL_REPLY = 64 << 10 };

struct handler_kind {
    const char *name;
    const char *usage; /* how --handler names it: "NAME" or "NAME:ARG"; NULL: it can't */
    const char *help;  /* what it answers, in a line for --help */

    /* Whether an argument (NULL: none) can be right, as far as can be seen without opening. NULL
     * instead of a function: any can. */
    bool (*check)(const char *argument, struct error *error);

    /* Makes the handler ready. May set handler->state and how many descriptors it may open, and the
     * kind, if that is another one from here on; all else in `handler` is set already. `spec` and
     * `host` are good for this call only. False, with `error` set, if it can't; then nothing is
     * left to close. NULL instead of a function: nothing needs to be done, and an argument is
     * refused. */
    bool (*open)(struct handler *handler, const struct handler_spec *spec,
                 const struct handler_host *host, struct error *error);

    void (*handle)(struct handler *handler, struct request *request);

    /* handle() never waits, and computes no longer than it takes to go through the message. */
    bool is_brief;

    /* Gives everything back. No handle() is running. Requests that are still held must be released,
     * and when close() returns no thread of the handler touches a request any more. NULL: nothing
     * needs to be done. */
    void (*close)(struct handler *handler);

    /* A session sends its first request: the result is the beginning of what the handler keeps of
     * it, and request_session_data() of all its requests. NULL: out of memory.
     * `peer` is the client, and good for this call only. Called by the loop's owner: must not
     * block. NULL: sessions have no data. */
    struct handler_session *(*session_begun)(struct handler *handler, uint64_t session,
                                             const struct peer_text *peer);

    /* A session that has sent a request has ended; `data` is the result of session_begun(), if not
     * NULL. A handle() that lost its loop may still be working on one of its requests, for which
     * request_is_over() is now true. No more requests of this session come; those that are held
     * get no answer. Called by the loop's owner: must not block. NULL: not notified. */
    void (*session_ended)(struct handler *handler, void *data);

    /* For a kind that has requests waiting which their session has given to it already: to bound
     * what one session's replies hold. A request is about to get a reply that is not small (in the
     * thread that replies; it may turn out to be too late); and such a reply, or a verdict instead,
     * has left its session (in the loop's owner, while the session is there). NULL: not notified.
     */
    void (*reply_held)(struct handler *handler, struct request *request, size_t size);
    void (*reply_gone)(struct handler *handler, struct request *request);

    /* For a handler that relays (handler.relays), in place of handle(), session_begun() and
     * session_ended(): a session has begun, and wants a program to talk to. The handler has a
     * reference to the stream from here on, and starts the program (server/stream.h). `peer` is the
     * client, as above. Called by the loop's owner: must not block. False: out of memory; it has no
     * reference. */
    bool (*stream_begun)(struct handler *handler, struct stream *stream,
                         const struct peer_text *peer);

    /* The session is over, or will read and write no more. Exactly once for each stream that has
     * begun. Called as above. */
    void (*stream_ended)(struct handler *handler, struct stream *stream);

    /* How long the time of this session's requests (`data` as for session_ended()) has stood still,
     * all in all, in ms at `now_ms`; it does while nobody could answer yet. It never becomes less.
     * From any thread. NULL: never. */
    int64_t (*paused_ms)(struct handler *handler, void *data, int64_t now_ms);

    /* The stop waits no longer: nothing is begun from now on, and what was given to somebody who
     * has not begun with it is deferred again (server/request.h). Called again and again, by the
     * owners of all loops, until it returns true; must not block. NULL: there is no such thing. */
    bool (*recall)(struct handler *handler);

    /* See server/handler_workers.h. NULL: there are no workers. */
    bool (*next_worker)(struct handler *handler, unsigned *place, struct handler_worker *worker);
    uint64_t (*replacements)(struct handler *handler);

    bool (*restart_workers)(struct handler *handler, struct error *error);
    int (*restart_fd)(const struct handler *handler);
    void (*restart_result)(struct handler *handler, struct handler_restart *restart);

    /* What a front does for NATS (server/nats/library.h), for any thread. NULL: it is none. */
    void (*front_figures)(struct handler *handler, struct nats_front_figures *figures);

    /* The process is about to end without close(): ends what would outlive it, of all handlers of
     * this kind. From any thread, also while one is being opened. NULL: nothing would. */
    void (*abort)(void);
};

struct handler {
    const struct handler_kind *kind; /* NULL: not open */
    void *state;                     /* the kind's */
    /* The server's: starts reading sessions again. NULL: no server runs. */
    void (*resume)(void *context);
    void *resume_context;
    unsigned descriptors; /* how many it may open, in addition to the server's */
    /* how many requests it works on at a time; 0: as many as there are cores. The kind's; set in
     * open() */
    unsigned places;
    _Atomic bool full; /* see handler_set_full() */
    /* A session whose request is late is closed in order behind the time-out: what the handler
     * keeps of it is lost. The kind's; set in open(). */
    bool late_ends_session;
    /* It answers no requests: each session has a stream. The kind's; set in open(). */
    bool relays;
};

/* ---- the back-pressure of a handler that queues ----
 *
 * A session with a full backlog is not read as long as it is owed a reply; nor, while the handler
 * is full, is one with any backlog. The others are read, so that those that have filled the queue
 * don't stop them. Of a kind without sessions' data each session that is owed a reply has some. */

enum handler_backlog { HANDLER_BACKLOG_NONE, HANDLER_BACKLOG_SOME, HANDLER_BACKLOG_FULL };

/* What a handler keeps of a session begins with this. */
struct handler_session {
    /* enum handler_backlog: what the session has waiting in the queue. The handler's; read by the
     * loop's owner. When it shrinks, request_resume_session() (server/request.h) may be due. */
    atomic_uchar backlog;
};

/* From any thread, but not from within handler->resume(). */
void handler_set_full(struct handler *handler, bool full);

static inline bool handler_is_full(const struct handler *handler)
{
    return atomic_load_explicit(&handler->full, memory_order_relaxed);
}

/* Whether a session that is owed a reply must wait until it is read. */
static inline bool handler_holds_back(const struct handler *handler,
                                      const struct handler_session *session)
{
    unsigned backlog = session ? atomic_load_explicit(&session->backlog, memory_order_relaxed)
                               : HANDLER_BACKLOG_SOME;
    return backlog == HANDLER_BACKLOG_FULL ||
           (backlog == HANDLER_BACKLOG_SOME && handler_is_full(handler));
}

/* All kinds, ended by NULL. */
extern const struct handler_kind *const handler_kinds[];

/* Reads "NAME" or "NAME:ARGUMENT", as --handler takes it; `spec` points into the text. False, with
 * `error` set, if there is no such kind or the argument can't be right. */
bool handler_parse(struct handler_spec *spec, const char *text, struct error *error);

/* Opens a handler, which must stay where it is until it is closed. False, with `error` set, if it
 * can't be opened; then there is nothing to close. */
bool handler_open(struct handler *handler, const struct handler_spec *spec,
                  const struct handler_host *host, struct error *error);

/* Ends at once what would outlive the process, of all handlers of this kind; see abort(). */
void handler_abort(const struct handler_kind *kind);

/* Does nothing if the handler is not open. */
void handler_close(struct handler *handler);

#endif
