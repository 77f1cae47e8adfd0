/* admission: counting. */
#include "server/net/admission.h"

#include "common/protocol.h"

const struct admission_words *admission_words(enum admission_refusal refusal)
{
    static const struct admission_words words[] = {
        [ADMISSION_BUSY] = {PROTOCOL_BUSY, "too many clients, try again later"},
        [ADMISSION_ADDRESS_BUSY] = {PROTOCOL_BUSY, "too many clients of your address"},
        [ADMISSION_DENIED] = {PROTOCOL_DENIED, "this client is not served"},
    };
    return &words[refusal];
}

static bool count_up(atomic_uint *count, unsigned most)
{
    unsigned before = atomic_load(count);
    while (before < most)
        if (atomic_compare_exchange_weak(count, &before, before + 1))
            return true;
    return false;
}

bool admission_enter(struct admission *admission)
{
    return count_up(&admission->clients, admission->max_clients);
}

uint64_t admission_errand(struct admission *admission)
{
    return atomic_fetch_add(&admission->numbers, 1) + 1;
}

uint64_t admission_number(struct admission *admission)
{
    atomic_fetch_add(&admission->accepted, 1);
    return admission_errand(admission);
}

bool admission_refuse(struct admission *admission)
{
    return count_up(&admission->refused, ADMISSION_MAX_REFUSED);
}

void admission_client_left(struct admission *admission)
{
    atomic_fetch_sub(&admission->clients, 1);
}

void admission_refused_left(struct admission *admission)
{
    atomic_fetch_sub(&admission->refused, 1);
}

void admission_lingers(struct admission *admission) { atomic_fetch_add(&admission->lingering, 1); }

void admission_lingered(struct admission *admission) { atomic_fetch_sub(&admission->lingering, 1); }

bool admission_is_crowded(const struct admission *admission)
{
    unsigned lingering = atomic_load(&admission->lingering);
    return lingering > 0 && atomic_load(&admission->clients) + lingering > admission->max_sockets;
}
