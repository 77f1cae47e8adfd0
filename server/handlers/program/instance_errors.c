/* instance_errors: lines for the log. */
#include "server/handlers/program/instance_errors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/log/log.h"

enum {
    ERRORS_BYTES = 8192, /* a read: replies come between two of them */
    LAST_READS = 32,     /* once the process has ended */
};

static void log_line(struct instances *instances, struct instance *instance)
{
    char text[INSTANCE_LINE_MAX + 64];
    int prefix = snprintf(text, 40, "%llu%c", (unsigned long long) instance->number, LOG_SEPARATOR);
    size_t size = buffer_size(&instance->line);
    if (size > 0)
        memcpy(text + prefix, buffer_head(&instance->line), size);
    if (size > 0 && text[prefix + (int) size - 1] == '\r')
        size--;
    log_put(instances->log, LOG_WORKER, 0, text, (size_t) prefix + size);
    if (size > 0)
        snprintf(instances->last_error, sizeof instances->last_error, "%.*s", (int) size,
                 text + prefix);
    buffer_clear(&instance->line);
}

/* Adds a piece of a line, without a newline. */
static void add_to_line(struct instance *instance, const char *text, size_t size)
{
    static const char dots[] = "...";
    size_t room = INSTANCE_LINE_MAX - buffer_size(&instance->line);
    if (instance->line_cut)
        return;
    buffer_append(&instance->line, text, size < room ? size : room);
    if (size > room) {
        instance->line_cut = true;
        buffer_append(&instance->line, dots, sizeof dots - 1);
    }
}

static void log_text(struct instances *instances, struct instance *instance, const char *text,
                     size_t size)
{
    const char *newline;
    while (size > 0 && (newline = memchr(text, '\n', size))) {
        size_t length = (size_t) (newline - text);
        add_to_line(instance, text, length);
        log_line(instances, instance);
        instance->line_cut = false;
        text += length + 1;
        size -= length + 1;
    }
    add_to_line(instance, text, size);
}

/* False if there is nothing to read now, or any more. */
static bool read_errors(struct instances *instances, struct instance *instance)
{
    if (instance->errors.fd < 0)
        return false;
    ssize_t got = read(instance->errors.fd, instances->scratch, ERRORS_BYTES);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return errno == EINTR;
    if (got <= 0) {
        if (buffer_size(&instance->line) > 0)
            log_line(instances, instance);
        channel_close(instances, &instance->errors);
        return false;
    }
    log_text(instances, instance, instances->scratch, (size_t) got);
    return true;
}

void instance_log_errors(struct instances *instances, struct instance *instance)
{
    read_errors(instances, instance);
}

void instance_last_words(struct instances *instances, struct instance *instance)
{
    for (int reads = 0; reads < LAST_READS && read_errors(instances, instance); reads++)
        continue;
    if (buffer_size(&instance->line) > 0)
        log_line(instances, instance);
    buffer_fini(&instance->line);
    channel_close(instances, &instance->errors);
}
