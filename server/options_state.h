/*
 * options_state: what banterd's command line says; each file of options fills in its part.
 */
#ifndef BANTER_SERVER_OPTIONS_STATE_H
#define BANTER_SERVER_OPTIONS_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/admin/manager.h"
#include "server/handler.h"
#include "server/handlers/program/program.h"
#include "server/log/log.h"
#include "server/net/listener.h"
#include "server/net/passed.h"
#include "server/operands.h"
#include "server/options_access.h"
#include "server/options_serving.h"
#include "server/options_nats.h"
#include "server/options_tls.h"
#include "server/reload.h"
#include "server/server.h"

struct options {
    struct server_config config; /* but for its handler and log; `listen` points to `addresses` */
    const char *addresses[LISTENERS_MAX];
    const char *control; /* its address; NULL: none */
    /* No options, but from whoever has started the process; main's and options_take_sockets()'s. */
    struct manager_terms terms;
    struct passed passed;
    struct access_options access;
    struct tls_options tls;
    struct serving_options serving;
    struct nats_options nats;
    struct reload reload;        /* the files that options name and that can be read anew */
    struct handler_spec handler; /* if it is a program, `handler.program` points to `program` */
    struct program_options program;
    const char *metrics; /* the address that figures are served at; NULL: none */
    enum log_level log_level;
    enum log_format log_format;
    int64_t run_for_ms; /* 0: for ever */
    bool help, version;
    struct operands operands;
};

#endif
