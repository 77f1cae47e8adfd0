/* scratch: the end of a call that has lost its loop, and of a thread. */
#include "server/session/scratch.h"

#include "server/request_owner.h"

void scratch_lost(void *context)
{
    struct scratch *scratch = context;
    request_returned(scratch->request);
    scratch->request = NULL;
    scratch->session = NULL;
    buffer_clear(&scratch->input);
    buffer_clear(&scratch->output);
    buffer_fini(&scratch->large);
}

void scratch_fini(void *context)
{
    struct scratch *scratch = context;
    request_free(scratch->request);
    buffer_fini(&scratch->input);
    buffer_fini(&scratch->output);
    buffer_fini(&scratch->large);
}
