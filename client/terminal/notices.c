/* notices: each is a line between prompt_begin_output() and prompt_end_output(). */
#include "client/terminal/notices.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "client/options.h"
#include "client/report.h"
#include "client/terminal/prompt.h"

#define NAMED_MAX 3 /* of the unanswered requests */

static void __attribute__((format(printf, 1, 2))) tell(const char *format, ...)
{
    va_list arguments;
    prompt_begin_output();
    va_start(arguments, format);
    vfprintf(prompt_screen(), format, arguments);
    va_end(arguments);
    fputc('\n', prompt_screen());
    prompt_end_output();
}

void notice_identity(const struct conversation *conversation)
{
    const char *identity = conversation_identity(conversation);
    if (identity)
        tell("Connected to %s%s%s", conversation_address(conversation), *identity ? ", " : "",
             identity);
}

void notice_greeting(bool is_literal)
{
    tell(is_literal ? "Please press Ctrl-D to exit" : "Please enter '" OPTIONS_QUIT "' to exit");
}

void notice_interrupted(void) { tell("^C"); }

/* At a terminal each entry is one request, with its text. */
static void tell_unanswered(const struct owed_queue *unanswered)
{
    struct owed *entries;
    size_t count = owed_entries(unanswered, &entries);
    if (count == 0)
        return;
    char names[NAMED_MAX * (ESCAPE_SIZE + sizeof ", ''")] = "";
    size_t used = 0;
    for (size_t i = 0; i < count && i < NAMED_MAX; i++)
        used += (size_t) snprintf(names + used, sizeof names - used, "%s'%s'", i > 0 ? ", " : "",
                                  entries[i].text);
    char more[40] = "";
    if (count > NAMED_MAX)
        snprintf(more, sizeof more, " and %zu more", count - NAMED_MAX);
    tell("%zu %s not answered: %s%s", count, count == 1 ? "request was" : "requests were", names,
         more);
}

void notice_end(const struct conversation *conversation, const struct owed_queue *unanswered)
{
    const char *address = conversation_address(conversation);
    switch (conversation_ended(conversation)) {
    case CONVERSATION_CLOSED:
        tell("Connection to %s closed", address);
        break;
    case CONVERSATION_BUSY:
    case CONVERSATION_TLS_REQUIRED:
    case CONVERSATION_DENIED:
    case CONVERSATION_NO_GREETING:
        prompt_begin_output();
        report_end(conversation);
        prompt_end_output();
        break;
    default:
        tell("Connection to %s lost: %s", address, conversation_why(conversation));
    }
    tell_unanswered(unanswered);
}

void notice_connected_again(const struct conversation *conversation)
{
    tell("Connected to %s again", conversation_address(conversation));
}

void notice_not_sent(const char *line, size_t size, const char *why)
{
    char shown[ESCAPE_SIZE];
    tell("'%s' was not sent: %s", escape_text(line, size, shown), why);
}

void notice_requests(size_t count, bool is_leaving)
{
    tell("Enter sends %zu request%s%s", count, count == 1 ? "" : "s",
         is_leaving ? " and leaves" : "");
}

void notice_late(const struct owed *request, int64_t now_ns)
{
    tell("The reply to '%s', after %.1f s:", request->text,
         (double) (now_ns - request->at_ns) / 1e9);
}

void notice_time(int64_t ns)
{
    char text[STOPWATCH_TEXT_SIZE];
    tell("Time: %s", stopwatch_text(ns, text));
}

void notice_times(const struct stopwatch *stopwatch)
{
    char text[STOPWATCH_SUMMARY_SIZE];
    if (stopwatch_summary(stopwatch, text))
        tell("%s", text);
}

void notice_io(const char *verb, const char *object, int why)
{
    prompt_begin_output();
    report_io(verb, object, why);
    prompt_end_output();
}

void notice_waiting(const char *why)
{
    prompt_begin_output();
    report_waiting(why);
    prompt_end_output();
}

void notice_opening(enum conversation_opening opening, const char *why)
{
    prompt_begin_output();
    report_opening(opening, why);
    prompt_end_output();
}

void notice_silence(const struct conversation *conversation)
{
    if (!report_has_hint(conversation, false))
        return;
    prompt_begin_output();
    report_silence(conversation, false);
    prompt_end_output();
}

void notice_greeted(const struct conversation *conversation, const struct frame *frame)
{
    prompt_begin_output();
    report_greeting(conversation, frame->message, frame->size);
    prompt_end_output();
}

void notice_fragment(const struct conversation *conversation, const struct frame *frame)
{
    prompt_begin_output();
    report_fragment(conversation, frame->message, frame->size);
    prompt_end_output();
}

void notice_unasked(const struct conversation *conversation, const struct frame *frame)
{
    prompt_begin_output();
    report_unasked(conversation, frame->message, frame->size);
    prompt_end_output();
}
