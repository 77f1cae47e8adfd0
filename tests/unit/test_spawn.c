/*
 * test_spawn: what a program finds when it starts: descriptors, signals, environment, limits, a
 * terminal; and what is left of one that can't be started.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/handlers/program/spawn.h"

enum { LIMIT_MS = 60000 };

static const struct spawn_options plain = {.pty = false};

static void prepare(struct command *command, const char *const *argv)
{
    struct error error;
    assert_true(command_init(command, (char *const *) (uintptr_t) argv, &error));
}

/* Reads until the end of the stream, a terminal's as well. */
static void read_all(int fd, char *text, size_t size)
{
    size_t got = 0;
    for (;;) {
        struct pollfd ready = {fd, POLLIN, 0};
        assert_int_equal(poll(&ready, 1, LIMIT_MS), 1);
        ssize_t more = read(fd, text + got, size - 1 - got);
        if (more < 0 && errno == EAGAIN)
            continue;
        if (more <= 0)
            break;
        got += (size_t) more;
    }
    text[got] = '\0';
    close(fd);
}

/* Its end; the status, or the number of the signal that killed it. */
static int finish(struct group *group, const struct spawned *spawned)
{
    siginfo_t info = {0};
    assert_int_equal(waitid(P_PIDFD, (id_t) spawned->pid_fd, &info, WEXITED | WNOWAIT), 0);
    if (!group_reap(group, spawned->pid_fd))
        group_forget(group);
    close(spawned->pid_fd);
    close(spawned->input_fd);
    return info.si_status;
}

/* Runs a script of the shell; sets what it has written to both. */
static void run(const char *script, const struct spawn_options *options, char output[4096],
                char errors[4096])
{
    const char *argv[] = {"sh", "-c", script, NULL};
    struct command command;
    struct group group;
    struct spawned spawned;
    prepare(&command, argv);
    assert_int_equal(spawn(&command, options, 7, &group, &spawned), 0);
    read_all(spawned.output_fd, output, 4096);
    if (options->stderr_to_output)
        assert_int_equal(spawned.errors_fd, -1);
    else
        read_all(spawned.errors_fd, errors, 4096);
    assert_int_equal(finish(&group, &spawned), 0);
    command_fini(&command);
}

/* ---- what a program finds ---- */

#define LIST_ENVIRONMENT                                                                           \
    "env | grep -E '^(BANTER_(WORKER|SESSION|ADDRESS|IDENTITY)|TERM|NO_COLOR|KEPT)=' | sort"

static const struct {
    struct spawn_options options;
    const char *script, *output;
} found[] = {
    {{.pty = false}, "echo a; echo b >&2", "a\n"},
    {{.pty = false}, "ls -1 /proc/$$/fd", "0\n1\n2\n"},
    {{.pty = false},
     "for i in 0 1 2; do test -p /dev/fd/$i && echo pipe; done",
     "pipe\npipe\npipe\n"},
    {{.pty = false},
     "sed -n '/^Sig[BIC]/s/\\t//p' /proc/self/status",
     "SigBlk:0000000000000000\nSigIgn:0000000000000000\nSigCgt:0000000000000000\n"},
    {{.pty = false}, "ulimit -Sn", "200\n"},
    {{.pty = false}, "test $(cut -d ' ' -f 5 /proc/$$/stat) = $$ && echo leader", "leader\n"},
    /* environment */
    {{.pty = false}, LIST_ENVIRONMENT, "BANTER_WORKER=7\nKEPT=yes=no\nTERM=xterm\n"},
    {{.pty = true}, LIST_ENVIRONMENT, "BANTER_WORKER=7\nKEPT=yes=no\nNO_COLOR=1\nTERM=dumb\n"},
    {{.environment = {"BANTER_SESSION=1", "BANTER_ADDRESS=a:1", "BANTER_IDENTITY="}},
     LIST_ENVIRONMENT,
     "BANTER_ADDRESS=a:1\nBANTER_IDENTITY=\nBANTER_SESSION=1\nBANTER_WORKER=7\nKEPT=yes=no\nTERM="
     "xterm\n"},
    {{.environment = {"KEPT=other"}}, "env | grep KEPT", "KEPT=other\n"},
    /* a terminal */
    {{.pty = true}, "test -t 1 && test -p /dev/fd/0 && test -p /dev/fd/2 && echo a", "a\n"},
    {{.pty = true}, "ls -1 /proc/$$/fd", "0\n1\n2\n"},
    {{.pty = true}, "stty size <&1", "0 0\n"},
    {{.pty = true}, "printf 'a\\tb\\r\\n\\004\\n' ", "a\tb\r\n\004\n"},
    {{.stderr_to_output = true}, "echo a; echo b >&2; echo c", "a\nb\nc\n"},
    {{.pty = true, .stderr_to_output = true},
     "test -t 2; echo a; echo b >&2; echo $?",
     "a\nb\n0\n"},
};

