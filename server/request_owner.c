/* request_owner: holds, claims and answers; implements both views of a request. */
#include "server/request_owner.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/engine/loop.h"
#include "server/handler.h"
#include "server/log/log.h"
#include "server/net/listener.h"
#include "server/request_outbox.h"

enum {                        /* bits of request->state */
       CLAIMED = 1,           /* somebody has the right to answer */
       ANSWERED = 2,          /* the answer is there */
       DETACHED = 4,          /* handle() has returned in the loop's owner, or the loop was taken */
       CANCELLED = 8,         /* nobody waits for the answer any more */
       BEGUN = REQUEST_BEGUN, /* it was given to what answers it, or is about to be */
};

/* As REQUEST_KEPT_REPLY_BYTES, for both buffers of a spare. */
enum { KEPT_SPARE_BYTES = 4 << 10, MAX_SPARES = 64 };

/* ---- for handlers ---- */

const char *request_message(const struct request *request) { return request->message; }

size_t request_size(const struct request *request) { return request->size; }

void *request_session_data(const struct request *request) { return request->session_data; }

size_t *request_charge(struct request *request) { return &request->charge; }

uint64_t request_session(const struct request *request) { return request->session_number; }

static const struct address *listener_of(const struct request *request)
{
    return &request->listeners->items[request->listener].address;
}

void request_describe_peer(const struct request *request, struct peer_text *text)
{
    if (request->listeners) {
        peer_describe(&request->peer, listener_of(request), text);
        return;
    }
    *text = (struct peer_text){0};
    if (request->origin)
        snprintf(text->address, sizeof text->address, "%s", request->origin);
}

static int64_t paused_ms(const struct request *request, int64_t now_ms)
{
    struct handler *handler = request->handler;
    return handler && handler->kind->paused_ms
               ? handler->kind->paused_ms(handler, request->session_data, now_ms)
               : 0;
}

int64_t request_deadline_at(const struct request *request, int64_t now_ms)
{
    int64_t at_ms = atomic_load_explicit(&request->deadline_ms, memory_order_relaxed);
    if (at_ms == CLOCK_NEVER)
        return CLOCK_NEVER;
    return at_ms + paused_ms(request, now_ms) - request->paused_ms;
}

int64_t request_deadline_ms(const struct request *request)
{
    return request_deadline_at(request, clock_ms());
}

void request_set_deadline(struct request *request, int64_t at_ms, int64_t now_ms)
{
    atomic_store_explicit(&request->deadline_ms, at_ms, memory_order_relaxed);
    request->paused_ms = paused_ms(request, now_ms);
}

void request_postpone(struct request *request, int64_t ms)
{
    int64_t at_ms = atomic_load_explicit(&request->deadline_ms, memory_order_relaxed);
    if (at_ms != CLOCK_NEVER)
        atomic_store_explicit(&request->deadline_ms, at_ms + ms, memory_order_relaxed);
}

_Bool request_is_over(const struct request *request)
{
    return atomic_load_explicit(&request->state, memory_order_acquire) & CLAIMED;
}

void request_defer(struct request *request)
{
    atomic_fetch_and_explicit(&request->state, ~(unsigned) BEGUN, memory_order_acq_rel);
}

_Bool request_begin(struct request *request)
{
    unsigned state = atomic_load_explicit(&request->state, memory_order_acquire);
    do {
        if (state & CLAIMED)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&request->state, &state, state | BEGUN,
                                                    memory_order_acq_rel, memory_order_acquire));
    return true;
}

bool request_was_begun(const struct request *request)
{
    return atomic_load_explicit(&request->state, memory_order_acquire) & BEGUN;
}

_Bool request_hold(struct request *request)
{
    if (!request_keep_message(request))
        return false;
    request_hold_again(request);
    return true;
}

void request_hold_again(struct request *request)
{
    atomic_fetch_add_explicit(&request->holds, 1, memory_order_relaxed);
}

/* ---- answers ---- */

/* Makes the answer known. The request may be gone when this returns, unless the caller holds it. */
static void answered(struct request *request)
{
    unsigned before = atomic_fetch_or_explicit(&request->state, ANSWERED, memory_order_acq_rel);
    if (!(before & DETACHED))
        return;
    /* From the call that has lost its loop: it is as good as over. */
    struct job *job = &request->job;
    if (job->sample.thread == pthread_self())
        job->cost = call_sample_end(&job->sample, job->cost);
    request_outbox_post(request->loop, &job->node);
}

