/*
 * nats/shards: which of a service's shards are served, as far as is known, and which one to ask
 * next. A subject that is one is a single shard. No I/O, no clock. One thread.
 */
#ifndef BANTER_SERVER_NATS_SHARDS_H
#define BANTER_SERVER_NATS_SHARDS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/nats/chance.h"

enum {
    SHARDS_EMPTY_MS = 50, /* after that, a shard that nobody served is asked again */
    SHARDS_DOWN_MS = 500, /* after that, a service that nobody serves is down */
};

struct shards {
    unsigned count;
    int64_t *empty_until_ms; /* of each; owned */
    int64_t served_ms;       /* when somebody last was there */
    int64_t probe_ms;        /* is_down: when one request may try again */
    bool is_down;
};

/* False: out of memory; shards_fini() is due all the same. */
bool shards_init(struct shards *shards, unsigned count);
void shards_fini(struct shards *shards);

/* Whether a request may be sent. Of a service that is down, one may each 50 ms. */
bool shards_admit(struct shards *shards, int64_t now_ms);

/* Chooses one at random of those that may be served. False: all are empty, and `*again_ms` is when
 * one of them may be asked again. */
bool shards_choose(const struct shards *shards, struct chance *chance, int64_t now_ms,
                   unsigned *shard, int64_t *again_ms);

/* Nobody serves this one. `since_ms`: when a request heard that first, for which that is so ever
 * since. Returns whether the service is down, from now on (`*news`) or before. */
bool shards_empty(struct shards *shards, unsigned shard, int64_t since_ms, int64_t now_ms,
                  bool *news);

/* Somebody is there. Returns whether the service was down until now. */
bool shards_served(struct shards *shards, unsigned shard, int64_t now_ms);

#endif
