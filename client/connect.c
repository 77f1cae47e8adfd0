/* connect: pauses between the retries, and the thread of an attempt. */
#include "client/connect.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "client/report.h"
#include "client/status_line.h"
#include "common/clock.h"

/* The pause doubles: a server that is about to come up is met soon, one that is slow to come up is
 * not pestered. */
#define FIRST_PAUSE_MS 50
#define LONGEST_PAUSE_MS 1000

#define AGAIN_MS 10000 /* without --wait */
#define SLOW_MS 1000   /* from then on a person is told that it takes long */

/* ---- retries ---- */

struct connect_retries connect_retries(const struct options *options)
{
    int64_t for_ms = options->waits ? options->wait_ms : AGAIN_MS;
    return (struct connect_retries){.end_ms = for_ms > 0 ? clock_ms() + for_ms : CLOCK_NEVER,
                                    .pause_ms = FIRST_PAUSE_MS};
}

bool connect_put_off(struct connect_retries *retries)
{
    int64_t now_ms = clock_ms();
    if (now_ms >= retries->end_ms)
        return false;
    retries->next_ms = clock_earlier(now_ms + retries->pause_ms, retries->end_ms);
    retries->pause_ms = clock_earlier(2 * retries->pause_ms, LONGEST_PAUSE_MS);
    return true;
}

enum exit_status connect_status(enum conversation_opening opening)
{
    switch (opening) {
    case CONVERSATION_OPEN:
        return EXIT_STATUS_ANSWERED;
    case CONVERSATION_MALFORMED_ADDRESS:
    case CONVERSATION_UNUSABLE:
        return EXIT_STATUS_USAGE;
    case CONVERSATION_UNKNOWN_HOST:
        return EXIT_STATUS_NO_HOST;
    case CONVERSATION_UNTRUSTED:
        return EXIT_STATUS_TRUST;
    default:
        return EXIT_STATUS_UNREACHABLE;
    }
}

bool connect_is_worth_retrying(const struct options *options, enum conversation_opening opening)
{
    return options->waits && (opening == CONVERSATION_UNREACHABLE ||
                              (opening == CONVERSATION_UNKNOWN_HOST && options->wait_ms > 0));
}

struct conversation_settings connect_settings(const struct connect_retries *retries,
                                              const struct options *options)
{
    struct conversation_settings settings = options->conversation;
    if (retries->end_ms == CLOCK_NEVER)
        return settings;
    int64_t left_ms = clock_later(retries->end_ms - clock_ms(), 1);
    int64_t own_ms = settings.connect_timeout_ms; /* 0: no bound */
    settings.connect_timeout_ms = own_ms > 0 ? clock_earlier(own_ms, left_ms) : left_ms;
    return settings;
}

/* ---- the first conversation ---- */

static void nap(int64_t ms)
{
    struct timespec pause = clock_timespec(clock_later(ms, 0));
    nanosleep(&pause, NULL);
}

/* The terminal of the person who waits; -1: there is none, or it is nobody's. */
static int screen_fd(const struct options *options)
{
    if (!options_is_interactive(options))
        return -1;
    return isatty(STDOUT_FILENO) ? STDOUT_FILENO : isatty(STDERR_FILENO) ? STDERR_FILENO : -1;
}

/* Returns in how many milliseconds it changes. */
static int show_wait(struct status_line *line, int screen, int64_t waited_ms)
{
    char text[STATUS_LINE_TEXT_SIZE];
    if (waited_ms < SLOW_MS)
        return (int) (SLOW_MS - waited_ms);
    size_t size = status_line_wait_text(waited_ms, "Connecting", "Ctrl-C ends it", text);
    status_line_draw(line, screen, text, size);
    return status_line_next_ms(waited_ms);
}

/* As conversation_open(), and shows that it takes long. */
static struct conversation *open_shown(const struct conversation_settings *settings, int screen,
                                       enum conversation_opening *opening, struct error *error)
{
    struct connect_attempt *attempt = screen >= 0 ? connect_start(settings) : NULL;
    if (!attempt)
        return conversation_open(settings, opening, error);
    struct status_line line = {0};
    struct pollfd done = {.fd = connect_fd(attempt), .events = POLLIN};
    int64_t begin_ms = clock_ms();
    while (poll(&done, 1, show_wait(&line, screen, clock_ms() - begin_ms)) <= 0)
        ;
    status_line_erase(&line, screen);
    return connect_finish(attempt, opening, error);
}

struct conversation *connect_first(struct connect_retries *retries, const struct options *options,
                                   enum conversation_opening *opening, struct error *error)
{
    for (bool is_first = true;; is_first = false) {
        struct conversation_settings settings =
            options->waits ? connect_settings(retries, options) : options->conversation;
        struct conversation *conversation =
            open_shown(&settings, screen_fd(options), opening, error);
        if (conversation || !connect_is_worth_retrying(options, *opening))
            return conversation;
        if (!connect_put_off(retries))
            return NULL;
        if (is_first && !options->is_quiet)
            report_waiting(error->text);
        nap(retries->next_ms - clock_ms());
    }
}

/* ---- an attempt in a thread of its own ---- */

/* Held by the thread and by the caller; the last one to let go frees it. */
struct connect_attempt {
    struct conversation_settings settings;
    int done; /* eventfd */
    atomic_int holders;
    atomic_bool is_done;
    /* Written by the thread before is_done is set; the caller's from then on. */
    struct conversation *conversation;
    enum conversation_opening opening;
    struct error error;
};

static void let_go(struct connect_attempt *attempt)
{
    if (atomic_fetch_sub(&attempt->holders, 1) > 1)
        return;
    conversation_close(attempt->conversation);
    close(attempt->done);
    free(attempt);
}

static void *run_attempt(void *context)
{
    struct connect_attempt *attempt = context;
    uint64_t one = 1;
    attempt->conversation =
        conversation_open(&attempt->settings, &attempt->opening, &attempt->error);
    atomic_store_explicit(&attempt->is_done, true, memory_order_release);
    /* It is written once, so it can't fail. */
    if (write(attempt->done, &one, sizeof one) < 0)
        abort();
    let_go(attempt);
    return NULL;
}

/* Returns 0 or an errno. Signals are for the main thread. */
static int start_thread(struct connect_attempt *attempt)
{
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int why = pthread_create(&thread, NULL, run_attempt, attempt);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (why == 0)
        pthread_detach(thread);
    return why;
}

struct connect_attempt *connect_start(const struct conversation_settings *settings)
{
    struct connect_attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt)
        return NULL;
    attempt->settings = *settings;
    atomic_init(&attempt->holders, 2);
    attempt->done = eventfd(0, EFD_CLOEXEC);
    int why = attempt->done < 0 ? errno : start_thread(attempt);
    if (why == 0)
        return attempt;
    if (attempt->done >= 0)
        close(attempt->done);
    free(attempt);
    errno = why;
    return NULL;
}

int connect_fd(const struct connect_attempt *attempt) { return attempt->done; }

struct conversation *connect_finish(struct connect_attempt *attempt,
                                    enum conversation_opening *opening, struct error *error)
{
    bool is_done = atomic_load_explicit(&attempt->is_done, memory_order_acquire);
    assert(is_done);
    (void) is_done;
    struct conversation *conversation = attempt->conversation;
    *opening = attempt->opening;
    *error = attempt->error;
    attempt->conversation = NULL;
    let_go(attempt);
    return conversation;
}

void connect_abandon(struct connect_attempt *attempt)
{
    if (attempt)
        let_go(attempt);
}
