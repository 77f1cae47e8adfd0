/* nats/module: the one symbol that the module has for the server. */
#include "server/nats/front.h"
#include "server/nats/library.h"
#include "server/nats/serving.h"

extern const struct nats_library banterd_nats;

const struct nats_library __attribute__((visibility("default"))) banterd_nats = {
    .version = BANTER_VERSION,
    .serving = &nats_serving,
    .front = &front_kind,
};
