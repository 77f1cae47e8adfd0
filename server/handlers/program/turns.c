/* turns: from a start to the first request, and from a request to the next one. */
#include "server/handlers/program/turns.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/protocol.h"
#include "server/handlers/program/greeting.h"
#include "server/handlers/program/input.h"
#include "server/handlers/program/instance_end.h"
#include "server/handlers/program/instance_errors.h"
#include "server/handlers/program/judge.h"
#include "server/handlers/program/looking.h"
#include "server/handlers/program/output.h"
#include "server/handlers/program/tagged.h"

enum {
    /* From the hand-over of a request to the first look, if nothing comes before: of an instance
     * that is expected to answer with something, and of one that is not. A timer costs more than
     * most answers do. */
    BEGIN_LOOK_US = 1000,
    BEGIN_DOUBTED_LOOK_US = 100,
    QUICK_LOOKS = 4,          /* behind a line, at once */
    START_RESTS_US = 100000,  /* from its start an instance must rest for so long */
    START_HIDDEN_US = 200000, /* the same, silent, if the system does not show what it does */
    TAGGED_LOOK_US = 5000,    /* one with tagged requests was given nothing, and silent, so long */
};

#define BUFFERS_TEXT "the program keeps its output in a buffer: see --pty"

/* ---- a turn ---- */

/* The reply ends when the instance waits, and that can't be seen. */
static void refuse_unseen(struct worker *worker)
{
    char text[160];
    looking_describe_unseen(worker, text, sizeof text);
    exchange_refuse(&worker->exchange, PROTOCOL_HANDLER_FAILED, text);
    outcome_set(worker, TURN_OVER);
}

static void end_turn(struct workers *workers, struct worker *worker, enum answer_outcome outcome)
{
    if (outcome == ANSWER_SILENT)
        judge_silence(workers, worker);
    else
        outcome_set(worker, TURN_OVER);
}

/* Whether the last look has found that it rests, too. A look at many threads and processes takes
 * time, in which one may wake another; that happens seldom, and hardly twice in a row. */
static bool rested_before(const struct workers *workers, struct worker *worker)
{
    bool before = worker->state.rested_us > 0;
    worker->state.rested_us = workers->instances->now_us;
    return before;
}

/* Whether it has not said a word in its turn. */
static bool is_silent(const struct worker *worker)
{
    return !worker->exchange.replied && buffer_size(&worker->exchange.answer.text) == 0;
}

/* True if the turn goes on. */
static bool look_in_turn(struct workers *workers, struct worker *worker)
{
    bool unsure = false, all_read = true;
    enum turn_state turn = TURN_WORKS;
    /* One that waits for the rest of its request looks as if it waited for the next one. */
    if (exchange_is_written(&worker->exchange, workers->rules->end_size))
        turn = is_silent(worker) ? looking_closely(workers, worker, &unsure)
                                 : looking_once(workers, worker, &unsure);
    if (turn == TURN_RESTS && !rested_before(workers, worker))
        turn = TURN_WORKS;
    else if (turn == TURN_WORKS)
        worker->state.rested_us = 0;
    if (turn == TURN_WAITS || turn == TURN_RESTS) {
        enum output output = output_read_all(workers, worker);
        if (output == OUTPUT_LOST)
            return false;
        all_read = output == OUTPUT_ALL;
    }
    if (turn == TURN_WAITS && all_read) {
        worker->state.emptied_us = workers->instances->now_us;
        if (judge_is_buffered(worker)) {
            outcome_lose(workers, worker, BUFFERS_TEXT);
            return false;
        }
    }
    if (workers->rules->reply.end == REPLY_END_WAITS && turn != TURN_WAITS && unsure &&
        looking_stays_unsure(workers, worker)) {
        refuse_unseen(worker);
        return false;
    }
    enum answer_outcome outcome = judge_turn(workers, worker, all_read ? turn : TURN_WORKS);
    if (outcome <= ANSWER_HELD || !all_read || turn == TURN_WORKS)
        return true;
    end_turn(workers, worker, outcome);
    return false;
}

