/* nats/requests: whether one is taken, asked, answered. */
#include "server/nats/requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/handler.h"
#include "server/log/log.h"

#define BUSY_TEXT "all places are taken"

enum { REQUEST_BYTES = 8 << 20 /* of all requests that are taken, if they are more than one */ };

/* ---- calls ---- */

/* One with the subject for its answer. NULL: out of memory. */
static struct call *new_call(struct nats_service *service, const char *reply_subject)
{
    struct call *call = SLIST_FIRST(&service->spares);
    if (call)
        SLIST_REMOVE_HEAD(&service->spares, spare_entry);
    else
        call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    buffer_clear(&call->reply);
    if (buffer_append(&call->reply, reply_subject, strlen(reply_subject) + 1))
        return call;
    SLIST_INSERT_HEAD(&service->spares, call, spare_entry);
    return NULL;
}

static void free_call(struct nats_service *service, struct call *call)
{
    SLIST_INSERT_HEAD(&service->spares, call, spare_entry);
}

void requests_forget(struct nats_service *service)
{
    struct errand *errand;
    while ((errand = errands_forget(&service->errands)))
        free_call(service, (struct call *) errand);
}

void requests_fini(struct nats_service *service)
{
    struct call *call;
    while ((call = SLIST_FIRST(&service->spares))) {
        SLIST_REMOVE_HEAD(&service->spares, spare_entry);
        buffer_fini(&call->reply);
        free(call);
    }
}

/* ---- answers ---- */

static void note_error(struct nats_service *service, const struct errands_reply *reply)
{
    size_t size =
        reply->size < sizeof service->last_error ? reply->size : sizeof service->last_error - 1;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char) reply->text[i];
        service->last_error[i] = c >= ' ' && c < 0x7f ? (char) c : '?';
    }
    service->last_error[size] = '\0';
}

static void give(struct nats_service *service, const char *subject,
                 const struct errands_reply *reply)
{
    if (reply->is_error)
        note_error(service, reply);
    counter_add(&service->errands.counters.sent, reply->size);
    answers_send(&service->answers, subject, reply);
}

/* How long the errand has taken so far. */
static int64_t taken_us(const struct errand *errand)
{
    return (clock_ns(CLOCK_MONOTONIC) - errand->request->begun_ns) / 1000;
}

void requests_answered(void *context, struct errand *errand, const struct errands_reply *reply)
{
    struct nats_service *service = context;
    struct call *call = (struct call *) errand;
    quota_answered(&service->quota, taken_us(errand));
    give(service, buffer_head(&call->reply), reply);
    free_call(service, call);
}

/* ---- requests ---- */

/* Why a message can't be a request; NULL: it can. `text` has room for it. */
static const char *refusal(const struct nats_service *service, const struct link_message *message,
                           char *text, size_t size)
{
    const struct nats_service_config *config = &service->config;
    if (message->size > config->max_message) {
        snprintf(text, size, "a request may have %zu bytes", config->max_message);
        return PROTOCOL_TOO_LONG;
    }
    if (config->lines && message->size > 0 && memchr(message->data, '\n', message->size)) {
        snprintf(text, size, "a request is one line here: --framing netstring takes any bytes");
        return PROTOCOL_BAD_REQUEST;
    }
    return NULL;
}

/* Whether it was refused. */
static bool refuse(struct nats_service *service, const struct link_message *message)
{
    char text[100];
    struct errands_reply reply;
    const char *code = refusal(service, message, text, sizeof text);
    if (!code)
        return false;
    errands_refuse(&service->errands, message->data, message->size, code, text, &reply);
    give(service, message->reply, &reply);
    return true;
}

static bool has_place(struct nats_service *service, size_t size)
{
    const struct errands *errands = &service->errands;
    bool has_room = errands->count == 0 || errands->bytes + size <= REQUEST_BYTES;
    return quota_takes(&service->quota, errands->count + service->answers.count) && has_room &&
           !errands_are_full(errands);
}

static void answer_busy(struct nats_service *service, const struct link_message *message)
{
    static const char text[] = PROTOCOL_ERROR " " PROTOCOL_BUSY " " BUSY_TEXT;
    static const struct errands_reply reply = {text, sizeof text - 1, true};
    counter_add(&service->busy, 1);
    answers_send(&service->answers, message->reply, &reply);
}

static void ask(struct nats_service *service, const struct link_message *message)
{
    struct errands_reply reply;
    struct call *call = new_call(service, message->reply);
    if (!call)
        answer_busy(service, message);
    else if (errands_ask(&service->errands, &call->errand, message->data, message->size, &reply)) {
        give(service, message->reply, &reply);
        free_call(service, call);
    }
}

void requests_take(void *context, const struct link_message *message)
{
    struct nats_service *service = context;
    if (!*message->reply) {
        counter_add(&service->dropped, 1);
        log_put(service->errands.log, LOG_NATS_NO_REPLY, 0, service->subject,
                strlen(service->subject));
    } else if (!has_place(service, message->size)) {
        answer_busy(service, message);
    } else if (!refuse(service, message)) {
        ask(service, message);
    }
}

/* ---- those that are not waited for ---- */

static struct errand *find(struct nats_service *service, const char *reply, size_t size)
{
    struct errand *errand;
    TAILQ_FOREACH(errand, &service->errands.waiting, entry) {
        const struct buffer *subject = &((struct call *) errand)->reply;
        if (buffer_size(subject) == size + 1 && memcmp(buffer_head(subject), reply, size) == 0)
            return errand;
    }
    return NULL;
}

void requests_withdraw(void *context, const struct link_message *message)
{
    struct nats_service *service = context;
    struct errand *errand = find(service, message->data, message->size);
    if (!errand || !errands_cancel(&service->errands, errand))
        return;
    counter_add(&service->withdrawn, 1);
    free_call(service, (struct call *) errand);
}
