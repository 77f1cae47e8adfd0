/* variables: three strings. */
#include "server/handlers/program/variables.h"

#include <stdio.h>

void variables_set(struct variables *variables, struct spawn_options *options, uint64_t session,
                   const struct peer_text *peer)
{
    snprintf(variables->session, sizeof variables->session, "BANTER_SESSION=%llu",
             (unsigned long long) session);
    options->environment[0] = variables->session;
    if (!peer)
        return;
    snprintf(variables->address, sizeof variables->address, "BANTER_ADDRESS=%s", peer->address);
    options->environment[1] = variables->address;
    snprintf(variables->identity, sizeof variables->identity, "BANTER_IDENTITY=%s", peer->identity);
    options->environment[2] = variables->identity;
}
