/*
 * writer: the thread that reads the rings, makes a line of each record, and writes it.
 *
 * It merges the rings by time and holds no lock. A slow reader of the log delays only this thread:
 * the rings fill up, and drop events. Lines that could not be written, and events that the rings
 * dropped, are reported by a line of the log as soon as one can be written. A line that a full disk
 * has cut is completed first. After its start it needs no memory, so that no line is lost for want
 * of it.
 */
#ifndef BANTER_SERVER_LOG_WRITER_H
#define BANTER_SERVER_LOG_WRITER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buffer.h"
#include "common/counter.h"
#include "server/log/render.h"
#include "server/log/repeats.h"
#include "server/log/ring.h"

struct log_writer {
    struct log_rings *rings; /* not owned */
    int fd;                  /* not owned */
    bool is_file;            /* a regular file takes any amount in one write */
    pthread_t thread;
    int stop_fd;  /* eventfd; readable for good once the log is to close */
    int ended_fd; /* eventfd; readable once the thread ends */
    _Atomic bool closing;
    /* Changed by the thread alone. */
    struct counter written; /* lines */
    struct counter lost;    /* lines that could not be written */
    struct counter taken;   /* writes in which the log's reader took something */
    /* The thread's. */
    bool broken;            /* the log's reader has gone, or its time is over: all lines are lost */
    int64_t last_ms;        /* when the time of a reader that is slow is over; CLOCK_NEVER */
    uint64_t lost_reported; /* the part of `lost` that the log has reported */
    struct repeats repeats;
    struct log_renderer renderer;
    struct buffer out;  /* formatted, not yet written */
    uint64_t out_lines; /* the number of lines in `out`, without the cut one */
    size_t cut_bytes;   /* the rest of a line whose beginning was written, at the head of `out` */
    off_t cut_at;       /* the size of the file then */
    bool is_within;     /* the last byte that was written did not end a line */
};

/* Starts the thread. Returns 0, or an errno value; then there is nothing to stop. */
int log_writer_start(struct log_writer *writer, struct log_rings *rings, int fd,
                     struct log_style style);

/* Writes the records that the rings hold, and ends the thread. For this the log's reader gets at
 * most a second from its last sign of life, and five seconds in all. False if the thread is in a
 * write(2) that does not return: it goes on to use the writer and the rings. */
bool log_writer_stop(struct log_writer *writer);

#endif
