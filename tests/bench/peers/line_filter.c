/*
 * line_filter: the same answers from standard input to standard output, for programs that start
 * one for each connection.
 */
#include <unistd.h>

#include "tests/bench/peers/answers.h"
#include "tests/bench/peers/peer.h"

int main(void)
{
    static char data[64 << 10];
    struct buffer rest = {0};
    struct buffer replies = {0};
    ssize_t size;
    while ((size = read(STDIN_FILENO, data, sizeof(data))) > 0) {
        answers_to_read(&rest, data, (size_t) size, &replies);
        if (peer_write_all(STDOUT_FILENO, buffer_head(&replies), (long) buffer_size(&replies)) <
            0) {
            break;
        }
        buffer_clear(&replies);
    }
    buffer_fini(&rest);
    buffer_fini(&replies);
    return size < 0;
}
