/*
 * floor: what any server on one epoll loop must pay: one wait, and a read and a write for each
 * ready descriptor. It gives back what it reads and looks at none of it. Usage: floor PORT; port 0
 * is any free one; the port is printed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 512

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t) port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int yes = 1;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener < 0) {
        die("socket");
    }
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    if (bind(listener, (const struct sockaddr *) &address, size) < 0 ||
        listen(listener, SOMAXCONN) < 0 ||
        getsockname(listener, (struct sockaddr *) &address, &size) < 0) {
        die("listen");
    }
    printf("listening on %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

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

/* All or nothing: it waits for room, which is good enough for a generator that reads all the
 * time. */
static int write_all(int client, const char *data, ssize_t size)
{
    while (size > 0) {
        const ssize_t taken = send(client, data, (size_t) size, MSG_NOSIGNAL);
        if (taken >= 0) {
            data += taken;
            size -= taken;
        } else if (errno == EAGAIN) {
            poll(&(struct pollfd){.fd = client, .events = POLLOUT}, 1, -1);
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

static void serve(int client)
{
    static char data[64 << 10];
    const ssize_t size = recv(client, data, sizeof(data), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (size <= 0 || write_all(client, data, size) < 0) {
        close(client);
    }
}

static int port_of(const char *text)
{
    char *end = NULL;
    const long port = strtol(text, &end, 10);
    if (end == text || *end != '\0' || port < 0 || port > 65535) {
        fprintf(stderr, "floor: '%s' is no port\n", text);
        exit(64);
    }
    return (int) port;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: floor PORT\n");
        return 64;
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    const int listener = listen_on(port_of(argv[1]));
    const int epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0) {
        die("epoll");
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
