/* nats/wire_terms: how a connection is to be made, and who uses the library. */
#include "server/nats/wire_state.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    CONNECT_TIMEOUT_MS = 2000,
    CLOSE_TIMEOUT_MS = 1000,
};

/* Without the place in its sources: "(conn.c:1): ". */
const char *wire_last_error(natsStatus status)
{
    natsStatus last;
    const char *text = nats_GetLastError(&last);
    const char *behind = text && *text == '(' ? strstr(text, "): ") : NULL;
    if (behind)
        text = behind + 3;
    return text && *text ? text : natsStatus_GetText(status);
}

static bool check(natsStatus status, const char *what, struct error *error)
{
    return status == NATS_OK || error_set(error, "%s: %.300s", what, wire_last_error(status));
}

/* ---- the login, and TLS ---- */

static natsStatus give_signature(char **why, unsigned char **signature, int *size,
                                 const char *nonce, void *closure)
{
    const struct wire_terms *terms = closure;
    *why = NULL;
    *size = NKEY_SIGNATURE_SIZE;
    *signature = malloc(NKEY_SIGNATURE_SIZE);
    return *signature && nkey_sign(terms->login.seed, nonce, *signature) ? NATS_OK : NATS_NO_MEMORY;
}

static natsStatus set_login(struct wire_terms *terms, natsOptions *options)
{
    const struct login *login = &terms->login;
    switch (login->form) {
    case LOGIN_PASSWORD:
        return natsOptions_SetUserInfo(options, login->user, login->password);
    case LOGIN_NKEY:
        return natsOptions_SetNKey(options, login->public_key, give_signature, terms);
    case LOGIN_CREDENTIALS:
        return natsOptions_SetUserCredentialsFromFiles(options, login->file, NULL);
    case LOGIN_NONE:
        break;
    }
    return NATS_OK;
}

static bool load_certificate(natsOptions *options, const struct wire_plan *plan,
                             struct error *error)
{
    const char *key = plan->key ? plan->key : plan->certificate;
    struct stat status;
    if (!plan->certificate)
        return true;
    if (stat(key, &status) == 0 && status.st_mode & S_IROTH)
        return error_set(error, "everybody may read the key in %.200s: chmod o= protects it", key);
    return check(natsOptions_LoadCertificatesChain(options, plan->certificate, key),
                 "--nats-cert can't be used", error);
}

/* What differs from the library's defaults: it neither pings, writes, reconnects nor learns of
 * other servers by itself, and has one thread for all messages. */
static natsStatus set_behaviour(natsOptions *options, const char *name)
{
    natsStatus status = natsOptions_SetName(options, name);
    status = status ? status : natsOptions_SetAllowReconnect(options, false);
    status = status ? status : natsOptions_SetIgnoreDiscoveredServers(options, true);
    status = status ? status : natsOptions_SetPingInterval(options, 0);
    status = status ? status : natsOptions_SetSendAsap(options, true);
    status = status ? status : natsOptions_UseGlobalMessageDelivery(options, true);
    return status ? status : natsOptions_SetTimeout(options, CONNECT_TIMEOUT_MS);
}

static bool set_options(struct wire_terms *terms, natsOptions *options, const char *name,
                        struct error *error)
{
    return check(set_behaviour(options, name), "unable to use libnats", error) &&
           check(set_login(terms, options), "--nats-login can't be used", error);
}

static bool set_tls(natsOptions *options, const struct wire_plan *plan, struct error *error)
{
    return check(natsOptions_SetSecure(options, true), "unable to use libnats", error) &&
           (!plan->authorities ||
            check(natsOptions_LoadCATrustedCertificates(options, plan->authorities),
                  "--nats-ca can't be used", error)) &&
           load_certificate(options, plan, error);
}

/* ---- who uses the library ---- */

/* The library's threads end with the last of its users: nothing of it, and of OpenSSL in it, runs
 * when the process ends. It is opened again, to do nothing, since one that is closed at the end of
 * the process frees what is OpenSSL's, which then frees it, too. */
static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users; /* guarded by it */

static void add_user(void)
{
    pthread_mutex_lock(&users_lock);
    users++;
    pthread_mutex_unlock(&users_lock);
}

static void remove_user(void)
{
    pthread_mutex_lock(&users_lock);
    if (--users == 0 && nats_CloseAndWait(CLOSE_TIMEOUT_MS) == NATS_OK)
        nats_Open(-1);
    pthread_mutex_unlock(&users_lock);
}

/* ---- beginning and end ---- */

struct wire_terms *wire_terms_new(const struct wire_plan *plan, struct error *error)
{
    struct wire_terms *terms = calloc(1, sizeof *terms);
    if (!terms) {
        error_set(error, "out of memory");
        return NULL;
    }
    add_user();
    if (login_read(&terms->login, plan->login, error) &&
        check(natsOptions_Create(&terms->plain), "unable to use libnats", error) &&
        check(natsOptions_Create(&terms->tls), "unable to use libnats", error) &&
        set_options(terms, terms->plain, plan->name, error) &&
        set_options(terms, terms->tls, plan->name, error) && set_tls(terms->tls, plan, error))
        return terms;
    wire_terms_free(terms);
    return NULL;
}

void wire_terms_free(struct wire_terms *terms)
{
    natsOptions_Destroy(terms->plain);
    natsOptions_Destroy(terms->tls);
    login_fini(&terms->login);
    free(terms);
    remove_user();
}
