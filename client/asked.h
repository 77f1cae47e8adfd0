/*
 * asked: the requests that a reply is owed to, in the order in which they were asked.
 *
 * A conversation only counts them (conversation.h). This is for those who want to say what a reply
 * answers, or how long it took. Embedded by value; all zero is an empty queue.
 */
#ifndef BANTER_CLIENT_ASKED_H
#define BANTER_CLIENT_ASKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/escape.h"

struct asked {
    int64_t at_ns;          /* CLOCK_MONOTONIC */
    uint64_t count;         /* so many alike, one behind the other */
    bool is_given_up;       /* nobody waits for the reply any more */
    char text[ESCAPE_SIZE]; /* what was asked, harmless and short; "" where nobody will want it */
};

struct asked_queue {
    struct buffer entries; /* of struct asked */
};

/* Adds a request behind the others; `text` NULL: it will not be named. Those without a text and of
 * one time share an entry, so that what is sent ahead by the million takes little. False, with
 * nothing added, when memory is out. */
bool asked_add(struct asked_queue *queue, const char *text, size_t size, int64_t at_ns);

/* The one whose reply is next, and the one asked last; NULL where nothing is owed. Good until the
 * next call that adds or removes. */
struct asked *asked_first(const struct asked_queue *queue);
struct asked *asked_last(const struct asked_queue *queue);

/* The entries, for a walk from the first to the last. */
size_t asked_entries(const struct asked_queue *queue, struct asked **entries);

/* The first one has its reply. There must be one. */
void asked_answered(struct asked_queue *queue);

/* Nobody waits any more for those in the queue. */
void asked_give_up(struct asked_queue *queue);

/* Empties the queue and gives its memory back. */
void asked_fini(struct asked_queue *queue);

#endif