/* ---- tagged requests ---- */

static void look_tagged(struct workers *workers, struct worker *worker)
{
    struct tagged *tagged = worker->tagged;
    int64_t quiet_us = workers->instances->now_us - TAGGED_LOOK_US;
    bool unsure;
    if (tagged->count > 0 && tagged_is_written(tagged) && worker->state.spoken_us <= quiet_us &&
        worker->begun_us <= quiet_us && looking_closely(workers, worker, &unsure) == TURN_WAITS &&
        output_read_all(workers, worker) == OUTPUT_ALL && tagged->count > 0)
        judge_tagged_silence(workers, worker);
    if (tagged->count > 0)
        looking_after(workers, worker, TAGGED_LOOK_US);
    else
        looking_stop(workers, worker);
}

enum turn_outcome turns_write_tagged(struct workers *workers, struct worker *worker)
{
    worker->begun_us = workers->instances->now_us;
    if (!worker->timer.due_us)
        looking_after(workers, worker, TAGGED_LOOK_US);
    if (!worker->input_watched)
        input_write(workers, worker);
    return outcome_take(worker);
}

/* ---- the start ---- */

static void fail_unseen(struct workers *workers, struct worker *worker)
{
    char text[160];
    looking_describe_unseen(worker, text, sizeof text);
    workers->unseen = true;
    worker->state.unseen = true;
    outcome_lose(workers, worker, text);
}

/* It waits or rests, and all that it has written so far is its greeting. */
static void end_start(struct workers *workers, struct worker *worker, enum turn_state turn)
{
    bool has_end = workers->rules->end_size > 1;
    if (turn == TURN_RESTS && workers->rules->reply.end == REPLY_END_WAITS) {
        fail_unseen(workers, worker);
    } else if (has_end && !worker->state.greeting.marked && turn == TURN_WAITS) {
        outcome_lose(workers, worker,
                     "the program has not answered the line of --request-end with that of "
                     "--reply-end");
    } else if (has_end && !worker->state.greeting.marked) {
        looking_again(workers, worker);
    } else {
        looking_stop(workers, worker);
        greeting_log(workers, worker);
        worker->state.unsure_us = 0;
        outcome_set(worker, TURN_READY);
    }
}

static void look_at_start(struct workers *workers, struct worker *worker)
{
    struct instance_state *state = &worker->state;
    int64_t now_us = workers->instances->now_us;
    bool unsure;
    enum turn_state turn = looking_once(workers, worker, &unsure);
    if (turn == TURN_WORKS)
        state->rested_us = 0;
    enum output output = turn == TURN_WORKS ? OUTPUT_ALL : output_read_all(workers, worker);
    if (output == OUTPUT_LOST)
        return;
    if (turn == TURN_RESTS && !state->rested_us)
        state->rested_us = now_us;
    int64_t long_enough_us = unsure && !state->rests ? START_HIDDEN_US : START_RESTS_US;
    bool over = turn == TURN_WAITS || (turn == TURN_RESTS && output == OUTPUT_ALL &&
                                       now_us - state->rested_us >= long_enough_us);
    if (over && output == OUTPUT_ALL)
        end_start(workers, worker, turn);
    else
        looking_again(workers, worker);
}

enum turn_outcome turns_start(struct workers *workers, struct worker *worker)
{
    const struct turn_rules *rules = workers->rules;
    worker->state.spoken_us = workers->instances->now_us;
    looking_after(workers, worker, LOOKING_MAX_US);
    /* A new pipe has room for a line. */
    if (rules->end_size > 1 &&
        write(worker->instance->input.fd, rules->end + 1, rules->end_size - 1) < 0)
        outcome_break_off(worker, "the program has closed its input");
    return outcome_take(worker);
}

/* ---- a request ---- */

enum turn_outcome turns_begin(struct workers *workers, struct worker *worker)
{
    worker->state.hold_us = 0;
    worker->state.unsure_us = 0;
    worker->state.rested_us = 0;
    bool doubted = !worker->state.answered || worker->state.silent_turns > 0 ||
                   workers->rules->reply.end == REPLY_END_WAITS;
    looking_after(workers, worker, doubted ? BEGIN_DOUBTED_LOOK_US : BEGIN_LOOK_US);
    input_write(workers, worker);
    return outcome_take(worker);
}

