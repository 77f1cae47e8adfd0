/*
 * shard_fixture: a shard with everything that its sessions need but threads. The test is the owner
 * of its loop, says what time it is, and is the client at the other end of each session, a
 * socketpair.
 *
 * The handler echoes, except:
 *
 * hold...    is held: fixture.held[0], then [1]...     forget    gets no answer
 * big N      gets N bytes                               lines     gets a reply that no line can
 * carry built      is answered as the last thing of the call  stay      waits in the call for
 * fixture.leave lose ...   loses its loop in the call, and then is answered as the rest of these
 * says
 *
 * last             is answered, and its session ends behind that
 *
 * One that is over FIXTURE_MAX_MESSAGE, where a test allows it, gets "long".
 */
#ifndef BANTER_TESTS_UNIT_SHARD_FIXTURE_H
#define BANTER_TESTS_UNIT_SHARD_FIXTURE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/protocol.h"
#include "server/engine/scaler.h"
#include "server/handler.h"
#include "server/net/acceptor.h"
#include "server/net/admission.h"
#include "server/session/close.h"
#include "server/session/scratch.h"
#include "server/session/session.h"
#include "server/session/shard.h"
#include "server/session/transfer.h"
#include "server/session/turn.h"
#include "tests/unit/log_capture.h"

enum { FIXTURE_HELD = 256, FIXTURE_NOW_MS = 1000000, FIXTURE_MAX_MESSAGE = 100 };

static struct shard_fixture {
    struct shared shared;
    struct shard shard;
    struct admission admission;
    struct acceptor acceptor;
    struct scaler scaler;
    struct memory memory;
    struct loop *loops[1];
    struct handler handler;
    struct scratch scratch;
    struct log_capture capture;
    struct request *held[FIXTURE_HELD];
    unsigned held_count;
    unsigned calls;
    pthread_t caller; /* the thread of the last call */
    sem_t leave;
} fixture;

/* ---- the handler ---- */

static inline void fixture_big(struct request *request, size_t size)
{
    char *room = request_room(request, size);
    if (!room)
        return;
    memset(room, 'x', size);
    request_added(request, size);
    request_reply_built(request);
}

static inline void fixture_hold(struct request *request)
{
    if (request_hold(request))
        fixture.held[fixture.held_count++] = request;
}

static inline void fixture_built(struct request *request)
{
    static const char reply[] = {'b', 'u', 'i', 'l', 't'};
    char *room = request_room(request, sizeof reply);
    if (!room)
        return;
    memcpy(room, reply, sizeof reply);
    request_added(request, sizeof reply);
    request_reply_and_return(request);
}

static void fixture_handle(struct handler *handler, struct request *request)
{
    (void) handler;
    char message[FIXTURE_MAX_MESSAGE + 1] = "", *text = message;
    fixture.calls++;
    if (request_size(request) > FIXTURE_MAX_MESSAGE) {
        request_reply(request, "long", 4);
        return;
    }
    snprintf(message, sizeof message, "%.*s", (int) request_size(request),
             request_message(request));
    fixture.caller = pthread_self();
    if (strncmp(text, "lose ", 5) == 0) {
        loop_take(&fixture.shard.loop, fixture.shard.loop.call);
        text += 5;
    }
    if (strcmp(text, "stay") == 0)
        while (sem_wait(&fixture.leave) != 0)
            continue;
    if (strncmp(text, "hold", 4) == 0)
        fixture_hold(request);
    else if (strncmp(text, "big ", 4) == 0)
        fixture_big(request, strtoul(text + 4, NULL, 10));
    else if (strcmp(text, "built") == 0)
        fixture_built(request);
    else if (strcmp(text, "last") == 0) {
        request_end_session(request);
        request_reply(request, text, strlen(text));
    } else if (strcmp(text, "lines") == 0)
        request_reply(request, "two\nlines", 9);
    else if (strcmp(text, "forget") != 0)
        request_reply(request, text, strlen(text));
}

static const struct handler_kind fixture_kind = {.name = "fixture", .handle = fixture_handle};

