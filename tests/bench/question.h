/*
 * question: what the generator asks and what it takes for a right answer, from the words of the
 * command line to the bytes of a traffic plan.
 */
#ifndef BANTER_TESTS_BENCH_QUESTION_H
#define BANTER_TESTS_BENCH_QUESTION_H

#include "tests/bench/traffic.h"

/* Of the command line; NULL, 0 and false where it was not given. */
struct question {
    const char *message;
    size_t payload_bytes;
    const char *expect;
    bool echo; /* the message itself is right */
    bool any_reply;
    bool stamped;
    const char *send; /* literally, with \r, \n, \t, \\ and \xHH in it */
    const char *receive;
};

/* Fills in the plan's request, what is right, and the bytes of the right reply. The plan's codec is
 * set before. False with `error` set: what was given does not go together, or can't be sent. */
bool question_prepare(const struct question *question, struct traffic_plan *plan,
                      struct error *error);

/* Gives back what question_prepare() has put into the plan. */
void question_fini(struct traffic_plan *plan);

#endif
