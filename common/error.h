/*
 * error: why something failed, as a sentence for a person.
 *
 * common/ never prints and never exits: a function that can fail in more ways than its result tells
 * takes a `struct error *` and fills it in; the program decides where the text goes. The text has
 * no newline and no program name: "unable to VERB OBJECT: why", or what was wrong with the input
 * and what would be right.
 */
#ifndef BANTER_COMMON_ERROR_H
#define BANTER_COMMON_ERROR_H

#include <stdbool.h>

struct error {
    char text[512]; /* NUL-terminated; cut where it is longer */
};

/* Fills in the text, printf-like. Always returns false, so that a caller can `return
 * error_set(...)`. */
bool error_set(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
