/* nats/connector: a thread, what it is ordered, and a look at each server. */
#include "server/nats/connector.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"

enum {
    PROBE_TIMEOUT_MS = 1000, /* for the connect, and for the server's first line */
    STOP_TIMEOUT_MS = 2000,
    PROBE_STOP_TIMEOUT_MS = 100,
    WATCH_MS = 250,  /* between two looks */
    STUCK_MS = 1000, /* in the library */
    LINE_SIZE = 4096,
};

struct connector {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* of what the lock guards: order, stop, end */
    atomic_uint references; /* whoever has it, and its thread */
    pthread_t thread;       /* of whoever has it */
    int stop_fd;            /* readable: it is to end */
    /* Its thread's. */
    struct wire_terms *terms;
    struct words_server servers[WORDS_SERVERS];
    unsigned count;
    /* Guarded by the lock. */
    bool is_ordered, is_stopped, is_probing, has_ended;
    unsigned first;
    int avoided;
    struct wire *watched;
    /* Of an order, until it is reported. */
    struct connector_report report;
    struct link_task task;
    struct inbox *inbox;
    int wake_fd;
    void (*reported)(void *context, const struct connector_report *report);
    void *context;
    _Atomic int64_t entered_ms;
};

/* ---- is there a server ---- */

/* Reads the beginning of the server's first line, which says what it is. */
static bool read_line(int fd, int stop_fd, char line[LINE_SIZE], struct error *error)
{
    size_t held = 0;
    line[0] = '\0';
    while (held < LINE_SIZE - 1 && !strchr(line, '\n')) {
        struct pollfd polled[] = {{fd, POLLIN, 0}, {stop_fd, POLLIN, 0}};
        int ready = poll(polled, 2, PROBE_TIMEOUT_MS);
        if (ready <= 0 || polled[1].revents)
            return error_set(error, "it does not answer");
        ssize_t got = recv(fd, line + held, LINE_SIZE - 1 - held, 0);
        if (got <= 0)
            return error_set(error, "it has closed the connection");
        held += (size_t) got;
        line[held] = '\0';
    }
    return strncmp(line, "INFO ", 5) == 0 || error_set(error, "it is no server of NATS");
}

/* What the line says of its version. */
static void read_version(const char *line, char version[CONNECTOR_VERSION_SIZE])
{
    static const char key[] = "\"version\":\"";
    const char *value = strstr(line, key);
    value = value ? value + sizeof key - 1 : "?";
    snprintf(version, CONNECTOR_VERSION_SIZE, "%.*s", (int) strcspn(value, "\""), value);
}

static enum wire_result look(const struct words_server *server, int fd, int stop_fd, char *version,
                             struct error *error)
{
    char line[LINE_SIZE];
    if (!read_line(fd, stop_fd, line, error))
        return WIRE_AWAY;
    read_version(line, version);
    if (server->tls || !strstr(line, "\"tls_required\":true"))
        return WIRE_OPEN;
    error_set(error, "it wants TLS: tls:// in front of it says so");
    return WIRE_REFUSED;
}

/* Whether somebody is there, WIRE_OPEN, whom it makes sense to connect to. */
static enum wire_result probe(const struct words_server *server, int stop_fd, char *version,
                              struct error *error)
{
    struct address_list list;
    struct error why;
    if (address_resolve(server->address, ADDRESS_TO_CONNECT, &list, error) != ADDRESS_OK)
        return WIRE_AWAY;
    int fd = address_connect(&list, PROBE_TIMEOUT_MS, NULL, error);
    address_list_fini(&list);
    if (fd < 0)
        return WIRE_AWAY;
    enum wire_result result = look(server, fd, stop_fd, version, &why);
    close(fd);
    if (result != WIRE_OPEN)
        error_set(error, "%.280s: %.200s", server->address, why.text);
    return result;
}

/* ---- an order ---- */

static void set_probing(struct connector *connector, bool is_probing)
{
    pthread_mutex_lock(&connector->lock);
    connector->is_probing = is_probing;
    pthread_mutex_unlock(&connector->lock);
}

static bool is_stopped(struct connector *connector)
{
    pthread_mutex_lock(&connector->lock);
    bool result = connector->is_stopped;
    pthread_mutex_unlock(&connector->lock);
    return result;
}

/* What comes of one server becomes the report, unless an earlier one has refused. */
static bool try_server(struct connector *connector, unsigned number,
                       struct connector_report *report)
{
    const struct words_server *server = &connector->servers[number];
    struct error error, why;
    set_probing(connector, true);
    enum wire_result result = probe(server, connector->stop_fd, report->version, &error);
    set_probing(connector, false);
    if (result == WIRE_OPEN) {
        result = wire_connect(connector->terms, server, &report->wire, &why);
        error_set(&error, "%.280s: %.200s", server->address, result == WIRE_OPEN ? "" : why.text);
    }
    if (report->result == WIRE_REFUSED && result != WIRE_OPEN)
        return false;
    report->result = result;
    report->server = number;
    report->error = error;
    return result == WIRE_OPEN;
}

static void follow(struct connector *connector, unsigned first, int avoided)
{
    struct connector_report *report = &connector->report;
    *report = (struct connector_report){.result = WIRE_AWAY};
    for (unsigned i = 0; i < connector->count && !is_stopped(connector); i++) {
        unsigned number = (first + i) % connector->count;
        if ((int) number != avoided && try_server(connector, number, report))
            return;
    }
    if (avoided >= 0 && !is_stopped(connector))
        try_server(connector, (unsigned) avoided, report);
}

static void tell(void *context, struct link_task *task)
{
    struct connector *connector = context;
    (void) task;
    connector->reported(connector->context, &connector->report);
}

