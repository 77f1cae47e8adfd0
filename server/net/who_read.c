/* who_read: reads what options name; the other half of who.h. */
#include "server/net/who.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/ascii.h"
#include "common/escape.h"

#define MAX_ID 0xfffffffeL /* the next one means none */

enum { FIRST_CAPACITY = 8 };

static bool refuse(struct error *error, const char *item, const char *why)
{
    char shown[ESCAPE_SIZE];
    return error_set(error, "\"%s\" %s", escape_text(item, strlen(item), shown), why);
}

static bool fail_for_memory(struct error *error) { return error_set(error, "memory is out"); }

/* Room for one more item of this size. False: out of memory. */
static bool make_room(void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    size_t more = *capacity ? 2 * *capacity : FIRST_CAPACITY;
    void *grown = reallocarray(*items, more, size);
    if (!grown)
        return false;
    *items = grown;
    *capacity = more;
    return true;
}

/* ---- addresses and networks ---- */

/* How many bits the text behind a slash says; -1: it says no number up to `most`. */
static int read_bits(const char *text, int most)
{
    size_t digits = strspn(text, "0123456789");
    int bits = 0;
    if (digits == 0 || digits > 3 || text[digits] || (digits > 1 && text[0] == '0'))
        return -1;
    for (size_t i = 0; i < digits; i++)
        bits = 10 * bits + (text[i] - '0');
    return bits <= most ? bits : -1;
}

static bool add_network(struct who *who, struct network network, bool is_v4, const char *item,
                        struct error *error)
{
    char right[NETWORK_TEXT_SIZE], why[sizeof right + 80];
    if (network_mask(&network)) {
        network_print(&network, is_v4, right);
        snprintf(why, sizeof why, "has bits behind its mask: the network is %s", right);
        return refuse(error, item, why);
    }
    return networks_add(is_v4 ? &who->v4 : &who->v6, network) || fail_for_memory(error);
}

/* An address, or that of a network, as it stands in front of a mask. False: it is none. */
static bool read_number(const char *item, size_t size, struct network *network, bool *is_v4,
                        int *most_bits)
{
    char number[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;
    if (size >= sizeof number)
        return false;
    memcpy(number, item, size);
    number[size] = '\0';
    if (inet_pton(AF_INET, number, &v4) == 1) {
        *network = network_of_v4(&v4);
        *is_v4 = true;
        *most_bits = NETWORK_BITS - NETWORK_V4_BITS;
        return true;
    }
    if (inet_pton(AF_INET6, number, &v6) != 1)
        return false;
    *network = network_of_v6(&v6, is_v4);
    *most_bits = NETWORK_BITS;
    return true;
}

/* Adds the network behind whose number stands this mask, or nothing. */
static bool add_masked(struct who *who, struct network network, bool is_v4, const char *mask,
                       int most, const char *item, struct error *error)
{
    int bits = mask ? read_bits(mask, most) : most;
    if (bits < 0)
        return refuse(error, item,
                      most == NETWORK_BITS ? "has no mask of 0 to 128 bits"
                                           : "has no mask of 0 to 32 bits");
    bits += NETWORK_BITS - most;
    if (is_v4 && bits < NETWORK_V4_BITS)
        return refuse(error, item, "is mapped from IPv4: its mask has 96 bits or more");
    network.bits = (uint8_t) bits;
    return add_network(who, network, is_v4, item, error);
}

/* Whether the item is an address or a network; then `*added` is whether it was added. */
static bool take_network(struct who *who, const char *item, bool *added, struct error *error)
{
    struct network network;
    bool is_v4;
    int most;
    const char *slash = strchr(item, '/');
    if (!read_number(item, slash ? (size_t) (slash - item) : strlen(item), &network, &is_v4, &most))
        return false;
    *added = add_masked(who, network, is_v4, slash ? slash + 1 : NULL, most, item, error);
    return true;
}

/* ---- users and groups ---- */

static bool find_id(const char *name, bool is_group, unsigned *id)
{
    struct error ignored;
    long number = 0;
    const struct passwd *user = is_group ? NULL : getpwnam(name);
    const struct group *group = is_group ? getgrnam(name) : NULL;
    if (!user && !group && !args_number(name, 0, MAX_ID, &number, &ignored))
        return false;
    *id = user ? user->pw_uid : group ? group->gr_gid : (unsigned) number;
    return true;
}

static bool add_id(struct who *who, bool is_group, const char *item, struct error *error)
{
    struct who_id id = {.is_group = is_group};
    if (!find_id(strchr(item, ':') + 1, is_group, &id.id))
        return refuse(error, item,
                      is_group ? "is unknown: there is no such group"
                               : "is unknown: there is no such user");
    id.text = strdup(item);
    void *items = who->ids;
    if (!id.text || !make_room(&items, who->id_count, &who->id_capacity, sizeof id)) {
        free(id.text);
        return fail_for_memory(error);
    }
    who->ids = items;
    who->ids[who->id_count++] = id;
    return true;
}

/* ---- names in certificates ---- */

static bool add_name(struct who_names *names, char *name, struct error *error)
{
    void *items = names->items;
    if (!name || !make_room(&items, names->count, &names->capacity, sizeof name)) {
        free(name);
        return fail_for_memory(error);
    }
    names->items = items;
    names->items[names->count++] = name;
    return true;
}

static bool add_dns(struct who *who, const char *item, struct error *error)
{
    const char *dns = item + sizeof WHO_DNS - 1;
    const char *star = strchr(strncmp(dns, "*.", 2) == 0 ? dns + 1 : dns, '*');
    if (star || strlen(dns) > WHO_DNS_MAX)
        return refuse(error, item,
                      star ? "has a star that is not its first label"
                           : "is longer than the name of a host can be");
    char *name = strdup(item);
    for (char *at = name ? name + sizeof WHO_DNS - 1 : NULL; at && *at; at++)
        *at = ascii_lower(*at);
    return add_name(&who->names, name, error);
}

static bool add_uri(struct who *who, const char *item, struct error *error)
{
    const char *uri = item + sizeof WHO_URI - 1;
    size_t size = strlen(uri);
    if (uri[size - 1] == '*')
        return add_name(&who->beginnings, strndup(uri, size - 1), error);
    return add_name(&who->names, strdup(item), error);
}

/* ---- items ---- */

static bool begins_with(const char *item, const char *kind)
{
    return strncmp(item, kind, strlen(kind)) == 0;
}

static bool refuse_kind(enum who_kind kind, const char *item, struct error *error)
{
    static const char *const known[] = {
        [WHO_CLIENTS] = "is none of: an address, a network such as 10.0.0.0/8, user:NAME, "
                        "group:NAME, CN=TEXT, DNS:TEXT, URI:TEXT, @FILE",
        [WHO_PROXIES] = "is none of: an address, a network such as 10.0.0.0/8, unix, @FILE",
    };
    return refuse(error, item, known[kind]);
}

/* user:NAME and so on: what is behind the kind may not be empty. */
static bool add_word(struct who *who, const char *item, struct error *error)
{
    static const char *const kinds[] = {"user:", "group:", WHO_CN, WHO_DNS, WHO_URI};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(item, kinds[i]) == 0)
            return refuse(error, item, "has no name");
    if (begins_with(item, "user:") || begins_with(item, "group:"))
        return add_id(who, item[0] == 'g', item, error);
    if (begins_with(item, WHO_CN))
        return add_name(&who->names, strdup(item), error);
    if (begins_with(item, WHO_DNS))
        return add_dns(who, item, error);
    if (begins_with(item, WHO_URI))
        return add_uri(who, item, error);
    return refuse_kind(WHO_CLIENTS, item, error);
}

