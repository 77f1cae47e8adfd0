/*
 * backoff: how long to wait before the next instance is started after some that have failed.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_BACKOFF_H
#define BANTER_SERVER_HANDLERS_PROGRAM_BACKOFF_H

#include <stdint.h>

/* `failures` in a row, 1 at least. */
static inline int64_t backoff_ms(unsigned failures)
{
    enum { FIRST_MS = 50, MAX_MS = 5000 };
    int64_t delay_ms = FIRST_MS;
    while (--failures > 0 && delay_ms < MAX_MS)
        delay_ms *= 2;
    return delay_ms < MAX_MS ? delay_ms : MAX_MS;
}

#endif