/* Answers a request that was held; nobody holds it any more. */
static inline void fixture_answer(unsigned index, const char *reply)
{
    request_reply(fixture.held[index], reply, strlen(reply));
    request_release(fixture.held[index]);
    fixture.held[index] = NULL;
}

/* ---- a test's set-up and tear-down ---- */

static int fixture_set_up(void **state)
{
    (void) state;
    memset(&fixture, 0, sizeof fixture);
    log_capture_init(&fixture.capture);
    struct shared *shared = &fixture.shared;
    shared->settings.config = (struct server_config){
        .codec = FRAME_LINE, .max_message = FIXTURE_MAX_MESSAGE, .handler = &fixture.handler};
    shared->settings.rules = (struct frame_rules){FRAME_LINE, FIXTURE_MAX_MESSAGE, PROTOCOL_QUIT};
    strcpy(shared->settings.too_long_text, "too long");
    shared->log = fixture.capture.log;
    shared->admission = &fixture.admission;
    shared->acceptor = &fixture.acceptor;
    shared->scaler = &fixture.scaler;
    shared->asker = &turn_asker;
    shared->memory = &fixture.memory;
    shared->shards = &fixture.shard;
    fixture.loops[0] = &fixture.shard.loop;
    fixture.handler.kind = &fixture_kind;
    fixture.admission.max_clients = fixture.admission.max_sockets = 100;
    fixture.acceptor.listeners.items[0].address.socket.any.sa_family = AF_UNIX;
    fixture.shard.loop.now_ms = fixture.shard.loop.looked_ms = FIXTURE_NOW_MS;
    sem_init(&fixture.leave, 0, 0);
    scaler_init(&fixture.scaler, fixture.loops, 1, false);
    return shard_init(&fixture.shard, shared) ? 0 : -1;
}

/* Ends all sessions, and what the handler still holds. */
static inline void fixture_end(void)
{
    shard_for_each(&fixture.shard, close_now);
    for (unsigned i = 0; i < fixture.held_count; i++)
        if (fixture.held[i])
            request_release(fixture.held[i]);
    fixture.held_count = 0;
    struct inbox_node *node = loop_take_inbox(&fixture.shard.loop);
    for (struct inbox_node *next; node; node = next) {
        next = node->next;
        request_discard(node);
    }
}

static int fixture_tear_down(void **state)
{
    (void) state;
    fixture_end();
    scratch_fini(&fixture.scratch);
    shard_fini(&fixture.shard);
    if (fixture.capture.log)
        log_capture_read(&fixture.capture);
    return 0;
}

#define FIXTURE_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

/* Ends the test's sessions and its log. How often a text was logged. */
static inline unsigned fixture_logged(const char *text)
{
    if (fixture.capture.log) {
        fixture_end();
        log_ring_free(fixture.shard.log);
        fixture.shard.log = fixture.shard.transcript = NULL;
        fixture.shared.log = NULL;
        log_capture_read(&fixture.capture);
    }
    return log_capture_count(&fixture.capture, text);
}

static inline struct server_config *fixture_config(void) { return &fixture.shared.settings.config; }

/* Time passes, and the sockets have been looked at since. */
static inline void fixture_pass_ms(int64_t ms)
{
    fixture.shard.loop.now_ms += ms;
    fixture.shard.loop.looked_ms = fixture.shard.loop.now_ms;
}

/* ---- sessions ---- */

/* Of a socket, which it takes over. */
static inline struct session *fixture_session_on(int fd)
{
    bool is_new;
    struct accepted accepted = {.fd = fd, .address.socket.any.sa_family = AF_UNIX};
    assert_true(admission_enter(&fixture.admission));
    struct transfer *transfer = transfer_new(&accepted, &fixture.shared);
    assert_non_null(transfer);
    transfer->number = admission_number(&fixture.admission);
    struct session *session = transfer_end(transfer, &fixture.shard, &is_new);
    assert_non_null(session);
    assert_true(is_new);
    if (fixture.handler.relays)
        turn_begin_relay(session);
    else
        turn_begin(session, is_new);
    return session;
}

