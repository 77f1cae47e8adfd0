/* link: what becomes of a connection, and the words for it. */
#include "client/terminal/link.h"

#include <errno.h>

#include "client/status_line.h"
#include "client/terminal/notices.h"
#include "client/terminal/prompt.h"
#include "common/clock.h"

void link_init(struct link *link, struct conversation *conversation,
               const struct connect_retries *retries, const struct options *options)
{
    *link = (struct link){.options = options, .conversation = conversation, .retries = *retries};
}

void link_fini(struct link *link)
{
    connect_abandon(link->attempt);
    conversation_close(link->conversation);
    owed_fini(&link->owed);
}

bool link_is_opening(const struct link *link)
{
    return link->attempt || (link->is_retrying && !link->conversation);
}

bool link_is_awaited(const struct link *link)
{
    const struct owed *last = owed_last(&link->owed);
    return link_is_opening(link) || (last && !last->is_given_up);
}

void link_start_wait(struct link *link) { link->quiet_since_ms = clock_ms(); }

void link_give_up(struct link *link)
{
    owed_give_up(&link->owed);
    connect_abandon(link->attempt);
    link->attempt = NULL;
    link->is_retrying = false;
    link->is_later |= link->options->waits;
}

/* ---- on the way to a conversation ---- */

static bool start_attempt(struct link *link)
{
    const struct options *options = link->options;
    struct conversation_settings settings =
        options->waits ? connect_settings(&link->retries, options) : options->conversation;
    link->attempt = connect_start(&settings);
    if (link->attempt)
        return true;
    link->is_retrying = false;
    notice_io("start", "a thread", errno);
    return false;
}

bool link_connect(struct link *link)
{
    link->is_later = true;
    link->is_retrying = false;
    link->retries = connect_retries(link->options);
    return start_attempt(link);
}

/* False if the time for that is over. Says so when it begins. */
static bool retry(struct link *link, const char *why)
{
    bool is_first = !link->is_retrying;
    link->is_retrying = connect_put_off(&link->retries);
    if (!link->is_retrying)
        return false;
    if (is_first && !link->options->is_quiet)
        notice_waiting(why);
    return true;
}

static bool finish_attempt(struct link *link)
{
    enum conversation_opening opening;
    struct error error;
    link->conversation = connect_finish(link->attempt, &opening, &error);
    link->attempt = NULL;
    link->no_connection = connect_status(opening);
    if (link->conversation) {
        if (link->is_retrying) /* it may be refused again */
            return true;
        link_start_wait(link);
        notice_connected_again(link->conversation);
        return true;
    }
    if (connect_is_worth_retrying(link->options, opening) && retry(link, error.text))
        return true;
    link_start_wait(link);
    notice_opening(opening, error.text);
    return false;
}

int link_wait_ms(const struct link *link)
{
    if (!link_is_opening(link) || link->attempt)
        return -1;
    return clock_wait_ms(link->retries.next_ms - clock_ms());
}

bool link_step(struct link *link, short revents)
{
    if (link->attempt)
        return revents ? finish_attempt(link) : true;
    return clock_ms() >= link->retries.next_ms ? start_attempt(link) : true;
}

/* ---- replies, and the end ---- */

struct owed link_take_owed(struct link *link)
{
    struct owed request = *owed_first(&link->owed);
    owed_answered(&link->owed);
    link->is_retrying = false;
    if (!request.is_given_up)
        link_start_wait(link);
    return request;
}

static enum exit_status judge_end(const struct link *link, enum conversation_end end)
{
    switch (end) {
    case CONVERSATION_BUSY: /* a later one may be opened again */
    case CONVERSATION_TLS_REQUIRED:
    case CONVERSATION_NO_GREETING:
        return link->is_later ? EXIT_STATUS_ANSWERED : EXIT_STATUS_UNREACHABLE;
    case CONVERSATION_DENIED:
        return link->is_later ? EXIT_STATUS_ANSWERED : EXIT_STATUS_TRUST;
    case CONVERSATION_TIMED_OUT:
        return EXIT_STATUS_TIMEOUT;
    case CONVERSATION_OUT_OF_MEMORY:
        return EXIT_STATUS_IO;
    default:
        return conversation_owed(link->conversation) > 0 ? EXIT_STATUS_LOST : EXIT_STATUS_ANSWERED;
    }
}

static bool is_busy(const struct link *link)
{
    return conversation_ended(link->conversation) == CONVERSATION_BUSY;
}

