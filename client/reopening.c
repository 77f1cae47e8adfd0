/*
 * reopening: the thread and the one who wants the connection both hold the struct; the one who lets
 * go last frees it.
 */
#include "client/reopening.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct reopening {
    struct conversation_settings settings;
    int done; /* eventfd */
    atomic_int holders;
    atomic_bool is_done;
    /* Written by the thread before it is done; the other side's from then on. */
    struct conversation *conversation;
    enum conversation_opening opening;
    struct error error;
};

static void let_go(struct reopening *reopening)
{
    if (atomic_fetch_sub(&reopening->holders, 1) > 1)
        return;
    conversation_close(reopening->conversation);
    close(reopening->done);
    free(reopening);
}

static void *open_it(void *context)
{
    struct reopening *reopening = context;
    const uint64_t one = 1;
    reopening->conversation =
        conversation_open(&reopening->settings, &reopening->opening, &reopening->error);
    atomic_store_explicit(&reopening->is_done, true, memory_order_release);
    /* Can't fail: it is written once. */
    if (write(reopening->done, &one, sizeof one) < 0)
        abort();
    let_go(reopening);
    return NULL;
}

/* Signals are for the thread that has the terminal. */
static int start_thread(struct reopening *reopening)
{
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int why = pthread_create(&thread, NULL, open_it, reopening);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (why == 0)
        pthread_detach(thread);
    return why;
}

struct reopening *reopening_start(const struct conversation_settings *settings)
{
    struct reopening *reopening = calloc(1, sizeof *reopening);
    if (!reopening)
        return NULL;
    reopening->settings = *settings;
    atomic_init(&reopening->holders, 2);
    reopening->done = eventfd(0, EFD_CLOEXEC);
    const int why = reopening->done < 0 ? errno : start_thread(reopening);
    if (why == 0)
        return reopening;
    if (reopening->done >= 0)
        close(reopening->done);
    free(reopening);
    errno = why;
    return NULL;
}

int reopening_fd(const struct reopening *reopening) { return reopening->done; }

struct conversation *reopening_finish(struct reopening *reopening,
                                      enum conversation_opening *opening, struct error *error)
{
    const bool is_done = atomic_load_explicit(&reopening->is_done, memory_order_acquire);
    assert(is_done);
    (void) is_done;
    struct conversation *conversation = reopening->conversation;
    *opening = reopening->opening;
    *error = reopening->error;
    reopening->conversation = NULL;
    let_go(reopening);
    return conversation;
}

void reopening_give_up(struct reopening *reopening)
{
    if (reopening)
        let_go(reopening);
}
