/*
 * test_lobby: handshakes whose steps are a toy's, and whose turn it is. The test does the
 * executor's part.
 */
#include "server/net/lobby.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/engine/job.h"
#include "server/net/admission.h"
#include "server/net/tls.h"
#include "tests/unit/log_capture.h"

enum { CLIENTS = 8, STEPS = 2 };

/* ---- a library whose handshakes have one step ---- */

static struct tls_client *new_client(struct tls_server *server)
{
    struct tls_client *client = calloc(1, sizeof *client);
    assert_non_null(client);
    client->library = server->library;
    return client;
}

static enum tls_step shake_hands(struct tls_client *client, struct error *error)
{
    (void) client, (void) error;
    return TLS_DONE;
}

static void free_client(struct tls_client *client)
{
    buffer_fini(&client->received);
    buffer_fini(&client->sending);
    free(client);
}

static const struct tls_library library = {
    .new_client = new_client, .shake_hands = shake_hands, .free = free_client};

/* ---- the lobby, and all that it knows ---- */

static struct fixture {
    struct listeners listeners;
    struct admission admission;
    struct log_capture capture;
    struct tls_server tls;
    struct lobby *lobby;
    int ends[CLIENTS]; /* the clients' own */
    unsigned entered;

    /* What it has asked for; posted behind each change. */
    pthread_mutex_t lock; /* guards the next three */
    struct job *submitted[CLIENTS];
    unsigned submissions;
    uint32_t admitted[CLIENTS]; /* their addresses, in the order in which they were */
    unsigned admissions;
    sem_t submit, admit;
} fixture;

static void wait_for(sem_t *event)
{
    while (sem_wait(event) != 0)
        continue;
}

static void take_submission(void *context, struct job *job)
{
    struct fixture *of = context;
    pthread_mutex_lock(&of->lock);
    of->submitted[of->submissions++] = job;
    pthread_mutex_unlock(&of->lock);
    sem_post(&of->submit);
}

static void take_admission(void *context, const struct accepted *accepted)
{
    struct fixture *of = context;
    pthread_mutex_lock(&of->lock);
    of->admitted[of->admissions++] = ntohl(accepted->address.socket.v4.sin_addr.s_addr);
    pthread_mutex_unlock(&of->lock);
    accepted->tls->library->free(accepted->tls);
    close(accepted->fd);
    sem_post(&of->admit);
}

static int set_up(void **state)
{
    (void) state;
    fixture = (struct fixture){.tls.library = &library,
                               .admission = {.max_clients = 100, .max_sockets = 100}};
    pthread_mutex_init(&fixture.lock, NULL);
    sem_init(&fixture.submit, 0, 0);
    sem_init(&fixture.admit, 0, 0);
    fixture.listeners.count = 1;
    fixture.listeners.items[0].is_tls = true;
    log_capture_init(&fixture.capture);
    const struct lobby_config config = {
        .listeners = &fixture.listeners,
        .admission = &fixture.admission,
        .log = fixture.capture.log,
        .admit = take_admission,
        .submit = take_submission,
        .steps = STEPS,
        .tls = &fixture.tls,
        .context = &fixture,
    };
    fixture.lobby = lobby_new(&config);
    assert_non_null(fixture.lobby);
    assert_int_equal(lobby_start(fixture.lobby), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    lobby_free(fixture.lobby);
    for (unsigned i = 0; i < fixture.entered; i++)
        close(fixture.ends[i]);
    log_capture_read(&fixture.capture);
    return 0;
}

/* A client of this address that begins its handshake. */
static void enter(uint32_t address)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(write(pair[1], "\x16", 1), 1);
    fixture.ends[fixture.entered++] = pair[1];
    struct accepted accepted = {.fd = pair[0]};
    accepted.address.socket.v4.sin_family = AF_INET;
    accepted.address.socket.v4.sin_addr.s_addr = htonl(address);
    accepted.address.size = sizeof accepted.address.socket.v4;
    assert_int_equal(lobby_enter(fixture.lobby, &accepted), LOBBY_ENTERED);
}

/* The step that was submitted at this place is taken. */
static void take_step(unsigned place)
{
    pthread_mutex_lock(&fixture.lock);
    struct job *job = fixture.submitted[place];
    pthread_mutex_unlock(&fixture.lock);
    job->ops->run(job);
}

/* ---- tests ---- */

static void addresses_take_turns(void **state)
{
    (void) state;
    for (int i = 0; i < 6; i++)
        enter(1);
    enter(2);
    enter(3);
    unsigned waiting = 0;
    struct lobby_figures figures;
    while (waiting < 8) {
        lobby_figures(fixture.lobby, &figures);
        waiting = figures.waiting;
    }
    for (unsigned i = 0; i < 8; i++) {
        wait_for(&fixture.submit);
        assert_int_equal(fixture.submitted[i]->cost, COST_STEP);
        take_step(i);
        wait_for(&fixture.admit);
    }
    unsigned last_of_others = 0, before = 0;
    for (unsigned i = 0; i < 8; i++)
        if (fixture.admitted[i] != 1)
            last_of_others = i;
    for (unsigned i = 0; i < last_of_others; i++)
        before += fixture.admitted[i] == 1;
    assert_in_range(before, 1, STEPS + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(addresses_take_turns, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
