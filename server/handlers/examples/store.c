/*
 * store: values by their keys, in memory, shared by all clients.
 *
 *     set KEY VALUE    ok; a value may be empty or have spaces, a key not
 *     get KEY          the value
 *     delete KEY       ok
 *     count            how many keys there are
 *
 * The argument is the most keys that there may be: plugin:store.so:5000.
 * Errors are "-ERR not-found", "-ERR full" and, for any other message,
 * "-ERR bad-request".
 *
 * The lock is held for the look-up and the copy alone: memory is allocated
 * before it is taken and given back after it.
 */
#define _GNU_SOURCE /* tdestroy() */
#include <banter/handler.h>

#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text { /* some bytes; not owned */
    const char *data;
    size_t size;
};

struct pair { /* followed by the bytes of both */
    struct text key;
    struct text value;
};

struct store {
    size_t capacity;       /* in keys; constant */
    pthread_rwlock_t lock; /* guards what follows, and the pairs */
    size_t count;
    void *pairs; /* a tree of tsearch(3) */
};

/* ---- pairs ---- */

static int compare(const void *left, const void *right)
{
    const struct text *one = &((const struct pair *) left)->key;
    const struct text *other = &((const struct pair *) right)->key;
    if (one->size != other->size)
        return one->size < other->size ? -1 : 1;
    return memcmp(one->data, other->data, one->size);
}

/* With copies of both. NULL: out of memory. */
static struct pair *new_pair(struct text key, struct text value)
{
    struct pair *pair = malloc(sizeof *pair + key.size + value.size);
    if (!pair)
        return NULL;
    char *bytes = (char *) (pair + 1);
    memcpy(bytes, key.data, key.size);
    memcpy(bytes + key.size, value.data, value.size);
    pair->key = (struct text){bytes, key.size};
    pair->value = (struct text){bytes + key.size, value.size};
    return pair;
}

/* The place in the tree that points to the pair with this key; NULL if
 * there is none. Under the lock. */
static struct pair **find_locked(struct store *store, struct text key)
{
    struct pair wanted = {.key = key};
    return tfind(&wanted, &store->pairs, compare);
}

/* ---- commands ---- */

static void set(struct store *store, struct text key, struct text value,
                struct banter_reply *reply)
{
    struct pair *pair = new_pair(key, value), *old = NULL;
    bool kept = false, full = false;
    if (pair) {
        pthread_rwlock_wrlock(&store->lock);
        struct pair **place = find_locked(store, key);
        full = !place && store->count >= store->capacity;
        if (place) {
            old = *place;
            *place = pair;
            kept = true;
        } else if (!full && tsearch(pair, &store->pairs, compare)) {
            store->count++;
            kept = true;
        }
        pthread_rwlock_unlock(&store->lock);
    }
    free(kept ? old : pair);
    if (kept)
        banter_reply_printf(reply, "ok");
    else if (full)
        banter_reply_refuse(reply, "full", "there are %zu keys already",
                            store->capacity);
    else
        banter_reply_refuse(reply, "handler-failed", "out of memory");
}

static void get(struct store *store, struct text key,
                struct banter_reply *reply)
{
    pthread_rwlock_rdlock(&store->lock);
    struct pair **place = find_locked(store, key);
    if (place)
        banter_reply_append(reply, (*place)->value.data,
                            (*place)->value.size);
    pthread_rwlock_unlock(&store->lock);
    if (!place)
        banter_reply_refuse(reply, "not-found", "there is no such key");
}

static void erase(struct store *store, struct text key,
                  struct banter_reply *reply)
{
    struct pair *pair = NULL;
    pthread_rwlock_wrlock(&store->lock);
    struct pair **place = find_locked(store, key);
    if (place) {
        pair = *place;
        tdelete(pair, &store->pairs, compare);
        store->count--;
    }
    pthread_rwlock_unlock(&store->lock);
    if (pair)
        banter_reply_printf(reply, "ok");
    else
        banter_reply_refuse(reply, "not-found", "there is no such key");
    free(pair);
}

static void count(struct store *store, struct banter_reply *reply)
{
    pthread_rwlock_rdlock(&store->lock);
    size_t keys = store->count;
    pthread_rwlock_unlock(&store->lock);
    banter_reply_printf(reply, "%zu", keys);
}

/* ---- messages ---- */

/* Takes the text before the first space, and the space. */
static struct text take_word(struct text *rest)
{
    const char *space = memchr(rest->data, ' ', rest->size);
    struct text word = {rest->data, space ? (size_t) (space - rest->data)
                                          : rest->size};
    size_t taken = word.size + (space ? 1 : 0);
    *rest = (struct text){rest->data + taken, rest->size - taken};
    return word;
}

static bool is(struct text word, const char *name)
{
    return word.size == strlen(name) &&
           memcmp(word.data, name, word.size) == 0;
}

static void handle(void *state, const char *message, size_t size,
                   struct banter_reply *reply)
{
    struct text rest = {message, size};
    struct text command = take_word(&rest);
    struct text key = take_word(&rest); /* empty if there is none */
    if (is(command, "set") && key.size > 0 && rest.data[-1] == ' ')
        set(state, key, rest, reply);
    else if (is(command, "get") && key.size > 0 && rest.size == 0)
        get(state, key, reply);
    else if (is(command, "delete") && key.size > 0 && rest.size == 0)
        erase(state, key, reply);
    else if (is(command, "count") && key.size == 0)
        count(state, reply);
    else
        banter_reply_refuse(
            reply, "bad-request",
            "expected set KEY VALUE, get KEY, delete KEY or count");
}

/* ---- begin and end ---- */

static int open_store(const char *argument, void **state, char *error,
                      size_t error_size)
{
    char *end = NULL;
    errno = 0;
    unsigned long capacity = argument ? strtoul(argument, &end, 10) : 1000;
    if (argument && (*argument < '0' || *argument > '9' || *end || errno ||
                     capacity == 0)) {
        snprintf(error, error_size,
                 "the most keys must be a number from 1, not \"%s\"",
                 argument);
        return -1;
    }
    struct store *store = calloc(1, sizeof *store);
    if (!store || pthread_rwlock_init(&store->lock, NULL) != 0) {
        free(store);
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    store->capacity = capacity;
    *state = store;
    return 0;
}

static void close_store(void *state)
{
    struct store *store = state;
    tdestroy(store->pairs, free);
    pthread_rwlock_destroy(&store->lock);
    free(store);
}

const struct banter_handler banter_handler = {
    .abi = BANTER_HANDLER_ABI,
    .name = "store",
    .open = open_store,
    .handle = handle,
    .close = close_store,
};
