/* output: one read, or all there is. */
#include "server/handlers/program/output.h"

#include "server/handlers/program/greeting.h"
#include "server/handlers/program/judge.h"
#include "server/handlers/program/outcome.h"
#include "server/handlers/program/tagged.h"

enum { MAX_READS = 64 }; /* of one that rests or has ended, before others have their turn */

static bool take_tagged(struct workers *workers, struct worker *worker, const char *text,
                        size_t size)
{
    char why[300];
    unsigned before = worker->tagged->count;
    bool right =
        tagged_take(worker->tagged, text, size, workers->instances->now_us, why, sizeof why);
    if (worker->tagged->count < before) {
        judge_note_answer(workers, worker);
        worker->state.silent_turns = 0;
    }
    if (!right)
        outcome_lose(workers, worker, why);
    return right;
}

/* Takes what the instance has written. False if it was lost over that. */
static bool take(struct workers *workers, struct worker *worker, const char *text, size_t size)
{
    worker->state.spoken_us = workers->instances->now_us;
    worker->state.rested_us = 0;
    if (worker->phase == WORKER_STARTING)
        return greeting_take(workers, worker, text, size);
    if (worker->tagged)
        return take_tagged(workers, worker, text, size);
    if (!worker->given) {
        outcome_lose(workers, worker,
                     "the program has written something that nobody had asked for");
        return false;
    }
    if (worker->exchange.replied) {
        instance_log(workers->instances, worker->instance, LOG_WORKER_SURPLUS, "", text, size);
        return true;
    }
    if (answer_add(&worker->exchange.answer, &workers->rules->reply, text, size))
        return true;
    outcome_lose(workers, worker, "the program's answer is longer than 16 MiB");
    return false;
}

static void output_ended(struct workers *workers, struct worker *worker)
{
    judge_end(workers, worker, false);
    outcome_break_off(worker, "the program has closed its output");
}

enum output output_read(struct workers *workers, struct worker *worker)
{
    ssize_t got = instance_read(workers->instances, worker->instance);
    if (got > 0)
        return take(workers, worker, workers->instances->scratch, (size_t) got) ? OUTPUT_SOME
                                                                                : OUTPUT_LOST;
    if (got == 0)
        return OUTPUT_ALL;
    output_ended(workers, worker);
    return OUTPUT_LOST;
}

enum output output_read_all(struct workers *workers, struct worker *worker)
{
    enum output output = OUTPUT_SOME;
    for (int reads = 0; reads < MAX_READS && output == OUTPUT_SOME; reads++)
        output = output_read(workers, worker);
    return output;
}
