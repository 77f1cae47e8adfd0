/* spawn: what happens between the clone and the exec, and around both. */
#include "server/handlers/program/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "common/descriptor.h"

/* A sanitizer keeps books in memory, which a child that shares it would disturb. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SHARED 0
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SHARED 0
#endif
#endif
#ifndef SHARED
#define SHARED CLONE_VM
#endif

/* Between clone and exec; both processes see it, even if they share nothing else. */
struct birth {
    const struct command *command;
    char *const *environment;
    pid_t parent;
    int ends[3]; /* what becomes the descriptors 0, 1 and 2 */
    int failure; /* written by the child: the errno of what failed */
    _Alignas(16) char stack[32 << 10];
};

/* ---- in the child ----
 *
 * It runs in the parent's memory, on a stack of its own, while all other threads go on: it may
 * write to nothing but `birth`, errno (the thread that it belongs to sleeps) and what the kernel
 * keeps for it. System calls by number, since a library's functions may keep books, too. */

/* A program expects all signals at their defaults: SIGPIPE not ignored, and none blocked. To the
 * kernel zeros are that, in each of its machines' layouts. */
static void reset_signals(void)
{
    static const unsigned long zeros[16];
    enum { SET_BYTES = (NSIG - 1) / CHAR_BIT };
    for (int number = 1; number < NSIG; number++) /* fails for those that can't be changed */
        syscall(SYS_rt_sigaction, number, zeros, NULL, SET_BYTES);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, zeros, NULL, SET_BYTES);
}

/* The ends are above 2, since main() has made sure that those are taken. */
static bool place_descriptors(const int ends[3])
{
    for (int fd = 0; fd < 3; fd++)
        if (syscall(SYS_dup3, ends[fd], fd, 0) < 0)
            return false;
    /* Exec would close nearly all of them, but the parent goes on before it does: an epoll set
     * would still report what the parent has closed since, as long as this process holds it. */
    return syscall(SYS_close_range, 3, UINT_MAX, 0) == 0 || errno == ENOSYS;
}

/* Ends with exec, or sets birth->failure. */
static int run_child(void *argument)
{
    struct birth *birth = argument;
    syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    syscall(SYS_setpgid, 0, 0);
    if (syscall(SYS_getppid) == birth->parent && place_descriptors(birth->ends)) {
        syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &birth->command->files, NULL);
        reset_signals();
        syscall(SYS_execve, birth->command->path, birth->command->argv, birth->environment);
    }
    birth->failure = errno;
    syscall(SYS_exit_group, 127);
    return 127;
}

/* ---- descriptors ---- */

/* -1: closed */
struct pipes {
    int input[2], output[2], errors[2];
};

static void close_pipe(int ends[2])
{
    descriptor_close(&ends[0]);
    descriptor_close(&ends[1]);
}

static void close_pipes(struct pipes *pipes)
{
    close_pipe(pipes->input);
    close_pipe(pipes->output);
    close_pipe(pipes->errors);
}

/* `ours` is 0 or 1: the end that does not block. */
static bool open_pipe(int ends[2], int ours)
{
    return pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[ours], F_SETFL, O_NONBLOCK) == 0;
}

/* A terminal, as if it were a pipe: what is written to the second comes out of the first. */
static bool open_terminal(int ends[2])
{
    struct termios mode;
    ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (ends[0] < 0 || unlockpt(ends[0]) != 0)
        return false;
    ends[1] = ioctl(ends[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends[1] < 0 || tcgetattr(ends[1], &mode) != 0)
        return false;
    cfmakeraw(&mode);
    return tcsetattr(ends[1], TCSANOW, &mode) == 0;
}

static int open_pipes(struct pipes *pipes, const struct spawn_options *options)
{
    *pipes = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    if (open_pipe(pipes->input, 1) &&
        (options->pty ? open_terminal(pipes->output) : open_pipe(pipes->output, 0)) &&
        (options->stderr_to_output || open_pipe(pipes->errors, 0)))
        return 0;
    int failure = errno;
    close_pipes(pipes);
    return failure;
}

/* ---- environment ---- */

/* To be freed, its strings not; NULL: out of memory. `worker` is the variable BANTER_WORKER. */
static char **make_environment(const struct command *command, const struct spawn_options *options,
                               const char *worker)
{
    const char *strings[3 + SPAWN_VARIABLES] = {worker};
    size_t count = 1;
    if (options->pty) {
        strings[count++] = "TERM=dumb";
        strings[count++] = "NO_COLOR=1";
    }
    for (size_t i = 0; i < SPAWN_VARIABLES && options->environment[i]; i++)
        strings[count++] = options->environment[i];
    return command_environment(command, strings, count);
}

/* ---- in the parent ---- */

/* Returns 0, or the errno of what failed; then there is no child any more. */
static int start_child(struct birth *birth, struct group *group, int *pid_fd)
{
    sigset_t all, before;
    if (groups_are_aborted())
        return ECANCELED;
    /* No handler of this process may run in the child. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = clone(run_child, birth->stack + sizeof birth->stack,
                      SHARED | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, birth, pid_fd);
    int failure = pid < 0 ? errno : birth->failure;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failure) {
        group_add(group, pid);
    } else if (pid > 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        descriptor_close(pid_fd);
    }
    return failure;
}

static int start(const struct command *command, const struct spawn_options *options,
                 const char *worker, const struct pipes *pipes, struct group *group, int *pid_fd)
{
    int errors_fd = options->stderr_to_output ? pipes->output[1] : pipes->errors[1];
    char **environment = make_environment(command, options, worker);
    if (!environment)
        return ENOMEM;
    int failure = ENOMEM;
    struct birth *birth =
        mmap(NULL, sizeof *birth, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (birth != MAP_FAILED) {
        birth->command = command;
        birth->environment = environment;
        birth->parent = getpid();
        birth->ends[0] = pipes->input[0];
        birth->ends[1] = pipes->output[1];
        birth->ends[2] = errors_fd;
        failure = start_child(birth, group, pid_fd);
        munmap(birth, sizeof *birth);
    }
    free(environment);
    return failure;
}

int spawn(const struct command *command, const struct spawn_options *options, uint64_t number,
          struct group *group, struct spawned *spawned)
{
    struct pipes pipes;
    char worker[40];
    int pid_fd = -1;
    int failure = open_pipes(&pipes, options);
    if (failure)
        return failure;
    snprintf(worker, sizeof worker, "BANTER_WORKER=%llu", (unsigned long long) number);
    failure = start(command, options, worker, &pipes, group, &pid_fd);
    if (!failure) {
        *spawned = (struct spawned){pid_fd, pipes.input[1], pipes.output[0], pipes.errors[0]};
        pipes.input[1] = pipes.output[0] = pipes.errors[0] = -1;
    }
    close_pipes(&pipes);
    return failure;
}