bool who_add(struct who *who, enum who_kind kind, const char *item, struct error *error)
{
    bool added;
    if (take_network(who, item, &added, error))
        return added;
    if (kind == WHO_CLIENTS)
        return add_word(who, item, error);
    who->unix_sockets |= strcmp(item, "unix") == 0;
    return strcmp(item, "unix") == 0 || refuse_kind(kind, item, error);
}

/* ---- files ---- */

/* Cuts a comment and the white space around it off. Returns the beginning of what is left. */
static char *trim(char *line)
{
    while (ascii_is_white(*line))
        line++;
    char *end = line;
    while (*end && !(*end == '#' && (end == line || ascii_is_white(end[-1]))))
        end++;
    while (end > line && ascii_is_white(end[-1]))
        end--;
    *end = '\0';
    return line;
}

static bool add_line(struct who *who, enum who_kind kind, char *line, size_t size,
                     struct error *error)
{
    if (strlen(line) != size)
        return error_set(error, "there is a NUL in it");
    char *item = trim(line);
    if (item[0] == '@')
        return refuse(error, item, "is a file in a file");
    return !item[0] || who_add(who, kind, item, error);
}

static bool add_lines(struct who *who, enum who_kind kind, FILE *file, struct error *error)
{
    char *line = NULL;
    size_t capacity = 0, number = 0;
    struct error why;
    bool added = true;
    ssize_t size;
    while (added && (size = getline(&line, &capacity, file)) >= 0) {
        number++;
        added = add_line(who, kind, line, (size_t) size, &why);
    }
    free(line);
    if (!added)
        return error_set(error, "line %zu: %s", number, why.text);
    return !ferror(file) || error_set(error, "%s", strerror(errno));
}

bool who_add_file(struct who *who, enum who_kind kind, const char *name, struct error *error)
{
    FILE *file = fopen(name, "re");
    if (!file)
        return error_set(error, "%s", strerror(errno));
    bool added = add_lines(who, kind, file, error);
    fclose(file);
    return added;
}

bool who_next(const char **text, char *item, struct error *error)
{
    if (!*text)
        return false;
    size_t size = strcspn(*text, ",");
    if (size > WHO_ITEM_MAX)
        return refuse(error, *text, "is too long");
    if (size == 0)
        return error_set(error, "there is nothing in front of a comma, or behind it");
    memcpy(item, *text, size);
    item[size] = '\0';
    *text = (*text)[size] ? *text + size + 1 : NULL;
    return true;
}
