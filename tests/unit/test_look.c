/*
 * test_look: real programs, and whose turn it is with them. A program that is said to wait has
 * written all that it had to, every time.
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
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/handlers/program/look.h"
#include "tests/unit/sanitizer.h"

#define PYTHON "/usr/bin/python3", "-c"

enum { LIMIT_MS = 60000, STRESS_MS = 20000, STRESS_TURNS = 60000 };

/* A program with a pipe at each end. */
struct child {
    pid_t pid;
    int input_fd, output_fd; /* ours */
    struct look look;
    char output[4096]; /* of this turn */
    size_t size;
};

/* ---- starting and ending ---- */

/* Closed by a successful exec. */
static void await_exec(int status_fd)
{
    char byte;
    assert_int_equal(read(status_fd, &byte, 1), 0);
    close(status_fd);
}

/* Starts a program; without one, a function. */
static struct child *start(const char *const *argv, void (*run)(void))
{
    struct child *child = calloc(1, sizeof *child);
    int input[2], output[2], status[2];
    assert_non_null(child);
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    assert_int_equal(pipe2(status, O_CLOEXEC), 0);
    fflush(NULL);
    child->pid = fork();
    if (child->pid == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails ends nothing */
        dup2(input[0], 0);
        dup2(output[1], 1);
        close(input[1]);
        close(status[1]);
        if (run)
            run();
        else
            execvp(argv[0], (char *const *) (uintptr_t) argv);
        _exit(127);
    }
    assert_true(child->pid > 0);
    close(input[0]);
    close(output[1]);
    close(status[1]);
    await_exec(status[0]);
    child->input_fd = input[1];
    child->output_fd = output[0];
    fcntl(child->output_fd, F_SETFL, O_NONBLOCK);
    return child;
}

static struct child *start_seen(const char *const *argv)
{
    struct child *child = start(argv, NULL);
    assert_int_equal(look_open(&child->look, child->pid, child->input_fd), 0);
    return child;
}

static void end(struct child *child)
{
    kill(-child->pid, SIGKILL);
    kill(child->pid, SIGKILL);
    assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
    look_close(&child->look);
    close(child->input_fd);
    close(child->output_fd);
    free(child);
}

/* ---- turns ---- */

static void give(struct child *child, const char *text)
{
    child->size = 0;
    assert_int_equal(write(child->input_fd, text, strlen(text)), strlen(text));
}

static const char *take(struct child *child)
{
    ssize_t got;
    while ((got = read(child->output_fd, child->output + child->size,
                       sizeof child->output - 1 - child->size)) > 0)
        child->size += (size_t) got;
    assert_true(got == 0 || errno == EAGAIN);
    child->output[child->size] = '\0';
    return child->output;
}

/* Nothing announces that a process blocks. */
static void await_state(struct child *child, enum look_state wanted)
{
    int64_t limit_ms = clock_ms() + LIMIT_MS;
    enum look_state state;
    while ((state = look_at(&child->look)) != wanted) {
        if (clock_ms() > limit_ms)
            fail_msg("process %d: state %d, not %d: it %s", (int) child->pid, (int) state,
                     (int) wanted, child->look.why ? child->look.why : "waits");
        usleep(100);
    }
}

static void assert_turn(struct child *child, const char *request, enum look_state end_state,
                        const char *reply)
{
    give(child, request);
    await_state(child, end_state);
    assert_string_equal(take(child), reply);
}

/* Awaits this output, as one must whose process does not show its turn. */
static void await_output(struct child *child, const char *text)
{
    int64_t limit_ms = clock_ms() + LIMIT_MS;
    while (strcmp(take(child), text) != 0) {
        assert_true(clock_ms() < limit_ms);
        usleep(100);
    }
}

static void assert_never_over(struct child *child)
{
    for (int i = 0; i < 1000; i++) {
        enum look_state state = look_at(&child->look);
        if (state != LOOK_WORKS)
            fail_msg("look %d: state %d", i, (int) state);
    }
}

/* ---- programs that wait ---- */

struct turn {
    const char *request, *reply;
};

