/* address_notation: parsing. */
#include "common/address_notation.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/escape.h"
#include "common/protocol.h"

#define PATH_MAX_BYTES (sizeof(((struct sockaddr_un *) 0)->sun_path) - 1)
#define PORT_MAX 65535

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

__attribute__((format(printf, 3, 4))) static bool malformed(struct error *error, const char *text,
                                                            const char *why, ...)
{
    char reason[160];
    va_list arguments;
    va_start(arguments, why);
    vsnprintf(reason, sizeof reason, why, arguments);
    va_end(arguments);
    char shown[ESCAPE_SIZE];
    return error_set(error,
                     "\"%s\" is no address: %s; an address is HOST:PORT, :PORT, PORT, [V6]:PORT or "
                     "unix:PATH, such as 127.0.0.1:8000",
                     escape_text(text, strlen(text), shown), reason);
}

static bool only(const char *text, size_t size, const char *allowed)
{
    return strspn(text, allowed) >= size;
}

static bool parse_port(const char *text, const char *port, enum address_use use, unsigned *number,
                       struct error *error)
{
    unsigned least = use == ADDRESS_TO_CONNECT ? 1 : 0;
    unsigned value = 0;
    const char *digit = port;
    for (; *digit >= '0' && *digit <= '9' && value <= PORT_MAX; digit++)
        value = value * 10 + (unsigned) (*digit - '0');
    if (digit == port || *digit != '\0' || value > PORT_MAX || value < least)
        return malformed(error, text, "the port is not a number from %u to %d", least, PORT_MAX);
    *number = value;
    return true;
}

static bool parse_path(const char *text, struct address_notation *notation, struct error *error)
{
    notation->form = ADDRESS_FORM_PATH;
    notation->path = text + strlen(ADDRESS_PATH_PREFIX);
    if (*notation->path == '\0')
        return malformed(error, text, "the path is missing, as in unix:/run/banter.sock");
    if (strcmp(notation->path, "@") == 0)
        return malformed(error, text, "the name behind the '@' is missing, as in unix:@banter");
    size_t size = strlen(notation->path);
    if (size > PATH_MAX_BYTES)
        return malformed(error, text, "the path has %zu bytes, and a socket's can have %zu", size,
                         PATH_MAX_BYTES);
    return true;
}

static bool read_v6(const char *digits, size_t size, struct in6_addr *v6)
{
    char copy[INET6_ADDRSTRLEN];
    if (size >= sizeof copy)
        return false;
    memcpy(copy, digits, size);
    copy[size] = '\0';
    return inet_pton(AF_INET6, copy, v6) == 1;
}

/* Takes "V6" or "V6%SCOPE": the `size` bytes between the brackets, or all of the text. */
static bool parse_v6(const char *text, const char *inner, size_t size,
                     struct address_notation *notation, struct error *error)
{
    const char *percent = memchr(inner, '%', size);
    size_t digits_size = percent ? (size_t) (percent - inner) : size;
    if (!read_v6(inner, digits_size, &notation->v6))
        return malformed(error, text, "what stands in brackets is not an IPv6 address");
    size_t scope_size = percent ? size - digits_size - 1 : 0;
    if (percent && (scope_size == 0 || scope_size >= IF_NAMESIZE))
        return malformed(error, text,
                         "an interface stands behind '%%', such as [fe80::1%%eth0]:8000");
    if (!percent && IN6_IS_ADDR_LINKLOCAL(&notation->v6))
        return malformed(error, text,
                         "a link-local address needs its interface, such as [fe80::1%%eth0]:8000");
    memcpy(notation->name, percent ? percent + 1 : "", scope_size);
    notation->name[scope_size] = '\0';
    notation->form = ADDRESS_FORM_IPV6;
    return true;
}

static bool parse_brackets(const char *text, enum address_use use,
                           struct address_notation *notation, struct error *error)
{
    const char *close = strchr(text, ']');
    if (!close)
        return malformed(error, text, "the closing bracket is missing");
    size_t size = (size_t) (close - text) - 1;
    if (close[1] == '\0' && use == ADDRESS_TO_CONNECT)
        return parse_v6(text, text + 1, size, notation, error);
    if (close[1] != ':')
        return malformed(error, text, "the port is missing");
    return parse_v6(text, text + 1, size, notation, error) &&
           parse_port(text, close + 2, use, &notation->port, error);
}

