/* nats/front_tries: where a request is sent, what comes of it, and when it is sent again. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/log/log.h"
#include "server/nats/front_state.h"

enum {
    NO_SERVER_MS = 2000,
    MAX_BACKOFF_MS = 64,
};

/* ---- slots ---- */

static void take_slot(struct front *front, struct ask *ask)
{
    if (ask->is_out)
        return;
    ask->is_out = true;
    ask->slot = front->free[--front->free_count];
    front->slots[ask->slot].generation++;
    front->slots[ask->slot].ask = ask;
    atomic_store_explicit(&front->out_now, front->window - front->free_count, memory_order_relaxed);
}

static void give_slot(struct front *front, struct ask *ask)
{
    if (!ask->is_out)
        return;
    ask->is_out = false;
    front->slots[ask->slot].ask = NULL;
    front->free[front->free_count++] = ask->slot;
    atomic_store_explicit(&front->out_now, front->window - front->free_count, memory_order_relaxed);
}

static void set_waiting(struct front *front, unsigned count)
{
    front->waiting_count = count;
    atomic_store_explicit(&front->waiting_now, count, memory_order_relaxed);
}

static void stop_waiting(struct front *front, struct ask *ask)
{
    if (!ask->waits)
        return;
    TAILQ_REMOVE(&front->waiting, ask, entry);
    ask->waits = false;
    set_waiting(front, front->waiting_count - 1);
}

/* ---- the end of one ---- */

void front_finish(struct front *front, struct ask *ask)
{
    link_clear_timer(front->link, &ask->timer);
    stop_waiting(front, ask);
    give_slot(front, ask);
    request_release(ask->request);
    free(ask);
}

static void refuse(struct front *front, struct ask *ask, const char *code, const char *text)
{
    request_refuse(ask->request, code, "%s", text);
    front_finish(front, ask);
}

static void refuse_nobody(struct front *front, struct ask *ask)
{
    request_refuse(ask->request, PROTOCOL_UNAVAILABLE, "nobody serves %s", front->service.subject);
    front_finish(front, ask);
}

static void refuse_too_long(struct front *front, struct ask *ask)
{
    request_refuse(ask->request, PROTOCOL_TOO_LONG, "the NATS server takes %zu bytes",
                   link_max_payload(front->link));
    front_finish(front, ask);
}

static const char *reply_subject(const struct front *front, const struct ask *ask, uint32_t try,
                                 char text[WORDS_REPLY_SIZE])
{
    const struct words_token token = {ask->slot, front->slots[ask->slot].generation, try};
    return words_reply_subject(link_inbox(front->link), &token, text);
}

void front_give_up(struct front *front, struct ask *ask)
{
    char subject[WORDS_SUBJECT_SIZE], gone[WORDS_GONE_SIZE], reply[WORDS_REPLY_SIZE];
    for (unsigned i = 0; i < ask->open_count; i++) {
        words_gone(words_shard(&front->service, ask->open[i].shard, subject), gone);
        reply_subject(front, ask, ask->open[i].number, reply);
        link_publish(front->link, gone, NULL, reply, strlen(reply));
    }
    counter_add(&front->given_up, 1);
    front_finish(front, ask);
}

/* ---- tries ---- */

static void set_timer(struct front *front, struct ask *ask, int64_t at_ms)
{
    if (!link_set_timer(front->link, &ask->timer, at_ms))
        refuse(front, ask, PROTOCOL_HANDLER_FAILED, "out of memory");
}

void front_wait_for_server(struct front *front, struct ask *ask)
{
    if (ask->open_count == 0)
        set_timer(front, ask, link_now_ms(front->link) + NO_SERVER_MS);
}

/* Puts it at the end of those that wait; or at their head, if it was there before. */
static void wait(struct front *front, struct ask *ask, bool first)
{
    if (ask->waits)
        return;
    ask->waits = true;
    if (first)
        TAILQ_INSERT_HEAD(&front->waiting, ask, entry);
    else
        TAILQ_INSERT_TAIL(&front->waiting, ask, entry);
    set_waiting(front, front->waiting_count + 1);
    if (!front->is_up)
        front_wait_for_server(front, ask);
}