enum turn_outcome turns_check(struct workers *workers, struct worker *worker)
{
    int readable = 0;
    if (worker->state.emptied_us == workers->instances->now_us)
        return TURN_GOES_ON; /* it waited a moment ago */
    /* Of a terminal only a read tells all. */
    bool is_pipe = !workers->instances->spawn.pty &&
                   ioctl(worker->instance->output.fd, FIONREAD, &readable) == 0;
    if (!is_pipe || readable > 0)
        output_read(workers, worker);
    return outcome_take(worker);
}

enum turn_outcome turns_write(struct workers *workers, struct worker *worker)
{
    if (worker->phase == WORKER_IN_TURN || (worker->tagged && worker->phase == WORKER_IDLE))
        input_write(workers, worker);
    return outcome_take(worker);
}

/* ---- events ---- */

enum turn_outcome turns_look(struct workers *workers, struct worker *worker)
{
    if (worker->phase == WORKER_STARTING)
        look_at_start(workers, worker);
    else if (worker->tagged)
        look_tagged(workers, worker);
    else if (look_in_turn(workers, worker))
        looking_again(workers, worker);
    return outcome_take(worker);
}

enum turn_outcome turns_read(struct workers *workers, struct worker *worker)
{
    const struct answer *answer = &worker->exchange.answer;
    enum output output = output_read(workers, worker);
    if (workers->recalled)
        return outcome_take(worker); /* it waits for what it will not get, which is no mistake */
    if (output == OUTPUT_SOME && worker->phase == WORKER_IN_TURN && answer->more > 0 &&
        answer->replies <= answer->more) {
        looking_after(workers, worker, BEGIN_LOOK_US); /* the other replies are about to come */
    } else if (output == OUTPUT_SOME && worker->phase == WORKER_IN_TURN) {
        /* What has just written a line is most often about to wait, and a timer takes longer. */
        bool goes_on = look_in_turn(workers, worker);
        for (int i = 0; i < QUICK_LOOKS && goes_on && worker->state.hold_us; i++)
            goes_on = look_in_turn(workers, worker);
        if (goes_on)
            looking_after(workers, worker, LOOKING_FIRST_US);
    }
    return outcome_take(worker);
}

/* Says how the process has ended, and what it was doing. */
static void describe_end(const struct workers *workers, const struct worker *worker, char *text,
                         size_t size)
{
    const struct answer *answer = &worker->exchange.answer;
    size_t whole = exchange_has_several(&worker->exchange) ? answer->line_begin : 0;
    bool cut = worker->given && !worker->exchange.replied && buffer_size(&answer->text) > whole;
    char how[64];
    instance_describe_end(worker->instance, how, sizeof how);
    int used =
        snprintf(text, size, "the program %s%s", how, cut ? " in the middle of its answer" : "");
    if (!workers->instances->spawn.stderr_to_output)
        return;
    if (!worker->given) /* it may have said at its start why it ends */
        answer = &worker->state.greeting;
    if (cut || !worker->given)
        answer_last_line(answer, text + used, size - (size_t) used);
}

enum turn_outcome turns_exited(struct workers *workers, struct worker *worker)
{
    /* It may have answered before it ended. What it has left behind and writes on is not read to
     * the end: there may be none. */
    output_read_all(workers, worker);
    if (worker->outcome != TURN_LOST) {
        char why[300];
        instance_last_words(workers->instances, worker->instance);
        judge_end(workers, worker, instance_ended_well(worker->instance));
        describe_end(workers, worker, why, sizeof why);
        worker->outcome = TURN_GOES_ON;
        outcome_lose(workers, worker, why);
    }
    return outcome_take(worker);
}

void turns_stop(struct workers *workers, struct worker *worker)
{
    looking_stop(workers, worker);
    input_unwatch(workers, worker);
}
