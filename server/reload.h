/*
 * reload: the files that can be read anew while the server runs, such as lists of those who may
 * connect: all of them, or none.
 *
 * Whoever reads such a file at the start registers it. Registering is for the time before the
 * server runs; reload_all() is for one thread at a time, and may take long, as files do.
 */
#ifndef BANTER_SERVER_RELOAD_H
#define BANTER_SERVER_RELOAD_H

#include <stdbool.h>

#include "common/error.h"

struct reload_file {
    const char *name; /* as an option has it; outlives the registration */

    /* Reads the file anew and checks it, and keeps what it has read beside what is in use. False,
     * with `error` set to the reason without the file's name, if it can't be used; then nothing is
     * kept. */
    bool (*prepare)(void *context, struct error *error);

    /* What prepare() has kept takes the place of what is in use, or is given up, since another file
     * could not be used. One of the two is called behind each prepare() that succeeded. */
    void (*commit)(void *context);
    void (*cancel)(void *context);

    void *context;
};

enum { RELOAD_MAX = 64 };

/* All zero: there are no files. */
struct reload {
    struct reload_file files[RELOAD_MAX];
    unsigned count;
};

/* False, with `error` set, if there are too many. */
bool reload_add(struct reload *reload, const struct reload_file *file, struct error *error);

/* What came of it. */
struct reload_outcome {
    bool done;
    /* Done: the files, each once, with spaces between; "nothing": there are none. */
    char files[1024];
    /* Not done, and nothing has changed: which file, and why. */
    const char *file;
    struct error why;
};

/* Prepares all files, in the order in which they were registered, and then commits all. */
void reload_all(const struct reload *reload, struct reload_outcome *outcome);

#endif
