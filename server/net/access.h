/*
 * access: who may connect, and who is a proxy: what --allow, --deny and --proxy-from say.
 *
 * There are three questions: the address, the Unix user, and the certificate. For each about which
 * something is said the client must be in what is allowed, if anything of it is, and in nothing
 * that is denied. Clients of Unix sockets have no address, and others no user: they are not asked.
 * Who has no certificate has no name in one.
 *
 * It is asked once a connection, by whoever accepts it, in any thread; it can be read anew
 * meanwhile.
 */
#ifndef BANTER_SERVER_NET_ACCESS_H
#define BANTER_SERVER_NET_ACCESS_H

#include <stdbool.h>

#include "common/address.h"
#include "common/error.h"
#include "server/net/who.h"

struct access;

enum access_list { ACCESS_ALLOW, ACCESS_DENY, ACCESS_PROXIES, ACCESS_LISTS };

/* Everybody may connect, and nobody is a proxy. NULL: out of memory. */
struct access *access_new(void);

/* NULL is left alone. */
void access_free(struct access *access);

/* Adds to a list what a text names: items of who.h, with commas between, and @FILE. False with
 * `error` set. Before anybody asks. */
bool access_add(struct access *access, enum access_list list, const char *text,
                struct error *error);

/* ---- reading anew, in one thread at a time ---- */

/* A file that was named. */
struct access_file;

/* The one of this index, from 0, and its name, which lives as long as the access. NULL: there are
 * no more. */
struct access_file *access_file(struct access *access, unsigned index);
const char *access_file_name(const struct access_file *file);

/* As server/reload.h wants them: when each file was prepared, or one could not be, each of those
 * that were is committed, or cancelled. New rules are asked for connections to come. */
bool access_prepare(void *file, struct error *error);
void access_commit(void *file);
void access_cancel(void *file);

/* ---- asking, in any thread ---- */

/* Whether anything was said about proxies, so that there may be some. */
bool access_has_proxies(const struct access *access);

/* Whether a connection from this address is that of a proxy. NULL: nobody is one. */
bool access_is_proxy(struct access *access, const struct address *address);

/* A client, as far as is known. */
struct access_client {
    const struct address *address;
    int fd;                                    /* whose user is asked for; -1: nobody knows it */
    const struct who_certificate *certificate; /* NULL: none */
};

enum { ACCESS_WHY_SIZE = WHO_TEXT_SIZE + 32 };

/* Whether a client may connect; if not, `why`, of ACCESS_WHY_SIZE bytes, becomes what says so. A
 * NULL `access` lets everybody. */
bool access_allows(struct access *access, const struct access_client *client, char *why);

/* The same without the question of the certificate, which may still come. */
bool access_allows_origin(struct access *access, const struct access_client *client, char *why);

#endif
