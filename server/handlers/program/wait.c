/* wait: the timer, the wait, and the clock. */
#include "server/handlers/program/wait.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "common/clock.h"

enum {
    CHANNELS_MAX = 4, /* of an instance */
    MORE_EVENTS = 64, /* of channels that are not an instance's, or not any more */
};

void wait_init(struct wait *wait, struct instances *instances)
{
    *wait = (struct wait){.instances = instances, .timer.fd = -1, .timer_us = CLOCK_NEVER};
}

bool wait_open(struct wait *wait)
{
    wait->timer = (struct channel){
        CHANNEL_TIMER, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), NULL};
    return wait->timer.fd >= 0 && channel_watch(wait->instances, &wait->timer, EPOLLIN | EPOLLET);
}

void wait_fini(struct wait *wait) { channel_close(wait->instances, &wait->timer); }

/* ---- the timer ---- */

void wait_timer_is_over(struct wait *wait) { wait->timer_us = CLOCK_NEVER; }

/* The timer goes off when the next look is due. One that goes off too early does no harm, so it is
 * not set anew with each turn. False: a look is due already. */
static bool set_timer(struct wait *wait, int64_t look_due_us)
{
    if (look_due_us == CLOCK_NEVER)
        return true;
    int64_t at_us = look_due_us + wait->instances->paused_ms * 1000;
    if (at_us >= wait->timer_us)
        return true;
    if (at_us <= clock_ns(CLOCK_MONOTONIC) / 1000)
        return false;
    struct itimerspec spec = {.it_value = {at_us / 1000000, at_us % 1000000 * 1000}};
    timerfd_settime(wait->timer.fd, TFD_TIMER_ABSTIME, &spec, NULL);
    wait->timer_us = at_us;
    return true;
}

/* ---- the wait ---- */

/* Returns how long to wait, in ms; -1: until something happens. `*until_ms`: when that ends at the
 * latest, by CLOCK_MONOTONIC; CLOCK_NEVER: nothing is due. */
static int plan(struct wait *wait, int64_t look_due_us, int64_t *until_ms)
{
    struct instances *instances = wait->instances;
    int64_t begun_ms = clock_ms();
    instances->paused_ms += clock_batch_paused_ms(begun_ms, instances_clock_ms(instances));
    *until_ms = begun_ms;
    if (look_due_us == 0 || !set_timer(wait, look_due_us))
        return 0;
    int64_t timer_ms = wait->timer_us == CLOCK_NEVER ? CLOCK_NEVER : wait->timer_us / 1000 + 1;
    *until_ms = clock_later(timer_ms, begun_ms);
    if (instances->due_ms == CLOCK_NEVER)
        return -1;
    int timeout_ms = clock_part_ms(instances->due_ms + instances->paused_ms - begun_ms);
    *until_ms = clock_earlier(begun_ms + timeout_ms, *until_ms);
    return timeout_ms;
}

int wait_for_events(struct wait *wait, int64_t look_due_us, struct epoll_event *events, int max)
{
    int64_t until_ms;
    int timeout_ms = plan(wait, look_due_us, &until_ms);
    int count = epoll_wait(wait->instances->epoll_fd, events, max, timeout_ms);
    instances_update_time(wait->instances, until_ms);
    return count;
}

void wait_end_look(struct wait *wait, bool may_be_more, unsigned count)
{
    struct instances *instances = wait->instances;
    wait->look_events += count;
    if (may_be_more && wait->look_events < CHANNELS_MAX * instances->count + MORE_EVENTS)
        return;
    instances->looked_ms = wait->look_ms;
    wait->look_ms = instances->now_ms;
    wait->look_events = 0;
}
