/*
 * json: texts and objects as JSON (RFC 8259), on one line.
 *
 * It is printable, too: what may not be shown to people (common/escape.h) is written \uNNNN.
 */
#ifndef BANTER_COMMON_JSON_H
#define BANTER_COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

/* ---- texts, into room that the caller has ---- */

enum { JSON_ESCAPED_BYTES = 6 }; /* the most that become of a byte */

/* Writes a string with its quotes, without a NUL: JSON_ESCAPED_BYTES for each byte and 2 more at
 * most. Returns its end; NULL, with something written, if the text is not UTF-8. */
char *json_put_string(char *at, const char *text, size_t size);

/* The same for any bytes, in base64 (RFC 4648): 2 bytes more than 4 for each 3 that were begun. */
char *json_put_base64(char *at, const char *text, size_t size);

/* ---- objects and arrays, into a buffer ---- */

/* Begins as {.out = buffer}, which is the caller's. */
struct json {
    struct buffer *out;
    bool has_item; /* so that a comma comes before the next */
    bool failed;   /* memory is out: something is missing */
};

/* Each of these has a key in an object, and NULL in an array and at the top. A key needs no
 * escapes. */
void json_begin_object(struct json *json, const char *key);
void json_end_object(struct json *json);
void json_begin_array(struct json *json, const char *key);
void json_end_array(struct json *json);
void json_number(struct json *json, const char *key, uint64_t number);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

/* So many thousandths, such as the milliseconds of a time in seconds: a number with three
 * decimals. */
void json_thousandths(struct json *json, const char *key, uint64_t thousandths);

/* A text; if it is not UTF-8 it is in base64, and its key ends in _base64. */
void json_text(struct json *json, const char *key, const char *text);

/* Items of the same array that were written by themselves, with commas between them; or none. */
void json_items(struct json *json, const char *items, size_t size);

#endif
