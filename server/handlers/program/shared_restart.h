/*
 * shared_restart: another instance for each of the workers that all sessions share, one after the
 * other. A successor with the same number is started beside a worker. When it can be given a
 * request it takes the worker's place, and the old one is given none any more: it ends when it has
 * answered the one that it has. The next one is not begun before the old process has gone, so
 * that there is one more than usual at a time.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_SHARED_RESTART_H
#define BANTER_SERVER_HANDLERS_PROGRAM_SHARED_RESTART_H

#include "server/handlers/program/restart.h"
#include "server/handlers/program/shared.h"

/* It begins: all workers that there are now have another instance to come. */
void shared_restart_begin(struct shared *shared, struct restart *restart);

/* While it goes on, before requests are given out: does what can be done by now. */
void shared_restart_step(struct shared *shared, struct restart *restart);

#endif
