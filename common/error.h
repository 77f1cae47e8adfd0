/*
 * error: why something failed, as a sentence for a person.
 *
 * common/ never prints and never exits: a function whose failure a person will read about takes a
 * `struct error *` and fills it in; the program decides where the text goes. The text has no
 * newline and no program name: "unable to VERB OBJECT: why", or what was wrong with the input and
 * what would be right. A failure that a caller acts upon is an errno value instead, and one for
 * which there is only one reason, such as that memory is out, is just false or NULL.
 */
#ifndef BANTER_COMMON_ERROR_H
#define BANTER_COMMON_ERROR_H

#include <stdbool.h>

struct error {
    char text[512]; /* NUL-terminated; longer text is cut */
};

/* Sets the text, printf-like. Always returns false, so that a caller can return its result. */
bool error_set(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
