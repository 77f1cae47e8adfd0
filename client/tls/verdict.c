/* tls/verdict: the server's certificate, its alerts, and what is no TLS. */
#include "client/tls/verdict.h"

#include <string.h>

#include "common/protocol.h"
#include "common/tls/certificate.h"
#include "common/tls/reason.h"

/* ---- the server's certificate ---- */

static bool is_pinned(struct tls_session *session, const X509 *leaf)
{
    char pin[TLS_PIN_SIZE];
    return strcmp(tls_pin(leaf, pin), session->settings.pin) == 0 ||
           error_set(&session->why, "its key is %s, not the one that is pinned", pin);
}

static void say_not_signed(struct error *why, const struct tls_settings *settings, const char *pin)
{
    error_set(
        why,
        "its certificate is not signed by anybody in %.200s; its key is %s (--pin trusts that "
        "alone)",
        settings->authorities ? settings->authorities : TLS_SYSTEM_AUTHORITIES, pin);
}

/* A certificate that is not valid now: the server's, or one of those between it and an authority.
 */
static void say_when(struct error *why, X509_STORE_CTX *store, const char *state,
                     const ASN1_TIME *time)
{
    char date[TLS_DATE_SIZE];
    char shown[ESCAPE_SIZE] = "its certificate";
    if (X509_STORE_CTX_get_error_depth(store) > 0) {
        char *subject = tls_subject(X509_STORE_CTX_get_current_cert(store));
        escape_text(subject ? subject : "", subject ? strlen(subject) : 0, shown);
        free(subject);
        error_set(why, "the certificate of %s, which signed its, is %s %s", shown, state,
                  tls_date(time, date));
        return;
    }
    error_set(why, "its certificate is %s %s", state, tls_date(time, date));
}

static void say_what_is_wrong(struct tls_session *session, X509_STORE_CTX *store, const X509 *leaf)
{
    char pin[TLS_PIN_SIZE];
    char names[TLS_NAMES_SIZE];
    char shown[ESCAPE_SIZE];
    int code = X509_STORE_CTX_get_error(store);
    const X509 *wrong = X509_STORE_CTX_get_current_cert(store);
    tls_pin(leaf, pin);
    switch (code) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        say_not_signed(&session->why, &session->settings, pin);
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        error_set(&session->why, "its certificate is for %s, not for %s", tls_names(leaf, names),
                  escape_text(session->name, strlen(session->name), shown));
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        say_when(&session->why, store, "over since", X509_get0_notAfter(wrong));
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        say_when(&session->why, store, "not good before", X509_get0_notBefore(wrong));
        break;
    default:
        error_set(&session->why,
                  "its certificate can't be trusted: %s; its key is %s (--pin trusts that alone)",
                  X509_verify_cert_error_string(code), pin);
    }
}

int tls_verify(X509_STORE_CTX *store, void *context)
{
    struct tls_session *session = context;
    const X509 *leaf = X509_STORE_CTX_get0_cert(store);
    bool is_good = session->settings.pin ? is_pinned(session, leaf) : X509_verify_cert(store) == 1;
    if (!is_good && session->settings.pin)
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    else if (!is_good)
        say_what_is_wrong(session, store, leaf);
    return is_good;
}

/* ---- alerts ---- */

int tls_alert(void)
{
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    bool is_alert = ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET &&
                    reason < SSL_AD_REASON_OFFSET + 256;
    return is_alert ? reason - SSL_AD_REASON_OFFSET : -1;
}

static bool is_about_trust(int alert)
{
    return (alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_ACCESS_DENIED) ||
           alert == SSL_AD_UNRECOGNIZED_NAME || alert == SSL_AD_CERTIFICATE_REQUIRED;
}

bool tls_judge_alert(const struct tls_session *session, int alert, struct error *why)
{
    char shown[ESCAPE_SIZE];
    const char *text = SSL_alert_desc_string_long(alert);
    if (!is_about_trust(alert))
        error_set(why, "the server has ended it: %s", text);
    else if (alert == SSL_AD_ACCESS_DENIED)
        error_set(why, "denied");
    else if (alert == SSL_AD_UNRECOGNIZED_NAME)
        error_set(why, "the server has no certificate for %s",
                  escape_text(session->name, strlen(session->name), shown));
    else if (session->was_asked || alert == SSL_AD_CERTIFICATE_REQUIRED)
        error_set(why, "the server wants a certificate (--cert)");
    else if (session->settings.certificate)
        error_set(why, "the server refuses our certificate: %s", text);
    else
        error_set(why, "the server refuses us: %s", text);
    return is_about_trust(alert);
}

/* ---- handshakes ---- */

/* The type of a record and the upper half of its version. */
bool tls_looks_like_tls(const struct tls_session *session)
{
    const char *first = session->first;
    return session->first_size > 0 && first[0] >= SSL3_RT_CHANGE_CIPHER_SPEC &&
           first[0] <= SSL3_RT_APPLICATION_DATA &&
           (session->first_size == 1 || first[1] == SSL3_VERSION_MAJOR);
}

static enum tls_opening judge_clear_text(const struct tls_session *session, struct error *error)
{
    char shown[ESCAPE_SIZE];
    size_t size = strcspn(session->first, "\r\n");
    switch (protocol_error_code(session->first, size)) {
    case PROTOCOL_CODE_DENIED:
        error_set(error, "denied");
        return TLS_UNTRUSTED;
    case PROTOCOL_CODE_BUSY:
        error_set(error, "%s", escape_text(session->first, size, shown));
        return TLS_UNREACHABLE;
    default:
        error_set(error, "does not speak TLS");
        return TLS_IMPOSSIBLE;
    }
}

static bool is_old(int alert)
{
    int reason = ERR_GET_REASON(ERR_peek_error());
    return alert == SSL_AD_PROTOCOL_VERSION || reason == SSL_R_UNSUPPORTED_PROTOCOL ||
           reason == SSL_R_WRONG_SSL_VERSION;
}

enum tls_opening tls_judge_handshake(const struct tls_session *session, struct error *error)
{
    int alert = tls_alert();
    if (!tls_looks_like_tls(session))
        return judge_clear_text(session, error);
    if (session->why.text[0] != '\0') {
        error_set(error, "%s", session->why.text);
        return TLS_UNTRUSTED;
    }
    if (is_old(alert))
        error_set(error, "speaks TLS 1.2 at most");
    else if (alert == SSL_AD_HANDSHAKE_FAILURE)
        error_set(error, "the server refuses the handshake; it may speak TLS 1.2 at most");
    else if (alert == SSL_AD_NO_APPLICATION_PROTOCOL)
        error_set(error, "the server is for another protocol, which it asks for by ALPN");
    else if (alert >= 0)
        return tls_judge_alert(session, alert, error) ? TLS_UNTRUSTED : TLS_IMPOSSIBLE;
    else
        error_set(error, "the handshake has failed: %s", tls_reason(ERR_peek_error()));
    return TLS_IMPOSSIBLE;
}
