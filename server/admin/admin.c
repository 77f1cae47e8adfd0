/* admin: one event at a time, so that none is left over of an item that a callback has freed. */
#include "server/admin/admin.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "common/clock.h"
#include "common/descriptor.h"

/* Events in a row, if there are so many, before times are looked at again. Whatever could be seen
 * by then comes before them. */
enum { EVENTS_IN_A_ROW = 64 };

struct call {
    void (*act)(struct admin *admin, void *context); /* NULL: the thread is to end */
    void *context;
    sem_t returned;
};

LIST_HEAD(timed_items, admin_item);

struct admin {
    pthread_t thread;
    bool has_thread;             /* of the thread that opened it */
    int wake_fd;                 /* eventfd: a call is there */
    _Atomic(struct call *) call; /* NULL: none */

    /* The thread's. */
    int epoll_fd;
    int64_t now_ms;
    struct timed_items timed;
};

/* ---- in the thread ---- */

bool admin_watch(struct admin *admin, struct admin_item *item, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = item};
    int operation = !events ? EPOLL_CTL_DEL : item->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    item->admin = admin;
    if (events == item->events)
        return true;
    bool done = epoll_ctl(admin->epoll_fd, operation, fd, &event) == 0;
    item->fd = fd;
    item->events = done ? events : item->events;
    return done;
}

void admin_due_at(struct admin *admin, struct admin_item *item, int64_t at_ms)
{
    item->admin = admin;
    item->due_ms = at_ms;
    if (at_ms != CLOCK_NEVER && !item->is_listed)
        LIST_INSERT_HEAD(&admin->timed, item, entry);
    else if (at_ms == CLOCK_NEVER && item->is_listed)
        LIST_REMOVE(item, entry);
    item->is_listed = at_ms != CLOCK_NEVER;
}

void admin_forget(struct admin_item *item)
{
    if (item->events)
        admin_watch(item->admin, item, item->fd, 0);
    if (item->is_listed)
        admin_due_at(item->admin, item, CLOCK_NEVER);
}

int64_t admin_now_ms(const struct admin *admin) { return admin->now_ms; }

/* NULL: none has a time. */
static struct admin_item *first_due(const struct admin *admin)
{
    struct admin_item *item, *first = NULL;
    LIST_FOREACH(item, &admin->timed, entry)
        if (!first || item->due_ms < first->due_ms)
            first = item;
    return first;
}

static void run_due(struct admin *admin)
{
    struct admin_item *item;
    while ((item = first_due(admin)) && item->due_ms <= admin->now_ms) {
        admin_due_at(admin, item, CLOCK_NEVER);
        item->due(item);
    }
}

static void postpone(struct admin *admin, int64_t ms)
{
    struct admin_item *item;
    LIST_FOREACH(item, &admin->timed, entry)
        item->due_ms += ms;
}

/* Returns whether there is an event. */
static bool wait_for_event(struct admin *admin, struct epoll_event *event)
{
    const struct admin_item *first = first_due(admin);
    int64_t begun_ms = clock_ms();
    int wait = first ? clock_part_ms(first->due_ms - begun_ms) : -1;
    int64_t paused_ms = clock_batch_paused_ms(begun_ms, admin->now_ms);
    bool is_event = epoll_wait(admin->epoll_fd, event, 1, wait) > 0;
    admin->now_ms = clock_ms();
    if (wait >= 0)
        paused_ms += clock_paused_ms(admin->now_ms, begun_ms + wait);
    if (paused_ms > 0)
        postpone(admin, paused_ms);
    return is_event;
}

/* False: the thread is to end. */
static bool take_call(struct admin *admin)
{
    eventfd_t calls;
    eventfd_read(admin->wake_fd, &calls);
    struct call *call = atomic_load(&admin->call);
    bool goes_on = call->act;
    if (goes_on)
        call->act(admin, call->context);
    sem_post(&call->returned);
    return goes_on;
}

static void *run(void *argument)
{
    struct admin *admin = argument;
    struct epoll_event event;
    unsigned in_a_row = 0;
    admin->now_ms = clock_ms();
    for (;;) {
        bool is_event = wait_for_event(admin, &event);
        struct admin_item *item = is_event ? event.data.ptr : NULL;
        if (item)
            item->ready(item, event.events);
        else if (is_event && !take_call(admin))
            return NULL;
        in_a_row = is_event ? in_a_row + 1 : 0;
        if (in_a_row % EVENTS_IN_A_ROW == 0)
            run_due(admin);
    }
}

/* ---- in the thread that opens it ---- */

struct admin *admin_open(void)
{
    struct admin *admin = calloc(1, sizeof *admin);
    if (!admin)
        return NULL;
    struct epoll_event event = {.events = EPOLLIN}; /* no item: a call */
    LIST_INIT(&admin->timed);
    admin->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    admin->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (admin->epoll_fd >= 0 && admin->wake_fd >= 0 &&
        epoll_ctl(admin->epoll_fd, EPOLL_CTL_ADD, admin->wake_fd, &event) == 0)
        return admin;
    int why = errno;
    admin_close(admin);
    errno = why;
    return NULL;
}

static void call_and_wait(struct admin *admin, struct call *call)
{
    sem_init(&call->returned, 0, 0);
    atomic_store(&admin->call, call);
    eventfd_write(admin->wake_fd, 1);
    while (sem_wait(&call->returned) != 0)
        continue;
    sem_destroy(&call->returned);
}

bool admin_call(struct admin *admin, void (*act)(struct admin *admin, void *context), void *context)
{
    if (!admin->has_thread) {
        errno = pthread_create(&admin->thread, NULL, run, admin);
        if (errno)
            return false;
        admin->has_thread = true;
    }
    struct call call = {.act = act, .context = context};
    call_and_wait(admin, &call);
    return true;
}

void admin_close(struct admin *admin)
{
    if (!admin)
        return;
    if (admin->has_thread) {
        struct call end = {.act = NULL};
        call_and_wait(admin, &end);
        pthread_join(admin->thread, NULL);
    }
    descriptor_close(&admin->epoll_fd);
    descriptor_close(&admin->wake_fd);
    free(admin);
}
