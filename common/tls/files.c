/* tls/files: loading. The paths are the user's own, but anything may be in their files. */
#include "common/tls/files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/tls/reason.h"

/* ---- our own ---- */

/* Says what the system has against it, which OpenSSL would not. */
static bool look_at(const char *path, struct stat *status, struct error *error)
{
    return (stat(path, status) == 0 && access(path, R_OK) == 0) ||
           error_set(error, "unable to read %.200s: %s", path, strerror(errno));
}

/* Nobody is asked for a passphrase: a service has nobody to ask, and a script must not stop. */
static int refuse_passphrase(char *text, int size, int is_writing, void *context)
{
    (void) text, (void) size, (void) is_writing;
    *(bool *) context = true;
    return -1;
}

static bool load_key(SSL_CTX *context, const char *path, const char *certificate,
                     struct error *error)
{
    struct stat status;
    bool is_encrypted = false;
    if (!look_at(path, &status, error))
        return false;
    prctl(PR_SET_DUMPABLE, 0); /* nor may others of the same user look into the memory */
    SSL_CTX_set_default_passwd_cb(context, refuse_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, &is_encrypted);
    bool is_loaded = SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
    if ((is_loaded || is_encrypted) && status.st_mode & S_IROTH)
        return error_set(error, "everybody may read the key in %.200s: chmod o= protects it", path);
    if (is_loaded)
        return true;
    if (is_encrypted)
        return error_set(error,
                         "the key in %.200s is encrypted, and nobody is asked for a passphrase: "
                         "openssl pkey writes it without one",
                         path);
    if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
        ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH)
        return error_set(error, "the key in %.200s is not that of the certificate in %.200s", path,
                         certificate);
    return error_set(error, "there is no private key in PEM in %.200s", path);
}

bool tls_load_certificate(SSL_CTX *context, const char *certificate, const char *key,
                          struct error *error)
{
    struct stat status;
    ERR_clear_error();
    if (!look_at(certificate, &status, error))
        return false;
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        return error_set(error, "there is no certificate in PEM in %.200s that can be used: %s",
                         certificate, tls_reason(ERR_peek_last_error()));
    return load_key(context, key, certificate, error);
}

/* ---- those that are trusted ---- */

/* Such as 5ad8a5d6.0. */
static bool is_hashed(const char *name)
{
    size_t digits = strspn(name, "0123456789abcdef");
    return digits == 8 && name[digits] == '.' && isdigit((unsigned char) name[digits + 1]);
}

static bool has_hashed(const char *path, struct error *error)
{
    DIR *folder = opendir(path);
    if (!folder)
        return error_set(error, "unable to read %.200s: %s", path, strerror(errno));
    const struct dirent *entry;
    bool found = false;
    while (!found && (entry = readdir(folder)))
        found = is_hashed(entry->d_name);
    closedir(folder);
    return found || error_set(error,
                              "no certificate in %.200s has its hash for a name: "
                              "openssl rehash gives them such names",
                              path);
}

bool tls_load_authorities(SSL_CTX *context, const char *path, struct error *error)
{
    struct stat status;
    ERR_clear_error();
    if (!look_at(path, &status, error))
        return false;
    if (S_ISDIR(status.st_mode))
        return has_hashed(path, error) &&
               (SSL_CTX_load_verify_dir(context, path) == 1 || error_set(error, "out of memory"));
    return SSL_CTX_load_verify_file(context, path) == 1 ||
           error_set(error, "there is no certificate in PEM in %.200s that can be used: %s", path,
                     tls_reason(ERR_peek_last_error()));
}
