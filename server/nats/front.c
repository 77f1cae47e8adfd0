/* nats/front: from calls to the link's thread, and the front's beginning and end. */
#include "server/nats/front.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/nats/front_state.h"

enum {
    SCAN_MS = 50,
    SCAN_SLOTS = 4096,    /* at a time */
    SCANS_OF_WAITING = 5, /* each so many scans those that wait are looked at, too */
    DESCRIPTORS = 16,     /* of a link, and those that libnats opens meanwhile */
};

/* ---- requests ---- */

static void set_full(struct front *front)
{
    unsigned count = front->window - front->free_count + front->waiting_count;
    bool is_full = count >= (front->is_full ? front->window - front->window / 8 : front->window);
    if (is_full == front->is_full)
        return;
    front->is_full = is_full;
    handler_set_full(front->handler, is_full);
}

/* One has come to the link's thread. */
static void arrive(void *context, struct link_task *task)
{
    struct ask *ask = (struct ask *) task;
    struct front *front = context;
    if (!front->scan.item.place)
        link_set_timer(front->link, &front->scan, link_now_ms(front->link) + SCAN_MS);
    front_send(front, ask);
}

static void handle(struct handler *handler, struct request *request)
{
    struct front *front = handler->state;
    struct ask *ask = malloc(sizeof *ask);
    if (!ask || !request_hold(request)) {
        free(ask);
        request_refuse(request, PROTOCOL_HANDLER_FAILED, "out of memory");
        return;
    }
    *ask = (struct ask){
        .task = {.run = arrive, .context = front},
        .request = request,
        .front = front,
        .late_ms = CLOCK_NEVER,
        .timer = {.due = front_due, .context = ask},
    };
    request_defer(request);
    link_post(front->link, &ask->task);
}

/* ---- those that nobody waits for any more ---- */

static void scan_waiting(struct front *front)
{
    struct ask *ask = TAILQ_FIRST(&front->waiting);
    while (ask) {
        struct ask *next = TAILQ_NEXT(ask, entry);
        if (request_is_over(ask->request))
            front_give_up(front, ask);
        ask = next;
    }
}

static void scan_slots(struct front *front)
{
    unsigned count = front->window < SCAN_SLOTS ? front->window : SCAN_SLOTS;
    for (; count > 0; count--) {
        struct ask *ask = front->slots[front->scanned].ask;
        front->scanned = (front->scanned + 1) % front->window;
        if (ask && request_is_over(ask->request))
            front_give_up(front, ask);
    }
}

static void scan_due(void *context, struct link_timer *timer)
{
    struct front *front = context;
    scan_slots(front);
    if (++front->scans % SCANS_OF_WAITING == 0)
        scan_waiting(front);
    if (front->free_count < front->window || front->waiting_count > 0)
        link_set_timer(front->link, timer, link_now_ms(front->link) + SCAN_MS);
}

/* ---- the link ---- */

static void up(void *context)
{
    struct front *front = context;
    front->is_up = true;
    front->is_blocked = false;
    front_pump(front);
}

static void down(void *context)
{
    struct front *front = context;
    front->is_up = false;
    struct ask *ask = TAILQ_FIRST(&front->waiting);
    while (ask) {
        struct ask *next = TAILQ_NEXT(ask, entry);
        front_wait_for_server(front, ask);
        ask = next;
    }
}

static void room(void *context)
{
    struct front *front = context;
    front->is_blocked = false;
    front_pump(front);
}

static void reply(void *context, const struct link_message *message)
{
    struct front *front = context;
    struct words_token token;
    bool is_right = words_read_token(message->subject, &token) && token.slot < front->window &&
                    front->slots[token.slot].ask &&
                    front->slots[token.slot].generation == token.generation;
    if (is_right)
        front_reply(front, front->slots[token.slot].ask, token.try, message);
    else
        counter_add(&front->late, 1);
}

static void begin(void *context)
{
    (void) context;
    request_answers_begin();
}

static void end(void *context)
{
    struct front *front = context;
    front_pump(front);
    set_full(front);
    request_answers_end();
}

/* ---- the stop ---- */

static void see_recall(void *context, struct link_task *task)
{
    struct front *front = context;
    (void) task;
    atomic_store_explicit(&front->recall_is_seen, true, memory_order_release);
}