static void finds(void **state)
{
    (void) state;
    char output[4096], errors[4096];
    struct rlimit before, low;
    sigset_t blocked, mask;
    getrlimit(RLIMIT_NOFILE, &before);
    low = (struct rlimit){200, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    setenv("TERM", "xterm", 1);
    setenv("KEPT", "yes=no", 1);
    setenv("BANTER_WORKER", "inherited", 1);
    setenv("BANTER_SESSION", "inherited", 1);
    unsetenv("NO_COLOR");
    int inherited = open("/dev/null", O_RDONLY); /* not closed by exec */
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        run(found[i].script, &found[i].options, output, errors);
        assert_string_equal(output, found[i].output);
    }
    close(inherited);
    setrlimit(RLIMIT_NOFILE, &before);
    /* It has changed nothing here. */
    struct sigaction action;
    sigaction(SIGPIPE, NULL, &action);
    assert_true(action.sa_handler == SIG_IGN);
    pthread_sigmask(SIG_UNBLOCK, &blocked, &mask);
    assert_true(sigismember(&mask, SIGUSR1));
    assert_false(sigismember(&mask, SIGTERM));
}

static void standard_error_is_separate(void **state)
{
    (void) state;
    char output[4096], errors[4096];
    run("echo a; echo b >&2", &plain, output, errors);
    assert_string_equal(errors, "b\n");
    run("echo a; echo b >&2", &(struct spawn_options){.pty = true}, output, errors);
    assert_string_equal(errors, "b\n");
}

/* The terminal that controls a process, if any: the fifth word behind the name in `stat`. */
#define TERMINAL_OF "sed 's/.*) //' /proc/self/stat | cut -d ' ' -f 5"

static void terminal_controls_nothing(void **state)
{
    (void) state;
    char output[4096], errors[4096], own[4096];
    run(TERMINAL_OF, &plain, own, errors); /* this process's */
    run(TERMINAL_OF, &(struct spawn_options){.pty = true}, output, errors);
    assert_string_equal(output, own);
}

