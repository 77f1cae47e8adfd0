/* request_outbox: one chain for each loop. */
#include "server/request_outbox.h"

#include <stdbool.h>

#include "server/engine/loop.h"
#include "server/request.h"

enum { OUTBOX_LOOPS = 8 }; /* with more loops than this, each is woken a little more often */

/* One thread's answers between request_answers_begin() and _end(). */
static _Thread_local struct outbox {
    bool is_open;
    unsigned count; /* of the loops */
    struct {
        struct loop *loop;
        struct inbox_node *newest, *oldest; /* a chain, for loop_post_chain() */
    } posts[OUTBOX_LOOPS];
} outbox;

static void empty_outbox(void)
{
    for (unsigned i = 0; i < outbox.count; i++)
        loop_post_chain(outbox.posts[i].loop, outbox.posts[i].newest, outbox.posts[i].oldest);
    outbox.count = 0;
}

void request_answers_begin(void) { outbox.is_open = true; }

void request_answers_end(void)
{
    empty_outbox();
    outbox.is_open = false;
}

void request_outbox_post(struct loop *loop, struct inbox_node *node)
{
    unsigned i = 0;
    if (!outbox.is_open) {
        loop_post(loop, node);
        return;
    }
    while (i < outbox.count && outbox.posts[i].loop != loop)
        i++;
    if (i == OUTBOX_LOOPS) {
        empty_outbox();
        i = 0;
    }
    if (i == outbox.count) {
        outbox.posts[i].loop = loop;
        outbox.posts[i].oldest = node;
        outbox.count++;
    } else {
        node->next = outbox.posts[i].newest;
    }
    outbox.posts[i].newest = node;
}
