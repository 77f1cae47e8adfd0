/* lobby: its thread, which only ever waits in epoll. */
#include "server/net/lobby.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "server/engine/thread.h"
#include "server/net/access.h"
#include "server/net/admission.h"
#include "server/net/lobby_state.h"

enum {
    BATCH_EVENTS = 64,
    STOP_MS = 1000, /* how long a stop waits for steps of handshakes */
};

/* ---- ends ---- */

static void remove_guest(struct lobby *lobby, const struct guest *guest)
{
    unsigned place = 0;
    while (lobby->guests[place] != guest)
        place++;
    lobby->count--;
    memmove(&lobby->guests[place], &lobby->guests[place + 1],
            (lobby->count - place) * sizeof lobby->guests[0]);
}

/* It waits no more; its socket is the caller's. */
static void release(struct lobby *lobby, struct guest *guest)
{
    if (guest->group) {
        epoll_ctl(lobby->epoll_fd, EPOLL_CTL_DEL, guest->accepted.fd, NULL);
        remove_guest(lobby, guest);
        lobby_leave_group(lobby, guest);
    }
    SLIST_INSERT_HEAD(&lobby->gone, guest, gone_entry);
}

static void free_guest(struct guest *guest)
{
    if (guest->tls)
        guest->tls->library->free(guest->tls);
    free(guest->header);
    free(guest);
}

static void free_gone(struct lobby *lobby)
{
    struct guest *guest;
    while ((guest = SLIST_FIRST(&lobby->gone))) {
        SLIST_REMOVE_HEAD(&lobby->gone, gone_entry);
        free_guest(guest);
    }
}

void lobby_admit(struct lobby *lobby, struct guest *guest, const struct proxy_header *header)
{
    struct accepted accepted = guest->accepted;
    accepted.header = header;
    accepted.tls = guest->tls;
    guest->tls = NULL;
    release(lobby, guest);
    lobby->config.admit(lobby->config.context, &accepted);
}

/* The client is counted out before it can see that. */
void lobby_end(struct lobby *lobby, struct guest *guest)
{
    int fd = guest->accepted.fd;
    release(lobby, guest);
    lobby_uncount(lobby, &guest->accepted);
    close(fd);
}

void lobby_describe(const struct lobby *lobby, const struct guest *guest, char *text)
{
    const struct address *address = &guest->accepted.address;
    if (guest->header)
        address = &guest->header->address;
    else if (address->socket.any.sa_family == AF_UNIX)
        address = &lobby_listener_of(lobby, guest)->address;
    address_print(address, text);
}

/* It is ended, and given back with its job. */
static void leave_to_job(struct lobby *lobby, struct guest *guest)
{
    SLIST_REMOVE_HEAD(&lobby->gone, gone_entry);
    guest->state = GUEST_LEFT;
}

/* It can't wait any longer. */
static void end_wait(struct lobby *lobby, struct guest *guest, const char *why)
{
    switch (guest->state) {
    case GUEST_WORD:
        lobby_admit(lobby, guest, NULL);
        break;
    case GUEST_TLS:
    case GUEST_READY:
        lobby_fail_tls(lobby, guest, why);
        break;
    case GUEST_BUSY:
        lobby_fail_tls(lobby, guest, "no thread had time for it");
        leave_to_job(lobby, guest);
        break;
    case GUEST_LINGERS:
        lobby_end(lobby, guest);
        break;
    default:
        lobby_fail_header(lobby, guest, why);
        break;
    }
}

/* True: it goes on waiting. */
static bool look(struct lobby *lobby, struct guest *guest)
{
    switch (guest->state) {
    case GUEST_WORD:
        return lobby_look_for_a_word(lobby, guest);
    case GUEST_TLS:
        return lobby_look_at_tls(lobby, guest);
    case GUEST_LINGERS:
        return lobby_linger(lobby, guest);
    case GUEST_HEADER:
        return lobby_look_for_header(lobby, guest);
    default: /* when its step is taken it is looked at again */
        return true;
    }
}

/* ---- entering ---- */

/* Each change of the socket is reported once, since bytes that are not enough stay in it. */
static bool watch(struct lobby *lobby, struct guest *guest)
{
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = guest}};
    return epoll_ctl(lobby->epoll_fd, EPOLL_CTL_ADD, guest->accepted.fd, &event) == 0;
}

/* False: it is ended. */
static bool let_wait(struct lobby *lobby, struct guest *guest)
{
    struct guest *other = lobby->count == LOBBY_MAX ? lobby_oldest_of_most(lobby) : NULL;
    if (other)
        end_wait(lobby, other, "it did not come, and others wait");
    if (lobby->count == LOBBY_MAX || !lobby_regroup(lobby, guest, &guest->accepted.address)) {
        end_wait(lobby, guest, "memory is out");
        return false;
    }
    lobby->guests[lobby->count++] = guest;
    if (watch(lobby, guest))
        return true;
    end_wait(lobby, guest, strerror(errno));
    return false;
}

