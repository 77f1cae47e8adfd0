/* nats/library: finds the library and opens it. */
#include "server/nats/library.h"

#include "common/module.h"

const struct nats_library *nats_library_open(struct error *error)
{
    return module_open(NATS_LIBRARY_FILE, NATS_LIBRARY_SYMBOL, "NATS", error);
}
