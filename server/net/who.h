/*
 * who: a set of clients, as the options name them (WHO): addresses, networks, Unix users and
 * groups, names in certificates. It is read once, and then asked about one client after the other.
 *
 * It opens the files that it is given, and looks users and groups up while it is read; after that
 * it does no I/O, and any thread may ask.
 */
#ifndef BANTER_SERVER_NET_WHO_H
#define BANTER_SERVER_NET_WHO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/address.h"
#include "common/error.h"
#include "server/net/networks.h"

/* A Unix user, or a group. */
struct who_id {
    bool is_group;
    unsigned id;
    char *text; /* as it was written; owned */
};

/* Names in certificates, with what they begin with; DNS names are in small letters. */
#define WHO_CN "CN="
#define WHO_DNS "DNS:"
#define WHO_URI "URI:"

struct who_names {
    char **items; /* owned, as are the texts */
    size_t count, capacity;
};

enum { WHO_DNS_MAX = 255 /* bytes */ };

/* All zero is nobody. */
struct who {
    struct networks v4, v6;
    struct who_id *ids; /* owned */
    size_t id_count, id_capacity;
    struct who_names names;      /* sorted */
    struct who_names beginnings; /* of URIs that end in a star, without it */
    bool unix_sockets;           /* "unix" */
};

/* What may be named. */
enum who_kind {
    WHO_CLIENTS, /* an address, a network, user:NAME, group:NAME, CN=TEXT, DNS:TEXT, URI:TEXT */
    WHO_PROXIES, /* an address, a network, unix */
};

enum { WHO_ITEM_MAX = 1024 /* bytes of one that is named */ };

/* Takes the next of those that a text names, with commas between, off its head; `item` has room for
 * WHO_ITEM_MAX and a NUL. False at the end, where `*text` is NULL, or with `error` set. */
bool who_next(const char **text, char *item, struct error *error);

/* Adds one. A DNS name that begins with "*." has any first label, and a URI that ends in "*" any
 * end. On failure `error` says what is wrong. */
bool who_add(struct who *who, enum who_kind kind, const char *item, struct error *error);

/* Adds those in a file, one a line, with comments behind "#". The error says in which line it is,
 * and not in which file; some may have been added. */
bool who_add_file(struct who *who, enum who_kind kind, const char *name, struct error *error);

/* After the last who_add(), before it is asked. */
void who_ready(struct who *who);

void who_fini(struct who *who);

/* ---- asking ---- */

/* What of a set a client is: the words of the options, cut. */
enum { WHO_TEXT_SIZE = 280 };

struct who_user {
    uid_t uid;
    const gid_t *groups; /* all that the user is in */
    size_t group_count;
};

/* What a client's certificate says. */
struct who_certificate {
    const char *common_name; /* NULL: none */
    const char *const *dns;
    size_t dns_count;
    const char *const *uris;
    size_t uri_count;
};

/* Whether the set says anything about addresses, users, certificates. */
bool who_names_addresses(const struct who *who);
bool who_names_users(const struct who *who);
bool who_names_certificates(const struct who *who);

/* Whether the client is in the set: then `text`, of WHO_TEXT_SIZE bytes, becomes what of the set it
 * is. An IPv4 address that is mapped into IPv6 is the IPv4 address; one of another family is in no
 * set. */
bool who_has_address(const struct who *who, const struct address *address, char *text);
bool who_has_user(const struct who *who, const struct who_user *user, char *text);
bool who_has_certificate(const struct who *who, const struct who_certificate *certificate,
                         char *text);

#endif
