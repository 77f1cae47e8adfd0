/*
 * traffic: connections, their schedule, and the loop that serves both.
 *
 * Each connection counts the requests that fell due, that were sent and that were answered; a ring
 * keeps the start of each that is due and not answered. What may be sent is the difference of the
 * counts, so the closed and the open kind differ only in who makes requests fall due: a reply or
 * the clock.
 */
#include "tests/bench/traffic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/protocol.h"

#define READ_BYTES ((size_t) 64 << 10)
#define BATCH 256
#define SECOND_NS ((uint64_t) 1000 * 1000 * 1000)
#define STALL_NS (30 * SECOND_NS)
#define LOOK_NS (SECOND_NS / 10) /* how often the loop looks at the clock when nothing happens */
#define CONNECT_TIMEOUT_MS 10000

struct connection {
    int fd; /* -1: it has ended */
    bool wants_out;
    struct frame_decoder decoder;
    struct buffer in;   /* the beginning of a reply whose end has not come */
    uint64_t due;       /* requests so far that fell due ... */
    uint64_t sent;      /* ... that were handed to the kernel or stand in out_left ... */
    uint64_t answered;  /* ... that were answered */
    uint64_t *starts;   /* ring: when each of those from `answered` to `due` started */
    size_t starts_mask; /* its size, a power of two, less one */
    size_t out_left;    /* bytes of requests that the kernel has not taken */
    size_t out_offset;  /* how much of the first of them it has */
    uint64_t next_due;  /* open: when the next one falls due; UINT64_MAX: never */
};

struct traffic {
    const struct traffic_plan *plan;
    struct traffic_result *result;
    struct frame_rules rules;
    int epoll_fd;
    struct connection *connections;
    struct connection **schedule; /* open: a heap, the earliest next_due first */
    size_t open;                  /* connections that have not ended */
    struct buffer requests;       /* several requests in a row, so that one write can send them */
    struct buffer input;          /* what the present connection's read returned */
    uint64_t due;                 /* over all connections */
    uint64_t end;                 /* no request falls due at or after this */
    uint64_t last_reply;
    uint64_t last_progress; /* since when a reply has been waited for in vain */
    uint64_t random;
    bool out_of_memory;
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * SECOND_NS + (uint64_t) now.tv_nsec;
}

/* From 0 to 1; xorshift64*, the same sequence in each run. */
static double next_random(struct traffic *traffic)
{
    uint64_t *random = &traffic->random;
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (double) (*random * 2685821657736338717u >> 11) / (double) ((uint64_t) 1 << 53);
}

static bool may_fall_due(const struct traffic *traffic, uint64_t when)
{
    return when < traffic->end &&
           (traffic->plan->requests == 0 || traffic->due < traffic->plan->requests);
}

static uint64_t owed(const struct traffic *traffic)
{
    return traffic->due - traffic->result->answered - traffic->result->lost;
}

/* ---- one connection ---- */

static void end_connection(struct traffic *traffic, struct connection *connection)
{
    if (connection->fd < 0) {
        return;
    }
    close(connection->fd);
    connection->fd = -1;
    buffer_fini(&connection->in);
    traffic->open--;
    traffic->result->closed++;
    traffic->result->lost += connection->due - connection->answered;
}

static bool grow_starts(struct connection *connection)
{
    const size_t size = 2 * (connection->starts_mask + 1);
    uint64_t *starts = calloc(size, sizeof(*starts));
    if (starts == NULL) {
        return false;
    }
    for (uint64_t i = connection->answered; i < connection->due; i++) {
        starts[i & (size - 1)] = connection->starts[i & connection->starts_mask];
    }
    free(connection->starts);
    connection->starts = starts;
    connection->starts_mask = size - 1;
    return true;
}

static void fall_due(struct traffic *traffic, struct connection *connection, uint64_t when)
{
    const uint64_t waiting = connection->due - connection->answered;
    if (waiting > connection->starts_mask && !grow_starts(connection)) {
        traffic->out_of_memory = true;
        return;
    }
    connection->starts[connection->due++ & connection->starts_mask] = when;
    traffic->due++;
}

