/*
 * reloading: reads the files anew (server/reload.h) when somebody asks for it, and reports in the
 * log what came of it. A file may be somewhere that hangs, so a thread of its own does that, one
 * that is there only as long.
 */
#ifndef BANTER_SERVER_ADMIN_RELOADING_H
#define BANTER_SERVER_ADMIN_RELOADING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct admin;
struct expiry;
struct log;
struct manager;
struct reload;
struct reload_outcome;
struct reloading;

/* Somebody who wants to know what came of it; embedded. */
struct reloading_asker {
    /* Called once, in the admin's thread, if it was not forgotten before. */
    void (*done)(struct reloading_asker *asker, const struct reload_outcome *outcome);
    TAILQ_ENTRY(reloading_asker) entry; /* private */
};

/* ---- in the thread that opens it ---- */

/* NULL, with errno set, if it can't be had. All that it is given outlives it; `manager` and
 * `expiry`, which are told, may be NULL. */
struct reloading *reloading_open(struct admin *admin, const struct reload *reload, struct log *log,
                                 struct manager *manager, struct expiry *expiry);

/* Waits until the files that are being read are read; nobody asks any more. NULL is left alone. */
void reloading_close(struct reloading *reloading);

/* ---- in the admin's thread ---- */

/* Reads all files anew; if that is under way, once more behind it. NULL: nobody wants to know. */
void reloading_ask(struct reloading *reloading, struct reloading_asker *asker);

/* It wants to know no more, and may go. */
void reloading_forget(struct reloading *reloading, struct reloading_asker *asker);

/* When files were last read anew, or were to be, in seconds since 1970 (0: never), and whether that
 * was done. */
int64_t reloading_last_s(const struct reloading *reloading, bool *done);

#endif
