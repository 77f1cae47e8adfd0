/* tls/module: the one symbol that the module has for the program. */
#include "client/tls/state.h"

static const char *identity(const struct tls_session *session) { return session->identity; }

static bool is_refused(const struct tls_session *session) { return session->is_refused; }

static const char *why(const struct tls_session *session) { return session->why.text; }

extern const struct tls_module banter_tls;

const struct tls_module __attribute__((visibility("default"))) banter_tls = {
    .version = BANTER_VERSION,
    .create = tls_session_new,
    .shake_hands = tls_shake_hands,
    .identity = identity,
    .read = tls_read,
    .write = tls_write,
    .end = tls_end,
    .has_unread = tls_has_unread,
    .has_unsent = tls_has_unsent,
    .is_refused = is_refused,
    .why = why,
    .free = tls_session_free,
};
