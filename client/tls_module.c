/* tls_module: finds the module and opens it. */
#include "client/tls_module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The path of the module in `folder`, which may be relative to the program's. */
static bool find_in(const char *program, const char *folder, char *path)
{
    const char *slash = strrchr(program, '/');
    int size = *folder == '/' || !slash ? 0 : (int) (slash - program) + 1;
    int length = snprintf(path, PATH_MAX, "%.*s%s/" TLS_MODULE_FILE, size, program, folder);
    return length < PATH_MAX && access(path, F_OK) == 0;
}

static bool find(char *path)
{
    static const char *const folders[] = {".", "../lib/banter", BANTER_LIBDIR "/banter"};
    char program[PATH_MAX] = "";
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    program[size > 0 ? size : 0] = '\0';
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (find_in(program, folders[i], path))
            return true;
    return false;
}

const struct tls_module *tls_module_open(struct error *error)
{
    char path[PATH_MAX];
    if (!find(path)) {
        error_set(error, "TLS needs " TLS_MODULE_FILE ", which is not in " BANTER_LIBDIR "/banter");
        return NULL;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const struct tls_module *module = library ? dlsym(library, TLS_MODULE_SYMBOL) : NULL;
    if (!module) {
        error_set(error, "unable to open the module for TLS: %.400s", dlerror());
        return NULL;
    }
    if (strcmp(module->version, BANTER_VERSION) != 0) {
        error_set(error, "the module for TLS, %.300s, is of version %.20s, and not " BANTER_VERSION,
                  path, module->version);
        return NULL;
    }
    return module;
}
