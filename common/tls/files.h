/*
 * tls/files: certificates and keys from files, and a sentence about each file that can't be used.
 */
#ifndef BANTER_COMMON_TLS_FILES_H
#define BANTER_COMMON_TLS_FILES_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "common/error.h"

/* Loads our own certificate, with those that lead from it to an authority, and its key, PEM both.
 * False, with `error` set, if there is none of them, the key is encrypted or everybody may read it,
 * or they are no pair. From then on the process leaves no core dump. */
bool tls_load_certificate(SSL_CTX *context, const char *certificate, const char *key,
                          struct error *error);

/* Trusts those in a file, or in a folder whose files have the names that openssl-rehash(1) gives.
 * False, with `error` set, if there is none. */
bool tls_load_authorities(SSL_CTX *context, const char *path, struct error *error);

#endif
