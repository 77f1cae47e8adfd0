/* tls/init: see tls/init.h. */
#include "common/tls/init.h"

#include <openssl/ssl.h>
#include <pthread.h>

/* At the program's end a thread may still be in the middle of a handshake that nobody waits for:
 * OpenSSL must not free under it what it uses. */
static void init_library(void) { OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL); }

void tls_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_library);
}
