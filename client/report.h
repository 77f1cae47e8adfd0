/*
 * report: the wording of everything that banter tells on standard error, one line each, "banter:
 * ..." in front. What the server or the user wrote is made harmless and cut to a readable length.
 */
#ifndef BANTER_CLIENT_REPORT_H
#define BANTER_CLIENT_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "client/conversation.h"

/* A sentence that needs nothing around it. */
void report(const char *sentence);

/* Standard input, standard output: "unable to VERB OBJECT: why". */
void report_io(const char *verb, const char *object, int why);

/* The connection could not be opened. */
void report_opening(enum conversation_opening opening, const char *why);

/* A frame that no request was waiting for. */
void report_unasked(const struct conversation *conversation, const char *text, size_t size);

/* A request that was not sent, the `number`th of its `unit` ("input line"), and why. */
void report_not_sent(const char *unit, uint64_t number, const char *why);

/* The conversation ended before its time: how many replies are missing, and which `unit` is the
 * first one that has no answer. */
void report_unfinished(const struct conversation *conversation, const char *unit);

#endif
