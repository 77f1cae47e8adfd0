/* handler: finds a kind by its name, opens and closes it. */
#include "server/handler.h"

#include <string.h>

static const struct handler_kind *find_kind(const char *name, size_t size)
{
    for (const struct handler_kind *const *kind = handler_kinds; *kind; kind++)
        if (strlen((*kind)->name) == size && memcmp((*kind)->name, name, size) == 0)
            return *kind;
    return NULL;
}

static void refuse_unknown(const char *name, size_t size, struct error *error)
{
    char known[200] = "";
    for (const struct handler_kind *const *kind = handler_kinds; *kind; kind++) {
        if (known[0])
            strncat(known, ", ", sizeof known - strlen(known) - 1);
        strncat(known, (*kind)->name, sizeof known - strlen(known) - 1);
    }
    error_set(error, "there is no handler \"%.*s\"; there are: %s", (int) size, name, known);
}

/* The kind that the text names, and its argument; NULL with `error` set. */
static const struct handler_kind *parse(const char *spec, const char **argument,
                                        struct error *error)
{
    const char *colon = strchr(spec, ':');
    size_t size = colon ? (size_t) (colon - spec) : strlen(spec);
    const struct handler_kind *kind = find_kind(spec, size);
    *argument = colon ? colon + 1 : NULL;
    if (!kind) {
        refuse_unknown(spec, size, error);
    } else if (*argument && !kind->open) {
        error_set(error, "the handler \"%s\" takes no argument, but was given \"%s\"", kind->name,
                  *argument);
        kind = NULL;
    } else if (kind->check && !kind->check(*argument, error)) {
        kind = NULL;
    }
    return kind;
}

bool handler_check(const char *spec, struct error *error)
{
    const char *argument;
    return parse(spec, &argument, error) != NULL;
}

bool handler_open(struct handler *handler, const char *spec, struct error *error)
{
    const char *argument;
    const struct handler_kind *kind = parse(spec, &argument, error);
    if (!kind)
        return false;
    *handler = (struct handler){.kind = kind};
    if (!kind->open || kind->open(handler, argument, error))
        return true;
    *handler = (struct handler){0};
    return false;
}

void handler_set_full(struct handler *handler, bool full)
{
    if (atomic_exchange(&handler->full, full) && !full && handler->resume)
        handler->resume(handler->resume_context);
}

void handler_abort(struct handler *handler)
{
    if (handler->kind && handler->kind->abort)
        handler->kind->abort(handler);
}

void handler_close(struct handler *handler)
{
    if (handler->kind && handler->kind->close)
        handler->kind->close(handler);
    *handler = (struct handler){0};
}
