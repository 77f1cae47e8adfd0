/*
 * recall: a stop waits no longer for answers: takes requests back of which their instances have not
 * read a byte, so that they were not begun.
 *
 * Only the supervisor's thread calls this.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_RECALL_H
#define BANTER_SERVER_HANDLERS_PROGRAM_RECALL_H

#include "server/handlers/program/state.h"

/* Empties the inputs of all instances. From now on nothing is given to any of them. */
void recall(struct workers *workers);

#endif
