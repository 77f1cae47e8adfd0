/* admission: counting. */
#include "server/net/admission.h"

enum admission_verdict admission_ask(struct admission *admission, uint64_t *number)
{
    *number = 0;
    if (atomic_load(&admission->clients) < admission->max_clients) {
        atomic_fetch_add(&admission->clients, 1);
        *number = atomic_fetch_add(&admission->accepted, 1) + 1;
        return ADMISSION_CLIENT;
    }
    if (atomic_load(&admission->refused) >= ADMISSION_MAX_REFUSED)
        return ADMISSION_FULL;
    atomic_fetch_add(&admission->refused, 1);
    return ADMISSION_BUSY;
}

void admission_take_back(struct admission *admission, uint64_t number)
{
    if (!number) {
        admission_refused_left(admission);
        return;
    }
    admission_client_left(admission);
    /* If there is a later one by now it keeps its number, and this number is not used again. */
    atomic_compare_exchange_strong(&admission->accepted, &number, number - 1);
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