/* Two colons, and only characters of IPv6 in front of a scope. */
static bool looks_like_v6(const char *text)
{
    return strchr(text, ':') != strrchr(text, ':') &&
           only(text, strcspn(text, "%"), DIGITS "abcdefABCDEF:.");
}

/* Whether a text without brackets can only be an IPv6 address alone: ::1:8000 is one as well as an
 * address and its port. */
static bool is_v6_alone(const char *text)
{
    struct in6_addr v6;
    size_t size = strcspn(text, "%");
    if (!read_v6(text, size, &v6))
        return false;
    if (text[size] == '%')
        return !strchr(text + size, ':');
    const char *colon = strrchr(text, ':');
    return !only(colon + 1, strlen(colon + 1), DIGITS) ||
           !read_v6(text, (size_t) (colon - text), &v6);
}

static bool parse_host(const char *text, size_t size, struct address_notation *notation,
                       struct error *error)
{
    if (size == 0) {
        notation->form = ADDRESS_FORM_EVERY;
        return true;
    }
    if (!only(text, size, DIGITS LETTERS "-._"))
        return malformed(error, text, "a host name holds letters, digits, '-', '.' and '_' only");
    if (size > ADDRESS_NAME_MAX_BYTES)
        return malformed(error, text, "a host name has at most %d bytes", ADDRESS_NAME_MAX_BYTES);
    memcpy(notation->name, text, size);
    notation->name[size] = '\0';
    notation->form = ADDRESS_FORM_NAME;
    /* The resolver would take 127.1, 1234 and 010.0.0.1 too, and read them as few would expect. */
    if (only(text, size, DIGITS ".")) {
        notation->form = ADDRESS_FORM_IPV4;
        if (inet_pton(AF_INET, notation->name, &notation->v4) != 1)
            return malformed(error, text,
                             "the host is not four numbers from 0 to 255, such as 127.0.0.1");
    }
    return true;
}

static bool parse(const char *text, enum address_use use, struct address_notation *notation,
                  struct error *error)
{
    notation->port = PROTOCOL_DEFAULT_PORT; /* unless there is one, which a listener needs */
    if (*text == '\0')
        return malformed(error, text, "it is empty");
    if (strncmp(text, ADDRESS_PATH_PREFIX, strlen(ADDRESS_PATH_PREFIX)) == 0)
        return parse_path(text, notation, error);
    if (*text == '[')
        return parse_brackets(text, use, notation, error);
    if (only(text, strlen(text), DIGITS)) {
        notation->form = ADDRESS_FORM_IPV4;
        notation->v4.s_addr = htonl(INADDR_LOOPBACK);
        return parse_port(text, text, use, &notation->port, error);
    }
    if (looks_like_v6(text) && use == ADDRESS_TO_CONNECT && is_v6_alone(text))
        return parse_v6(text, text, strlen(text), notation, error);
    if (looks_like_v6(text))
        return malformed(error, text, "an IPv6 address needs brackets, such as [::1]:8000");
    const char *colon = strrchr(text, ':');
    if (!colon && use == ADDRESS_TO_CONNECT)
        return parse_host(text, strlen(text), notation, error);
    if (!colon)
        return malformed(error, text, "the port is missing");
    return parse_host(text, (size_t) (colon - text), notation, error) &&
           parse_port(text, colon + 1, use, &notation->port, error);
}

bool address_notation_parse(const char *text, enum address_use use,
                            struct address_notation *notation, struct error *error)
{
    size_t prefix = address_is_tls(text) ? strlen(ADDRESS_TLS_PREFIX) : 0;
    if (prefix > 0 && text[prefix] == '\0')
        return malformed(error, text, "the rest is missing, as in tls:localhost:8443");
    return parse(text + prefix, use, notation, error);
}
