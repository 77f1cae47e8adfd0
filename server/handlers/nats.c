/*
 * nats: requests go to whoever serves a subject of NATS. What does that is a kind of its own, in a
 * module that is opened here.
 */
#include "server/handlers/kinds.h"
#include "server/nats/library.h"
#include "server/nats/words.h"

static bool check(const char *argument, struct error *error)
{
    struct words_service service;
    return words_parse(&service, argument ? argument : "", error);
}

static bool open_nats(struct handler *handler, const struct handler_spec *spec,
                      const struct handler_host *host, struct error *error)
{
    const struct nats_library *library = nats_library_open(error);
    if (!library)
        return false;
    handler->kind = library->front;
    return library->front->open(handler, spec, host, error);
}

const struct handler_kind handler_nats = {
    .name = "nats",
    .usage = "nats:SERVERS/SUBJECT",
    .help = "asks those who serve a subject of NATS",
    .check = check,
    .open = open_nats,
};
