/*
 * settings: what is the same for every session of a server, worked out once when it is opened and
 * never changed while it runs, so that every thread may read it.
 */
#ifndef BANTER_SERVER_SETTINGS_H
#define BANTER_SERVER_SETTINGS_H

#include "common/frame.h"
#include "server/config.h"

struct settings {
    struct server_config config; /* its addresses and sockets are not to be used after the start */
    struct frame_rules rules;    /* of requests; replies are in config.codec */
    char too_long_text[80];      /* what a request over the limit is told */
};

#endif
