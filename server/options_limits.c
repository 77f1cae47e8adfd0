/* options_limits: see options_limits.h. */
#include "server/options_limits.h"

#include "common/args.h"
#include "server/options_state.h"

enum {
    MAX_THREADS = 1024,
    MAX_CLIENTS = 1 << 24,
};

#define MAX_MESSAGE ((size_t) 1 << 30)
#define LEAST_MEMORY ((size_t) 1 << 20)
#define MOST_MEMORY ((size_t) 1 << 50)

bool limits_take_max_message(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    return args_size(value, 1, MAX_MESSAGE, &options->config.max_message, error);
}

bool limits_take_max_memory(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    return args_size(value, LEAST_MEMORY, MOST_MEMORY, &options->config.max_memory, error);
}

bool limits_take_threads(const char *value, void *context, struct error *error)
{
    return args_count(value, MAX_THREADS, &((struct options *) context)->config.threads, error);
}

bool limits_take_max_clients(const char *value, void *context, struct error *error)
{
    return args_count(value, MAX_CLIENTS, &((struct options *) context)->config.max_clients, error);
}

bool limits_take_max_per_address(const char *value, void *context, struct error *error)
{
    return args_count(value, MAX_CLIENTS, &((struct options *) context)->config.max_per_address,
                      error);
}

bool limits_take_max_requests(const char *value, void *context, struct error *error)
{
    return args_count(value, SERVER_MAX_REQUESTS,
                      &((struct options *) context)->config.max_requests, error);
}

bool limits_take_handshake_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->config.handshake_timeout_ms, error);
}

bool limits_take_request_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->config.request_timeout_ms, error);
}

bool limits_take_handler_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->config.handler_timeout_ms, error);
}

bool limits_take_idle_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->config.idle_timeout_ms, error);
}

bool limits_take_write_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->config.write_timeout_ms, error);
}

bool limits_take_drain_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->config.drain_timeout_ms, error);
}
