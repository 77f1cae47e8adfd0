/*
 * tls/verdict: the words for what can be wrong between a client and a server that do not trust each
 * other. All are half sentences about the server.
 */
#ifndef BANTER_CLIENT_TLS_VERDICT_H
#define BANTER_CLIENT_TLS_VERDICT_H

#include <stdbool.h>

#include "client/tls/state.h"

#define TLS_SYSTEM_AUTHORITIES "/etc/ssl/certs"

/* The verifier of SSL_CTX_set_cert_verify_callback(): by the session's pin if it has one, or else
 * as OpenSSL does it. The session's `why` says what is wrong. */
int tls_verify(X509_STORE_CTX *store, void *session);

/* The alert in OpenSSL's queue of errors, or -1. */
int tls_alert(void);

/* Whether an alert is about trust; `why` becomes what it says in any case. */
bool tls_judge_alert(const struct tls_session *session, int alert, struct error *why);

/* What became of a handshake that OpenSSL gave up. */
enum tls_opening tls_judge_handshake(const struct tls_session *session, struct error *error);

/* Whether what the server said first can be TLS. */
bool tls_looks_like_tls(const struct tls_session *session);

#endif
