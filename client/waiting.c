/*
 * waiting: attempts with a pause in between that grows, so that a server that is about to come up
 * is met soon and one that is long in coming is not pestered.
 */
#include "client/waiting.h"

#include <time.h>

#include "client/report.h"
#include "common/clock.h"

#define FIRST_PAUSE_MS 50
#define LONGEST_PAUSE_MS 1000

static void nap(int64_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static bool is_worth_waiting(const struct options *options, enum conversation_opening opening)
{
    return options->waits && (opening == CONVERSATION_UNREACHABLE ||
                              (opening == CONVERSATION_UNKNOWN_HOST && options->wait_ms > 0));
}

/* The time of the waiting bounds each attempt; 0 stands for no bound in both. */
static int64_t attempt_ms(const struct options *options, int64_t end_ms)
{
    const int64_t own_ms = options->conversation.connect_timeout_ms;
    if (!options->waits || options->wait_ms == 0)
        return own_ms;
    const int64_t left_ms = end_ms - clock_ms();
    const int64_t bound_ms = left_ms > 0 ? left_ms : 1;
    return own_ms > 0 && own_ms < bound_ms ? own_ms : bound_ms;
}

struct conversation *waiting_open(const struct options *options, enum conversation_opening *opening,
                                  struct error *error)
{
    struct conversation_settings settings = options->conversation;
    const int64_t end_ms = clock_ms() + options->wait_ms;
    int64_t pause_ms = FIRST_PAUSE_MS;
    for (bool is_first = true;; is_first = false) {
        settings.connect_timeout_ms = attempt_ms(options, end_ms);
        struct conversation *conversation = conversation_open(&settings, opening, error);
        if (conversation || !is_worth_waiting(options, *opening))
            return conversation;
        const int64_t left_ms = options->wait_ms > 0 ? end_ms - clock_ms() : pause_ms;
        if (left_ms <= 0)
            return NULL;
        if (is_first && !options->is_quiet)
            report_waiting(error->text);
        nap(pause_ms < left_ms ? pause_ms : left_ms);
        pause_ms = 2 * pause_ms < LONGEST_PAUSE_MS ? 2 * pause_ms : LONGEST_PAUSE_MS;
    }
}