static void our_ends(void **state)
{
    (void) state;
    const char *argv[] = {"cat", NULL};
    struct command command;
    struct group group;
    struct spawned spawned;
    char byte;
    prepare(&command, argv);
    assert_int_equal(spawn(&command, &plain, 1, &group, &spawned), 0);
    int ends[] = {spawned.input_fd, spawned.output_fd, spawned.errors_fd};
    for (int i = 0; i < 3; i++) {
        assert_true(fcntl(ends[i], F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(ends[i], F_GETFL) & O_NONBLOCK);
    }
    assert_true(fcntl(spawned.pid_fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(read(spawned.output_fd, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(getpgid(group.id), group.id);
    group_signal(&group, SIGTERM);
    assert_int_equal(finish(&group, &spawned), SIGTERM);
    close(spawned.output_fd);
    close(spawned.errors_fd);
    command_fini(&command);
}

/* ---- failures ---- */

static int lowest_free(void)
{
    int fd = dup(2);
    close(fd);
    return fd;
}

/* A script whose interpreter does not exist: only exec finds that. */
static void exec_fails(void **state)
{
    (void) state;
    static const char script[] = "#!/nonexistent/interpreter\n";
    char path[] = "/tmp/test-spawn-XXXXXX";
    int fd = mkstemp(path), free_before = 0;
    struct command command;
    struct group group;
    struct spawned spawned;
    const char *argv[] = {path, NULL};
    assert_int_equal(write(fd, script, sizeof script - 1), sizeof script - 1);
    fchmod(fd, 0700);
    close(fd);
    prepare(&command, argv);
    free_before = lowest_free();
    for (int pty = 0; pty < 2; pty++)
        assert_int_equal(spawn(&command, &(struct spawn_options){.pty = pty}, 1, &group, &spawned),
                         ENOENT);
    unlink(path);
    assert_int_equal(spawn(&command, &plain, 1, &group, &spawned), ENOENT);
    assert_int_equal(lowest_free(), free_before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    assert_int_equal(errno, ECHILD);
    command_fini(&command);
}

static void descriptors_are_out(void **state)
{
    (void) state;
    const char *argv[] = {"true", NULL};
    struct rlimit before, low;
    struct command command;
    struct group group;
    struct spawned spawned;
    prepare(&command, argv);
    getrlimit(RLIMIT_NOFILE, &before);
    int first = lowest_free();
    for (int more = 0; more < 6; more++) {
        low = (struct rlimit){(rlim_t) (first + more), before.rlim_max};
        setrlimit(RLIMIT_NOFILE, &low);
        assert_int_equal(spawn(&command, &plain, 1, &group, &spawned), EMFILE);
    }
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(lowest_free(), first);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    command_fini(&command);
}

/* ---- threads ---- */

static void *start_and_end(void *argument)
{
    struct command *command = argument;
    for (int i = 0; i < 20; i++) {
        struct group group;
        struct spawned spawned;
        if (spawn(command, &plain, 1, &group, &spawned) != 0)
            return NULL;
        close(spawned.output_fd);
        close(spawned.errors_fd);
        if (finish(&group, &spawned) != 0)
            return NULL;
    }
    return command;
}

static void many_threads(void **state)
{
    (void) state;
    enum { THREADS = 4 };
    const char *argv[] = {"true", NULL};
    struct command command;
    pthread_t threads[THREADS];
    prepare(&command, argv);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, start_and_end, &command), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, &command);
    }
    command_fini(&command);
}

struct started {
    struct command command;
    struct group group;
    struct spawned spawned;
    int failure;
};

static void *start_one(void *argument)
{
    struct started *started = argument;
    started->failure = spawn(&started->command, &plain, 1, &started->group, &started->spawned);
    return NULL;
}

static void ends_with_its_thread(void **state)
{
    (void) state;
    const char *argv[] = {"cat", NULL};
    struct started started;
    pthread_t thread;
    prepare(&started.command, argv);
    assert_int_equal(pthread_create(&thread, NULL, start_one, &started), 0);
    pthread_join(thread, NULL);
    assert_int_equal(started.failure, 0);
    assert_int_equal(finish(&started.group, &started.spawned), SIGKILL);
    close(started.spawned.output_fd);
    close(started.spawned.errors_fd);
    command_fini(&started.command);
}

/* The last test: no group can be started after it. */
static void aborted(void **state)
{
    (void) state;
    const char *argv[] = {"cat", NULL};
    struct started started, late;
    prepare(&started.command, argv);
    prepare(&late.command, argv);
    start_one(&started);
    assert_int_equal(started.failure, 0);
    groups_abort();
    start_one(&late);
    assert_int_equal(late.failure, ECANCELED);
    assert_int_equal(finish(&started.group, &started.spawned), SIGKILL);
    close(started.spawned.output_fd);
    close(started.spawned.errors_fd);
    command_fini(&started.command);
    command_fini(&late.command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),
        cmocka_unit_test(standard_error_is_separate),
        cmocka_unit_test(terminal_controls_nothing),
        cmocka_unit_test(our_ends),
        cmocka_unit_test(exec_fails),
        cmocka_unit_test(descriptors_are_out),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(ends_with_its_thread),
        cmocka_unit_test(aborted),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