/* What waits is deferred, and what is out was begun. */
static bool recall(struct handler *handler)
{
    struct front *front = handler->state;
    if (!atomic_exchange(&front->is_recalled, true)) {
        front->recall = (struct link_task){.run = see_recall, .context = front};
        link_post(front->link, &front->recall);
    }
    return atomic_load_explicit(&front->recall_is_seen, memory_order_acquire);
}

/* ---- opening and closing ---- */

static bool allocate(struct front *front)
{
    unsigned shards = front->service.shards ? front->service.shards : 1;
    front->slots = calloc(front->window, sizeof *front->slots);
    front->free = calloc(front->window, sizeof *front->free);
    if (!shards_init(&front->shards, shards) || !front->slots || !front->free)
        return false;
    for (unsigned i = 0; i < front->window; i++)
        front->free[i] = front->window - 1 - i;
    front->free_count = front->window;
    return true;
}

static void front_free(struct front *front)
{
    shards_fini(&front->shards);
    free(front->slots);
    free(front->free);
    free(front);
}

static struct front *front_new(struct handler *handler, const struct handler_spec *spec,
                               const struct handler_host *host, struct error *error)
{
    struct front *front = calloc(1, sizeof *front);
    if (!front) {
        error_set(error, "out of memory");
        return NULL;
    }
    front->handler = handler;
    front->log = host->log;
    front->options = *spec->nats;
    front->window = spec->nats->window ? spec->nats->window : NATS_DEFAULT_WINDOW;
    front->scan = (struct link_timer){.due = scan_due, .context = front};
    TAILQ_INIT(&front->waiting);
    chance_init(&front->chance);
    if (words_parse(&front->service, spec->argument, error) &&
        (allocate(front) || error_set(error, "out of memory")))
        return front;
    front_free(front);
    return NULL;
}

static bool open_link(struct front *front, const struct handler_host *host, struct error *error)
{
    snprintf(front->connection, sizeof front->connection, "banterd front %s",
             front->service.subject);
    const struct link_plan plan = {
        .service = &front->service,
        .secrets = {front->options.login, front->options.authorities, front->options.certificate,
                    front->options.key},
        .name = front->connection,
        .owner = {.up = up,
                  .down = down,
                  .room = room,
                  .reply = reply,
                  .begin = begin,
                  .end = end,
                  .context = front},
        .log = host->log,
        .max_message = host->max_message,
    };
    front->link = link_open(&plan, error);
    if (front->link && link_start(front->link, host->stop_fd, error))
        return true;
    link_stop(front->link);
    return false;
}

static bool open_front(struct handler *handler, const struct handler_spec *spec,
                       const struct handler_host *host, struct error *error)
{
    struct front *front = front_new(handler, spec, host, error);
    if (!front)
        return false;
    handler->state = front;
    handler->descriptors = DESCRIPTORS;
    if (open_link(front, host, error))
        return true;
    front_free(front);
    return false;
}

static void close_front(struct handler *handler)
{
    struct front *front = handler->state;
    struct ask *ask;
    link_stop(front->link);
    while ((ask = TAILQ_FIRST(&front->waiting))) {
        TAILQ_REMOVE(&front->waiting, ask, entry);
        request_release(ask->request);
        if (ask->is_out)
            front->slots[ask->slot].ask = NULL;
        free(ask);
    }
    for (unsigned i = 0; i < front->window; i++)
        if ((ask = front->slots[i].ask)) {
            request_release(ask->request);
            free(ask);
        }
    front_free(front);
}

/* ---- for those who watch over it ---- */

static void front_figures(struct handler *handler, struct nats_front_figures *figures)
{
    struct front *front = handler->state;
    struct link_figures link;
    link_figures(front->link, &link);
    *figures = (struct nats_front_figures){
        .is_down = atomic_load_explicit(&front->is_down, memory_order_relaxed),
        .connects = link.connects,
        .losses = link.losses,
        .out = atomic_load_explicit(&front->out_now, memory_order_relaxed),
        .waiting = atomic_load_explicit(&front->waiting_now, memory_order_relaxed),
        .tries = counter_get(&front->tries),
        .busy = counter_get(&front->busy),
        .nobody = counter_get(&front->nobody),
        .overdue = counter_get(&front->overdue),
        .late = counter_get(&front->late),
        .given_up = counter_get(&front->given_up),
    };
    snprintf(figures->server, sizeof figures->server, "%s", link.server);
}

const struct handler_kind front_kind = {
    .name = "nats",
    .open = open_front,
    .handle = handle,
    .close = close_front,
    .recall = recall,
    .front_figures = front_figures,
};
