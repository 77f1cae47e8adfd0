/*
 * traffic: the schedule of the open kind, and the loop that serves all connections.
 */
#include "tests/bench/traffic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/protocol.h"
#include "tests/bench/connection.h"
#include "tests/handlers/work.h"

#define BATCH 256
#define SECOND_NS ((uint64_t) 1000 * 1000 * 1000)
#define STALL_NS (30 * SECOND_NS)
#define LOOK_NS (SECOND_NS / 10) /* how often the loop looks at the clock when nothing happens */

/* From 0 to 1; xorshift64*, the same sequence in each run. */
static double next_random(struct traffic *traffic)
{
    uint64_t *random = &traffic->random;
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (double) (*random * 2685821657736338717u >> 11) / (double) ((uint64_t) 1 << 53);
}

static uint64_t owed(const struct traffic *traffic)
{
    return traffic->due - traffic->result->answered - traffic->result->lost;
}

/* ---- the open kind's schedule ---- */

/* The first of the schedule has got a later time: moves it to where it belongs. */
static void sift_down(struct traffic *traffic)
{
    struct connection **heap = traffic->schedule;
    const size_t count = traffic->plan->connections;
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < count && heap[child + 1]->next_due < heap[child]->next_due) {
            child++;
        }
        if (child >= count || heap[at]->next_due <= heap[child]->next_due) {
            return;
        }
        struct connection *later = heap[at];
        heap[at] = heap[child];
        heap[child] = later;
        at = child;
    }
}

static int by_next_due(const void *left, const void *right)
{
    const struct connection *const *a = left;
    const struct connection *const *b = right;
    return ((*a)->next_due > (*b)->next_due) - ((*a)->next_due < (*b)->next_due);
}

/* Spreads the first requests over one gap, so that the connections don't beat in time. */
static bool make_schedule(struct traffic *traffic, uint64_t now)
{
    const size_t count = traffic->plan->connections;
    traffic->schedule = calloc(count, sizeof(struct connection *));
    if (traffic->schedule == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct connection *connection = &traffic->connections[i];
        const double gap_ns = (double) SECOND_NS / traffic->plan->rate;
        connection->next_due = now + (uint64_t) (next_random(traffic) * gap_ns);
        traffic->schedule[i] = connection;
    }
    /* A sorted array is a heap. */
    qsort(traffic->schedule, count, sizeof(struct connection *), by_next_due);
    return true;
}

/* Gaps are even between half and one and a half of the mean: a fixed gap would beat against the
 * kernel's tick. */
static void make_due(struct traffic *traffic, uint64_t now)
{
    while (traffic->schedule[0]->next_due <= now && !traffic->out_of_memory) {
        struct connection *connection = traffic->schedule[0];
        if (connection->fd >= 0 && may_fall_due(traffic, connection->next_due)) {
            const double gap_ns = (double) SECOND_NS / traffic->plan->rate;
            connection_fall_due(traffic, connection, connection->next_due);
            connection->next_due += (uint64_t) ((0.5 + next_random(traffic)) * gap_ns);
            connection_send(traffic, connection);
        } else {
            connection->next_due = UINT64_MAX;
        }
        sift_down(traffic);
    }
}

/* ---- the whole ---- */

static bool is_over(const struct traffic *traffic, uint64_t now)
{
    if (traffic->open == 0 || traffic->out_of_memory) {
        return true;
    }
    if (owed(traffic) > 0) {
        return now - traffic->last_progress > STALL_NS;
    }
    return !may_fall_due(traffic, now);
}

static void wait_for_events(struct traffic *traffic, uint64_t now)
{
    uint64_t timeout_ns = LOOK_NS;
    if (traffic->schedule != NULL && traffic->schedule[0]->next_due - now < timeout_ns) {
        timeout_ns = traffic->schedule[0]->next_due - now;
    }
    const struct timespec timeout = {.tv_nsec = (long) timeout_ns};
    struct epoll_event events[BATCH];
    const int count = epoll_pwait2(traffic->epoll_fd, events, BATCH, &timeout, NULL);
    for (int i = 0; i < count; i++) {
        connection_serve(traffic, events[i].data.ptr, events[i].events);
    }
}

static void start_asking(struct traffic *traffic, uint64_t now)
{
    if (traffic->plan->rate > 0) {
        traffic->out_of_memory = !make_schedule(traffic, now);
        return;
    }
    for (size_t i = 0; i < traffic->plan->connections; i++) {
        if (traffic->plan->connect_each) {
            connection_ask_anew(traffic, &traffic->connections[i]);
        } else {
            connection_ask(traffic, &traffic->connections[i], work_clock_ns());
        }
    }
}

