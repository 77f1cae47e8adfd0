/* manager: messages, and when they are due. */
#include "server/admin/manager.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/args.h"
#include "common/clock.h"
#include "common/descriptor.h"
#include "common/escape.h"
#include "server/admin/admin.h"
#include "server/reload.h"
#include "server/server.h"

enum {
    STATUS_MS = 5000, /* until the line about the server may change again */
    EXTEND_MS = 5000, /* how often more time is asked for, and for how much more: */
    EXTENSION_MS = 3 * EXTEND_MS,
    RETRY_MS = 100,     /* until something is said again for which there was no room */
    WATCHDOG_PARTS = 4, /* it is fed so often in the time in which it must be */
    MESSAGE_SIZE = 400,
    UNSENT = 8, /* messages that wait until there is room; more are not said */
};

enum phase { STARTING, SERVING, RELOADING, STOPPING };

struct manager {
    struct notify notify;
    struct admin *admin;
    struct server *server; /* NULL: none is open */
    enum phase phase;
    struct admin_item stop, watchdog, status, extend, retry;
    int stop_fd;     /* not owned */
    int watchdog_fd; /* timerfd; -1: there is no watchdog */
    char last_status[MESSAGE_SIZE];
    char failure[ESCAPE_SIZE]; /* why the last reload has failed; empty: it has not */
    char unsent[UNSENT][MESSAGE_SIZE];
    unsigned unsent_count;
};

/* ---- what the manager has said ---- */

static uint64_t watchdog_time(const char *us, const char *pid)
{
    struct error ignored;
    long number;
    if (pid && (!args_number(pid, 1, INT32_MAX, &number, &ignored) || number != getpid()))
        return 0;
    return us && args_number(us, 1, INT64_MAX / 1000, &number, &ignored) ? (uint64_t) number : 0;
}

struct manager_terms manager_read_terms(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct manager_terms terms = {.notify.fd = -1};
    if (name)
        notify_open(&terms.notify, name);
    terms.watchdog_us = watchdog_time(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return terms;
}

/* ---- saying something ---- */

/* Says what matters, behind what could not be said so far. */
static void say(struct manager *manager, const char *text)
{
    if (manager->unsent_count == 0 && notify_send(&manager->notify, text))
        return;
    if (manager->unsent_count < UNSENT)
        snprintf(manager->unsent[manager->unsent_count++], MESSAGE_SIZE, "%s", text);
    admin_due_at(manager->admin, &manager->retry, admin_now_ms(manager->admin) + RETRY_MS);
}

static void retry(struct admin_item *item)
{
    struct manager *manager = (struct manager *) ((char *) item - offsetof(struct manager, retry));
    unsigned sent = 0;
    while (sent < manager->unsent_count && notify_send(&manager->notify, manager->unsent[sent]))
        sent++;
    manager->unsent_count -= sent;
    memmove(manager->unsent, manager->unsent[sent], manager->unsent_count * MESSAGE_SIZE);
    if (manager->unsent_count > 0)
        admin_due_at(manager->admin, item, admin_now_ms(manager->admin) + RETRY_MS);
}

/* Says what is old soon, if there is room. Whether there was. */
static bool mention(const struct manager *manager, const char *text)
{
    return manager->unsent_count == 0 && notify_send(&manager->notify, text);
}

/* ---- the line about the server ---- */

static void make_status(const struct manager *manager, char *text)
{
    struct server_stats stats = {0};
    const char *failure = manager->failure;
    if (manager->server)
        server_stats(manager->server, &stats);
    if (manager->phase == STARTING)
        snprintf(text, MESSAGE_SIZE, "STATUS=Starting");
    else if (manager->phase == STOPPING)
        snprintf(text, MESSAGE_SIZE, "STATUS=Stopping, clients left: %u", stats.clients);
    else
        snprintf(text, MESSAGE_SIZE, "STATUS=Clients: %u, requests so far: %" PRIu64 "%s%s",
                 stats.clients, stats.requests, *failure ? "; reload failed: " : "", failure);
}

/* Says something that matters, and the line with it. */
static void say_with_status(struct manager *manager, const char *text)
{
    char message[2 * MESSAGE_SIZE];
    make_status(manager, manager->last_status);
    snprintf(message, sizeof message, "%s\n%s", text, manager->last_status);
    say(manager, message);
    admin_due_at(manager->admin, &manager->status, admin_now_ms(manager->admin) + STATUS_MS);
}

static void refresh_status(struct admin_item *item)
{
    struct manager *manager = (struct manager *) ((char *) item - offsetof(struct manager, status));
    char status[MESSAGE_SIZE];
    make_status(manager, status);
    if (strcmp(status, manager->last_status) != 0 && mention(manager, status))
        memcpy(manager->last_status, status, sizeof status);
    admin_due_at(manager->admin, item, admin_now_ms(manager->admin) + STATUS_MS);
}

/* ---- more time ---- */

static void extend(struct admin_item *item)
{
    struct manager *manager = (struct manager *) ((char *) item - offsetof(struct manager, extend));
    char text[MESSAGE_SIZE];
    snprintf(text, sizeof text, "EXTEND_TIMEOUT_USEC=%d", EXTENSION_MS * 1000);
    mention(manager, text);
    admin_due_at(manager->admin, item, admin_now_ms(manager->admin) + EXTEND_MS);
}

/* ---- the watchdog ---- */

/* A timerfd, since the admin's own times come later if the process has stood still; the manager's
 * does not. Then the loops get time to move. */
static void feed_watchdog(struct admin_item *item, uint32_t events)
{
    struct manager *manager =
        (struct manager *) ((char *) item - offsetof(struct manager, watchdog));
    uint64_t times = 0;
    (void) events;
    (void) !read(manager->watchdog_fd, &times, sizeof times);
    bool has_stood_still = times > 1;
    if (has_stood_still || !manager->server || server_moves(manager->server))
        mention(manager, "WATCHDOG=1");
}

static void open_watchdog(struct manager *manager, uint64_t us)
{
    int64_t ns = (int64_t) us * 1000 / WATCHDOG_PARTS;
    struct timespec part = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    struct itimerspec spec = {.it_interval = part, .it_value = part};
    if (us == 0)
        return;
    manager->watchdog_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    timerfd_settime(manager->watchdog_fd, 0, &spec, NULL);
}

/* ---- phases ---- */

static void begin_start(struct admin *admin, void *context)
{
    struct manager *manager = context;
    admin_watch(admin, &manager->stop, manager->stop_fd, EPOLLIN);
    if (manager->watchdog_fd >= 0)
        admin_watch(admin, &manager->watchdog, manager->watchdog_fd, EPOLLIN);
    admin_due_at(admin, &manager->status, admin_now_ms(admin));
    admin_due_at(admin, &manager->extend, admin_now_ms(admin));
}

static void begin_service(struct admin *admin, void *context)
{
    struct manager *manager = context;
    if (manager->phase != STARTING)
        return;
    manager->phase = SERVING;
    admin_due_at(admin, &manager->extend, CLOCK_NEVER);
    say_with_status(manager, "READY=1");
}

static void begin_stop(struct manager *manager)
{
    if (manager->phase == STOPPING)
        return;
    manager->phase = STOPPING;
    say_with_status(manager, "STOPPING=1");
    extend(&manager->extend);
}

static void take_stop(struct admin_item *item, uint32_t events)
{
    struct manager *manager = (struct manager *) ((char *) item - offsetof(struct manager, stop));
    (void) events;
    admin_forget(item); /* it stays readable */
    begin_stop(manager);
}

/* While it starts or stops, that is what the manager waits for. */
void manager_reloading(struct manager *manager)
{
    char text[MESSAGE_SIZE];
    if (!manager || manager->phase != SERVING)
        return;
    manager->phase = RELOADING;
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
             clock_ns(CLOCK_MONOTONIC) / 1000);
    say(manager, text);
}

