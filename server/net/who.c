/* who: what a set holds, and asking it. It is read in who_read.c. */
#include "server/net/who.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ascii.h"

static void free_names(struct who_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

void who_fini(struct who *who)
{
    networks_fini(&who->v4);
    networks_fini(&who->v6);
    for (size_t i = 0; i < who->id_count; i++)
        free(who->ids[i].text);
    free(who->ids);
    free_names(&who->names);
    free_names(&who->beginnings);
    *who = (struct who){0};
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *) left, *(const char *const *) right);
}

void who_ready(struct who *who)
{
    networks_sort(&who->v4);
    networks_sort(&who->v6);
    if (who->names.count > 0)
        qsort(who->names.items, who->names.count, sizeof *who->names.items, compare_names);
}

/* ---- addresses ---- */

bool who_names_addresses(const struct who *who) { return who->v4.count + who->v6.count > 0; }

bool who_has_address(const struct who *who, const struct address *address, char *text)
{
    struct network number;
    bool is_v4 = true;
    if (address->socket.any.sa_family == AF_INET)
        number = network_of_v4(&address->socket.v4.sin_addr);
    else if (address->socket.any.sa_family == AF_INET6)
        number = network_of_v6(&address->socket.v6.sin6_addr, &is_v4);
    else
        return false;
    const struct network *found = networks_find(is_v4 ? &who->v4 : &who->v6, number);
    if (found)
        network_print(found, is_v4, text);
    return found;
}

/* ---- users ---- */

bool who_names_users(const struct who *who) { return who->id_count > 0; }

static bool is_in_group(const struct who_user *user, unsigned id)
{
    for (size_t i = 0; i < user->group_count; i++)
        if (user->groups[i] == id)
            return true;
    return false;
}

bool who_has_user(const struct who *who, const struct who_user *user, char *text)
{
    for (size_t i = 0; i < who->id_count; i++) {
        const struct who_id *id = &who->ids[i];
        if (id->is_group ? is_in_group(user, id->id) : user->uid == id->id) {
            snprintf(text, WHO_TEXT_SIZE, "%s", id->text);
            return true;
        }
    }
    return false;
}

/* ---- certificates ---- */

bool who_names_certificates(const struct who *who)
{
    return who->names.count + who->beginnings.count > 0;
}

/* A name as a certificate has it, and what it begins with in a set. */
struct sought {
    const char *kind;
    const char *name;
};

static int compare_sought(const void *key, const void *item)
{
    const struct sought *sought = key;
    const char *name = *(const char *const *) item;
    size_t size = strlen(sought->kind);
    int order = strncmp(sought->kind, name, size);
    return order ? order : strcmp(sought->name, name + size);
}

static bool has_name(const struct who *who, const char *kind, const char *name, char *text)
{
    const struct who_names *names = &who->names;
    const struct sought sought = {kind, name};
    if (names->count == 0 ||
        !bsearch(&sought, names->items, names->count, sizeof *names->items, compare_sought))
        return false;
    snprintf(text, WHO_TEXT_SIZE, "%s%s", kind, name);
    return true;
}

/* A star in the set stands for the first label, and nothing else. */
static bool has_dns(const struct who *who, const char *dns, char *text)
{
    char name[WHO_DNS_MAX + 2];
    size_t size = strlen(dns);
    if (size > WHO_DNS_MAX)
        return false;
    for (size_t i = 0; i <= size; i++)
        name[i] = ascii_lower(dns[i]);
    if (has_name(who, WHO_DNS, name, text))
        return true;
    const char *dot = strchr(name, '.');
    if (!dot || dot == name)
        return false;
    char *rest = name + (dot - name);
    *--rest = '*';
    return has_name(who, WHO_DNS, rest, text);
}

static bool has_uri(const struct who *who, const char *uri, char *text)
{
    if (has_name(who, WHO_URI, uri, text))
        return true;
    for (size_t i = 0; i < who->beginnings.count; i++) {
        const char *beginning = who->beginnings.items[i];
        if (strncmp(uri, beginning, strlen(beginning)) == 0) {
            snprintf(text, WHO_TEXT_SIZE, WHO_URI "%s*", beginning);
            return true;
        }
    }
    return false;
}

bool who_has_certificate(const struct who *who, const struct who_certificate *certificate,
                         char *text)
{
    if (certificate->common_name && has_name(who, WHO_CN, certificate->common_name, text))
        return true;
    for (size_t i = 0; i < certificate->dns_count; i++)
        if (has_dns(who, certificate->dns[i], text))
            return true;
    for (size_t i = 0; i < certificate->uri_count; i++)
        if (has_uri(who, certificate->uris[i], text))
            return true;
    return false;
}
