/* program_spawn: what happens between the fork and the exec, and who runs. */
#include "server/handlers/program/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t groups_lock = PTHREAD_MUTEX_INITIALIZER; /* guards all that follows */
static LIST_HEAD(, group) groups = LIST_HEAD_INITIALIZER(groups);
static bool aborted;

/* ---- what is run ---- */

/* 0, or why the file can't be executed. */
static int check_file(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return errno;
    if (S_ISDIR(status.st_mode))
        return EISDIR;
    return access(path, X_OK) == 0 ? 0 : errno;
}

/* Looks for the name in one folder of PATH; an empty one is the working directory. */
static int find_in_folder(const char *name, const char *folder, size_t size, char **path)
{
    if (asprintf(path, "%.*s/%s", size ? (int) size : 1, size ? folder : ".", name) < 0) {
        *path = NULL;
        return ENOMEM;
    }
    int failure = check_file(*path);
    if (failure) {
        free(*path);
        *path = NULL;
    }
    return failure;
}

/* As execvp(3) would find it. Here, since the child may not do it, and to know before there is a
 * child. */
static int find_program(const char *name, char **path)
{
    if (strchr(name, '/')) {
        *path = strdup(name);
        return *path ? check_file(name) : ENOMEM;
    }
    const char *folder = getenv("PATH");
    if (!folder)
        folder = "/usr/local/bin:/usr/bin:/bin";
    int failure = ENOENT;
    for (;; folder++) {
        size_t size = strcspn(folder, ":");
        int why = *name ? find_in_folder(name, folder, size, path) : ENOENT;
        if (why == 0 || why == ENOMEM)
            return why;
        if (why == EACCES)
            failure = why; /* one that can't be executed tells more than those that are not there */
        folder += size;
        if (!*folder)
            return failure;
    }
}

static bool copy_environment(struct spawn_command *command)
{
    static const char own[] = "BANTER_WORKER=";
    size_t count = 0;
    while (environ && environ[count])
        count++;
    char **variable = command->environment = calloc(count + 2, sizeof *variable);
    if (!variable)
        return false;
    *variable++ = command->worker;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], own, sizeof own - 1) != 0)
            *variable++ = environ[i];
    return true;
}

bool spawn_command_init(struct spawn_command *command, char *const *argv, struct error *error)
{
    *command = (struct spawn_command){.argv = argv};
    getrlimit(RLIMIT_NOFILE, &command->files);
    int failure = find_program(argv[0], &command->path);
    if (!failure && !copy_environment(command))
        failure = ENOMEM;
    if (!failure)
        return true;
    spawn_command_fini(command);
    return spawn_error(argv[0], failure, error);
}

void spawn_command_fini(struct spawn_command *command)
{
    free(command->path);
    free(command->environment);
    *command = (struct spawn_command){0};
}

bool spawn_error(const char *program, int failure, struct error *error)
{
    return error_set(error, "unable to run %s: %s", program, strerror(failure));
}

/* ---- in the child: only what is safe between fork and exec ---- */

/* All signals as a fresh program expects them: it must not inherit that SIGPIPE is ignored, or
 * what is blocked. */
static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number <= SIGRTMAX; number++)
        sigaction(number, &action, NULL); /* fails for those that can't be changed */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The parts that are needed in every case: an end of each pipe becomes 0, 1 and 2. They are
 * above 2, as main sees to it that 0, 1 and 2 are taken. */
static bool place_descriptors(const int ends[3])
{
    for (int fd = 0; fd < 3; fd++)
        if (dup2(ends[fd], fd) < 0)
            return false;
    /* Ours are closed by exec anyhow; these are those that the server itself was given by
     * mistake. */
    return close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0 || errno == ENOSYS || errno == EINVAL;
}

/* Ends with exec, or tells its errno through `status_fd`. */
static _Noreturn void run_child(const struct spawn_command *command, pid_t parent,
                                const int ends[3], int status_fd)
{
    setpgid(0, 0);
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

/* ---- starting ---- */

/* All pipes of one start; -1: not open. */
struct pipes {
    int input[2], output[2], errors[2];
    int status[2]; /* closed by a successful exec; else it carries the errno */
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

/* Forks with the lock held, so that an abort sees every group that there is. */
static int start_child(struct spawn_command *command, struct pipes *pipes, struct group *group)
{
    const int ends[3] = {pipes->input[0], pipes->output[1], pipes->errors[1]};
    pid_t parent = getpid();
    pthread_mutex_lock(&groups_lock);
    pid_t pid = aborted ? -1 : fork();
    int failure = aborted ? ECANCELED : errno;
    if (pid == 0)
        run_child(command, parent, ends, pipes->status[1]);
    if (pid > 0) {
        setpgid(pid, pid); /* the child does it too: whoever is first */
        group->id = pid;
        LIST_INSERT_HEAD(&groups, group, entry);
    }
    pthread_mutex_unlock(&groups_lock);
    return pid > 0 ? 0 : failure;
}

/* What came of the exec; waits for it. */
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

static void end_failed_child(struct group *group)
{
    pthread_mutex_lock(&groups_lock);
    kill(group->id, SIGKILL);
    while (waitpid(group->id, NULL, 0) < 0 && errno == EINTR)
        continue;
    LIST_REMOVE(group, entry);
    pthread_mutex_unlock(&groups_lock);
}

int spawn(struct spawn_command *command, uint64_t number, struct group *group,
          struct spawned *spawned)
{
    struct pipes pipes;
    snprintf(command->worker, sizeof command->worker, "BANTER_WORKER=%llu",
             (unsigned long long) number);
    int failure = open_pipes(&pipes);
    if (failure)
        return failure;
    failure = start_child(command, &pipes, group);
    if (!failure) {
        failure = exec_result(&pipes);
        int pid_fd = failure ? -1 : (int) syscall(SYS_pidfd_open, group->id, 0);
        if (!failure && pid_fd < 0)
            failure = errno;
        if (failure) {
            end_failed_child(group);
        } else {
            *spawned = (struct spawned){pid_fd, pipes.input[1], pipes.output[0], pipes.errors[0]};
            pipes.input[1] = pipes.output[0] = pipes.errors[0] = -1;
        }
    }
    close_pipes(&pipes);
    return failure;
}

/* ---- ending ---- */

void group_signal(const struct group *group, int number) { kill(-group->id, number); }

/* As long as somebody is in the group, its number is given to nobody else. */
static bool gone_locked(struct group *group)
{
    if (kill(-group->id, 0) == 0)
        return false;
    LIST_REMOVE(group, entry);
    return true;
}

bool group_reap(struct group *group, int pid_fd)
{
    pthread_mutex_lock(&groups_lock);
    siginfo_t info;
    waitid(P_PIDFD, (id_t) pid_fd, &info, WEXITED | WNOHANG);
    bool gone = gone_locked(group);
    pthread_mutex_unlock(&groups_lock);
    return gone;
}

bool group_is_gone(struct group *group)
{
    pthread_mutex_lock(&groups_lock);
    bool gone = gone_locked(group);
    pthread_mutex_unlock(&groups_lock);
    return gone;
}

void group_forget(struct group *group)
{
    pthread_mutex_lock(&groups_lock);
    kill(-group->id, SIGKILL);
    LIST_REMOVE(group, entry);
    pthread_mutex_unlock(&groups_lock);
}

void groups_abort(void)
{
    pthread_mutex_lock(&groups_lock);
    aborted = true;
    struct group *group;
    LIST_FOREACH(group, &groups, entry)
        kill(-group->id, SIGKILL);
    pthread_mutex_unlock(&groups_lock);
}
