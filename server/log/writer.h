/*
 * writer: the thread that reads the rings out, makes a line of each record, and writes the lines.
 *
 * It merges the rings by time and holds no lock. A reader of the log that is slow delays only this
 * thread: the rings fill up then, and drop. Lines that can't be written, and lines that the rings
 * dropped, are reported in a line of the log as soon as one can be written.
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
    bool broken;            /* the log's reader has gone: everything is lost */
    uint64_t lost_reported; /* how much of `lost` the log says */
    struct buffer out;      /* formatted, not yet written */
    uint64_t out_lines;     /* how many lines these are */
};

/* Starts the thread. 0, or why it could not be; then nothing is left to stop. */
int log_writer_start(struct log_writer *writer, struct log_rings *rings, int fd);

/* Writes what the rings hold, waiting for the log's reader at most a second from its last sign of
 * life, and ends the thread. */
void log_writer_stop(struct log_writer *writer);

#endif
