/*
 * tls/init: OpenSSL, as a module uses it that is never closed.
 */
#ifndef BANTER_COMMON_TLS_INIT_H
#define BANTER_COMMON_TLS_INIT_H

/* To be called before anything else of OpenSSL is; by any thread, and as often as one likes. */
void tls_init(void);

#endif