static const struct {
    const char *argv[6];
    struct turn turns[6];
} waiting[] = {
    {{"cat"}, {{"a\n", "a\n"}, {"half", "half"}, {"\n", "\n"}}},
    {{"tr", "a", "b"}, {{"a\n", ""}, {"a\n", ""}}},
    {{"sed", "-u", "p"}, {{"a\n", "a\na\n"}}},
    {{"grep", "--line-buffered", "x"}, {{"a\n", ""}, {"x\n", "x\n"}}},
    {{"bc", "-lq"},
     {{"2^300\n", "20370359763344860862684456884093781610514683936659362506361404493543\\\n"
                  "81299763336706183397376\n"},
      {"a=5\n", ""},
      {"a*2; 1+1\n", "10\n2\n"}}},
    {{"sh"},
     {{"cd /\n", ""},
      {"pwd\n", "/\n"},
      {"printf a; printf b | cat; exec 2>&1\n", "ab"},
      {"i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo $i\n", "20000\n"},
      /* What works in the background belongs to the turn that has started it. */
      {"(sleep .1; echo late) & echo now\n", "now\nlate\n"}}},
    {{PYTHON, "import sys\nfor line in sys.stdin: print(line * int(line), end='', flush=True)"},
     {{"2\n", "2\n2\n"}, {"0\n", ""}}},
    /* Its input has another number, too. */
    {{PYTHON, "import os\nfd = os.dup(0)\nwhile True: os.write(1, os.read(fd, 100))"},
     {{"a\n", "a\n"}}},
    {{PYTHON, "import os\nfd = os.dup(0)\nos.close(0)\nwhile True: os.write(1, os.read(fd, 100))"},
     {{"a\n", "a\n"}}},
    {{PYTHON,
      "import os\nwhile True:\n size = os.readv(0, [b := bytearray(9)])\n os.write(1, b[:size])"},
     {{"a\n", "a\n"}}},
};

static void waits(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++) {
        struct child *child = start_seen(waiting[i].argv);
        await_state(child, LOOK_WAITS);
        for (const struct turn *turn = waiting[i].turns; turn->request; turn++)
            assert_turn(child, turn->request, LOOK_WAITS, turn->reply);
        assert_null(child->look.why);
        end(child);
    }
}

/* ---- programs that rest ---- */

static const struct {
    const char *argv[6];
    struct turn turns[3];
} resting[] = {
    {{"timeout", "1000", "bc"}, {{"1+1\n", "2\n"}}},
    {{"sh", "-c", "cd /; bc; :"}, {{"1+1\n", "2\n"}}},
    {{"sh", "-c", "sed -u s/a/b/ | sed -u s/b/c/; :"}, {{"a\n", "c\n"}}},
    {{PYTHON, "import os, select\nwhile select.select([0], [], []): os.write(1, os.read(0, 100))"},
     {{"a\n", "a\n"}}},
    {{PYTHON, "import os, select\np = select.poll()\np.register(0, 1)\n"
              "while p.poll(): os.write(1, os.read(0, 100))"},
     {{"a\n", "a\n"}}},
    {{PYTHON, "import os, select\ne = select.epoll()\ne.register(0, 1)\n"
              "while e.poll(): os.write(1, os.read(0, 100))"},
     {{"a\n", "a\n"}}},
    /* Its input is read by another thread than the first, as in Java. */
    {{PYTHON, "import os, threading\ndef run():\n"
              " while True: os.write(1, os.read(0, 100))\n"
              "threading.Thread(target=run).start()"},
     {{"a\n", "a\n"}}},
};

static void rests(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof resting / sizeof *resting; i++) {
        struct child *child = start_seen(resting[i].argv);
        for (const struct turn *turn = resting[i].turns; turn->request; turn++) {
            give(child, turn->request);
            await_output(child, turn->reply);
            await_state(child, LOOK_RESTS);
            assert_non_null(child->look.why);
        }
        end(child);
    }
}

/* ---- programs that work ---- */

