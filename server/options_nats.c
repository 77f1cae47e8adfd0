/* options_nats: see options_nats.h. */
#include "server/options_nats.h"

#include <string.h>

#include "common/args.h"
#include "server/nats/words.h"

bool nats_take_run_again(struct nats_options *options, const char *value, struct error *error)
{
    options->runs_again = strcmp(value, "lost") == 0;
    options->run_again = value;
    return options->runs_again || strcmp(value, "never") == 0 ||
           error_set(error, "\"%s\" can't be; it can be never or lost", value);
}

bool nats_take_try(struct nats_options *options, const char *value, struct error *error)
{
    return args_duration(value, &options->try_ms, error) &&
           (options->try_ms > 0 || error_set(error, "it must be longer than that"));
}

bool nats_take_window(struct nats_options *options, const char *value, struct error *error)
{
    long number = 0; /* gcc can't see that it is set */
    if (!args_number(value, 1, NATS_MAX_WINDOW, &number, error))
        return false;
    options->window = (unsigned) number;
    return true;
}

bool nats_take_group(struct nats_options *options, const char *value, struct error *error)
{
    options->group = value;
    return (words_is_subject(value) && strlen(value) < WORDS_SUBJECT_SIZE) ||
           error_set(error,
                     "\"%.100s\" is no name of a group: it has no blanks, wildcards or empty "
                     "tokens",
                     value);
}

/* ADR-32: letters, digits, - and _. */
bool nats_take_name(struct nats_options *options, const char *value, struct error *error)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    options->name = value;
    return (*value && !value[strspn(value, allowed)] && strlen(value) < WORDS_SUBJECT_SIZE) ||
           error_set(error, "\"%.100s\" is no name of a service: it has letters, digits, - and _",
                     value);
}

/* ---- do they fit together ---- */

/* The first that was given of those for a front, for who serves, for either; NULL: none. */
static const char *front_option(const struct nats_options *options)
{
    return options->run_again ? "--run-again"
           : options->try_ms  ? "--try"
           : options->window  ? "--window"
                              : NULL;
}

static const char *serving_option(const struct nats_options *options)
{
    return options->group      ? "--nats-group"
           : options->name     ? "--nats-name"
           : options->no_micro ? "--no-micro"
                               : NULL;
}

static const char *tls_option(const struct nats_options *options)
{
    return options->authorities   ? "--nats-ca"
           : options->certificate ? "--nats-cert"
           : options->key         ? "--nats-key"
                                  : NULL;
}

static bool speaks_tls(const struct nats_uses *uses)
{
    bool found = uses->front && strstr(uses->front, WORDS_TLS_PREFIX);
    for (unsigned i = 0; i < uses->address_count; i++)
        found |= strstr(uses->addresses[i], WORDS_TLS_PREFIX) != NULL;
    return found;
}

static bool check_uses(const struct nats_options *options, const struct nats_uses *uses,
                       struct error *error)
{
    bool serves = uses->address_count > 0;
    const char *tls = tls_option(options);
    if (front_option(options) && !uses->front)
        return error_set(error, "%s needs --handler nats:SERVERS/SUBJECT; see banterd --help",
                         front_option(options));
    if (serving_option(options) && !serves)
        return error_set(error, "%s needs --listen nats:SERVERS/SUBJECT; see banterd --help",
                         serving_option(options));
    if (options->login && !uses->front && !serves)
        return error_set(error,
                         "--nats-login needs --handler or --listen nats:SERVERS/SUBJECT; see "
                         "banterd --help");
    return !tls || speaks_tls(uses) ||
           error_set(error,
                     "%s needs a server of NATS for TLS, nats:tls://HOST/SUBJECT; see banterd "
                     "--help",
                     tls);
}

bool nats_options_check(const struct nats_options *options, const struct nats_uses *uses,
                        struct error *error)
{
    if (!check_uses(options, uses, error))
        return false;
    if (options->key && !options->certificate)
        return error_set(error, "--nats-key needs --nats-cert FILE; see banterd --help");
    if (options->runs_again && !options->try_ms)
        return error_set(error,
                         "--run-again lost needs --try T: how long it waits for an answer; see "
                         "banterd --help");
    return options->runs_again || !options->try_ms ||
           error_set(error, "--try needs --run-again lost; see banterd --help");
}
