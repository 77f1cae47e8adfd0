/*
 * tls/certificate: what a certificate says, as text. What it says is its maker's, who may be
 * anybody: it is not escaped here unless that is said.
 */
#ifndef BANTER_COMMON_TLS_CERTIFICATE_H
#define BANTER_COMMON_TLS_CERTIFICATE_H

#include <openssl/x509.h>
#include <stddef.h>

enum {
    TLS_PIN_SIZE = sizeof "sha256:" + 44, /* of a pin with its NUL */
    TLS_DATE_SIZE = sizeof "2026-11-25T23:22:48Z",
    TLS_NAMES_SIZE = 320, /* of some names with their NUL */
};

/* The subject as RFC 4514 writes it, in UTF-8: "CN=alice,O=Banter". The caller frees it with
 * free(3). NULL if memory is out. */
char *tls_subject(const X509 *certificate);

/* Whom it is for: names and addresses with commas between, or the subject's CN if there is no such
 * name; the first few of them, and how many more there are. Escaped. `text` has TLS_NAMES_SIZE
 * bytes. Returns it. */
const char *tls_names(const X509 *certificate, char *text);

/* The hash of the public key, "sha256:BASE64" (RFC 7469). `text` has TLS_PIN_SIZE bytes; it becomes
 * empty if memory is out. Returns it. */
const char *tls_pin(const X509 *certificate, char *text);

/* "2026-11-25T23:22:48Z"; `text` has TLS_DATE_SIZE bytes. Returns it. */
const char *tls_date(const ASN1_TIME *time, char *text);

#endif
