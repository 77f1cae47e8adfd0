/* nats/link_wires: from one server to the next. */
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "server/log/log.h"
#include "server/nats/link_state.h"

enum {
    PING_MS = 500,
    SILENT_PINGS = 2,
    AGAIN_MS = 100, /* to the next try to connect, and up to twice that */
    AGAIN_REFUSED_MS = 1000,
    LEAVE_MS = 2000, /* a server that leaves is listened to for so long behind its successor */
    HANG_MS = 10000, /* of a connector */
};

static void set_timer(struct link *link, struct link_timer *timer, int64_t in_ms)
{
    link_set_timer(link, timer, link->now_ms + in_ms); /* there is room for all of them */
}

/* ---- what others see ---- */

/* Returns whether somebody waits for that: link_start(). */
static bool announce_start(struct link *link, enum link_start start, const struct error *refusal)
{
    pthread_mutex_lock(&link->lock);
    bool is_awaited = link->start == LINK_STARTING;
    if (is_awaited) {
        link->start = start;
        if (refusal)
            link->refusal = *refusal;
        eventfd_write(link->start_fd, 1);
    }
    pthread_mutex_unlock(&link->lock);
    return is_awaited;
}

static void count_connect(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    link->figures.is_up = true;
    link->figures.connects++;
    snprintf(link->figures.server, sizeof link->figures.server, "%s",
             link->servers[link->server].address);
    pthread_mutex_unlock(&link->lock);
}

static void count_loss(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    link->figures.is_up = false;
    link->figures.losses++;
    link->figures.server[0] = '\0';
    pthread_mutex_unlock(&link->lock);
}

static void note_max_payload(struct link *link)
{
    size_t size = wire_max_payload(link->wire);
    if (atomic_exchange_explicit(&link->max_payload, size, memory_order_relaxed) != size &&
        size < link->max_message)
        log_tell(link->log, LOG_NATS_MAX_PAYLOAD, 0, "%s%c%zu%c%zu",
                 link->servers[link->server].address, LOG_SEPARATOR, size, LOG_SEPARATOR,
                 link->max_message);
}

/* ---- leaving ---- */

static void close_before(struct link *link)
{
    struct link_subscription *subscription;
    wire_close(link->before);
    link->before = NULL;
    TAILQ_FOREACH(subscription, &link->subscriptions, entry) {
        wire_forget(subscription->made_before);
        subscription->made_before = NULL;
    }
    link_clear_timer(link, &link->leave);
}

/* The wire becomes that of a server which leaves: nothing is taken from its queues any more, but
 * answers may still come. */
static void step_back(struct link *link)
{
    struct link_subscription *subscription;
    if (link->before)
        close_before(link);
    TAILQ_FOREACH(subscription, &link->subscriptions, entry) {
        subscription->made_before = subscription->made;
        subscription->made = NULL;
        if (subscription->group)
            wire_unsubscribe(subscription->made_before);
    }
    link->before = link->wire;
    link->polls_write_before = link->polls_write;
    link->wire = NULL;
    set_timer(link, &link->leave, LEAVE_MS);
}

static void leave_due(void *context, struct link_timer *timer)
{
    (void) timer;
    close_before(context);
}

static void server_leaves(void *context, struct wire *wire)
{
    struct link *link = context;
    if (wire != link->wire || link->server_count == 1)
        return;
    link->is_leaving = true;
    link_connect(link);
}

/* ---- up and down ---- */

static void take_message(void *context, void *subscriber, const struct link_message *message)
{
    struct link_subscription *subscription = subscriber;
    (void) context;
    subscription->message(subscription->context, message);
}

static void is_denied(void *context, struct wire *wire, const char *why)
{
    struct link *link = context;
    if (wire == link->wire)
        log_tell(link->log, LOG_NATS_DENIED, 0, "%s%c%s", link->servers[link->server].address,
                 LOG_SEPARATOR, why);
}

/* The wire is used from now on. */
static void use(struct link *link, const struct connector_report *report)
{
    const struct wire_hearer hearer = {
        .inbox = &link->inbox,
        .wake_fd = link->wake_fd,
        .message = take_message,
        .leaving = server_leaves,
        .denied = is_denied,
        .context = link,
    };
    struct link_subscription *subscription;
    link->wire = report->wire;
    link->server = report->server;
    link->polls_write = false;
    link->is_leaving = false;
    link->logged = WIRE_OPEN;
    link->was_heard = true;
    link->silent = 0;
    link->unsent = 0;
    wire_attach(link->wire, &hearer);
    connector_watch(link->connectors[link->connector_count - 1],
                    wire_is_tls(link->wire) ? link->wire : NULL);
    link_poll_wire(link, link->wire, &link->polls_write);
    TAILQ_FOREACH(subscription, &link->subscriptions, entry)
        link_make_subscription(link, subscription);
    set_timer(link, &link->ping, PING_MS);
}

