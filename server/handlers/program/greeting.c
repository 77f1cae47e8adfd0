/* greeting: up to the mark, or one line. */
#include "server/handlers/program/greeting.h"

#include "server/handlers/program/outcome.h"

bool greeting_take(struct workers *workers, struct worker *worker, const char *text, size_t size)
{
    /* Of a greeting without a mark the first line is of interest. */
    const struct reply_rules *rules = &workers->rules->reply;
    struct reply_rules first_line = {.end = REPLY_END_NEWLINE};
    bool marked = workers->rules->end_size > 1;
    if (answer_add(&worker->state.greeting, marked ? rules : &first_line, text, size))
        return true;
    outcome_lose(workers, worker, "the program's greeting is too long");
    return false;
}

void greeting_log(const struct workers *workers, struct worker *worker)
{
    struct instance_state *state = &worker->state;
    const struct answer *greeting = &state->greeting;
    size_t size = greeting->marked ? greeting->line_begin : buffer_size(&greeting->text);
    if (size > 0)
        instance_log(workers->instances, worker->instance, LOG_WORKER_GREETING, "",
                     buffer_head(&greeting->text), size);
    buffer_fini(&state->greeting.text);
}