/* `*client` is the other end. */
static inline struct session *fixture_session(int *client)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *client = fds[1];
    return fixture_session_on(fds[0]);
}

/* One without a socket: nothing of it is read, and what is sent to it fails. */
static inline struct session *fixture_session_without_socket(void)
{
    struct session *session = store_take(&fixture.shard.store, &fixture.shard);
    assert_non_null(session);
    assert_true(heap_reserve(&fixture.shard.loop.deadlines, fixture.shard.store.count));
    session->fd = -1;
    session->number = 1;
    session->since_ms = (uint64_t) fixture.shard.loop.now_ms;
    return session;
}

/* ---- the loop ---- */

static inline void fixture_deliver(struct inbox_node *node)
{
    if (node->kind == INBOX_ANSWER)
        request_deliver_answer(node);
    else if (node->kind == INBOX_ROOM)
        request_deliver_room(node);
    else if (node->kind == INBOX_RETURN)
        request_deliver_return(node);
    else
        turn_stream(node, &fixture.scratch);
}

static inline void fixture_open_inbox(void)
{
    for (struct inbox_node *node = loop_take_inbox(&fixture.shard.loop), *next; node; node = next) {
        next = node->next;
        fixture_deliver(node);
    }
}

static inline bool fixture_run_ready(void)
{
    struct loop_item *item;
    loop_begin_pass(&fixture.shard.loop);
    while ((item = loop_next_ready(&fixture.shard.loop))) {
        struct session_active *active =
            (struct session_active *) ((char *) item - offsetof(struct session_active, ready));
        if (!turn_ready(active->session, &fixture.scratch))
            return false;
    }
    return true;
}

/* One batch, as server/serve.c has it; waits for an event up to this time. Returns the events.
 * `*owned` is false if the loop was lost. */
static inline int fixture_batch(int wait_ms, bool *owned)
{
    struct loop *loop = &fixture.shard.loop;
    struct epoll_event events[16];
    struct heap_item *item;
    int count = epoll_wait(loop->epoll_fd, events, 16, wait_ms);
    *owned = true;
    for (int i = 0; i < count && *owned; i++) {
        if (loop_event_source(&events[i]) == LOOP_INBOX)
            fixture_open_inbox();
        else if (loop_event_source(&events[i]) == LOOP_PIPES)
            turn_pipes_event(loop_event_object(&events[i]), &fixture.scratch, events[i].events);
        else
            *owned = turn_event(loop_event_object(&events[i]), &fixture.scratch, events[i].events);
    }
    while (*owned && (item = heap_take(&loop->deadlines, loop->now_ms)))
        turn_deadline((struct session *) ((char *) item - offsetof(struct session, deadline)),
                      &fixture.scratch);
    *owned = *owned && fixture_run_ready();
    return count;
}

/* Batches until there is nothing left to do. False: the loop was lost. */
static inline bool fixture_run(void)
{
    bool owned;
    while (fixture_batch(0, &owned) > 0 || !TAILQ_EMPTY(&fixture.shard.loop.ready))
        if (!owned)
            return false;
    return owned;
}

/* ---- the client ---- */

static inline void fixture_say(int client, const char *text)
{
    assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), (ssize_t) strlen(text));
}

/* The client has got just this since it was last asked. */
static inline void fixture_expect(int client, const char *text)
{
    char got[4096] = "";
    ssize_t size = recv(client, got, sizeof got - 1, MSG_DONTWAIT);
    assert_string_equal(got, text);
    assert_int_equal(size > 0 ? size : 0, strlen(text));
}

/* Our sending half has ended behind this. */
static inline void fixture_expect_end(int client, const char *text)
{
    char byte;
    fixture_expect(client, text);
    assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), 0);
}

/* Says something, lets the server answer, and expects this. */
static inline void fixture_ask(int client, const char *requests, const char *replies)
{
    fixture_say(client, requests);
    assert_true(fixture_run());
    fixture_expect(client, replies);
}

#endif