/* Whether the requests without a reply may be sent again, now that the conversation has ended. */
static bool may_repeat(const struct link *link)
{
    enum conversation_end end = conversation_ended(link->conversation);
    enum options_again again = link->options->again;
    if (conversation_owed(link->conversation) == 0 || !conversation_can_resume(link->conversation))
        return false;
    return (end == CONVERSATION_STOPPING && again != OPTIONS_AGAIN_NEVER) ||
           (end == CONVERSATION_LOST && again == OPTIONS_AGAIN_LOST) ||
           (is_busy(link) && link->options->waits);
}

struct lines {
    const struct options *options;
    struct buffer text;
    bool is_whole;
};

static void add_line(void *context, const char *request, size_t size)
{
    struct lines *lines = context;
    lines->is_whole = lines->is_whole && paste_append(&lines->text, lines->options, request, size);
}

/* False, with nothing put back, if memory is out. */
static bool put_back(struct link *link, struct paste *paste)
{
    struct lines lines = {.options = link->options, .is_whole = true};
    conversation_each_unanswered(link->conversation, add_line, &lines);
    bool ok = lines.is_whole && paste_put_back(paste, &lines.text);
    buffer_fini(&lines.text);
    return ok;
}

/* Tries a busy server again, unless the user no longer waits for it. False if that is not so. */
static bool wait_for_room(struct link *link, bool come_back)
{
    struct error why;
    bool is_owed = conversation_owed(link->conversation) > 0;
    bool is_wanted = is_owed ? come_back && link_is_awaited(link) : true;
    error_set(&why, "%s: %s", conversation_address(link->conversation),
              conversation_why(link->conversation));
    return is_busy(link) && link->options->waits && is_wanted && retry(link, why.text);
}

static void close_conversation(struct link *link)
{
    owed_fini(&link->owed);
    conversation_close(link->conversation);
    link->conversation = NULL;
}

enum exit_status link_take_end(struct link *link, bool is_leaving, struct paste *paste)
{
    enum conversation_end end = conversation_ended(link->conversation);
    bool come_back = !is_leaving && may_repeat(link) && put_back(link, paste);
    bool is_unreachable = end == CONVERSATION_BUSY || end == CONVERSATION_TLS_REQUIRED ||
                          end == CONVERSATION_NO_GREETING;
    link->no_connection = is_unreachable ? EXIT_STATUS_UNREACHABLE : EXIT_STATUS_ANSWERED;
    if (!is_leaving && wait_for_room(link, come_back)) {
        close_conversation(link);
        return EXIT_STATUS_ANSWERED;
    }
    bool is_refused = is_busy(link) && !link->is_later; /* there will be no prompt */
    come_back &= !is_refused;
    enum exit_status status = come_back ? EXIT_STATUS_ANSWERED : judge_end(link, end);
    bool is_as_wished = end == CONVERSATION_CLOSED && is_leaving;
    link->is_retrying = false;
    if (come_back)
        owed_fini(&link->owed); /* they need no names */
    if (!(is_as_wished && link->options->is_quiet))
        notice_end(link->conversation, &link->owed);
    close_conversation(link);
    return status;
}

int link_show_wait(const struct link *link, bool is_leaving)
{
    const char *verb = link->attempt && !link->is_retrying ? "Connecting" : "Waiting";
    /* What was typed is not seen, a quit least of all. */
    const char *hint = is_leaving           ? "Ctrl-C ends it"
                       : prompt_has_typed() ? "Ctrl-C gives the prompt back, with what was typed"
                                            : "Ctrl-C gives the prompt back";
    bool is_owed = link->conversation && conversation_owed(link->conversation) > 0;
    if (prompt_is_shown() || (is_leaving && !is_owed)) /* that takes a second at most */
        return -1;
    char text[STATUS_LINE_TEXT_SIZE];
    int64_t waited_ms = clock_ms() - link->quiet_since_ms;
    prompt_show_state(text, status_line_wait_text(waited_ms, verb, hint, text));
    return status_line_next_ms(waited_ms);
}

void link_poll(struct link *link, bool want_reply, struct pollfd *socket, struct pollfd *attempt)
{
    *socket = (struct pollfd){.fd = -1};
    *attempt =
        (struct pollfd){.fd = link->attempt ? connect_fd(link->attempt) : -1, .events = POLLIN};
    if (link->conversation)
        conversation_poll(link->conversation, want_reply, socket);
}