/* They have answered, and then wait for something that comes by itself. */
static const char *const working[][6] = {
    {PYTHON, "import os, select\nwhile True:\n os.write(1, os.read(0, 100))\n"
             " select.select([0], [], [], 1000)"},
    {PYTHON, "import os, select\np = select.poll()\np.register(0, 1)\nwhile True:\n"
             " os.write(1, os.read(0, 100))\n p.poll(1000000)"},
    {PYTHON, "import os, select\ne = select.epoll()\ne.register(0, 1)\nwhile True:\n"
             " os.write(1, os.read(0, 100))\n e.poll(1000)"},
    {PYTHON, "import os, time\nos.write(1, os.read(0, 100))\ntime.sleep(1000)"},
    {PYTHON, "import os\nos.write(1, os.read(0, 100))\nwhile True: pass"},
    /* The program's other end of this pipe is its own matter. */
    {PYTHON, "import os\nos.write(1, os.read(0, 100))\nr, w = os.pipe()\nos.read(r, 1)"},
    {PYTHON,
     "import os\nos.write(1, os.read(0, 100))\nr, w = os.pipe()\nos.dup2(r, 0)\nos.read(0, 1)"},
    {PYTHON, "import os, threading, time\nos.write(1, os.read(0, 100))\n"
             "threading.Thread(target=time.sleep, args=(1000,)).start()\nos.read(0, 1)"},
    {"sh", "-c", "read x; (echo $x; exec sleep 1000); :"},
    {"sh", "-c", "read x; sleep 1000 & echo $x; read x"},
};

static void works(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof working / sizeof *working; i++) {
        struct child *child = start_seen(working[i]);
        give(child, "a\n");
        await_output(child, "a\n");
        /* On its way to that it may be in a wait that would end. */
        await_state(child, LOOK_WORKS);
        assert_never_over(child);
        end(child);
    }
}

static void input_left_unread(void **state)
{
    (void) state;
    const char *argv[] = {PYTHON, "import os, select\nos.read(0, 1)\nselect.select([], [], [])",
                          NULL};
    struct child *child = start_seen(argv);
    give(child, "ab");
    assert_never_over(child);
    end(child);
}

/* A shell puts what a command reads in the place of its own input. */
static void input_is_replaced(void **state)
{
    (void) state;
    const char *argv[] = {"sh", NULL};
    char folder[] = "/tmp/test-look-XXXXXX", path[64], request[128];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(request, sizeof request, "read x <%s; echo $x\n", path);
    struct child *child = start_seen(argv);
    give(child, request);
    int fd = open(path, O_WRONLY | O_CLOEXEC); /* until the shell has opened it, too */
    assert_never_over(child);
    assert_int_equal(write(fd, "a\n", 2), 2);
    await_state(child, LOOK_WAITS);
    assert_string_equal(take(child), "a\n");
    close(fd);
    end(child);
    unlink(path);
    rmdir(folder);
}

/* ---- the kind changes ---- */

static void thread_comes_later(void **state)
{
    (void) state;
    const char *argv[] = {PYTHON,
                          "import os, threading\nos.read(0, 9)\n"
                          "threading.Thread(target=threading.Event().wait).start()\n"
                          "while True: os.write(1, os.read(0, 9))",
                          NULL};
    struct child *child = start_seen(argv);
    await_state(child, LOOK_WAITS);
    assert_false(child->look.has_threads);
    give(child, "a\n");
    int64_t limit_ms = clock_ms() + LIMIT_MS;
    do /* it may rest for another reason before it has started the thread */
        await_state(child, LOOK_RESTS);
    while (!child->look.has_threads && clock_ms() < limit_ms);
    assert_true(child->look.has_threads);
    assert_turn(child, "b\n", LOOK_RESTS, "b\n");
    end(child);
}

static void child_comes_later(void **state)
{
    (void) state;
    const char *argv[] = {"sh", NULL};
    struct child *child = start_seen(argv);
    await_state(child, LOOK_WAITS);
    give(child, "perl -e sleep & child=$!; echo a\n");
    await_output(child, "a\n");
    await_state(child, LOOK_RESTS);
    assert_true(child->look.has_children);
    assert_string_equal(child->look.why, "has a child");
    /* One that has ended is none, whether or not it is reaped. */
    assert_turn(child, "kill $child; echo b\n", LOOK_WAITS, "b\n");
    assert_false(child->look.has_children);
    end(child);
}

/* ---- stopped, ended ---- */

static void stop(struct child *child)
{
    siginfo_t info;
    kill(child->pid, SIGSTOP);
    assert_int_equal(waitid(P_PID, (id_t) child->pid, &info, WSTOPPED | WNOWAIT), 0);
}

