/* acceptor: accept, rest, stop. */
#include "server/net/acceptor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "server/engine/loop.h"
#include "server/log/log.h"

enum {
    FIRST_REST_MS = 10,
    LONGEST_REST_MS = 1000,
    LOG_AGAIN_MS = 1000,
    TRIES = 64,                 /* connections in a row that fail before they are accepted */
    LAST_CONNECTIONS = 1 << 16, /* at the stop: more than any accept queue holds */
};

enum outcome {
    ACCEPTED,
    NONE_WAITS,
    FAILED, /* out of something; errno says of what */
};

static enum outcome accept_next(const struct listener *listener, struct accepted *accepted)
{
    for (int tries = 0; tries < TRIES; tries++) {
        accepted->address = (struct address){.size = sizeof accepted->address.socket};
        accepted->header = NULL;
        accepted->tls = NULL;
        accepted->is_counted = accepted->is_refused = accepted->is_tallied = false;
        accepted->fd = accept4(listener->fd, &accepted->address.socket.any, &accepted->address.size,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted->fd >= 0)
            return ACCEPTED;
        switch (errno) {
        case EAGAIN:
        case EBADF: /* the socket was closed, or never was one: nobody waits there */
        case EINVAL:
            return NONE_WAITS;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            return FAILED;
        default: /* that connection failed while it waited: the next one may not have */
            break;
        }
    }
    return NONE_WAITS;
}

/* ---- the listeners, watched and not ---- */

/* False with errno set: one could not be watched. */
static bool watch(struct acceptor *acceptor, int operation, uint32_t events)
{
    bool watched = true;
    for (unsigned i = 0; i < acceptor->listeners.count; i++) {
        struct listener *listener = &acceptor->listeners.items[i];
        if (!loop_watch(acceptor->loop, operation, listener->fd, events, LOOP_LISTENER, listener))
            watched = false;
    }
    return watched;
}

void acceptor_rest(struct acceptor *acceptor)
{
    int why = errno;
    int64_t now_ms = clock_ms();
    counter_add(&acceptor->rests, 1);
    pthread_mutex_lock(&acceptor->lock);
    if (!acceptor->has_stopped)
        watch(acceptor, EPOLL_CTL_MOD, 0);
    pthread_mutex_unlock(&acceptor->lock);
    acceptor->rest_until_ms = now_ms + acceptor->next_rest_ms;
    acceptor->next_rest_ms =
        2 * acceptor->next_rest_ms < LONGEST_REST_MS ? 2 * acceptor->next_rest_ms : LONGEST_REST_MS;
    if (!acceptor->logged_ms || now_ms - acceptor->logged_ms >= LOG_AGAIN_MS) {
        log_tell(acceptor->log, LOG_ACCEPT_FAILED, 0, "%s", strerror(why));
        acceptor->logged_ms = now_ms;
    }
}

void acceptor_wake(struct acceptor *acceptor)
{
    acceptor->rest_until_ms = CLOCK_NEVER;
    pthread_mutex_lock(&acceptor->lock);
    if (!acceptor->has_stopped)
        watch(acceptor, EPOLL_CTL_MOD, EPOLLIN);
    pthread_mutex_unlock(&acceptor->lock);
}

void acceptor_recover(struct acceptor *acceptor) { acceptor->next_rest_ms = FIRST_REST_MS; }

/* ---- accepting ---- */

bool acceptor_next(struct acceptor *acceptor, const struct listener *listener,
                   struct accepted *accepted)
{
    if (acceptor->rest_until_ms != CLOCK_NEVER)
        return false;
    pthread_mutex_lock(&acceptor->lock);
    enum outcome outcome = acceptor->has_stopped ? NONE_WAITS : accept_next(listener, accepted);
    pthread_mutex_unlock(&acceptor->lock);
    accepted->listener = (unsigned) (listener - acceptor->listeners.items);
    if (outcome == FAILED)
        acceptor_rest(acceptor);
    return outcome == ACCEPTED;
}

/* A socket that was passed in stays open for its owner: who waits there waits for a successor. */
static void stop_accepting(struct acceptor *acceptor)
{
    if (acceptor->loop)
        watch(acceptor, EPOLL_CTL_DEL, 0);
    for (unsigned i = 0; i < acceptor->listeners.count; i++)
        if (!acceptor->listeners.items[i].is_passed)
            listener_refuse(&acceptor->listeners.items[i]);
    acceptor->has_stopped = true;
}

bool acceptor_last(struct acceptor *acceptor, struct accepted *accepted)
{
    bool found = false;
    pthread_mutex_lock(&acceptor->lock);
    if (!acceptor->has_stopped)
        stop_accepting(acceptor);
    for (unsigned i = 0; i < acceptor->listeners.count && !found; i++) {
        const struct listener *listener = &acceptor->listeners.items[i];
        accepted->listener = i;
        found = acceptor->last < LAST_CONNECTIONS && !listener->is_passed &&
                accept_next(listener, accepted) == ACCEPTED;
    }
    acceptor->last++;
    if (!found)
        listeners_close(&acceptor->listeners);
    pthread_mutex_unlock(&acceptor->lock);
    return found;
}

/* ---- life ---- */

void acceptor_init(struct acceptor *acceptor)
{
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
    acceptor->loop = loop;
    return watch(acceptor, EPOLL_CTL_ADD, EPOLLIN);
}
