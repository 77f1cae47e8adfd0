/* signals: files that are read anew, and a line about the server. */
#include "server/admin/signals.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "server/admin/admin.h"
#include "server/admin/reloading.h"
#include "server/log/log.h"
#include "server/log/record.h"
#include "server/server.h"

struct signals {
    struct signals_config config;
    struct admin *admin; /* NULL: not watched */
    struct admin_item reload, status;
};

static void take_reload(struct admin_item *item, uint32_t events)
{
    struct signals *signals = (struct signals *) ((char *) item - offsetof(struct signals, reload));
    eventfd_t times;
    (void) events;
    eventfd_read(signals->config.reload_fd, &times);
    reloading_ask(signals->config.reloading, NULL);
}

static void log_status(const struct signals *signals)
{
    struct server_stats stats;
    server_stats(signals->config.server, &stats);
    log_tell(signals->config.log, LOG_STATUS, 0, "%u%c%llu%c%llu%c%u%c%u%c%llu", stats.clients,
             LOG_SEPARATOR, (unsigned long long) stats.sessions, LOG_SEPARATOR,
             (unsigned long long) stats.requests, LOG_SEPARATOR, stats.loops_in_use, LOG_SEPARATOR,
             stats.threads, LOG_SEPARATOR, (unsigned long long) stats.memory_held);
}

static void take_status(struct admin_item *item, uint32_t events)
{
    struct signals *signals = (struct signals *) ((char *) item - offsetof(struct signals, status));
    eventfd_t times;
    (void) events;
    eventfd_read(signals->config.status_fd, &times);
    log_status(signals);
}

static void watch(struct admin *admin, void *context)
{
    struct signals *signals = context;
    if (admin_watch(admin, &signals->reload, signals->config.reload_fd, EPOLLIN) &&
        admin_watch(admin, &signals->status, signals->config.status_fd, EPOLLIN))
        signals->admin = admin;
}

static void unwatch(struct admin *admin, void *context)
{
    struct signals *signals = context;
    (void) admin;
    admin_forget(&signals->reload);
    admin_forget(&signals->status);
}

struct signals *signals_open(struct admin *admin, const struct signals_config *config)
{
    struct signals *signals = calloc(1, sizeof *signals);
    if (!signals)
        return NULL;
    *signals = (struct signals){
        .config = *config, .reload.ready = take_reload, .status.ready = take_status};
    if (admin_call(admin, watch, signals) && signals->admin)
        return signals;
    int why = errno;
    admin_call(admin, unwatch, signals);
    free(signals);
    errno = why;
    return NULL;
}

void signals_close(struct signals *signals)
{
    if (!signals)
        return;
    admin_call(signals->admin, unwatch, signals);
    free(signals);
}
