/* reloading: one thread at a time, which ends by a sign for the admin's. */
#include "server/admin/reloading.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "common/descriptor.h"
#include "server/admin/admin.h"
#include "server/admin/expiry.h"
#include "server/admin/manager.h"
#include "server/log/log.h"
#include "server/log/record.h"
#include "server/reload.h"

TAILQ_HEAD(askers, reloading_asker);

struct reloading {
    struct admin *admin;
    const struct reload *reload;
    struct log *log;
    struct manager *manager; /* NULL: there is none */
    struct expiry *expiry;   /* NULL: no certificate is among the files */
    struct admin_item item;  /* of ended_fd */
    int ended_fd;            /* eventfd: the thread has read all files */

    /* The admin's thread's, and its opener's when nobody asks any more. */
    bool is_running;
    bool is_wanted;                /* once more */
    struct askers asking, waiting; /* for what is under way; for the next one */
    int64_t last_s;
    bool last_done;

    pthread_t thread;
    struct reload_outcome outcome; /* the thread's while it runs */
};

/* ---- the thread that reads ---- */

static void *read_files(void *argument)
{
    struct reloading *reloading = argument;
    reload_all(reloading->reload, &reloading->outcome);
    eventfd_write(reloading->ended_fd, 1);
    return NULL;
}

/* ---- in the admin's thread ---- */

static void report(const struct reloading *reloading)
{
    const struct reload_outcome *outcome = &reloading->outcome;
    if (outcome->done)
        log_tell(reloading->log, LOG_RELOADED, 0, "%s", outcome->files);
    else
        log_tell(reloading->log, LOG_RELOAD_FAILED, 0, "%s%c%s", outcome->file, LOG_SEPARATOR,
                 outcome->why.text);
}

static void end(struct reloading *reloading)
{
    struct reloading_asker *asker;
    reloading->last_s = time(NULL);
    reloading->last_done = reloading->outcome.done;
    report(reloading);
    expiry_look(reloading->expiry);
    manager_reloaded(reloading->manager, &reloading->outcome);
    while ((asker = TAILQ_FIRST(&reloading->asking))) {
        TAILQ_REMOVE(&reloading->asking, asker, entry);
        asker->done(asker, &reloading->outcome);
    }
}

/* Without a thread it fails as if the first file could not be read. */
static void begin(struct reloading *reloading)
{
    reloading->is_wanted = false;
    manager_reloading(reloading->manager);
    TAILQ_CONCAT(&reloading->asking, &reloading->waiting, entry);
    int failure = pthread_create(&reloading->thread, NULL, read_files, reloading);
    reloading->is_running = !failure;
    if (!failure)
        return;
    reloading->outcome.done = false;
    reloading->outcome.file = "thread";
    error_set(&reloading->outcome.why, "%s", strerror(failure));
    end(reloading);
}

static void take_end(struct admin_item *item, uint32_t events)
{
    struct reloading *reloading =
        (struct reloading *) ((char *) item - offsetof(struct reloading, item));
    eventfd_t ends;
    (void) events;
    eventfd_read(reloading->ended_fd, &ends);
    pthread_join(reloading->thread, NULL);
    reloading->is_running = false;
    end(reloading);
    if (reloading->is_wanted)
        begin(reloading);
}

void reloading_ask(struct reloading *reloading, struct reloading_asker *asker)
{
    reloading->is_wanted = true;
    if (asker)
        TAILQ_INSERT_TAIL(&reloading->waiting, asker, entry);
    if (!reloading->is_running)
        begin(reloading);
}

static void remove_from(struct askers *askers, const struct reloading_asker *asker)
{
    struct reloading_asker *each, *next;
    for (each = TAILQ_FIRST(askers); each; each = next) {
        next = TAILQ_NEXT(each, entry);
        if (each == asker)
            TAILQ_REMOVE(askers, each, entry);
    }
}

void reloading_forget(struct reloading *reloading, struct reloading_asker *asker)
{
    remove_from(&reloading->asking, asker);
    remove_from(&reloading->waiting, asker);
}

int64_t reloading_last_s(const struct reloading *reloading, bool *done)
{
    *done = reloading->last_done;
    return reloading->last_s;
}

/* ---- in the thread that opens it ---- */

static void watch(struct admin *admin, void *context)
{
    struct reloading *reloading = context;
    if (!admin_watch(admin, &reloading->item, reloading->ended_fd, EPOLLIN))
        reloading->admin = NULL;
}

static void unwatch(struct admin *admin, void *context)
{
    struct reloading *reloading = context;
    (void) admin;
    admin_forget(&reloading->item);
}

struct reloading *reloading_open(struct admin *admin, const struct reload *reload, struct log *log,
                                 struct manager *manager, struct expiry *expiry)
{
    struct reloading *reloading = calloc(1, sizeof *reloading);
    if (!reloading)
        return NULL;
    *reloading = (struct reloading){
        .admin = admin,
        .reload = reload,
        .log = log,
        .manager = manager,
        .expiry = expiry,
        .item.ready = take_end,
    };
    TAILQ_INIT(&reloading->asking);
    TAILQ_INIT(&reloading->waiting);
    reloading->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (reloading->ended_fd >= 0 && admin_call(admin, watch, reloading) && reloading->admin)
        return reloading;
    int why = errno;
    descriptor_close(&reloading->ended_fd);
    free(reloading);
    errno = why;
    return NULL;
}

void reloading_close(struct reloading *reloading)
{
    if (!reloading)
        return;
    admin_call(reloading->admin, unwatch, reloading);
    if (reloading->is_running)
        pthread_join(reloading->thread, NULL);
    descriptor_close(&reloading->ended_fd);
    free(reloading);
}
