/*
 * log_capture: a log that is written into memory, for tests that look at what was logged (all but
 * messages).
 */
#ifndef BANTER_TESTS_UNIT_LOG_CAPTURE_H
#define BANTER_TESTS_UNIT_LOG_CAPTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/log/log.h"

struct log_capture {
    struct log *log; /* NULL once it was read */
    int fd;          /* of the memory */
    char text[8192]; /* all that was logged, once it was read */
};

static inline void log_capture_init(struct log_capture *capture)
{
    struct error error;
    *capture = (struct log_capture){.fd = memfd_create("log", MFD_CLOEXEC)};
    assert_true(capture->fd >= 0);
    capture->log = log_open(capture->fd, LOG_CONNECTIONS, (struct log_style){0}, &error);
    assert_non_null(capture->log);
}

/* Ends the log, and reads it. Nobody logs any more. */
static inline void log_capture_read(struct log_capture *capture)
{
    log_stop(capture->log);
    log_free(capture->log);
    capture->log = NULL;
    ssize_t size = pread(capture->fd, capture->text, sizeof capture->text - 1, 0);
    assert_true(size >= 0);
    capture->text[size] = '\0';
    close(capture->fd);
}

/* How often a text stands in what was read. */
static inline unsigned log_capture_count(const struct log_capture *capture, const char *text)
{
    unsigned count = 0;
    for (const char *at = capture->text; (at = strstr(at, text)); at += strlen(text))
        count++;
    return count;
}

#endif
