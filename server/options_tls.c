/* options_tls: see options_tls.h. */
#include "server/options_tls.h"

#include "common/address.h"
#include "server/config.h"
#include "server/reload.h"

static const char *tls_address(const struct server_config *config)
{
    for (unsigned i = 0; i < config->listen_count; i++)
        if (address_is_tls(config->listen[i]))
            return config->listen[i];
    return NULL;
}

bool tls_options_check(const struct tls_options *options, const struct server_config *config,
                       struct error *error)
{
    const struct tls_files *files = &options->files;
    const char *address = tls_address(config);
    if (address && !files->certificate)
        return error_set(error, "--listen %.200s needs --cert FILE; see banterd --help", address);
    if (files->key && !files->certificate)
        return error_set(error, "--key needs --cert FILE; see banterd --help");
    if (files->authorities && !files->certificate)
        return error_set(error, "--client-ca needs --cert FILE; see banterd --help");
    if (files->revoked && !files->authorities)
        return error_set(error, "--crl needs --client-ca FILE; see banterd --help");
    return true;
}

/* ---- reading anew ---- */

static bool prepare(void *context, struct error *error)
{
    struct tls_server *server = context;
    return server->library->prepare(server, error);
}

static void commit(void *context)
{
    struct tls_server *server = context;
    server->library->commit(server);
}

static void cancel(void *context)
{
    struct tls_server *server = context;
    server->library->cancel(server);
}

static bool register_files(const struct tls_options *options, struct reload *reload,
                           struct error *error)
{
    const struct tls_files *files = &options->files;
    const char *names[] = {files->certificate, files->key, files->authorities, files->revoked};
    bool added = true;
    for (size_t i = 0; added && i < sizeof names / sizeof *names; i++)
        if (names[i])
            added = reload_add(reload,
                               &(struct reload_file){.name = names[i],
                                                     .prepare = prepare,
                                                     .commit = commit,
                                                     .cancel = cancel,
                                                     .context = options->server},
                               error);
    return added;
}

/* ---- opening ---- */

static bool check_use(const struct tls_options *options, bool is_passed,
                      const struct server_config *config, struct error *error)
{
    bool has_certificate = options->files.certificate;
    bool has_address = tls_address(config) || is_passed;
    if (has_address && !has_certificate)
        return error_set(error, "a passed socket is for TLS by its name, which needs --cert FILE: "
                                "for clients in the clear its socket unit needs another "
                                "FileDescriptorName=");
    return has_address || !has_certificate ||
           error_set(error, "--cert is for clients that speak TLS, and nothing listens for them: "
                            "--listen tls:ADDRESS does");
}

bool tls_options_open(struct tls_options *options, bool is_passed, struct server_config *config,
                      struct reload *reload, struct error *error)
{
    if (!check_use(options, is_passed, config, error))
        return false;
    if (!options->files.certificate)
        return true;
    const struct tls_library *library = tls_library_open(error);
    if (!library)
        return false;
    options->server = library->open(&options->files, error);
    if (!options->server)
        return false;
    options->server->library = library;
    config->tls = options->server;
    return register_files(options, reload, error);
}

void tls_options_close(struct tls_options *options)
{
    if (options->server)
        options->server->library->close(options->server);
    options->server = NULL;
}
