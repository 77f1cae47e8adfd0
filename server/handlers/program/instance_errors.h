/*
 * instance_errors: what an instance writes to its standard error goes to the log, line by line.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_INSTANCE_ERRORS_H
#define BANTER_SERVER_HANDLERS_PROGRAM_INSTANCE_ERRORS_H

#include "server/handlers/program/instance.h"

/* Reads some of it. */
void instance_log_errors(struct instances *instances, struct instance *instance);

/* Its process has ended: logs what is left. */
void instance_last_words(struct instances *instances, struct instance *instance);

#endif
