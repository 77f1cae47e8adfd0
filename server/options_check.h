/*
 * options_check: whether options that are each right fit together. What each may be by itself is in
 * the table of options.c.
 */
#ifndef BANTER_SERVER_OPTIONS_CHECK_H
#define BANTER_SERVER_OPTIONS_CHECK_H

#include <stdbool.h>

#include "common/error.h"
#include "server/config.h"
#include "server/handlers/program/program.h"

/* The default of --start-timeout: another value was given by the user. */
enum { OPTIONS_START_TIMEOUT_MS = 60000 };

/* `has_handler`: --handler was given. False, with `error` set, if they don't fit. */
bool options_check(const struct server_config *config, const struct program_options *program,
                   bool has_handler, struct error *error);

#endif
