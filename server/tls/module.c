/* tls/module: the one symbol that the module has for the server. */
#include "server/tls/state.h"

extern const struct tls_library banterd_tls;

const struct tls_library __attribute__((visibility("default"))) banterd_tls = {
    .version = BANTER_VERSION,
    .open = context_open,
    .close = context_close,
    .prepare = context_prepare,
    .commit = context_commit,
    .cancel = context_cancel,
    .new_client = client_new,
    .shake_hands = client_shake_hands,
    .read = client_read,
    .write = client_write,
    .end = client_end,
    .free = client_free,
};
