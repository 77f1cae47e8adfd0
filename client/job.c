/*
 * job: a signalfd(2).
 */
#include "client/job.h"

#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

bool job_init(struct job *job)
{
    sigset_t owned;
    sigemptyset(&owned);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaddset(&owned, numbers[i]);
    job->fd = signalfd(-1, &owned, SFD_CLOEXEC | SFD_NONBLOCK);
    if (job->fd < 0)
        return false;
    pthread_sigmask(SIG_BLOCK, &owned, &job->before);
    signal(SIGPIPE, SIG_IGN);
    return true;
}

void job_fini(struct job *job)
{
    pthread_sigmask(SIG_SETMASK, &job->before, NULL);
    close(job->fd);
}

int job_signal(struct job *job)
{
    struct signalfd_siginfo info;
    return read(job->fd, &info, sizeof info) == (ssize_t) sizeof info ? (int) info.ssi_signo : 0;
}

bool job_stop(void)
{
    sigset_t stop;
    sigset_t pending;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    raise(SIGTSTP);
    pthread_sigmask(SIG_UNBLOCK, &stop, NULL); /* here it stops, and goes on */
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    sigpending(&pending);
    return sigismember(&pending, SIGCONT);
}

void job_die_of(struct job *job, int number)
{
    signal(number, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &job->before, NULL);
    raise(number);
}
