/*
 * options_limits: the options that say how much there may be, and for how long.
 */
#ifndef BANTER_SERVER_OPTIONS_LIMITS_H
#define BANTER_SERVER_OPTIONS_LIMITS_H

#include <stdbool.h>

#include "common/error.h"

/* Each takes the value of the option of its name into `context`, a struct options (args_option's
 * `take`). */
bool limits_take_max_message(const char *value, void *context, struct error *error);
bool limits_take_max_memory(const char *value, void *context, struct error *error);
bool limits_take_threads(const char *value, void *context, struct error *error);
bool limits_take_max_clients(const char *value, void *context, struct error *error);
bool limits_take_max_per_address(const char *value, void *context, struct error *error);
bool limits_take_max_requests(const char *value, void *context, struct error *error);
bool limits_take_handshake_timeout(const char *value, void *context, struct error *error);
bool limits_take_request_timeout(const char *value, void *context, struct error *error);
bool limits_take_handler_timeout(const char *value, void *context, struct error *error);
bool limits_take_idle_timeout(const char *value, void *context, struct error *error);
bool limits_take_write_timeout(const char *value, void *context, struct error *error);
bool limits_take_drain_timeout(const char *value, void *context, struct error *error);

#endif
