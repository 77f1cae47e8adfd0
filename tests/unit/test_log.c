/* log: what is written, what is counted and what is dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/buffer.h"
#include "server/log/log.h"

static struct log *open_log(int fd, enum log_level level)
{
    struct error error;
    struct log *log = log_open(fd, level, (struct log_style){0}, &error);
    assert_non_null(log);
    return log;
}

/* Stops and frees a log on a memory file, and compares what it has written. */
static void assert_written(struct log *log, int fd, const char *expected)
{
    char text[4096];
    log_stop(log);
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    assert_true(size >= 0);
    text[size] = '\0';
    assert_string_equal(text, expected);
    uint64_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(log_lines(log), lines);
    assert_int_equal(log_dropped(log), 0);
    log_free(log);
    close(fd);
}

static int memory_file(void)
{
    int fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void each_level_writes_its_own(void **state)
{
    (void) state;
    static const struct {
        enum log_event event;
        bool wanted[4]; /* by level */
    } rows[] = {
        {LOG_SOCKET_CREATED, {true, true, true, false}},
        {LOG_STOPPED, {true, true, true, false}},
        {LOG_BROKEN, {true, true, true, false}},
        {LOG_WORKER, {true, true, true, false}},
        {LOG_CONNECTED, {true, true, false, false}},
        {LOG_WORKER_STARTED, {true, true, false, false}},
        {LOG_PROCESSED, {true, false, false, false}},
    };
    for (enum log_level level = LOG_MESSAGES; level <= LOG_SILENT; level++) {
        int fd = memory_file();
        struct log *log = open_log(fd, level);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            if (log_wants(log, rows[i].event) != rows[i].wanted[level])
                fail_msg("row %zu at level %d", i, level);
        log_stop(log);
        log_free(log);
        close(fd);
    }
    assert_false(log_wants(NULL, LOG_STOPPED));
}

static void the_level_can_change(void **state)
{
    (void) state;
    int fd = memory_file();
    struct log *log = open_log(fd, LOG_ERRORS);
    struct log_ring *ring = log_ring_new(log);
    log_put(ring, LOG_QUIT, 1, "", 0);
    log_set_level(log, LOG_CONNECTIONS);
    assert_true(log_wants(log, LOG_QUIT));
    assert_false(log_wants(log, LOG_PROCESSED));
    log_put(ring, LOG_QUIT, 2, "", 0);
    log_put(ring, LOG_PROCESSED, 2, "a", 1);
    log_set_level(log, LOG_MESSAGES);
    log_put(ring, LOG_PROCESSED, 3, "a", 1);
    log_set_level(log, LOG_SILENT); /* which it can't be */
    log_set_level(log, LOG_ERRORS);
    struct log_ring *later = log_ring_new(log);
    log_put(ring, LOG_QUIT, 4, "", 0);
    log_put(later, LOG_QUIT, 5, "", 0);
    log_put(later, LOG_BROKEN, 6, "why", 3);
    log_ring_free(ring);
    log_ring_free(later);
    assert_int_equal(log_count(log, LOG_QUIT), 4);
    assert_written(log, fd,
                   "[2] Client is requesting to quit\n"
                   "[3] Processed result: a\n"
                   "[6] The session was given up: why\n");
}

static void every_event_has_a_name(void **state)
{
    (void) state;
    for (unsigned event = 0; event < LOG_EVENTS; event++) {
        const char *name = log_describe(event)->counter;
        assert_true(strlen(name) > 0);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        for (unsigned other = 0; other < event; other++)
            assert_string_not_equal(name, log_describe(other)->counter);
    }
}

static void what_is_not_written_is_counted(void **state)
{
    (void) state;
    int fd = memory_file();
    struct log *log = open_log(fd, LOG_ERRORS);
    struct log_ring *ring = log_ring_new(log);
    assert_non_null(ring);
    for (int i = 0; i < 3; i++)
        log_put(ring, LOG_QUIT, 7, "", 0);
    log_put(ring, LOG_BROKEN, 7, "why", 3);
    log_nudge(ring);
    log_tell(log, LOG_CONNECTED, 0, "%s", "127.0.0.1:1");
    assert_int_equal(log_count(log, LOG_QUIT), 3);
    assert_int_equal(log_count(log, LOG_BROKEN), 1);
    assert_int_equal(log_count(log, LOG_CONNECTED), 1);
    assert_int_equal(log_count(log, LOG_PROCESSED), 0);
    log_ring_free(ring);
    assert_written(log, fd, "[7] The session was given up: why\n");
}

static void a_ring_that_is_used_again_goes_on_counting(void **state)
{
    (void) state;
    int fd = memory_file();
    struct log *log = open_log(fd, LOG_CONNECTIONS);
    struct log_ring *first = log_ring_new(log);
    log_put(first, LOG_QUIT, 1, "", 0);
    log_ring_free(first); /* without a nudge */
    struct log_ring *again = log_ring_new(log);
    struct log_ring *other = log_ring_new(log);
    assert_ptr_equal(again, first);
    assert_ptr_not_equal(other, first);
    log_put(again, LOG_QUIT, 2, "", 0);
    log_nudge(again);
    log_put(other, LOG_QUIT, 3, "", 0);
    log_nudge(other);
    assert_int_equal(log_count(log, LOG_QUIT), 3);
    log_ring_free(again);
    log_ring_free(other);
    assert_written(log, fd,
                   "[1] Client is requesting to quit\n"
                   "[2] Client is requesting to quit\n"
                   "[3] Client is requesting to quit\n");
}

static unsigned count_threads(void)
{
    unsigned count = 0;
    DIR *threads = opendir("/proc/self/task");
    assert_non_null(threads);
    while (readdir(threads))
        count++;
    closedir(threads);
    return count;
}

static void a_silent_log_only_counts(void **state)
{
    (void) state;
    unsigned threads = count_threads();
    struct log *log = open_log(-1, LOG_SILENT);
    assert_int_equal(count_threads(), threads);
    log_set_level(log, LOG_MESSAGES); /* it stays silent */
    struct log_ring *ring = log_ring_new(log);
    assert_non_null(ring);
    for (int i = 0; i < 100; i++)
        log_put(ring, LOG_PROCESSED, 1, "Zack", 4);
    log_nudge(ring);
    log_tell(log, LOG_STOPPED, 0, "%d%c%d", 1, LOG_SEPARATOR, 100);
    assert_int_equal(log_count(log, LOG_PROCESSED), 100);
    assert_int_equal(log_count(log, LOG_STOPPED), 1);
    log_stop(log);
    assert_int_equal(log_lines(log), 0);
    assert_int_equal(log_dropped(log), 0);
    log_ring_free(ring);
    log_free(log);
}

static void no_log_and_no_ring_are_left_alone(void **state)
{
    (void) state;
    assert_null(log_ring_new(NULL));
    log_put(NULL, LOG_QUIT, 1, "", 0);
    log_nudge(NULL);
    log_ring_free(NULL);
    log_tell(NULL, LOG_QUIT, 1, "%s", "");
    log_stop(NULL);
    log_free(NULL);
}

/* ---- a reader that is slow, or none ---- */

/* A pipe that takes no byte more. */
static void fill_pipe(int fds[2], size_t *filling)
{
    static const char fill[4096];
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    *filling = 0;
    for (ssize_t written; (written = write(fds[1], fill, sizeof fill)) > 0;)
        *filling += (size_t) written;
    fcntl(fds[0], F_SETFL, 0);
    fcntl(fds[1], F_SETFL, 0);
}

/* Reads `size` bytes more, or up to the end, into `text`. */
static void read_more(int fd, struct buffer *text, size_t size)
{
    while (size > 0) {
        size_t piece = size < 65536 ? size : 65536;
        assert_true(buffer_reserve(text, piece));
        ssize_t got = read(fd, buffer_tail(text), piece);
        assert_true(got >= 0);
        if (got == 0)
            return;
        buffer_added(text, (size_t) got);
        size -= (size_t) got;
    }
}

struct reading {
    int fd;
    struct buffer text;
};

static void *read_to_end(void *argument)
{
    struct reading *reading = argument;
    read_more(reading->fd, &reading->text, SIZE_MAX);
    return NULL;
}

/* Stops the log while a thread reads what it writes. */
static void stop_and_read(struct log *log, int fds[2], struct buffer *text)
{
    pthread_t thread;
    struct reading reading = {fds[0], *text};
    assert_int_equal(pthread_create(&thread, NULL, read_to_end, &reading), 0);
    log_stop(log);
    close(fds[1]);
    pthread_join(thread, NULL);
    *text = reading.text;
    close(fds[0]);
}

/* Puts messages of a kilobyte, numbered from `*number` on, with a nudge after every tenth. */
static void put_messages(struct log_ring *ring, unsigned *number, unsigned count)
{
    char text[1000];
    memset(text, '.', sizeof text);
    for (unsigned i = 0; i < count; i++) {
        int size = snprintf(text, sizeof text, "%u", (*number)++);
        text[size] = ' ';
        log_put(ring, LOG_PROCESSED, 1, text, sizeof text);
        if (i % 10 == 9)
            log_nudge(ring);
    }
    log_nudge(ring);
}

/* Checks that the messages of put_messages() are in order. Returns how many the lines about dropped
 * ones count, and sets the number of all lines. */
static uint64_t count_dropped(struct buffer *text, uint64_t *lines)
{
    static const char prefix[] = "[1] Processed result: ";
    uint64_t dropped = 0;
    unsigned long next = 0;
    *lines = 0;
    assert_true(buffer_append(text, "", 1));
    for (char *line = buffer_head(text), *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        ++*lines;
        if (strncmp(line, prefix, strlen(prefix)) == 0) {
            unsigned long number = strtoul(line + strlen(prefix), NULL, 10);
            assert_true(number >= next);
            next = number + 1;
        } else {
            assert_non_null(strstr(line, " lines of this log were dropped\n"));
            dropped += strtoull(line, NULL, 10);
        }
    }
    return dropped;
}

static void what_finds_no_room_is_dropped_and_counted(void **state)
{
    (void) state;
    enum { MESSAGES = 4000 }; /* more than a ring and what the writer holds */
    int fds[2];
    size_t filling;
    fill_pipe(fds, &filling);
    struct log *log = open_log(fds[1], LOG_MESSAGES);
    struct log_ring *ring = log_ring_new(log);
    unsigned number = 0;
    put_messages(ring, &number, MESSAGES);
    uint64_t dropped = log_dropped(log);
    assert_true(dropped > 0 && dropped < MESSAGES);
    assert_int_equal(log_lines(log), 0);
    assert_int_equal(log_count(log, LOG_PROCESSED), MESSAGES);
    struct buffer text = {0};
    stop_and_read(log, fds, &text);
    buffer_consume(&text, filling);
    uint64_t lines;
    assert_int_equal(count_dropped(&text, &lines), dropped);
    assert_int_equal(log_dropped(log), dropped);
    assert_int_equal(log_lines(log), lines);
    assert_true(lines > MESSAGES - dropped); /* with those about dropped ones */
    log_ring_free(ring);
    log_free(log);
    buffer_fini(&text);
}

/* Whatever else fills the ring. */
static void what_all_logs_write_finds_room(void **state)
{
    (void) state;
    int fds[2];
    size_t filling;
    fill_pipe(fds, &filling);
    struct log *log = open_log(fds[1], LOG_MESSAGES);
    while (log_dropped(log) == 0)
        log_tell(log, LOG_QUIT, 1, "%s", "");
    for (int i = 0; i < 64; i++)
        log_tell(log, LOG_LISTENING, 0, "unix:%0107d", i);
    log_tell(log, LOG_STOPPED, 0, "1%c2", LOG_SEPARATOR);
    assert_int_equal(log_dropped(log), 1);
    struct buffer text = {0};
    stop_and_read(log, fds, &text);
    static const char last[] = "Server stopped after 1 clients, 2 requests\n";
    size_t size = sizeof last - 1;
    /* Behind it is the line about the dropped one. */
    assert_non_null(memmem(buffer_head(&text), buffer_size(&text), last, size));
    log_free(log);
    buffer_fini(&text);
}

/* The writer holds too little of it for the ring to become empty in between. */
static void records_go_round_the_end_of_a_ring(void **state)
{
    (void) state;
    int fds[2];
    size_t filling;
    fill_pipe(fds, &filling);
    struct log *log = open_log(fds[1], LOG_MESSAGES);
    struct log_ring *ring = log_ring_new(log);
    struct buffer text = {0};
    unsigned number = 0;
    put_messages(ring, &number, 980);
    read_more(fds[0], &text, filling + 500000);
    put_messages(ring, &number, 400);
    stop_and_read(log, fds, &text);
    buffer_consume(&text, filling);
    uint64_t lines;
    assert_int_equal(count_dropped(&text, &lines), 0);
    assert_int_equal(lines, 1380);
    assert_int_equal(log_lines(log), 1380);
    assert_int_equal(log_dropped(log), 0);
    log_ring_free(ring);
    log_free(log);
    buffer_fini(&text);
}

static void what_can_not_be_written_counts_as_dropped(void **state)
{
    (void) state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct log *log = open_log(fd, LOG_MESSAGES);
    for (int i = 0; i < 10; i++)
        log_tell(log, LOG_QUIT, 1, "%s", "");
    log_stop(log);
    assert_int_equal(log_count(log, LOG_QUIT), 10);
    assert_int_equal(log_dropped(log), 10);
    assert_int_equal(log_lines(log), 0);
    log_free(log);
    close(fd);
}

static void the_stop_is_the_last_line(void **state)
{
    (void) state;
    int fd = memory_file();
    struct log *log = open_log(fd, LOG_ERRORS);
    for (int i = 0; i < 13; i++)
        log_tell(log, LOG_BUSY, 0, "%s", "a");
    log_tell(log, LOG_STOPPED, 0, "1%c2", LOG_SEPARATOR);
#define BUSY "Too many clients, refused a\n"
    assert_written(log, fd,
                   BUSY BUSY BUSY BUSY BUSY BUSY BUSY BUSY BUSY BUSY
                   "3 more within a second: Too many clients, refused\n"
                   "Server stopped after 1 clients, 2 requests\n");
}

/* ---- a stop that ends ---- */

/* A terminal of which nobody reads what is written to it: write(2) does not return. */
static void a_writer_that_hangs_is_left_behind(void **state)
{
    (void) state;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0);
    assert_int_equal(unlockpt(terminal), 0);
    int fd = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct log *log = open_log(fd, LOG_MESSAGES);
    struct log_ring *ring = log_ring_new(log);
    unsigned number = 0;
    put_messages(ring, &number, 500);
    assert_false(log_stop(log));
    close(terminal); /* now it fails */
    assert_true(log_stop(log));
    close(fd);
    log_ring_free(ring);
    log_free(log);
}

