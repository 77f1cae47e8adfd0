/* exit_status: the order of precedence, and the table as text. */
#include "client/exit_status.h"

#include <stddef.h>

#define HELP_LINE(name, number, words) "  " #number " " words "\n"
const char exit_status_help[] =
    "Exit status, the first that applies:\n" EXIT_STATUS_TABLE(HELP_LINE);
#undef HELP_LINE

#define MEMBER(name, number, words) EXIT_STATUS_##name,
static const enum exit_status precedence[] = {EXIT_STATUS_TABLE(MEMBER)};
#undef MEMBER

enum exit_status exit_status_first(enum exit_status a, enum exit_status b)
{
    for (size_t i = 0; i < sizeof precedence / sizeof precedence[0]; i++)
        if (precedence[i] == a || precedence[i] == b)
            return precedence[i];
    return a;
}
