/* variables: two strings. */
#include "server/handlers/program/variables.h"

#include <stdio.h>

void variables_set(struct variables *variables, struct spawn_options *options, uint64_t session,
                   const char *address)
{
    snprintf(variables->session, sizeof variables->session, "BANTER_SESSION=%llu",
             (unsigned long long) session);
    options->environment[0] = variables->session;
    if (!address)
        return;
    snprintf(variables->address, sizeof variables->address, "BANTER_ADDRESS=%s", address);
    options->environment[1] = variables->address;
}
