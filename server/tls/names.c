/* tls/names: who a client is, by its certificate. */
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "common/tls/certificate.h"
#include "server/tls/state.h"

/* A text within the block; counted first, then written. */
struct writer {
    char *at; /* NULL: it only counts */
    size_t size;
};

static const char *put(struct writer *writer, const char *text, size_t size)
{
    char *begin = writer->at;
    writer->size += size + 1;
    if (!begin)
        return NULL;
    memcpy(begin, text, size);
    begin[size] = '\0';
    writer->at += size + 1;
    return begin;
}

/* A name with a NUL in it is nobody's. */
static const char *put_string(struct writer *writer, const ASN1_STRING *string)
{
    const char *text = (const char *) ASN1_STRING_get0_data(string);
    size_t size = (size_t) ASN1_STRING_length(string);
    return put(writer, text, strnlen(text, size) == size ? size : 0);
}

/* The last one: it is the most specific. In UTF-8, to be freed by OpenSSL. */
static unsigned char *common_name(const X509 *certificate, int *size)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    unsigned char *text = NULL;
    int last = -1;
    for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0;)
        last = i;
    *size = last < 0 ? -1
                     : ASN1_STRING_to_UTF8(
                           &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
    return text;
}

struct parts {
    char *subject;
    unsigned char *common_name;
    int common_name_size;
    GENERAL_NAMES *names;
};

static size_t count_of(const struct parts *parts, int type)
{
    size_t count = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(parts->names); i++)
        count += sk_GENERAL_NAME_value(parts->names, i)->type == type;
    return count;
}

/* Small letters, as rules have them. */
static void lower(char *text)
{
    for (; text && *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char) (*text - 'A' + 'a');
}

static void put_names(struct writer *writer, const struct parts *parts, int type,
                      const char **items)
{
    size_t count = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(parts->names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(parts->names, i);
        if (name->type != type)
            continue;
        char *begin = writer->at;
        const char *text = put_string(writer, type == GEN_DNS ? name->d.dNSName
                                                              : name->d.uniformResourceIdentifier);
        if (type == GEN_DNS)
            lower(begin);
        if (items)
            items[count++] = text;
    }
}

static void put_all(struct writer *writer, const struct parts *parts, struct tls_names *names,
                    const char **items, size_t dns_count)
{
    const char *subject = put(writer, parts->subject, strlen(parts->subject));
    const char *common = NULL;
    if (parts->common_name_size >= 0) {
        const char *text = (const char *) parts->common_name;
        size_t size = (size_t) parts->common_name_size;
        common = put(writer, text, strnlen(text, size) == size ? size : 0);
    }
    put_names(writer, parts, GEN_DNS, items);
    put_names(writer, parts, GEN_URI, items ? items + dns_count : NULL);
    if (!names)
        return;
    names->subject = subject;
    names->certificate.common_name = common && *common ? common : NULL;
}

static struct tls_names *make(const struct parts *parts)
{
    struct writer counting = {0};
    size_t dns_count = count_of(parts, GEN_DNS), uri_count = count_of(parts, GEN_URI);
    size_t pointers = (dns_count + uri_count) * sizeof(char *);
    put_all(&counting, parts, NULL, NULL, 0);
    struct tls_names *names = malloc(sizeof *names + pointers + counting.size);
    if (!names)
        return NULL;
    const char **items = (const char **) (names + 1);
    struct writer writer = {.at = (char *) (items + dns_count + uri_count)};
    *names = (struct tls_names){.certificate = {
                                    .dns = items,
                                    .dns_count = dns_count,
                                    .uris = items + dns_count,
                                    .uri_count = uri_count,
                                }};
    put_all(&writer, parts, names, items, dns_count);
    return names;
}

struct tls_names *names_of(const X509 *certificate)
{
    struct parts parts = {.subject = tls_subject(certificate)};
    parts.common_name = common_name(certificate, &parts.common_name_size);
    parts.names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    struct tls_names *names = parts.subject ? make(&parts) : NULL;
    GENERAL_NAMES_free(parts.names);
    OPENSSL_free(parts.common_name);
    free(parts.subject);
    return names;
}
