/*
 * status: what the server does and has done, as JSON on one line. In the admin's thread.
 */
#ifndef BANTER_SERVER_ADMIN_STATUS_H
#define BANTER_SERVER_ADMIN_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/frame.h"
#include "server/admin/recent.h"
#include "server/admin/reloading.h"
#include "server/handler.h"
#include "server/server.h"

/* Where it comes from. All of it outlives whoever has this. */
struct status_source {
    const struct server *server;
    const struct reloading *reloading;
    struct handler *handler;
    enum frame_codec codec;
    int64_t started_ns; /* CLOCK_MONOTONIC */
};

/* How long all requests took so far, answered at once or late. */
void status_latency(const struct status_source *source, struct latency *latency);

/* Appends an object; its keys are in banterd(8). False, with `out` unchanged, when memory is out.
 */
bool status_append(const struct status_source *source, const struct recent *recent,
                   struct buffer *out);

/* Appends an array of the handler's workers. As above. */
bool status_append_workers(struct handler *handler, struct buffer *out);

#endif
