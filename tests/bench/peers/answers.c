/* answers: lines in, lines out. */
#include "tests/bench/peers/answers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/handlers/work.h"

#define HELLO "Hello "
#define HELLO_SIZE (sizeof(HELLO) - 1)
#define BLOCK ((size_t) 16)

static bool is_echo;

void answers_echo(void) { is_echo = true; }

static void append(struct buffer *buffer, const char *data, size_t size)
{
    if (!buffer_append(buffer, data, size)) {
        perror("unable to hold a reply");
        exit(1);
    }
}

/* The text has its line end: that is where a number in it ends. */
static bool takes_number(const char *line, size_t size, const char *word, uint64_t *number)
{
    const size_t word_size = strlen(word);
    if (size <= word_size || memcmp(line, word, word_size) != 0) {
        return false;
    }
    char *end = NULL;
    *number = strtoull(line + word_size, &end, 10);
    return end == line + size - 1;
}

/* What the line asks for besides its reply; false: nothing. */
static bool act(const char *line, size_t size)
{
    uint64_t number = 0;
    if (takes_number(line, size, "work ", &number)) {
        work(number);
        return true;
    }
    if (takes_number(line, size, "sleep ", &number)) {
        struct timespec time = {.tv_sec = (time_t) (number / 1000),
                                .tv_nsec = (long) (number % 1000) * 1000000};
        int result = 0;
        do {
            result = nanosleep(&time, &time);
        } while (result != 0 && errno == EINTR);
        return true;
    }
    return false;
}

static char to_upper(char byte) { return (char) (byte ^ ((byte >= 'a' && byte <= 'z') << 5)); }

/* In blocks, which compilers make one vector operation of. */
static void greet(const char *line, size_t size, struct buffer *replies)
{
    append(replies, HELLO, HELLO_SIZE);
    append(replies, line, size);
    char *text = buffer_tail(replies) - size;
    size_t i = 0;
    for (; i + BLOCK <= size; i += BLOCK) {
        for (size_t j = 0; j < BLOCK; j++) {
            text[i + j] = to_upper(text[i + j]);
        }
    }
    for (; i < size; i++) {
        text[i] = to_upper(text[i]);
    }
}

/* A line with its end. */
static void answer(const char *line, size_t size, struct buffer *replies)
{
    if (!is_echo && size == 4 && memcmp(line, "now\n", 4) == 0) {
        char text[32];
        const int length = snprintf(text, sizeof(text), "%" PRIu64 "\n", work_clock_ns());
        append(replies, text, (size_t) length);
    } else if (is_echo || act(line, size)) {
        append(replies, line, size);
    } else {
        greet(line, size, replies);
    }
}

size_t answers_append(const char *data, size_t size, struct buffer *replies)
{
    const char *at = data;
    const char *end = data + size;
    for (const char *line_end; (line_end = memchr(at, '\n', (size_t) (end - at))) != NULL;
         at = line_end + 1) {
        answer(at, (size_t) (line_end + 1 - at), replies);
    }
    return (size_t) (at - data);
}

void answers_to_read(struct buffer *rest, const char *data, size_t size, struct buffer *replies)
{
    if (buffer_size(rest) > 0) { /* as far as the line's end, it is one with what was left */
        const char *line_end = memchr(data, '\n', size);
        const size_t part = line_end == NULL ? size : (size_t) (line_end + 1 - data);
        append(rest, data, part);
        data += part;
        size -= part;
        if (line_end == NULL) {
            return;
        }
        answers_append(buffer_head(rest), buffer_size(rest), replies);
        buffer_fini(rest);
    }
    const size_t taken = answers_append(data, size, replies);
    if (taken < size) {
        append(rest, data + taken, size - taken);
    }
}
