/* restart: asked for, gone through, and ended. */
#include "server/handlers/program/restart.h"

#include <stdio.h>
#include <sys/eventfd.h>

#include "common/descriptor.h"
#include "server/log/log.h"

bool restart_init(struct restart *restart)
{
    *restart = (struct restart){.ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    pthread_mutex_init(&restart->lock, NULL);
    return restart->ended_fd >= 0;
}

void restart_fini(struct restart *restart)
{
    descriptor_close(&restart->ended_fd);
    pthread_mutex_destroy(&restart->lock);
}

/* ---- from any thread ---- */

bool restart_ask(struct restart *restart, struct error *error)
{
    pthread_mutex_lock(&restart->lock);
    struct handler_restart before = restart->result;
    if (!before.runs)
        restart->result = (struct handler_restart){.runs = true};
    pthread_mutex_unlock(&restart->lock);
    if (before.runs)
        return error_set(error, "the workers are being restarted, %u of %u have been",
                         before.restarted, before.count);
    atomic_store(&restart->asked, true);
    return true;
}

void restart_result(struct restart *restart, struct handler_restart *result)
{
    pthread_mutex_lock(&restart->lock);
    *result = restart->result;
    pthread_mutex_unlock(&restart->lock);
}

/* ---- the supervisor's ---- */

bool restart_goes_on(const struct restart *restart)
{
    return restart->runs || atomic_load_explicit(&restart->asked, memory_order_acquire);
}

bool restart_begins(struct restart *restart)
{
    if (restart->runs)
        return false;
    atomic_store(&restart->asked, false);
    restart->runs = true;
    restart->restarted = 0;
    return true;
}

void restart_plan(struct restart *restart, unsigned count, unsigned kept)
{
    pthread_mutex_lock(&restart->lock);
    restart->result.count = count;
    restart->result.kept = kept;
    pthread_mutex_unlock(&restart->lock);
}

void restart_progress(struct restart *restart, unsigned restarted)
{
    restart->restarted = restarted;
    pthread_mutex_lock(&restart->lock);
    restart->result.restarted = restarted;
    pthread_mutex_unlock(&restart->lock);
}

static void end(struct restart *restart, const char *why)
{
    restart->runs = false;
    restart->is_over = true;
    atomic_store(&restart->asked, false);
    pthread_mutex_lock(&restart->lock);
    snprintf(restart->result.why, sizeof restart->result.why, "%s", why);
    pthread_mutex_unlock(&restart->lock);
}

void restart_done(struct restart *restart) { end(restart, ""); }

void restart_give_up(struct restart *restart, const char *why) { end(restart, why); }

void restart_announce_end(struct restart *restart)
{
    char text[64];
    if (!restart->is_over)
        return;
    restart->is_over = false;
    pthread_mutex_lock(&restart->lock);
    struct handler_restart *result = &restart->result;
    result->runs = false;
    int size =
        snprintf(text, sizeof text, "%u%c%u", result->restarted, LOG_SEPARATOR, result->count);
    pthread_mutex_unlock(&restart->lock);
    log_put(restart->log, LOG_WORKERS_RESTARTED, 0, text, (size_t) size);
    eventfd_write(restart->ended_fd, 1);
}

/* ---- of those that were started ahead ---- */

void restart_plan_spares(struct restart *restart, uint64_t last_number, unsigned count,
                         unsigned kept)
{
    restart->last_number = last_number;
    restart_plan(restart, count, kept);
}

unsigned restart_more(const struct restart *restart, uint64_t oldest)
{
    return restart->runs && oldest > 0 && oldest <= restart->last_number;
}

/* Those that were not replaced are not spares any more. */
static void keep_the_others(struct restart *restart)
{
    pthread_mutex_lock(&restart->lock);
    struct handler_restart *result = &restart->result;
    result->kept += result->count - result->restarted;
    result->count = result->restarted;
    pthread_mutex_unlock(&restart->lock);
}

bool restart_takes_oldest(struct restart *restart, const struct restart_spares *spares)
{
    bool has_old = restart_more(restart, spares->oldest) > 0;
    bool has_new = spares->newest > restart->last_number;
    bool has_spare =
        spares->count > spares->wanted || (spares->is_full && spares->count == spares->wanted);
    if (spares->has_failed) {
        restart_give_up(restart, "one that was started has failed, and the others stay");
    } else if (!has_old) {
        if (spares->are_kept)
            keep_the_others(restart);
        restart_done(restart);
    } else if (has_spare && (has_new ? spares->newest_waits : spares->is_full)) {
        restart_progress(restart, restart->restarted + 1);
        return true;
    }
    return false;
}
