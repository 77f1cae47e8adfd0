/* services: from options to what answers. */
#include "server/services.h"

#include <errno.h>
#include <string.h>

#include "server/admin/control.h"
#include "server/admin/expiry.h"
#include "server/admin/exporter.h"
#include "server/admin/manager.h"
#include "server/admin/reloading.h"
#include "server/admin/signals.h"
#include "server/options.h"
#include "server/run.h"

static bool is_stopping(void *context) { return run_is_stopped(context); }

static void stop(void *context) { run_stop(context); }

static bool open_signals(struct services *services, const struct services_host *host,
                         struct error *error)
{
    services->reloading = reloading_open(host->admin, &host->options->reload, host->log,
                                         host->manager, services->expiry);
    const struct signals_config config = {
        .reload_fd = run_reload_fd(host->run),
        .status_fd = run_status_fd(host->run),
        .reloading = services->reloading,
        .server = host->server,
        .log = host->log,
    };
    services->signals = services->reloading ? signals_open(host->admin, &config) : NULL;
    return services->signals || error_set(error, "unable to take signals: %s", strerror(errno));
}

static bool open_expiry(struct services *services, const struct services_host *host,
                        struct error *error)
{
    const struct tls_options *tls = &host->options->tls;
    if (!tls->server)
        return true;
    services->expiry = expiry_open(host->admin, host->log, tls->server, tls->files.certificate);
    return services->expiry ||
           error_set(error, "unable to watch the certificate: %s", strerror(errno));
}

static bool wants_exporter(const struct options *options)
{
    return options->metrics || options->passed.metrics.count > 0;
}

static bool open_exporter(struct services *services, const struct services_host *host,
                          struct error *error)
{
    const struct options *options = host->options;
    const struct exporter_config config = {
        .address = options->metrics,
        .sockets = options->passed.metrics.fds,
        .socket_count = options->passed.metrics.count,
        .server = host->server,
        .handler = host->handler,
        .framing = options->config.codec,
        .reloading = services->reloading,
        .log = host->log,
        .is_stopping = is_stopping,
        .context = host->run,
    };
    if (wants_exporter(options))
        services->exporter = exporter_open(host->admin, &config, error);
    return !wants_exporter(options) || services->exporter;
}

static bool wants_control(const struct options *options)
{
    return options->control || options->passed.control.count > 0;
}

static bool open_control(struct services *services, const struct services_host *host,
                         struct error *error)
{
    const struct options *options = host->options;
    const struct control_config config = {
        .address = options->control,
        .sockets = options->passed.control.fds,
        .socket_count = options->passed.control.count,
        .source = {host->server, services->reloading, host->handler, options->config.codec,
                   host->started_ns},
        .reloading = services->reloading,
        .log = host->log,
        .stop = stop,
        .stop_context = host->run,
    };
    if (wants_control(options))
        services->control = control_open(host->admin, &config, error);
    return !wants_control(options) || services->control;
}

void services_prepare(const struct options *options, struct server_config *config)
{
    config->keeps_since = wants_control(options);
    config->other_descriptors = (wants_control(options) ? CONTROL_DESCRIPTORS : 0) +
                                (wants_exporter(options) ? EXPORTER_DESCRIPTORS : 0);
}

bool services_open(struct services *services, const struct services_host *host, struct error *error)
{
    *services = (struct services){.manager = host->manager};
    manager_watch(host->manager, host->server);
    if (open_expiry(services, host, error) && open_signals(services, host, error) &&
        open_exporter(services, host, error) && open_control(services, host, error))
        return true;
    services_close(services);
    return false;
}

void services_close(struct services *services)
{
    manager_watch(services->manager, NULL);
    control_close(services->control);
    exporter_close(services->exporter);
    signals_close(services->signals);
    reloading_close(services->reloading);
    expiry_close(services->expiry);
    *services = (struct services){0};
}
