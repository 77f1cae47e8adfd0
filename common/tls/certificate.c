/* tls/certificate: names, pins and dates. */
#include "common/tls/certificate.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/escape.h"

/* ---- the subject ---- */

/* Letters beyond ASCII stay what they are. */
#define RFC_4514 (XN_FLAG_RFC2253 & ~(unsigned long) ASN1_STRFLGS_ESC_MSB)

char *tls_subject(const X509 *certificate)
{
    char *text = NULL;
    char *data;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, RFC_4514) >= 0) {
        long size = BIO_get_mem_data(bio, &data);
        text = strndup(size > 0 ? data : "", (size_t) size);
    }
    BIO_free(bio);
    return text;
}

/* ---- names ---- */

#define NAMES_SHOWN 3

struct names {
    char *text;
    size_t used;
    size_t count;
};

static void add_name(struct names *names, const char *name, size_t size)
{
    char shown[ESCAPE_SIZE];
    if (names->count++ >= NAMES_SHOWN)
        return;
    const char *comma = names->used > 0 ? ", " : "";
    names->used += (size_t) snprintf(names->text + names->used, TLS_NAMES_SIZE - names->used,
                                     "%s%s", comma, escape_text(name, size, shown));
}

static void add_string(struct names *names, const ASN1_STRING *string)
{
    add_name(names, (const char *) ASN1_STRING_get0_data(string),
             (size_t) ASN1_STRING_length(string));
}

static void add_address(struct names *names, const ASN1_STRING *address)
{
    char text[INET6_ADDRSTRLEN];
    int size = ASN1_STRING_length(address);
    int family = size == 4 ? AF_INET : AF_INET6;
    if ((size == 4 || size == 16) &&
        inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof text))
        add_name(names, text, strlen(text));
}

static void add_alternatives(struct names *names, const X509 *certificate)
{
    GENERAL_NAMES *found = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(found); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(found, i);
        if (name->type == GEN_DNS)
            add_string(names, name->d.dNSName);
        else if (name->type == GEN_IPADD)
            add_address(names, name->d.iPAddress);
    }
    GENERAL_NAMES_free(found);
}

/* The last one: it is the most specific. */
static void add_common_name(struct names *names, const X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int index = -1;
    int last = -1;
    while ((index = X509_NAME_get_index_by_NID(subject, NID_commonName, index)) >= 0)
        last = index;
    if (last >= 0)
        add_string(names, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
}

const char *tls_names(const X509 *certificate, char *text)
{
    struct names names = {.text = text};
    text[0] = '\0';
    add_alternatives(&names, certificate);
    if (names.count == 0)
        add_common_name(&names, certificate);
    if (names.count == 0)
        memcpy(text, "nobody", sizeof "nobody");
    else if (names.count > NAMES_SHOWN)
        snprintf(text + names.used, TLS_NAMES_SIZE - names.used, " and %zu more",
                 names.count - NAMES_SHOWN);
    return text;
}

/* ---- pins and dates ---- */

const char *tls_pin(const X509 *certificate, char *text)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    unsigned char *key = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
    text[0] = '\0';
    if (size > 0) {
        char *end = stpcpy(text, "sha256:");
        SHA256(key, (size_t) size, hash);
        EVP_EncodeBlock((unsigned char *) end, hash, sizeof hash);
    }
    OPENSSL_free(key);
    return text;
}

const char *tls_date(const ASN1_TIME *time, char *text)
{
    struct tm tm;
    if (!ASN1_TIME_to_tm(time, &tm) || strftime(text, TLS_DATE_SIZE, "%Y-%m-%dT%TZ", &tm) == 0)
        memcpy(text, "?", sizeof "?");
    return text;
}
