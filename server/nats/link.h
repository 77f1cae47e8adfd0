/*
 * nats/link: the connection to NATS, kept for as long as its owner wants it. The one place that
 * knows the client library, which has an event loop here: a thread, the link's, that reads and
 * writes the socket and calls all functions of its owner.
 *
 * A link that has lost its server connects to the next one, for ever, 100 ms later or a little
 * more. It has lost it when it hears nothing for a second. What was published and had not arrived
 * by then is gone: nothing is sent again, and nothing can be published until it is up again. A
 * server that says that it is about to leave is left in order: another one is connected to, and the
 * old one is listened to for a while. So messages to the inbox may come twice.
 *
 * Which thread. link_post(), link_inbox(), link_max_payload() and link_figures() are for any; all
 * others for the link's, but that before link_start() the owner's may prepare it. None of them
 * blocks, but for link_start() and link_stop(). No function of the owner's may block, or take long.
 */
#ifndef BANTER_SERVER_NATS_LINK_H
#define BANTER_SERVER_NATS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/error.h"
#include "server/engine/heap.h"
#include "server/nats/message.h"
#include "server/nats/words.h"

struct link;
struct log;
struct wire_subscription;

/* ---- messages ---- */

struct link_subscription {
    const char *subject;
    const char *group; /* of a queue: one of the group gets each message; NULL: each does */
    void (*message)(void *context, const struct link_message *message);
    void *context;
    /* The link's. */
    TAILQ_ENTRY(link_subscription) entry;
    struct wire_subscription *made, *made_before; /* on the server, and the one that is left */
    uint32_t last_fence;                          /* when it was given up */
};

/* Subscribes, now and after each connect. The subscription, and its texts, stay the link's until
 * link_stop(), or until a fence behind link_unsubscribe() is over. */
void link_subscribe(struct link *link, struct link_subscription *subscription);

/* Gives it up: messages that are on their way still come. */
void link_unsubscribe(struct link *link, struct link_subscription *subscription);

enum link_result {
    LINK_SENT,     /* it is on its way */
    LINK_TOO_LONG, /* the server would not take it: link_max_payload() */
    LINK_FULL,     /* too much is on its way already; owner.room() follows */
    LINK_DOWN,     /* there is no server; owner.up() follows */
};

/* Publishes a copy. `reply` may be NULL. A status other than 0 makes it a service's error, with
 * `error` as its text, which is one line. What is published in a batch leaves together at its
 * end. */
enum link_result link_publish(struct link *link, const char *subject, const char *reply,
                              const void *data, size_t size);
enum link_result link_publish_error(struct link *link, const char *subject, unsigned status,
                                    const char *error, const void *data, size_t size);

/* The link's inbox: a message to INBOX.TOKEN comes to owner.reply(), with a subject that begins
 * with the token. Good while the link is there. */
const char *link_inbox(const struct link *link);

/* What the server takes in a message, in bytes; 0: there was none yet. It stays when it is lost. */
size_t link_max_payload(const struct link *link);

/* ---- fences ---- */

struct link_fence {
    /* The server has done all that it was sent before (true), or was lost before that. */
    void (*over)(void *context, bool arrived);
    void *context;
    /* The link's until then. */
    TAILQ_ENTRY(link_fence) entry;
    uint32_t number;
};

/* When it is over, all that the server had sent before has come, too: behind link_unsubscribe() no
 * message of the subscription comes any more. */
void link_fence(struct link *link, struct link_fence *fence);

/* ---- its thread ---- */

/* Has it run in the link's thread, in the order of the calls. After link_stop() it never does. */
void link_post(struct link *link, struct link_task *task);

struct link_timer {
    struct heap_item item; /* first; all zero at first */
    void (*due)(void *context, struct link_timer *timer);
    void *context;
};

/* Sets when it is due, in ms of CLOCK_MONOTONIC; moves one that is set. False: out of memory. */
bool link_set_timer(struct link *link, struct link_timer *timer, int64_t at_ms);
void link_clear_timer(struct link *link, struct link_timer *timer);

/* Has ready() called whenever `fd` is readable, until link_stop(). False with errno set. */
struct link_watch {
    int fd;
    void (*ready)(void *context);
    void *context;
};
bool link_watch(struct link *link, struct link_watch *watch);

/* The clock of this batch, in ms of CLOCK_MONOTONIC. */
int64_t link_now_ms(const struct link *link);

/* ---- opening and closing ---- */

/* How to log in, and TLS. Names of files; NULL: none. */
struct link_secrets {
    const char *login; /* user:password, an nkey's seed, or credentials */
    const char *authorities;
    const char *certificate, *key;
};

/* Each function may be NULL. All in the link's thread. */
struct link_owner {
    void (*up)(void *context);   /* connected; subscriptions are made */
    void (*down)(void *context); /* the server is lost */
    void (*room)(void *context); /* link_publish() may be tried again */
    void (*reply)(void *context, const struct link_message *message); /* link_inbox() */
    void (*begin)(void *context); /* a batch of calls of these begins, and ends */
    void (*end)(void *context);
    void (*paused)(void *context, int64_t ms); /* the process has stood still for so long */
    void *context;
};

struct link_plan {
    const struct words_service *service; /* its servers; good for link_open() */
    struct link_secrets secrets;         /* the texts outlive the link */
    const char *name; /* of the connection, as NATS shows it; outlives the link */
    struct link_owner owner;
    struct log *log;    /* the caller's, until the link is stopped; NULL: none */
    size_t max_message; /* warns when a server takes less; 0: never */
};

/* NULL, with `error` set, if a file can't be used, or memory is out. */
struct link *link_open(const struct link_plan *plan, struct error *error);

/* Starts its thread, and waits until it is connected or knows that it can't be now, which it logs:
 * two seconds at most; less if `stop_fd` (0: none) becomes readable. False, with `error` set, if a
 * server does not want us, or we don't want it: the login is wrong, a certificate is; then only
 * link_stop() is left to do. */
bool link_start(struct link *link, int stop_fd, struct error *error);

/* Sends what was published, for half a second at most, ends its thread, and frees all: tasks,
 * timers, fences and subscriptions are the owner's again, and none of them is called. Also of a
 * link that was not started. NULL is left alone. */
void link_stop(struct link *link);

/* ---- for those who watch over it ---- */

struct link_figures {
    bool is_up;
    char server[ADDRESS_HOST_SIZE + 8]; /* HOST:PORT, while it is up; "" */
    uint64_t connects;                  /* so far */
    uint64_t losses;
};

void link_figures(struct link *link, struct link_figures *figures);

#endif
