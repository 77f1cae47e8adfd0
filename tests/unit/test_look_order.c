/*
 * test_look_order: the order of what a look does, and of what is done with it in a turn, at every
 * point at which the process may go on meanwhile. The system calls of a look are this file's:
 * before one of them, and before another one, the process is let go on by so many steps. Whenever a
 * look finds that it waits, its answer must be complete; whenever a turn is over, it must have been
 * read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/handlers/program/look.h"
#include "server/handlers/program/turns.h"
#include "server/request_owner.h"
#include "tests/unit/sanitizer.h"

enum { LIMIT_MS = 60000, GATE_FD = 3, MAX_CALLS = 30 };

/* How far a process has got with its request. */
enum step {
    ASLEEP,    /* still in the read in which it has waited for the request, which is there */
    READ,      /* it has read it, and has not answered */
    HALF,      /* it has written "1" */
    IN_THREAD, /* its first thread waits for more, a second one will go on */
    IN_CHILD,  /* the second thread has left that to a child, and has ended */
    WAITS,     /* the child has written "2", and has ended: the answer is complete */
};

struct process {
    pid_t pid;
    int input_fd, output_fd, gate_fd;
    enum step step;
    struct look look;
};

/* ---- in the process ---- */

static void pass_gate(void)
{
    char byte;
    if (read(GATE_FD, &byte, 1) != 1)
        _exit(1);
}

static void *go_on_in_thread(void *argument)
{
    pass_gate();
    if (fork() == 0) {
        pass_gate();
        _exit(write(1, "2", 1) != 1);
    }
    return argument;
}

static void run(void)
{
    char request;
    while (read(0, &request, 1) == 1) {
        pthread_t thread;
        pass_gate();
        if (write(1, "1", 1) != 1)
            _exit(1);
        pass_gate();
        if (pthread_create(&thread, NULL, go_on_in_thread, NULL) != 0 ||
            pthread_detach(thread) != 0)
            _exit(1);
    }
    _exit(0);
}

/* ---- what it is at, as /proc tells ---- */

static const char *read_proc(pid_t pid, const char *name)
{
    static char text[4096];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int) pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    text[size > 0 ? size : 0] = '\0';
    if (fd >= 0)
        close(fd);
    return text;
}

static char state_of(pid_t pid)
{
    const char *end = strrchr(read_proc(pid, "stat"), ')');
    return end ? end[2] : '\0';
}

static bool is_in_read(pid_t pid, int fd)
{
    if (pid == 0)
        return false;
    char wanted[32];
    int length = snprintf(wanted, sizeof wanted, "%ld 0x%x ", (long) SYS_read, (unsigned) fd);
    return state_of(pid) == 'S' && strncmp(read_proc(pid, "syscall"), wanted, (size_t) length) == 0;
}

static pid_t child_of(pid_t pid)
{
    char name[48];
    snprintf(name, sizeof name, "task/%d/children", (int) pid);
    return (pid_t) strtol(read_proc(pid, name), NULL, 10);
}

/* The thread that is not the first; 0: there is none. */
static pid_t thread_of(pid_t pid)
{
    char path[32];
    pid_t found = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int) pid);
    DIR *tasks = opendir(path);
    struct dirent *entry;
    while (tasks && (entry = readdir(tasks))) {
        pid_t tid = (pid_t) strtol(entry->d_name, NULL, 10);
        if (tid > 0 && tid != pid)
            found = tid;
    }
    if (tasks)
        closedir(tasks);
    return found;
}

static int written(const struct process *process)
{
    int size = 0;
    assert_int_equal(syscall(SYS_ioctl, process->output_fd, FIONREAD, &size), 0);
    return size;
}

static bool is_at(const struct process *process, enum step step)
{
    pid_t pid = process->pid;
    switch (step) {
    case READ:
        return is_in_read(pid, GATE_FD);
    case HALF:
        return written(process) == 1 && is_in_read(pid, GATE_FD);
    case IN_THREAD:
        return is_in_read(pid, 0) && is_in_read(thread_of(pid), GATE_FD);
    case IN_CHILD:
        return !thread_of(pid) && child_of(pid) > 0 && is_in_read(child_of(pid), GATE_FD);
    case WAITS:
        return written(process) == 2 && state_of(child_of(pid)) == 'Z';
    default:
        return false;
    }
}