static void a_dead_reader_costs_the_stop_a_second_in_all(void **state)
{
    (void) state;
    int fds[2];
    size_t filling;
    fill_pipe(fds, &filling);
    struct log *log = open_log(fds[1], LOG_MESSAGES);
    enum { RINGS = 16 };
    for (int i = 0; i < RINGS; i++) {
        unsigned number = 0;
        struct log_ring *ring = log_ring_new(log);
        put_messages(ring, &number, 1000);
    }
    assert_true(log_stop(log)); /* within the limits; else it would be left behind */
    assert_int_equal(log_lines(log), 0);
    assert_int_equal(log_dropped(log), log_count(log, LOG_PROCESSED));
    log_free(log);
    close(fds[0]);
    close(fds[1]);
}

/* ---- counting from another thread ---- */

enum { QUITS = 100000 };

static void *quit_often(void *argument)
{
    struct log *log = argument;
    struct log_ring *ring = log_ring_new(log);
    for (int i = 0; i < QUITS; i++)
        log_put(ring, LOG_QUIT, 1, "", 0);
    log_ring_free(ring);
    return NULL;
}

static void counts_are_read_while_others_count(void **state)
{
    (void) state;
    pthread_t threads[2];
    struct log *log = open_log(-1, LOG_SILENT);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, quit_often, log), 0);
    for (uint64_t before = 0, now = 0; now < 2 * QUITS; before = now) {
        now = log_count(log, LOG_QUIT);
        assert_true(now >= before);
    }
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(log_count(log, LOG_QUIT), 2 * QUITS);
    log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_level_writes_its_own),
        cmocka_unit_test(the_level_can_change),
        cmocka_unit_test(every_event_has_a_name),
        cmocka_unit_test(what_is_not_written_is_counted),
        cmocka_unit_test(a_ring_that_is_used_again_goes_on_counting),
        cmocka_unit_test(a_silent_log_only_counts),
        cmocka_unit_test(no_log_and_no_ring_are_left_alone),
        cmocka_unit_test(what_finds_no_room_is_dropped_and_counted),
        cmocka_unit_test(what_all_logs_write_finds_room),
        cmocka_unit_test(records_go_round_the_end_of_a_ring),
        cmocka_unit_test(what_can_not_be_written_counts_as_dropped),
        cmocka_unit_test(the_stop_is_the_last_line),
        cmocka_unit_test(a_writer_that_hangs_is_left_behind),
        cmocka_unit_test(a_dead_reader_costs_the_stop_a_second_in_all),
        cmocka_unit_test(counts_are_read_while_others_count),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
