/*
 * lobby_tls: handshakes. This thread moves bytes: each step that computes is a job, for which the
 * addresses take turns. Only the end of a handshake without a client's certificate, which takes a
 * tenth of the others, is left to this thread.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/log/log.h"
#include "server/net/access.h"
#include "server/net/admission.h"
#include "server/net/lobby_state.h"
#include "server/net/peer.h"

enum {
    RECEIVE_BYTES = 16 << 10, /* before each step */
    LINGER_MS = 1000,         /* how long the other end may take to close */
    LINGER_READS = 16,        /* of what it sends meanwhile, at a time: others wait, too */
    HANDSHAKE_BYTE = 0x16,    /* with which TLS begins */
};

/* ---- ends ---- */

/* What it is told has to arrive: our half is closed, and it may close its own. */
static bool begin_linger(struct lobby *lobby, struct guest *guest)
{
    lobby_uncount(lobby, &guest->accepted);
    guest->state = GUEST_LINGERS;
    guest->deadline_ms = lobby->now_ms + LINGER_MS;
    shutdown(guest->accepted.fd, SHUT_WR);
    return lobby_linger(lobby, guest);
}

bool lobby_linger(struct lobby *lobby, struct guest *guest)
{
    ssize_t got = 1;
    for (int reads = 0; reads < LINGER_READS && got > 0; reads++)
        got = recv(guest->accepted.fd, lobby->received, sizeof lobby->received, MSG_DONTWAIT);
    if (got > 0 || (got < 0 && errno == EAGAIN))
        return true;
    lobby_end(lobby, guest);
    return false;
}