static void welcome(struct lobby *lobby, struct guest *guest)
{
    int64_t timeout_ms = lobby->config.timeout_ms;
    guest->deadline_ms = timeout_ms ? lobby->now_ms + timeout_ms : CLOCK_NEVER;
    bool is_tls = lobby_listener_of(lobby, guest)->is_tls;
    bool is_proxy = access_is_proxy(lobby->config.access, &guest->accepted.address);
    guest->state = is_tls && !is_proxy ? GUEST_TLS : GUEST_HEADER;
    if (!is_tls && look(lobby, guest))
        let_wait(lobby, guest);
    else if (is_tls && let_wait(lobby, guest))
        look(lobby, guest);
}

static void take_inbox(struct lobby *lobby)
{
    for (struct inbox_node *node = inbox_take_all(&lobby->inbox), *next; node; node = next) {
        struct guest *guest = (struct guest *) node;
        next = node->next;
        if (guest->state == GUEST_ENTERS) {
            welcome(lobby, guest);
            continue;
        }
        lobby->busy--;
        if (guest->state == GUEST_LEFT)
            SLIST_INSERT_HEAD(&lobby->gone, guest, gone_entry);
        else
            lobby_end_step(lobby, guest);
    }
}

/* As a client, or as one that is refused. A proxy's is tallied when it is known whose it is. */
static enum lobby_entry count(const struct lobby *lobby, struct accepted *accepted)
{
    bool is_known = lobby->config.listeners->items[accepted->listener].is_tls &&
                    !access_is_proxy(lobby->config.access, &accepted->address);
    if (is_known && !lobby_tally(lobby, accepted, NULL))
        return LOBBY_ADDRESS_FULL;
    accepted->is_counted = !accepted->is_refused && admission_enter(lobby->config.admission);
    if (accepted->is_counted || accepted->is_refused)
        return LOBBY_ENTERED;
    lobby_uncount(lobby, accepted);
    return LOBBY_FULL;
}

enum lobby_entry lobby_enter(struct lobby *lobby, const struct accepted *accepted)
{
    struct guest *guest = calloc(1, sizeof *guest);
    if (!guest)
        return LOBBY_NO_MEMORY;
    guest->lobby = lobby;
    guest->accepted = *accepted;
    enum lobby_entry entry = count(lobby, &guest->accepted);
    if (entry != LOBBY_ENTERED)
        free(guest);
    else if (inbox_push(&lobby->inbox, &guest->job.node))
        eventfd_write(lobby->wake_fd, 1);
    return entry;
}

/* ---- the thread ---- */

/* The process has stood still, and so has their time. */
static void postpone(struct lobby *lobby, int64_t ms)
{
    for (unsigned i = 0; i < lobby->count; i++)
        if (lobby->guests[i]->deadline_ms != CLOCK_NEVER)
            lobby->guests[i]->deadline_ms += ms;
}

/* The one that is due first. NULL: none ever is. */
static struct guest *first_due(const struct lobby *lobby)
{
    struct guest *first = NULL;
    for (unsigned i = 0; i < lobby->count; i++) {
        struct guest *guest = lobby->guests[i];
        if (guest->deadline_ms != CLOCK_NEVER &&
            (!first || guest->deadline_ms < first->deadline_ms))
            first = guest;
    }
    return first;
}

static int64_t first_deadline_ms(const struct lobby *lobby)
{
    const struct guest *first = first_due(lobby);
    int64_t deadline_ms = first ? first->deadline_ms : CLOCK_NEVER;
    return lobby->stop_ms && lobby->stop_ms < deadline_ms ? lobby->stop_ms : deadline_ms;
}

static int wait_for_events(struct lobby *lobby, struct epoll_event *events)
{
    int64_t deadline_ms = first_deadline_ms(lobby);
    int64_t begun_ms = clock_ms();
    int wait = deadline_ms != CLOCK_NEVER ? clock_part_ms(deadline_ms - begun_ms) : -1;
    int count = epoll_wait(lobby->epoll_fd, events, BATCH_EVENTS, wait);
    lobby->now_ms = clock_ms();
    int64_t paused_ms = wait >= 0 ? clock_paused_ms(lobby->now_ms, begun_ms + wait) : 0;
    if (paused_ms > 0)
        postpone(lobby, paused_ms);
    return count;
}

