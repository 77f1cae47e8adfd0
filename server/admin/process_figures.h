/*
 * process_figures: what the kernel says of this process.
 */
#ifndef BANTER_SERVER_ADMIN_PROCESS_FIGURES_H
#define BANTER_SERVER_ADMIN_PROCESS_FIGURES_H

#include <stdint.h>

/* What can't be found out, for want of /proc, is 0. */
struct process_figures {
    double started_s; /* seconds since 1970 */
    double cpu_s;     /* user and system */
    uint64_t resident_bytes;
    uint64_t open_fds, max_fds;
};

/* Finds out when the process began: once, so that a clock that is set does not change it. */
void process_figures_begin(struct process_figures *figures);

/* Finds out all the rest. From any thread; opens files of /proc for a moment. */
void process_figures_read(struct process_figures *figures);

#endif
