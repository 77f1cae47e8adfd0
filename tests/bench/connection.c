/*
 * connection: sending what is due, judging what comes back.
 */
#include "tests/bench/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/protocol.h"
#include "tests/handlers/work.h"

#define CONNECT_TIMEOUT_MS 30000
/* As many of the loopback network's addresses are connected from: the ports of one that wait in
 * TIME_WAIT would run out. */
#define SOURCES 250

bool may_fall_due(const struct traffic *traffic, uint64_t when)
{
    return when < traffic->end &&
           (traffic->plan->requests == 0 || traffic->due < traffic->plan->requests);
}

static bool is_idle(const struct traffic *traffic, const struct connection *connection)
{
    return connection >= traffic->connections + traffic->plan->connections;
}

/* ---- beginning and end ---- */

static bool begin(struct traffic *traffic, struct connection *connection)
{
    if (traffic->plan->tls != NULL) {
        connection->ssl = secure_begin(traffic->plan->tls, connection->fd);
        if (connection->ssl == NULL) {
            return false;
        }
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    traffic->open += is_idle(traffic, connection) ? 0 : 1;
    return epoll_ctl(traffic->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) == 0;
}

bool connection_open(struct traffic *traffic, struct connection *connection, struct error *error)
{
    connection->fd = address_connect(traffic->plan->addresses, CONNECT_TIMEOUT_MS, NULL, error);
    if (connection->fd < 0) {
        return false;
    }
    if (!begin(traffic, connection)) {
        return error_set(error, "unable to watch a connection: %s", strerror(errno));
    }
    return connection->ssl == NULL ||
           secure_shake_hands(connection->ssl, connection->fd, CONNECT_TIMEOUT_MS, error);
}

static void end(struct traffic *traffic, struct connection *connection)
{
    if (connection->fd >= 0) {
        secure_end(connection->ssl);
        connection->ssl = NULL;
        close(connection->fd);
        connection->fd = -1;
        traffic->open -= is_idle(traffic, connection) ? 0 : 1;
    }
    buffer_fini(&connection->in);
}

/* It has ended before its time. */
static void end_early(struct traffic *traffic, struct connection *connection)
{
    if (connection->fd >= 0) {
        end(traffic, connection);
        traffic->result->closed++;
        traffic->result->lost += connection->due - connection->answered;
    }
}

void connection_fini(struct connection *connection)
{
    secure_end(connection->ssl);
    if (connection->fd > 0) {
        close(connection->fd);
    }
    buffer_fini(&connection->in);
    free(connection->times);
}

/* ---- requests ---- */

static bool grow_times(struct connection *connection)
{
    const size_t size = connection->times == NULL ? 1 : 2 * (connection->times_mask + 1);
    struct request_times *times = calloc(size, sizeof(*times));
    if (times == NULL) {
        return false;
    }
    for (uint64_t i = connection->answered; connection->times != NULL && i < connection->due; i++) {
        times[i & (size - 1)] = connection->times[i & connection->times_mask];
    }
    free(connection->times);
    connection->times = times;
    connection->times_mask = size - 1;
    return true;
}

void connection_fall_due(struct traffic *traffic, struct connection *connection, uint64_t when)
{
    const uint64_t waiting = connection->due - connection->answered;
    if ((connection->times == NULL || waiting > connection->times_mask) &&
        !grow_times(connection)) {
        traffic->out_of_memory = true;
        return;
    }
    connection->times[connection->due++ & connection->times_mask].start = when;
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
        const ssize_t taken = connection->ssl == NULL
                                  ? send(connection->fd, data, size, MSG_NOSIGNAL)
                                  : secure_send(connection->ssl, data, size);
        if (taken < 0 && errno == EINTR) {
            continue;
        }
        if (taken < 0 && errno != EAGAIN) {
            end_early(traffic, connection);
            return;
        }
        if (taken < 0) {
            break; /* also while it is still connecting */
        }
        connection->out_left -= (size_t) taken;
        connection->out_offset = (connection->out_offset + (size_t) taken) % request_size;
    }
    watch(traffic, connection, connection->out_left > 0);
}

