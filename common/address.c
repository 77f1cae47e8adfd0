/*
 * address: from notations (address_notation.c) to socket addresses, and back to text. Listening and
 * connecting are in address_socket.c.
 */
#include "common/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/address_notation.h"
#include "common/escape.h"

bool address_check(const char *text, enum address_use use, struct error *error)
{
    struct address_notation notation = {.path = ""};
    return address_notation_parse(text, use, &notation, error);
}

/* ---- resolving ---- */

/* Not an initializer: that may leave garbage in the larger members of a union. */
static struct address blank(sa_family_t family, size_t size)
{
    struct address address;
    memset(&address, 0, sizeof address);
    address.size = (socklen_t) size;
    address.socket.any.sa_family = family;
    return address;
}

static struct address from_v4(struct in_addr v4, unsigned port)
{
    struct address address = blank(AF_INET, sizeof address.socket.v4);
    address.socket.v4.sin_port = htons((uint16_t) port);
    address.socket.v4.sin_addr = v4;
    return address;
}

static struct address from_v6(const struct in6_addr *v6, uint32_t scope, unsigned port)
{
    struct address address = blank(AF_INET6, sizeof address.socket.v6);
    address.socket.v6.sin6_port = htons((uint16_t) port);
    address.socket.v6.sin6_addr = *v6;
    address.socket.v6.sin6_scope_id = scope;
    return address;
}

/* An '@' stands for the NUL with which Linux's abstract names begin, as in other tools. Such a name
 * has no end but its size. */
static struct address from_path(const char *path)
{
    struct address address = blank(AF_UNIX, sizeof address.socket.local);
    memcpy(address.socket.local.sun_path, path, strlen(path) + 1);
    if (*path == '@') {
        address.socket.local.sun_path[0] = '\0';
        address.size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path));
    }
    return address;
}

/* The caller has made room. An address that is in the list already is left out. */
static void list_add(struct address_list *list, struct address address)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct address *present = &list->items[i];
        if (present->size == address.size &&
            memcmp(&present->socket, &address.socket, address.size) == 0)
            return;
    }
    list->items[list->count++] = address;
}

static bool list_reserve(struct address_list *list, size_t count, struct error *error)
{
    list->items = calloc(count, sizeof *list->items);
    return list->items || error_set(error, "unable to resolve an address: memory is out");
}

/* A kernel without IPv6 can't create its sockets: such addresses would only be in the way. */
static bool family_works(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno != EAFNOSUPPORT;
    close(fd);
    return true;
}

static void list_add_every(struct address_list *list, unsigned port, enum address_use use)
{
    bool listen = use == ADDRESS_TO_LISTEN;
    struct in_addr v4 = {.s_addr = htonl(listen ? INADDR_ANY : INADDR_LOOPBACK)};
    list_add(list, from_v4(v4, port));
    if (family_works(AF_INET6))
        list_add(list, from_v6(listen ? &in6addr_any : &in6addr_loopback, 0, port));
}

static bool find_scope(const char *name, uint32_t *scope, struct error *error)
{
    *scope = 0;
    if (*name == '\0' || (*scope = if_nametoindex(name)) != 0)
        return true;
    char *end;
    errno = 0;
    unsigned long number = strtoul(name, &end, 10);
    if (name[strspn(name, "0123456789")] == '\0' && errno == 0 && number > 0 &&
        number <= UINT32_MAX) {
        *scope = (uint32_t) number;
        return true;
    }
    char shown[ESCAPE_SIZE];
    return error_set(error, "there is no network interface \"%s\" here",
                     escape_text(name, strlen(name), shown));
}

