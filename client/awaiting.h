/*
 * awaiting: the words for something that is taking its time, and when they change.
 *
 * Pure: whoever shows them has the clock and the screen.
 */
#ifndef BANTER_CLIENT_AWAITING_H
#define BANTER_CLIENT_AWAITING_H

#include <stddef.h>
#include <stdint.h>

#define AWAITING_QUICK_MS 200 /* what takes less is not worth a word */
#define AWAITING_TEXT_SIZE 120

/* Writes "VERB 1.2 s; HINT", the time first where a narrow terminal cuts the line. `text` has
 * AWAITING_TEXT_SIZE bytes. Returns its length; 0: it has not taken long yet, and nothing is to be
 * shown. */
size_t awaiting_text(int64_t waited_ms, const char *verb, const char *hint, char *text);

/* In how many milliseconds awaiting_text() will say something else; 1 or more. */
int awaiting_next_ms(int64_t waited_ms);

#endif