void manager_reloaded(struct manager *manager, const struct reload_outcome *outcome)
{
    char why[1024] = "";
    if (!manager)
        return;
    if (!outcome->done)
        snprintf(why, sizeof why, "%s: %s", outcome->file, outcome->why.text);
    escape_text(why, strlen(why), manager->failure);
    if (manager->phase != RELOADING)
        return;
    manager->phase = SERVING;
    say_with_status(manager, "READY=1");
}

/* ---- in the thread that opens it ---- */

struct manager *manager_open(struct admin *admin, const struct manager_terms *terms, int stop_fd)
{
    struct manager *manager = terms->notify.fd >= 0 ? calloc(1, sizeof *manager) : NULL;
    if (!manager)
        return NULL;
    *manager = (struct manager){
        .notify = terms->notify,
        .admin = admin,
        .stop = {.ready = take_stop},
        .watchdog = {.ready = feed_watchdog},
        .status = {.due = refresh_status},
        .extend = {.due = extend},
        .retry = {.due = retry},
        .stop_fd = stop_fd,
        .watchdog_fd = -1,
    };
    open_watchdog(manager, terms->watchdog_us);
    if (admin_call(admin, begin_start, manager))
        return manager;
    descriptor_close(&manager->watchdog_fd);
    notify_close(&manager->notify);
    free(manager);
    return NULL;
}

/* For a call into the admin's thread. */
struct change {
    struct manager *manager;
    struct server *server;
};

static void set_server(struct admin *admin, void *context)
{
    const struct change *change = context;
    (void) admin;
    change->manager->server = change->server;
}

void manager_watch(struct manager *manager, struct server *server)
{
    struct change change = {manager, server};
    if (manager)
        admin_call(manager->admin, set_server, &change);
}

void manager_ready(void *context)
{
    struct manager *manager = context;
    if (manager)
        admin_call(manager->admin, begin_service, manager);
}

static void end(struct admin *admin, void *context)
{
    struct manager *manager = context;
    (void) admin;
    if (manager->phase != STARTING)
        begin_stop(manager);
    admin_forget(&manager->stop);
    admin_forget(&manager->watchdog);
    admin_forget(&manager->status);
    admin_forget(&manager->extend);
    admin_forget(&manager->retry);
}

void manager_close(struct manager *manager)
{
    if (!manager)
        return;
    admin_call(manager->admin, end, manager);
    descriptor_close(&manager->watchdog_fd);
    notify_close(&manager->notify);
    free(manager);
}
