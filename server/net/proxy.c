/* proxy: both versions of the header. */
#include "server/net/proxy.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "server/net/crc32c.h"

enum { V1_MAX_SIZE = 107, V1_FIELDS = 5, V2_FIXED_SIZE = 16 };

static const char v1_signature[] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const char v2_signature[] = {'\r', '\n', '\r', '\n', '\0', '\r',
                                    '\n', 'Q',  'U',  'I',  'T',  '\n'};

static enum proxy_result refuse(const char **why, const char *text)
{
    *why = text;
    return PROXY_WRONG;
}

static void set_v4(struct address *address, const struct in_addr *ip, in_port_t port)
{
    address->size = sizeof address->socket.v4;
    address->socket.v4 =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = *ip, .sin_port = port};
}

static void set_v6(struct address *address, const struct in6_addr *ip, in_port_t port)
{
    address->size = sizeof address->socket.v6;
    address->socket.v6 =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = *ip, .sin6_port = port};
}

/* ---- version 1 ---- */

/* A decimal number without zeros in front. False: it is none, or no port. */
static bool read_port(const char *text, in_port_t *port)
{
    size_t digits = strspn(text, "0123456789");
    unsigned number = 0;
    if (digits == 0 || digits > 5 || text[digits] || (text[0] == '0' && digits > 1))
        return false;
    for (size_t i = 0; i < digits; i++)
        number = 10 * number + (unsigned) (text[i] - '0');
    *port = htons((uint16_t) number);
    return number <= UINT16_MAX;
}

/* Cuts a line at its spaces, of which there are as many as between the fields. */
static bool split(char *line, char *fields[V1_FIELDS])
{
    for (int i = 0; i < V1_FIELDS; i++) {
        fields[i] = line;
        line = strchr(line, ' ');
        if (!line != (i == V1_FIELDS - 1))
            return false;
        if (line)
            *line++ = '\0';
    }
    return true;
}

/* What stands behind "PROXY ". The addresses of both ends are checked, though one is of use. */
static bool read_v1(char *line, struct proxy_header *header)
{
    char *fields[V1_FIELDS];
    struct in_addr v4[2];
    struct in6_addr v6[2];
    in_port_t source, destination;
    if (strncmp(line, "UNKNOWN", 7) == 0 && (line[7] == ' ' || !line[7]))
        return true;
    if (!split(line, fields) || !read_port(fields[3], &source) ||
        !read_port(fields[4], &destination))
        return false;
    if (strcmp(fields[0], "TCP4") == 0 && inet_pton(AF_INET, fields[1], &v4[0]) == 1 &&
        inet_pton(AF_INET, fields[2], &v4[1]) == 1)
        set_v4(&header->address, &v4[0], source);
    else if (strcmp(fields[0], "TCP6") == 0 && inet_pton(AF_INET6, fields[1], &v6[0]) == 1 &&
             inet_pton(AF_INET6, fields[2], &v6[1]) == 1)
        set_v6(&header->address, &v6[0], source);
    else
        return false;
    header->tells = true;
    return true;
}

static enum proxy_result parse_v1(const char *data, size_t size, struct proxy_header *header,
                                  size_t *used, const char **why)
{
    char line[V1_MAX_SIZE + 1];
    size_t looked = size < V1_MAX_SIZE ? size : V1_MAX_SIZE;
    const char *lf = memchr(data, '\n', looked);
    size_t length = lf ? (size_t) (lf - data) : looked;
    if (memchr(data, '\0', length))
        return refuse(why, "there is a NUL in it");
    if (!lf)
        return looked < V1_MAX_SIZE ? PROXY_INCOMPLETE : refuse(why, "it is longer than 107 bytes");
    if (data[length - 1] != '\r')
        return refuse(why, "its line does not end in CR LF");
    memcpy(line, data, length - 1);
    line[length - 1] = '\0';
    if (strchr(line, '\r') || !read_v1(line + sizeof v1_signature, header))
        return refuse(why, "it does not say an address as version 1 does");
    *used = length + 1;
    return PROXY_COMPLETE;
}

/* ---- version 2 ---- */

