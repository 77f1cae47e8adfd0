/*
 * lobby_state: what the files of the lobby share: those who wait, and what they wait for.
 *
 * Only the lobby's thread touches any of it, except as stated.
 */
#ifndef BANTER_SERVER_NET_LOBBY_STATE_H
#define BANTER_SERVER_NET_LOBBY_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/counter.h"
#include "common/latency.h"
#include "server/engine/inbox.h"
#include "server/engine/job.h"
#include "server/net/lobby_config.h"
#include "server/net/proxy.h"
#include "server/net/tally.h"
#include "server/net/tls.h"

struct guest;
STAILQ_HEAD(guest_queue, guest);

/* Those that wait and come from one address. */
struct group {
    TAILQ_ENTRY(group) entry;
    struct tally_key key;
    unsigned count;
    struct guest_queue ready; /* whose next step of a handshake waits for its turn */
};

enum guest_state {
    GUEST_ENTERS,
    GUEST_HEADER, /* its PROXY header is awaited */
    GUEST_WORD,   /* the header says nothing of a client: it is one itself as soon as it speaks */
    GUEST_TLS,    /* what it says next is awaited */
    GUEST_READY,  /* it was said: the next step of the handshake waits for its turn */
    GUEST_BUSY,   /* a job takes that step, or waits for a thread to do so */
    GUEST_LEFT,   /* the same, and its connection is closed */
    GUEST_LINGERS /* it is refused, and is a client no more */
};

struct guest {
    struct job job; /* first */
    SLIST_ENTRY(guest) gone_entry;
    STAILQ_ENTRY(guest) ready_entry;
    struct lobby *lobby;
    struct group *group; /* NULL: it does not wait yet */
    enum guest_state state;
    struct accepted accepted;
    int64_t deadline_ms;
    struct proxy_header *header; /* on a listener for TLS: who the client is; owned; or NULL */
    struct tls_client *tls;      /* NULL: it has said nothing of TLS yet */
    int64_t begun_ns;            /* when it did */
    /* The job's, while it is busy. */
    enum tls_step step;
    struct error why;
};

struct lobby {
    struct lobby_config config;
    int epoll_fd, wake_fd;
    struct inbox inbox; /* of those that enter, and of those whose step is taken. From any thread */
    atomic_bool stops;
    bool is_started;
    pthread_t thread;

    int64_t now_ms;
    int64_t stop_ms;                 /* when a stop waits no longer; 0: it does not stop */
    struct guest *guests[LOBBY_MAX]; /* those that wait, the oldest first */
    unsigned count;
    unsigned busy;              /* how many steps are being taken */
    TAILQ_HEAD(, group) groups; /* in the order of their turns */
    SLIST_HEAD(, guest) gone;   /* they are freed when the batch is over */
    char received[PROXY_MAX_SIZE];
    struct proxy_header parsed;

    /* Read by any thread. */
    struct counter handshakes[HANDSHAKE_RESULTS];
    struct counter plain; /* of those that failed: they do not speak TLS */
    struct latency_counter latency;
    _Atomic unsigned waiting;
};

/* ---- lobby ---- */

/* It is a client from now on. */
void lobby_admit(struct lobby *lobby, struct guest *guest, const struct proxy_header *header);

/* Closes its connection, without a word. */
void lobby_end(struct lobby *lobby, struct guest *guest);

/* Writes whose connection it is; `text` has ADDRESS_TEXT_SIZE bytes. */
void lobby_describe(const struct lobby *lobby, const struct guest *guest, char *text);

static inline const struct listener *lobby_listener_of(const struct lobby *lobby,
                                                       const struct guest *guest)
{
    return &lobby->config.listeners->items[guest->accepted.listener];
}

/* ---- lobby_groups ---- */

/* Whether it is among those of this address from now on. False: out of memory, and nothing has
 * changed. */
bool lobby_regroup(struct lobby *lobby, struct guest *guest, const struct address *address);

/* It waits no more. */
void lobby_leave_group(struct lobby *lobby, struct guest *guest);

/* The one that makes room for another. NULL: none may end. */
struct guest *lobby_oldest_of_most(const struct lobby *lobby);

/* ---- lobby_header: those that look return whether the guest goes on waiting ---- */

bool lobby_look_for_header(struct lobby *lobby, struct guest *guest);

/* Its header said nothing of a client. */
bool lobby_look_for_a_word(struct lobby *lobby, struct guest *guest);

/* It can't wait any longer for its header, or has sent none. */
void lobby_fail_header(struct lobby *lobby, struct guest *guest, const char *why);

/* Counts one that is to shake hands among its address's clients, if that may have one more; else
 * among those that are refused in order, behind their handshake, and are no clients meanwhile. The
 * address is the header's, if that is not NULL. False: there are too many of these, too. From any
 * thread. */
bool lobby_tally(const struct lobby *lobby, struct accepted *accepted,
                 const struct proxy_header *header);

/* The same for one that has entered as a client, now that it is known whose it is. False: it is
 * ended. */
bool lobby_tally_guest(struct lobby *lobby, struct guest *guest);

/* It is in no count any more. From any thread. */
void lobby_uncount(const struct lobby *lobby, struct accepted *accepted);

/* ---- lobby_tls: each returns whether the guest goes on waiting ---- */

/* Looks at what has come. */
bool lobby_look_at_tls(struct lobby *lobby, struct guest *guest);

/* Its step was taken. */
bool lobby_end_step(struct lobby *lobby, struct guest *guest);

/* It can't wait any longer, or never began. */
void lobby_fail_tls(struct lobby *lobby, struct guest *guest, const char *why);

/* Counts those that are to shake hands. */
void lobby_count_waiting(struct lobby *lobby);

/* Begins steps, as many as may be taken at a time. */
void lobby_begin_steps(struct lobby *lobby);

/* It lingers: reads and throws away what comes. */
bool lobby_linger(struct lobby *lobby, struct guest *guest);

#endif