static void connected(struct link *link, const struct connector_report *report)
{
    bool moves = link->wire;
    if (moves && !link->is_leaving) {
        wire_close(report->wire); /* of a connector that hung */
        return;
    }
    if (moves)
        step_back(link);
    use(link, report);
    log_tell(link->log, LOG_NATS_CONNECTED, 0, "%s%c%s", link->servers[link->server].address,
             LOG_SEPARATOR, report->version);
    note_max_payload(link);
    count_connect(link);
    announce_start(link, LINK_STARTED, NULL);
    if (moves)
        link_repeat_fences(link);
    else if (link->owner.up)
        link->owner.up(link->owner.context);
}

static void close_wire(struct link *link)
{
    struct link_subscription *subscription;
    if (!link->wire)
        return;
    connector_watch(link->connectors[link->connector_count - 1], NULL);
    link_clear_timer(link, &link->ping);
    wire_close(link->wire);
    link->wire = NULL;
    TAILQ_FOREACH(subscription, &link->subscriptions, entry) {
        wire_forget(subscription->made);
        subscription->made = NULL;
    }
}

void link_close_wires(struct link *link)
{
    close_wire(link);
    if (link->before)
        close_before(link);
}

static void lose(struct link *link, const char *why)
{
    log_tell(link->log, LOG_NATS_LOST, 0, "%s%c%s", link->servers[link->server].address,
             LOG_SEPARATOR, why);
    link_close_wires(link);
    count_loss(link);
    link->owes_room = false;
    if (link->owner.down)
        link->owner.down(link->owner.context);
    uint32_t last = link->fence_number;
    link_run_tasks(link); /* what had come before */
    link_end_fences(link, last, false);
    set_timer(link, &link->connect, AGAIN_MS + chance_below(&link->chance, AGAIN_MS));
}

void link_check_wires(struct link *link)
{
    char why[WIRE_WHY_SIZE];
    if (link->wire && wire_is_lost(link->wire, why))
        lose(link, why);
    if (link->before && wire_is_lost(link->before, why))
        close_before(link);
}

static void ping_due(void *context, struct link_timer *timer)
{
    struct link *link = context;
    if (link->was_heard)
        link->silent = 0;
    link->was_heard = false;
    if (link->silent == SILENT_PINGS) {
        lose(link, "it does not answer");
        return;
    }
    link->silent++;
    link_ping(link);
    set_timer(link, timer, PING_MS);
}

/* ---- connecting ---- */

/* Logs why there is none, once as long as that is so; but a refusal also behind the news that none
 * could be reached. */
static void log_why(struct link *link, const struct connector_report *report)
{
    if (link->logged == WIRE_REFUSED || link->logged == report->result)
        return;
    link->logged = report->result;
    log_tell(link->log, report->result == WIRE_REFUSED ? LOG_NATS_REFUSED : LOG_NATS_AWAY, 0, "%s",
             report->error.text);
}

static void reported(void *context, const struct connector_report *report)
{
    struct link *link = context;
    bool refused = report->result == WIRE_REFUSED;
    link->is_ordered = false;
    link_clear_timer(link, &link->hang);
    if (report->result == WIRE_OPEN) {
        connected(link, report);
        return;
    }
    bool is_awaited = announce_start(link, refused ? LINK_REFUSED : LINK_STARTED, &report->error);
    if (!is_awaited || !refused) /* that ends the start, which says so */
        log_why(link, report);
    int64_t again_ms = refused ? AGAIN_REFUSED_MS : AGAIN_MS;
    set_timer(link, &link->connect, again_ms + chance_below(&link->chance, (unsigned) again_ms));
}

bool link_start_connector(struct link *link, struct error *error)
{
    const struct connector_plan plan = {
        .wire = link->wire_plan,
        .servers = link->servers,
        .count = link->server_count,
        .inbox = &link->inbox,
        .wake_fd = link->wake_fd,
        .reported = reported,
        .context = link,
    };
    struct connector *connector = connector_start(&plan, error);
    if (connector)
        link->connectors[link->connector_count++] = connector;
    return connector;
}

void link_connect(struct link *link)
{
    if (link->is_ordered || (link->wire && !link->is_leaving))
        return;
    link->is_ordered = true;
    connector_order(link->connectors[link->connector_count - 1], link->server + 1,
                    link->wire ? (int) link->server : -1);
    set_timer(link, &link->hang, HANG_MS);
}

static void connect_due(void *context, struct link_timer *timer)
{
    (void) timer;
    link_connect(context);
}

/* The connector hangs in the library: another one goes on. */
static void hang_due(void *context, struct link_timer *timer)
{
    struct link *link = context;
    struct error error;
    struct connector *last = link->connectors[link->connector_count - 1];
    if (link->connector_count == LINK_CONNECTORS || !link_start_connector(link, &error)) {
        set_timer(link, timer, HANG_MS);
        return;
    }
    connector_watch(last, NULL);
    connector_stop(last, false);
    link->is_ordered = false;
    link_connect(link);
}

void link_init_wires(struct link *link)
{
    link->connect = (struct link_timer){.due = connect_due, .context = link};
    link->ping = (struct link_timer){.due = ping_due, .context = link};
    link->leave = (struct link_timer){.due = leave_due, .context = link};
    link->hang = (struct link_timer){.due = hang_due, .context = link};
}
