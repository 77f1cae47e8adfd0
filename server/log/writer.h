/*
 * writer: the thread that reads the rings, makes a line of each record, and writes it.
 *
 * It merges the rings by time and holds no lock. A slow reader of the log delays only this thread:
 * the rings fill up, and drop events. Lines that could not be written, and events that the rings
 * dropped, are reported by a line of the log as soon as one can be written.
 */
#ifndef BANTER_SERVER_LOG_WRITER_H
#define BANTER_SERVER_LOG_WRITER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/counter.h"
#include "server/log/ring.h"

struct log_writer {
    struct log_rings *rings; /* not owned */
    int fd;                  /* not owned */
    bool is_file;            /* a regular file takes any amount in one write */
    pthread_t thread;
    int stop_fd; /* eventfd; readable for good once the log is to close */
    _Atomic bool closing;
    struct counter written; /* lines; changed by the thread alone */
    struct counter lost;    /* lines that could not be written; the same */
    /* The thread's. */
    bool broken;            /* the log's reader has gone: all lines are lost */
    uint64_t lost_reported; /* the part of `lost` that the log has reported */
    struct buffer out;      /* formatted, not yet written */
    uint64_t out_lines;     /* the number of lines in `out` */
};

/* Starts the thread. Returns 0, or an errno value; then there is nothing to stop. */
int log_writer_start(struct log_writer *writer, struct log_rings *rings, int fd);

/* Writes the records that the rings hold, for which the log's reader gets at most a second from its
 * last sign of life, and ends the thread. */
void log_writer_stop(struct log_writer *writer);

#endif
