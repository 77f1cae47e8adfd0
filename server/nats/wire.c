/* nats/wire: libnats, with an event loop; see wire.h. */
#include "server/nats/wire.h"

#include <nats/nats.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CONNECT_TIMEOUT_MS = 2000,
    DRAIN_TIMEOUT_MS = 10000, /* nothing waits for that */
    CLOSE_TIMEOUT_MS = 1000,
};

/* ---- terms ---- */

struct wire_terms {
    natsOptions *plain, *tls; /* of servers in the clear, and of others */
    struct login login;
};

/* What the library says of its last failure, without the place in its sources: "(conn.c:1): ". */
static const char *last_error(natsStatus status)
{
    natsStatus last;
    const char *text = nats_GetLastError(&last);
    const char *behind = text && *text == '(' ? strstr(text, "): ") : NULL;
    if (behind)
        text = behind + 3;
    return text && *text ? text : natsStatus_GetText(status);
}

static bool check(natsStatus status, const char *what, struct error *error)
{
    return status == NATS_OK || error_set(error, "%s: %.300s", what, last_error(status));
}

static natsStatus give_signature(char **why, unsigned char **signature, int *size,
                                 const char *nonce, void *closure)
{
    const struct wire_terms *terms = closure;
    *why = NULL;
    *size = NKEY_SIGNATURE_SIZE;
    *signature = malloc(NKEY_SIGNATURE_SIZE);
    return *signature && nkey_sign(terms->login.seed, nonce, *signature) ? NATS_OK : NATS_NO_MEMORY;
}

static natsStatus set_login(struct wire_terms *terms, natsOptions *options)
{
    const struct login *login = &terms->login;
    switch (login->form) {
    case LOGIN_PASSWORD:
        return natsOptions_SetUserInfo(options, login->user, login->password);
    case LOGIN_NKEY:
        return natsOptions_SetNKey(options, login->public_key, give_signature, terms);
    case LOGIN_CREDENTIALS:
        return natsOptions_SetUserCredentialsFromFiles(options, login->file, NULL);
    case LOGIN_NONE:
        break;
    }
    return NATS_OK;
}

static bool load_certificate(natsOptions *options, const struct wire_plan *plan,
                             struct error *error)
{
    const char *key = plan->key ? plan->key : plan->certificate;
    struct stat status;
    if (!plan->certificate)
        return true;
    if (stat(key, &status) == 0 && status.st_mode & S_IROTH)
        return error_set(error, "everybody may read the key in %.200s: chmod o= protects it", key);
    return check(natsOptions_LoadCertificatesChain(options, plan->certificate, key),
                 "--nats-cert can't be used", error);
}

/* What differs from the library's defaults: it neither pings, writes, reconnects nor learns of
 * other servers by itself, and has one thread for all messages. */
static natsStatus set_behaviour(natsOptions *options, const char *name)
{
    natsStatus status = natsOptions_SetName(options, name);
    status = status ? status : natsOptions_SetAllowReconnect(options, false);
    status = status ? status : natsOptions_SetIgnoreDiscoveredServers(options, true);
    status = status ? status : natsOptions_SetPingInterval(options, 0);
    status = status ? status : natsOptions_SetSendAsap(options, true);
    status = status ? status : natsOptions_UseGlobalMessageDelivery(options, true);
    return status ? status : natsOptions_SetTimeout(options, CONNECT_TIMEOUT_MS);
}

static bool set_options(struct wire_terms *terms, natsOptions *options, const char *name,
                        struct error *error)
{
    return check(set_behaviour(options, name), "unable to use libnats", error) &&
           check(set_login(terms, options), "--nats-login can't be used", error);
}

static bool set_tls(natsOptions *options, const struct wire_plan *plan, struct error *error)
{
    return check(natsOptions_SetSecure(options, true), "unable to use libnats", error) &&
           (!plan->authorities ||
            check(natsOptions_LoadCATrustedCertificates(options, plan->authorities),
                  "--nats-ca can't be used", error)) &&
           load_certificate(options, plan, error);
}

/* The library's threads end with the last of its users: nothing of it, and of OpenSSL in it, runs
 * when the process ends. It is opened again, to do nothing, since one that is closed at the end of
 * the process frees what is OpenSSL's, which then frees it, too. */
static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users; /* guarded by it */

static void add_user(void)
{
    pthread_mutex_lock(&users_lock);
    users++;
    pthread_mutex_unlock(&users_lock);
}

static void remove_user(void)
{
    pthread_mutex_lock(&users_lock);
    if (--users == 0 && nats_CloseAndWait(CLOSE_TIMEOUT_MS) == NATS_OK)
        nats_Open(-1);
    pthread_mutex_unlock(&users_lock);
}

struct wire_terms *wire_terms_new(const struct wire_plan *plan, struct error *error)
{
    struct wire_terms *terms = calloc(1, sizeof *terms);
    if (!terms) {
        error_set(error, "out of memory");
        return NULL;
    }
    add_user();
    if (login_read(&terms->login, plan->login, error) &&
        check(natsOptions_Create(&terms->plain), "unable to use libnats", error) &&
        check(natsOptions_Create(&terms->tls), "unable to use libnats", error) &&
        set_options(terms, terms->plain, plan->name, error) &&
        set_options(terms, terms->tls, plan->name, error) && set_tls(terms->tls, plan, error))
        return terms;
    wire_terms_free(terms);
    return NULL;
}

