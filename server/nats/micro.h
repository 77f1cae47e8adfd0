/*
 * nats/micro: what a worker machine says of itself to those who look for services, such as
 * `nats micro ls`: the subjects that they ask on, and the answers (ADR-32).
 *
 * Pure: no NATS, no clock.
 */
#ifndef BANTER_SERVER_NATS_MICRO_H
#define BANTER_SERVER_NATS_MICRO_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "server/nats/words.h"

enum micro_verb { MICRO_PING, MICRO_INFO, MICRO_STATS, MICRO_VERBS };

/* Each verb is asked of all, of those with a name, and of one. */
enum micro_scope { MICRO_ALL, MICRO_NAME, MICRO_ONE, MICRO_SCOPES };

enum {
    MICRO_ID_SIZE = 22 + 1,
    MICRO_SUBJECT_SIZE = WORDS_SUBJECT_SIZE + MICRO_ID_SIZE + 16,
};

/* Who says so. The texts are the caller's. */
struct micro_service {
    const char *name;
    char id[MICRO_ID_SIZE]; /* of this one alone */
    const char *subject;
    const char *group;
    const char *handler; /* what answers */
    int64_t started_ns;  /* CLOCK_REALTIME */
};

/* What it has done so far. */
struct micro_figures {
    uint64_t requests, errors;
    uint64_t nanoseconds;   /* that all requests took together */
    const char *last_error; /* "": none yet */
};

/* Makes an identity of bytes that nobody else has. */
void micro_make_id(const unsigned char random[MICRO_ID_SIZE - 1], char id[MICRO_ID_SIZE]);

/* Writes the subject that a verb is asked on, of MICRO_SUBJECT_SIZE bytes at most. */
void micro_subject(const struct micro_service *service, enum micro_verb verb,
                   enum micro_scope scope, char *subject);

/* Writes the answer. False: out of memory. */
bool micro_answer(const struct micro_service *service, enum micro_verb verb,
                  const struct micro_figures *figures, struct buffer *answer);

#endif
