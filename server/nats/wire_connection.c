/* nats/wire_connection: what the link does with a connection; see wire.h. */
#include "server/nats/wire_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DRAIN_TIMEOUT_MS = 10000 /* nothing waits for that */ };

/* ---- connecting ---- */

static struct wire *wire_new(void)
{
    struct wire *wire = calloc(1, sizeof *wire);
    if (!wire)
        return NULL;
    *wire = (struct wire){.shared = wire_shared_new(), .fd = -1, .own_fd = -1};
    if (wire->shared)
        return wire;
    free(wire);
    return NULL;
}

static void wire_free(struct wire *wire)
{
    if (wire->own_fd >= 0)
        close(wire->own_fd);
    wire_drop(wire->shared);
    free(wire);
}

/* The name that its certificate must have. */
static natsStatus expect_host(natsOptions *options, const char *address)
{
    char host[ADDRESS_HOST_SIZE];
    return natsOptions_SetExpectedHostname(options, address_host(address, host));
}

static natsStatus set_server(natsOptions *options, const struct words_server *server,
                             struct wire *wire)
{
    char url[ADDRESS_HOST_SIZE + 20];
    snprintf(url, sizeof url, "%s://%s", server->tls ? "tls" : "nats", server->address);
    natsStatus status = natsOptions_SetURL(options, url);
    if (server->tls)
        status = status ? status : expect_host(options, server->address);
    return status ? status : wire_set_callbacks(options, wire);
}

/* Whether it was a refusal, and which. */
static enum wire_result say_why(natsStatus status, struct error *error)
{
    error_set(error, "%s", wire_last_error(status));
    bool refused = status == NATS_CONNECTION_AUTH_FAILED || status == NATS_SSL_ERROR ||
                   status == NATS_SECURE_CONNECTION_REQUIRED ||
                   status == NATS_SECURE_CONNECTION_WANTED;
    return refused ? WIRE_REFUSED : WIRE_AWAY;
}

/* Behind a handshake that looked well to us, the server has closed the connection, or sent an
 * alert: it does not depend on us which of them is seen. */
static bool is_refusal_of_ours(natsStatus status)
{
    return status == NATS_PROTOCOL_ERROR ||
           (status == NATS_IO_ERROR && strstr(wire_last_error(status), "SSL_"));
}

static enum wire_result refuse_ours(struct error *error)
{
    error_set(error, "it does not take our certificate, or wants one: see --nats-cert");
    return WIRE_REFUSED;
}

enum wire_result wire_connect(struct wire_terms *terms, const struct words_server *server,
                              struct wire **result, struct error *error)
{
    struct wire *wire = wire_new();
    if (!wire)
        return say_why(NATS_NO_MEMORY, error);
    natsOptions *options = server->tls ? terms->tls : terms->plain;
    natsStatus status = set_server(options, server, wire);
    if (status == NATS_OK)
        status = natsConnection_Connect(&wire->connection, options);
    if (status != NATS_OK) {
        enum wire_result outcome =
            server->tls && is_refusal_of_ours(status) ? refuse_ours(error) : say_why(status, error);
        wire_free(wire);
        return outcome;
    }
    wire_share(wire->shared); /* the connection */
    wire->is_tls = server->tls;
    wire->max_payload = (size_t) natsConnection_GetMaxPayload(wire->connection);
    *result = wire;
    return WIRE_OPEN;
}

void wire_attach(struct wire *wire, const struct wire_hearer *hearer)
{
    pthread_mutex_lock(&wire->shared->lock);
    wire->shared->hearer = *hearer;
    wire->shared->wire = wire;
    pthread_mutex_unlock(&wire->shared->lock);
}

void wire_close(struct wire *wire)
{
    if (!wire)
        return;
    pthread_mutex_lock(&wire->shared->lock);
    wire->shared->hearer.inbox = NULL;
    wire->shared->wire = NULL;
    pthread_mutex_unlock(&wire->shared->lock);
    /* Otherwise the library would wait for an answer that nobody reads. */
    wire_cut(wire);
    while (!natsConnection_IsClosed(wire->connection))
        wire_read(wire);
    natsConnection_Destroy(wire->connection);
    wire_free(wire);
}

