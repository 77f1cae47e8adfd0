/* tagged: slots with an ID each. */
#include "server/handlers/program/tagged.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/decimal.h"
#include "common/escape.h"
#include "common/protocol.h"
#include "server/handlers/program/telling.h"
#include "server/request.h"

enum {
    MAX_LINE_BYTES = PROTOCOL_MAX_REPLY + DECIMAL_MAX_DIGITS + 2, /* with SPACE and CR */
    KEPT_BYTES = 64 << 10,
};

/* ---- slots ---- */

bool tagged_init(struct tagged *tagged, unsigned room)
{
    *tagged = (struct tagged){
        .slots = calloc(room, sizeof *tagged->slots),
        .free = calloc(room, sizeof *tagged->free),
        .room = room,
    };
    if (!tagged->slots || !tagged->free)
        return false;
    for (unsigned i = 0; i < room; i++) {
        tagged->slots[i].id = i; /* the slot's number is the remainder of each of its IDs */
        tagged->free[i] = room - 1 - i;
    }
    return true;
}

static struct request *leave(struct tagged *tagged, struct tagged_slot *slot)
{
    struct request *request = slot->request;
    slot->request = NULL;
    tagged->count--;
    tagged->free[tagged->room - 1 - tagged->count] = (unsigned) (slot - tagged->slots);
    return request;
}

void tagged_reset(struct tagged *tagged)
{
    buffer_fini(&tagged->output);
    buffer_fini(&tagged->line);
    tagged->written = 0;
    tagged->progress_us = 0;
}

void tagged_fini(struct tagged *tagged)
{
    for (unsigned i = 0; tagged->slots && i < tagged->room; i++)
        if (tagged->slots[i].request)
            request_release(leave(tagged, &tagged->slots[i]));
    tagged_reset(tagged);
    free(tagged->slots);
    free(tagged->free);
}

/* ---- lines to the instance ---- */

bool tagged_add(struct tagged *tagged, struct request *request, int64_t now_us)
{
    unsigned number = tagged->free[tagged->room - 1 - tagged->count];
    struct tagged_slot *slot = &tagged->slots[number];
    struct buffer *output = &tagged->output;
    size_t size = request_size(request);
    if (!buffer_reserve(output, size + DECIMAL_MAX_DIGITS + 2 + (tagged->tells ? TELLING_SIZE : 0)))
        return false;
    tagged->count++;
    *slot = (struct tagged_slot){
        .request = request,
        .id = slot->id + tagged->room,
        .begin = tagged->written + buffer_size(output),
        .given_us = now_us,
    };
    buffer_added(output, decimal_print(buffer_tail(output), slot->id));
    buffer_append(output, " ", 1);
    if (tagged->tells)
        buffer_added(output, telling_write(request, buffer_tail(output)));
    buffer_append(output, request_message(request), size);
    buffer_append(output, "\n", 1);
    return true;
}

enum exchange_progress tagged_write(struct tagged *tagged, int fd)
{
    struct buffer *output = &tagged->output;
    ssize_t written;
    do {
        written = write(fd, buffer_head(output), buffer_size(output));
    } while (written < 0 && errno == EINTR);
    if (written < 0)
        return errno == EAGAIN ? EXCHANGE_BLOCKED : EXCHANGE_CLOSED;
    tagged->written += (uint64_t) written;
    buffer_consume(output, (size_t) written);
    if (buffer_size(output) > 0)
        return EXCHANGE_BLOCKED;
    if (output->capacity > KEPT_BYTES)
        buffer_fini(output);
    else
        buffer_clear(output);
    return EXCHANGE_WRITTEN;
}

/* ---- lines from the instance ---- */

/* The slot whose ID the line begins with, behind which `*text` is set; NULL: there is none. */
static struct tagged_slot *find_slot(const struct tagged *tagged, const char *line, size_t size,
                                     const char **text)
{
    uint64_t id = 0;
    size_t digits = 0;
    for (; digits < size && line[digits] >= '0' && line[digits] <= '9'; digits++)
        if (__builtin_mul_overflow(id, 10, &id) ||
            __builtin_add_overflow(id, (unsigned) (line[digits] - '0'), &id))
            return NULL;
    if (digits == 0 || digits == size || line[digits] != ' ' || line[0] == '0')
        return NULL;
    struct tagged_slot *slot = &tagged->slots[id % tagged->room];
    *text = line + digits + 1;
    return slot->request && slot->id == id ? slot : NULL;
}

