/*
 * test_freezer: a process whose control group is frozen. Skipped where no group can be made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/handlers/program/freezer.h"

/* A group, and one in it. */
static char outer[128], inner[160];

static bool write_file(const char *group, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", group, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text);
    if (fd >= 0)
        close(fd);
    return done;
}

static bool make_groups(void)
{
    static const char *const mounts[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(outer, sizeof outer, "%s/banter-test-%d", mounts[i], (int) getpid());
        snprintf(inner, sizeof inner, "%s/inner", outer);
        if (mkdir(outer, 0755) != 0)
            continue;
        if (mkdir(inner, 0755) == 0 && write_file(inner, "cgroup.freeze", "0"))
            return true;
        rmdir(inner);
        rmdir(outer);
    }
    return false;
}

static void test_groups(void **state)
{
    (void) state;
    static const struct {
        const char *group, *text;
        bool frozen;
    } steps[] = {
        {inner, "1", true},
        {inner, "0", false},
        {outer, "1", true},
        {outer, "0", false},
    };
    char text[16];
    if (!make_groups())
        skip();
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    snprintf(text, sizeof text, "%d", (int) pid);
    assert_true(write_file(inner, "cgroup.procs", text));
    assert_false(process_is_frozen(pid));
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_true(write_file(steps[i].group, "cgroup.freeze", steps[i].text));
        assert_int_equal(process_is_frozen(pid), steps[i].frozen);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_false(process_is_frozen(pid));
    assert_int_equal(rmdir(inner), 0);
    assert_int_equal(rmdir(outer), 0);
}

static void test_this_process(void **state)
{
    (void) state;
    assert_false(process_is_frozen(getpid()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_this_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
