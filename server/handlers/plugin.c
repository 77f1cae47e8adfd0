/*
 * plugin: a handler that is a shared object, FILE[:ARGUMENT]. It is loaded, checked and opened
 * before the server listens, so that the server does not start with a bad one.
 */
#include <banter/handler.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/handlers/kinds.h"
#include "server/handlers/plugin_call.h"

struct plugin {
    void *library;                          /* from dlopen() */
    const struct banter_handler *functions; /* in the library */
    void *state;                            /* the functions' */
};

static bool check(const char *argument, struct error *error)
{
    if (argument && *argument && *argument != ':')
        return true;
    return error_set(error,
                     "the handler \"plugin\" needs a shared object, such as plugin:./FILE.so or "
                     "plugin:./FILE.so:ARGUMENT");
}

/* The file in FILE[:ARGUMENT], as a path: dlopen() would search the system's library folders for a
 * bare name. NULL: out of memory. */
static char *path_of(const char *spec, const char **argument)
{
    const char *colon = strchr(spec, ':');
    int size = (int) (colon ? (size_t) (colon - spec) : strlen(spec));
    *argument = colon ? colon + 1 : NULL;
    char *path;
    bool bare = !memchr(spec, '/', (size_t) size);
    return asprintf(&path, "%s%.*s", bare ? "./" : "", size, spec) < 0 ? NULL : path;
}

/* The text of dlerror() begins with the file, and says what is wrong. */
static bool load(struct plugin *plugin, const char *path, struct error *error)
{
    plugin->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return plugin->library || error_set(error, "unable to load the plugin %s", dlerror());
}

/* Whether this server can call it. If it has another version, nothing but the number is read. */
static bool inspect(struct plugin *plugin, const char *path, const char *argument,
                    struct error *error)
{
    const struct banter_handler *functions = dlsym(plugin->library, "banter_handler");
    plugin->functions = functions;
    if (!functions)
        return error_set(
            error,
            "%s is no plugin: expected the symbol \"banter_handler\", and found none; see "
            "banter-handler(3)",
            path);
    if (functions->abi != BANTER_HANDLER_ABI)
        return error_set(
            error,
            "the plugin %s was built for another version of the server: expected ABI %u, found %u",
            path, BANTER_HANDLER_ABI, functions->abi);
    if (!functions->name || !functions->handle)
        return error_set(error,
                         "the plugin %s is incomplete: expected name and handle, found no %s", path,
                         functions->name ? "handle" : "name");
    if (argument && !functions->open)
        return error_set(error, "the plugin %s (%s) takes no argument, but was given \"%s\"", path,
                         functions->name, argument);
    return true;
}

static bool open_functions(struct plugin *plugin, const char *path, const char *argument,
                           struct error *error)
{
    char why[400] = "";
    int result = plugin->functions->open
                     ? plugin->functions->open(argument, &plugin->state, why, sizeof why)
                     : 0;
    if (result == 0)
        return true;
    why[sizeof why - 1] = '\0';
    if (!why[0])
        snprintf(why, sizeof why, "its open() returned %d and did not say why", result);
    return error_set(error, "the plugin %s (%s) can't be opened: %s", path, plugin->functions->name,
                     why);
}

static void unload(struct plugin *plugin)
{
    if (plugin->library)
        dlclose(plugin->library);
    free(plugin);
}

static bool open_plugin(struct handler *handler, const struct handler_spec *spec,
                        const struct handler_host *host, struct error *error)
{
    (void) host;
    const char *argument;
    char *path = path_of(spec->argument, &argument);
    struct plugin *plugin = calloc(1, sizeof *plugin);
    bool opened = plugin && path
                      ? load(plugin, path, error) && inspect(plugin, path, argument, error) &&
                            open_functions(plugin, path, argument, error)
                      : error_set(error, "out of memory");
    free(path);
    if (opened)
        handler->state = plugin;
    else if (plugin)
        unload(plugin);
    return opened;
}

static void handle(struct handler *handler, struct request *request)
{
    const struct plugin *plugin = handler->state;
    plugin_call(plugin->functions, plugin->state, request);
}

static void close_plugin(struct handler *handler)
{
    struct plugin *plugin = handler->state;
    if (plugin->functions->close)
        plugin->functions->close(plugin->state);
    unload(plugin);
}

const struct handler_kind handler_plugin = {
    .name = "plugin",
    .usage = "plugin:FILE.so[:ARG]",
    .help = "calls a C function of a shared object",
    .check = check,
    .open = open_plugin,
    .handle = handle,
    .close = close_plugin,
};
