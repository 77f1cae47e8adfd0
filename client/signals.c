/* signals: the masks, and dispositions as the shell left them. */
#include "client/signals.h"

#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static bool is_ignored(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* A signal that is blocked is kept for the descriptor, ignored or not. */
static void add_unless_ignored(sigset_t *owned, int number)
{
    if (!is_ignored(number))
        sigaddset(owned, number);
}

static void choose(sigset_t *owned, enum signals_set set)
{
    sigemptyset(owned);
    add_unless_ignored(owned, SIGTERM);
    add_unless_ignored(owned, SIGHUP);
    if (set == SIGNALS_BATCH) {
        add_unless_ignored(owned, SIGINT);
        return;
    }
    add_unless_ignored(owned, SIGQUIT);
    sigaddset(owned, SIGINT); /* clears the line, or brings the prompt back */
    sigaddset(owned, SIGTSTP);
    sigaddset(owned, SIGCONT);
    sigaddset(owned, SIGWINCH);
}

bool signals_init(struct signals *signals, enum signals_set set)
{
    sigset_t owned;
    choose(&owned, set);
    pthread_sigmask(SIG_BLOCK, NULL, &signals->before);
    signals->fd = signalfd(-1, &owned, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals->fd >= 0)
        pthread_sigmask(SIG_BLOCK, &owned, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signals->fd >= 0;
}

void signals_fini(struct signals *signals)
{
    if (signals->fd >= 0)
        close(signals->fd);
    signals->fd = -1;
    signal(SIGPIPE, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}

int signals_next(struct signals *signals)
{
    struct signalfd_siginfo info;
    ssize_t size = read(signals->fd, &info, sizeof info);
    return size == (ssize_t) sizeof info ? (int) info.ssi_signo : 0;
}

bool signals_stop(void)
{
    sigset_t stop;
    sigset_t pending;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    raise(SIGTSTP);
    pthread_sigmask(SIG_UNBLOCK, &stop, NULL); /* it stops here, and continues here */
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    sigpending(&pending);
    return sigismember(&pending, SIGCONT);
}

void signals_die_of(struct signals *signals, int number)
{
    signals_fini(signals);
    signal(number, SIG_DFL);
    raise(number);
}