/* Claims the answer for the handler; if it comes too late that is logged. */
static bool claim_or_log(struct request *request)
{
    unsigned before = atomic_fetch_or_explicit(&request->state, CLAIMED, memory_order_acq_rel);
    if (!(before & CLAIMED))
        return true;
    if (!(before & CANCELLED))
        log_tell(request->log, LOG_ANSWER_DROPPED, request->session_number,
                 "the request has been answered already, or its time was over");
    return false;
}

/* Without memory even for that, the asker makes an error of its own. */
static void build_error(struct request *request, const char *code, const char *text)
{
    char error[1200];
    buffer_clear(&request->reply);
    request->no_memory = !buffer_append(&request->reply, error,
                                        protocol_write_error(error, sizeof error, code, text));
}

void request_release(struct request *request)
{
    if (atomic_fetch_sub_explicit(&request->holds, 1, memory_order_acq_rel) > 1)
        return;
    if (request->built) {
        request_reply_built(request);
    } else if (request_claim(request)) {
        build_error(request, PROTOCOL_HANDLER_FAILED, "the handler has not answered");
        answered(request);
    }
    request_unref(request);
}

static __attribute__((noinline)) void announce_large(struct request *request, size_t size)
{
    struct handler *handler = request->handler;
    if (handler && handler->kind->reply_held)
        handler->kind->reply_held(handler, request, size);
}

void request_reply(struct request *request, const void *reply, size_t size)
{
    if (size > HANDLER_SMALL_REPLY)
        announce_large(request, size);
    if (!claim_or_log(request))
        return;
    buffer_clear(&request->reply);
    if (!buffer_append(&request->reply, reply, size))
        build_error(request, PROTOCOL_HANDLER_FAILED, "out of memory");
    answered(request);
}

void request_refuse(struct request *request, const char *code, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!claim_or_log(request))
        return;
    build_error(request, code, text);
    answered(request);
}

void request_end_session(struct request *request) { request->last = true; }

void request_resume_session(struct request *request)
{
    request_hold_again(request);
    loop_post(request->loop, &request->room_node);
}

char *request_room(struct request *request, size_t size)
{
    return buffer_reserve(&request->reply, size) ? buffer_tail(&request->reply) : NULL;
}

void request_added(struct request *request, size_t size) { buffer_added(&request->reply, size); }

void request_reply_built(struct request *request)
{
    if (claim_or_log(request))
        answered(request);
}

void request_reply_and_return(struct request *request) { request->built = true; }

/* ---- for those who run it ---- */

struct request *request_new(struct handler *handler, const struct asker *asker, struct log *log)
{
    struct request *request = calloc(1, sizeof *request);
    if (request) {
        request->job.node.kind = INBOX_ANSWER;
        request->return_node.kind = INBOX_RETURN;
        request->room_node.kind = INBOX_ROOM;
        request->handler = handler;
        request->asker = asker;
        request->log = log;
    }
    return request;
}

static void share_peer(const struct request *request)
{
    if (request->listeners)
        peer_share(&request->peer, listener_of(request));
}

static void unshare_peer(struct request *request)
{
    if (request->listeners)
        peer_fini(&request->peer, listener_of(request));
}

static void drop_peer(struct request *request)
{
    if (request->is_kept)
        unshare_peer(request);
    if (request->is_adopted)
        unshare_peer(request);
    request->is_kept = false;
    request->is_adopted = false;
}

void request_free(struct request *request)
{
    if (!request)
        return;
    buffer_fini(&request->reply);
    drop_peer(request);
    buffer_fini(&request->copy);
    free(request);
}

void request_adopt(struct request *request)
{
    share_peer(request);
    request->is_adopted = true;
}

void request_clean(struct request *request)
{
    drop_peer(request); /* it may have been held within its last call */
    if (request->reply.capacity > REQUEST_KEPT_REPLY_BYTES)
        buffer_fini(&request->reply);
}

