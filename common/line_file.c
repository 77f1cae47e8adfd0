/* line_file: all of it is read at once, and cut up where it lies. */
#include "common/line_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/ascii.h"

/* ---- reading ---- */

static bool check_kind(int fd, struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_set(error, "unable to read it: %s", strerror(errno));
    if (S_ISDIR(status.st_mode))
        return error_set(error, "it is a directory, not a file");
    return S_ISREG(status.st_mode) || error_set(error, "it is not a regular file");
}

/* Reads to the end of the file, or until `room` bytes are there. Returns their number, or -1. */
static ssize_t read_all(int fd, char *text, size_t room)
{
    size_t size = 0;
    while (size < room) {
        ssize_t got = read(fd, text + size, room - size);
        if (got < 0 && errno != EINTR)
            return -1;
        if (got == 0)
            break;
        size += got > 0 ? (size_t) got : 0;
    }
    return (ssize_t) size;
}

/* The number of the line in which `end` is. */
static unsigned line_of(const char *text, const char *end)
{
    unsigned line = 1;
    while ((text = memchr(text, '\n', (size_t) (end - text)))) {
        line++;
        text++;
    }
    return line;
}

/* The text that is in the file, with a NUL behind it, or NULL with `error` set. */
static char *read_text(int fd, size_t max_bytes, struct error *error)
{
    char *text = malloc(max_bytes + 2);
    ssize_t size = text ? read_all(fd, text, max_bytes + 1) : -1;
    char *nul = size > 0 ? memchr(text, '\0', (size_t) size) : NULL;
    if (size < 0)
        error_set(error, "unable to read it: %s", strerror(errno));
    else if ((size_t) size > max_bytes)
        error_set(error, "it has more than the %zu bytes that are read", max_bytes);
    else if (nul)
        error_set(error, "line %u: it has a NUL byte, so this is no text", line_of(text, nul));
    else {
        text[size] = '\0';
        return text;
    }
    free(text);
    return NULL;
}

static char *read_path(const char *path, size_t max_bytes, struct error *error)
{
    /* Without waiting: a pipe is opened, too, and then refused. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        error_set(error, "unable to read it: %s", strerror(errno));
        return NULL;
    }
    char *text = check_kind(fd, error) ? read_text(fd, max_bytes, error) : NULL;
    close(fd);
    return text;
}

struct line_file *line_file_open(const char *path, size_t max_bytes, struct error *error)
{
    struct line_file *file = calloc(1, sizeof *file);
    if (!file) {
        error_set(error, "unable to read it: %s", strerror(errno));
        return NULL;
    }
    file->path = path;
    file->text = file->at = read_path(path, max_bytes, error);
    if (file->text)
        return file;
    free(file);
    return NULL;
}

void line_file_close(struct line_file *file)
{
    if (!file)
        return;
    free(file->rest);
    free(file->text);
    free(file);
}

/* ---- lines ---- */

/* The next line, with its blanks and a CR at its end, or NULL. */
static char *take_line(struct line_file *file)
{
    char *line = file->at;
    if (*line == '\0')
        return NULL;
    char *end = strchrnul(line, '\n');
    file->at = *end == '\n' ? end + 1 : end;
    *end = '\0';
    file->taken++;
    return line;
}

static char *trim(char *line)
{
    while (ascii_is_white(*line))
        line++;
    size_t size = strlen(line);
    while (size > 0 && ascii_is_white(line[size - 1]))
        size--;
    line[size] = '\0';
    return line;
}

char *line_file_next(struct line_file *file)
{
    for (char *line = take_line(file); line; line = take_line(file)) {
        line = trim(line);
        if (*line != '\0' && *line != '#') {
            file->line = file->taken;
            return line;
        }
    }
    return NULL;
}

char **line_file_rest(struct line_file *file)
{
    size_t count = 1;
    for (const char *at = file->at; (at = strchr(at, '\n')); at++)
        count++;
    file->rest = calloc(count + 1, sizeof *file->rest);
    size_t i = 0;
    for (char *line; file->rest && (line = take_line(file)); i++) {
        size_t size = strlen(line);
        if (size > 0 && line[size - 1] == '\r')
            line[size - 1] = '\0';
        file->rest[i] = line;
    }
    return file->rest;
}
