/*
 * later: a thread that acts on held requests when their time has come.
 */
#ifndef BANTER_TESTS_HANDLERS_LATER_H
#define BANTER_TESTS_HANDLERS_LATER_H

#include <stdbool.h>

#include "server/request.h"

struct later;

enum later_act {
    LATER_ANSWER, /* with the text, then release */
    LATER_LET_GO, /* release without an answer */
    LATER_NEVER,  /* release when the thread is stopped */
};

/* NULL when a thread or memory is out. */
struct later *later_start(void);

/* Acts on the request, of which the caller gives its hold away, after `ms`. The text is an
 * offset into the request's message. */
void later_add(struct later *later, struct request *request, enum later_act act, long ms,
               size_t text_offset);

/* Releases what is left, and ends the thread. */
void later_stop(struct later *later);

#endif
