/*
 * notices: the wording of everything that a person at a terminal sees above the prompt and that is
 * no reply. The texts that a pipe can need too are in report.h; they come through here as well.
 */
#ifndef BANTER_CLIENT_TERMINAL_NOTICES_H
#define BANTER_CLIENT_TERMINAL_NOTICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/conversation.h"
#include "client/owed.h"
#include "client/stopwatch.h"

/* Who has answered, if there is TLS. */
void notice_identity(const struct conversation *conversation);

/* How to leave: by a word or, if `is_literal`, by a key. */
void notice_greeting(bool is_literal);

/* Ctrl-C came while no prompt was shown. */
void notice_interrupted(void);

/* The connection has ended, and why; and which requests were not answered. */
void notice_end(const struct conversation *conversation, const struct owed_queue *unanswered);

/* There is a connection again. */
void notice_connected_again(const struct conversation *conversation);

/* A line was not sent, and why. */
void notice_not_sent(const char *line, size_t size, const char *why);

/* The text at the prompt is `count` requests, and whether it quits behind them. */
void notice_requests(size_t count, bool is_leaving);

/* The reply that follows answers this request, which the user gave up. */
void notice_late(const struct owed *request, int64_t now_ns);

/* How long the last reply took; and all of them, if there is a stopwatch that runs. */
void notice_time(int64_t ns);
void notice_times(const struct stopwatch *stopwatch);

/* As the functions of report.h. */
void notice_io(const char *verb, const char *object, int why);
void notice_waiting(const char *why);
void notice_opening(enum conversation_opening opening, const char *why);
void notice_silence(const struct conversation *conversation);
void notice_greeted(const struct conversation *conversation, const struct frame *frame);
void notice_fragment(const struct conversation *conversation, const struct frame *frame);
void notice_unasked(const struct conversation *conversation, const struct frame *frame);

#endif
