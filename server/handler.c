/* handler: finds a kind by its name, opens and closes handlers. */
#include "server/handler.h"

#include <string.h>

static const struct handler_kind *find_kind(const char *name, size_t size)
{
    for (const struct handler_kind *const *kind = handler_kinds; *kind; kind++)
        if ((*kind)->usage && strlen((*kind)->name) == size &&
            memcmp((*kind)->name, name, size) == 0)
            return *kind;
    return NULL;
}

static void refuse_unknown(const char *name, size_t size, struct error *error)
{
    char known[200] = "";
    for (const struct handler_kind *const *kind = handler_kinds; *kind; kind++) {
        if (!(*kind)->usage)
            continue;
        if (known[0])
            strncat(known, ", ", sizeof known - strlen(known) - 1);
        strncat(known, (*kind)->name, sizeof known - strlen(known) - 1);
    }
    error_set(error, "there is no handler \"%.*s\"; there are: %s", (int) size, name, known);
}

static bool check_argument(const struct handler_kind *kind, const char *argument,
                           struct error *error)
{
    if (argument && !kind->open)
        return error_set(error, "the handler \"%s\" takes no argument, but was given \"%s\"",
                         kind->name, argument);
    return !kind->check || kind->check(argument, error);
}

bool handler_parse(struct handler_spec *spec, const char *text, struct error *error)
{
    const char *colon = strchr(text, ':');
    size_t size = colon ? (size_t) (colon - text) : strlen(text);
    *spec = (struct handler_spec){
        .kind = find_kind(text, size),
        .argument = colon ? colon + 1 : NULL,
    };
    if (spec->kind)
        return check_argument(spec->kind, spec->argument, error);
    refuse_unknown(text, size, error);
    return false;
}

bool handler_open(struct handler *handler, const struct handler_spec *spec,
                  const struct handler_host *host, struct error *error)
{
    *handler = (struct handler){.kind = spec->kind};
    if (!spec->kind->open || spec->kind->open(handler, spec, host, error))
        return true;
    *handler = (struct handler){0};
    return false;
}

void handler_set_full(struct handler *handler, bool full)
{
    if (atomic_exchange(&handler->full, full) && !full && handler->resume)
        handler->resume(handler->resume_context);
}

void handler_abort(const struct handler_kind *kind)
{
    if (kind->abort)
        kind->abort();
}

void handler_close(struct handler *handler)
{
    if (handler->kind && handler->kind->close)
        handler->kind->close(handler);
    *handler = (struct handler){0};
}
