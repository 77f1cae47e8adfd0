/* module: finding, opening, and whether it is the right one. */
#include "common/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The path of the module in `folder`, which may be relative to the program's. */
static bool find_in(const char *program, const char *folder, const char *file, char *path)
{
    const char *slash = strrchr(program, '/');
    int size = *folder == '/' || !slash ? 0 : (int) (slash - program) + 1;
    int length = snprintf(path, PATH_MAX, "%.*s%s/%s", size, program, folder, file);
    return length < PATH_MAX && access(path, F_OK) == 0;
}

static bool find(const char *file, char *path)
{
    static const char *const folders[] = {".", "../lib/banter", BANTER_LIBDIR "/banter"};
    char program[PATH_MAX] = "";
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    program[size > 0 ? size : 0] = '\0';
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (find_in(program, folders[i], file, path))
            return true;
    return false;
}

const void *module_open(const char *file, const char *symbol, const char *purpose,
                        struct error *error)
{
    char path[PATH_MAX];
    if (!find(file, path)) {
        error_set(error, "%s needs %s, which is not in " BANTER_LIBDIR "/banter", purpose, file);
        return NULL;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const void *module = library ? dlsym(library, symbol) : NULL;
    if (!module) {
        error_set(error, "unable to open the module for %s: %.400s", purpose, dlerror());
        return NULL;
    }
    const char *version = *(const char *const *) module;
    if (strcmp(version, BANTER_VERSION) != 0) {
        error_set(error, "the module for %s, %.300s, is of version %.20s, and not " BANTER_VERSION,
                  purpose, path, version);
        return NULL;
    }
    return module;
}
