/* judge: replies, errors, and silence. */
#include "server/handlers/program/judge.h"

#include <stdio.h>

#include "common/protocol.h"
#include "server/handlers/program/input.h"
#include "server/handlers/program/outcome.h"
#include "server/handlers/program/tagged.h"
#include "server/request.h"

enum {
    HOLD_US = 10000,      /* how long a line is held while the turn is not over */
    MAX_SILENT_TURNS = 8, /* of several sessions */
};

#define SILENT_TEXT                                                                                \
    "the program has answered nothing; if it keeps its output in a buffer, see --pty"

void judge_note_answer(struct workers *workers, struct worker *worker)
{
    worker->state.answered = true;
    workers->answered = true;
    worker->failures = 0;
}

static void reply(struct workers *workers, struct worker *worker,
                  const struct answer_verdict *verdict)
{
    struct instance_state *state = &worker->state;
    if (exchange_has_several(&worker->exchange))
        exchange_reply_each(&worker->exchange, &workers->rules->reply);
    else
        exchange_reply(&worker->exchange, verdict->text, verdict->size);
    if (worker->exchange.answer.surplus)
        instance_log(workers->instances, worker->instance, LOG_WORKER_SURPLUS, "", "", 0);
    state->silent_turns =
        verdict->size > 0 || exchange_has_several(&worker->exchange) ? 0 : state->silent_turns + 1;
    state->silent_to_several = false;
    judge_note_answer(workers, worker);
}

enum answer_outcome judge_turn(struct workers *workers, struct worker *worker, enum turn_state turn)
{
    struct instance_state *state = &worker->state;
    struct answer_verdict verdict;
    if (worker->exchange.replied)
        return ANSWER_REPLY;
    answer_judge(&worker->exchange.answer, &workers->rules->reply, turn, &verdict);
    if (verdict.outcome == ANSWER_HELD) {
        if (!state->hold_us)
            state->hold_us = workers->instances->now_us + HOLD_US;
        if (state->hold_us > workers->instances->now_us ||
            !exchange_is_written(&worker->exchange, workers->rules->end_size))
            return ANSWER_HELD;
        verdict.outcome = ANSWER_REPLY;
    }
    if (verdict.outcome == ANSWER_REPLY)
        reply(workers, worker, &verdict);
    if (verdict.outcome == ANSWER_SILENT)
        exchange_refuse(&worker->exchange, PROTOCOL_HANDLER_FAILED, SILENT_TEXT);
    if (verdict.outcome == ANSWER_WRONG) {
        exchange_refuse(&worker->exchange, PROTOCOL_HANDLER_FAILED, verdict.why);
        state->answered = true; /* it lives, though it does not answer as it should */
        worker->failures = 0;
    }
    return verdict.outcome;
}

void judge_end(struct workers *workers, struct worker *worker, bool well)
{
    /* Another one will get what it has not read: what it has written is no answer to that. */
    if (worker->given && !input_is_unread(workers, worker))
        judge_turn(workers, worker, well ? TURN_ENDED : TURN_FAILED);
}

/* ---- silence ---- */

/* Whether a silent instance must not stay. As long as none has ever answered, its answers may be in
 * a buffer, and would come out in another's turn. One that a session has to itself stays all the
 * same, for what it knows: see judge_is_buffered(). */
static bool is_silent_for_too_long(const struct workers *workers, const struct worker *worker)
{
    const struct instance_state *state = &worker->state;
    if (workers->on_demand)
        return false;
    return !workers->answered ||
           (state->silent_to_several && state->silent_turns >= MAX_SILENT_TURNS);
}

void judge_silence(struct workers *workers, struct worker *worker)
{
    struct instance_state *state = &worker->state;
    uint64_t session = request_session(worker->exchange.request);
    if (state->silent_turns++ == 0)
        state->silent_session = session;
    else if (state->silent_session != session)
        state->silent_to_several = true;
    if (is_silent_for_too_long(workers, worker)) {
        snprintf(workers->why, sizeof workers->why, "%s", SILENT_TEXT);
        outcome_set(worker, TURN_REPLACE);
    } else {
        outcome_set(worker, TURN_OVER);
    }
}

void judge_tagged_silence(struct workers *workers, struct worker *worker)
{
    tagged_refuse(worker->tagged, PROTOCOL_HANDLER_FAILED, SILENT_TEXT);
    if (!workers->answered || ++worker->state.silent_turns >= MAX_SILENT_TURNS) {
        snprintf(workers->why, sizeof workers->why, "%s", SILENT_TEXT);
        outcome_set(worker, TURN_REPLACE);
    }
}

bool judge_is_buffered(const struct worker *worker)
{
    return worker->state.silent_turns > 0 && answer_is_buffers(&worker->exchange.answer);
}
