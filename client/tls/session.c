/* tls/session: an SSL object that has what the settings say. */
#include "client/tls/state.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "client/tls/verdict.h"
#include "common/tls/files.h"
#include "common/tls/init.h"

/* ---- what all connections of such settings have ---- */

/* The server asks for a certificate, and we have none. */
static int note_request(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
    (void) certificate, (void) key;
    ((struct tls_session *) SSL_get_app_data(ssl))->was_asked = true;
    return 0;
}

static bool load_files(SSL_CTX *context, const struct tls_settings *settings, struct error *error)
{
    const char *certificate = settings->certificate;
    if (certificate && !tls_load_certificate(context, certificate,
                                             settings->key ? settings->key : certificate, error))
        return false;
    if (settings->pin)
        return true;
    if (settings->authorities)
        return tls_load_authorities(context, settings->authorities, error);
    /* If it is not there, nobody is trusted. */
    return SSL_CTX_load_verify_dir(context, TLS_SYSTEM_AUTHORITIES) == 1 ||
           error_set(error, "out of memory");
}

static SSL_CTX *new_context(struct tls_session *session, struct error *error)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1) {
        error_set(error, "unable to use OpenSSL: is TLS 1.3 switched off, or memory out?");
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, tls_verify, session);
    if (!session->settings.certificate)
        SSL_CTX_set_client_cert_cb(context, note_request);
    if (load_files(context, &session->settings, error))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

/* ---- one connection ---- */

/* The certificate must be for this name, or this number. */
static bool expect_name(SSL *ssl, char *name)
{
    X509_VERIFY_PARAM *rules = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    /* An authority is whoever the user names, not only one that has signed itself. */
    X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);
    if (X509_VERIFY_PARAM_set1_ip_asc(rules, name) == 1)
        return true;
    return X509_VERIFY_PARAM_set1_host(rules, name, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool prepare(struct tls_session *session, SSL_CTX *context)
{
    static const unsigned char protocols[] = "\6banter";
    session->ssl = SSL_new(context);
    session->buffers = (struct tls_buffers){&session->received, &session->sending};
    BIO *bio = session->ssl ? tls_bio_new(&session->buffers) : NULL;
    if (!bio)
        return false;
    SSL_set_bio(session->ssl, bio, bio); /* which owns it now */
    SSL_set_app_data(session->ssl, session);
    SSL_set_connect_state(session->ssl);
    return SSL_set_alpn_protos(session->ssl, protocols, sizeof protocols - 1) == 0 &&
           (*session->name == '\0' || expect_name(session->ssl, session->name));
}

/* A dot at the end says to the resolver that it is all of the name. */
static bool set_name(struct tls_session *session, const char *name)
{
    size_t size = strlen(name);
    size -= size > 0 && name[size - 1] == '.';
    if (size >= sizeof session->name)
        return false;
    memcpy(session->name, name, size);
    return size > 0 || session->settings.pin;
}

struct tls_session *tls_session_new(const struct tls_settings *settings, const char *host,
                                    enum tls_opening *opening, struct error *error)
{
    tls_init();
    struct tls_session *session = calloc(1, sizeof *session);
    *opening = TLS_UNUSABLE;
    if (!session) {
        error_set(error, "out of memory");
        return NULL;
    }
    session->settings = *settings;
    session->socket = -1;
    if (!set_name(session, settings->name ? settings->name : host)) {
        error_set(error, "there is no name that the server's certificate could be for");
        tls_session_free(session);
        return NULL;
    }
    SSL_CTX *context = new_context(session, error);
    bool is_ready = context && prepare(session, context);
    if (context && !is_ready)
        error_set(error, "out of memory");
    SSL_CTX_free(context); /* the SSL object has a share in it */
    if (is_ready)
        return session;
    tls_session_free(session);
    return NULL;
}

void tls_session_free(struct tls_session *session)
{
    if (session->is_open)
        tls_end(session);
    SSL_free(session->ssl);
    buffer_fini(&session->received);
    buffer_fini(&session->sending);
    free(session);
}