/* ---- the socket ---- */

int wire_fd(const struct wire *wire) { return wire->own_fd; }

bool wire_is_tls(const struct wire *wire) { return wire->is_tls; }

size_t wire_max_payload(const struct wire *wire) { return wire->max_payload; }

void wire_read(struct wire *wire) { natsConnection_ProcessReadEvent(wire->connection); }

void wire_write(struct wire *wire) { natsConnection_ProcessWriteEvent(wire->connection); }

bool wire_wants_write(const struct wire *wire)
{
    return atomic_load_explicit(&wire->shared->wants_write, memory_order_acquire);
}

size_t wire_unsent(const struct wire *wire)
{
    int size = natsConnection_Buffered(wire->connection);
    return size < 0 ? 0 : (size_t) size;
}

void wire_cut(struct wire *wire) { shutdown(wire->own_fd, SHUT_RDWR); }

bool wire_is_lost(struct wire *wire, char *why)
{
    if (!natsConnection_IsClosed(wire->connection))
        return false;
    const char *text = NULL;
    natsStatus status = natsConnection_GetLastError(wire->connection, &text);
    if (status == NATS_CONNECTION_CLOSED || status == NATS_OK)
        text = "the server has closed the connection";
    else if (!text || !*text)
        text = natsStatus_GetText(status);
    snprintf(why, WIRE_WHY_SIZE, "%s", text);
    return true;
}

/* ---- publishing ---- */

bool wire_publish(struct wire *wire, const char *subject, const char *reply, const void *data,
                  size_t size)
{
    natsConnection *connection = wire->connection;
    natsStatus status =
        reply ? natsConnection_PublishRequest(connection, subject, reply, data, (int) size)
              : natsConnection_Publish(connection, subject, data, (int) size);
    return status == NATS_OK;
}

bool wire_publish_error(struct wire *wire, const char *subject, unsigned status, const char *error,
                        const void *data, size_t size)
{
    natsMsg *message = NULL;
    char code[16];
    snprintf(code, sizeof code, "%u", status);
    bool done = natsMsg_Create(&message, subject, NULL, data, (int) size) == NATS_OK &&
                natsMsgHeader_Set(message, WORDS_ERROR_CODE, code) == NATS_OK &&
                natsMsgHeader_Set(message, WORDS_ERROR_TEXT, error) == NATS_OK &&
                natsConnection_PublishMsg(wire->connection, message) == NATS_OK;
    natsMsg_Destroy(message);
    return done;
}

/* ---- subscribing ---- */

struct wire_subscription *wire_subscribe(struct wire *wire, const char *subject, const char *group,
                                         void *subscriber)
{
    struct wire_subscription *result = calloc(1, sizeof *result);
    if (!result)
        return NULL;
    result->shared = wire_share(wire->shared);
    result->subscriber = subscriber;
    atomic_init(&result->references, 1);
    natsSubscription **handle = &result->subscription;
    natsStatus status =
        group ? natsConnection_QueueSubscribe(handle, wire->connection, subject, group, wire_pass,
                                              result)
              : natsConnection_Subscribe(handle, wire->connection, subject, wire_pass, result);
    if (status != NATS_OK) {
        wire_release(result);
        return NULL;
    }
    natsSubscription_SetPendingLimits(*handle, -1, -1);
    atomic_fetch_add(&result->references, 1); /* the library */
    if (natsSubscription_SetOnCompleteCB(*handle, wire_completed, result) != NATS_OK)
        atomic_fetch_sub(&result->references, 1); /* lost already: it passes nothing on */
    return result;
}

void wire_unsubscribe(struct wire_subscription *subscription)
{
    if (subscription)
        natsSubscription_DrainTimeout(subscription->subscription, DRAIN_TIMEOUT_MS);
}

void wire_forget(struct wire_subscription *subscription)
{
    if (!subscription)
        return;
    natsSubscription_Destroy(subscription->subscription);
    wire_release(subscription);
}
