/*
 * admin: a thread for all that concerns the server and is no client of it, such as the control
 * socket. It waits for descriptors and times, and calls those who wait for them. It takes no part
 * in the service: it answers while every handler hangs, and until the last thing is closed at the
 * stop.
 *
 * Who wants something of it embeds a struct admin_item, and enters the thread by admin_call() to
 * begin and to end. All else happens in the thread itself, in callbacks, one at a time: so they
 * need no locks among each other, and each may forget, free or begin any item. None may block, or
 * wait for a lock that could be held for long.
 */
#ifndef BANTER_SERVER_ADMIN_ADMIN_H
#define BANTER_SERVER_ADMIN_ADMIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/queue.h>

struct admin;

/* A descriptor, a time, or both, that somebody waits for. At first all zero but for the callbacks:
 * it waits for nothing. */
struct admin_item {
    /* What epoll reports of the descriptor, as often as it is so (EPOLLIN, EPOLLOUT, EPOLLHUP,
     * EPOLLERR). NULL if it never has one. */
    void (*ready)(struct admin_item *item, uint32_t events);
    /* The time has come, and is none any more. NULL if it never has one. */
    void (*due)(struct admin_item *item);

    /* Private. */
    struct admin *admin;
    int fd;
    uint32_t events; /* 0: `fd` is not watched */
    int64_t due_ms;  /* while it is listed */
    bool is_listed;  /* among those that have a time */
    LIST_ENTRY(admin_item) entry;
};

/* ---- in the thread that opens it ---- */

/* NULL, with errno set, if there is no memory or no descriptor for it. The thread starts with the
 * first admin_call(). */
struct admin *admin_open(void);

/* Ends the thread. Nothing waits in it any more. NULL is left alone. */
void admin_close(struct admin *admin);

/* Calls act(admin, context) in the admin's thread, and returns when it has returned. By one thread
 * at a time. False, with errno set, if the thread could not be started: then nothing was called. */
bool admin_call(struct admin *admin, void (*act)(struct admin *admin, void *context),
                void *context);

/* ---- in the admin's thread ---- */

/* Watches a descriptor, which stays the caller's, for EPOLLIN, EPOLLOUT, both, or nothing (0: not
 * even its end is reported). An item has one descriptor at a time. False with errno set, and it is
 * not watched. */
bool admin_watch(struct admin *admin, struct admin_item *item, int fd, uint32_t events);

/* Lets the item be due at this time (ms of CLOCK_MONOTONIC), in place of the time that it had;
 * CLOCK_NEVER: at none. If the process stands still for a while, all times come later. */
void admin_due_at(struct admin *admin, struct admin_item *item, int64_t at_ms);

/* The item waits for nothing any more. Before its descriptor is closed, and before it is freed. */
void admin_forget(struct admin_item *item);

/* What the time is, as of the last wait. */
int64_t admin_now_ms(const struct admin *admin);

#endif