void wire_terms_free(struct wire_terms *terms)
{
    natsOptions_Destroy(terms->plain);
    natsOptions_Destroy(terms->tls);
    login_fini(&terms->login);
    free(terms);
    remove_user();
}

/* ---- what the library's threads use ---- */

/* There as long as they may come: the connection has a reference until it has reported its end,
 * each subscription until its last message was passed on, and the wire. */
struct shared {
    pthread_mutex_t lock;
    struct wire_hearer hearer; /* guarded by it; without an inbox: nobody hears any more */
    struct wire *wire;         /* while somebody does */
    atomic_uint references;
    atomic_bool wants_write;
    bool is_leaving; /* guarded by the lock: the task is on its way, or was */
    struct link_task leaving;
};

static void drop(struct shared *shared)
{
    if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

static struct shared *share(struct shared *shared)
{
    atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

/* With the lock held. */
static void push(struct shared *shared, struct link_task *task)
{
    if (inbox_push(shared->hearer.inbox, &task->node))
        eventfd_write(shared->hearer.wake_fd, 1);
}

struct wire {
    natsConnection *connection;
    struct shared *shared;
    int fd;     /* the library's */
    int own_fd; /* the same socket, for wire_cut() */
    bool is_tls;
    size_t max_payload;
};

/* ---- the event loop's side of the library ---- */

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
    struct shared *shared = ((struct wire *) data)->shared;
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

/* The connection has come to its end, and calls nothing any more. */
static void closed(natsConnection *connection, void *closure)
{
    (void) connection;
    drop(closure);
}

static void leave(void *context, struct link_task *task)
{
    struct shared *shared = context;
    (void) task;
    if (shared->wire)
        shared->hearer.leaving(shared->hearer.context, shared->wire);
    drop(shared);
}

static void lame(natsConnection *connection, void *closure)
{
    (void) connection;
    struct shared *shared = closure;
    pthread_mutex_lock(&shared->lock);
    if (shared->hearer.inbox && !shared->is_leaving) {
        shared->is_leaving = true;
        shared->leaving = (struct link_task){.run = leave, .context = share(shared)};
        push(shared, &shared->leaving);
    }
    pthread_mutex_unlock(&shared->lock);
}

/* ---- connecting ---- */

static struct wire *wire_new(void)
{
    struct wire *wire = calloc(1, sizeof *wire);
    struct shared *shared = calloc(1, sizeof *shared);
    if (!wire || !shared) {
        free(wire);
        free(shared);
        return NULL;
    }
    pthread_mutex_init(&shared->lock, NULL);
    atomic_init(&shared->references, 1);
    *wire = (struct wire){.shared = shared, .fd = -1, .own_fd = -1};
    return wire;
}

static void wire_free(struct wire *wire)
{
    if (wire->own_fd >= 0)
        close(wire->own_fd);
    drop(wire->shared);
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
    status = status ? status : natsOptions_SetClosedCB(options, closed, wire->shared);
    status = status ? status : natsOptions_SetLameDuckModeCB(options, lame, wire->shared);
    return status ? status
                  : natsOptions_SetEventLoop(options, wire, attach, change_reading, change_writing,
                                             detach);
}

/* Whether it was a refusal, and which. */
static enum wire_result say_why(natsStatus status, struct error *error)
{
    error_set(error, "%s", last_error(status));
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
           (status == NATS_IO_ERROR && strstr(last_error(status), "SSL_"));
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
    share(wire->shared); /* the connection */
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

/* ---- subscriptions and messages ---- */

struct wire_subscription {
    natsSubscription *subscription;
    struct shared *shared;
    void *subscriber;
    atomic_uint references; /* who has it, and the library */
};

static void release(struct wire_subscription *subscription)
{
    if (atomic_fetch_sub_explicit(&subscription->references, 1, memory_order_acq_rel) > 1)
        return;
    drop(subscription->shared);
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
        drop(task->context);
    else if (task->run == deliver)
        incoming_free(task->context);
    else
        return false;
    return true;
}

/* In the library's thread. */
static void pass(natsConnection *connection, natsSubscription *handle, natsMsg *message,
                 void *closure)
{
    (void) connection, (void) handle;
    struct wire_subscription *subscription = closure;
    struct shared *shared = subscription->shared;
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

static void completed(void *closure) { release(closure); }

struct wire_subscription *wire_subscribe(struct wire *wire, const char *subject, const char *group,
                                         void *subscriber)
{
    struct wire_subscription *result = calloc(1, sizeof *result);
    if (!result)
        return NULL;
    result->shared = share(wire->shared);
    result->subscriber = subscriber;
    atomic_init(&result->references, 1);
    natsSubscription **handle = &result->subscription;
    natsStatus status =
        group
            ? natsConnection_QueueSubscribe(handle, wire->connection, subject, group, pass, result)
            : natsConnection_Subscribe(handle, wire->connection, subject, pass, result);
    if (status != NATS_OK) {
        release(result);
        return NULL;
    }
    natsSubscription_SetPendingLimits(*handle, -1, -1);
    atomic_fetch_add(&result->references, 1); /* the library */
    if (natsSubscription_SetOnCompleteCB(*handle, completed, result) != NATS_OK)
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
    release(subscription);
}
