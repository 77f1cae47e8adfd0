/* decimal: as many places as the number has, from the last to the first. */
#include "common/decimal.h"

static size_t count_digits(uint64_t number)
{
    size_t count = 1;
    for (uint64_t bound = 10; count < DECIMAL_MAX_DIGITS && number >= bound; bound *= 10)
        count++;
    return count;
}

size_t decimal_print(char *text, uint64_t number)
{
    size_t count = count_digits(number);
    for (size_t place = count; place > 0; number /= 10)
        text[--place] = (char) ('0' + number % 10);
    return count;
}
