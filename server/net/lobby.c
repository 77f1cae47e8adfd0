/* lobby: its thread, which only ever waits in epoll. */
#include "server/net/lobby.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
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
#include "server/engine/inbox.h"
#include "server/log/log.h"
#include "server/net/admission.h"
#include "server/net/proxy.h"
#include "server/net/tally.h"

enum { BATCH_EVENTS = 64 };

/* Those that wait and come from one address. */
struct group {
    LIST_ENTRY(group) entry;
    struct tally_key key;
    unsigned count;
};

struct guest {
    struct inbox_node node; /* first */
    SLIST_ENTRY(guest) gone_entry;
    struct group *group; /* NULL: it does not wait yet */
    struct accepted accepted;
    int64_t deadline_ms;
    /* Its header is read, and says nothing of a client: it is one itself as soon as it speaks. */
    bool is_itself;
};

struct lobby {
    struct lobby_config config;
    int epoll_fd, wake_fd;
    struct inbox inbox; /* of those that enter */
    atomic_bool stops;
    bool is_started;
    pthread_t thread;

    /* The thread's. */
    int64_t now_ms;
    struct guest *guests[LOBBY_MAX]; /* those that wait, the oldest, which is due first, first */
    unsigned count;
    LIST_HEAD(, group) groups;
    SLIST_HEAD(, guest) gone; /* they are freed when the batch is over */
    char received[PROXY_MAX_SIZE];
    struct proxy_header header;
};

/* ---- groups ---- */

static struct tally_key key_of(const struct address *address)
{
    if (address->socket.any.sa_family == AF_INET)
        return tally_key_v4(&address->socket.v4.sin_addr);
    if (address->socket.any.sa_family == AF_INET6)
        return tally_key_v6(&address->socket.v6.sin6_addr);
    return (struct tally_key){0, AF_UNIX};
}

/* NULL: out of memory. */
static struct group *group_of(struct lobby *lobby, struct tally_key key)
{
    struct group *group;
    LIST_FOREACH(group, &lobby->groups, entry)
        if (group->key.number == key.number && group->key.family == key.family)
            return group;
    group = calloc(1, sizeof *group);
    if (!group)
        return NULL;
    group->key = key;
    LIST_INSERT_HEAD(&lobby->groups, group, entry);
    return group;
}

static void leave_group(struct group *group)
{
    if (--group->count > 0)
        return;
    LIST_REMOVE(group, entry);
    free(group);
}

/* The one that makes room. */
static struct guest *oldest_of_most(const struct lobby *lobby)
{
    struct group *group, *most = LIST_FIRST(&lobby->groups);
    LIST_FOREACH(group, &lobby->groups, entry)
        if (group->count > most->count)
            most = group;
    unsigned place = 0;
    while (lobby->guests[place]->group != most)
        place++;
    return lobby->guests[place];
}

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
        leave_group(guest->group);
    }
    SLIST_INSERT_HEAD(&lobby->gone, guest, gone_entry);
}

static void free_gone(struct lobby *lobby)
{
    struct guest *guest;
    while ((guest = SLIST_FIRST(&lobby->gone))) {
        SLIST_REMOVE_HEAD(&lobby->gone, gone_entry);
        free(guest);
    }
}

static void admit(struct lobby *lobby, struct guest *guest, const struct proxy_header *header)
{
    struct accepted accepted = guest->accepted;
    accepted.header = header;
    release(lobby, guest);
    lobby->config.admit(lobby->config.context, &accepted);
}

/* Without a word. The client is counted out before it can see that. */
static void end(struct lobby *lobby, struct guest *guest)
{
    int fd = guest->accepted.fd;
    release(lobby, guest);
    admission_client_left(lobby->config.admission);
    close(fd);
}

static void fail(struct lobby *lobby, struct guest *guest, const char *why)
{
    char text[ADDRESS_TEXT_SIZE];
    const struct accepted *accepted = &guest->accepted;
    bool is_unix = accepted->address.socket.any.sa_family == AF_UNIX;
    const struct listener *listener = &lobby->config.listeners->items[accepted->listener];
    address_print(is_unix ? &listener->address : &accepted->address, text);
    log_tell(lobby->config.log, LOG_PROXY_FAILED, 0, "%s%c%s", text, LOG_SEPARATOR, why);
    end(lobby, guest);
}

/* It can't wait any longer. */
static void end_wait(struct lobby *lobby, struct guest *guest, const char *why)
{
    if (guest->is_itself)
        admit(lobby, guest, NULL);
    else
        fail(lobby, guest, why);
}

/* ---- looking ---- */

static bool has_ended(int fd)
{
    struct pollfd poll_fd = {fd, POLLRDHUP, 0};
    return poll(&poll_fd, 1, 0) > 0;
}

/* True: it goes on waiting. One that leaves without a word is a health check. */
static bool look_for_a_word(struct lobby *lobby, struct guest *guest)
{
    char byte;
    ssize_t got = recv(guest->accepted.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got > 0)
        admit(lobby, guest, NULL);
    else
        end(lobby, guest);
    return false;
}

