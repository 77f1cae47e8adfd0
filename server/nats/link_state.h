/*
 * nats/link_state: what the files of a link share; link.h is its interface.
 */
#ifndef BANTER_SERVER_NATS_LINK_STATE_H
#define BANTER_SERVER_NATS_LINK_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/nats/chance.h"
#include "server/nats/connector.h"
#include "server/nats/link.h"
#include "server/nats/wire.h"

enum {
    LINK_UNSENT_MAX = 1 << 20, /* bytes; over it nothing is published */
    LINK_UNSENT_HEAD = 100,    /* of a message beside its body, about */
    LINK_HEADERS = 100,        /* of an error beside its text, at most */
};

/* How many connectors may hang in the library; behind that the last one is waited for. */
enum { LINK_CONNECTORS = 8 };

/* What has come of the first try. */
enum link_start { LINK_STARTING, LINK_STARTED, LINK_REFUSED };

TAILQ_HEAD(link_subscriptions, link_subscription);

struct link {
    struct link_owner owner;
    struct wire_plan wire_plan;
    struct words_server servers[WORDS_SERVERS];
    unsigned server_count;
    /* For any thread. */
    int wake_fd;
    struct inbox inbox; /* of struct link_task */
    atomic_size_t max_payload;
    struct log *log;
    size_t max_message;
    pthread_mutex_t lock;
    struct link_figures figures; /* guarded by the lock, as are the next two */
    struct error refusal;
    enum link_start start;
    int start_fd; /* an eventfd: readable when `start` is known */
    pthread_t thread;
    bool is_running; /* there is a thread; the owner's */
    atomic_bool is_stopped;
    /* The link's thread's, from here on. */
    enum wire_result logged; /* why it can't connect, since it is down; WIRE_OPEN: nothing yet */
    bool is_ordered;         /* the connector has an order */
    bool is_leaving;         /* the wire's server leaves, another one is looked for */
    bool was_heard;          /* since the last ping */
    bool owes_room;
    bool polls_write, polls_write_before;
    unsigned silent; /* pings without a sign of life */
    unsigned server; /* the wire's */
    int epoll_fd;
    int64_t now_ms;
    int64_t quiet_until_ms; /* behind a pause: until then no timer is due */
    struct heap timers;
    struct chance chance;
    struct connector *connectors[LINK_CONNECTORS]; /* the last one is at work, the others hang */
    unsigned connector_count;
    uint32_t fence_number;
    struct wire *wire, *before; /* before: that of a server which leaves; NULL: none */
    size_t unsent;              /* bytes, about */
    struct link_subscriptions subscriptions, given_up;
    struct link_subscription replies;
    TAILQ_HEAD(, link_fence) fences;
    struct link_timer connect, ping, leave, hang;
    char inbox_subject[WORDS_INBOX_SIZE], inbox_pattern[WORDS_INBOX_SIZE + 2];
};

/* ---- link_messages ---- */

void link_open_inbox(struct link *link, const unsigned char random[WORDS_INBOX_RANDOM]);
void link_make_subscription(struct link *link, struct link_subscription *subscription);
void link_forget(struct link_subscription *subscription);
void link_ping(struct link *link);
void link_repeat_fences(struct link *link);

/* Those up to this number are over. */
void link_end_fences(struct link *link, uint32_t number, bool arrived);

/* ---- link_wires: connecting, losing, leaving ---- */

/* Prepares the timers. */
void link_init_wires(struct link *link);

/* Starts a connector. False, with `error` set. */
bool link_start_connector(struct link *link, struct error *error);

/* Has the next server tried now. */
void link_connect(struct link *link);

/* Ends what was lost since. */
void link_check_wires(struct link *link);

/* Sends what was published. */
void link_flush(struct link *link);

/* Closes all. */
void link_close_wires(struct link *link);

/* ---- link_thread ---- */

/* Runs the tasks that are there. */
void link_run_tasks(struct link *link);

/* Polls a wire, for writing too if so; NULL is left alone. */
void link_poll_wire(struct link *link, struct wire *wire, bool *polls_write);

#endif
