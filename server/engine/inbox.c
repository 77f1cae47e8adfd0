/* inbox: a stack that is pushed one node at a time and taken whole, so there is no ABA to think
 * of. */
#include "server/engine/inbox.h"

#include <stddef.h>

bool inbox_push_chain(struct inbox *inbox, struct inbox_node *newest, struct inbox_node *oldest)
{
    struct inbox_node *before = atomic_load_explicit(&inbox->newest, memory_order_relaxed);
    do {
        oldest->next = before;
    } while (!atomic_compare_exchange_weak_explicit(&inbox->newest, &before, newest,
                                                    memory_order_acq_rel, memory_order_relaxed));
    return before == NULL;
}

bool inbox_push(struct inbox *inbox, struct inbox_node *node)
{
    return inbox_push_chain(inbox, node, node);
}

struct inbox_node *inbox_take_all(struct inbox *inbox)
{
    struct inbox_node *node = atomic_exchange_explicit(&inbox->newest, NULL, memory_order_acq_rel);
    struct inbox_node *oldest_first = NULL;
    while (node) {
        struct inbox_node *next = node->next;
        node->next = oldest_first;
        oldest_first = node;
        node = next;
    }
    return oldest_first;
}
