/*
 * console: a connection to the control socket. Its commands are answered one after the other, in
 * the order in which they come; while one waits for its answer, or an answer waits to be read, no
 * more are. In the admin's thread.
 */
#ifndef BANTER_SERVER_ADMIN_CONSOLE_H
#define BANTER_SERVER_ADMIN_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buffer.h"
#include "common/frame.h"
#include "server/admin/admin.h"
#include "server/admin/command.h"

struct console {
    struct admin_item item; /* first */
    void *owner;            /* for its owner, as is the next */
    LIST_ENTRY(console) entry;
    struct command command;
    void (*ended)(struct console *console); /* it is to be closed, and be it in here */
    int fd;                                 /* owned */
    struct frame_decoder decoder;
    struct buffer input, output;
    int64_t active_ns; /* when something came or went last, CLOCK_MONOTONIC */
    bool waits;        /* a command is under way */
    bool unparsed;     /* more commands may be in the input */
    bool eof;          /* the other end has closed its sending half */
    bool input_over;   /* no more commands are taken; it ends when all is sent */
    bool closing;      /* our half is closed */
    bool in_crlf;      /* the last command's line ended in CR LF */
};

/* Serves a connected socket, which becomes the console's. `ended` is called when it is over, but
 * not from in here. NULL, with errno set, if it can't: then it is closed. */
struct console *console_open(const struct command_host *host, int fd,
                             void (*ended)(struct console *console));

/* Whether nobody waits for anything, so that it may make room for another one. */
bool console_is_idle(const struct console *console);

/* Closes it at once, behind an error that is not asked for, if there is room for it. */
void console_close(struct console *console, const char *code, const char *text);

/* Tells one that is not served, and closes it. */
void console_refuse(int fd, const char *code, const char *text);

#endif