void connection_send(struct traffic *traffic, struct connection *connection)
{
    const uint64_t waiting = connection->due - connection->sent;
    const uint64_t room = traffic->plan->depth - (connection->sent - connection->answered);
    const uint64_t count = waiting < room ? waiting : room;
    if (count > 0 && connection->fd >= 0) {
        if (traffic->plan->right == TRAFFIC_STAMP) {
            const uint64_t now = work_clock_ns();
            for (uint64_t i = connection->sent; i < connection->sent + count; i++) {
                connection->times[i & connection->times_mask].sent = now;
            }
        }
        connection->sent += count;
        connection->out_left += count * buffer_size(&traffic->plan->request);
        flush(traffic, connection);
    }
}

void connection_ask(struct traffic *traffic, struct connection *connection, uint64_t now)
{
    while (traffic->plan->rate <= 0 && !traffic->out_of_memory && may_fall_due(traffic, now) &&
           connection->due - connection->answered < traffic->plan->depth) {
        connection_fall_due(traffic, connection, now);
    }
    connection_send(traffic, connection);
}

/* ---- a connection for each request ---- */

/* A socket that connects in the background, or -1. */
static int start_connecting(const struct traffic *traffic, const struct connection *connection)
{
    const struct address *to = &traffic->plan->addresses->items[0];
    const int fd = socket(to->socket.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (to->socket.any.sa_family == AF_INET &&
        to->socket.v4.sin_addr.s_addr == htonl(INADDR_LOOPBACK)) {
        const unsigned index = (unsigned) (connection - traffic->connections);
        const struct sockaddr_in from = {
            .sin_family = AF_INET,
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + index % SOURCES),
        };
        const int yes = 1;
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
        /* Where it fails, the kernel chooses. */
        (void) bind(fd, (const struct sockaddr *) &from, sizeof(from));
    }
    /* A Unix socket connects at once or says EAGAIN: its queue is full. */
    if (connect(fd, &to->socket.any, to->size) < 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

void connection_ask_anew(struct traffic *traffic, struct connection *connection)
{
    uint64_t now = work_clock_ns();
    while (connection->fd < 0 && may_fall_due(traffic, now) && !traffic->out_of_memory) {
        *connection = (struct connection){
            .fd = -1, .times = connection->times, .times_mask = connection->times_mask};
        connection_fall_due(traffic, connection, now);
        connection->fd = start_connecting(traffic, connection);
        if (connection->fd < 0) {
            traffic->result->closed++;
            traffic->result->lost++;
        } else if (begin(traffic, connection)) {
            connection_send(traffic, connection);
        } else {
            end_early(traffic, connection);
        }
        now = work_clock_ns();
    }
}

/* ---- replies ---- */

/* Of the request whose reply is next. */
static const struct request_times *oldest(const struct connection *connection)
{
    return &connection->times[connection->answered & connection->times_mask];
}

static void answered(struct traffic *traffic, struct connection *connection, uint64_t now)
{
    const uint64_t start = oldest(connection)->start;
    connection->answered++;
    traffic->result->answered++;
    if (now >= traffic->measured_from) {
        traffic->result->measured++;
    }
    if (start >= traffic->measured_from) {
        histogram_add(&traffic->result->latency, now - start);
    }
}

static void keep_sample(struct traffic *traffic, const char *reply, size_t size)
{
    struct traffic_result *result = traffic->result;
    if (result->sample[0] == '\0') {
        const size_t shown = size < sizeof(result->sample) ? size : sizeof(result->sample) - 1;
        memcpy(result->sample, reply, shown);
    }
}

/* The reply as a time from `start` to `now`. */
static bool is_stamp(const char *reply, size_t size, uint64_t start, uint64_t now, uint64_t *stamp)
{
    *stamp = 0;
    for (size_t i = 0; i < size; i++) {
        if (reply[i] < '0' || reply[i] > '9' || i >= 19) {
            return false;
        }
        *stamp = *stamp * 10 + (uint64_t) (reply[i] - '0');
    }
    return *stamp >= start && *stamp <= now;
}

static bool is_right(struct traffic *traffic, const struct connection *connection,
                     const char *reply, size_t size, uint64_t now)
{
    const struct buffer *expected = &traffic->plan->expected;
    uint64_t stamp = 0;
    switch (traffic->plan->right) {
    case TRAFFIC_ANY:
        return !protocol_is_error(reply, size);
    case TRAFFIC_STAMP:
        if (!is_stamp(reply, size, oldest(connection)->sent, now, &stamp)) {
            return false;
        }
        if (oldest(connection)->start >= traffic->measured_from) {
            const uint64_t server = stamp - oldest(connection)->sent;
            histogram_add(&traffic->result->server, server);
            histogram_add(&traffic->result->client, now - oldest(connection)->start - server);
        }
        return true;
    default:
        return size == buffer_size(expected) && memcmp(reply, buffer_head(expected), size) == 0;
    }
}

/* A reply that is not, byte for byte, what was expected with its framing. */
static void judge(struct traffic *traffic, struct connection *connection, const char *reply,
                  size_t size, uint64_t now)
{
    if (connection->sent == connection->answered || protocol_is_unasked(reply, size)) {
        keep_sample(traffic, reply, size);
        traffic->result->unasked++;
        return;
    }
    if (!is_right(traffic, connection, reply, size, now)) {
        keep_sample(traffic, reply, size);
        *(protocol_is_error(reply, size) ? &traffic->result->refused : &traffic->result->wrong) +=
            1;
    }
    answered(traffic, connection, now);
}

/* Whether the input begins with exactly the expected reply: the common case, for a memcmp. */
static bool begins_as_expected(const struct traffic *traffic, const struct connection *connection)
{
    const struct buffer *wire = &traffic->plan->expected_wire;
    const size_t size = buffer_size(wire);
    return traffic->plan->right == TRAFFIC_EXPECTED && buffer_size(&traffic->input) >= size &&
           connection->sent > connection->answered &&
           memcmp(buffer_head(&traffic->input), buffer_head(wire), size) == 0;
}

/* The same for input that is only the beginning of the expected reply. */
static bool is_begun_as_expected(const struct traffic *traffic, const struct connection *connection)
{
    const struct buffer *wire = &traffic->plan->expected_wire;
    const size_t size = buffer_size(&traffic->input);
    return traffic->plan->right == TRAFFIC_EXPECTED && size < buffer_size(wire) &&
           connection->sent > connection->answered &&
           memcmp(buffer_head(&traffic->input), buffer_head(wire), size) == 0;
}

/* Without framing only the right reply can be told from the next one: the first byte that is not
 * its is the end. */
static bool take_literal_replies(struct traffic *traffic, struct connection *connection,
                                 uint64_t now)
{
    struct buffer *input = &traffic->input;
    const struct buffer *wire = &traffic->plan->expected_wire;
    while (begins_as_expected(traffic, connection)) {
        buffer_consume(input, buffer_size(wire));
        answered(traffic, connection, now);
    }
    const size_t size = buffer_size(input);
    const size_t part = size < buffer_size(wire) ? size : buffer_size(wire);
    const bool is_owed = connection->sent > connection->answered;
    if (size == 0 || (is_owed && memcmp(buffer_head(input), buffer_head(wire), part) == 0)) {
        return true;
    }
    keep_sample(traffic, buffer_head(input), size);
    if (is_owed) {
        traffic->result->wrong++;
        answered(traffic, connection, now);
    } else {
        traffic->result->unasked++;
    }
    return false;
}

/* Takes all complete replies from the input. False: the stream is beyond understanding. */
static bool take_replies(struct traffic *traffic, struct connection *connection, bool at_boundary,
                         uint64_t now)
{
    struct buffer *input = &traffic->input;
    if (traffic->plan->literal) {
        return take_literal_replies(traffic, connection, now);
    }
    for (;;) {
        if (at_boundary && begins_as_expected(traffic, connection)) {
            buffer_consume(input, buffer_size(&traffic->plan->expected_wire));
            answered(traffic, connection, now);
            continue;
        }
        if (at_boundary && is_begun_as_expected(traffic, connection)) {
            connection->matched = buffer_size(input);
            buffer_clear(input);
            return true;
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

/* Goes on with a reply of which `matched` bytes have come: long ones come in many pieces, and each
 * is looked at once. Where it turns out to be another reply, the input is as if all were kept. */
static bool match_further(struct traffic *traffic, struct connection *connection, uint64_t now)
{
    struct buffer *input = &traffic->input;
    const struct buffer *wire = &traffic->plan->expected_wire;
    const size_t missing = buffer_size(wire) - connection->matched;
    const size_t part = buffer_size(input) < missing ? buffer_size(input) : missing;
    const size_t before = connection->matched;
    connection->matched = 0;
    if (memcmp(buffer_head(input), buffer_head(wire) + before, part) != 0) {
        struct buffer whole = {0};
        const bool ok = buffer_append(&whole, buffer_head(wire), before) &&
                        buffer_append(&whole, buffer_head(input), buffer_size(input));
        buffer_fini(input);
        *input = whole;
        return ok;
    }
    buffer_consume(input, part);
    if (part == missing) {
        answered(traffic, connection, now);
    } else {
        connection->matched = before + part;
    }
    return true;
}

static void receive(struct traffic *traffic, struct connection *connection)
{
    struct buffer *input = &traffic->input;
    const size_t left_over = buffer_size(&connection->in);
    const bool at_boundary = !frame_is_partial(&connection->decoder, left_over);
    buffer_clear(input);
    if ((left_over > 0 && !buffer_append(input, buffer_head(&connection->in), left_over)) ||
        !buffer_reserve(input, CONNECTION_BYTES)) {
        traffic->out_of_memory = true;
        return;
    }
    const ssize_t size = connection->ssl == NULL
                             ? recv(connection->fd, buffer_tail(input), CONNECTION_BYTES, 0)
                             : secure_recv(connection->ssl, buffer_tail(input), CONNECTION_BYTES);
    connection->holds = connection->ssl != NULL && size == (ssize_t) CONNECTION_BYTES;
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (size <= 0) {
        end_early(traffic, connection);
        return;
    }
    const uint64_t now = work_clock_ns();
    traffic->last_progress = now;
    traffic->last_reply = now;
    buffer_added(input, (size_t) size);
    buffer_fini(&connection->in);
    if (connection->matched > 0 && !match_further(traffic, connection, now)) {
        traffic->out_of_memory = true;
        return;
    }
    if (connection->matched > 0) {
        return;
    }
    if (!take_replies(traffic, connection, at_boundary, now)) {
        end_early(traffic, connection);
        return;
    }
    if (buffer_size(input) > 0 &&
        !buffer_append(&connection->in, buffer_head(input), buffer_size(input))) {
        traffic->out_of_memory = true;
        return;
    }
    if (traffic->plan->connect_each && connection->answered == connection->due) {
        end(traffic, connection);
        return;
    }
    if (!is_idle(traffic, connection)) {
        connection_ask(traffic, connection, now);
    }
}

void connection_serve(struct traffic *traffic, struct connection *connection, uint32_t events)
{
    /* What has come may be what a handshake waits for, behind which requests are sent. */
    if ((events & EPOLLOUT) != 0 || (connection->ssl != NULL && connection->out_left > 0)) {
        flush(traffic, connection);
    }
    if ((events & ~(uint32_t) EPOLLOUT) != 0 && connection->fd >= 0) {
        do {
            receive(traffic, connection);
        } while (connection->holds && connection->fd >= 0 && !traffic->out_of_memory);
    }
    if (traffic->plan->connect_each && connection->fd < 0 && !is_idle(traffic, connection)) {
        connection_ask_anew(traffic, connection);
    }
}
