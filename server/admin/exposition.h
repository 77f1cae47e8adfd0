/*
 * exposition: all figures of a server as text, in the format that Prometheus reads
 * (text/plain; version=0.0.4). banterd(8) lists them. Names never change.
 *
 * Text only: somebody else reads the figures. Any thread.
 */
#ifndef BANTER_SERVER_ADMIN_EXPOSITION_H
#define BANTER_SERVER_ADMIN_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>

#include "server/admin/process_figures.h"
#include "server/handler_workers.h"
#include "server/net/listener.h"
#include "server/server.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct exposition {
    const char *handler; /* the name of its kind */
    const char *framing;
    struct process_figures process;
    struct server_stats stats;
    struct latency latency[SERVER_ANSWERED];
    struct latency handshakes;
    int64_t certificate_end_s;               /* since 1970; 0: there is none */
    unsigned workers[HANDLER_WORKER_STATES]; /* how many are in each state */
    uint64_t worker_replacements;
    struct nats_service_figures services[LISTENERS_MAX];
    unsigned service_count;
    bool is_front; /* the handler asks over NATS, and this is what it does */
    struct nats_front_figures front;
    uint64_t reloaded_s; /* when files were last read anew, since 1970; 0: never */
};

/* Returns the text, which is the caller's to free(3), and its size. NULL: out of memory. */
char *exposition_text(const struct exposition *figures, size_t *size);

#endif
