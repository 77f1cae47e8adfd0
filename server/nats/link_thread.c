/* nats/link_thread: the link's thread, from its start to its end. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/nats/link_state.h"

enum {
    EVENTS = 16,
    START_WAIT_MS = 2000,
    STOP_FLUSH_MS = 500,
    QUIET_MS = 20, /* behind a pause, for what has come meanwhile */
    OWN_TIMERS = 4
};

/* ---- the sockets ---- */

/* Changes what is polled of a wire that is. */
static void poll_writing(struct link *link, struct wire *wire, bool *polls, bool wanted)
{
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = wire};
    if (*polls != wanted && epoll_ctl(link->epoll_fd, EPOLL_CTL_MOD, wire_fd(wire), &event) == 0)
        *polls = wanted;
}

void link_poll_wire(struct link *link, struct wire *wire, bool *polls_write)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = wire};
    *polls_write = false;
    if (epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, wire_fd(wire), &event) != 0)
        wire_cut(wire);
}

/* Has the library read or write, under the eyes of the connector if that may take long. */
static void use_library(struct link *link, struct wire *wire, void (*use)(struct wire *))
{
    struct connector *connector = link->connectors[link->connector_count - 1];
    bool is_watched = wire_is_tls(wire);
    if (is_watched)
        connector_entered(connector, clock_ms());
    use(wire);
    if (is_watched)
        connector_entered(connector, 0);
}

static void flush_wire(struct link *link, struct wire *wire, bool *polls_write)
{
    if (wire_wants_write(wire) && !*polls_write)
        use_library(link, wire, wire_write);
    poll_writing(link, wire, polls_write, wire_wants_write(wire));
}

void link_flush(struct link *link)
{
    if (link->before)
        flush_wire(link, link->before, &link->polls_write_before);
    if (!link->wire)
        return;
    flush_wire(link, link->wire, &link->polls_write);
    link->unsent = link->polls_write ? wire_unsent(link->wire) : 0;
}

static bool has_room_again(const struct link *link)
{
    return link->owes_room && link->unsent < LINK_UNSENT_MAX / 2;
}

static void give_room(struct link *link)
{
    if (!has_room_again(link))
        return;
    link->owes_room = false;
    if (link->owner.room)
        link->owner.room(link->owner.context);
}

static void look_at_wire(struct link *link, struct wire *wire, uint32_t events)
{
    if (events & EPOLLOUT)
        use_library(link, wire, wire_write);
    if (!(events & ~(uint32_t) EPOLLOUT))
        return;
    if (wire == link->wire)
        link->was_heard = true;
    use_library(link, wire, wire_read);
}

/* ---- a batch ---- */

void link_run_tasks(struct link *link)
{
    struct inbox_node *node = inbox_take_all(&link->inbox);
    while (node) {
        struct link_task *task = (struct link_task *) node;
        node = node->next; /* the task may be gone when it has run */
        task->run(task->context, task);
    }
}

static void run_timers(struct link *link)
{
    struct heap_item *item;
    if (link->now_ms < link->quiet_until_ms)
        return;
    while ((item = heap_take(&link->timers, link->now_ms))) {
        struct link_timer *timer = (struct link_timer *) item;
        timer->due(timer->context, timer);
    }
}

static int64_t due_ms(const struct link *link)
{
    int64_t first_ms = heap_first_key(&link->timers);
    return first_ms == HEAP_NONE ? CLOCK_NEVER : clock_later(first_ms, link->quiet_until_ms);
}

/* A wait for `due_ms` has ended: reads the clock, and sees whether the process stood still. */
static void look_at_clock(struct link *link, int64_t due_ms)
{
    link->now_ms = clock_ms();
    int64_t paused_ms = due_ms == CLOCK_NEVER ? 0 : clock_paused_ms(link->now_ms, due_ms);
    if (paused_ms == 0)
        return;
    link->quiet_until_ms = link->now_ms + QUIET_MS;
    link->silent = 0;
    if (link->owner.paused)
        link->owner.paused(link->owner.context, paused_ms);
}

static void look_at_events(struct link *link, const struct epoll_event *events, int count)
{
    eventfd_t woken;
    for (int i = 0; i < count; i++) {
        void *what = events[i].data.ptr;
        struct link_watch *watch = what;
        if (what == link)
            eventfd_read(link->wake_fd, &woken);
        else if (what == link->wire || what == link->before)
            look_at_wire(link, what, events[i].events);
        else
            watch->ready(watch->context);
    }
}

static void run_batch(struct link *link, int64_t until_ms)
{
    struct epoll_event events[EVENTS];
    int64_t due = clock_earlier(due_ms(link), until_ms);
    int wait_ms = has_room_again(link) ? 0
                  : due == CLOCK_NEVER ? -1
                                       : clock_wait_ms(due - clock_ms());
    int count = epoll_wait(link->epoll_fd, events, EVENTS, wait_ms);
    look_at_clock(link, due);
    if (link->owner.begin)
        link->owner.begin(link->owner.context);
    give_room(link);
    look_at_events(link, events, count);
    link_run_tasks(link);
    run_timers(link);
    link_check_wires(link);
    if (link->owner.end)
        link->owner.end(link->owner.context);
    link_flush(link);
}

