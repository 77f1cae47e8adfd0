/*
 * orphans: as process 1, or as the subreaper of others, a process is given the children that theirs
 * leave behind, and has to wait for them, or they stay as zombies. Its own children are left alone:
 * those that other threads have started are not waited for.
 */
#ifndef BANTER_SERVER_ORPHANS_H
#define BANTER_SERVER_ORPHANS_H

/* Before there are threads, which inherit the mask of signals: returns a descriptor that is
 * readable when a child has ended; -1 if none are given to this process, or it can't be had. */
int orphans_open(void);

/* Waits for those that have ended, without blocking; does nothing with -1. Only in the process's
 * first thread, which orphans are given to and which must have started no children itself. */
void orphans_reap(int fd);

#endif
