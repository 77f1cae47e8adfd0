/*
 * history: the file is opened anew for each line, so that no line goes to a file that was moved
 * away or removed meanwhile.
 */
#include "client/terminal/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <readline/history.h>

#include "common/buffer.h"

/* A client that is stopped while it holds the lock delays the others by half a second at most. */
#define LOCK_ATTEMPTS 50
#define LOCK_PAUSE_MS 10
#define CUT_FACTOR 2 /* the file is cut when it has this many times the remembered lines */
/* A FIFO must not block us, and a terminal must not become ours. */
#define OPEN_FLAGS (O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static struct {
    char *path; /* owned; NULL: no file, or it is left alone */
    bool is_default;
    bool is_lock_stuck; /* another process keeps it: it is not waited for again */
} history;

/* $XDG_STATE_HOME/banter/history, or ~/.local/state/banter/history; the caller frees it. NULL if
 * neither variable is of use. */
static char *default_path(void)
{
    char *path = NULL;
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int size = -1;
    if (state && *state == '/') /* the XDG specification: ignore others */
        size = asprintf(&path, "%s/banter/history", state);
    else if (home && *home)
        size = asprintf(&path, "%s/.local/state/banter/history", home);
    return size < 0 ? NULL : path;
}

/* From now on there is no file. */
static void leave_file_alone(void)
{
    free(history.path);
    history.path = NULL;
}

static bool fail(const char *verb, int why, struct error *error)
{
    error_set(error, "unable to %s the history %.300s: %s", verb, history.path, strerror(why));
    leave_file_alone();
    return false;
}

/* Even without the lock little can go wrong: a line is appended by one write(2). */
static bool lock(int fd, int operation)
{
    for (int attempt = 0; attempt < LOCK_ATTEMPTS && !history.is_lock_stuck; attempt++) {
        if (flock(fd, operation | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return false;
        struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    history.is_lock_stuck = true;
    return false;
}

/* ---- reading ---- */

/* False with errno set on failure. */
static bool read_all(int fd, struct buffer *text)
{
    for (;;) {
        if (!buffer_reserve(text, 64 << 10))
            return false;
        ssize_t size = read(fd, buffer_tail(text), buffer_room(text));
        if (size == 0)
            return true;
        if (size > 0)
            buffer_added(text, (size_t) size);
        else if (errno != EINTR)
            return false;
    }
}

/* The offset of the last `count` lines. */
static size_t find_last_lines(const char *text, size_t size, int count)
{
    size_t begin = size;
    while (begin > 0) {
        const char *newline = memrchr(text, '\n', begin - 1);
        if (count-- == 0)
            return begin;
        if (!newline)
            return 0;
        begin = (size_t) (newline - text) + 1;
    }
    return begin;
}

static int count_lines(const char *text, size_t size)
{
    int count = 0;
    for (const char *at = text, *end = text + size; at != end; count++) {
        const char *newline = memchr(at, '\n', (size_t) (end - at));
        at = newline ? newline + 1 : end;
    }
    return count;
}

/* Replaces the file by the end of its text, which begins at `begin`, or at the first line of the
 * second half if that is later. So the end is in the file twice before the file is cut off behind
 * it, and nothing is lost if we die in between. */
static void cut_file(int fd, const char *text, size_t size, size_t begin)
{
    struct stat status;
    if (begin < size / 2) {
        const char *newline = memchr(text + size / 2, '\n', size - size / 2);
        begin = newline ? (size_t) (newline - text) + 1 : size;
    }
    size_t rest = size - begin;
    if (rest > begin || !lock(fd, LOCK_EX))
        return;
    bool is_as_read = fstat(fd, &status) == 0 && (size_t) status.st_size == size;
    /* If it fails the file stays long, and the next client tries again. */
    if (is_as_read && pwrite(fd, text + begin, rest, 0) == (ssize_t) rest)
        (void) !ftruncate(fd, (off_t) rest);
}

static void list_lines(char *text, size_t size)
{
    for (char *line = text, *end = text + size; line != end;) {
        char *newline = memchr(line, '\n', (size_t) (end - line));
        if (!newline) /* another client is writing it just now */
            break;
        *newline = '\0';
        if (*line)
            add_history(line);
        line = newline + 1;
    }
}

static bool load(int fd)
{
    struct buffer text = {0};
    struct stat status;
    bool ok = true;
    lock(fd, LOCK_SH);
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) /* nothing else keeps lines */
        ok = read_all(fd, &text);
    if (ok && buffer_size(&text) > 0) {
        char *all = buffer_head(&text);
        size_t size = buffer_size(&text);
        size_t begin = find_last_lines(all, size, history_max_entries);
        if (history_max_entries > 0 && count_lines(all, size) / CUT_FACTOR >= history_max_entries)
            cut_file(fd, all, size, begin);
        list_lines(all + begin, size - begin);
    }
    buffer_fini(&text);
    return ok;
}

bool history_open(bool has_file, const char *path, struct error *error)
{
    using_history();
    if (!history_is_stifled())
        stifle_history(HISTORY_LINES);
    if (!has_file)
        return true;
    history.is_default = !path;
    history.path = path ? strdup(path) : default_path();
    if (!history.path)
        return true;
    int fd = open(history.path, O_RDWR | OPEN_FLAGS);
    if (fd < 0 && (errno == EACCES || errno == EROFS)) /* the first write reports it */
        fd = open(history.path, O_RDONLY | OPEN_FLAGS);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || fail("read", errno, error);
    bool ok = load(fd) || fail("read", errno, error);
    close(fd);
    return ok;
}

/* ---- writing ---- */

static void make_folders(void)
{
    for (char *slash = strchr(history.path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(history.path, 0700); /* if it fails, so does the open */
        *slash = '/';
    }
}

static int open_to_append(void)
{
    int flags = O_RDWR | O_APPEND | O_CREAT | OPEN_FLAGS;
    int fd = open(history.path, flags, 0600);
    if (fd >= 0 || errno != ENOENT || !history.is_default)
        return fd;
    make_folders();
    return open(history.path, flags, 0600);
}

/* Whether the last line lacks its end: its writer could not write it, on a full disk. */
static bool is_cut(int fd)
{
    struct stat status;
    char last;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
           pread(fd, &last, 1, status.st_size - 1) == 1 && last != '\n';
}

/* False with errno set on failure. */
static bool append(int fd, const char *line)
{
    char *text = NULL;
    lock(fd, LOCK_EX);
    int size = asprintf(&text, "%s%s\n", is_cut(fd) ? "\n" : "", line);
    if (size < 0)
        return false;
    ssize_t written = write(fd, text, (size_t) size);
    int why = written < 0 ? errno : ENOSPC;
    free(text);
    errno = why;
    return written == size;
}

static bool append_to_file(const char *line, struct error *error)
{
    if (!history.path)
        return true;
    int fd = open_to_append();
    if (fd < 0)
        return fail("write", errno, error);
    bool ok = append(fd, line) || fail("write", errno, error);
    close(fd);
    return ok;
}

bool history_add(const char *line, size_t size, struct error *error)
{
    const HIST_ENTRY *last =
        history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
    if (size == 0 || *line == ' ' ||
        (last && strlen(last->line) == size && memcmp(last->line, line, size) == 0))
        return true;
    char *copy = strndup(line, size);
    if (!copy)
        return true;
    add_history(copy);
    bool ok = append_to_file(copy, error);
    free(copy);
    return ok;
}

void history_close(void)
{
    leave_file_alone();
    clear_history();
}
