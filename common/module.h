/*
 * module: opens a shared object that belongs to the programs, and that not each run of them needs.
 */
#ifndef BANTER_COMMON_MODULE_H
#define BANTER_COMMON_MODULE_H

#include "common/error.h"

/* What a module has for its program, by its one symbol: a struct that begins with its version, a
 * `const char *`. The file is in the program's folder, in ../lib/banter from there, or where `make
 * install` put it. NULL, with `error` set, if it is not there or not of this version; the sentence
 * names what the module is for. It is never closed. */
const void *module_open(const char *file, const char *symbol, const char *purpose,
                        struct error *error);

#endif