/* The IPv4 and IPv6 addresses among the resolver's, in its order, which is RFC 6724's. */
static void list_add_found(struct address_list *list, const struct addrinfo *found, unsigned port)
{
    bool with_v6 = family_works(AF_INET6);
    for (; found; found = found->ai_next) {
        if (found->ai_family == AF_INET) {
            struct sockaddr_in v4;
            memcpy(&v4, found->ai_addr, sizeof v4);
            list_add(list, from_v4(v4.sin_addr, port));
        } else if (found->ai_family == AF_INET6 && with_v6) {
            struct sockaddr_in6 v6;
            memcpy(&v6, found->ai_addr, sizeof v6);
            list_add(list, from_v6(&v6.sin6_addr, v6.sin6_scope_id, port));
        }
    }
}

/* So that one family that is out of order holds up nobody: behind each address the next one of the
 * other family, as long as there is one (RFC 8305). */
static void list_interleave(struct address_list *list)
{
    for (size_t i = 1; i < list->count; i++) {
        sa_family_t before = list->items[i - 1].socket.any.sa_family;
        size_t next = i;
        while (next < list->count && list->items[next].socket.any.sa_family == before)
            next++;
        if (next == list->count)
            return;
        struct address moved = list->items[next];
        memmove(&list->items[i + 1], &list->items[i], (next - i) * sizeof moved);
        list->items[i] = moved;
    }
}

static bool resolve_name(const struct address_notation *notation, enum address_use use,
                         struct address_list *list, struct error *error)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(notation->name, NULL, &hints, &found);
    if (failure != 0) {
        const char *why = failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure);
        return error_set(error, "unable to resolve the host \"%s\": %s", notation->name, why);
    }
    size_t count = 0;
    for (const struct addrinfo *each = found; each; each = each->ai_next)
        count++;
    bool ok = list_reserve(list, count, error);
    if (ok) {
        list_add_found(list, found, notation->port);
        if (use == ADDRESS_TO_CONNECT)
            list_interleave(list);
        ok = list->count > 0 ||
             error_set(error,
                       "unable to resolve the host \"%s\": it has no address that can be used here",
                       notation->name);
    }
    freeaddrinfo(found);
    return ok;
}

static bool resolve(const struct address_notation *notation, enum address_use use,
                    struct address_list *list, struct error *error)
{
    uint32_t scope = 0;
    if (notation->form == ADDRESS_FORM_NAME)
        return resolve_name(notation, use, list, error);
    if (notation->form == ADDRESS_FORM_IPV6 && !find_scope(notation->name, &scope, error))
        return false;
    if (!list_reserve(list, 2, error))
        return false;
    if (notation->form == ADDRESS_FORM_EVERY)
        list_add_every(list, notation->port, use);
    else if (notation->form == ADDRESS_FORM_PATH)
        list_add(list, from_path(notation->path));
    else if (notation->form == ADDRESS_FORM_IPV4)
        list_add(list, from_v4(notation->v4, notation->port));
    else
        list_add(list, from_v6(&notation->v6, scope, notation->port));
    return true;
}

enum address_result address_resolve(const char *text, enum address_use use,
                                    struct address_list *list, struct error *error)
{
    *list = (struct address_list){0};
    struct address_notation notation = {.path = ""};
    if (!address_notation_parse(text, use, &notation, error))
        return ADDRESS_MALFORMED;
    if (!resolve(&notation, use, list, error)) {
        address_list_fini(list);
        return ADDRESS_UNKNOWN_HOST;
    }
    return ADDRESS_OK;
}

void address_list_fini(struct address_list *list)
{
    free(list->items);
    *list = (struct address_list){0};
}

/* ---- printing and ports ---- */

static void print_v4(const struct in_addr *v4, unsigned port, char *text)
{
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, v4, host, sizeof host);
    snprintf(text, ADDRESS_TEXT_SIZE, "%s:%u", host, port);
}

