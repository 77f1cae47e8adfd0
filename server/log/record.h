/*
 * record: an event on its way from a thread to the log, and how its fields are read.
 *
 * A record's text holds the fields of its event in the order of the table, with LOG_SEPARATOR
 * between them. The last one may hold any byte; those before it come from the server itself.
 */
#ifndef BANTER_SERVER_LOG_RECORD_H
#define BANTER_SERVER_LOG_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "server/log/events.h"

#define LOG_SEPARATOR '\0'

struct log_record {
    int64_t time_ns; /* CLOCK_MONOTONIC */
    enum log_event event;
    uint64_t session; /* 0: of none */
    const char *text; /* owned by whoever made the record */
    size_t size;      /* of the text; at most 64 KiB */
    size_t full_size; /* its size before it was cut; at most UINT32_MAX */
};

/* Takes the value of a field off the head of `rest`, which begins as all of a record's text. Fields
 * are taken in order; the last one is all that is left. */
static inline struct log_value log_take_value(struct log_value *rest, const struct log_field *field)
{
    struct log_value value = *rest;
    if (!field[1].key)
        return value;
    const char *end = memchr(rest->text, LOG_SEPARATOR, rest->size);
    value.size = end ? (size_t) (end - rest->text) : rest->size;
    size_t taken = end ? value.size + 1 : value.size;
    rest->text += taken;
    rest->size -= taken;
    return value;
}

#endif
