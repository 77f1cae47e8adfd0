/* link: what becomes of a connection, and the words for it. */
#include "client/terminal/link.h"

#include <errno.h>

#include "client/status_line.h"
#include "client/terminal/notices.h"
#include "client/terminal/prompt.h"
#include "common/clock.h"

void link_init(struct link *link, struct conversation *conversation,
               const struct conversation_settings *settings)
{
    *link = (struct link){.settings = settings, .conversation = conversation};
}

void link_fini(struct link *link)
{
    connect_abandon(link->attempt);
    conversation_close(link->conversation);
    owed_fini(&link->owed);
}

bool link_is_awaited(const struct link *link)
{
    const struct owed *last = owed_last(&link->owed);
    return link->attempt || (last && !last->is_given_up);
}

void link_start_wait(struct link *link) { link->quiet_since_ms = clock_ms(); }

void link_give_up(struct link *link)
{
    owed_give_up(&link->owed);
    connect_abandon(link->attempt);
    link->attempt = NULL;
}

bool link_connect(struct link *link)
{
    link->attempt = connect_start(link->settings);
    if (link->attempt)
        return true;
    notice_io("start", "a thread", errno);
    return false;
}

bool link_take_conversation(struct link *link)
{
    enum conversation_opening opening;
    struct error error;
    link->conversation = connect_finish(link->attempt, &opening, &error);
    link->attempt = NULL;
    link->has_reconnected = true;
    link->is_unreachable = !link->conversation;
    link_start_wait(link);
    if (link->conversation) {
        notice_connected_again(link->conversation);
        return true;
    }
    notice_opening(opening, error.text);
    return false;
}

struct owed link_take_owed(struct link *link)
{
    struct owed request = *owed_first(&link->owed);
    owed_answered(&link->owed);
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
        return link->has_reconnected ? EXIT_STATUS_ANSWERED : EXIT_STATUS_UNREACHABLE;
    case CONVERSATION_DENIED:
        return link->has_reconnected ? EXIT_STATUS_ANSWERED : EXIT_STATUS_TRUST;
    case CONVERSATION_TIMED_OUT:
        return EXIT_STATUS_TIMEOUT;
    case CONVERSATION_OUT_OF_MEMORY:
        return EXIT_STATUS_IO;
    default:
        return conversation_owed(link->conversation) > 0 ? EXIT_STATUS_LOST : EXIT_STATUS_ANSWERED;
    }
}

/* Whether the requests without a reply may be sent again, now that the conversation has ended. */
static bool may_repeat(const struct link *link, enum options_again again)
{
    enum conversation_end end = conversation_ended(link->conversation);
    if (conversation_owed(link->conversation) == 0 || !conversation_can_resume(link->conversation))
        return false;
    return (end == CONVERSATION_STOPPING && again != OPTIONS_AGAIN_NEVER) ||
           (end == CONVERSATION_LOST && again == OPTIONS_AGAIN_LOST);
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
static bool put_back(struct link *link, const struct options *options, struct paste *paste)
{
    struct lines lines = {.options = options, .is_whole = true};
    conversation_each_unanswered(link->conversation, add_line, &lines);
    bool ok = lines.is_whole && paste_put_back(paste, &lines.text);
    buffer_fini(&lines.text);
    return ok;
}

enum exit_status link_take_end(struct link *link, const struct options *options, bool is_leaving,
                               struct paste *paste)
{
    enum conversation_end end = conversation_ended(link->conversation);
    bool come_back =
        !is_leaving && may_repeat(link, options->again) && put_back(link, options, paste);
    enum exit_status status = come_back ? EXIT_STATUS_ANSWERED : judge_end(link, end);
    bool is_as_wished = end == CONVERSATION_CLOSED && is_leaving;
    link->is_unreachable = end == CONVERSATION_BUSY || end == CONVERSATION_TLS_REQUIRED ||
                           end == CONVERSATION_NO_GREETING;
    if (come_back)
        owed_fini(&link->owed); /* they need no names */
    if (!(is_as_wished && options->is_quiet))
        notice_end(link->conversation, &link->owed);
    owed_fini(&link->owed);
    conversation_close(link->conversation);
    link->conversation = NULL;
    return status;
}

int link_show_wait(const struct link *link, bool is_leaving)
{
    const char *verb = link->attempt ? "Connecting" : "Waiting";
    /* What was typed is not seen, a quit least of all. */
    const char *hint = is_leaving           ? "Ctrl-C ends it"
                       : prompt_has_typed() ? "Ctrl-C gives the prompt back, with what was typed"
                                            : "Ctrl-C gives the prompt back";
    bool is_owed = link->conversation && conversation_owed(link->conversation) > 0;
    if (prompt_is_shown() || !(link->attempt || is_owed))
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
