/* decimal: the digits come out from the last to the first. */
#include "common/decimal.h"

#include <string.h>

size_t decimal_print(char *text, uint64_t number)
{
    char digits[DECIMAL_MAX_DIGITS];
    size_t begin = DECIMAL_MAX_DIGITS;
    do {
        digits[--begin] = (char) ('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(text, digits + begin, DECIMAL_MAX_DIGITS - begin);
    return DECIMAL_MAX_DIGITS - begin;
}
