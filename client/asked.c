/*
 * asked: a queue in a buffer.
 */
#include "client/asked.h"

#include <assert.h>
#include <string.h>

size_t asked_entries(const struct asked_queue *queue, struct asked **entries)
{
    /* What malloc() returned, and whole entries behind it: aligned. */
    *entries = (struct asked *) (void *) buffer_head(&queue->entries);
    return buffer_size(&queue->entries) / sizeof **entries;
}

struct asked *asked_first(const struct asked_queue *queue)
{
    struct asked *entries;
    return asked_entries(queue, &entries) > 0 ? entries : NULL;
}

struct asked *asked_last(const struct asked_queue *queue)
{
    struct asked *entries;
    const size_t count = asked_entries(queue, &entries);
    return count > 0 ? entries + count - 1 : NULL;
}

bool asked_add(struct asked_queue *queue, const char *text, size_t size, int64_t at_ns)
{
    struct asked *last = text ? NULL : asked_last(queue);
    if (last && last->at_ns == at_ns && !*last->text && !last->is_given_up) {
        last->count++;
    } else {
        struct asked request = {.at_ns = at_ns, .count = 1};
        if (text)
            escape_text(text, size, request.text);
        if (!buffer_append(&queue->entries, &request, sizeof request))
            return false;
    }
    return true;
}

void asked_answered(struct asked_queue *queue)
{
    struct asked *first = asked_first(queue);
    assert(first);
    if (--first->count == 0)
        buffer_consume(&queue->entries, sizeof *first);
}

void asked_give_up(struct asked_queue *queue)
{
    struct asked *entries;
    const size_t count = asked_entries(queue, &entries);
    for (size_t i = 0; i < count; i++)
        entries[i].is_given_up = true;
}

void asked_fini(struct asked_queue *queue) { buffer_fini(&queue->entries); }
