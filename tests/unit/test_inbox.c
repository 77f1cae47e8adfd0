/* inbox: the order of the nodes, when the owner is to be woken, and many threads at once. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/engine/inbox.h"

enum { THREADS = 4, NODES = 20000 };

static void nodes_are_taken_the_oldest_first(void **state)
{
    (void) state;
    struct inbox inbox = {NULL};
    struct inbox_node nodes[3] = {0};
    for (int i = 0; i < 3; i++)
        inbox_push(&inbox, &nodes[i]);
    struct inbox_node *node = inbox_take_all(&inbox);
    for (int i = 0; i < 3; i++, node = node->next)
        assert_ptr_equal(node, &nodes[i]);
    assert_null(node);
}

static void a_chain_keeps_its_order(void **state)
{
    (void) state;
    struct inbox inbox = {NULL};
    struct inbox_node nodes[6] = {0};
    nodes[2].next = &nodes[1];
    nodes[1].next = &nodes[0];
    nodes[4].next = &nodes[3];
    assert_true(inbox_push_chain(&inbox, &nodes[2], &nodes[0]));
    assert_false(inbox_push_chain(&inbox, &nodes[4], &nodes[3]));
    assert_false(inbox_push(&inbox, &nodes[5]));
    struct inbox_node *node = inbox_take_all(&inbox);
    for (int i = 0; i < 6; i++, node = node->next)
        assert_ptr_equal(node, &nodes[i]);
    assert_null(node);
}

static void only_a_push_onto_an_empty_inbox_says_so(void **state)
{
    (void) state;
    struct inbox inbox = {NULL};
    struct inbox_node nodes[2] = {0};
    for (int round = 0; round < 2; round++) {
        assert_true(inbox_push(&inbox, &nodes[0]));
        assert_false(inbox_push(&inbox, &nodes[1]));
        assert_non_null(inbox_take_all(&inbox));
    }
}

static void nothing_is_taken_from_an_empty_inbox(void **state)
{
    (void) state;
    struct inbox inbox = {NULL};
    struct inbox_node node = {0};
    assert_null(inbox_take_all(&inbox));
    inbox_push(&inbox, &node);
    assert_ptr_equal(inbox_take_all(&inbox), &node);
    assert_null(inbox_take_all(&inbox));
}

/* ---- many threads ---- */

struct numbered {
    struct inbox_node node; /* first */
    unsigned thread, number;
};

struct pusher {
    struct inbox *inbox;
    struct numbered *nodes; /* NODES of them */
    unsigned woken;         /* pushes onto an empty inbox */
    pthread_t thread;
};

static void *push_all(void *argument)
{
    struct pusher *pusher = argument;
    for (unsigned i = 0; i < NODES; i++)
        pusher->woken += inbox_push(pusher->inbox, &pusher->nodes[i].node);
    return NULL;
}

static void start(struct pusher *pusher, struct inbox *inbox, unsigned thread)
{
    *pusher = (struct pusher){.inbox = inbox, .nodes = calloc(NODES, sizeof *pusher->nodes)};
    assert_non_null(pusher->nodes);
    for (unsigned i = 0; i < NODES; i++) {
        pusher->nodes[i].thread = thread;
        pusher->nodes[i].number = i;
    }
    assert_int_equal(pthread_create(&pusher->thread, NULL, push_all, pusher), 0);
}

static void nothing_is_lost_when_many_threads_push(void **state)
{
    (void) state;
    struct inbox inbox = {NULL};
    struct pusher pushers[THREADS];
    unsigned next[THREADS] = {0}, batches = 0, woken = 0;
    for (unsigned i = 0; i < THREADS; i++)
        start(&pushers[i], &inbox, i);
    for (unsigned taken = 0; taken < THREADS * NODES;) {
        struct inbox_node *node = inbox_take_all(&inbox);
        batches += node != NULL;
        if (!node)
            sched_yield();
        for (; node; node = node->next, taken++) {
            const struct numbered *numbered = (struct numbered *) node;
            assert_int_equal(numbered->number, next[numbered->thread]++); /* each thread's order */
        }
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(pushers[i].thread, NULL);
        woken += pushers[i].woken;
        free(pushers[i].nodes);
    }
    assert_null(inbox_take_all(&inbox));
    assert_int_equal(woken, batches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_are_taken_the_oldest_first),
        cmocka_unit_test(a_chain_keeps_its_order),
        cmocka_unit_test(only_a_push_onto_an_empty_inbox_says_so),
        cmocka_unit_test(nothing_is_taken_from_an_empty_inbox),
        cmocka_unit_test(nothing_is_lost_when_many_threads_push),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
