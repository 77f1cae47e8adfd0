/* peer: a port, a socket, a line on standard output. */
#include "tests/bench/peers/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/bench/peers/answers.h"

_Noreturn void peer_die(const char *what)
{
    perror(what);
    exit(1);
}

int peer_begin(int argc, char **argv, const char *version)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts(version);
        exit(0);
    }
    char *end = NULL;
    const bool echo = argc == 3 && strcmp(argv[2], "echo") == 0;
    const long port = argc == 2 || echo ? strtol(argv[1], &end, 10) : -1;
    if (end == NULL || end == argv[1] || *end != '\0' || port < 0 || port > 65535) {
        fprintf(stderr, "usage: %s PORT [echo] | --version\n", argv[0]);
        exit(EX_USAGE);
    }
    if (echo) {
        answers_echo();
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    return (int) port;
}

void peer_tell(int port)
{
    printf("listening on %d\n", port);
    fflush(stdout);
}

int peer_listen(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t) port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int yes = 1;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener < 0) {
        peer_die("socket");
    }
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    if (bind(listener, (const struct sockaddr *) &address, size) < 0 ||
        listen(listener, SOMAXCONN) < 0 ||
        getsockname(listener, (struct sockaddr *) &address, &size) < 0) {
        peer_die("listen");
    }
    peer_tell(ntohs(address.sin_port));
    return listener;
}

int peer_write_all(int client, const char *data, long size)
{
    while (size > 0) {
        const ssize_t taken = write(client, data, (size_t) size);
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
