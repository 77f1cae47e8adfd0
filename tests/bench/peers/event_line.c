/*
 * event_line: the line server that one would write with libevent in an afternoon, done well: one
 * thread, a bufferevent for each client, lines answered in place, all replies to what has come in
 * one piece. Usage: event_line PORT [echo]; port 0 is any free one; the port is printed. event_line
 * --version tells libevent's.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/peers/answers.h"
#include "tests/bench/peers/peer.h"

#define MAX_LINE ((size_t) 1 << 20)
#define READ_BYTES ((size_t) 64 << 10)

static struct buffer replies; /* to the present read */

static void on_read(struct bufferevent *client, void *context)
{
    (void) context;
    struct evbuffer *input = bufferevent_get_input(client);
    const char *data = (const char *) evbuffer_pullup(input, -1);
    buffer_clear(&replies);
    const size_t taken = answers_append(data, evbuffer_get_length(input), &replies);
    if (taken > 0) {
        bufferevent_write(client, buffer_head(&replies), buffer_size(&replies));
        evbuffer_drain(input, taken);
    }
    if (evbuffer_get_length(input) > MAX_LINE) {
        bufferevent_free(client);
    }
}

static void on_event(struct bufferevent *client, short events, void *context)
{
    (void) context;
    if ((events & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) {
        bufferevent_free(client);
    }
}

static void on_connection(evutil_socket_t listener, short events, void *context)
{
    (void) events;
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct bufferevent *client = bufferevent_socket_new(context, fd, BEV_OPT_CLOSE_ON_FREE);
        if (client == NULL) {
            close(fd);
            continue;
        }
        bufferevent_set_max_single_read(client, READ_BYTES);
        bufferevent_set_max_single_write(client, READ_BYTES);
        bufferevent_setcb(client, on_read, NULL, on_event, NULL);
        bufferevent_enable(client, EV_READ | EV_WRITE);
    }
}

int main(int argc, char **argv)
{
    char version[64];
    snprintf(version, sizeof(version), "libevent %s", event_get_version());
    const int listener = peer_listen(peer_begin(argc, argv, version));
    struct event_base *base = event_base_new();
    struct event *accepting =
        base == NULL ? NULL : event_new(base, listener, EV_READ | EV_PERSIST, on_connection, base);
    if (accepting == NULL || event_add(accepting, NULL) < 0) {
        peer_die("event");
    }
    return event_base_dispatch(base);
}
