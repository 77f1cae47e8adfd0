/*
 * instance_end: the end of an instance, which leaves nothing behind: no process, no zombie, no
 * descriptor.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_INSTANCE_END_H
#define BANTER_SERVER_HANDLERS_PROGRAM_INSTANCE_END_H

#include <stdbool.h>
#include <stddef.h>

#include "server/handlers/program/instance.h"

/* Its process has ended: whether with status 0. */
bool instance_ended_well(const struct instance *instance);

/* Its process has ended: writes how, to follow "the program". */
void instance_describe_end(const struct instance *instance, char *text, size_t size);

/* Ends it; it is nobody's any more. Gently: closes its input, and sends SIGTERM only after a
 * second. */
void instance_end(struct instances *instances, struct instance *instance, bool gently);

/* Events of an instance that is nobody's. */
void instance_exited(struct instances *instances, struct instance *instance);
void instance_discard_output(struct instances *instances, struct instance *instance);

/* Acts on the instances whose time has come, and schedules the next time. */
void instances_act(struct instances *instances);

#endif
