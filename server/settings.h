/*
 * settings: what is the same for every session of a server, worked out once when it is opened and
 * never changed while it runs, so that every thread may read it.
 */
#ifndef BANTER_SERVER_SETTINGS_H
#define BANTER_SERVER_SETTINGS_H

#include <stdint.h>

#include "common/frame.h"
#include "server/handler.h"

struct log;

/* Times in milliseconds; 0 is never. */
struct settings {
    struct frame_rules rules; /* of requests */
    char too_long_text[80];   /* what a request over the limit is told */
    struct handler *handler;  /* open; not owned */
    struct log *log;          /* NULL: nothing is logged */
    int64_t request_timeout_ms;
    int64_t handler_timeout_ms;
    int64_t idle_timeout_ms;
    int64_t write_timeout_ms;
    int64_t drain_timeout_ms;
    unsigned stall_ms; /* how long a handler runs before its loop goes on without it; 0: for ever */
};

#endif
