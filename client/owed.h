/*
 * owed: the requests that a reply is owed to, in the order in which they were asked.
 *
 * A conversation only counts them (conversation.h). This is for those who want to say what a reply
 * answers, or how long it took. Embedded by value; all zero is an empty queue.
 */
#ifndef BANTER_CLIENT_OWED_H
#define BANTER_CLIENT_OWED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/escape.h"

struct owed {
    int64_t at_ns;          /* CLOCK_MONOTONIC */
    uint64_t count;         /* so many alike, one behind the other */
    bool is_given_up;       /* nobody waits for the reply any more */
    char text[ESCAPE_SIZE]; /* what was asked, harmless and short; "" where nobody will want it */
};

struct owed_queue {
    struct buffer entries; /* of struct owed */
};

/* Adds a request behind the others; `text` NULL: it will not be named. Those without a text and of
 * one time share an entry, so that what is sent ahead by the million takes little. False, with
 * nothing added, when memory is out. */
bool owed_add(struct owed_queue *queue, const char *text, size_t size, int64_t at_ns);

/* The one whose reply is next, and the one asked last; NULL where nothing is owed. Good until the
 * next call that adds or removes. */
struct owed *owed_first(const struct owed_queue *queue);
struct owed *owed_last(const struct owed_queue *queue);

/* The entries, for a walk from the first to the last. */
size_t owed_entries(const struct owed_queue *queue, struct owed **entries);

/* The first one has its reply. There must be one. */
void owed_answered(struct owed_queue *queue);

/* Nobody waits any more for those in the queue. */
void owed_give_up(struct owed_queue *queue);

/* Empties the queue and gives its memory back. */
void owed_fini(struct owed_queue *queue);

#endif
