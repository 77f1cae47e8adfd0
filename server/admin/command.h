/*
 * command: what one can ask of a server through its control socket. A command is a line of words;
 * its answer is one line, which begins with -ERR if it could not be done. In the admin's thread.
 */
#ifndef BANTER_SERVER_ADMIN_COMMAND_H
#define BANTER_SERVER_ADMIN_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "server/admin/admin.h"
#include "server/admin/reloading.h"
#include "server/admin/status.h"
#include "server/log/log.h"
#include "server/session/inquiry.h"

/* What commands act on. All of it outlives them. */
struct command_host {
    struct admin *admin;
    struct status_source source;
    const struct recent *recent;
    struct reloading *reloading;
    struct log *log;
    void (*stop)(void *context); /* lets the process stop in order; returns at once */
    void *stop_context;
};

enum { COMMAND_BYTES = 256 }; /* the longest */

/* A command that is under way. All zero but for `host` and `answered`: none is. */
struct command {
    struct admin_item item; /* first: what it waits for. Its callbacks are the command's */
    const struct command_host *host;
    /* An answer that was waited for is there. The next command may be begun in here. */
    void (*answered)(struct command *command);

    /* The answer, which is the user's to clear before the next one. Empty: memory was out. */
    struct buffer reply;

    /* Private. */
    struct inquiry *inquiry;
    enum inquiry_kind kind;
    uint64_t session; /* 0: all */
    bool asked_twice;
    struct reloading_asker reload;
};

/* Begins a command; `text` has COMMAND_BYTES at most, and is good for this call only. True: it is
 * answered already. False: it will be, unless it is cancelled before. */
bool command_begin(struct command *command, const char *text, size_t size);

/* Nobody waits for its answer any more, if anybody does. */
void command_cancel(struct command *command);

#endif
