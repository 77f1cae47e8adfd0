/*
 * options_program: the options of a program that answers.
 */
#ifndef BANTER_SERVER_OPTIONS_PROGRAM_H
#define BANTER_SERVER_OPTIONS_PROGRAM_H

#include <stdbool.h>

#include "common/error.h"

/* Each takes the value of the option of its name into `context`, a struct options (args_option's
 * `take`). */
bool program_take_workers(const char *value, void *context, struct error *error);
bool program_take_max_workers(const char *value, void *context, struct error *error);
bool program_take_worker_per_request(const char *value, void *context, struct error *error);
bool program_take_worker_per_client(const char *value, void *context, struct error *error);
bool program_take_reply_end(const char *value, void *context, struct error *error);
bool program_take_request_end(const char *value, void *context, struct error *error);
bool program_take_ahead(const char *value, void *context, struct error *error);
bool program_take_tagged(const char *value, void *context, struct error *error);
bool program_take_tell_peer(const char *value, void *context, struct error *error);
bool program_take_pty(const char *value, void *context, struct error *error);
bool program_take_stderr(const char *value, void *context, struct error *error);
bool program_take_start_timeout(const char *value, void *context, struct error *error);

#endif
