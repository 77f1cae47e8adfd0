/* tally: a table of counters, which is at most half full. */
#include "server/net/tally.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "server/net/networks.h"

/* All zero is free. */
struct counted {
    uint64_t number;
    uint32_t count;
    sa_family_t family;
};

struct tally {
    unsigned most;
    uint64_t secret; /* so that nobody can choose addresses that fall on one place */
    size_t mask;     /* of places */
    pthread_mutex_t lock;
    struct counted *places; /* guarded by `lock` */
};

struct tally_key tally_key_v4(const struct in_addr *ip)
{
    return (struct tally_key){ntohl(ip->s_addr), AF_INET};
}

struct tally_key tally_key_v6(const struct in6_addr *ip)
{
    bool is_v4;
    struct network network = network_of_v6(ip, &is_v4);
    return (struct tally_key){is_v4 ? network.low : network.high, is_v4 ? AF_INET : AF_INET6};
}

struct tally *tally_new(unsigned clients, unsigned most)
{
    struct tally *tally = calloc(1, sizeof *tally);
    if (!tally)
        return NULL;
    size_t places = 2;
    while (places < 2 * (size_t) clients)
        places *= 2;
    tally->mask = places - 1;
    tally->most = most;
    tally->places = calloc(places, sizeof *tally->places);
    if (!tally->places) {
        free(tally);
        return NULL;
    }
    /* Without it, at an early start of the machine, the addresses count all the same. */
    (void) !getrandom(&tally->secret, sizeof tally->secret, GRND_NONBLOCK);
    pthread_mutex_init(&tally->lock, NULL);
    return tally;
}

void tally_free(struct tally *tally)
{
    if (!tally)
        return;
    pthread_mutex_destroy(&tally->lock);
    free(tally->places);
    free(tally);
}

/* Where to look for it first. */
static size_t home(const struct tally *tally, uint64_t number, sa_family_t family)
{
    uint64_t hash = (number ^ tally->secret) + family;
    for (int i = 0; i < 2; i++) {
        hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
        hash ^= tally->secret >> 7;
    }
    return (hash ^ hash >> 32) & tally->mask;
}

/* Where it is, or would be. */
static size_t find(const struct tally *tally, struct tally_key key)
{
    size_t place = home(tally, key.number, key.family);
    for (const struct counted *at; (at = &tally->places[place])->count > 0;) {
        if (at->number == key.number && at->family == key.family)
            break;
        place = (place + 1) & tally->mask;
    }
    return place;
}

/* Frees a place. What comes behind it moves up, unless it is at home there already. */
static void clear(struct tally *tally, size_t hole)
{
    size_t place = hole;
    for (;;) {
        place = (place + 1) & tally->mask;
        const struct counted *at = &tally->places[place];
        if (at->count == 0)
            break;
        size_t way = (place - home(tally, at->number, at->family)) & tally->mask;
        if (way < ((place - hole) & tally->mask))
            continue;
        tally->places[hole] = *at;
        hole = place;
    }
    tally->places[hole] = (struct counted){0};
}

bool tally_add(struct tally *tally, struct tally_key key)
{
    if (!tally)
        return true;
    pthread_mutex_lock(&tally->lock);
    struct counted *at = &tally->places[find(tally, key)];
    bool has_room = at->count < tally->most;
    if (has_room)
        *at = (struct counted){key.number, at->count + 1, key.family};
    pthread_mutex_unlock(&tally->lock);
    return has_room;
}

void tally_remove(struct tally *tally, struct tally_key key)
{
    if (!tally)
        return;
    pthread_mutex_lock(&tally->lock);
    size_t place = find(tally, key);
    if (tally->places[place].count > 1)
        tally->places[place].count--;
    else
        clear(tally, place);
    pthread_mutex_unlock(&tally->lock);
}

unsigned tally_count(struct tally *tally, struct tally_key key)
{
    pthread_mutex_lock(&tally->lock);
    unsigned count = tally->places[find(tally, key)].count;
    pthread_mutex_unlock(&tally->lock);
    return count;
}