static bool is_stopped(struct link *link)
{
    return atomic_load_explicit(&link->is_stopped, memory_order_acquire);
}

/* Sends what was published, but not for long. */
static void flush_at_stop(struct link *link)
{
    int64_t until_ms = clock_ms() + STOP_FLUSH_MS;
    while (link->wire && wire_wants_write(link->wire) && clock_ms() < until_ms)
        run_batch(link, until_ms);
}

static void *work(void *context)
{
    struct link *link = context;
    link->now_ms = clock_ms();
    link_connect(link);
    while (!is_stopped(link))
        run_batch(link, CLOCK_NEVER);
    run_batch(link, clock_ms()); /* what was posted before that */
    flush_at_stop(link);
    return NULL;
}

/* ---- opening and closing ---- */

/* So that not all begin with the same one. */
static void take_servers(struct link *link, const struct words_service *service)
{
    link->server_count = service->server_count;
    memcpy(link->servers, service->servers, sizeof link->servers);
    for (unsigned i = link->server_count - 1; i > 0; i--) {
        unsigned other = chance_below(&link->chance, i + 1);
        struct words_server kept = link->servers[i];
        link->servers[i] = link->servers[other];
        link->servers[other] = kept;
    }
    link->server = link->server_count - 1; /* the next one is the first */
}

static bool open_descriptors(struct link *link)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};
    link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    link->start_fd = eventfd(0, EFD_CLOEXEC);
    return link->epoll_fd >= 0 && link->wake_fd >= 0 && link->start_fd >= 0 &&
           epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, link->wake_fd, &event) == 0 &&
           heap_reserve(&link->timers, OWN_TIMERS);
}

static struct link *link_new(const struct link_plan *plan)
{
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    pthread_mutex_init(&link->lock, NULL);
    chance_init(&link->chance);
    link->owner = plan->owner;
    link->log = plan->log;
    link->max_message = plan->max_message;
    link->wire_plan = (struct wire_plan){
        .name = plan->name,
        .login = plan->secrets.login,
        .authorities = plan->secrets.authorities,
        .certificate = plan->secrets.certificate,
        .key = plan->secrets.key,
    };
    take_servers(link, plan->service);
    TAILQ_INIT(&link->subscriptions);
    TAILQ_INIT(&link->given_up);
    TAILQ_INIT(&link->fences);
    link_init_wires(link);
    return link;
}

struct link *link_open(const struct link_plan *plan, struct error *error)
{
    unsigned char random[WORDS_INBOX_RANDOM];
    struct link *link = link_new(plan);
    if (!link || !open_descriptors(link) ||
        getrandom(random, sizeof random, 0) != (ssize_t) sizeof random) {
        error_set(error, "unable to open a link to NATS: %s", strerror(errno));
        link_stop(link);
        return NULL;
    }
    link_open_inbox(link, random);
    if (link_start_connector(link, error))
        return link;
    link_stop(link);
    return NULL;
}

bool link_start(struct link *link, int stop_fd, struct error *error)
{
    errno = pthread_create(&link->thread, NULL, work, link);
    if (errno)
        return error_set(error, "unable to start a thread for NATS: %s", strerror(errno));
    link->is_running = true;
    struct pollfd polled[] = {{link->start_fd, POLLIN, 0}, {stop_fd, POLLIN, 0}};
    poll(polled, stop_fd > 0 ? 2 : 1, START_WAIT_MS);
    pthread_mutex_lock(&link->lock);
    bool refused = link->start == LINK_REFUSED;
    if (refused)
        error_set(error, "NATS %.480s", link->refusal.text);
    else
        link->start = LINK_STARTED;
    pthread_mutex_unlock(&link->lock);
    return !refused;
}

/* What nobody runs any more. */
static void discard_tasks(struct link *link)
{
    struct inbox_node *node = inbox_take_all(&link->inbox);
    while (node) {
        struct link_task *task = (struct link_task *) node;
        node = node->next;
        if (!wire_discard(task))
            connector_discard(task);
    }
}

static void end_thread(struct link *link)
{
    if (!link->is_running)
        return;
    atomic_store_explicit(&link->is_stopped, true, memory_order_release);
    eventfd_write(link->wake_fd, 1);
    pthread_join(link->thread, NULL);
}

void link_stop(struct link *link)
{
    struct link_subscription *subscription;
    if (!link)
        return;
    end_thread(link);
    for (unsigned i = 0; i < link->connector_count; i++)
        connector_stop(link->connectors[i], false);
    link_close_wires(link);
    TAILQ_FOREACH(subscription, &link->given_up, entry)
        link_forget(subscription);
    discard_tasks(link);
    for (unsigned i = 0; i < link->connector_count; i++) {
        connector_stop(link->connectors[i], true);
        connector_free(link->connectors[i]);
    }
    heap_fini(&link->timers);
    const int fds[] = {link->epoll_fd, link->wake_fd, link->start_fd};
    for (unsigned i = 0; i < 3; i++)
        if (fds[i] > 0)
            close(fds[i]);
    pthread_mutex_destroy(&link->lock);
    free(link);
}
