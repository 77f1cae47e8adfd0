/*
 * thread_line: a line server with a thread for each client, which reads, answers and writes, and
 * blocks in each. The oldest way; the kernel alone says who runs. Usage: thread_line PORT [echo];
 * port 0 is any free one; the port is printed.
 */
#include <pthread.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/peers/answers.h"
#include "tests/bench/peers/peer.h"

#define STACK_BYTES ((size_t) 128 << 10)
#define READ_BYTES 16384

static void *serve(void *argument)
{
    const int client = (int) (intptr_t) argument;
    struct buffer rest = {0};
    struct buffer replies = {0};
    char data[READ_BYTES];
    ssize_t size;
    while ((size = read(client, data, sizeof(data))) > 0) {
        answers_to_read(&rest, data, (size_t) size, &replies);
        if (peer_write_all(client, buffer_head(&replies), (long) buffer_size(&replies)) < 0) {
            break;
        }
        buffer_clear(&replies);
    }
    buffer_fini(&rest);
    buffer_fini(&replies);
    close(client);
    return NULL;
}

int main(int argc, char **argv)
{
    const int listener = peer_listen(peer_begin(argc, argv, "thread_line"));
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (;;) {
        poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, -1);
        const int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        pthread_t thread;
        if (client >= 0 &&
            pthread_create(&thread, &attributes, serve, (void *) (intptr_t) client) != 0) {
            close(client);
        }
    }
}