/* A whole line, without its newline. */
static bool take_line(struct tagged *tagged, const char *line, size_t size, char *why,
                      size_t why_size)
{
    const char *text;
    size -= size > 0 && line[size - 1] == '\r';
    struct tagged_slot *slot = find_slot(tagged, line, size, &text);
    if (!slot) {
        char shown[ESCAPE_SIZE];
        snprintf(why, why_size,
                 "the program has answered \"%s\", which begins with the ID of no request",
                 escape_text(line, size, shown));
        return false;
    }
    struct request *request = leave(tagged, slot);
    tagged->answered++;
    if (!request_is_over(request))
        request_reply(request, text, (size_t) (line + size - text));
    request_release(request);
    return true;
}

/* The line that began earlier goes on, with `size` bytes. */
static bool go_on(struct tagged *tagged, const char *text, size_t size, char *why, size_t why_size)
{
    if (buffer_size(&tagged->line) + size <= MAX_LINE_BYTES &&
        buffer_append(&tagged->line, text, size))
        return true;
    snprintf(why, why_size, "the program's answer is longer than 16 MiB");
    return false;
}

bool tagged_take(struct tagged *tagged, const char *text, size_t length, int64_t now_us, char *why,
                 size_t size)
{
    struct buffer *line = &tagged->line;
    const char *newline;
    bool right = true;
    while (right && length > 0 && (newline = memchr(text, '\n', length))) {
        size_t line_size = (size_t) (newline - text);
        if (buffer_size(line) == 0) {
            right = take_line(tagged, text, line_size, why, size);
        } else {
            right = go_on(tagged, text, line_size, why, size) &&
                    take_line(tagged, buffer_head(line), buffer_size(line), why, size);
            buffer_fini(line);
        }
        tagged->progress_us = now_us;
        text += line_size + 1;
        length -= line_size + 1;
    }
    if (!right || length == 0)
        return right;
    if (buffer_size(line) == 0)
        tagged->progress_us = now_us;
    return go_on(tagged, text, length, why, size);
}

/* ---- time, and the end ---- */

int64_t tagged_hangs_ms(const struct tagged *tagged, int64_t timeout_ms)
{
    int64_t oldest_us = CLOCK_NEVER;
    for (unsigned i = 0; i < tagged->room; i++)
        if (tagged->slots[i].request && tagged->slots[i].given_us < oldest_us)
            oldest_us = tagged->slots[i].given_us;
    if (oldest_us == CLOCK_NEVER || timeout_ms == 0)
        return CLOCK_NEVER;
    int64_t since_us = tagged->progress_us > oldest_us ? tagged->progress_us : oldest_us;
    return since_us / 1000 + timeout_ms + EXCHANGE_LATE_GRACE_MS;
}

void tagged_refuse(struct tagged *tagged, const char *code, const char *text)
{
    for (unsigned i = 0; tagged->count > 0 && i < tagged->room; i++) {
        if (!tagged->slots[i].request)
            continue;
        struct request *request = leave(tagged, &tagged->slots[i]);
        if (!request_is_over(request))
            request_refuse(request, code, "%s", text);
        request_release(request);
    }
}

/* Whether it has a request of which nothing was read. */
static bool is_unread(const struct tagged *tagged, const struct tagged_slot *slot, size_t unread)
{
    return slot->request && slot->begin + unread >= tagged->written;
}

struct request *tagged_return(struct tagged *tagged, size_t unread)
{
    for (unsigned i = 0; tagged->count > 0 && i < tagged->room; i++) {
        struct tagged_slot *slot = &tagged->slots[i];
        if (is_unread(tagged, slot, unread) && !request_is_over(slot->request))
            return leave(tagged, slot);
    }
    return NULL;
}

void tagged_defer_unread(const struct tagged *tagged, size_t unread)
{
    for (unsigned i = 0; tagged->count > 0 && i < tagged->room; i++)
        if (is_unread(tagged, &tagged->slots[i], unread))
            request_defer(tagged->slots[i].request);
}
