/* linger: an array, since most that leave early came last. */
#include "server/session/linger.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

struct session *linger_oldest(const struct linger_list *linger)
{
    return linger_count(linger) ? linger->sessions[0] : NULL;
}

void linger_add(struct linger_list *linger, struct session *session)
{
    assert(linger_count(linger) < LINGER_MAX);
    linger->sessions[linger->count++] = session;
}

void linger_remove(struct linger_list *linger, const struct session *session)
{
    unsigned count = linger_count(linger), place = count;
    do {
        if (place == 0)
            return;
        place--;
    } while (linger->sessions[place] != session);
    memmove(&linger->sessions[place], &linger->sessions[place + 1],
            (count - place - 1) * sizeof linger->sessions[0]);
    linger->count--;
}
