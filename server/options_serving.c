/* options_serving: see options_serving.h. */
#include "server/options_serving.h"

#include <string.h>

#include "server/handlers/program/program.h"
#include "server/nats/words.h"

static const char prefix[] = NATS_PREFIX;

bool serving_is_address(const char *value)
{
    return strncmp(value, prefix, sizeof prefix - 1) == 0;
}

bool serving_take(struct serving_options *options, const char *value, struct error *error)
{
    struct words_service service;
    if (options->nats.count == LISTENERS_MAX)
        return error_set(error, "there can be %d at most", LISTENERS_MAX);
    options->addresses[options->nats.count++] = value + sizeof prefix - 1;
    return words_parse(&service, value + sizeof prefix - 1, error);
}

bool serving_check(const struct serving_options *options, const struct program_options *program,
                   struct error *error)
{
    return options->nats.count == 0 || !program->worker_per_client ||
           error_set(error, "--worker-per-client can't be used with --listen nats:, whose requests "
                            "come without a client that stays; see banterd --help");
}

bool serving_open(struct serving_options *options, const struct nats_options *nats,
                  struct server_config *config, struct error *error)
{
    if (options->nats.count == 0)
        return true;
    const struct nats_library *library = nats_library_open(error);
    if (!library)
        return false;
    options->nats.serving = library->serving;
    options->nats.options = nats;
    options->nats.addresses = options->addresses;
    config->nats = &options->nats;
    return true;
}
