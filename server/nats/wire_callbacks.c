/* nats/wire_callbacks: what the library calls, in threads of its own or within its functions. It
 * goes into the link's inbox. */
#include "server/nats/wire_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- what they share ---- */

struct wire_shared *wire_shared_new(void)
{
    struct wire_shared *shared = calloc(1, sizeof *shared);
    if (!shared)
        return NULL;
    pthread_mutex_init(&shared->lock, NULL);
    atomic_init(&shared->references, 1);
    return shared;
}

void wire_drop(struct wire_shared *shared)
{
    if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

struct wire_shared *wire_share(struct wire_shared *shared)
{
    atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

/* With the lock held. */
static void push(struct wire_shared *shared, struct link_task *task)
{
    if (inbox_push(shared->hearer.inbox, &task->node))
        eventfd_write(shared->hearer.wake_fd, 1);
}

/* ---- the event loop ---- */

static natsStatus attach(void **data, void *loop, natsConnection *connection, natsSock socket)
{
    (void) connection;
    struct wire *wire = loop;
    *data = loop;
    wire->fd = socket;
    wire->own_fd = dup(socket);
    return wire->own_fd < 0 ? NATS_SYS_ERROR : NATS_OK;
}

static natsStatus change_reading(void *data, bool add)
{
    (void) data, (void) add; /* who reads sees that it is lost */
    return NATS_OK;
}

/* From any thread: one of the library ends a subscription. */
static natsStatus change_writing(void *data, bool add)
{
    struct wire_shared *shared = ((struct wire *) data)->shared;
    if (atomic_exchange(&shared->wants_write, add) || !add)
        return NATS_OK;
    pthread_mutex_lock(&shared->lock);
    if (shared->hearer.inbox)
        eventfd_write(shared->hearer.wake_fd, 1);
    pthread_mutex_unlock(&shared->lock);
    return NATS_OK;
}

static natsStatus detach(void *data)
{
    (void) data;
    return NATS_OK;
}

/* ---- the end, and a server that leaves ---- */

/* The connection has come to its end, and calls nothing any more. */
static void closed(natsConnection *connection, void *closure)
{
    (void) connection;
    wire_drop(closure);
}

static void leave(void *context, struct link_task *task)
{
    struct wire_shared *shared = context;
    (void) task;
    if (shared->wire)
        shared->hearer.leaving(shared->hearer.context, shared->wire);
    wire_drop(shared);
}

static void lame(natsConnection *connection, void *closure)
{
    (void) connection;
    struct wire_shared *shared = closure;
    pthread_mutex_lock(&shared->lock);
    if (shared->hearer.inbox && !shared->is_leaving) {
        shared->is_leaving = true;
        shared->leaving = (struct link_task){.run = leave, .context = wire_share(shared)};
        push(shared, &shared->leaving);
    }
    pthread_mutex_unlock(&shared->lock);
}

/* ---- what we may not do ---- */

struct denial {
    struct link_task task; /* first */
    struct wire_shared *shared;
    char why[WIRE_WHY_SIZE];
};

static void denial_free(struct denial *denial)
{
    wire_drop(denial->shared);
    free(denial);
}

static void report_denial(void *context, struct link_task *task)
{
    struct denial *denial = context;
    struct wire_shared *shared = denial->shared;
    (void) task;
    if (shared->wire)
        shared->hearer.denied(shared->hearer.context, shared->wire, denial->why);
    denial_free(denial);
}

/* Other failures end the connection, which says so by itself. */
static void failed(natsConnection *connection, natsSubscription *handle, natsStatus status,
                   void *closure)
{
    (void) connection, (void) handle;
    struct wire_shared *shared = closure;
    struct denial *denial = status == NATS_NOT_PERMITTED ? malloc(sizeof *denial) : NULL;
    if (!denial)
        return;
    denial->task = (struct link_task){.run = report_denial, .context = denial};
    denial->shared = wire_share(shared);
    snprintf(denial->why, sizeof denial->why, "%s", wire_last_error(status));
    pthread_mutex_lock(&shared->lock);
    bool is_heard = shared->hearer.inbox;
    if (is_heard)
        push(shared, &denial->task);
    pthread_mutex_unlock(&shared->lock);
    if (!is_heard)
        denial_free(denial);
}

/* ---- all of these ---- */

natsStatus wire_set_callbacks(natsOptions *options, struct wire *wire)
{
    natsStatus status = natsOptions_SetClosedCB(options, closed, wire->shared);
    status = status ? status : natsOptions_SetLameDuckModeCB(options, lame, wire->shared);
    status = status ? status : natsOptions_SetErrorHandler(options, failed, wire->shared);
    return status ? status
                  : natsOptions_SetEventLoop(options, wire, attach, change_reading, change_writing,
                                             detach);
}

/* ---- messages ---- */

void wire_release(struct wire_subscription *subscription)
{
    if (atomic_fetch_sub_explicit(&subscription->references, 1, memory_order_acq_rel) > 1)
        return;
    wire_drop(subscription->shared);
    free(subscription);
}

struct incoming {
    struct link_task task; /* first */
    natsMsg *message;
    void *subscriber;
    struct wire_hearer hearer;
};

static void incoming_free(struct incoming *incoming)
{
    natsMsg_Destroy(incoming->message);
    free(incoming);
}

/* The headers, if there are some that matter. */
static void read_status(natsMsg *message, struct link_message *result)
{
    const char *code = NULL, *text = NULL;
    if (natsMsgHeader_Get(message, WORDS_ERROR_CODE, &code) == NATS_OK && code) {
        result->status = (unsigned) strtoul(code, NULL, 10);
        if (result->status == 0)
            result->status = WORDS_FAILED;
        natsMsgHeader_Get(message, WORDS_ERROR_TEXT, &text);
        result->error = text ? text : "";
    } else if (natsMsgHeader_Get(message, WORDS_ERROR_TEXT, &text) == NATS_OK && text) {
        result->status = WORDS_FAILED;
        result->error = text;
    } else if (natsMsg_IsNoResponders(message)) {
        result->status = WORDS_NOBODY;
    }
}

static void deliver(void *context, struct link_task *task)
{
    struct incoming *incoming = context;
    natsMsg *message = incoming->message;
    (void) task;
    const char *reply = natsMsg_GetReply(message);
    struct link_message result = {
        .subject = natsMsg_GetSubject(message),
        .reply = reply ? reply : "",
        .data = natsMsg_GetData(message),
        .size = (size_t) natsMsg_GetDataLength(message),
    };
    read_status(message, &result);
    incoming->hearer.message(incoming->hearer.context, incoming->subscriber, &result);
    incoming_free(incoming);
}

bool wire_discard(struct link_task *task)
{
    if (task->run == leave)
        wire_drop(task->context);
    else if (task->run == report_denial)
        denial_free(task->context);
    else if (task->run == deliver)
        incoming_free(task->context);
    else
        return false;
    return true;
}

void wire_pass(natsConnection *connection, natsSubscription *handle, natsMsg *message,
               void *closure)
{
    (void) connection, (void) handle;
    struct wire_subscription *subscription = closure;
    struct wire_shared *shared = subscription->shared;
    struct incoming *incoming = malloc(sizeof *incoming);
    if (incoming) {
        incoming->task = (struct link_task){.run = deliver, .context = incoming};
        incoming->message = message;
        incoming->subscriber = subscription->subscriber;
    }
    pthread_mutex_lock(&shared->lock);
    bool is_heard = incoming && shared->hearer.inbox;
    if (is_heard) {
        incoming->hearer = shared->hearer;
        push(shared, &incoming->task);
    }
    pthread_mutex_unlock(&shared->lock);
    if (is_heard)
        return;
    natsMsg_Destroy(message);
    free(incoming);
}

void wire_completed(void *closure) { wire_release(closure); }