/* Lets it go on up to that step, and waits until it is there. */
static void go_on(struct process *process, enum step step)
{
    int64_t limit_ms = clock_ms() + LIMIT_MS;
    while (process->step < step) {
        if (process->step == ASLEEP)
            kill(process->pid, SIGCONT);
        else
            assert_int_equal(write(process->gate_fd, "g", 1), 1);
        process->step++;
        while (!is_at(process, process->step))
            assert_true(clock_ms() < limit_ms);
    }
}

/* ---- the system calls of a look ---- */

static struct {
    struct process *process; /* NULL: there is no look */
    unsigned calls;          /* so far */
    struct {
        unsigned call;
        enum step step;
    } turns[2];
} plan;

static void before_call(void)
{
    struct process *process = plan.process;
    if (!process)
        return;
    plan.process = NULL; /* what it takes to go on is no part of the look */
    plan.calls++;
    for (size_t i = 0; i < 2; i++)
        if (plan.turns[i].call == plan.calls)
            go_on(process, plan.turns[i].step);
    plan.process = process;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    before_call();
    return (int) syscall(SYS_ioctl, fd, request, argument);
}

ssize_t read(int fd, void *data, size_t size)
{
    before_call();
    return syscall(SYS_read, fd, data, size);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
    before_call();
    return syscall(SYS_pread64, fd, data, size, offset);
}

ssize_t readlinkat(int fd, const char *restrict path, char *restrict target, size_t size)
{
    before_call();
    return syscall(SYS_readlinkat, fd, path, target, size);
}

int fstat(int fd, struct stat *status)
{
    before_call();
    return fstatat(fd, "", status, AT_EMPTY_PATH);
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
    before_call();
    return (int) syscall(SYS_waitid, type, id, info, options, NULL);
}

/* ---- looks ---- */

static void begin(struct process *process, enum step step)
{
    int input[2], output[2], gate[2];
    int64_t limit_ms = clock_ms() + LIMIT_MS;
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    *process = (struct process){.pid = fork()};
    if (process->pid == 0) {
        int gate_fd = fcntl(gate[0], F_DUPFD, 64);
        if (dup2(input[0], 0) < 0 || dup2(output[1], 1) < 0 || dup2(gate_fd, GATE_FD) < 0)
            _exit(1);
        syscall(SYS_close_range, GATE_FD + 1, ~0U, 0);
        run();
    }
    assert_true(process->pid > 0);
    close(input[0]);
    close(output[1]);
    close(gate[0]);
    process->input_fd = input[1];
    process->output_fd = output[0];
    process->gate_fd = gate[1];
    assert_int_equal(fcntl(output[0], F_SETFL, O_NONBLOCK), 0);
    while (!is_in_read(process->pid, 0))
        assert_true(clock_ms() < limit_ms);
    kill(process->pid, SIGSTOP);
    while (state_of(process->pid) != 'T')
        assert_true(clock_ms() < limit_ms);
    assert_int_equal(write(process->input_fd, "?", 1), 1);
    assert_int_equal(look_open(&process->look, process->pid, process->input_fd), 0);
    go_on(process, step);
}

static void end(struct process *process)
{
    pid_t child = child_of(process->pid);
    look_close(&process->look);
    if (child > 0)
        kill(child, SIGKILL);
    kill(process->pid, SIGKILL);
    waitpid(process->pid, NULL, 0);
    close(process->input_fd);
    close(process->output_fd);
    close(process->gate_fd);
}

/* When a process goes on: at its start it is at a step. */
struct schedule {
    enum step step;
    unsigned call1;
    enum step step1;
    unsigned call2;
    enum step step2;
};

static void begin_plan(struct process *process, const struct schedule *schedule)
{
    plan.calls = 0;
    plan.turns[0].call = schedule->call1;
    plan.turns[0].step = schedule->step1;
    plan.turns[1].call = schedule->call2;
    plan.turns[1].step = schedule->step2;
    plan.process = process;
}

