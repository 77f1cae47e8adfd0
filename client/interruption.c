/*
 * interruption: a signalfd(2), and the mask that it needs.
 */
#include "client/interruption.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int ending[] = {SIGINT, SIGTERM, SIGHUP};

static bool is_ignored(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void interruption_init(struct interruption *interruption)
{
    sigset_t owned;
    sigemptyset(&owned);
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++)
        if (!is_ignored(ending[i])) /* a signal that is blocked is kept, ignored or not */
            sigaddset(&owned, ending[i]);
    sigprocmask(SIG_BLOCK, NULL, &interruption->before);
    interruption->fd = signalfd(-1, &owned, SFD_CLOEXEC | SFD_NONBLOCK);
    if (interruption->fd >= 0)
        sigprocmask(SIG_BLOCK, &owned, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* The signal is still pending, since nobody has read it from the descriptor. */
void interruption_fini(struct interruption *interruption)
{
    if (interruption->fd >= 0)
        close(interruption->fd);
    interruption->fd = -1;
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &interruption->before, NULL);
}

void interruption_die_of_pipe(struct interruption *interruption)
{
    interruption_fini(interruption);
    raise(SIGPIPE);
}
