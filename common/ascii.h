/*
 * ascii: classes of bytes, whatever the locale is.
 */
#ifndef BANTER_COMMON_ASCII_H
#define BANTER_COMMON_ASCII_H

#include <stdbool.h>

/* Space, tab, line feed, vertical tab, form feed, carriage return. */
static inline bool ascii_is_white(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static inline char ascii_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char) (byte - 'A' + 'a') : byte;
}

#endif
