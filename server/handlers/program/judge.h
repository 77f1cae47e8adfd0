/*
 * judge: answers requests with what has been written in the turn (answer.h), and keeps account of
 * what that says of the instance: that it answers, or that it is silent.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_JUDGE_H
#define BANTER_SERVER_HANDLERS_PROGRAM_JUDGE_H

#include <stdbool.h>

#include "server/handlers/program/answer.h"
#include "server/handlers/program/state.h"

/* It has answered. */
void judge_note_answer(struct workers *workers, struct worker *worker);

/* Answers the request as far as that is known. Returns what it was, or ANSWER_REPLY if the answer
 * has left already. */
enum answer_outcome judge_turn(struct workers *workers, struct worker *worker,
                               enum turn_state turn);

/* The output has ended, or the process has, as it should or not: an answer may be complete, if it
 * has read its request. */
void judge_end(struct workers *workers, struct worker *worker, bool well);

/* A turn has ended without a word: the outcome is TURN_OVER, or TURN_REPLACE. */
void judge_silence(struct workers *workers, struct worker *worker);

/* The same for tagged requests: it waits for more, has said all that it had to say, and some are
 * not answered. The turn goes on, or the outcome is TURN_REPLACE. */
void judge_tagged_silence(struct workers *workers, struct worker *worker);

/* Whether what has come, all of it, is output that the program had kept in a buffer. */
bool judge_is_buffered(const struct worker *worker);

#endif
