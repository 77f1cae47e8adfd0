/*
 * report: the wording of every error, one line each, with "banter: " in front. Text of the server
 * or the user is escaped and cut to a readable length.
 */
#ifndef BANTER_CLIENT_REPORT_H
#define BANTER_CLIENT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client/conversation.h"
#include "common/buffer.h"

/* Reports go to this stream from now on, a terminal's screen; NULL: to standard error again. */
void report_to(FILE *screen);

/* A whole sentence. */
void report(const char *sentence);

/* Standard input, standard output: "unable to VERB OBJECT: why". */
void report_io(const char *verb, const char *object, int why);

/* The connection can't be opened yet, and is retried. */
void report_waiting(const char *why);

/* The connection could not be opened. */
void report_opening(enum conversation_opening opening, const char *why);

/* A frame that the server says first, as expected. */
void report_greeting(const struct conversation *conversation, const char *text, size_t size);

/* What has come and is no whole reply. */
void report_fragment(const struct conversation *conversation, const char *text, size_t size);

/* A frame that answers no request. */
void report_unasked(const struct conversation *conversation, const char *text, size_t size);

/* CONVERSATION_SILENCE, and what may be the reason; nothing if none is known (has_hint() false).
 * `input_ended`: there is no more to be sent. */
bool report_has_hint(const struct conversation *conversation, bool input_ended);
void report_silence(const struct conversation *conversation, bool input_ended);

/* A request, the `number`th of its `unit` ("input line"), was not sent, and why. */
void report_not_sent(const char *unit, uint64_t number, const char *why);

/* The input goes on behind a word that ends it; `number` is its first line that was not sent. */
void report_behind_quit(uint64_t number);

/* How long the reply to the `number`th of its `unit` took: appended to `out`, so that many lines
 * can be written at once. Left out if memory is out. */
void report_time(struct buffer *out, const char *unit, uint64_t number, const char *time);

/* The conversation ended, and why; another one goes on with what is unanswered. */
void report_again(const struct conversation *conversation);

/* No other one could be opened. */
void report_not_again(const char *why);

/* The conversation ended too early, and why. */
void report_end(const struct conversation *conversation);

/* The outcome of a run without a prompt. */
struct report_summary {
    const char *unit;             /* the name of one request: "input line" */
    uint64_t sent;                /* requests */
    uint64_t received;            /* replies */
    uint64_t unwritten;           /* of these, how many standard output did not take */
    bool has_unanswered;          /* the reply to some request, sent or not, was not written */
    uint64_t errors;              /* error replies */
    uint64_t first_error;         /* the number of the first one's request */
    const char *first_error_text; /* escaped and shortened */
};

/* One line from which a second run can go on with the first unanswered request. */
void report_summary(const struct report_summary *summary);

#endif
