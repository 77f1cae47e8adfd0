/* input: one write, and epoll for the next. */
#include "server/handlers/program/input.h"

#include "server/handlers/program/outcome.h"
#include "server/handlers/program/tagged.h"

void input_unwatch(struct workers *workers, struct worker *worker)
{
    if (worker->input_watched)
        instance_watch_input(workers->instances, worker->instance, false);
    worker->input_watched = false;
}

static void watch_input(struct workers *workers, struct worker *worker)
{
    if (worker->input_watched)
        return;
    worker->input_watched = instance_watch_input(workers->instances, worker->instance, true);
    if (!worker->input_watched)
        outcome_lose(workers, worker, "out of memory");
}

static enum exchange_progress write_some(const struct workers *workers, struct worker *worker)
{
    const struct turn_rules *rules = workers->rules;
    int fd = worker->instance->input.fd;
    return worker->tagged ? tagged_write(worker->tagged, fd)
                          : exchange_write(&worker->exchange, fd, rules->end, rules->end_size);
}

void input_write(struct workers *workers, struct worker *worker)
{
    if (workers->recalled)
        return;
    enum exchange_progress progress = write_some(workers, worker);
    if (progress == EXCHANGE_BLOCKED && instance_widen_input(workers->instances, worker->instance))
        progress = write_some(workers, worker);
    switch (progress) {
    case EXCHANGE_WRITTEN:
        input_unwatch(workers, worker);
        break;
    case EXCHANGE_BLOCKED:
        watch_input(workers, worker);
        break;
    case EXCHANGE_CLOSED:
        outcome_break_off(worker, "the program has closed its input");
        break;
    }
}

bool input_is_unread(const struct workers *workers, const struct worker *worker)
{
    return worker->given && !worker->exchange.replied &&
           exchange_is_unread(&worker->exchange, workers->rules->end_size,
                              instance_unread(worker->instance));
}
