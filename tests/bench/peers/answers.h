/*
 * answers: what all the line servers that banterd is compared with reply, so that they differ in
 * nothing but how they wait, read and write.
 *
 *     work N       computes N iterations, then gives the line back; see tests/handlers/work.h
 *     sleep MS     sleeps, then gives the line back
 *     now          CLOCK_MONOTONIC in ns
 *     any other    "Hello " and the line in ASCII upper case
 *
 * After answers_echo() each line is its own answer, whatever it says.
 */
#ifndef BANTER_TESTS_BENCH_PEERS_ANSWERS_H
#define BANTER_TESTS_BENCH_PEERS_ANSWERS_H

#include <stddef.h>

#include "common/buffer.h"

/* Called before any line is answered. */
void answers_echo(void);

/* Appends to `replies` the answer to each complete line at `data`, one after the other. Returns the
 * bytes of those lines; what follows is the beginning of another. Exits when memory is out. */
size_t answers_append(const char *data, size_t size, struct buffer *replies);

/* The same for what one read has brought, with `rest` in front, the incomplete line of the last
 * one, which is updated. */
void answers_to_read(struct buffer *rest, const char *data, size_t size, struct buffer *replies);

#endif