static void watch(struct traffic *traffic, struct connection *connection, bool wants_out)
{
    if (connection->wants_out != wants_out) {
        struct epoll_event event = {.events = EPOLLIN | (wants_out ? EPOLLOUT : 0),
                                    .data.ptr = connection};
        connection->wants_out = wants_out;
        epoll_ctl(traffic->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
    }
}

static void flush(struct traffic *traffic, struct connection *connection)
{
    const size_t request_size = buffer_size(&traffic->plan->request);
    while (connection->out_left > 0) {
        const size_t row = buffer_size(&traffic->requests) - connection->out_offset;
        const size_t size = connection->out_left < row ? connection->out_left : row;
        const char *data = buffer_head(&traffic->requests) + connection->out_offset;
        const ssize_t taken = send(connection->fd, data, size, MSG_NOSIGNAL);
        if (taken < 0 && errno == EINTR) {
            continue;
        }
        if (taken < 0 && errno != EAGAIN) {
            end_connection(traffic, connection);
            return;
        }
        if (taken < 0) {
            break;
        }
        connection->out_left -= (size_t) taken;
        connection->out_offset = (connection->out_offset + (size_t) taken) % request_size;
    }
    watch(traffic, connection, connection->out_left > 0);
}

/* Sends what is due, as far as the depth allows. */
static void send_due(struct traffic *traffic, struct connection *connection)
{
    const uint64_t waiting = connection->due - connection->sent;
    const uint64_t room = traffic->plan->depth - (connection->sent - connection->answered);
    const uint64_t count = waiting < room ? waiting : room;
    if (count > 0 && connection->fd >= 0) {
        connection->sent += count;
        connection->out_left += count * buffer_size(&traffic->plan->request);
        flush(traffic, connection);
    }
}

/* Closed: a request falls due as soon as there is room for it. */
static void ask_again(struct traffic *traffic, struct connection *connection, uint64_t now)
{
    while (traffic->plan->rate <= 0 && !traffic->out_of_memory && may_fall_due(traffic, now) &&
           connection->due - connection->answered < traffic->plan->depth) {
        fall_due(traffic, connection, now);
    }
    send_due(traffic, connection);
}

/* ---- replies ---- */

static void answered(struct traffic *traffic, struct connection *connection, uint64_t now)
{
    const uint64_t start = connection->starts[connection->answered++ & connection->starts_mask];
    traffic->result->answered++;
    histogram_add(&traffic->result->latency, now - start);
}

/* A reply that is not, byte for byte, what was expected with its framing. */
static void judge(struct traffic *traffic, struct connection *connection, const char *reply,
                  size_t size, uint64_t now)
{
    struct traffic_result *result = traffic->result;
    const struct buffer *expected = &traffic->plan->expected;
    const bool is_error = protocol_is_error(reply, size);
    const bool is_asked =
        connection->sent > connection->answered && !protocol_is_unasked(reply, size);
    const bool is_right =
        traffic->plan->any_reply
            ? !is_error
            : size == buffer_size(expected) && memcmp(reply, buffer_head(expected), size) == 0;
    if ((!is_right || !is_asked) && result->sample[0] == '\0') {
        const size_t shown = size < sizeof(result->sample) ? size : sizeof(result->sample) - 1;
        memcpy(result->sample, reply, shown);
    }
    if (!is_asked) {
        result->unasked++;
        return;
    }
    if (!is_right) {
        *(is_error ? &result->refused : &result->wrong) += 1;
    }
    answered(traffic, connection, now);
}

/* Whether the input begins with exactly the expected reply: the common case, for a memcmp. */
static bool begins_as_expected(const struct traffic *traffic, const struct connection *connection)
{
    const struct buffer *wire = &traffic->plan->expected_wire;
    const size_t size = buffer_size(wire);
    return !traffic->plan->any_reply && buffer_size(&traffic->input) >= size &&
           connection->sent > connection->answered &&
           memcmp(buffer_head(&traffic->input), buffer_head(wire), size) == 0;
}

/* Takes all complete replies from the input. False: the stream is beyond understanding. */
static bool take_replies(struct traffic *traffic, struct connection *connection, bool at_boundary,
                         uint64_t now)
{
    struct buffer *input = &traffic->input;
    for (;;) {
        if (at_boundary && begins_as_expected(traffic, connection)) {
            buffer_consume(input, buffer_size(&traffic->plan->expected_wire));
            answered(traffic, connection, now);
            continue;
        }
        struct frame frame;
        const enum frame_outcome outcome = frame_next(
            &traffic->rules, &connection->decoder, buffer_head(input), buffer_size(input), &frame);
        if (outcome == FRAME_MESSAGE) {
            judge(traffic, connection, frame.message, frame.size, now);
        } else if (outcome == FRAME_OVERSIZE_END) {
            judge(traffic, connection, "(too long)", 10, now);
        }
        buffer_consume(input, frame.consumed);
        if (outcome == FRAME_MORE) {
            return true;
        }
        if (outcome == FRAME_BAD || outcome == FRAME_BAD_LENGTH) {
            return false;
        }
        at_boundary = outcome != FRAME_OVERSIZE;
    }
}

static void receive(struct traffic *traffic, struct connection *connection)
{
    struct buffer *input = &traffic->input;
    const size_t left_over = buffer_size(&connection->in);
    const bool at_boundary = !frame_is_partial(&connection->decoder, left_over);
    buffer_clear(input);
    if ((left_over > 0 && !buffer_append(input, buffer_head(&connection->in), left_over)) ||
        !buffer_reserve(input, READ_BYTES)) {
        traffic->out_of_memory = true;
        return;
    }
    const ssize_t size = recv(connection->fd, buffer_tail(input), READ_BYTES, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (size <= 0) {
        end_connection(traffic, connection);
        return;
    }
    const uint64_t now = clock_ns();
    traffic->last_progress = now;
    traffic->last_reply = now;
    buffer_added(input, (size_t) size);
    buffer_fini(&connection->in);
    if (!take_replies(traffic, connection, at_boundary, now)) {
        end_connection(traffic, connection);
        return;
    }
    if (buffer_size(input) > 0 &&
        !buffer_append(&connection->in, buffer_head(input), buffer_size(input))) {
        traffic->out_of_memory = true;
        return;
    }
    ask_again(traffic, connection, now);
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
            fall_due(traffic, connection, connection->next_due);
            connection->next_due += (uint64_t) ((0.5 + next_random(traffic)) * gap_ns);
            send_due(traffic, connection);
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
        struct connection *connection = events[i].data.ptr;
        if ((events[i].events & EPOLLOUT) != 0) {
            flush(traffic, connection);
        }
        if ((events[i].events & ~(uint32_t) EPOLLOUT) != 0 && connection->fd >= 0) {
            receive(traffic, connection);
        }
    }
}

static void run(struct traffic *traffic)
{
    const uint64_t start = clock_ns();
    traffic->end = traffic->plan->duration_ns > 0 ? start + traffic->plan->duration_ns : UINT64_MAX;
    traffic->last_progress = start;
    traffic->last_reply = start;
    if (traffic->plan->rate > 0) {
        traffic->out_of_memory = !make_schedule(traffic, start);
    } else {
        for (size_t i = 0; i < traffic->plan->connections; i++) {
            ask_again(traffic, &traffic->connections[i], clock_ns());
        }
    }
    for (;;) {
        const uint64_t now = clock_ns();
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
    traffic->result->elapsed_ns = traffic->last_reply - start;
}

static bool connect_all(struct traffic *traffic, struct error *error)
{
    for (size_t i = 0; i < traffic->plan->connections; i++) {
        struct connection *connection = &traffic->connections[i];
        connection->starts = calloc(1, sizeof(*connection->starts));
        if (connection->starts == NULL) {
            return error_set(error, "out of memory");
        }
        connection->fd = address_connect(traffic->plan->addresses, CONNECT_TIMEOUT_MS, NULL, error);
        if (connection->fd < 0) {
            return false;
        }
        traffic->open++;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(traffic->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0) {
            return error_set(error, "unable to watch a connection: %s", strerror(errno));
        }
    }
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
    } while (count < traffic->plan->depth && buffer_size(&traffic->requests) < READ_BYTES);
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

bool traffic_run(const struct traffic_plan *plan, struct traffic_result *result,
                 struct error *error)
{
    struct traffic traffic = {
        .plan = plan,
        .result = result,
        .rules = {.codec = plan->codec, .max_bytes = PROTOCOL_MAX_REPLY},
        .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
        .random = 88172645463325252u,
    };
    prctl(PR_SET_TIMERSLACK, 1); /* or else the due times come up to 50 us late */
    traffic.connections = calloc(plan->connections, sizeof(*traffic.connections));
    bool ok = false;
    if (traffic.epoll_fd < 0) {
        error_set(error, "unable to make an epoll set: %s", strerror(errno));
    } else if (traffic.connections == NULL || !fill_requests(&traffic)) {
        error_set(error, "unable to hold %zu connections: out of memory", plan->connections);
    } else if (raise_descriptors(plan->connections, error)) {
        ok = connect_all(&traffic, error);
    }
    if (ok) {
        run(&traffic);
        ok = !traffic.out_of_memory || error_set(error, "out of memory");
    }
    for (size_t i = 0; traffic.connections != NULL && i < plan->connections; i++) {
        if (traffic.connections[i].fd > 0) {
            close(traffic.connections[i].fd);
        }
        buffer_fini(&traffic.connections[i].in);
        free(traffic.connections[i].starts);
    }
    free(traffic.connections);
    free(traffic.schedule);
    buffer_fini(&traffic.requests);
    buffer_fini(&traffic.input);
    if (traffic.epoll_fd >= 0) {
        close(traffic.epoll_fd);
    }
    return ok;
}
