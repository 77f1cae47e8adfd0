/* decimal: numbers as text, for places where printf(3) would cost more than all the rest. */
#ifndef BANTER_COMMON_DECIMAL_H
#define BANTER_COMMON_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

enum { DECIMAL_MAX_DIGITS = 20 };

/* Writes the digits, without a NUL, and returns how many there are; at most DECIMAL_MAX_DIGITS. */
size_t decimal_print(char *text, uint64_t number);

#endif
