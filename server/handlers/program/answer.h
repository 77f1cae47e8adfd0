/*
 * answer: what an instance has written in its turn, and what that means: nothing yet, a reply, or
 * an error. Knows bytes and rules, neither pipes nor processes.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_ANSWER_H
#define BANTER_SERVER_HANDLERS_PROGRAM_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"

enum reply_end {
    REPLY_END_NEWLINE, /* a reply is one line */
    REPLY_END_WAITS,   /* all that is written until the instance waits again */
    REPLY_END_LINE,    /* the lines before one that is `mark` */
    REPLY_END_NONE,    /* there are no replies: lines go both ways as they come (talk.h) */
};

struct reply_rules {
    enum reply_end end;
    const char *mark; /* REPLY_END_LINE; not owned */
    bool one_line;    /* a reply can't have a newline in it */
};

/* All zero: nothing yet. */
struct answer {
    struct buffer text;
    size_t line_begin; /* where the line that is not ended begins */
    size_t lines;      /* how many are ended */
    unsigned more;     /* replies that are expected behind the first; set before text is added */
    unsigned replies;  /* how many are there whole (REPLY_END_NEWLINE, REPLY_END_LINE) */
    bool marked;       /* REPLY_END_LINE: the last mark has come; it begins at `line_begin` */
    bool surplus;      /* more has come behind the replies, and was dropped */
};

/* Adds what was written. False: there is too much of it, or memory is out. */
bool answer_add(struct answer *answer, const struct reply_rules *rules, const char *text,
                size_t size);

/* Forgets the text, and keeps a little memory for the next one. */
void answer_clear(struct answer *answer);

/* Whether the text comes as a program's whole buffers, which are written when they are full. */
bool answer_is_buffers(const struct answer *answer);

/* Writes ": " and the last line that is not empty, ended or not, cut if there is no room; nothing
 * if there is none. */
void answer_last_line(const struct answer *answer, char *text, size_t size);

/* How the turn stands. */
enum turn_state {
    TURN_WORKS,  /* more may come */
    TURN_RESTS,  /* it seems to wait for its next request */
    TURN_WAITS,  /* it does */
    TURN_ENDED,  /* nothing can come: it has ended, as it should */
    TURN_FAILED, /* the same, but not as it should */
};

enum answer_outcome {
    ANSWER_PENDING, /* nothing is known yet */
    ANSWER_HELD,    /* a reply, unless more comes in this turn */
    ANSWER_REPLY,
    ANSWER_SILENT, /* the turn is over, without a word */
    ANSWER_WRONG,  /* `why` */
};

struct answer_verdict {
    enum answer_outcome outcome;
    const char *text; /* ANSWER_HELD, ANSWER_REPLY: the reply, in the answer's buffer */
    size_t size;
    char why[200];
};

/* What has been written means this. TURN_RESTS ends only a turn in which a whole line came. If
 * several replies are expected, ANSWER_HELD and ANSWER_REPLY say that all of them are there, which
 * answer_next() gets. */
void answer_judge(const struct answer *answer, const struct reply_rules *rules,
                  enum turn_state state, struct answer_verdict *verdict);

/* The next whole reply: ANSWER_REPLY, or ANSWER_WRONG if it can't be one. `*offset` is 0 at first.
 * False: there is none. */
bool answer_next(const struct answer *answer, const struct reply_rules *rules, size_t *offset,
                 struct answer_verdict *verdict);

#endif
