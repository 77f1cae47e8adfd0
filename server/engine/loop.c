/* loop: life, the inbox's wake-up, and the list of what is ready. */
#include "server/engine/loop.h"

#include <sys/eventfd.h>

#include "common/descriptor.h"

bool loop_init(struct loop *loop)
{
    TAILQ_INIT(&loop->ready);
    loop->wake_fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return false;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return loop->wake_fd >= 0 &&
           loop_watch(loop, EPOLL_CTL_ADD, loop->wake_fd, EPOLLIN | EPOLLET, LOOP_INBOX, NULL);
}

void loop_fini(struct loop *loop)
{
    heap_fini(&loop->deadlines);
    descriptor_close(&loop->wake_fd);
    descriptor_close(&loop->epoll_fd);
}

/* It fails only if the count is at its limit, and then the owner is about to wake up anyway. */
void loop_wake(struct loop *loop) { eventfd_write(loop->wake_fd, 1); }

void loop_post_chain(struct loop *loop, struct inbox_node *newest, struct inbox_node *oldest)
{
    if (inbox_push_chain(&loop->inbox, newest, oldest))
        loop_wake(loop);
}

void loop_post(struct loop *loop, struct inbox_node *node) { loop_post_chain(loop, node, node); }

struct inbox_node *loop_take_inbox(struct loop *loop) { return inbox_take_all(&loop->inbox); }

void loop_ready(struct loop *loop, struct loop_item *item)
{
    if (item->is_ready)
        return;
    item->is_ready = true;
    TAILQ_INSERT_TAIL(&loop->ready, item, entry);
}

void loop_unready(struct loop *loop, struct loop_item *item)
{
    if (!item->is_ready)
        return;
    item->is_ready = false;
    if (loop->pass_last == item)
        loop->pass_last = TAILQ_PREV(item, loop_items, entry);
    TAILQ_REMOVE(&loop->ready, item, entry);
}

void loop_begin_pass(struct loop *loop) { loop->pass_last = TAILQ_LAST(&loop->ready, loop_items); }

struct loop_item *loop_next_ready(struct loop *loop)
{
    if (!loop->pass_last)
        return NULL;
    struct loop_item *item = TAILQ_FIRST(&loop->ready);
    loop_unready(loop, item);
    return item;
}