/* First what is reported, whose guests are all there; then what may end others. */
static void run_batch(struct lobby *lobby, const struct epoll_event *events, int count)
{
    eventfd_t wakes;
    for (int i = 0; i < count; i++) {
        struct guest *guest = events[i].data.ptr;
        assert(!guest || guest->group); /* who is watched waits */
        if (guest)
            look(lobby, guest);
        else
            (void) !eventfd_read(lobby->wake_fd, &wakes);
    }
    /* A batch that is full may not hold all that has been there: they are looked at first. */
    const struct guest *due;
    while (count < BATCH_EVENTS && (due = first_due(lobby)) && due->deadline_ms <= lobby->now_ms)
        end_wait(lobby, first_due(lobby), "it did not come in time");
    take_inbox(lobby);
    lobby_begin_steps(lobby);
    lobby_count_waiting(lobby);
    free_gone(lobby);
}

/* Whether a step of it is still to be taken. */
static bool end_at_stop(struct lobby *lobby, struct guest *guest)
{
    if (!look(lobby, guest))
        return false;
    if (guest->state == GUEST_READY || guest->state == GUEST_BUSY)
        return true;
    if (guest->state == GUEST_WORD)
        lobby_admit(lobby, guest, NULL);
    else
        lobby_end(lobby, guest);
    return false;
}

/* Those that have a step to take may be clients behind it, and are served then. */
static void end_all(struct lobby *lobby)
{
    struct epoll_event events[BATCH_EVENTS];
    lobby->stop_ms = clock_ms() + STOP_MS;
    do {
        for (unsigned i = 0; i < lobby->count;)
            i += end_at_stop(lobby, lobby->guests[i]);
        lobby_begin_steps(lobby);
        if (lobby->count > 0)
            run_batch(lobby, events, wait_for_events(lobby, events));
    } while (lobby->count > 0 && lobby->now_ms < lobby->stop_ms);
    while (lobby->count > 0) {
        struct guest *guest = lobby->guests[0];
        bool is_busy = guest->state == GUEST_BUSY;
        lobby_end(lobby, guest);
        if (is_busy)
            leave_to_job(lobby, guest); /* from which lobby_free() gets it */
    }
}

static void *run(void *context)
{
    struct lobby *lobby = context;
    struct epoll_event events[BATCH_EVENTS];
    thread_sched_interactive(); /* it has little to do, and steps wait for it */
    while (!atomic_load(&lobby->stops))
        run_batch(lobby, events, wait_for_events(lobby, events));
    /* Who has entered by now is there. */
    take_inbox(lobby);
    end_all(lobby);
    free_gone(lobby);
    return NULL;
}

/* ---- life ---- */

struct lobby *lobby_new(const struct lobby_config *config)
{
    struct lobby *lobby = calloc(1, sizeof *lobby);
    if (!lobby)
        return NULL;
    lobby->config = *config;
    lobby->wake_fd = -1;
    TAILQ_INIT(&lobby->groups);
    SLIST_INIT(&lobby->gone);
    lobby->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    lobby->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {EPOLLIN, {.ptr = NULL}};
    if (lobby->epoll_fd >= 0 && lobby->wake_fd >= 0 &&
        epoll_ctl(lobby->epoll_fd, EPOLL_CTL_ADD, lobby->wake_fd, &event) == 0)
        return lobby;
    int why = errno;
    lobby_free(lobby);
    errno = why;
    return NULL;
}

int lobby_start(struct lobby *lobby)
{
    int failure = pthread_create(&lobby->thread, NULL, run, lobby);
    lobby->is_started = failure == 0;
    return failure;
}

void lobby_figures(const struct lobby *lobby, struct lobby_figures *figures)
{
    *figures = (struct lobby_figures){0};
    if (!lobby)
        return;
    for (int i = 0; i < HANDSHAKE_RESULTS; i++)
        figures->handshakes[i] = counter_get(&lobby->handshakes[i]);
    figures->refused_plain = counter_get(&lobby->plain);
    figures->waiting = atomic_load_explicit(&lobby->waiting, memory_order_relaxed);
}

void lobby_latency(const struct lobby *lobby, struct latency *sum)
{
    if (lobby)
        latency_sum(sum, &lobby->latency);
}

void lobby_stop(struct lobby *lobby)
{
    if (!lobby || !lobby->is_started)
        return;
    atomic_store(&lobby->stops, true);
    eventfd_write(lobby->wake_fd, 1);
    pthread_join(lobby->thread, NULL);
    lobby->is_started = false;
}

void lobby_free(struct lobby *lobby)
{
    if (!lobby)
        return;
    lobby_stop(lobby);
    for (struct inbox_node *node = inbox_take_all(&lobby->inbox), *next; node; node = next) {
        next = node->next;
        free_guest((struct guest *) node);
    }
    descriptor_close(&lobby->epoll_fd);
    descriptor_close(&lobby->wake_fd);
    free(lobby);
}
