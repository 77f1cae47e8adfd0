/* owed: a queue in a buffer. */
#include "client/owed.h"

#include <assert.h>
#include <string.h>

size_t owed_entries(const struct owed_queue *queue, struct owed **entries)
{
    /* Aligned: it lies whole entries behind what malloc() returned. */
    *entries = (struct owed *) (void *) buffer_head(&queue->entries);
    return buffer_size(&queue->entries) / sizeof **entries;
}

struct owed *owed_first(const struct owed_queue *queue)
{
    struct owed *entries;
    return owed_entries(queue, &entries) > 0 ? entries : NULL;
}

struct owed *owed_last(const struct owed_queue *queue)
{
    struct owed *entries;
    size_t count = owed_entries(queue, &entries);
    return count > 0 ? entries + count - 1 : NULL;
}

bool owed_add(struct owed_queue *queue, const char *text, size_t size, int64_t at_ns)
{
    struct owed *last = text ? NULL : owed_last(queue);
    if (last && last->at_ns == at_ns && !*last->text && !last->is_given_up) {
        last->count++;
    } else {
        struct owed request = {.at_ns = at_ns, .count = 1};
        if (text)
            escape_text(text, size, request.text);
        if (!buffer_append(&queue->entries, &request, sizeof request))
            return false;
    }
    return true;
}

void owed_answered(struct owed_queue *queue)
{
    struct owed *first = owed_first(queue);
    assert(first);
    if (--first->count == 0)
        buffer_consume(&queue->entries, sizeof *first);
}

void owed_give_up(struct owed_queue *queue)
{
    struct owed *entries;
    size_t count = owed_entries(queue, &entries);
    for (size_t i = 0; i < count; i++)
        entries[i].is_given_up = true;
}

void owed_fini(struct owed_queue *queue) { buffer_fini(&queue->entries); }
