/*
 * notices: the wording of everything that is told to a person at a terminal, above the prompt, and
 * that is no reply. What can go wrong in a pipe too is in report.h.
 */
#ifndef BANTER_CLIENT_TERMINAL_NOTICES_H
#define BANTER_CLIENT_TERMINAL_NOTICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/conversation.h"
#include "client/owed.h"
#include "client/stopwatch.h"

/* How to leave. */
void notice_greeting(void);

/* The connection has ended, and why; and which of the requests were not answered. */
void notice_end(const struct conversation *conversation, const struct owed_queue *unanswered);

/* There is a connection again. */
void notice_connected_again(const struct conversation *conversation);

/* A line was not sent, and why. */
void notice_not_sent(const char *line, size_t size, const char *why);

/* What stands at the prompt is so many requests, and whether the program is left behind them. */
void notice_requests(size_t count, bool is_leaving);

/* The reply that is shown next answers this request, which nobody waits for any more. */
void notice_late(const struct owed *request, int64_t now_ns);

/* How long the reply took that was shown last; and all of them. */
void notice_time(int64_t ns);
void notice_times(const struct stopwatch *stopwatch);

#endif