enum { LOCAL_COMMAND = 0, PROXY_COMMAND = 1, VERSION = 2 };
enum { FAMILY_NONE = 0x00, FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21, FAMILY_UNIX = 0x31 };
enum { TCP4_SIZE = 12, TCP6_SIZE = 36, UNIX_SIZE = 216, PATH_SIZE = UNIX_SIZE / 2 };
enum { TLV_SIZE = 3, TLV_CRC32C = 0x03, TLV_SSL = 0x20, TLV_CN = 0x22 };
/* Of an SSL TLV: flags, what came of the verification, and TLVs of its own. */
enum { SSL_SIZE = 5, SSL_HAS_CERTIFICATE = 0x02 | 0x04 };

/* Bytes that are read from their head. */
struct part {
    const uint8_t *at;
    size_t left;
};

static unsigned number_16(const uint8_t *bytes) { return (unsigned) bytes[0] << 8 | bytes[1]; }

static uint32_t number_32(const uint8_t *bytes)
{
    return (uint32_t) number_16(bytes) << 16 | number_16(bytes + 2);
}

/* Takes a TLV. False: what is left is none. */
static bool take_tlv(struct part *rest, int *type, struct part *value)
{
    if (rest->left < TLV_SIZE)
        return false;
    *type = rest->at[0];
    *value = (struct part){rest->at + TLV_SIZE, number_16(rest->at + 1)};
    if (value->left > rest->left - TLV_SIZE)
        return false;
    rest->at += TLV_SIZE + value->left;
    rest->left -= TLV_SIZE + value->left;
    return true;
}

static void set_unix(struct address *address, const uint8_t *path)
{
    struct sockaddr_un *local = &address->socket.local;
    size_t size = 0;
    for (size_t i = 0; i < PATH_SIZE; i++)
        if (path[i])
            size = i + 1;
    /* The name of a file ends at its first NUL; an abstract one begins with one. */
    if (path[0] && memchr(path, '\0', size))
        size = strlen((const char *) path);
    *local = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(local->sun_path, path, size);
    address->size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + size);
}

/* Takes the addresses. Returns what is wrong. */
static const char *take_addresses(int family, struct part *rest, struct proxy_header *header)
{
    struct in_addr v4;
    struct in6_addr v6;
    in_port_t port;
    size_t size = family == FAMILY_TCP4   ? TCP4_SIZE
                  : family == FAMILY_TCP6 ? TCP6_SIZE
                  : family == FAMILY_UNIX ? UNIX_SIZE
                                          : 0;
    if (rest->left < size)
        return "it is too short for its addresses";
    header->tells = family != FAMILY_NONE;
    if (family == FAMILY_TCP4) {
        memcpy(&v4, rest->at, sizeof v4);
        memcpy(&port, rest->at + 2 * sizeof v4, sizeof port);
        set_v4(&header->address, &v4, port);
    } else if (family == FAMILY_TCP6) {
        memcpy(&v6, rest->at, sizeof v6);
        memcpy(&port, rest->at + 2 * sizeof v6, sizeof port);
        set_v6(&header->address, &v6, port);
    } else if (family == FAMILY_UNIX) {
        set_unix(&header->address, rest->at);
    } else if (family != FAMILY_NONE) {
        return "it is of no family of stream sockets";
    }
    rest->at += size;
    rest->left -= size;
    return NULL;
}

/* Writes "CN=" and the name, in which what means something in a subject is escaped. False: it has
 * no room. */
static bool write_identity(const char *name, char *identity)
{
    char *at = stpcpy(identity, "CN="), *end = identity + PROXY_NAME_SIZE - 1;
    for (const char *byte = name; *byte; byte++) {
        bool is_outer_space = *byte == ' ' && (byte == name || !byte[1]);
        bool is_escaped =
            strchr("\"+,;<>\\", *byte) || is_outer_space || (*byte == '#' && byte == name);
        if (end - at < 1 + is_escaped)
            return false;
        if (is_escaped)
            *at++ = '\\';
        *at++ = *byte;
    }
    *at = '\0';
    return true;
}

static const char *take_name(struct part value, struct proxy_header *header)
{
    if (value.left == 0 || value.left >= sizeof header->common_name)
        return "the name in it is empty or too long";
    if (memchr(value.at, '\0', value.left))
        return "the name in it has a NUL";
    memcpy(header->common_name, value.at, value.left);
    header->common_name[value.left] = '\0';
    return write_identity(header->common_name, header->identity) ? NULL
                                                                 : "the name in it is too long";
}

