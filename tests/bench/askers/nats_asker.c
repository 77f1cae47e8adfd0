/*
 * nats_asker: asks a service of NATS by libnats, with no front between: `sync`, a thread for each
 * request that is out and natsConnection_Request(), as people write it; or `loop`, libnats with an
 * event loop, which is the most that it gives.
 *
 *     nats_asker sync|loop URL SUBJECT OUT SECONDS
 *
 * Exit: 0 every reply was right, 1 some was not or never came, 64 usage, 69 no connection.
 */
#include <nats/nats.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/bench/askers/outcome.h"

enum { MAX_OUT = 10000, PATIENCE_MS = 5000, SUBJECT_SIZE = 256 };

static const char text[] = "sixteen bytes ok";

struct asker {
    natsConnection *connection;
    const char *subject;
    size_t out;
    struct outcome outcome;
    atomic_bool failed;
    pthread_mutex_t lock; /* of the outcome, for `sync` */
    /* of the loop */
    int fd, wake_fd;
    atomic_bool wants_write;
    char inbox[SUBJECT_SIZE];
    uint64_t asked_ns[MAX_OUT]; /* owned by the thread that delivers messages */
    atomic_size_t answered;     /* slots whose last reply has come */
};

static bool is_right(natsMsg *message)
{
    return natsMsg_GetDataLength(message) == (int) strlen(text) &&
           memcmp(natsMsg_GetData(message), text, strlen(text)) == 0;
}

/* ---- sync ---- */

static void *ask_in_turn(void *context)
{
    struct asker *asker = context;
    for (uint64_t begin; !asker->failed && (begin = outcome_now()) < asker->outcome.end_ns;) {
        natsMsg *reply = NULL;
        natsStatus status = natsConnection_RequestString(&reply, asker->connection, asker->subject,
                                                         text, PATIENCE_MS);
        if (status != NATS_OK || !is_right(reply))
            asker->failed = true;
        natsMsg_Destroy(reply);
        pthread_mutex_lock(&asker->lock);
        outcome_add(&asker->outcome, begin, outcome_now());
        pthread_mutex_unlock(&asker->lock);
    }
    return NULL;
}

static void ask_with_threads(struct asker *asker)
{
    static pthread_t threads[MAX_OUT];
    for (size_t i = 0; i < asker->out; i++)
        if (pthread_create(&threads[i], NULL, ask_in_turn, asker))
            exit(EX_OSERR);
    for (size_t i = 0; i < asker->out; i++)
        pthread_join(threads[i], NULL);
}

/* ---- loop ---- */

static natsStatus attach(void **data, void *loop, natsConnection *connection, natsSock socket)
{
    struct asker *asker = loop;
    (void) connection;
    *data = loop;
    asker->fd = socket;
    return NATS_OK;
}

static natsStatus change_reading(void *data, bool add)
{
    (void) data, (void) add;
    return NATS_OK;
}

static natsStatus change_writing(void *data, bool add)
{
    struct asker *asker = data;
    if (!atomic_exchange(&asker->wants_write, add) && add)
        eventfd_write(asker->wake_fd, 1);
    return NATS_OK;
}

static natsStatus detach(void *data)
{
    (void) data;
    return NATS_OK;
}

static void ask(struct asker *asker, size_t slot)
{
    char reply[SUBJECT_SIZE + 24];
    snprintf(reply, sizeof reply, "%s.%zu", asker->inbox, slot);
    asker->asked_ns[slot] = outcome_now();
    if (natsConnection_PublishRequestString(asker->connection, asker->subject, reply, text) !=
        NATS_OK)
        asker->failed = true;
}

static void replied(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
                    void *closure)
{
    struct asker *asker = closure;
    (void) connection, (void) subscription;
    size_t slot = strtoul(natsMsg_GetSubject(message) + strlen(asker->inbox) + 1, NULL, 10);
    uint64_t now = outcome_now();
    if (!is_right(message))
        asker->failed = true;
    natsMsg_Destroy(message);
    outcome_add(&asker->outcome, asker->asked_ns[slot], now);
    if (now < asker->outcome.end_ns)
        ask(asker, slot);
    else
        atomic_fetch_add(&asker->answered, 1);
}

static void ask_in_a_loop(struct asker *asker)
{
    uint64_t last = asker->outcome.end_ns + PATIENCE_MS * 1000000ull;
    for (size_t slot = 0; slot < asker->out; slot++)
        ask(asker, slot);
    while (!asker->failed && asker->answered < asker->out) {
        struct pollfd fds[] = {
            {.fd = asker->fd, .events = (short) (asker->wants_write ? POLLIN | POLLOUT : POLLIN)},
            {.fd = asker->wake_fd, .events = POLLIN},
        };
        poll(fds, 2, 100);
        if (fds[1].revents & POLLIN)
            eventfd_read(asker->wake_fd, &(eventfd_t){0});
        if (fds[0].revents & POLLIN)
            natsConnection_ProcessReadEvent(asker->connection);
        if (asker->wants_write)
            natsConnection_ProcessWriteEvent(asker->connection);
        if (outcome_now() > last)
            asker->failed = true;
    }
}

static bool prepare_loop(struct asker *asker, natsOptions *options)
{
    asker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return natsOptions_SetEventLoop(options, asker, attach, change_reading, change_writing,
                                    detach) == NATS_OK &&
           natsOptions_SetSendAsap(options, true) == NATS_OK &&
           natsOptions_SetAllowReconnect(options, false) == NATS_OK;
}

static bool subscribe(struct asker *asker)
{
    natsSubscription *subscription = NULL;
    natsInbox *inbox = NULL;
    char all[SUBJECT_SIZE + 2];
    if (natsInbox_Create(&inbox) != NATS_OK)
        return false;
    snprintf(asker->inbox, sizeof asker->inbox, "%s", inbox);
    natsInbox_Destroy(inbox);
    snprintf(all, sizeof all, "%s.*", asker->inbox);
    return natsConnection_Subscribe(&subscription, asker->connection, all, replied, asker) ==
           NATS_OK;
}

/* ---- both ---- */

static int usage(void)
{
    fputs("usage: nats_asker sync|loop URL SUBJECT OUT SECONDS\n", stderr);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return usage();
    static struct asker asker = {.lock = PTHREAD_MUTEX_INITIALIZER};
    bool loops = strcmp(argv[1], "loop") == 0;
    asker.subject = argv[3];
    asker.out = strtoul(argv[4], NULL, 10);
    if (asker.out < 1 || asker.out > MAX_OUT)
        return usage();
    natsOptions *options = NULL;
    if (natsOptions_Create(&options) != NATS_OK ||
        natsOptions_SetURL(options, argv[2]) != NATS_OK ||
        (loops && !prepare_loop(&asker, options)) ||
        natsConnection_Connect(&asker.connection, options) != NATS_OK ||
        (loops && !subscribe(&asker))) {
        fprintf(stderr, "nats_asker: no connection to %s\n", argv[2]);
        return EX_UNAVAILABLE;
    }
    outcome_begin(&asker.outcome, strtod(argv[5], NULL));
    if (loops)
        ask_in_a_loop(&asker);
    else
        ask_with_threads(&asker);
    outcome_print(&asker.outcome);
    return asker.failed;
}
