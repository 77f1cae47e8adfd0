/* access: see access.h. */
#include "server/net/access.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

/* Linux has it since 4.13, the library's headers not everywhere. */
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

enum { FEW_GROUPS = 64 };

struct access_rules {
    struct who lists[ACCESS_LISTS];
};

struct access_file {
    STAILQ_ENTRY(access_file) entry;
    struct access *access;
    enum access_list list;
    char name[];
};

/* An item that is no file. */
struct access_item {
    STAILQ_ENTRY(access_item) entry;
    enum access_list list;
    char text[];
};

struct access {
    pthread_mutex_t lock; /* guards `rules`, for as long as a question takes */
    struct access_rules *rules;
    struct access_rules *next; /* while files are prepared; NULL: none is */
    STAILQ_HEAD(, access_file) files;
    STAILQ_HEAD(, access_item) items;
    bool has_proxies; /* something was said about them */
};

/* ---- reading ---- */

static enum who_kind kind_of(enum access_list list)
{
    return list == ACCESS_PROXIES ? WHO_PROXIES : WHO_CLIENTS;
}

static void free_rules(struct access_rules *rules)
{
    for (int list = 0; rules && list < ACCESS_LISTS; list++)
        who_fini(&rules->lists[list]);
    free(rules);
}

struct access *access_new(void)
{
    struct access *access = calloc(1, sizeof *access);
    struct access_rules *rules = calloc(1, sizeof *rules);
    if (!access || !rules) {
        free(access);
        free(rules);
        return NULL;
    }
    access->rules = rules;
    STAILQ_INIT(&access->files);
    STAILQ_INIT(&access->items);
    pthread_mutex_init(&access->lock, NULL);
    return access;
}

void access_free(struct access *access)
{
    struct access_file *file;
    struct access_item *item;
    if (!access)
        return;
    while ((file = STAILQ_FIRST(&access->files))) {
        STAILQ_REMOVE_HEAD(&access->files, entry);
        free(file);
    }
    while ((item = STAILQ_FIRST(&access->items))) {
        STAILQ_REMOVE_HEAD(&access->items, entry);
        free(item);
    }
    free_rules(access->rules);
    pthread_mutex_destroy(&access->lock);
    free(access);
}

static bool add_file(struct access *access, enum access_list list, const char *name,
                     struct error *error)
{
    struct error why;
    size_t size = strlen(name) + 1;
    struct access_file *file = malloc(sizeof *file + size);
    if (!file)
        return error_set(error, "memory is out");
    file->access = access;
    file->list = list;
    memcpy(file->name, name, size);
    STAILQ_INSERT_TAIL(&access->files, file, entry);
    return who_add_file(&access->rules->lists[list], kind_of(list), name, &why) ||
           error_set(error, "%s: %s", name, why.text);
}

static bool add_item(struct access *access, enum access_list list, const char *text,
                     struct error *error)
{
    size_t size = strlen(text) + 1;
    struct access_item *item = malloc(sizeof *item + size);
    if (!item)
        return error_set(error, "memory is out");
    item->list = list;
    memcpy(item->text, text, size);
    STAILQ_INSERT_TAIL(&access->items, item, entry);
    return who_add(&access->rules->lists[list], kind_of(list), text, error);
}

bool access_add(struct access *access, enum access_list list, const char *text, struct error *error)
{
    char item[WHO_ITEM_MAX + 1];
    bool added = true;
    access->has_proxies |= list == ACCESS_PROXIES;
    while (added && who_next(&text, item, error))
        added = item[0] == '@' ? add_file(access, list, item + 1, error)
                               : add_item(access, list, item, error);
    who_ready(&access->rules->lists[list]);
    return added && !text;
}

/* ---- reading anew ---- */

struct access_file *access_file(struct access *access, unsigned index)
{
    struct access_file *file;
    STAILQ_FOREACH(file, &access->files, entry)
        if (index-- == 0)
            return file;
    return NULL;
}

const char *access_file_name(const struct access_file *file) { return file->name; }

/* Begins with what is in no file. */
static bool begin_anew(struct access *access, struct error *error)
{
    struct access_item *item;
    access->next = calloc(1, sizeof *access->next);
    bool added = access->next || error_set(error, "memory is out");
    STAILQ_FOREACH(item, &access->items, entry)
        added = added &&
                who_add(&access->next->lists[item->list], kind_of(item->list), item->text, error);
    return added;
}

static void forget_next(struct access *access)
{
    free_rules(access->next);
    access->next = NULL;
}

bool access_prepare(void *context, struct error *error)
{
    struct access_file *file = context;
    struct access *access = file->access;
    bool is_first = !access->next;
    if ((!is_first || begin_anew(access, error)) &&
        who_add_file(&access->next->lists[file->list], kind_of(file->list), file->name, error))
        return true;
    if (is_first) /* then nothing of it will be cancelled */
        forget_next(access);
    return false;
}

void access_commit(void *context)
{
    struct access *access = ((struct access_file *) context)->access;
    if (!access->next) /* another file of it was committed */
        return;
    for (int list = 0; list < ACCESS_LISTS; list++)
        who_ready(&access->next->lists[list]);
    pthread_mutex_lock(&access->lock);
    struct access_rules *before = access->rules;
    access->rules = access->next;
    pthread_mutex_unlock(&access->lock);
    access->next = NULL;
    free_rules(before);
}

void access_cancel(void *context) { forget_next(((struct access_file *) context)->access); }

