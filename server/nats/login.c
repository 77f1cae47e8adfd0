/* nats/login: reading, and which of them it is. */
#include "server/nats/login.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool refuse(const char *file, const char *why, struct error *error)
{
    return error_set(error, "--nats-login %.200s: %s", file, why);
}

/* As much as there is, up to the size of `text`; the number of bytes, or -1. */
static ssize_t read_all(int fd, char *text, size_t size)
{
    size_t held = 0;
    ssize_t got = 1;
    while (held < size && (got = read(fd, text + held, size - held)) > 0)
        held += (size_t) got;
    return got < 0 ? -1 : (ssize_t) held;
}

static bool read_file(struct login *login, int fd, struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return refuse(login->file, strerror(errno), error);
    if (status.st_mode & S_IROTH)
        return refuse(login->file, "everybody may read it; chmod o= forbids that", error);
    ssize_t size = read_all(fd, login->text, sizeof login->text);
    if (size < 0)
        return refuse(login->file, strerror(errno), error);
    if (size == sizeof login->text)
        return refuse(login->file, "it is too long", error);
    login->text[size] = '\0';
    return strlen(login->text) == (size_t) size || refuse(login->file, "it is no text", error);
}

/* user:password, which ends with the line. */
static bool take_password(struct login *login)
{
    char *line = login->text, *colon = strchr(line, ':');
    size_t size = strcspn(line, "\r\n");
    const char *rest = line + size + strspn(line + size, "\r\n");
    if (!colon || colon == line || *rest)
        return false;
    line[size] = '\0';
    *colon = '\0';
    login->form = LOGIN_PASSWORD;
    login->user = line;
    login->password = colon + 1;
    return colon < line + size;
}

/* The line that is a seed; others are comments, behind #, or blank. */
static bool take_nkey(struct login *login)
{
    char *line = login->text;
    while (*line == '#' || *line == '\r' || *line == '\n') {
        line += strcspn(line, "\r\n");
        line += strspn(line, "\r\n");
    }
    size_t size = strcspn(line, " \t\r\n");
    const char *rest = line + size + strspn(line + size, " \t\r\n");
    if (*rest || !nkey_public(line, size, login->public_key))
        return false;
    line[size] = '\0';
    login->form = LOGIN_NKEY;
    login->seed = line;
    return true;
}

static bool recognise(struct login *login, struct error *error)
{
    if (strstr(login->text, "BEGIN NATS USER JWT")) {
        login->form = LOGIN_CREDENTIALS;
        return strstr(login->text, "NKEY SEED") ||
               refuse(login->file, "the credentials lack a seed", error);
    }
    return take_nkey(login) || take_password(login) ||
           refuse(login->file,
                  "it has neither user:password, nor the seed of a user's nkey (SU...), nor "
                  "credentials",
                  error);
}

bool login_read(struct login *login, const char *file, struct error *error)
{
    *login = (struct login){.file = file};
    if (!file)
        return true;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return refuse(file, strerror(errno), error);
    bool taken = read_file(login, fd, error) && recognise(login, error);
    close(fd);
    if (!taken)
        login_fini(login);
    return taken;
}

void login_fini(struct login *login) { explicit_bzero(login, sizeof *login); }