static void run(struct traffic *traffic)
{
    const uint64_t start = work_clock_ns();
    const uint64_t duration = traffic->plan->duration_ns;
    traffic->measured_from = start + traffic->plan->warm_up_ns;
    traffic->end = duration > 0 ? traffic->measured_from + duration : UINT64_MAX;
    traffic->last_progress = start;
    traffic->last_reply = start;
    start_asking(traffic, start);
    for (;;) {
        const uint64_t now = work_clock_ns();
        /* First what fell due: the end must not swallow it when this process itself was late. */
        if (traffic->schedule != NULL) {
            make_due(traffic, now);
        }
        if (owed(traffic) == 0) {
            traffic->last_progress = now; /* silence is no stall while nothing is owed */
        }
        if (is_over(traffic, now)) {
            break;
        }
        wait_for_events(traffic, now);
    }
    traffic->result->lost += owed(traffic);
    if (traffic->last_reply > traffic->measured_from) {
        traffic->result->elapsed_ns = traffic->last_reply - traffic->measured_from;
    }
}

/* The idle ones first: they are there when the others begin. */
static bool connect_all(struct traffic *traffic, struct error *error)
{
    const uint64_t start = work_clock_ns();
    const size_t asking = traffic->plan->connect_each ? 0 : traffic->plan->connections;
    struct connection *idle = traffic->connections + traffic->plan->connections;
    for (size_t i = 0; i < traffic->plan->idle; i++) {
        if (!connection_open(traffic, &idle[i], error)) {
            return false;
        }
    }
    for (size_t i = 0; i < asking; i++) {
        if (!connection_open(traffic, &traffic->connections[i], error)) {
            return false;
        }
    }
    traffic->result->connecting_ns = work_clock_ns() - start;
    return true;
}

/* As many requests in a row as the depth can use, within what one write should hold. */
static bool fill_requests(struct traffic *traffic)
{
    const struct buffer *request = &traffic->plan->request;
    size_t count = 0;
    do {
        if (!buffer_append(&traffic->requests, buffer_head(request), buffer_size(request))) {
            return false;
        }
        count++;
    } while (count < traffic->plan->depth && buffer_size(&traffic->requests) < CONNECTION_BYTES);
    return true;
}

static bool raise_descriptors(size_t connections, struct error *error)
{
    const rlim_t needed = connections + 16;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (needed > limit.rlim_max) {
        return error_set(error,
                         "unable to open %zu connections: at most %llu descriptors are allowed",
                         connections, (unsigned long long) limit.rlim_max);
    }
    if (needed > limit.rlim_cur) {
        limit.rlim_cur = needed;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return true;
}

static void fini(struct traffic *traffic, size_t count)
{
    for (size_t i = 0; traffic->connections != NULL && i < count; i++) {
        connection_fini(&traffic->connections[i]);
    }
    free(traffic->connections);
    free(traffic->schedule);
    buffer_fini(&traffic->requests);
    buffer_fini(&traffic->input);
    if (traffic->epoll_fd >= 0) {
        close(traffic->epoll_fd);
    }
}

bool traffic_run(const struct traffic_plan *plan, struct traffic_result *result,
                 struct error *error)
{
    const size_t count = plan->connections + plan->idle;
    struct traffic traffic = {
        .plan = plan,
        .result = result,
        .rules = {.codec = plan->codec, .max_bytes = PROTOCOL_MAX_REPLY},
        .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
        .connections = calloc(count, sizeof(*traffic.connections)),
        .random = 88172645463325252u,
    };
    prctl(PR_SET_TIMERSLACK, 1); /* or else the due times come up to 50 us late */
    bool ok = false;
    if (traffic.epoll_fd < 0) {
        error_set(error, "unable to make an epoll set: %s", strerror(errno));
    } else if (traffic.connections == NULL || !fill_requests(&traffic)) {
        error_set(error, "unable to hold %zu connections: out of memory", count);
    } else if (raise_descriptors(count, error)) {
        for (size_t i = 0; i < count; i++) {
            traffic.connections[i].fd = -1;
        }
        ok = connect_all(&traffic, error);
    }
    if (ok && plan->connected != NULL) {
        plan->connected();
    }
    if (ok) {
        run(&traffic);
        if (plan->answered != NULL) {
            plan->answered();
        }
        ok = !traffic.out_of_memory || error_set(error, "out of memory");
    }
    fini(&traffic, count);
    return ok;
}
