/*
 * date: a time of day as people and programs read it, in UTC.
 */
#ifndef BANTER_COMMON_DATE_H
#define BANTER_COMMON_DATE_H

#include <stdint.h>
#include <time.h>

enum { DATE_SIZE = 48 }; /* of a text with its NUL; more than a date of our time has */

/* Writes such as 2026-11-25T23:22:48Z, of a time in seconds since 1970, or "?" if there is no such
 * date. `text` has DATE_SIZE bytes. Returns it. */
static inline const char *date_text(int64_t seconds, char *text)
{
    time_t time = (time_t) seconds;
    struct tm parts;
    if (!gmtime_r(&time, &parts) || strftime(text, DATE_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        text[0] = '?', text[1] = '\0';
    return text;
}

#endif
