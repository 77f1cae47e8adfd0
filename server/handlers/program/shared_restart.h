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

/* A restart goes on: does what can be done by now. Before requests are given out. */
void shared_restart(struct shared *shared, struct restart *restart);

#endif
