/*
 * as_typed: see as_typed.h.
 *
 * Readline calls a function for each byte from 0x80 on. Ours holds them back until they are a
 * character, or can't become one; then they go into the line. That nothing more will come of a
 * beginning is only seen when the next byte is read, hence the look at every byte.
 */
#include "client/as_typed.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <readline/readline.h>

static struct {
    char bytes[MB_LEN_MAX + 1]; /* NUL-terminated */
    size_t size;
} begun;

enum sequence { WHOLE, BEGINNING, NO_CHARACTER };

static enum sequence judge(const char *bytes, size_t size)
{
    mbstate_t state;
    memset(&state, 0, sizeof state);
    const size_t length = mbrtowc(NULL, bytes, size, &state);
    if (length == (size_t) -2)
        return BEGINNING;
    return length == size ? WHOLE : NO_CHARACTER;
}

void as_typed_forget(void) { begun.size = 0; }

/* Puts into the line what will not become a character. */
static void insert_begun(void)
{
    begun.bytes[begun.size] = '\0';
    rl_insert_text(begun.bytes);
    begun.size = 0;
}

/* Whether a byte goes on with what has begun. */
static bool goes_on(int byte)
{
    if (byte < 0 || begun.size == MB_LEN_MAX)
        return false;
    begun.bytes[begun.size] = (char) byte;
    return judge(begun.bytes, begun.size + 1) != NO_CHARACTER;
}

static int read_byte(FILE *stream)
{
    const int byte = rl_getc(stream);
    if (begun.size > 0 && !goes_on(byte))
        insert_begun();
    return byte;
}

/* As rl_insert() would; which may read what comes next while it has half of a character. */
static void insert_character(int count)
{
    begun.bytes[begun.size] = '\0';
    begun.size = 0;
    rl_begin_undo_group();
    if (rl_insert_mode == 0 && rl_point < rl_end) /* overwriting */
        rl_delete(count, 0);
    while (count-- > 0)
        rl_insert_text(begun.bytes);
    rl_end_undo_group();
}

static int take_byte(int count, int byte)
{
    begun.bytes[begun.size++] = (char) byte;
    switch (judge(begun.bytes, begun.size)) {
    case BEGINNING:
        break;
    case NO_CHARACTER:
        insert_begun();
        break;
    case WHOLE:
        insert_character(count);
        break;
    }
    return 0;
}

/* Where the user's settings have not given the byte another meaning. */
static void bind_bytes(const char *keymap_name)
{
    Keymap keymap = rl_get_keymap_by_name(keymap_name);
    for (int byte = 0x80; byte <= UCHAR_MAX; byte++)
        if (keymap[byte].type == ISFUNC && keymap[byte].function == rl_insert)
            rl_bind_key_in_map(byte, take_byte, keymap);
}

void as_typed_init(void)
{
    rl_variable_bind("input-meta", "on");
    rl_variable_bind("output-meta", "on");
    rl_variable_bind("convert-meta", "off");
    if (MB_CUR_MAX == 1) /* each byte is a character */
        return;
    rl_getc_function = read_byte;
    bind_bytes("emacs-standard");
    bind_bytes("vi-insert");
}
