/*
 * address: where a server listens and where a client connects, as text and as sockets.
 *
 * Text forms: HOST:PORT, :PORT, PORT, [V6]:PORT, unix:PATH. PORT is a number from 0 to 65535 (to
 * connect, from 1). PORT alone is 127.0.0.1; :PORT is every address, IPv4 and IPv6, to listen, and
 * localhost to connect.
 */
#ifndef BANTER_COMMON_ADDRESS_H
#define BANTER_COMMON_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/error.h"

/* The longest text of an address: "unix:" and a path, or "[IPv6%scope]:port"; with its NUL. */
#define ADDRESS_TEXT_SIZE (sizeof(((struct sockaddr_un *) 0)->sun_path) + 6)

enum address_use { ADDRESS_TO_LISTEN, ADDRESS_TO_CONNECT };

/* A resolved socket address of any of the three families. */
struct address {
    socklen_t size;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } socket;
};

/* One text may mean several addresses: each of a host's, or IPv4 and IPv6. */
struct address_list {
    struct address *items; /* owned; address_list_fini() */
    size_t count;          /* at least 1 after ADDRESS_OK */
};

enum address_result {
    ADDRESS_OK,
    ADDRESS_MALFORMED, /* the text is no address */
    /* The host name has no address that could be found, or there is no interface as the one behind
     * '%'. */
    ADDRESS_UNKNOWN_HOST,
};

/* Parses and resolves (this may ask the resolver, and wait for it). On failure `error` says what
 * was wrong and `list` is empty. */
enum address_result address_resolve(const char *text, enum address_use use,
                                    struct address_list *list, struct error *error);
void address_list_fini(struct address_list *list);

/* Whether `text` has one of the forms above, without resolving anything. On failure `error` says
 * what was wrong and shows a right one. */
bool address_check(const char *text, enum address_use use, struct error *error);

/* Writes 127.0.0.1:8000, [::1]:8000 or unix:PATH (an unnamed Unix peer is "unix:"). `text` has
 * ADDRESS_TEXT_SIZE bytes. IPv4 that is mapped into IPv6 is written as IPv4. */
void address_print(const struct address *address, char *text);

/* The port, 0 for a Unix path; and putting another in its place, which leaves a Unix path as it is.
 * Where a text with port 0 means several addresses, the caller gives the port of the first that was
 * bound to the others before they are bound. */
unsigned address_port(const struct address *address);
void address_set_port(struct address *address, unsigned port);

/* A listening, non-blocking, close-on-exec socket, with SO_REUSEADDR; IPV6_V6ONLY for IPv6. A Unix
 * path on which nobody answers is taken over; a file that is no socket is left alone (EADDRINUSE).
 * TCP sockets have TCP_NODELAY and SO_KEEPALIVE, which Linux hands on to accepted ones. `address`
 * is updated to what was bound (port 0). -1 with errno set on failure. */
int address_listen(struct address *address, int backlog);

/* Connects to the first address of the list that answers, within `timeout_ms` in all (-1: no
 * limit). The socket is non-blocking and close-on-exec, with TCP_NODELAY and SO_KEEPALIVE;
 * `*connected` (may be NULL) is the index of the address that answered. -1 on failure, and `error`
 * names each address with its reason. */
int address_connect(const struct address_list *list, int timeout_ms, size_t *connected,
                    struct error *error);

#endif
