/* nats/link_messages: what is subscribed, published and fenced, on whatever wire there is. */
#include "server/nats/link_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/log/log.h"

/* In front of a fence's number, in the place of a token. */
#define FENCE 'f'

/* ---- publishing ---- */

/* Whether there is room for a message, and what says otherwise. */
static enum link_result may_publish(struct link *link, size_t size)
{
    if (!link->wire)
        return LINK_DOWN;
    if (size > wire_max_payload(link->wire))
        return LINK_TOO_LONG;
    if (link->unsent < LINK_UNSENT_MAX)
        return LINK_SENT;
    link->owes_room = true;
    return LINK_FULL;
}

static enum link_result note_published(struct link *link, bool published, size_t size)
{
    if (!published)
        return LINK_DOWN;
    link->unsent += size + LINK_UNSENT_HEAD;
    return LINK_SENT;
}

enum link_result link_publish(struct link *link, const char *subject, const char *reply,
                              const void *data, size_t size)
{
    enum link_result result = may_publish(link, size);
    if (result != LINK_SENT)
        return result;
    return note_published(link, wire_publish(link->wire, subject, reply, data, size), size);
}

enum link_result link_publish_error(struct link *link, const char *subject, unsigned status,
                                    const char *error, const void *data, size_t size)
{
    enum link_result result = may_publish(link, size + strlen(error) + LINK_HEADERS);
    if (result != LINK_SENT)
        return result;
    return note_published(link, wire_publish_error(link->wire, subject, status, error, data, size),
                          size);
}

const char *link_inbox(const struct link *link) { return link->inbox_subject; }

size_t link_max_payload(const struct link *link)
{
    return atomic_load_explicit(&link->max_payload, memory_order_relaxed);
}

/* ---- subscriptions ---- */

void link_make_subscription(struct link *link, struct link_subscription *subscription)
{
    subscription->made =
        wire_subscribe(link->wire, subscription->subject, subscription->group, subscription);
}

void link_forget(struct link_subscription *subscription)
{
    wire_forget(subscription->made);
    wire_forget(subscription->made_before);
    subscription->made = NULL;
    subscription->made_before = NULL;
}

void link_subscribe(struct link *link, struct link_subscription *subscription)
{
    subscription->made = NULL;
    subscription->made_before = NULL;
    TAILQ_INSERT_TAIL(&link->subscriptions, subscription, entry);
    if (link->wire)
        link_make_subscription(link, subscription);
}

void link_unsubscribe(struct link *link, struct link_subscription *subscription)
{
    TAILQ_REMOVE(&link->subscriptions, subscription, entry);
    TAILQ_INSERT_TAIL(&link->given_up, subscription, entry);
    subscription->last_fence = link->fence_number;
    wire_unsubscribe(subscription->made);
    wire_unsubscribe(subscription->made_before);
}

/* ---- fences ---- */

/* Asks the server for a sign that it has come so far. */
static void publish_fence(struct link *link, uint32_t number)
{
    char subject[WORDS_REPLY_SIZE];
    snprintf(subject, sizeof subject, "%s.%c%u", link->inbox_subject, FENCE, number);
    if (link->wire)
        wire_publish(link->wire, subject, NULL, "", 0);
}

void link_fence(struct link *link, struct link_fence *fence)
{
    fence->number = ++link->fence_number;
    TAILQ_INSERT_TAIL(&link->fences, fence, entry);
    publish_fence(link, fence->number);
    if (!link->wire)
        link_end_fences(link, UINT32_MAX, false);
}

void link_ping(struct link *link) { publish_fence(link, ++link->fence_number); }

void link_repeat_fences(struct link *link)
{
    struct link_fence *fence;
    TAILQ_FOREACH(fence, &link->fences, entry)
        publish_fence(link, fence->number);
}

/* What was given up before the fence is its owner's again. */
static void forget_given_up(struct link *link, uint32_t number)
{
    struct link_subscription *subscription;
    while ((subscription = TAILQ_FIRST(&link->given_up)) && subscription->last_fence < number) {
        TAILQ_REMOVE(&link->given_up, subscription, entry);
        link_forget(subscription);
    }
}

void link_end_fences(struct link *link, uint32_t number, bool arrived)
{
    struct link_fence *fence;
    while ((fence = TAILQ_FIRST(&link->fences)) && fence->number <= number) {
        TAILQ_REMOVE(&link->fences, fence, entry);
        forget_given_up(link, fence->number);
        fence->over(fence->context, arrived);
    }
}

/* ---- the inbox ---- */

static void take_reply(void *context, const struct link_message *message)
{
    struct link *link = context;
    struct link_message reply = *message;
    reply.subject += strlen(link->inbox_subject) + 1;
    if (reply.subject[0] == FENCE)
        link_end_fences(link, (uint32_t) strtoul(reply.subject + 1, NULL, 10), true);
    else if (link->owner.reply)
        link->owner.reply(link->owner.context, &reply);
}

void link_open_inbox(struct link *link, const unsigned char random[WORDS_INBOX_RANDOM])
{
    words_inbox(random, link->inbox_subject);
    snprintf(link->inbox_pattern, sizeof link->inbox_pattern, "%s.*", link->inbox_subject);
    link->replies = (struct link_subscription){
        .subject = link->inbox_pattern,
        .message = take_reply,
        .context = link,
    };
    link_subscribe(link, &link->replies);
}

/* ---- its thread ---- */

void link_post(struct link *link, struct link_task *task)
{
    if (inbox_push(&link->inbox, &task->node))
        eventfd_write(link->wake_fd, 1);
}

bool link_set_timer(struct link *link, struct link_timer *timer, int64_t at_ms)
{
    if (!timer->item.place && !heap_reserve(&link->timers, link->timers.count + 1))
        return false;
    heap_put(&link->timers, &timer->item, at_ms);
    return true;
}

void link_clear_timer(struct link *link, struct link_timer *timer)
{
    heap_remove(&link->timers, &timer->item);
}

bool link_watch(struct link *link, struct link_watch *watch)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};
    return epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) == 0;
}

int64_t link_now_ms(const struct link *link) { return link->now_ms; }

void link_figures(struct link *link, struct link_figures *figures)
{
    pthread_mutex_lock(&link->lock);
    *figures = link->figures;
    pthread_mutex_unlock(&link->lock);
}
