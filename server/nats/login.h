/*
 * nats/login: the file of --nats-login, which has one of three things: user:password, the seed of
 * an nkey, or the credentials that an operator's tools write, a JWT and a seed.
 */
#ifndef BANTER_SERVER_NATS_LOGIN_H
#define BANTER_SERVER_NATS_LOGIN_H

#include <stdbool.h>

#include "common/error.h"
#include "server/nats/nkey.h"

enum login_form { LOGIN_NONE, LOGIN_PASSWORD, LOGIN_NKEY, LOGIN_CREDENTIALS };

enum { LOGIN_FILE_SIZE = 16 << 10 }; /* of its text, with a NUL */

struct login {
    enum login_form form;
    const char *file;            /* the caller's */
    const char *user, *password; /* LOGIN_PASSWORD; in `text` */
    const char *seed;            /* LOGIN_NKEY; in `text` */
    char public_key[NKEY_PUBLIC_SIZE + 1];
    char text[LOGIN_FILE_SIZE];
};

/* Reads the file; NULL: there is none. False, with `error` set, if it can't be read, others may
 * read it, or it has something else. */
bool login_read(struct login *login, const char *file, struct error *error);

/* Wipes the secrets. */
void login_fini(struct login *login);

#endif
