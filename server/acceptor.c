/* acceptor: accept, refuse, rest. */
#include "server/acceptor.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/protocol.h"
#include "common/clock.h"
#include "server/balance.h"
#include "server/log.h"
#include "server/loop.h"
#include "server/replies.h"
#include "server/session.h"

enum {
    FIRST_REST_MS = 10,
    LONGEST_REST_MS = 1000,
    ACCEPTS_AT_ONCE = 256,  /* before the other listeners are looked at */
    LAST_ACCEPTS = 1 << 16, /* at the stop: more than any accept queue holds */
};

/* How the resting goes. */
struct rest {
    int64_t until_ms; /* 0: not resting */
    int next_ms;
    int64_t told_ms;
};

enum accepted {
    ACCEPTED,
    ACCEPT_NONE,   /* nobody waits */
    ACCEPT_FAILED, /* out of something: rest */
};

/* So many are refused already that this one gets its answer as it is, without an orderly close. */
static void refuse_at_once(struct acceptor *acceptor, int fd)
{
    char text[80];
    struct frame_edges edges;
    struct buffer frame = {0};
    size_t size = protocol_write_error(text, sizeof text, PROTOCOL_BUSY, REPLIES_BUSY_TEXT);
    if (frame_encode(acceptor->settings->rules.codec, text, size, PROTOCOL_MAX_REPLY, &edges) ==
            FRAME_FITS &&
        frame_append(&frame, &edges, text, size))
        (void) !send(fd, buffer_head(&frame), buffer_size(&frame), MSG_NOSIGNAL | MSG_DONTWAIT);
    buffer_fini(&frame);
    close(fd);
}

static void log_busy(const struct acceptor *acceptor, const struct address *peer)
{
    char text[ADDRESS_TEXT_SIZE];
    address_print(peer, text);
    log_tell(acceptor->settings->log, LOG_BUSY, 0, "%s", text);
}

/* Sends a connected socket to its loop. False: out of memory. */
static bool deal(struct acceptor *acceptor, int fd, const struct address *address,
                 unsigned listener)
{
    bool busy = atomic_load(&acceptor->clients) >= acceptor->max_clients;
    if (busy) {
        log_busy(acceptor, address);
        if (atomic_load(&acceptor->refused) >= ACCEPTOR_MAX_REFUSED) {
            refuse_at_once(acceptor, fd);
            return true;
        }
    }
    uint64_t number = busy ? 0 : acceptor->accepted + 1;
    struct arrival *arrival = arrival_new(fd, number, address, (uint16_t) listener);
    if (!arrival) {
        close(fd);
        errno = ENOMEM;
        return false;
    }
    if (busy) {
        atomic_fetch_add(&acceptor->refused, 1);
    } else {
        atomic_fetch_add(&acceptor->clients, 1);
        acceptor->accepted++;
    }
    struct balance *balance = acceptor->balance;
    loop_post(&balance->loops[balance_home(balance, number)], &arrival->node);
    return true;
}

static enum accepted accept_one(struct acceptor *acceptor, unsigned listener)
{
    struct address address = {.size = sizeof address.socket};
    int fd = accept4(acceptor->listeners.items[listener].fd, &address.socket.any, &address.size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        return deal(acceptor, fd, &address, listener) ? ACCEPTED : ACCEPT_FAILED;
    switch (errno) {
    case EAGAIN:
        return ACCEPT_NONE;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return ACCEPT_FAILED;
    default: /* that connection failed while it waited: the next one may not have */
        return ACCEPTED;
    }
}

static enum accepted accept_some(struct acceptor *acceptor, unsigned listener, unsigned at_most)
{
    enum accepted accepted = ACCEPTED;
    while (at_most-- > 0 && accepted == ACCEPTED)
        accepted = accept_one(acceptor, listener);
    return accepted;
}

static void begin_rest(struct acceptor *acceptor, struct rest *rest)
{
    int why = errno;
    int64_t now = clock_ms();
    rest->until_ms = now + rest->next_ms;
    rest->next_ms = 2 * rest->next_ms < LONGEST_REST_MS ? 2 * rest->next_ms : LONGEST_REST_MS;
    if (!rest->told_ms || now - rest->told_ms >= 1000) {
        log_tell(acceptor->settings->log, LOG_ACCEPT_FAILED, 0, "%s", strerror(why));
        rest->told_ms = now;
    }
}

/* Until the rest is over, in ms; -1: no rest. */
static int rest_left(const struct rest *rest)
{
    if (!rest->until_ms)
        return -1;
    int64_t left = rest->until_ms - clock_ms();
    return left > 0 ? (int) left : 0;
}

static void accept_ready(struct acceptor *acceptor, const struct pollfd *fds, struct rest *rest)
{
    rest->until_ms = 0;
    for (unsigned i = 0; i < acceptor->listeners.count; i++) {
        if (!fds[i].revents)
            continue;
        switch (accept_some(acceptor, i, ACCEPTS_AT_ONCE)) {
        case ACCEPT_FAILED:
            begin_rest(acceptor, rest);
            return;
        case ACCEPT_NONE:
        case ACCEPTED:
            rest->next_ms = FIRST_REST_MS;
            break;
        }
    }
}

void acceptor_run(struct acceptor *acceptor)
{
    unsigned count = acceptor->listeners.count;
    struct pollfd fds[LISTENERS_MAX + 1];
    struct rest rest = {.next_ms = FIRST_REST_MS};
    for (unsigned i = 0; i < count; i++)
        fds[i] = (struct pollfd){acceptor->listeners.items[i].fd, POLLIN, 0};
    fds[count] = (struct pollfd){acceptor->stop_fd, POLLIN, 0};
    for (;;) {
        int wait = rest_left(&rest);
        bool resting = wait > 0;
        int ready = poll(resting ? fds + count : fds, resting ? 1 : count + 1, wait);
        if (ready > 0 && fds[count].revents)
            break;
        if (ready > 0 && !resting)
            accept_ready(acceptor, fds, &rest);
        else
            rest.until_ms = 0;
    }
    for (unsigned i = 0; i < count; i++)
        accept_some(acceptor, i, LAST_ACCEPTS);
    listeners_close(&acceptor->listeners);
}
