/*
 * owed: the requests whose replies are still to come, in the order in which they were asked.
 *
 * A conversation only counts them (conversation.h). This queue is for callers that report what a
 * reply answers, or how long it took. Embedded by value; all zero is an empty queue.
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
    uint64_t count;         /* alike, one behind the other */
    bool is_given_up;       /* the user no longer waits for the reply */
    char text[ESCAPE_SIZE]; /* the request, escaped and shortened; "" if it will not be named */
};

struct owed_queue {
    struct buffer entries; /* of struct owed */
};

/* Adds a request behind the others; `text` NULL: it will not be named. Requests without a text and
 * of the same time share an entry, so that millions that are sent ahead take little memory. False,
 * with nothing added, if memory is out. */
bool owed_add(struct owed_queue *queue, const char *text, size_t size, int64_t at_ns);

/* The one whose reply is next, and the one asked last; NULL if nothing is owed. Good until the next
 * call that adds or removes. */
struct owed *owed_first(const struct owed_queue *queue);
struct owed *owed_last(const struct owed_queue *queue);

/* The entries, for a walk from the first to the last. */
size_t owed_entries(const struct owed_queue *queue, struct owed **entries);

/* The first one has its reply. There must be one. */
void owed_answered(struct owed_queue *queue);

/* Marks all that are in the queue as given up. */
void owed_give_up(struct owed_queue *queue);

/* Empties the queue and frees its memory. */
void owed_fini(struct owed_queue *queue);

#endif