static void stopped(void **state)
{
    (void) state;
    const char *const programs[][4] = {
        {"cat"},
        {PYTHON, "import select\nselect.select([0], [], [])"},
        {PYTHON, "import select\np = select.poll()\np.register(0, 1)\np.poll()"},
        {"sh", "-c", "cat; :"},
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        enum look_state before = i == 0 ? LOOK_WAITS : LOOK_RESTS;
        struct child *child = start_seen(programs[i]);
        await_state(child, before);
        stop(child);
        assert_never_over(child);
        kill(child->pid, SIGCONT);
        await_state(child, before);
        end(child);
    }
}

static void ended(void **state)
{
    (void) state;
    const char *argv[] = {"cat", NULL};
    siginfo_t info;
    struct child *child = start_seen(argv);
    await_state(child, LOOK_WAITS);
    kill(child->pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t) child->pid, &info, WEXITED | WNOWAIT), 0);
    assert_never_over(child);
    end(child);
}

/* ---- what the system does not show ---- */

enum { NOBODY = 65534 };

/* A program that may be executed and not read shows nothing to a user without privileges. Returns
 * the status to end with: which check has failed. */
static int look_at_unreadable(const char *path)
{
    const char *argv[] = {path, NULL};
    if (getuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        return 2;
    struct child *child = start(argv, NULL);
    if (look_open(&child->look, child->pid, child->input_fd) != EACCES)
        return 3;
    give(child, "a\n");
    int64_t limit_ms = clock_ms() + LIMIT_MS;
    enum look_state state = LOOK_WORKS;
    for (; strcmp(take(child), "a\n") != 0 || state != LOOK_UNKNOWN; usleep(100)) {
        state = look_at(&child->look);
        if (state == LOOK_WAITS || state == LOOK_RESTS || clock_ms() > limit_ms)
            return 4;
    }
    stop(child);
    state = look_at(&child->look);
    end(child);
    return state == LOOK_WORKS ? 0 : 5;
}

static void hidden(void **state)
{
    (void) state;
    char folder[] = "/tmp/test-look-XXXXXX", path[64], command[160];
    assert_non_null(mkdtemp(folder));
    chmod(folder, 0755);
    snprintf(path, sizeof path, "%s/cat", folder);
    snprintf(command, sizeof command, "cp /bin/cat %s && chmod 0111 %s", path, path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(look_at_unreadable(path));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(path);
    rmdir(folder);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void no_such_process(void **state)
{
    (void) state;
    struct look look;
    int ends[2];
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(look_open(&look, pid, ends[1]), ENOENT);
    assert_int_equal(look_at(&look), LOOK_UNKNOWN);
    look_close(&look);
    close(ends[0]);
    close(ends[1]);
}

/* ---- the order of the looks ---- */

/* Answers each byte with the bytes '1' to '3', the more of them the longer it takes. */
static void answer(void)
{
    char request;
    for (unsigned turn = 0; read(0, &request, 1) == 1; turn++)
        for (unsigned i = 0; i <= turn % 3; i++) {
            for (volatile unsigned spin = 0; spin < turn % 7 * 500; spin++)
                continue;
            if (write(1, &"123"[i], 1) != 1)
                return;
        }
}

/* Whenever it is said to wait, the answer is complete. */
static void never_wrong(void **state)
{
    (void) state;
    static const char *const answers[] = {"1", "12", "123"};
    struct child *child = start(NULL, answer);
    int64_t limit_ms = clock_ms() + STRESS_MS;
    int turn = 0;
    assert_int_equal(look_open(&child->look, child->pid, child->input_fd), 0);
    if (thread_sanitizer_is_on())
        skip();
    for (; turn < STRESS_TURNS && clock_ms() < limit_ms; turn++) {
        give(child, "?");
        while (look_at(&child->look) != LOOK_WAITS)
            assert_true(clock_ms() < limit_ms + LIMIT_MS);
        if (strcmp(take(child), answers[turn % 3]) != 0)
            fail_msg("turn %d: %s", turn, child->output);
    }
    assert_true(turn > 0);
    end(child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits),
        cmocka_unit_test(rests),
        cmocka_unit_test(works),
        cmocka_unit_test(input_left_unread),
        cmocka_unit_test(input_is_replaced),
        cmocka_unit_test(thread_comes_later),
        cmocka_unit_test(child_comes_later),
        cmocka_unit_test(stopped),
        cmocka_unit_test(ended),
        cmocka_unit_test(hidden),
        cmocka_unit_test(no_such_process),
        cmocka_unit_test(never_wrong),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
