/* reload: prepare all, then commit all. */
#include "server/reload.h"

#include <stdio.h>
#include <string.h>

bool reload_add(struct reload *reload, const struct reload_file *file, struct error *error)
{
    if (reload->count == RELOAD_MAX)
        return error_set(error, "%s: there can be %d files at most", file->name, RELOAD_MAX);
    reload->files[reload->count++] = *file;
    return true;
}

static bool was_named(const struct reload *reload, unsigned index)
{
    for (unsigned i = 0; i < index; i++)
        if (strcmp(reload->files[i].name, reload->files[index].name) == 0)
            return true;
    return false;
}

/* Those for which there is no room are left out. */
static void name_files(const struct reload *reload, char *text, size_t size)
{
    char *at = text, *end = text + size;
    snprintf(text, size, "%s", reload->count ? "" : "nothing");
    for (unsigned i = 0; i < reload->count; i++) {
        const char *name = reload->files[i].name;
        if (was_named(reload, i) || strlen(name) + 2 > (size_t) (end - at))
            continue;
        at = stpcpy(at == text ? at : stpcpy(at, " "), name);
    }
}

void reload_all(const struct reload *reload, struct reload_outcome *outcome)
{
    unsigned prepared = 0;
    while (prepared < reload->count &&
           reload->files[prepared].prepare(reload->files[prepared].context, &outcome->why))
        prepared++;
    outcome->done = prepared == reload->count;
    outcome->file = outcome->done ? NULL : reload->files[prepared].name;
    if (outcome->done)
        name_files(reload, outcome->files, sizeof outcome->files);
    for (unsigned i = 0; i < prepared; i++) {
        const struct reload_file *file = &reload->files[i];
        (outcome->done ? file->commit : file->cancel)(file->context);
    }
}
