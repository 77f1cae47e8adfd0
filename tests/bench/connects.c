/*
 * connects: a load generator whose every request has a connection of its own: connect, one line
 * out, one line in, close. For servers that start something for each connection.
 *
 *     connects PORT CLIENTS SECONDS
 *
 * CLIENTS threads, each with an address of its own on the loopback network, so that the ports that
 * wait in TIME_WAIT don't run out. Writes one line of JSON. Exit: 0 every reply was the request
 * again, 1 some was not, 64 usage.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_CLIENTS = 200,
    REPLY_LIMIT_S = 10,
};

struct client {
    pthread_t thread;
    struct sockaddr_in from, to;
    double end; /* no new request after this */
    unsigned long answered, failed;
};

static const char request[] = "Zack\n";

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

/* Reads up to a newline; whether that is the request again. */
static bool read_reply(int fd)
{
    char reply[sizeof request];
    size_t size = 0;
    while (size < sizeof reply && (size == 0 || reply[size - 1] != '\n')) {
        const ssize_t got = read(fd, reply + size, sizeof reply - size);
        if (got <= 0)
            return false;
        size += (size_t) got;
    }
    return size == sizeof request - 1 && memcmp(reply, request, size) == 0;
}

static bool ask(const struct client *client)
{
    const struct timeval limit = {.tv_sec = REPLY_LIMIT_S};
    const int yes = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    const bool ok = bind(fd, (const struct sockaddr *) &client->from, sizeof client->from) == 0 &&
                    connect(fd, (const struct sockaddr *) &client->to, sizeof client->to) == 0 &&
                    write(fd, request, sizeof request - 1) == sizeof request - 1 && read_reply(fd);
    close(fd);
    return ok;
}

static void *work(void *argument)
{
    struct client *client = argument;
    while (now() < client->end) {
        if (ask(client))
            client->answered++;
        else
            client->failed++;
    }
    return NULL;
}

static struct sockaddr_in loopback(unsigned host, unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t) port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK + host)};
}

static long number(const char *text, long most)
{
    char *end;
    const long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > most) {
        fprintf(stderr, "connects: \"%s\" is no number from 1 to %ld\n", text, most);
        exit(EX_USAGE);
    }
    return value;
}

int main(int argc, char **argv)
{
    static struct client clients[MAX_CLIENTS];
    if (argc != 4) {
        fputs("usage: connects PORT CLIENTS SECONDS\n", stderr);
        return EX_USAGE;
    }
    const unsigned port = (unsigned) number(argv[1], UINT16_MAX);
    const unsigned count = (unsigned) number(argv[2], MAX_CLIENTS);
    const double begin = now();
    const double end = begin + (double) number(argv[3], 3600);
    unsigned started = 0;
    for (; started < count; started++) {
        clients[started] =
            (struct client){.from = loopback(started + 1, 0), .to = loopback(0, port), .end = end};
        if (pthread_create(&clients[started].thread, NULL, work, &clients[started]) != 0)
            break;
    }
    unsigned long answered = 0, failed = 0;
    for (unsigned i = 0; i < started; i++) {
        pthread_join(clients[i].thread, NULL);
        answered += clients[i].answered;
        failed += clients[i].failed;
    }
    printf("{\"answered\": %lu, \"failed\": %lu, \"per_second\": %.1f}\n", answered, failed,
           (double) answered / (now() - begin));
    return failed == 0 && started == count ? EXIT_SUCCESS : EXIT_FAILURE;
}
