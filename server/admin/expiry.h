/*
 * expiry: says in the log until when the certificate is good, and warns before it is over: when a
 * tenth of its time is left, or thirty days if that is less, and each day from then on. In the
 * admin's thread.
 */
#ifndef BANTER_SERVER_ADMIN_EXPIRY_H
#define BANTER_SERVER_ADMIN_EXPIRY_H

#include <stdint.h>

struct admin;
struct expiry;
struct log;
struct tls_server;

/* Says it at once. `file` is the certificate's; all outlive it. NULL, with errno set, if memory or
 * threads are out. */
struct expiry *expiry_open(struct admin *admin, struct log *log, const struct tls_server *server,
                           const char *file);

/* NULL is left alone. */
void expiry_close(struct expiry *expiry);

/* Another certificate may be in use. In the admin's thread; NULL is left alone. */
void expiry_look(struct expiry *expiry);

/* ---- what is due, for tests ---- */

enum expiry_state { EXPIRY_FAR, EXPIRY_NEAR, EXPIRY_OVER };

struct expiry_next {
    enum expiry_state state;
    int64_t in_s; /* when it is another one, or is to be said again; at most an hour */
};

/* What is so at a time, all in seconds since 1970. */
struct expiry_next expiry_next(int64_t good_from_s, int64_t good_until_s, int64_t now_s);

#endif
