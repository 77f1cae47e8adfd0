/* spawn: what happens between the fork and the exec, and around both. */
#include "server/handlers/program/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- in the child: only what is async-signal-safe ---- */

/* A program expects all signals at their defaults: SIGPIPE not ignored, and none blocked. */
static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number <= SIGRTMAX; number++)
        sigaction(number, &action, NULL); /* fails for those that can't be changed */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Makes the pipes' ends the descriptors 0, 1 and 2. The ends are above 2, since main() has made
 * sure that those are taken. */
static bool place_descriptors(const int ends[3])
{
    for (int fd = 0; fd < 3; fd++)
        if (dup2(ends[fd], fd) < 0)
            return false;
    /* For the descriptors that the server was given by mistake; it opens all others to be closed by
     * exec. */
    return close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0 || errno == ENOSYS || errno == EINVAL;
}

/* Ends with exec, or writes its errno to `status_fd`. */
static _Noreturn void run_child(const struct command *command, pid_t parent, const int ends[3],
                                int status_fd)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && place_descriptors(ends)) {
        setrlimit(RLIMIT_NOFILE, &command->files);
        reset_signals();
        execve(command->path, command->argv, command->environment);
    }
    int failure = errno;
    ssize_t written = write(status_fd, &failure, sizeof failure);
    _exit(written == sizeof failure ? 127 : 126);
}

/* ---- in the parent ---- */

/* -1: closed */
struct pipes {
    int input[2], output[2], errors[2];
    int status[2]; /* closed by a successful exec, else carries its errno */
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_pipe(int ends[2])
{
    close_fd(&ends[0]);
    close_fd(&ends[1]);
}

static void close_pipes(struct pipes *pipes)
{
    close_pipe(pipes->input);
    close_pipe(pipes->output);
    close_pipe(pipes->errors);
    close_pipe(pipes->status);
}

static int open_pipes(struct pipes *pipes)
{
    *pipes = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    if (pipe2(pipes->input, O_CLOEXEC) == 0 && pipe2(pipes->output, O_CLOEXEC) == 0 &&
        pipe2(pipes->errors, O_CLOEXEC) == 0 && pipe2(pipes->status, O_CLOEXEC) == 0 &&
        fcntl(pipes->input[1], F_SETFL, O_NONBLOCK) == 0 &&
        fcntl(pipes->output[0], F_SETFL, O_NONBLOCK) == 0 &&
        fcntl(pipes->errors[0], F_SETFL, O_NONBLOCK) == 0)
        return 0;
    int failure = errno;
    close_pipes(pipes);
    return failure;
}

/* Waits for the exec. Returns 0, or its errno. */
static int exec_result(struct pipes *pipes)
{
    int failure = 0;
    ssize_t got;
    close_fd(&pipes->status[1]);
    do {
        got = read(pipes->status[0], &failure, sizeof failure);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t) sizeof failure ? failure : 0;
}

/* Returns 0, or the errno of what failed; then there is no child any more. */
static int start_child(struct command *command, struct pipes *pipes, struct group *group,
                       int *pid_fd)
{
    int ends[3] = {pipes->input[0], pipes->output[1], pipes->errors[1]};
    pid_t parent = getpid();
    pid_t pid = group_fork(group);
    if (pid == 0)
        run_child(command, parent, ends, pipes->status[1]);
    if (pid < 0)
        return errno;
    int failure = exec_result(pipes);
    if (!failure) {
        *pid_fd = (int) syscall(SYS_pidfd_open, pid, 0);
        failure = *pid_fd < 0 ? errno : 0;
    }
    if (failure)
        group_kill(group);
    return failure;
}

int spawn(struct command *command, uint64_t number, struct group *group, struct spawned *spawned)
{
    struct pipes pipes;
    int pid_fd = -1;
    command_set_worker(command, number);
    int failure = open_pipes(&pipes);
    if (failure)
        return failure;
    failure = start_child(command, &pipes, group, &pid_fd);
    if (!failure) {
        *spawned = (struct spawned){pid_fd, pipes.input[1], pipes.output[0], pipes.errors[0]};
        pipes.input[1] = pipes.output[0] = pipes.errors[0] = -1;
    }
    close_pipes(&pipes);
    return failure;
}
