/*
 * words: what a person or a script may write that is not sent as it is.
 */
#ifndef BANTER_CLIENT_WORDS_H
#define BANTER_CLIENT_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/protocol.h"

#define WORDS_QUIT "quit"
#define WORDS_AS_IT_IS '\\' /* at a terminal: the rest of the line is sent as it is */

/* Whether a line of input asks for the end. */
static inline bool words_mean_quit(const char *line, size_t size)
{
    return (size == strlen(WORDS_QUIT) && memcmp(line, WORDS_QUIT, size) == 0) ||
           protocol_is_quit(line, size);
}

#endif
