/* openssl: lets OpenSSL's calls for memory fail; a part of the server's module for TLS. */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "tests/faults/faults.h"

static void *allocate(size_t size, const char *file, int line)
{
    (void) file, (void) line;
    return __wrap_openssl() ? NULL : __real_malloc(size);
}

static void *reallocate(void *memory, size_t size, const char *file, int line)
{
    (void) file, (void) line;
    return __wrap_openssl() ? NULL : __real_realloc(memory, size);
}

static void release(void *memory, const char *file, int line)
{
    (void) file, (void) line;
    free(memory);
}

/* Before OpenSSL has any. */
__attribute__((constructor)) static void begin(void)
{
    CRYPTO_set_mem_functions(allocate, reallocate, release);
}
