/*
 * test_program_instance: the descriptors of an instance, and the clock of all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/handlers/program/instance.h"

/* A process between its clone and its exec holds a copy of each descriptor, and epoll goes on with
 * what has a copy. */
static void test_no_event_of_a_closed_channel(void **state)
{
    static const struct spawn_options plain = {.pty = false};
    struct instances instances;
    struct epoll_event event;
    (void) state;
    assert_true(instances_init(&instances, NULL, &plain, NULL));
    struct channel channel = {CHANNEL_WAKE, eventfd(1, EFD_CLOEXEC), NULL};
    int copy_fd = dup(channel.fd);
    assert_true(copy_fd >= 0);
    assert_true(channel_watch(&instances, &channel, EPOLLIN));
    assert_int_equal(epoll_wait(instances.epoll_fd, &event, 1, 0), 1);
    channel_close(&instances, &channel);
    assert_int_equal(channel.fd, -1);
    assert_int_equal(epoll_wait(instances.epoll_fd, &event, 1, 0), 0);
    channel_close(&instances, &channel); /* does nothing */
    close(copy_fd);
    instances_fini(&instances);
}

static void test_the_clock_stands_still_in_a_pause(void **state)
{
    enum { PAUSE_MS = 1000000 };
    static struct instances instances;
    (void) state;
    int64_t before_ms = clock_ms();
    instances_update_time(&instances, CLOCK_NEVER);
    assert_int_equal(instances.paused_ms, 0);
    assert_true(instances.now_ms >= before_ms);
    instances_update_time(&instances, before_ms - PAUSE_MS);
    instances_update_time(&instances, CLOCK_NEVER);
    assert_true(instances.paused_ms >= PAUSE_MS);
    int64_t after_ms = clock_ms();
    assert_true(instances.now_ms <= after_ms - PAUSE_MS);
    assert_true(instances_clock_ms(&instances) >= before_ms);
    assert_true(instances_clock_ms(&instances) <= after_ms);
    assert_int_equal(instances.now_us / 1000, instances.now_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_event_of_a_closed_channel),
        cmocka_unit_test(test_the_clock_stands_still_in_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