/* ---- asking ---- */

bool access_has_proxies(const struct access *access) { return access && access->has_proxies; }

bool access_is_proxy(struct access *access, const struct address *address)
{
    char text[WHO_TEXT_SIZE];
    if (!access)
        return false;
    pthread_mutex_lock(&access->lock);
    const struct who *proxies = &access->rules->lists[ACCESS_PROXIES];
    bool is_one = address->socket.any.sa_family == AF_UNIX
                      ? proxies->unix_sockets
                      : who_has_address(proxies, address, text);
    pthread_mutex_unlock(&access->lock);
    return is_one;
}

/* One question: `in_allow` and `in_deny` are whether the client is in these. */
struct answer {
    const char *about;
    bool is_bounded; /* something of this kind is allowed */
    bool in_allow, in_deny;
};

static bool judge(const struct answer *answer, const char *denied, char *why)
{
    if (answer->in_deny)
        snprintf(why, ACCESS_WHY_SIZE, "--deny %s", denied);
    else if (answer->is_bounded && !answer->in_allow)
        snprintf(why, ACCESS_WHY_SIZE, "no --allow names its %s", answer->about);
    else
        return true;
    return false;
}

static bool allows_address(const struct access_rules *rules, const struct access_client *client,
                           char *why)
{
    const struct who *allow = &rules->lists[ACCESS_ALLOW], *deny = &rules->lists[ACCESS_DENY];
    char allowed[WHO_TEXT_SIZE], denied[WHO_TEXT_SIZE];
    const struct answer answer = {
        .about = "address",
        .is_bounded = who_names_addresses(allow),
        .in_allow = who_has_address(allow, client->address, allowed),
        .in_deny = who_has_address(deny, client->address, denied),
    };
    return judge(&answer, denied, why);
}

/* All groups of the other end, behind its own; `few` has room for FEW_GROUPS. Returns them, or NULL
 * if they can't be known; more than a few are to be freed. */
static gid_t *ask_groups(int fd, gid_t *few, size_t *count)
{
    socklen_t size = (FEW_GROUPS - 1) * sizeof *few;
    gid_t *groups = few;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, few + 1, &size) != 0) {
        groups = errno == ERANGE ? malloc(size + sizeof *few) : NULL;
        if (groups && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &size) != 0) {
            free(groups);
            groups = NULL;
        }
    }
    *count = 1 + size / sizeof *few;
    return groups;
}

static bool judge_user(const struct access_rules *rules, const struct who_user *user, char *why)
{
    const struct who *allow = &rules->lists[ACCESS_ALLOW], *deny = &rules->lists[ACCESS_DENY];
    char allowed[WHO_TEXT_SIZE], denied[WHO_TEXT_SIZE];
    const struct answer answer = {
        .about = "user",
        .is_bounded = who_names_users(allow),
        .in_allow = who_has_user(allow, user, allowed),
        .in_deny = who_has_user(deny, user, denied),
    };
    return judge(&answer, denied, why);
}

/* Who can't be known is refused. */
static bool allows_user(const struct access_rules *rules, const struct access_client *client,
                        char *why)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    gid_t few[FEW_GROUPS], *groups = NULL;
    size_t count;
    if (!who_names_users(&rules->lists[ACCESS_ALLOW]) &&
        !who_names_users(&rules->lists[ACCESS_DENY]))
        return true;
    if (client->fd >= 0 &&
        getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0)
        groups = ask_groups(client->fd, few, &count);
    if (!groups) {
        snprintf(why, ACCESS_WHY_SIZE, "nobody knows its user");
        return false;
    }
    groups[0] = credentials.gid;
    const struct who_user user = {credentials.uid, groups, count};
    bool allowed = judge_user(rules, &user, why);
    if (groups != few)
        free(groups);
    return allowed;
}

static bool allows_certificate(const struct access_rules *rules, const struct access_client *client,
                               char *why)
{
    static const struct who_certificate none = {0};
    const struct who *allow = &rules->lists[ACCESS_ALLOW], *deny = &rules->lists[ACCESS_DENY];
    const struct who_certificate *certificate = client->certificate ? client->certificate : &none;
    char allowed[WHO_TEXT_SIZE], denied[WHO_TEXT_SIZE];
    const struct answer answer = {
        .about = "certificate",
        .is_bounded = who_names_certificates(allow),
        .in_allow = who_has_certificate(allow, certificate, allowed),
        .in_deny = who_has_certificate(deny, certificate, denied),
    };
    return judge(&answer, denied, why);
}

static bool allows_origin(const struct access_rules *rules, const struct access_client *client,
                          char *why)
{
    bool is_unix = client->address->socket.any.sa_family == AF_UNIX;
    return is_unix ? allows_user(rules, client, why) : allows_address(rules, client, why);
}

bool access_allows(struct access *access, const struct access_client *client, char *why)
{
    if (!access)
        return true;
    pthread_mutex_lock(&access->lock);
    const struct access_rules *rules = access->rules;
    bool allowed = allows_origin(rules, client, why) && allows_certificate(rules, client, why);
    pthread_mutex_unlock(&access->lock);
    return allowed;
}

bool access_allows_origin(struct access *access, const struct access_client *client, char *why)
{
    if (!access)
        return true;
    pthread_mutex_lock(&access->lock);
    bool allowed = allows_origin(access->rules, client, why);
    pthread_mutex_unlock(&access->lock);
    return allowed;
}