/* With the lock held. */
static void report(struct connector *connector)
{
    connector->task = (struct link_task){.run = tell, .context = connector};
    if (inbox_push(connector->inbox, &connector->task.node))
        eventfd_write(connector->wake_fd, 1);
}

/* ---- the thread ---- */

/* With the lock held. */
static void look_at_watched(struct connector *connector)
{
    int64_t entered_ms = atomic_load(&connector->entered_ms);
    if (connector->watched && entered_ms && clock_ms() - entered_ms > STUCK_MS)
        wire_cut(connector->watched);
}

/* Waits for an order or the end, with the lock held; and for the next look, if there is something
 * to look at. */
static void wait_for_change(struct connector *connector)
{
    struct timespec until;
    if (!connector->watched) {
        pthread_cond_wait(&connector->changed, &connector->lock);
        return;
    }
    until = clock_timespec(clock_ms() + WATCH_MS);
    pthread_cond_timedwait(&connector->changed, &connector->lock, &until);
    look_at_watched(connector);
}

static void drop(struct connector *connector)
{
    if (atomic_fetch_sub(&connector->references, 1) > 1)
        return;
    wire_terms_free(connector->terms);
    close(connector->stop_fd);
    pthread_cond_destroy(&connector->changed);
    pthread_mutex_destroy(&connector->lock);
    free(connector);
}

static void *work(void *context)
{
    struct connector *connector = context;
    pthread_mutex_lock(&connector->lock);
    while (!connector->is_stopped) {
        if (!connector->is_ordered) {
            wait_for_change(connector);
            continue;
        }
        connector->is_ordered = false;
        unsigned first = connector->first;
        int avoided = connector->avoided;
        pthread_mutex_unlock(&connector->lock);
        follow(connector, first, avoided);
        pthread_mutex_lock(&connector->lock);
        if (!connector->is_stopped)
            report(connector);
        else
            wire_close(connector->report.wire);
    }
    connector->has_ended = true;
    pthread_cond_broadcast(&connector->changed);
    pthread_mutex_unlock(&connector->lock);
    drop(connector);
    return NULL;
}

static bool start_thread(struct connector *connector)
{
    atomic_store(&connector->references, 2);
    errno = pthread_create(&connector->thread, NULL, work, connector);
    return errno == 0;
}

static struct connector *new_connector(const struct connector_plan *plan)
{
    struct connector *connector = calloc(1, sizeof *connector);
    pthread_condattr_t attributes;
    if (!connector)
        return NULL;
    connector->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (connector->stop_fd < 0) {
        free(connector);
        return NULL;
    }
    pthread_mutex_init(&connector->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&connector->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    atomic_init(&connector->references, 1);
    memcpy(connector->servers, plan->servers, plan->count * sizeof *plan->servers);
    connector->count = plan->count;
    connector->inbox = plan->inbox;
    connector->wake_fd = plan->wake_fd;
    connector->reported = plan->reported;
    connector->context = plan->context;
    return connector;
}

struct connector *connector_start(const struct connector_plan *plan, struct error *error)
{
    struct wire_terms *terms = wire_terms_new(&plan->wire, error);
    if (!terms)
        return NULL;
    struct connector *connector = new_connector(plan);
    if (connector) {
        connector->terms = terms;
        if (start_thread(connector))
            return connector;
        atomic_store(&connector->references, 1);
        drop(connector);
    } else {
        wire_terms_free(terms);
    }
    error_set(error, "unable to start a thread for NATS: %s", strerror(errno));
    return NULL;
}

void connector_order(struct connector *connector, unsigned first, int avoided)
{
    pthread_mutex_lock(&connector->lock);
    connector->first = first;
    connector->avoided = avoided;
    connector->is_ordered = true;
    pthread_cond_broadcast(&connector->changed);
    pthread_mutex_unlock(&connector->lock);
}

void connector_stop(struct connector *connector, bool waits)
{
    if (!connector)
        return;
    pthread_mutex_lock(&connector->lock);
    connector->is_stopped = true;
    eventfd_write(connector->stop_fd, 1);
    pthread_cond_broadcast(&connector->changed);
    /* A name that is resolved, or a connect, may take long, and can be left alone. */
    int64_t patience_ms = connector->is_probing ? PROBE_STOP_TIMEOUT_MS : STOP_TIMEOUT_MS;
    struct timespec until = clock_timespec(clock_ms() + patience_ms);
    while (waits && !connector->has_ended &&
           pthread_cond_timedwait(&connector->changed, &connector->lock, &until) != ETIMEDOUT)
        continue;
    pthread_mutex_unlock(&connector->lock);
}

void connector_free(struct connector *connector)
{
    if (!connector)
        return;
    pthread_mutex_lock(&connector->lock);
    bool has_ended = connector->has_ended;
    pthread_mutex_unlock(&connector->lock);
    if (has_ended)
        pthread_join(connector->thread, NULL); /* so it uses nothing when the process ends */
    else
        pthread_detach(connector->thread);
    drop(connector);
}

bool connector_discard(struct link_task *task)
{
    struct connector *connector = task->context;
    if (task->run != tell)
        return false;
    wire_close(connector->report.wire);
    return true;
}

/* ---- watching ---- */

void connector_watch(struct connector *connector, struct wire *wire)
{
    pthread_mutex_lock(&connector->lock);
    connector->watched = wire;
    pthread_cond_broadcast(&connector->changed);
    pthread_mutex_unlock(&connector->lock);
}

void connector_entered(struct connector *connector, int64_t at_ms)
{
    atomic_store_explicit(&connector->entered_ms, at_ms, memory_order_relaxed);
}
