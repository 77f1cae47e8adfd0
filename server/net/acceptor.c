/* acceptor: accept, refuse, rest. */
#include "server/net/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/session/transfer.h"
#include "server/engine/scaler.h"
#include "server/log/log.h"
#include "server/engine/loop.h"
#include "server/session/output.h"
#include "server/engine/heap.h"

enum {
    FIRST_REST_MS = 10,
    LONGEST_REST_MS = 1000,
    ACCEPTS_AT_ONCE = 16,   /* before the loop's sessions have their turns again */
    LAST_ACCEPTS = 1 << 16, /* at the stop: more than any accept queue holds */
};

/* Who accepts: the owner of a loop, which then has its own sessions at once, or (loop NULL) another
 * thread. */
struct place {
    struct loop *loop;
    struct scratch *scratch;
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
    size_t size = protocol_write_error(text, sizeof text, PROTOCOL_BUSY, OUTPUT_BUSY_TEXT);
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
                 unsigned listener, const struct place *place)
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
    struct transfer *transfer = transfer_new(fd, number, address, (uint16_t) listener);
    if (!transfer) {
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
    struct loop *home = &acceptor->scaler->loops[scaler_assigned(acceptor->scaler, number)];
    if (home == place->loop)
        transfer_end(transfer, home, place->scratch);
    else
        loop_post(home, &transfer->node);
    return true;
}

static enum accepted accept_one(struct acceptor *acceptor, unsigned listener,
                                const struct place *place)
{
    struct address address = {.size = sizeof address.socket};
    int fd = accept4(acceptor->listeners.items[listener].fd, &address.socket.any, &address.size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        return deal(acceptor, fd, &address, listener, place) ? ACCEPTED : ACCEPT_FAILED;
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

static enum accepted accept_some(struct acceptor *acceptor, unsigned listener, unsigned at_most,
                                 const struct place *place)
{
    enum accepted accepted = ACCEPTED;
    while (at_most-- > 0 && accepted == ACCEPTED)
        accepted = accept_one(acceptor, listener, place);
    return accepted;
}

/* ---- the listeners, watched and not ---- */

/* False with errno set: one could not be watched. */
static bool watch(struct acceptor *acceptor, int operation, uint32_t events)
{
    bool watched = true;
    for (unsigned i = 0; i < acceptor->listeners.count; i++) {
        struct listener *listener = &acceptor->listeners.items[i];
        struct epoll_event event = {.events = events, .data.ptr = listener};
        if (epoll_ctl(acceptor->epoll_fd, operation, listener->fd, &event) != 0)
            watched = false;
    }
    return watched;
}

static void begin_rest(struct acceptor *acceptor)
{
    int why = errno;
    int64_t now = clock_ms();
    watch(acceptor, EPOLL_CTL_MOD, 0);
    acceptor->rest_until_ms = now + acceptor->next_rest_ms;
    acceptor->next_rest_ms =
        2 * acceptor->next_rest_ms < LONGEST_REST_MS ? 2 * acceptor->next_rest_ms : LONGEST_REST_MS;
    if (!acceptor->told_ms || now - acceptor->told_ms >= 1000) {
        log_tell(acceptor->settings->log, LOG_ACCEPT_FAILED, 0, "%s", strerror(why));
        acceptor->told_ms = now;
    }
}

int64_t acceptor_rests_until(const struct acceptor *acceptor)
{
    return acceptor ? acceptor->rest_until_ms : CLOCK_NEVER;
}

void acceptor_wake(struct acceptor *acceptor)
{
    acceptor->rest_until_ms = CLOCK_NEVER;
    pthread_mutex_lock(&acceptor->lock);
    if (!acceptor->has_stopped)
        watch(acceptor, EPOLL_CTL_MOD, EPOLLIN);
    pthread_mutex_unlock(&acceptor->lock);
}

/* ---- life ---- */

void acceptor_init(struct acceptor *acceptor, const struct settings *settings,
                   struct scaler *scaler)
{
    acceptor->settings = settings;
    acceptor->scaler = scaler;
    acceptor->rest_until_ms = CLOCK_NEVER;
    acceptor->next_rest_ms = FIRST_REST_MS;
    pthread_mutex_init(&acceptor->lock, NULL);
}

void acceptor_fini(struct acceptor *acceptor)
{
    listeners_close(&acceptor->listeners);
    pthread_mutex_destroy(&acceptor->lock);
}

bool acceptor_start(struct acceptor *acceptor, struct loop *loop)
{
    acceptor->epoll_fd = loop->epoll_fd;
    loop->acceptor = acceptor;
    return watch(acceptor, EPOLL_CTL_ADD, EPOLLIN);
}

bool acceptor_listens(const struct acceptor *acceptor, const void *reported)
{
    if (!acceptor)
        return false;
    const struct listener *items = acceptor->listeners.items;
    return (uintptr_t) reported >= (uintptr_t) items &&
           (uintptr_t) reported < (uintptr_t) (items + acceptor->listeners.count);
}

void acceptor_event(struct acceptor *acceptor, struct listener *listener, struct loop *loop,
                    struct scratch *scratch)
{
    const struct place place = {loop, scratch};
    unsigned index = (unsigned) (listener - acceptor->listeners.items);
    pthread_mutex_lock(&acceptor->lock);
    if (!acceptor->has_stopped && acceptor->rest_until_ms == CLOCK_NEVER) {
        if (accept_some(acceptor, index, ACCEPTS_AT_ONCE, &place) == ACCEPT_FAILED)
            begin_rest(acceptor);
        else
            acceptor->next_rest_ms = FIRST_REST_MS;
    }
    pthread_mutex_unlock(&acceptor->lock);
}

void acceptor_stop(struct acceptor *acceptor)
{
    const struct place elsewhere = {0};
    pthread_mutex_lock(&acceptor->lock);
    acceptor->has_stopped = true;
    watch(acceptor, EPOLL_CTL_DEL, 0);
    for (unsigned i = 0; i < acceptor->listeners.count; i++)
        accept_some(acceptor, i, LAST_ACCEPTS, &elsewhere);
    listeners_close(&acceptor->listeners);
    pthread_mutex_unlock(&acceptor->lock);
}
