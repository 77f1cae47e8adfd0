/*
 * oneshots: all of them: begins requests, starts spares ahead, and ends what is late or for nobody.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_ONESHOTS_H
#define BANTER_SERVER_HANDLERS_PROGRAM_ONESHOTS_H

#include <stdbool.h>

#include "server/handlers/program/oneshot.h"
#include "server/handlers/program/restart.h"

void oneshots_init(struct oneshots *oneshots, struct instances *instances,
                   const struct oneshot_rules *rules);

/* Ends all; their requests are answered or over. */
void oneshots_end(struct oneshots *oneshots);

/* Whether a request can be begun now. */
bool oneshots_can_begin(const struct oneshots *oneshots);

/* Begins a request, whose hold it takes over. */
void oneshots_begin(struct oneshots *oneshots, struct request *request, const struct flow *flow);

/* Starts one ahead, if one is wanted and may start now. */
void oneshots_start_ahead(struct oneshots *oneshots);

/* A restart goes on, of those that were started ahead: does what can be done by now. Before
 * others are started. */
void oneshots_restart(struct oneshots *oneshots, struct restart *restart);

/* Ends those whose requests nobody waits for any more. */
void oneshots_end_over(struct oneshots *oneshots);

/* Acts on those whose time has come, and schedules the next time. */
void oneshots_act(struct oneshots *oneshots);

#endif
