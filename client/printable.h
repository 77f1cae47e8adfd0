/*
 * printable: a reply, made safe to show at a terminal.
 *
 * A terminal obeys control bytes, and a server must not be able to drive it. Bytes that are not
 * printable text of the locale become \xNN (common/escape.h). Tabs and line feeds stay.
 */
#ifndef BANTER_CLIENT_PRINTABLE_H
#define BANTER_CLIENT_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"

/* Appends `text` to `out` in its safe form. False if memory is out; part of it may have been
 * appended. */
bool printable_append(struct buffer *out, const char *text, size_t size);

#endif
