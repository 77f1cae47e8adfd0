/*
 * report: see report.h.
 */
#include "client/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/protocol.h"

void report(const char *sentence) { fprintf(stderr, "banter: %s\n", sentence); }

void report_io(const char *verb, const char *object, int why)
{
    fprintf(stderr, "banter: unable to %s %s: %s\n", verb, object, strerror(why));
}

void report_opening(enum conversation_opening opening, const char *why)
{
    fprintf(stderr, "banter: %s%s\n",
            opening == CONVERSATION_UNREACHABLE ? "Connection Error: " : "", why);
}

void report_unasked(const struct conversation *conversation, const char *text, size_t size)
{
    char shown[ESCAPE_SIZE];
    const bool is_busy = protocol_is_error_code(text, size, PROTOCOL_BUSY);
    fprintf(stderr, "banter: %s%s: %s%s\n", is_busy ? "Connection Error: " : "",
            conversation_address(conversation),
            is_busy ? "" : "unasked: ", escape_text(text, size, shown));
}

void report_not_sent(const char *unit, uint64_t number, const char *why)
{
    fprintf(stderr, "banter: %s %" PRIu64 " can't be sent: %s\n", unit, number, why);
}

void report_unfinished(const struct conversation *conversation, const char *unit)
{
    const uint64_t missing = conversation_owed(conversation);
    const char *why = conversation_why(conversation);
    const bool is_timeout = conversation_ended(conversation) == CONVERSATION_TIMED_OUT;
    fprintf(stderr,
            "banter: %s: %s%s: %" PRIu64 " %s missing; the first unanswered %s is %" PRIu64 "\n",
            conversation_address(conversation),
            is_timeout ? "" : "connection lost: ", *why ? why : "the server closed it", missing,
            missing == 1 ? "reply is" : "replies are", unit,
            conversation_replies(conversation) + 1);
}
