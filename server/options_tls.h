/*
 * options_tls: the options of TLS, and the files that they name.
 */
#ifndef BANTER_SERVER_OPTIONS_TLS_H
#define BANTER_SERVER_OPTIONS_TLS_H

#include <stdbool.h>

#include "common/error.h"
#include "server/net/tls.h"

struct reload;
struct server_config;

/* All zero: none was given. */
struct tls_options {
    struct tls_files files;
    struct tls_server *server; /* owned; NULL: nobody speaks TLS */
};

/* Whether they fit together, and what is listened on has what it needs. */
bool tls_options_check(const struct tls_options *options, const struct server_config *config,
                       struct error *error);

/* If clients are to speak TLS: loads the files, and registers them to be read anew. `is_passed`: a
 * socket for them was passed to the process. */
bool tls_options_open(struct tls_options *options, bool is_passed, struct server_config *config,
                      struct reload *reload, struct error *error);

void tls_options_close(struct tls_options *options);

#endif
