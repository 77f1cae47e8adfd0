/* test_patience: who goes behind others, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/handlers/program/patience.h"

/* Starts a process that starts another one when it is told to, and sends that one's number. */
static pid_t start(int told_fd, int number_fd)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    char byte;
    if (read(told_fd, &byte, 1) != 1)
        _exit(1);
    pid = fork();
    if (pid != 0 && write(number_fd, &pid, sizeof pid) != sizeof pid)
        _exit(1);
    for (;;)
        pause();
}

static void it_ends_for_what_has_been_started_meanwhile(void **state)
{
    (void) state;
    int told[2], number[2];
    pid_t child;
    assert_int_equal(pipe(told), 0);
    assert_int_equal(pipe(number), 0);
    pid_t pid = start(told[0], number[1]);
    patience_begin(pid);
    assert_int_equal(sched_getscheduler(pid), SCHED_BATCH);
    assert_int_equal(write(told[1], "", 1), 1);
    assert_int_equal(read(number[0], &child, sizeof child), sizeof child);
    assert_int_equal(sched_getscheduler(child), SCHED_BATCH);
    while (!process_is_asleep(pid) || !process_is_asleep(child))
        sched_yield();
    assert_false(process_is_asleep(getpid()));
    patience_end(pid);
    assert_int_equal(sched_getscheduler(pid), SCHED_OTHER);
    assert_int_equal(sched_getscheduler(child), SCHED_OTHER);
    kill(child, SIGKILL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    patience_end(pid); /* it has gone */
    assert_false(process_is_asleep(pid));
    for (int i = 0; i < 2; i++) {
        close(told[i]);
        close(number[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_for_what_has_been_started_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
