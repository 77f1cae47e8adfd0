/* tls_module: finds the module and opens it. */
#include "client/tls_module.h"

#include "common/module.h"

const struct tls_module *tls_module_open(struct error *error)
{
    return module_open(TLS_MODULE_FILE, TLS_MODULE_SYMBOL, "TLS", error);
}
