/* report: each report is one printf, so that nothing comes in between. */
#include "client/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"

#define FRAGMENT_MAX 1000 /* bytes of what is no whole reply that are shown */

static FILE *stream; /* NULL: standard error */

void report_to(FILE *screen) { stream = screen; }

static void __attribute__((format(printf, 1, 2))) tell(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stream ? stream : stderr, format, arguments);
    va_end(arguments);
}

void report(const char *sentence) { tell("banter: %s\n", sentence); }

void report_io(const char *verb, const char *object, int why)
{
    tell("banter: unable to %s %s: %s\n", verb, object, strerror(why));
}

void report_waiting(const char *why) { tell("banter: waiting for the server: %s\n", why); }

void report_opening(enum conversation_opening opening, const char *why)
{
    bool is_of_server = opening == CONVERSATION_UNREACHABLE || opening == CONVERSATION_IMPOSSIBLE ||
                        opening == CONVERSATION_UNTRUSTED;
    tell("banter: %s%s\n", is_of_server ? "Connection Error: " : "", why);
}

static void tell_text(const struct conversation *conversation, const char *kind, const char *text,
                      size_t size)
{
    char shown[ESCAPE_SIZE];
    tell("banter: %s: %s: %s\n", conversation_address(conversation), kind,
         escape_text(text, size, shown));
}

void report_greeting(const struct conversation *conversation, const char *text, size_t size)
{
    tell_text(conversation, "greeting", text, size);
}

void report_unasked(const struct conversation *conversation, const char *text, size_t size)
{
    tell_text(conversation, "unasked", text, size);
}

void report_fragment(const struct conversation *conversation, const char *text, size_t size)
{
    bool is_cut = size > FRAGMENT_MAX;
    size_t shown_size = is_cut ? FRAGMENT_MAX : size;
    char shown[FRAGMENT_MAX * ESCAPE_BYTE_SIZE];
    int shown_length = (int) (escape_line(text, shown_size, shown) - shown);
    tell("banter: %s: no whole reply: %.*s%s\n", conversation_address(conversation), shown_length,
         shown, is_cut ? "..." : "");
}

static bool may_want_half_close(const struct conversation *conversation, bool input_ended)
{
    return input_ended && !conversation_half_closes(conversation);
}

static bool may_want_crlf(const struct conversation *conversation)
{
    return conversation_codec(conversation) == FRAME_LINE;
}

bool report_has_hint(const struct conversation *conversation, bool input_ended)
{
    return may_want_half_close(conversation, input_ended) || may_want_crlf(conversation);
}

void report_silence(const struct conversation *conversation, bool input_ended)
{
    if (report_has_hint(conversation, input_ended))
        tell("banter: %s: no reply for 5 s%s%s\n", conversation_address(conversation),
             may_want_half_close(conversation, input_ended)
                 ? "; if the server answers at the end of its input, use --half-close"
                 : "",
             may_want_crlf(conversation) ? "; if it waits for CR LF, use --framing crlf" : "");
}

void report_not_sent(const char *unit, uint64_t number, const char *why)
{
    tell("banter: %s %" PRIu64 " can't be sent: %s\n", unit, number, why);
}

void report_behind_quit(uint64_t number)
{
    tell("banter: input line %" PRIu64 " was not sent: the line before it ends the input; "
         "--literal sends it as text\n",
         number);
}

void report_time(struct buffer *out, const char *unit, uint64_t number, const char *time)
{
    char line[120];
    int size = snprintf(line, sizeof line, "banter: %s %" PRIu64 ": %s\n", unit, number, time);
    buffer_append(out, line, (size_t) size);
}

void report_again(const struct conversation *conversation)
{
    bool is_lost = conversation_ended(conversation) == CONVERSATION_LOST ||
                   conversation_ended(conversation) == CONVERSATION_CLOSED;
    const char *address = conversation_address(conversation);
    const char *why = conversation_why(conversation);
    if (conversation_ended(conversation) == CONVERSATION_BUSY)
        tell("banter: waiting for the server: %s: %s\n", address, why);
    else
        tell("banter: %s: %s%s; connecting again\n", address, is_lost ? "connection lost: " : "",
             *why ? why : "the server closed it");
}

void report_not_again(const char *why) { tell("banter: unable to connect again: %s\n", why); }

void report_end(const struct conversation *conversation)
{
    const char *address = conversation_address(conversation);
    const char *why = conversation_why(conversation);
    switch (conversation_ended(conversation)) {
    case CONVERSATION_BUSY:
    case CONVERSATION_TLS_REQUIRED:
    case CONVERSATION_DENIED:
    case CONVERSATION_NO_GREETING:
        tell("banter: Connection Error: %s: %s\n", address, why);
        break;
    case CONVERSATION_CLOSED:
    case CONVERSATION_LOST:
    case CONVERSATION_STOPPING:
        tell("banter: %s: connection lost: %s\n", address, *why ? why : "the server closed it");
        break;
    default:
        tell("banter: %s: %s\n", address, why);
    }
}

void report_summary(const struct report_summary *summary)
{
    /* One write, so that nothing comes in between; parts that do not apply are empty. */
    const char *unit = summary->unit;
    uint64_t written = summary->received - summary->unwritten;
    char missing[40] = "";
    char unwritten[40] = "";
    char unanswered[80] = "";
    char errors[120] = "";
    if (summary->sent > summary->received)
        snprintf(missing, sizeof missing, ", %" PRIu64 " missing",
                 summary->sent - summary->received);
    if (summary->unwritten > 0)
        snprintf(unwritten, sizeof unwritten, ", %" PRIu64 " written", written);
    if (summary->has_unanswered)
        snprintf(unanswered, sizeof unanswered, "; the first unanswered %s is %" PRIu64, unit,
                 written + 1);
    if (summary->errors > 0)
        snprintf(errors, sizeof errors, "; %" PRIu64 " error %s to %s %" PRIu64 ": ",
                 summary->errors, summary->errors == 1 ? "reply," : "replies, the first", unit,
                 summary->first_error);
    tell("banter: %" PRIu64 " %s%s sent, %" PRIu64 " %s received%s%s%s%s%s\n", summary->sent, unit,
         summary->sent == 1 ? "" : "s", summary->received,
         summary->received == 1 ? "reply" : "replies", missing, unwritten, unanswered, errors,
         summary->errors > 0 ? summary->first_error_text : "");
}
