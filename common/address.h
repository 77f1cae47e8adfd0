/*
 * address: the addresses that a server listens on and a client connects to, as text and as sockets.
 *
 * Text forms: HOST:PORT, :PORT, PORT, [V6]:PORT, unix:PATH. PORT is a number from 0 to 65535, or
 * from 1 to connect. PORT alone is 127.0.0.1; :PORT is every address, IPv4 and IPv6, to listen, and
 * localhost to connect. To connect, HOST and V6, with or without brackets, may also stand alone,
 * for the protocol's default port. unix:@NAME is a name in Linux's abstract namespace: no file, and
 * nobody's permission. "tls:" may stand in front of each form: TLS is to be spoken there.
 *
 * Any thread may call these.
 */
#ifndef BANTER_COMMON_ADDRESS_H
#define BANTER_COMMON_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "common/error.h"

/* The longest text of an address: "unix:" and a path, or "[IPv6%scope]:port"; with its NUL. */
#define ADDRESS_TEXT_SIZE (sizeof(((struct sockaddr_un *) 0)->sun_path) + 6)

/* The longest HOST, and the longest address with it, "tls:HOST:PORT"; with their NULs. */
enum { ADDRESS_HOST_SIZE = 254, ADDRESS_NAMED_SIZE = ADDRESS_HOST_SIZE + 10 };

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

/* One text may mean several addresses: all those of a host, or IPv4 and IPv6; a path is alone. To
 * connect, they are in the order to try them in: the resolver's, but IPv4 and IPv6 take turns. */
struct address_list {
    struct address *items; /* owned; address_list_fini() */
    size_t count;          /* at least 1 after ADDRESS_OK */
};

enum address_result {
    ADDRESS_OK,
    ADDRESS_MALFORMED, /* the text is not an address */
    /* The host name could not be resolved, or there is no such interface as the one after '%'. */
    ADDRESS_UNKNOWN_HOST,
};

/* Parses and resolves, which may ask the resolver and wait for it. On failure `error` says what was
 * wrong and `list` is empty. */
enum address_result address_resolve(const char *text, enum address_use use,
                                    struct address_list *list, struct error *error);
void address_list_fini(struct address_list *list);

/* Whether `text` has one of the forms above; resolves nothing. If it has not, `error` says what was
 * wrong and gives a correct example. */
bool address_check(const char *text, enum address_use use, struct error *error);

/* Writes 127.0.0.1:8000, [::1]:8000 or unix:PATH ("unix:" for an unnamed Unix peer) to `text`,
 * which has ADDRESS_TEXT_SIZE bytes. An IPv4 address mapped into IPv6 is written as IPv4. */
void address_print(const struct address *address, char *text);

/* Whether TLS is to be spoken at the address. */
bool address_is_tls(const char *text);

/* Writes whom a text to connect to, which address_check() takes, expects there: the HOST, or a
 * number without brackets and interface; "localhost" for :PORT, "" for a Unix socket. `host` has
 * ADDRESS_HOST_SIZE bytes. Returns it. */
const char *address_host(const char *text, char *host);

/* As address_print(), for one of the addresses that `text` stands for, but with the host's name and
 * "tls:" if these are in `text`. `name` has ADDRESS_NAMED_SIZE bytes. */
void address_print_named(const struct address *address, const char *text, char *name);

/* The port; 0 for a Unix path. */
unsigned address_port(const struct address *address);

/* Sets the port; a Unix path stays as it is. When a text with port 0 means several addresses, the
 * caller binds the first and gives its port to the others before it binds them. */
void address_set_port(struct address *address, unsigned port);

/* What a path that is listened on allows, and to whom. */
struct address_permissions {
    mode_t mode; /* 0777 at most */
    gid_t group; /* (gid_t) -1: that of the process */
};

/* Returns a listening, non-blocking, close-on-exec socket with SO_REUSEADDR, and IPV6_V6ONLY for
 * IPv6. A Unix socket on which nobody listens any more is taken over; a file that is not a socket
 * is left alone (EADDRINUSE). A path gets these permissions, and at no moment others that allow
 * more; NULL: those that the umask leaves. It may wait for a second. TCP sockets have TCP_NODELAY
 * and SO_KEEPALIVE, which accepted sockets inherit on Linux. `address` becomes the address that was
 * bound, with its port. -1 with errno set on failure. */
int address_listen(struct address *address, const struct address_permissions *permissions,
                   int backlog);

/* Connects to one address of the list, within `timeout_ms` in all (-1: no limit). Each is tried as
 * soon as the one before has failed, or has not answered for a quarter of a second; the first that
 * answers is taken. The socket is non-blocking and close-on-exec, with TCP_NODELAY and
 * SO_KEEPALIVE. `*connected` (may be NULL) becomes the index of the address. On failure returns -1,
 * and `error` names each address and the reason it failed. */
int address_connect(const struct address_list *list, int timeout_ms, size_t *connected,
                    struct error *error);

#endif
