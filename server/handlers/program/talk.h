/*
 * talk: a session and the instance that it has to itself from its beginning to its end, for
 * programs that talk as they like (--reply-end none). The session's own loop writes and reads the
 * pipes (server/stream.h); here instances are started and ended. Some may be started ahead: what
 * they write before they have a session waits in their pipes.
 *
 * Only the supervisor's thread calls these, except for talk_new().
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
    struct score *score;        /* what others see of it, while it is counted; may be NULL */
    /* of one that was started ahead, until it has a session; then they are the stream's */
    int input_fd, output_fd;
};

TAILQ_HEAD(talk_list, talk);

struct talk_rules {
    unsigned ahead;  /* how many wait, started ahead */
    unsigned max;    /* how many there may be at a time */
    unsigned starts; /* how many of them may be starting */
};

/* All of them (talks.h). */
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
    unsigned more;     /* spares that are wanted in addition: a restart goes on */
    unsigned failures; /* spares in a row that have ended without a session */
    int64_t spare_ms;  /* when the next spare may be started */
    uint64_t number;   /* rules.ahead: of the last instance */
};

/* One without session and instance. NULL: out of memory. */
struct talk *talk_new(void);

/* It has an instance, or waits for one, from here on, and is counted. */
void talk_count(struct talks *talks, struct talk *talk);

/* It does not wait for an instance any more, if it did. */
void talk_leave_line(struct talks *talks, struct talk *talk);

/* Starts the instance of a session; if that fails the session gets an error. */
void talk_start_for_session(struct talks *talks, struct talk *talk);

/* Starts one ahead. */
void talk_start_ahead(struct talks *talks);

/* The session of `talk` takes the instance of one that was started ahead, which is gone then. */
void talk_take_spare(struct talks *talks, struct talk *talk, struct talk *spare);

/* It has started, as far as it counts: from now on it runs as others do. */
void talk_end_start(struct talks *talks, struct talk *talk);

/* Ends one that was started ahead and has no session. */
void talk_end_spare(struct talks *talks, struct talk *spare);

/* Its session is over, whatever it was doing. */
void talk_end(struct talks *talks, struct talk *talk);

/* Its instance's process has ended. The talk may be gone when this returns. */
void talk_exited(struct talks *talks, struct talk *talk);

#endif
