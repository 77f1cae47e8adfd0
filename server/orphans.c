/* orphans: SIGCHLD and waitid(2). */
#include "server/orphans.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static bool gets_orphans(void)
{
    int is_subreaper = 0;
    return getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &is_subreaper) == 0 && is_subreaper);
}

int orphans_open(void)
{
    sigset_t signals;
    if (!gets_orphans())
        return -1;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

void orphans_reap(int fd)
{
    struct signalfd_siginfo received;
    siginfo_t ended;
    if (fd < 0)
        return;
    while (read(fd, &received, sizeof received) > 0)
        continue;
    do
        ended.si_pid = 0;
    while (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | __WNOTHREAD) == 0 && ended.si_pid);
}
