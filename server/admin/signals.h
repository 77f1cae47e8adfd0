/*
 * signals: does what signals ask the server for, but for those that stop it. The process's first
 * thread receives them (server/run.h) and may do nothing that takes time; so they come on by
 * eventfds, and the admin's thread acts on them.
 */
#ifndef BANTER_SERVER_ADMIN_SIGNALS_H
#define BANTER_SERVER_ADMIN_SIGNALS_H

struct admin;
struct log;
struct reloading;
struct server;
struct signals;

struct signals_config {
    int reload_fd, status_fd; /* eventfds that don't block; readable when that is asked for */
    struct reloading *reloading;
    const struct server *server;
    struct log *log;
};

/* Both in the thread that opens it. NULL, with errno set, if it can't be had; all that it is given
 * outlives it. NULL is closed without an effect. */
struct signals *signals_open(struct admin *admin, const struct signals_config *config);
void signals_close(struct signals *signals);

#endif
