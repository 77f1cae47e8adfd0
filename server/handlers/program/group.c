/* group: the list of all process groups. */
#include "server/handlers/program/group.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all that follows */
static LIST_HEAD(, group) groups = LIST_HEAD_INITIALIZER(groups);
static bool aborted;

bool groups_are_aborted(void)
{
    pthread_mutex_lock(&lock);
    bool result = aborted;
    pthread_mutex_unlock(&lock);
    return result;
}

void group_add(struct group *group, pid_t pid)
{
    pthread_mutex_lock(&lock);
    group->id = pid;
    group->reaped = false;
    LIST_INSERT_HEAD(&groups, group, entry);
    if (aborted) /* while it was started */
        kill(-pid, SIGKILL);
    pthread_mutex_unlock(&lock);
}

void group_signal(const struct group *group, int number) { kill(-group->id, number); }

/* As long as a process is in the group, its number is not reused. */
static bool gone_locked(struct group *group)
{
    if (kill(-group->id, 0) == 0)
        return false;
    LIST_REMOVE(group, entry);
    return true;
}

bool group_reap(struct group *group, int pid_fd)
{
    pthread_mutex_lock(&lock);
    siginfo_t info;
    waitid(P_PIDFD, (id_t) pid_fd, &info, WEXITED | WNOHANG);
    group->reaped = true;
    bool gone = gone_locked(group);
    pthread_mutex_unlock(&lock);
    return gone;
}

bool group_is_gone(struct group *group)
{
    pthread_mutex_lock(&lock);
    bool gone = gone_locked(group);
    pthread_mutex_unlock(&lock);
    return gone;
}

void group_forget(struct group *group)
{
    pthread_mutex_lock(&lock);
    kill(-group->id, SIGKILL);
    LIST_REMOVE(group, entry);
    pthread_mutex_unlock(&lock);
}

void group_kill(struct group *group)
{
    pthread_mutex_lock(&lock);
    kill(-group->id, SIGKILL);
    kill(group->id, SIGKILL);
    while (waitpid(group->id, NULL, 0) < 0 && errno == EINTR)
        continue;
    LIST_REMOVE(group, entry);
    pthread_mutex_unlock(&lock);
}

void groups_abort(void)
{
    pthread_mutex_lock(&lock);
    aborted = true;
    struct group *group;
    LIST_FOREACH(group, &groups, entry) {
        kill(-group->id, SIGKILL);
        if (!group->reaped)
            kill(group->id, SIGKILL);
    }
    pthread_mutex_unlock(&lock);
}
