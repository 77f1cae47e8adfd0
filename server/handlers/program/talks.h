/*
 * talks: all of them: whose sessions begin and end, who may start next, and those started ahead.
 *
 * Sessions begin and end in any thread; all else is the supervisor's.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_TALKS_H
#define BANTER_SERVER_HANDLERS_PROGRAM_TALKS_H

#include "server/handlers/program/restart.h"
#include "server/handlers/program/talk.h"

void talks_init(struct talks *talks, struct instances *instances, const struct talk_rules *rules);

/* All have ended. */
void talks_fini(struct talks *talks);

/* ---- from any thread ---- */

enum talk_result {
    TALK_NO_MEMORY, /* nothing has begun */
    TALK_QUIET,
    TALK_WAKE, /* the supervisor must be woken */
};

/* A session has begun: takes over the reference to its stream. */
enum talk_result talks_begin(struct talks *talks, struct stream *stream,
                             const struct peer_text *peer);

/* It is over. */
enum talk_result talks_over(struct talks *talks, struct stream *stream);

/* ---- the supervisor's ---- */

/* Takes the news, and starts instances. */
void talks_serve(struct talks *talks);

/* A restart goes on, of those that were started ahead: does what can be done by now. Before
 * talks_serve(). */
void talks_restart(struct talks *talks, struct restart *restart);

/* All sessions are over: ends what is left. */
void talks_end(struct talks *talks);

/* Acts on those whose time has come, and schedules the next time. */
void talks_act(struct talks *talks);

#endif