enum request_outcome request_outcome(const struct request *request)
{
    if (request->built)
        return REQUEST_ANSWERED;
    if (atomic_load_explicit(&request->holds, memory_order_acquire) > 1)
        return REQUEST_HELD;
    unsigned state = atomic_load_explicit(&request->state, memory_order_acquire);
    return state & ANSWERED ? REQUEST_ANSWERED : REQUEST_FORGOTTEN;
}

bool request_detach(struct request *request)
{
    unsigned before = atomic_fetch_or_explicit(&request->state, DETACHED, memory_order_acq_rel);
    return (before & (ANSWERED | DETACHED)) == ANSWERED;
}

bool request_take_answer(struct request *request)
{
    unsigned state = atomic_load_explicit(&request->state, memory_order_acquire);
    return (state & (ANSWERED | DETACHED)) == ANSWERED && request_detach(request);
}

bool request_keep_message(struct request *request)
{
    struct buffer *copy = &request->copy;
    if (request->is_kept)
        return true;
    buffer_clear(copy);
    if (!buffer_reserve(copy, 1) || !buffer_append(copy, request->message, request->size))
        return false;
    request->message = copy->data;
    request->is_kept = true;
    share_peer(request);
    return true;
}

void request_returned(struct request *request)
{
    if (atomic_load_explicit(&request->holds, memory_order_acquire) > 1 &&
        !request_is_over(request))
        loop_post(request->loop, &request->return_node);
    else
        request_release(request);
}

/* ---- out of the inbox ---- */

static struct request *of_room_node(struct inbox_node *node)
{
    return (struct request *) ((char *) node - offsetof(struct request, room_node));
}

static struct request *of_return_node(struct inbox_node *node)
{
    return (struct request *) ((char *) node - offsetof(struct request, return_node));
}

void request_deliver_answer(struct inbox_node *node)
{
    struct request *request = (struct request *) node;
    request->ready = true;
    if (request->context)
        request->asker->answered(request);
    else
        request_unref(request);
}

void request_deliver_return(struct inbox_node *node)
{
    struct request *request = of_return_node(node);
    if (request->context)
        request->asker->returned(request);
    request_release(request);
}

void request_deliver_room(struct inbox_node *node)
{
    struct request *request = of_room_node(node);
    if (request->context)
        request->asker->has_room(request);
    request_release(request);
}

void request_discard(struct inbox_node *node)
{
    if (node->kind == INBOX_RETURN)
        request_release(of_return_node(node));
    else if (node->kind == INBOX_ROOM)
        request_release(of_room_node(node));
    else
        request_unref((struct request *) node);
}

/* ---- claims and references ---- */

bool request_claim(struct request *request)
{
    return !(atomic_fetch_or_explicit(&request->state, CLAIMED, memory_order_acq_rel) & CLAIMED);
}

bool request_cancel(struct request *request)
{
    return !(atomic_fetch_or_explicit(&request->state, CLAIMED | CANCELLED, memory_order_acq_rel) &
             CLAIMED);
}

static bool drop_reference(struct request *request)
{
    return atomic_fetch_sub_explicit(&request->references, 1, memory_order_acq_rel) == 1;
}

void request_unref(struct request *request)
{
    if (drop_reference(request))
        request_free(request);
}

/* ---- spares ---- */

void request_unref_to(struct request *request, struct request_spares *spares)
{
    if (!drop_reference(request))
        return;
    drop_peer(request);
    if (spares->count == MAX_SPARES || request->reply.capacity > KEPT_SPARE_BYTES ||
        request->copy.capacity > KEPT_SPARE_BYTES) {
        request_free(request);
        return;
    }
    request->held = 0;
    request->charge = 0;
    STAILQ_INSERT_HEAD(&spares->queue, request, entry);
    spares->count++;
}

struct request *request_from(struct request_spares *spares, struct handler *handler,
                             const struct asker *asker, struct log *log)
{
    struct request *request = STAILQ_FIRST(&spares->queue);
    if (!request)
        return request_new(handler, asker, log);
    STAILQ_REMOVE_HEAD(&spares->queue, entry);
    spares->count--;
    return request;
}

void request_spares_fini(struct request_spares *spares)
{
    struct request *request;
    while ((request = STAILQ_FIRST(&spares->queue))) {
        STAILQ_REMOVE_HEAD(&spares->queue, entry);
        request_free(request);
    }
    spares->count = 0;
}
