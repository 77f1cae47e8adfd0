/*
 * sleep: what a thread is asleep in, as its file `syscall` in /proc tells.
 *
 * Any thread may call these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_SLEEP_H
#define BANTER_SERVER_HANDLERS_PROGRAM_SLEEP_H

#include <stdint.h>

enum sleep {
    SLEEP_NOT,      /* it runs, or will be woken by time or by a device */
    SLEEP_EVENT,    /* until something happens outside */
    SLEEP_SIGNAL,   /* the same, which may be the end of a child */
    SLEEP_CHILDREN, /* until a child ends */
    SLEEP_READ,     /* until a descriptor has something to read */
    SLEEP_UNKNOWN,  /* the system does not say */
};

/* Judges the text of a file `syscall`. Sets the first argument. */
enum sleep sleep_of(const char *text, uint64_t *first);

/* After a read of such a file has failed: the thread has ended, or it is not permitted. */
enum sleep sleep_unread(void);

#endif