/* A few bytes, for which a new connection has room. */
static bool refuse(struct lobby *lobby, struct guest *guest, const void *data, size_t size)
{
    (void) !send(guest->accepted.fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    return begin_linger(lobby, guest);
}

static void report_failure(struct lobby *lobby, const struct guest *guest,
                           enum handshake_result result, const char *why)
{
    char text[ADDRESS_TEXT_SIZE];
    counter_add(&lobby->handshakes[result], 1);
    lobby_describe(lobby, guest, text);
    log_tell(lobby->config.log, LOG_TLS_FAILED, 0, "%s%c%s", text, LOG_SEPARATOR, why);
}

void lobby_fail_tls(struct lobby *lobby, struct guest *guest, const char *why)
{
    report_failure(lobby, guest, HANDSHAKE_TIMEOUT, why);
    lobby_end(lobby, guest);
}

/* What it says can't be had any more. */
static bool fail(struct lobby *lobby, struct guest *guest, const char *why)
{
    report_failure(lobby, guest, HANDSHAKE_FAILED, why);
    lobby_end(lobby, guest);
    return false;
}

/* ---- before TLS ---- */

static bool refuse_plain(struct lobby *lobby, struct guest *guest)
{
    struct buffer frame = {0};
    counter_add(&lobby->plain, 1);
    report_failure(lobby, guest, HANDSHAKE_FAILED, "it does not speak TLS");
    if (protocol_append_error(&frame, FRAME_LINE, PROTOCOL_TLS_REQUIRED, "this address speaks TLS"))
        (void) !send(guest->accepted.fd, buffer_head(&frame), buffer_size(&frame),
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    buffer_fini(&frame);
    return begin_linger(lobby, guest);
}

/* Writes what is known of a user. */
static void identify(const struct lobby *lobby, const struct guest *guest, struct peer_text *text)
{
    const struct accepted *accepted = &guest->accepted;
    const struct address *listener = &lobby->config.listeners->items[accepted->listener].address;
    struct peer peer;
    text->identity[0] = '\0';
    if (guest->header || !peer_init(&peer, &accepted->address, accepted->fd))
        return;
    peer_describe(&peer, listener, text);
    peer_fini(&peer, listener);
}

static bool refuse_denied(struct lobby *lobby, struct guest *guest, const char *why)
{
    /* A record with an alert in it: fatal, access_denied. */
    static const unsigned char alert[] = {0x15, 3, 3, 0, 2, 2, 49};
    struct peer_text text;
    char address[ADDRESS_TEXT_SIZE];
    counter_add(&lobby->handshakes[HANDSHAKE_DENIED], 1);
    identify(lobby, guest, &text);
    lobby_describe(lobby, guest, address);
    log_tell(lobby->config.log, LOG_DENIED, 0, "%s%c%s%c%s", address, LOG_SEPARATOR, text.identity,
             LOG_SEPARATOR, why);
    return refuse(lobby, guest, alert, sizeof alert);
}

static bool is_allowed(const struct lobby *lobby, const struct guest *guest, char *why)
{
    const struct access_client client = {
        .address = guest->header ? &guest->header->address : &guest->accepted.address,
        .fd = guest->header ? -1 : guest->accepted.fd,
    };
    return access_allows_origin(lobby->config.access, &client, why);
}

/* Looks at the first byte, and makes the object that takes it. One that leaves without a byte is a
 * health check. */
static bool begin(struct lobby *lobby, struct guest *guest)
{
    unsigned char byte;
    char why[ACCESS_WHY_SIZE];
    ssize_t got = recv(guest->accepted.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0) {
        lobby_end(lobby, guest);
        return false;
    }
    if (byte != HANDSHAKE_BYTE)
        return refuse_plain(lobby, guest);
    if (!is_allowed(lobby, guest, why))
        return refuse_denied(lobby, guest, why);
    guest->begun_ns = clock_ns(CLOCK_MONOTONIC);
    guest->tls = lobby->config.tls->library->new_client(lobby->config.tls);
    return guest->tls || fail(lobby, guest, "memory is out");
}

/* ---- figures ---- */

void lobby_count_waiting(struct lobby *lobby)
{
    unsigned count = 0;
    for (unsigned i = 0; i < lobby->count; i++) {
        enum guest_state state = lobby->guests[i]->state;
        count += state == GUEST_TLS || state == GUEST_READY || state == GUEST_BUSY;
    }
    atomic_store_explicit(&lobby->waiting, count, memory_order_relaxed);
}

/* ---- steps ---- */

static void take_step(struct job *job)
{
    struct guest *guest = (struct guest *) job;
    struct lobby *lobby = guest->lobby;
    guest->step = guest->tls->library->shake_hands(guest->tls, &guest->why);
    if (inbox_push(&lobby->inbox, &guest->job.node))
        eventfd_write(lobby->wake_fd, 1);
}

/* The executor closes: nobody waits for it any more. */
static void release_step(struct job *job)
{
    struct guest *guest = (struct guest *) job;
    inbox_push(&guest->lobby->inbox, &guest->job.node);
}

static const struct job_ops step_ops = {.run = take_step, .release = release_step};

/* The next one, of the address whose turn it is. NULL: none is ready. */
static struct guest *take_ready(struct lobby *lobby)
{
    struct group *group;
    TAILQ_FOREACH(group, &lobby->groups, entry) {
        struct guest *guest = STAILQ_FIRST(&group->ready);
        if (!guest)
            continue;
        STAILQ_REMOVE_HEAD(&group->ready, ready_entry);
        TAILQ_REMOVE(&lobby->groups, group, entry);
        TAILQ_INSERT_TAIL(&lobby->groups, group, entry);
        return guest;
    }
    return NULL;
}

void lobby_begin_steps(struct lobby *lobby)
{
    struct guest *guest;
    while (lobby->busy < lobby->config.steps && (guest = take_ready(lobby))) {
        guest->job.ops = &step_ops;
        /* At the priority of the loops: at the lowest one it is kept from its core in the middle of
         * an allocation, and loops that free what it has allocated wait for it: 80 ms, where others
         * fill the cores. */
        guest->job.cost = COST_STEP;
        guest->state = GUEST_BUSY;
        lobby->busy++;
        lobby->config.submit(lobby->config.context, &guest->job);
    }
}

/* Gives the kernel what is to be said. */
static bool flush(struct guest *guest)
{
    struct buffer *sending = &guest->tls->sending;
    if (buffer_size(sending) == 0)
        return true;
    ssize_t sent = send(guest->accepted.fd, buffer_head(sending), buffer_size(sending),
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
        buffer_consume(sending, (size_t) sent);
    return sent >= 0 || errno == EAGAIN || errno == EINTR;
}

static bool take_step_here(struct lobby *lobby, struct guest *guest)
{
    guest->step = guest->tls->library->shake_hands(guest->tls, &guest->why);
    return lobby_end_step(lobby, guest);
}

/* What has come is there for the next step. */
static bool receive(struct lobby *lobby, struct guest *guest)
{
    struct buffer *received = &guest->tls->received;
    ssize_t got = -1;
    errno = ENOMEM;
    if (buffer_reserve(received, RECEIVE_BYTES))
        got = recv(guest->accepted.fd, buffer_tail(received), RECEIVE_BYTES, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0)
        return fail(lobby, guest, got == 0 ? "it was cut off" : strerror(errno));
    buffer_added(received, (size_t) got);
    if (guest->tls->is_nearly_done) /* no other thread is worth waking */
        return take_step_here(lobby, guest);
    guest->state = GUEST_READY;
    STAILQ_INSERT_TAIL(&guest->group->ready, guest, ready_entry);
    return true;
}

bool lobby_look_at_tls(struct lobby *lobby, struct guest *guest)
{
    if (!guest->tls) {
        bool goes_on = begin(lobby, guest);
        if (!guest->tls || !goes_on)
            return goes_on;
    }
    return flush(guest) ? receive(lobby, guest) : fail(lobby, guest, strerror(errno));
}

/* A client that leaves TCP_NODELAY off sends its first request when the end of its handshake is
 * acknowledged, which would be delayed: there is nothing to say that could carry it. */
static void acknowledge(const struct guest *guest)
{
    int yes = 1;
    setsockopt(guest->accepted.fd, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof yes);
}

bool lobby_end_step(struct lobby *lobby, struct guest *guest)
{
    guest->state = GUEST_TLS;
    if (guest->step == TLS_WAITS)
        return lobby_look_at_tls(lobby, guest);
    if (guest->step == TLS_DONE) {
        counter_add(&lobby->handshakes[HANDSHAKE_OK], 1);
        latency_add(&lobby->latency, clock_ns(CLOCK_MONOTONIC) - guest->begun_ns, 1);
        acknowledge(guest);
        lobby_admit(lobby, guest, guest->header);
        return false;
    }
    report_failure(lobby, guest, HANDSHAKE_FAILED, guest->why.text);
    flush(guest); /* an alert */
    return begin_linger(lobby, guest);
}
