/*
 * certificate: one for servers in the test's own process, which signs itself and has no name.
 */
#ifndef BANTER_TESTS_UNIT_CERTIFICATE_H
#define BANTER_TESTS_UNIT_CERTIFICATE_H

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CERTIFICATE_PATH "/tmp/banter-XXXXXX"

static inline bool certificate_write(const char *path, X509 *certificate, EVP_PKEY *key)
{
    FILE *file = fopen(path, "w");
    bool is_written = file && PEM_write_X509(file, certificate) == 1 &&
                      PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;
    return file && fclose(file) == 0 && is_written;
}

/* A new one, good for an hour, in a new file with its key behind it. `path` is CERTIFICATE_PATH at
 * first, and the file's name then. The certificate, and the file, are the caller's. NULL: it can't
 * be made. */
static inline X509 *certificate_make(char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    int fd = mkstemp(path);
    bool is_made =
        key && certificate && fd >= 0 && X509_gmtime_adj(X509_getm_notBefore(certificate), -60) &&
        X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) &&
        X509_set_pubkey(certificate, key) && X509_sign(certificate, key, EVP_sha256()) > 0 &&
        certificate_write(path, certificate, key);
    if (fd >= 0)
        close(fd);
    EVP_PKEY_free(key);
    if (is_made)
        return certificate;
    X509_free(certificate);
    return NULL;
}

#endif
