/*
 * messages: an input that is all there from the start.
 */
#include "client/messages.h"

#include <string.h>

#include "client/batch/batch.h"

struct messages {
    struct input input; /* first, so that a pointer to it is one to the messages */
    char *const *next;
};

static enum input_outcome next_message(struct input *input, const char **text, size_t *size)
{
    struct messages *messages = (struct messages *) input;
    if (!*messages->next)
        return INPUT_END;
    *text = *messages->next++;
    *size = strlen(*text);
    return INPUT_MESSAGE;
}

static enum input_rest rest_of_messages(struct input *input, int wait_ms)
{
    (void) wait_ms; /* nothing comes later */
    const struct messages *messages = (const struct messages *) input;
    return *messages->next ? INPUT_REST_SOME : INPUT_REST_NONE;
}

enum exit_status messages_run(struct conversation *conversation, const struct options *options,
                              struct output *output)
{
    struct messages all = {
        .input = {.unit = "message", .fd = -1, .next = next_message, .rest = rest_of_messages},
        .next = options->messages,
    };
    return batch_run(conversation, options, &all.input, output);
}
