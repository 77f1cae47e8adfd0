/*
 * report: the wording of everything that banter tells of what goes wrong, one line each, "banter:
 * ..." in front. What the server or the user wrote is made harmless and cut to a readable length.
 */
#ifndef BANTER_CLIENT_REPORT_H
#define BANTER_CLIENT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client/conversation.h"
#include "common/buffer.h"

/* At a terminal, where it is told on the screen; NULL: on standard error again. */
void report_to(FILE *screen);

/* A sentence that needs nothing around it. */
void report(const char *sentence);

/* Standard input, standard output: "unable to VERB OBJECT: why". */
void report_io(const char *verb, const char *object, int why);

/* The connection can't be opened yet; it is tried until it can. */
void report_waiting(const char *why);

/* The connection could not be opened. */
void report_opening(enum conversation_opening opening, const char *why);

/* A frame that no request was waiting for. */
void report_unasked(const struct conversation *conversation, const char *text, size_t size);

/* A request that was not sent, the `number`th of its `unit` ("input line"), and why. */
void report_not_sent(const char *unit, uint64_t number, const char *why);

/* How long the reply to the `number`th of its `unit` took, appended to `out`, so that many can be
 * written at once. Without memory for it, it is left out. */
void report_time(struct buffer *out, const char *unit, uint64_t number, const char *time);

/* The conversation ended before its time, and why. */
void report_end(const struct conversation *conversation);

/* What a run without a prompt came to. */
struct report_summary {
    const char *unit;             /* what one request is called: "input line" */
    uint64_t sent;                /* requests */
    uint64_t received;            /* replies */
    uint64_t unwritten;           /* of those, how many standard output did not take */
    bool has_unanswered;          /* there is a request, sent or not, whose reply was not written */
    uint64_t errors;              /* error replies */
    uint64_t first_error;         /* the number of the first one's request */
    const char *first_error_text; /* harmless, and short */
};

/* One line that says it all, so that a script can go on from the first unanswered line. */
void report_summary(const struct report_summary *summary);

#endif