/* Whether a header names the connection itself, as those of some health checks do. */
static bool names_itself(const struct proxy_header *header, const struct address *address)
{
    return header->address.size == address->size &&
           memcmp(&header->address.socket, &address->socket, address->size) == 0 &&
           !header->identity[0];
}

/* The header is there, and nothing behind it is read with it. True as above. */
static bool take_header(struct lobby *lobby, struct guest *guest, size_t size)
{
    if (recv(guest->accepted.fd, lobby->received, size, MSG_DONTWAIT) != (ssize_t) size) {
        fail(lobby, guest, "it is gone again");
        return false;
    }
    if (lobby->header.tells && !names_itself(&lobby->header, &guest->accepted.address)) {
        admit(lobby, guest, &lobby->header);
        return false;
    }
    guest->is_itself = true;
    return look_for_a_word(lobby, guest);
}

/* True as above. */
static bool look(struct lobby *lobby, struct guest *guest)
{
    if (guest->is_itself)
        return look_for_a_word(lobby, guest);
    int fd = guest->accepted.fd;
    ssize_t got = recv(fd, lobby->received, sizeof lobby->received, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    size_t used;
    const char *why = got == 0 ? "there is none" : "it is cut off";
    enum proxy_result result = PROXY_WRONG;
    if (got > 0)
        result = proxy_parse(lobby->received, (size_t) got, &lobby->header, &used, &why);
    if (result == PROXY_COMPLETE)
        return take_header(lobby, guest, used);
    if (result == PROXY_INCOMPLETE && !has_ended(fd))
        return true;
    fail(lobby, guest, result == PROXY_INCOMPLETE ? "it is cut off" : why);
    return false;
}

/* ---- entering ---- */

/* Each change of the socket is reported once, since bytes that are not enough stay in it. */
static bool watch(struct lobby *lobby, struct guest *guest)
{
    struct epoll_event event = {EPOLLIN | EPOLLRDHUP | EPOLLET, {.ptr = guest}};
    return epoll_ctl(lobby->epoll_fd, EPOLL_CTL_ADD, guest->accepted.fd, &event) == 0;
}

static void let_wait(struct lobby *lobby, struct guest *guest)
{
    if (lobby->count == LOBBY_MAX)
        end_wait(lobby, oldest_of_most(lobby), "it did not come, and others wait");
    struct group *group = group_of(lobby, key_of(&guest->accepted.address));
    if (!group) {
        end_wait(lobby, guest, "memory is out");
        return;
    }
    guest->group = group;
    group->count++;
    lobby->guests[lobby->count++] = guest;
    if (!watch(lobby, guest))
        end_wait(lobby, guest, strerror(errno));
}

static void take_inbox(struct lobby *lobby)
{
    int64_t timeout_ms = lobby->config.timeout_ms;
    for (struct inbox_node *node = inbox_take_all(&lobby->inbox), *next; node; node = next) {
        struct guest *guest = (struct guest *) node;
        next = node->next;
        guest->deadline_ms = timeout_ms ? lobby->now_ms + timeout_ms : CLOCK_NEVER;
        if (look(lobby, guest))
            let_wait(lobby, guest);
    }
}

bool lobby_enter(struct lobby *lobby, const struct accepted *accepted)
{
    struct guest *guest = calloc(1, sizeof *guest);
    if (!guest)
        return false;
    guest->accepted = *accepted;
    guest->accepted.is_counted = true;
    if (inbox_push(&lobby->inbox, &guest->node))
        eventfd_write(lobby->wake_fd, 1);
    return true;
}

/* ---- the thread ---- */

/* The process has stood still, and so has their time. */
static void postpone(struct lobby *lobby, int64_t ms)
{
    for (unsigned i = 0; i < lobby->count; i++)
        if (lobby->guests[i]->deadline_ms != CLOCK_NEVER)
            lobby->guests[i]->deadline_ms += ms;
}

static int64_t first_deadline_ms(const struct lobby *lobby)
{
    return lobby->count > 0 ? lobby->guests[0]->deadline_ms : CLOCK_NEVER;
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
    while (count < BATCH_EVENTS && first_deadline_ms(lobby) <= lobby->now_ms)
        end_wait(lobby, lobby->guests[0], "it did not come in time");
    take_inbox(lobby);
    free_gone(lobby);
}

static void end_at_stop(struct lobby *lobby, struct guest *guest)
{
    if (!look(lobby, guest))
        return;
    if (guest->is_itself)
        admit(lobby, guest, NULL);
    else
        end(lobby, guest);
}

static void *run(void *context)
{
    struct lobby *lobby = context;
    struct epoll_event events[BATCH_EVENTS];
    while (!atomic_load(&lobby->stops))
        run_batch(lobby, events, wait_for_events(lobby, events));
    /* Who has entered by now is there. */
    take_inbox(lobby);
    while (lobby->count > 0)
        end_at_stop(lobby, lobby->guests[0]);
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
    LIST_INIT(&lobby->groups);
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
    descriptor_close(&lobby->epoll_fd);
    descriptor_close(&lobby->wake_fd);
    free(lobby);
}
