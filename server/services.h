/*
 * services: what the admin's thread does while the server runs: what signals ask for, the control
 * socket, and the figures for Prometheus.
 */
#ifndef BANTER_SERVER_SERVICES_H
#define BANTER_SERVER_SERVICES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct admin;
struct control;
struct expiry;
struct exporter;
struct handler;
struct log;
struct manager;
struct options;
struct reloading;
struct run;
struct server;
struct server_config;
struct signals;

/* What they are about. All of it outlives them. */
struct services_host {
    const struct options *options;
    struct run *run;
    struct admin *admin;
    struct manager *manager; /* NULL: there is none */
    struct log *log;
    struct server *server;
    struct handler *handler;
    int64_t started_ns; /* when the process began, CLOCK_MONOTONIC */
};

/* All zero: none is open. */
struct services {
    struct manager *manager; /* which is told about the server; not owned */
    struct expiry *expiry;   /* NULL: there is no certificate */
    struct reloading *reloading;
    struct signals *signals;
    struct exporter *exporter; /* NULL: nobody asked for it; so is the next */
    struct control *control;
};

/* Fills in what the server must know of those that the options ask for. */
void services_prepare(const struct options *options, struct server_config *config);

/* Opens those that there are to be, before the server runs. False, with `error` set, if one
 * can't be opened; then none is. */
bool services_open(struct services *services, const struct services_host *host,
                   struct error *error);

/* Closes them, behind the server's stop and before its close. */
void services_close(struct services *services);

#endif
