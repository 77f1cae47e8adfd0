/* nats/shards: a time for each. */
#include "server/nats/shards.h"

#include <stdlib.h>

bool shards_init(struct shards *shards, unsigned count)
{
    *shards = (struct shards){.count = count};
    shards->empty_until_ms = calloc(count, sizeof *shards->empty_until_ms);
    return shards->empty_until_ms;
}

void shards_fini(struct shards *shards)
{
    free(shards->empty_until_ms);
    *shards = (struct shards){0};
}

bool shards_admit(struct shards *shards, int64_t now_ms)
{
    if (shards->is_down && now_ms < shards->probe_ms)
        return false;
    shards->probe_ms = now_ms + SHARDS_EMPTY_MS;
    return true;
}

/* From a random one on, so that those behind empty ones get a little more: a probe is cheap. */
bool shards_choose(const struct shards *shards, struct chance *chance, int64_t now_ms,
                   unsigned *shard, int64_t *again_ms)
{
    unsigned first = chance_below(chance, shards->count);
    *again_ms = INT64_MAX;
    for (unsigned i = 0; i < shards->count; i++) {
        *shard = (first + i) % shards->count;
        int64_t until_ms = shards->empty_until_ms[*shard];
        if (until_ms <= now_ms)
            return true;
        if (until_ms < *again_ms)
            *again_ms = until_ms;
    }
    return false;
}

bool shards_empty(struct shards *shards, unsigned shard, int64_t since_ms, int64_t now_ms,
                  bool *news)
{
    *news = false;
    shards->empty_until_ms[shard] = now_ms + SHARDS_EMPTY_MS;
    if (shards->is_down)
        return true;
    if (now_ms - since_ms < SHARDS_DOWN_MS || shards->served_ms >= since_ms)
        return false;
    shards->is_down = true;
    shards->probe_ms = now_ms + SHARDS_EMPTY_MS;
    *news = true;
    return true;
}

bool shards_served(struct shards *shards, unsigned shard, int64_t now_ms)
{
    bool was_down = shards->is_down;
    shards->empty_until_ms[shard] = 0;
    shards->served_ms = now_ms;
    shards->is_down = false;
    return was_down;
}
