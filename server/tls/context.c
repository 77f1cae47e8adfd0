/* tls/context: what all clients have, loaded from files, and anew. */
#include "server/tls/state.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/tls/certificate.h"
#include "common/tls/files.h"
#include "common/tls/init.h"
#include "common/tls/reason.h"

/* ---- our own certificate ---- */

static bool check_dates(SSL_CTX *context, const char *file, struct error *error)
{
    char date[TLS_DATE_SIZE];
    const X509 *certificate = SSL_CTX_get0_certificate(context);
    const ASN1_TIME *begin = X509_get0_notBefore(certificate);
    const ASN1_TIME *end = X509_get0_notAfter(certificate);
    if (X509_cmp_current_time(end) < 0)
        return error_set(error, "the certificate in %.200s is over since %s", file,
                         tls_date(end, date));
    if (X509_cmp_current_time(begin) > 0)
        return error_set(error, "the certificate in %.200s is not good before %s", file,
                         tls_date(begin, date));
    return true;
}

static int64_t seconds(const ASN1_TIME *time)
{
    struct tm parts;
    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t) timegm(&parts) : 0;
}

/* Says what others want to know of what is current. */
static void describe(struct context *context)
{
    const X509 *certificate = SSL_CTX_get0_certificate(context->current);
    atomic_store(&context->shared.good_from_s, seconds(X509_get0_notBefore(certificate)));
    atomic_store(&context->shared.good_until_s, seconds(X509_get0_notAfter(certificate)));
}

/* ---- clients' ---- */

/* Adds each list of the file. */
static bool load_revoked(SSL_CTX *context, const char *path, struct error *error)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    BIO *bio = BIO_new_file(path, "r");
    X509_CRL *list;
    size_t count = 0;
    if (!bio)
        return error_set(error, "unable to read %.200s: %s", path,
                         tls_reason(ERR_peek_last_error()));
    while ((list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
        count += X509_STORE_add_crl(store, list) == 1;
        X509_CRL_free(list);
    }
    BIO_free(bio);
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return count > 0 ||
           error_set(error, "there is no list of revoked certificates in PEM in %.200s", path);
}

/* Clients that have several certificates are told which will do. */
static void name_authorities(SSL_CTX *context, const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode))
        SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(path));
    ERR_clear_error();
}

static bool load_clients(SSL_CTX *context, const struct tls_files *files, struct error *error)
{
    if (!files->authorities)
        return true;
    if (!tls_load_authorities(context, files->authorities, error))
        return false;
    /* An authority is whoever the user names, not only one that has signed itself. */
    X509_STORE_set_flags(SSL_CTX_get_cert_store(context), X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    name_authorities(context, files->authorities);
    return !files->revoked || load_revoked(context, files->revoked, error);
}

/* ---- rules ---- */

/* A client that names protocols, and not ours, such as a browser, was lured here. */
static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_size,
                           const unsigned char *offered, unsigned size, void *context)
{
    static const unsigned char ours[] = "\6banter";
    unsigned char *found;
    (void) ssl, (void) context;
    if (SSL_select_next_proto(&found, chosen_size, ours, sizeof ours - 1, offered, size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

static void set_rules(SSL_CTX *context)
{
    SSL_CTX_set_options(context,
                        SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_early_data(context, 0);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY); /* new keys are counted */
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
}

static SSL_CTX *load(const struct tls_files *files, struct error *error)
{
    const char *certificate = files->certificate;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1) {
        error_set(error, "unable to use OpenSSL: is TLS 1.3 switched off, or memory out?");
        SSL_CTX_free(context);
        return NULL;
    }
    set_rules(context);
    if (tls_load_certificate(context, certificate, files->key ? files->key : certificate, error) &&
        check_dates(context, certificate, error) && load_clients(context, files, error) &&
        context_rehearse(context, certificate, error))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

/* ---- life ---- */

struct tls_server *context_open(const struct tls_files *files, struct error *error)
{
    tls_init();
    struct context *context = calloc(1, sizeof *context);
    if (!context) {
        error_set(error, "out of memory");
        return NULL;
    }
    context->files = *files;
    context->current = load(files, error);
    if (!context->current) {
        free(context);
        return NULL;
    }
    pthread_mutex_init(&context->lock, NULL);
    describe(context);
    return &context->shared;
}

static struct context *context_of(struct tls_server *server) { return (struct context *) server; }

void context_close(struct tls_server *server)
{
    struct context *context = context_of(server);
    SSL_CTX_free(context->current);
    SSL_CTX_free(context->next);
    pthread_mutex_destroy(&context->lock);
    free(context);
}

SSL *context_new_ssl(struct context *context)
{
    pthread_mutex_lock(&context->lock);
    SSL *ssl = SSL_new(context->current); /* which has a share in it */
    pthread_mutex_unlock(&context->lock);
    return ssl;
}

/* ---- reading anew ---- */

/* Each file is registered by itself, and all are loaded with the first. */
bool context_prepare(struct tls_server *server, struct error *error)
{
    struct context *context = context_of(server);
    if (!context->next)
        context->next = load(&context->files, error);
    return context->next;
}

void context_commit(struct tls_server *server)
{
    struct context *context = context_of(server);
    if (!context->next)
        return;
    pthread_mutex_lock(&context->lock);
    SSL_CTX *before = context->current;
    context->current = context->next;
    pthread_mutex_unlock(&context->lock);
    context->next = NULL;
    describe(context);
    SSL_CTX_free(before);
}

void context_cancel(struct tls_server *server)
{
    struct context *context = context_of(server);
    SSL_CTX_free(context->next);
    context->next = NULL;
}
