/*
 * floor: what any server on one epoll loop must pay: one wait, and a read and a write for each
 * ready descriptor. It gives back what it reads and looks at none of it. Usage: floor PORT; port 0
 * is any free one; the port is printed.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/peers/peer.h"

#define BATCH 512

static void accept_all(int epoll_fd, int listener)
{
    for (;;) {
        const int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (client < 0) {
            return;
        }
        struct epoll_event event = {.events = EPOLLIN, .data.fd = client};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client, &event) < 0) {
            close(client);
        }
    }
}

/* Its write waits for room, which is good enough for a generator that reads all the time. */
static void serve(int client)
{
    static char data[64 << 10];
    const ssize_t size = recv(client, data, sizeof(data), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (size <= 0 || peer_write_all(client, data, size) < 0) {
        close(client);
    }
}

int main(int argc, char **argv)
{
    const int listener = peer_listen(peer_begin(argc, argv, "floor"));
    const int epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0) {
        peer_die("epoll");
    }
    for (;;) {
        struct epoll_event events[BATCH];
        const int count = epoll_wait(epoll_fd, events, BATCH, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener) {
                accept_all(epoll_fd, listener);
            } else {
                serve(events[i].data.fd);
            }
        }
    }
}
