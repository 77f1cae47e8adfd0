/*
 * options: banterd's command line.
 */
#ifndef BANTER_SERVER_OPTIONS_H
#define BANTER_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "server/net/listener.h"
#include "server/log/log.h"
#include "server/server.h"

struct options {
    struct server_config config; /* but for its handler and log; `listen` points to `addresses` */
    const char *addresses[LISTENERS_MAX];
    const char *handler;  /* NAME[:ARGUMENT] */
    char *const *program; /* instead of it: the program and its arguments; NULL: none */
    unsigned workers;     /* copies of the program; 0: one a core */
    bool worker_per_client;
    enum log_level log_level;
    int64_t run_for_ms; /* 0: for ever */
    bool help, version;
};

/* Fills in what the command line says, and the defaults. False, with `error` set, when it makes
 * no sense. The options point into argv. */
bool options_parse(struct options *options, int argc, char **argv, struct error *error);

/* What --help prints; the caller frees it. NULL when memory is out. */
char *options_help(void);

#endif