static void wrong(const struct schedule *schedule, int left)
{
    fail_msg("at step %d, %d before call %u, %d before call %u: %d bytes", schedule->step,
             schedule->step1, schedule->call1, schedule->step2, schedule->call2, left);
}

/* Looks once; returns how many calls there were. */
typedef unsigned look_function(const struct schedule *schedule);

static unsigned look_with(const struct schedule *schedule, bool sure)
{
    struct process process;
    begin(&process, schedule->step);
    if (sure)
        process.look.sure_until_us = INT64_MAX;
    begin_plan(&process, schedule);
    enum look_state state = look_at(&process.look);
    plan.process = NULL;
    int size = written(&process); /* it is read after the look */
    if (state == LOOK_WAITS && size != 2)
        wrong(schedule, size);
    if (schedule->step == WAITS)
        assert_int_equal(state, LOOK_WAITS);
    end(&process);
    return plan.calls;
}

static unsigned look(const struct schedule *schedule) { return look_with(schedule, false); }

/* The same at a process at which a look was just taken. */
static unsigned look_again(const struct schedule *schedule) { return look_with(schedule, true); }

/* Looks at a worker in its turn. */
static unsigned look_at_turn(const struct schedule *schedule)
{
    static const struct turn_rules rules = {.end = "\n", .end_size = 1};
    static struct instances instances = {.epoll_fd = -1};
    struct workers workers = {.instances = &instances, .rules = &rules};
    struct process process;
    begin(&process, schedule->step);
    struct instance instance = {
        .group.id = process.pid,
        .input = {CHANNEL_INPUT, process.input_fd, &instance},
        .output = {CHANNEL_OUTPUT, process.output_fd, &instance},
        .look = process.look,
    };
    struct worker worker = {.phase = WORKER_IN_TURN, .instance = &instance, .given = true};
    struct request *request = request_new(NULL, NULL, NULL);
    assert_non_null(request);
    request_start(request, NULL, NULL, 1, "", 0);
    assert_true(request_hold(request));
    exchange_begin(&worker.exchange, request);
    worker.exchange.written = 1;
    instances.now_us++;
    begin_plan(&process, schedule);
    enum turn_outcome outcome = turns_look(&workers, &worker);
    plan.process = NULL;
    if (outcome != TURN_GOES_ON || schedule->step == WAITS) {
        assert_int_equal(outcome, TURN_OVER);
        if (process.step != WAITS || written(&process) > 0)
            wrong(schedule, written(&process));
    }
    turns_stop(&workers, &worker);
    exchange_end(&worker.exchange);
    exchange_fini(&worker.exchange);
    request_release(request);
    request_unref(request);
    end(&process);
    return plan.calls;
}

/* Goes on at each two of the calls that there are, or at each one. */
static void look_at_each(look_function *look_once, enum step step, enum step step1, enum step step2)
{
    for (unsigned call1 = 1; call1 <= MAX_CALLS; call1++)
        for (unsigned call2 = call1 + 1; call2 <= MAX_CALLS; call2++) {
            struct schedule schedule = {step, call1, step1, call2, step2};
            unsigned calls = look_once(&schedule);
            if (calls <= call1)
                return;
            if (calls < call2 || step1 == step2)
                break;
        }
}

static void look_at_all(look_function *look_once, const enum step *steps, size_t count)
{
    if (thread_sanitizer_is_on())
        skip();
    for (size_t i = 0; i < count; i++) {
        struct schedule stays = {steps[i], 0, steps[i], 0, steps[i]};
        look_once(&stays);
        for (size_t j = i + 1; j < count; j++)
            for (size_t k = j; k < count; k++)
                look_at_each(look_once, steps[i], steps[j], steps[k]);
    }
}

static const enum step all_steps[] = {ASLEEP, READ, HALF, IN_THREAD, IN_CHILD, WAITS};
static const enum step alone[] = {ASLEEP, READ, HALF, WAITS};

static void what_waits_has_answered(void **state)
{
    (void) state;
    look_at_all(look, all_steps, 6);
    look_at_all(look_again, alone, 4);
}

static void a_turn_that_is_over_is_read(void **state)
{
    (void) state;
    look_at_all(look_at_turn, alone, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_has_answered),
        cmocka_unit_test(a_turn_that_is_over_is_read),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
