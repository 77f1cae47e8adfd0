/* networks: see networks.h. */
#include "server/net/networks.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 16, HALF_BITS = 64, HALF_BYTES = 8 };

/* ---- one ---- */

static uint64_t half_of(const uint8_t *bytes)
{
    uint64_t half = 0;
    for (int i = 0; i < HALF_BYTES; i++)
        half = half << 8 | bytes[i];
    return half;
}

struct network network_of_v4(const struct in_addr *ip)
{
    return (struct network){.low = ntohl(ip->s_addr), .bits = NETWORK_BITS};
}

struct network network_of_v6(const struct in6_addr *ip, bool *is_v4)
{
    struct in_addr v4;
    *is_v4 = IN6_IS_ADDR_V4MAPPED(ip);
    if (*is_v4) {
        memcpy(&v4, &ip->s6_addr[sizeof *ip - sizeof v4], sizeof v4);
        return network_of_v4(&v4);
    }
    return (struct network){.high = half_of(ip->s6_addr),
                            .low = half_of(ip->s6_addr + HALF_BYTES),
                            .bits = NETWORK_BITS};
}

void network_print(const struct network *network, bool is_v4, char *text)
{
    struct in6_addr v6;
    struct in_addr v4 = {htonl((uint32_t) network->low)};
    for (int i = 0; i < HALF_BYTES; i++) {
        int shift = HALF_BITS - 8 * (i + 1);
        v6.s6_addr[i] = (uint8_t) (network->high >> shift);
        v6.s6_addr[HALF_BYTES + i] = (uint8_t) (network->low >> shift);
    }
    inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? (void *) &v4 : (void *) &v6, text,
              NETWORK_TEXT_SIZE);
    size_t size = strlen(text);
    if (network->bits < NETWORK_BITS)
        snprintf(text + size, NETWORK_TEXT_SIZE - size, "/%d",
                 is_v4 ? network->bits - NETWORK_V4_BITS : network->bits);
}

/* The mask of one half, of which `bits` are set from the top. */
static uint64_t half_mask(int bits)
{
    return bits <= 0 ? 0 : bits >= HALF_BITS ? UINT64_MAX : UINT64_MAX << (HALF_BITS - bits);
}

bool network_mask(struct network *network)
{
    uint64_t high = network->high & half_mask(network->bits);
    uint64_t low = network->low & half_mask(network->bits - HALF_BITS);
    bool had_more = high != network->high || low != network->low;
    network->high = high;
    network->low = low;
    return had_more;
}

/* ---- many ---- */

bool networks_add(struct networks *networks, struct network network)
{
    if (networks->count == networks->capacity) {
        size_t capacity = networks->capacity ? 2 * networks->capacity : FIRST_CAPACITY;
        struct network *items = reallocarray(networks->items, capacity, sizeof *items);
        if (!items)
            return false;
        networks->items = items;
        networks->capacity = capacity;
    }
    networks->items[networks->count++] = network;
    return true;
}

static bool holds(const struct network *network, struct network address)
{
    address.bits = network->bits;
    network_mask(&address);
    return address.high == network->high && address.low == network->low;
}

/* By number, and of those that begin alike the widest first: so each comes right behind the one
 * that holds it, and what else that holds. */
static int compare(const void *left, const void *right)
{
    const struct network *a = left, *b = right;
    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    if (a->low != b->low)
        return a->low < b->low ? -1 : 1;
    return a->bits - b->bits;
}

void networks_sort(struct networks *networks)
{
    size_t kept = 0;
    if (networks->count == 0)
        return;
    qsort(networks->items, networks->count, sizeof *networks->items, compare);
    for (size_t i = 1; i < networks->count; i++)
        if (!holds(&networks->items[kept], networks->items[i]))
            networks->items[++kept] = networks->items[i];
    networks->count = kept + 1;
}

const struct network *networks_find(const struct networks *networks, struct network address)
{
    size_t begin = 0, end = networks->count;
    address.bits = NETWORK_BITS; /* so that it is not before a network that begins with it */
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (compare(&networks->items[middle], &address) <= 0)
            begin = middle + 1;
        else
            end = middle;
    }
    const struct network *before = begin > 0 ? &networks->items[begin - 1] : NULL;
    return before && holds(before, address) ? before : NULL;
}

void networks_fini(struct networks *networks)
{
    free(networks->items);
    *networks = (struct networks){0};
}