static void print_v6(const struct sockaddr_in6 *v6, char *text)
{
    unsigned port = ntohs(v6->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        struct in_addr v4;
        memcpy(&v4, &v6->sin6_addr.s6_addr[12], sizeof v4);
        print_v4(&v4, port, text);
        return;
    }
    char host[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    char scope[1 + IF_NAMESIZE] = "";
    if (v6->sin6_scope_id != 0) {
        scope[0] = '%';
        if (!if_indextoname(v6->sin6_scope_id, scope + 1))
            snprintf(scope + 1, sizeof scope - 1, "%u", v6->sin6_scope_id);
    }
    snprintf(text, ADDRESS_TEXT_SIZE, "[%s%s]:%u", host, scope, port);
}

/* The kernel gives the size of the path, and need not end one of full length with a NUL. In Linux's
 * abstract names NULs are data; they are all shown as '@'. */
static void print_path(const struct address *address, char *text)
{
    size_t head = offsetof(struct sockaddr_un, sun_path);
    const char *path = address->socket.local.sun_path;
    size_t size = address->size > head ? address->size - head : 0;
    bool is_abstract = size > 0 && path[0] == '\0';
    if (!is_abstract)
        size = strnlen(path, size);
    char *end = stpcpy(text, ADDRESS_PATH_PREFIX);
    for (size_t i = 0; i < size; i++)
        *end++ = path[i] == '\0' ? '@' : path[i];
    *end = '\0';
}

void address_print(const struct address *address, char *text)
{
    switch (address->socket.any.sa_family) {
    case AF_INET:
        print_v4(&address->socket.v4.sin_addr, ntohs(address->socket.v4.sin_port), text);
        break;
    case AF_INET6:
        print_v6(&address->socket.v6, text);
        break;
    default:
        print_path(address, text);
        break;
    }
}

bool address_is_tls(const char *text)
{
    return strncmp(text, ADDRESS_TLS_PREFIX, strlen(ADDRESS_TLS_PREFIX)) == 0;
}

const char *address_host(const char *text, char *host)
{
    struct error error;
    struct address_notation notation = {.path = ""};
    *host = '\0';
    if (!address_notation_parse(text, ADDRESS_TO_CONNECT, &notation, &error))
        return host;
    if (notation.form == ADDRESS_FORM_EVERY)
        memcpy(host, "localhost", sizeof "localhost");
    else if (notation.form == ADDRESS_FORM_NAME)
        memcpy(host, notation.name, strlen(notation.name) + 1);
    else if (notation.form == ADDRESS_FORM_IPV4)
        inet_ntop(AF_INET, &notation.v4, host, ADDRESS_HOST_SIZE);
    else if (notation.form == ADDRESS_FORM_IPV6)
        inet_ntop(AF_INET6, &notation.v6, host, ADDRESS_HOST_SIZE);
    return host;
}

static bool is_number(const char *host)
{
    struct in6_addr ignored;
    return inet_pton(AF_INET, host, &ignored) == 1 || inet_pton(AF_INET6, host, &ignored) == 1;
}

void address_print_named(const struct address *address, const char *text, char *name)
{
    char host[ADDRESS_HOST_SIZE];
    char plain[ADDRESS_TEXT_SIZE];
    const char *prefix = address_is_tls(text) ? ADDRESS_TLS_PREFIX : "";
    address_host(text, host);
    address_print(address, plain);
    if (*host == '\0' || is_number(host))
        snprintf(name, ADDRESS_NAMED_SIZE, "%s%s", prefix, plain);
    else
        snprintf(name, ADDRESS_NAMED_SIZE, "%s%s:%u", prefix, host, address_port(address));
}

unsigned address_port(const struct address *address)
{
    switch (address->socket.any.sa_family) {
    case AF_INET:
        return ntohs(address->socket.v4.sin_port);
    case AF_INET6:
        return ntohs(address->socket.v6.sin6_port);
    default:
        return 0;
    }
}

void address_set_port(struct address *address, unsigned port)
{
    if (address->socket.any.sa_family == AF_INET)
        address->socket.v4.sin_port = htons((uint16_t) port);
    else if (address->socket.any.sa_family == AF_INET6)
        address->socket.v6.sin6_port = htons((uint16_t) port);
}