/* Lets it rest until then, and keeps its slot. Nobody has begun it, unless another try is open. */
static void rest(struct front *front, struct ask *ask, int64_t at_ms)
{
    if (ask->open_count == 0)
        request_defer(ask->request);
    set_timer(front, ask, at_ms);
}

static void note_sent(struct front *front, struct ask *ask, unsigned shard)
{
    ask->open[ask->open_count].number = ask->last_try;
    ask->open[ask->open_count++].shard = shard;
    ask->late_ms = CLOCK_NEVER;
    counter_add(&front->tries, 1);
    if (!front->options.runs_again || ask->unanswered == FRONT_TRIES - 1) {
        link_clear_timer(front->link, &ask->timer);
        return;
    }
    ask->late_ms = link_now_ms(front->link) + (front->options.try_ms << ask->unanswered);
    set_timer(front, ask, ask->late_ms);
}

/* Publishes the next try, with a slot. The ask is gone if it could not be, for its own sake. */
static enum link_result publish(struct front *front, struct ask *ask, unsigned shard)
{
    char subject[WORDS_SUBJECT_SIZE], reply[WORDS_REPLY_SIZE];
    reply_subject(front, ask, ask->last_try + 1, reply);
    enum link_result result =
        link_publish(front->link, words_shard(&front->service, shard, subject), reply,
                     request_message(ask->request), request_size(ask->request));
    if (result != LINK_SENT)
        return result;
    ask->last_try++;
    note_sent(front, ask, shard);
    return result;
}

/* Begins a try, with a slot, and room to send. False: there is no room after all. */
static bool try(struct front *front, struct ask *ask)
{
    unsigned shard;
    int64_t again_ms;
    if (!shards_choose(&front->shards, &front->chance, link_now_ms(front->link), &shard,
                       &again_ms)) {
        rest(front, ask, again_ms);
        return true;
    }
    if (!request_begin(ask->request)) {
        front_give_up(front, ask);
        return true;
    }
    switch (publish(front, ask, shard)) {
    case LINK_SENT:
        return true;
    case LINK_TOO_LONG:
        refuse_too_long(front, ask);
        return true;
    case LINK_FULL:
        front->is_blocked = true;
        break;
    case LINK_DOWN:
        front->is_up = false;
        break;
    }
    if (ask->open_count == 0)
        request_defer(ask->request);
    return false;
}

static bool can_send(const struct front *front, const struct ask *ask)
{
    return front->is_up && !front->is_blocked && (ask->is_out || front->free_count > 0) &&
           !atomic_load_explicit(&front->is_recalled, memory_order_relaxed);
}

/* Those that have a slot come first. */
void front_send(struct front *front, struct ask *ask)
{
    bool must_wait = !ask->is_out && !TAILQ_EMPTY(&front->waiting);
    if (must_wait || !can_send(front, ask)) {
        wait(front, ask, ask->is_out);
        return;
    }
    if (!ask->is_out && !shards_admit(&front->shards, link_now_ms(front->link))) {
        refuse_nobody(front, ask);
        return;
    }
    take_slot(front, ask);
    if (!try(front, ask))
        wait(front, ask, true);
}

void front_pump(struct front *front)
{
    struct ask *ask;
    while ((ask = TAILQ_FIRST(&front->waiting)) && can_send(front, ask)) {
        stop_waiting(front, ask);
        link_clear_timer(front->link, &ask->timer);
        if (request_is_over(ask->request))
            front_give_up(front, ask);
        else if (!ask->is_out && !shards_admit(&front->shards, link_now_ms(front->link)))
            refuse_nobody(front, ask);
        else {
            take_slot(front, ask);
            if (!try(front, ask))
                wait(front, ask, true);
        }
    }
}

