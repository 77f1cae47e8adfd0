/* tls: finds the library and opens it. */
#include "server/net/tls.h"

#include "common/module.h"

const struct tls_library *tls_library_open(struct error *error)
{
    return module_open(TLS_LIBRARY_FILE, TLS_LIBRARY_SYMBOL, "TLS", error);
}
