/*
 * talk: a session and the instance that it has to itself from its beginning to its end, for
 * programs that talk as they like (--reply-end none). The session's own loop writes and reads the
 * pipes (server/stream.h); here instances are started and ended. Some may be started ahead: what
 * they write before they have a session waits in their pipes.
 *
 * Sessions begin and end in any thread; all else is the supervisor's.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_TALK_H
#define BANTER_SERVER_HANDLERS_PROGRAM_TALK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "server/handlers/program/instance.h"

struct peer_text;
struct stream;

/* One instance, two pipes that it does not block on, and a session or none yet. */
struct talk {
    STAILQ_ENTRY(talk) news_entry; /* in talks.news */
    bool is_news, is_over;         /* guarded by talks.lock, as is that list */
    /* its session has begun and waits for an instance: in talks.line; or in talks.spares */
    TAILQ_ENTRY(talk) entry;
    bool in_line, is_counted;
    LIST_ENTRY(talk) start_entry; /* in talks.starting, while it starts */
    bool starts;
    int64_t begun_ms, check_ms; /* when it began to start; when it is looked at */
    struct stream *stream;      /* a reference; NULL: it has no session, or not any more */
    struct peer_text *peer;     /* its client; owned; NULL: started ahead */
    struct instance *instance;  /* NULL: not started, or it has ended */
    /* of one that was started ahead, until it has a session; then they are the stream's */
    int input_fd, output_fd;
};

TAILQ_HEAD(talk_list, talk);

struct talk_rules {
    unsigned ahead;  /* how many wait, started ahead */
    unsigned max;    /* how many there may be at a time */
    unsigned starts; /* how many of them may be starting */
};

struct talks {
    struct instances *instances;
    struct talk_rules rules;
    pthread_mutex_t lock;
    STAILQ_HEAD(, talk) news; /* whose sessions have begun or ended */
    /* the supervisor's */
    struct talk_list line, spares;
    LIST_HEAD(, talk) starting;
    unsigned count; /* of talks and spares that have an instance or wait for one */
    unsigned spare_count, starting_count;
    unsigned failures; /* spares in a row that have ended without a session */
    int64_t spare_ms;  /* when the next spare may be started */
    uint64_t number;   /* rules.ahead: of the last instance */
};

void talks_init(struct talks *talks, struct instances *instances, const struct talk_rules *rules);

/* All have ended. */
void talks_fini(struct talks *talks);

/* ---- from any thread ---- */

enum talk_result {
    TALK_NO_MEMORY, /* nothing has begun */
    TALK_QUIET,
    TALK_WAKE, /* the supervisor must be woken */
};

/* A session has begun: takes over the reference to its stream. */
enum talk_result talks_begin(struct talks *talks, struct stream *stream,
                             const struct peer_text *peer);

/* It is over. */
enum talk_result talks_over(struct talks *talks, struct stream *stream);

/* ---- the supervisor's ---- */

/* Takes the news, and starts instances. */
void talks_serve(struct talks *talks);

/* All sessions are over: ends what is left. */
void talks_end(struct talks *talks);

/* Its instance's process has ended. The talk may be gone when this returns. */
void talk_exited(struct talks *talks, struct talk *talk);

/* Acts on those whose time has come, and schedules the next time. */
void talks_act(struct talks *talks);

#endif
