/*
 * tls/reason: OpenSSL's own words.
 */
#ifndef BANTER_COMMON_TLS_REASON_H
#define BANTER_COMMON_TLS_REASON_H

#include <openssl/err.h>

/* What an error of OpenSSL's queue says. It leaves none, or one without words, if memory is out. */
static inline const char *tls_reason(unsigned long code)
{
    const char *text = ERR_reason_error_string(code);
    return text ? text : "out of memory";
}

#endif