/* The name is worth something only if there is a certificate and it was found good. */
static const char *take_ssl(struct part rest, struct proxy_header *header)
{
    if (rest.left < SSL_SIZE)
        return "what it says of TLS is cut off";
    bool is_good = rest.at[0] & SSL_HAS_CERTIFICATE && number_32(rest.at + 1) == 0;
    rest.at += SSL_SIZE;
    rest.left -= SSL_SIZE;
    while (rest.left > 0) {
        int type;
        struct part value;
        const char *why = NULL;
        if (!take_tlv(&rest, &type, &value))
            return "what it says of TLS is cut off";
        if (type == TLV_CN && is_good)
            why = take_name(value, header);
        if (why)
            return why;
    }
    return NULL;
}

/* It is that of the whole header with zeros in the place of the sum. */
static bool is_sum_right(struct part value, const uint8_t *header, size_t size)
{
    static const uint8_t zeros[4];
    size_t before = (size_t) (value.at - header);
    uint32_t sum = crc32c(0, header, before);
    sum = crc32c(sum, zeros, sizeof zeros);
    sum = crc32c(sum, value.at + sizeof zeros, size - before - sizeof zeros);
    return sum == number_32(value.at);
}

static const char *take_tlvs(struct part rest, const uint8_t *whole, size_t size,
                             struct proxy_header *header)
{
    while (rest.left > 0) {
        int type;
        struct part value;
        const char *why = NULL;
        if (!take_tlv(&rest, &type, &value))
            return "its last field is cut off";
        if (type == TLV_CRC32C && (value.left != 4 || !is_sum_right(value, whole, size)))
            return "its checksum is wrong";
        if (type == TLV_SSL)
            why = take_ssl(value, header);
        if (why)
            return why;
    }
    return NULL;
}

static enum proxy_result parse_v2(const char *data, size_t size, struct proxy_header *header,
                                  size_t *used, const char **why)
{
    const uint8_t *bytes = (const uint8_t *) data;
    size_t at = sizeof v2_signature;
    if (size > at && (bytes[at] >> 4 != VERSION || (bytes[at] & 15) > PROXY_COMMAND))
        return refuse(why, "it is of another version or command");
    if (size < V2_FIXED_SIZE)
        return PROXY_INCOMPLETE;
    size_t whole = V2_FIXED_SIZE + number_16(bytes + at + 2);
    if (whole > PROXY_MAX_SIZE)
        return refuse(why, "it is longer than 4096 bytes");
    if (size < whole)
        return PROXY_INCOMPLETE;
    struct part rest = {bytes + V2_FIXED_SIZE, whole - V2_FIXED_SIZE};
    if ((bytes[at] & 15) == PROXY_COMMAND) {
        *why = take_addresses(bytes[at + 1], &rest, header);
        if (!*why)
            *why = take_tlvs(rest, bytes, whole, header);
        if (*why)
            return PROXY_WRONG;
    }
    *used = whole;
    return PROXY_COMPLETE;
}

/* ---- both ---- */

static bool begins(const char *data, size_t size, const char *signature, size_t length)
{
    return memcmp(data, signature, size < length ? size : length) == 0;
}

enum proxy_result proxy_parse(const char *data, size_t size, struct proxy_header *header,
                              size_t *used, const char **why)
{
    *header = (struct proxy_header){.tells = false};
    enum proxy_result result;
    if (size == 0)
        return PROXY_INCOMPLETE;
    if (begins(data, size, v1_signature, sizeof v1_signature))
        result =
            size < sizeof v1_signature ? PROXY_INCOMPLETE : parse_v1(data, size, header, used, why);
    else if (begins(data, size, v2_signature, sizeof v2_signature))
        result =
            size < sizeof v2_signature ? PROXY_INCOMPLETE : parse_v2(data, size, header, used, why);
    else
        result = refuse(why, "there is none");
    /* Who is not said to be anybody has no name either. */
    if (result != PROXY_COMPLETE || !header->tells)
        *header = (struct proxy_header){.tells = false};
    return result;
}