void front_due(void *context, struct link_timer *timer)
{
    struct ask *ask = context;
    struct front *front = ask->front;
    (void) timer;
    if (request_is_over(ask->request)) {
        front_give_up(front, ask);
    } else if (ask->waits) {
        if (!front->is_up && ask->open_count == 0)
            refuse(front, ask, PROTOCOL_UNAVAILABLE, "no NATS server");
    } else if (ask->open_count == 0 && front->shards.is_down && ask->nobody_since_ms) {
        refuse_nobody(front, ask);
    } else {
        if (ask->open_count > 0 && ask->late_ms <= link_now_ms(front->link)) {
            ask->unanswered++;
            counter_add(&front->overdue, 1);
        }
        front_send(front, ask);
    }
}

/* ---- replies ---- */

static void be_served(struct front *front, unsigned shard)
{
    if (!shards_served(&front->shards, shard, link_now_ms(front->link)))
        return;
    atomic_store_explicit(&front->is_down, false, memory_order_relaxed);
    log_tell(front->log, LOG_SERVICE_UP, 0, "%s", front->service.subject);
}

/* This try is over. */
static void close_try(struct ask *ask, unsigned index)
{
    ask->open[index] = ask->open[--ask->open_count];
}

static void be_busy(struct front *front, struct ask *ask)
{
    unsigned least = ask->backoff_ms;
    counter_add(&front->busy, 1);
    ask->nobody_since_ms = 0;
    ask->backoff_ms = least == 0 ? 1 : least * 2 > MAX_BACKOFF_MS ? MAX_BACKOFF_MS : least * 2;
    unsigned half = ask->backoff_ms / 2;
    int64_t pause_ms = half + 1 + chance_below(&front->chance, ask->backoff_ms);
    rest(front, ask, link_now_ms(front->link) + pause_ms);
}

static void be_nobody(struct front *front, struct ask *ask, unsigned shard)
{
    bool news;
    int64_t now_ms = link_now_ms(front->link);
    counter_add(&front->nobody, 1);
    if (!ask->nobody_since_ms)
        ask->nobody_since_ms = now_ms;
    bool is_down = shards_empty(&front->shards, shard, ask->nobody_since_ms, now_ms, &news);
    if (news) {
        atomic_store_explicit(&front->is_down, true, memory_order_relaxed);
        log_tell(front->log, LOG_SERVICE_DOWN, 0, "%s", front->service.subject);
    }
    if (ask->open_count > 0)
        return; /* somebody may still answer */
    if (is_down || now_ms - ask->nobody_since_ms >= SHARDS_DOWN_MS) {
        refuse_nobody(front, ask);
        return;
    }
    request_defer(ask->request);
    front_send(front, ask);
}

/* A worker machine's error is a reply as it is; of others there is only a text. */
static void answer_error(struct front *front, struct ask *ask, const struct link_message *message)
{
    if (protocol_is_error(message->data, message->size))
        request_reply(ask->request, message->data, message->size);
    else
        request_refuse(ask->request, PROTOCOL_HANDLER_FAILED, "%s",
                       *message->error ? message->error : "the service has failed");
    front_finish(front, ask);
}

static bool find_try(const struct ask *ask, uint32_t try, unsigned *index)
{
    for (*index = 0; *index < ask->open_count; ++*index)
        if (ask->open[*index].number == try)
            return true;
    return false;
}

void front_reply(struct front *front, struct ask *ask, uint32_t try,
                 const struct link_message *message)
{
    unsigned index;
    if (!find_try(ask, try, &index)) {
        counter_add(&front->late, 1);
        return;
    }
    unsigned shard = ask->open[index].shard;
    close_try(ask, index);
    if (message->status == WORDS_NOBODY && !message->error) {
        be_nobody(front, ask, shard);
        return;
    }
    be_served(front, shard);
    if (message->status == WORDS_BUSY) {
        be_busy(front, ask);
    } else if (message->status != 0) {
        answer_error(front, ask, message);
    } else {
        request_reply(ask->request, message->data, message->size);
        front_finish(front, ask);
    }
}
