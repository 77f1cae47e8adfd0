/*
 * phase: what a worker is in, and when it must act next.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_PHASE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_PHASE_H

#include <stdint.h>

#include "server/handlers/program/state.h"

/* From now on it is in this phase. */
void phase_enter(struct workers *workers, struct worker *worker, enum worker_phase phase);

/* What others see it do has changed within its phase: one with tagged requests has its first, or
 * none any more. */
void phase_show(const struct worker *worker);

/* When it must act at the latest; CLOCK_NEVER: only on events. */
int64_t phase_due_ms(const struct worker *worker);
void phase_schedule(struct workers *workers, const struct worker *worker);

#endif
