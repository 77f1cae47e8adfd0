/* lobby_groups: those that wait, by whom they come from, and how many of those there may be. */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "server/log/log.h"
#include "server/net/admission.h"
#include "server/net/lobby_state.h"
#include "server/net/peer.h"

static struct tally_key key_of(const struct address *address)
{
    if (address->socket.any.sa_family == AF_INET)
        return tally_key_v4(&address->socket.v4.sin_addr);
    if (address->socket.any.sa_family == AF_INET6)
        return tally_key_v6(&address->socket.v6.sin6_addr);
    return (struct tally_key){0, AF_UNIX};
}

/* NULL: out of memory. */
static struct group *group_of(struct lobby *lobby, struct tally_key key)
{
    struct group *group;
    TAILQ_FOREACH(group, &lobby->groups, entry)
        if (group->key.number == key.number && group->key.family == key.family)
            return group;
    group = calloc(1, sizeof *group);
    if (!group)
        return NULL;
    group->key = key;
    STAILQ_INIT(&group->ready);
    TAILQ_INSERT_TAIL(&lobby->groups, group, entry);
    return group;
}

void lobby_leave_group(struct lobby *lobby, struct guest *guest)
{
    struct group *group = guest->group;
    if (guest->state == GUEST_READY)
        STAILQ_REMOVE(&group->ready, guest, guest, ready_entry);
    guest->group = NULL;
    if (--group->count > 0)
        return;
    TAILQ_REMOVE(&lobby->groups, group, entry);
    free(group);
}

bool lobby_regroup(struct lobby *lobby, struct guest *guest, const struct address *address)
{
    struct group *group = group_of(lobby, key_of(address));
    if (!group)
        return false;
    group->count++;
    if (guest->group)
        lobby_leave_group(lobby, guest);
    guest->group = group;
    return true;
}

/* Only a few are busy. */
struct guest *lobby_oldest_of_most(const struct lobby *lobby)
{
    struct guest *oldest = NULL;
    for (unsigned i = 0; i < lobby->count; i++) {
        struct guest *guest = lobby->guests[i];
        if (guest->state == GUEST_LINGERS)
            return guest;
        if (guest->state != GUEST_BUSY && (!oldest || guest->group->count > oldest->group->count))
            oldest = guest;
    }
    return oldest;
}

/* ---- --max-per-address ---- */

/* False: out of memory. */
static bool find_key(const struct lobby *lobby, struct accepted *accepted,
                     const struct proxy_header *header)
{
    struct peer peer;
    const struct address *listener = &lobby->config.listeners->items[accepted->listener].address;
    if (header) {
        accepted->key = peer_told(header).key;
        return true;
    }
    if (!peer_init(&peer, &accepted->address, accepted->fd))
        return false;
    accepted->key = peer_tally_key(&peer, listener);
    peer_fini(&peer, listener);
    return true;
}

bool lobby_tally(const struct lobby *lobby, struct accepted *accepted,
                 const struct proxy_header *header)
{
    if (!lobby->config.tally || !find_key(lobby, accepted, header))
        return true;
    accepted->is_tallied = tally_add(lobby->config.tally, accepted->key);
    accepted->is_refused = !accepted->is_tallied && admission_refuse(lobby->config.admission);
    return accepted->is_tallied || accepted->is_refused;
}

bool lobby_tally_guest(struct lobby *lobby, struct guest *guest)
{
    char text[ADDRESS_TEXT_SIZE];
    struct accepted *accepted = &guest->accepted;
    if (!lobby_tally(lobby, accepted, guest->header)) {
        lobby_describe(lobby, guest, text);
        log_tell(lobby->config.log, LOG_ADDRESS_BUSY, 0, "%s%c", text, LOG_SEPARATOR);
        lobby_end(lobby, guest);
        return false;
    }
    if (accepted->is_refused)
        admission_client_left(lobby->config.admission);
    accepted->is_counted = !accepted->is_refused;
    return true;
}

void lobby_uncount(const struct lobby *lobby, struct accepted *accepted)
{
    if (accepted->is_tallied)
        tally_remove(lobby->config.tally, accepted->key);
    if (accepted->is_counted)
        admission_client_left(lobby->config.admission);
    if (accepted->is_refused)
        admission_refused_left(lobby->config.admission);
    accepted->is_tallied = accepted->is_counted = accepted->is_refused = false;
}
