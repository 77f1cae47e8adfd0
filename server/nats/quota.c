/* nats/quota: up by one, down by an eighth. */
#include "server/nats/quota.h"

void quota_set_places(struct quota *quota, unsigned places)
{
    quota->least = places < QUOTA_MOST ? 2 * places : 2 * QUOTA_MOST;
    if (quota->limit < quota->least)
        quota->limit = quota->least;
}

void quota_init(struct quota *quota, unsigned places)
{
    *quota = (struct quota){0};
    quota_set_places(quota, places);
}

bool quota_takes(struct quota *quota, unsigned taken)
{
    if (taken < quota->limit)
        return true;
    quota->refused = true;
    return false;
}

void quota_answered(struct quota *quota, int64_t microseconds)
{
    if (microseconds > QUOTA_SOON_US) {
        unsigned less = quota->limit - (quota->limit + 7) / 8;
        quota->limit = less > quota->least ? less : quota->least;
    } else if (quota->refused && quota->limit < QUOTA_MOST) {
        quota->limit++;
        quota->refused = false;
    }
}
