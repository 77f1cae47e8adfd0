/*
 * nats/words: what is said to and by NATS, as text: SERVERS/SUBJECT of the command line, subjects,
 * and the numbers that a request carries in its reply subject.
 *
 * Pure: no I/O, no clock, no NATS. In the server, which reads its options without the module, and
 * in the module.
 */
#ifndef BANTER_SERVER_NATS_WORDS_H
#define BANTER_SERVER_NATS_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/error.h"

enum {
    WORDS_SERVERS = 32,        /* the most that one can name */
    WORDS_SUBJECT_SIZE = 256,  /* of a subject's text, with its NUL */
    WORDS_SHARDS = 10000,      /* the most */
    WORDS_DEFAULT_PORT = 4222, /* NATS's */
};

/* ---- SERVERS/SUBJECT[#N] ---- */

#define WORDS_TLS_PREFIX "tls://" /* in front of a HOST */

struct words_server {
    char address[ADDRESS_HOST_SIZE + 8]; /* HOST:PORT or [V6]:PORT, as in the log */
    bool tls;                            /* tls://HOST */
};

struct words_service {
    struct words_server servers[WORDS_SERVERS];
    unsigned server_count;            /* at least 1 */
    char subject[WORDS_SUBJECT_SIZE]; /* without #N */
    unsigned shards;                  /* N; 0: the subject is one */
};

/* Reads HOST[:PORT],.../SUBJECT[#N]. Each HOST may be an [IPv6], and have tls:// in front; port
 * 4222 is the default. False, with `error` set, if it is something else. */
bool words_parse(struct words_service *service, const char *text, struct error *error);

/* Writes a shard's subject, SUBJECT.0 ... SUBJECT.(N-1); of a subject that is one, itself. `text`
 * has WORDS_SUBJECT_SIZE bytes, which are enough. Returns it. */
const char *words_shard(const struct words_service *service, unsigned shard, char *text);

/* ---- subjects ---- */

/* Whether it is a subject to publish to: tokens with dots between, none empty, without wildcards
 * and blanks. */
bool words_is_subject(const char *text);

/* The subject as a name for services, which have no dots: `upper.v2` is `upper_v2`. `name` has
 * WORDS_SUBJECT_SIZE bytes. Returns it. */
const char *words_name(const char *subject, char *name);

/* ---- inboxes ---- */

#define WORDS_INBOX_PREFIX "_INBOX."

enum {
    WORDS_INBOX_RANDOM = 16,                               /* bytes of it that nobody can guess */
    WORDS_INBOX_SIZE = 7 + 32 + 1,                         /* of its text, with its NUL */
    WORDS_TOKEN_SIZE = 3 * 11,                             /* of a token's, with its NUL */
    WORDS_REPLY_SIZE = WORDS_INBOX_SIZE + WORDS_TOKEN_SIZE /* of INBOX.TOKEN's */
};

/* Writes `_INBOX.` and the bytes in hexadecimal, the beginning of one client's reply subjects.
 * `inbox` has WORDS_INBOX_SIZE bytes. */
void words_inbox(const unsigned char random[WORDS_INBOX_RANDOM], char *inbox);

/* Which request a reply is for. */
struct words_token {
    uint32_t slot;       /* its place among those that are out */
    uint32_t generation; /* how often that was used before */
    uint32_t try;        /* of that request, from 1 */
};

/* Writes INBOX.SLOT-GENERATION-TRY. `reply` has WORDS_REPLY_SIZE bytes. Returns it. */
const char *words_reply_subject(const char *inbox, const struct words_token *token, char *reply);

/* Reads the token behind `INBOX.`. False: it is none, or not as it is written here. */
bool words_read_token(const char *text, struct words_token *token);

/* The subject on which a front says that it does not wait any more for requests to `subject`: the
 * body is the request's reply subject. Everyone of the service hears it. `text` has
 * WORDS_GONE_SIZE bytes. Returns it. */
enum { WORDS_GONE_SIZE = WORDS_SUBJECT_SIZE + 16 };
const char *words_gone(const char *subject, char *text);

/* ---- errors, as services write them (ADR-32) ---- */

#define WORDS_ERROR_CODE "Nats-Service-Error-Code" /* headers of a reply that is an error */
#define WORDS_ERROR_TEXT "Nats-Service-Error"

enum words_status {
    WORDS_BAD_REQUEST = 400,
    WORDS_TOO_LONG = 413,
    WORDS_BUSY = 429, /* nothing was begun */
    WORDS_FAILED = 500,
    WORDS_NOBODY = 503, /* by the NATS server, in a header of its own */
    WORDS_TIMEOUT = 504,
};

/* The status for an error of this code, which is one of common/protocol.h or a handler's own. */
enum words_status words_status(const char *code, size_t size);

#endif
