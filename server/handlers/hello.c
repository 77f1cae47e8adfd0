/*
 * hello: the tutorials' handler. "Zack" becomes "Hello ZACK": trailing white space goes as with
 * Python's str.rstrip(), and the rest is upper-cased as with str.upper(), for all of Unicode.
 */
#include <banter/handler.h>

#include <stdlib.h>
#include <string.h>

#include <unicase.h>
#include <unictype.h>
#include <unistr.h>

#include "common/protocol.h"
#include "server/handlers/kinds.h"

static const char greeting[] = "Hello ";
enum { GREETING_SIZE = sizeof greeting - 1 };

/* Python's str.isspace(): Unicode's white space, and the four information separators. */
static bool is_space(ucs4_t character)
{
    return uc_is_property_white_space(character) || (character >= 0x1c && character <= 0x1f);
}

/* Walks back by characters, not by bytes: the byte 0x85, say, also occurs within characters. */
static __attribute__((noinline)) size_t strip_space(const uint8_t *text, size_t size)
{
    while (size > 0) {
        ucs4_t character;
        const uint8_t *last = u8_prev(&character, text + size, text);
        if (!last || !is_space(character))
            break;
        size = (size_t) (last - text);
    }
    return size;
}

static size_t strip(const uint8_t *text, size_t size)
{
    /* The most frequent case; the library would say the same. */
    bool is_stripped = size == 0 || (text[size - 1] > ' ' && text[size - 1] < 0x7f);
    return is_stripped ? size : strip_space(text, size);
}

/* The compiler makes of these what the processor has: SSE2, NEON, or plain words. */
enum { BLOCK_SIZE = 16 };
typedef uint8_t block __attribute__((vector_size(BLOCK_SIZE)));
typedef int8_t signed_block __attribute__((vector_size(BLOCK_SIZE)));
typedef uint64_t halves __attribute__((vector_size(BLOCK_SIZE)));

/* Upper-cases ASCII; what is not comes out as something else that is not. */
static block upper(block bytes)
{
    /* Moved to where 'z' is the largest signed byte, the letters need one comparison. It gives 0xff
     * for those bytes of which it is true. */
    signed_block moved = (signed_block) (bytes + (INT8_MAX - 'z'));
    block letters = (block) (moved >= 'a' + (INT8_MAX - 'z'));
    return bytes ^ (letters & ('a' - 'A'));
}

static block upper_block(const uint8_t *text, char *out)
{
    block bytes;
    memcpy(&bytes, text, sizeof bytes);
    block result = upper(bytes);
    memcpy(out, &result, sizeof result);
    return bytes;
}

/* The same for up to half a block. Inlined, so that the size is a constant. */
static inline __attribute__((always_inline)) block upper_part(const uint8_t *text, size_t size,
                                                              char *out)
{
    uint64_t word = 0;
    memcpy(&word, text, size);
    halves bytes = {word};
    word = ((halves) upper((block) bytes))[0];
    memcpy(out, &word, size);
    return (block) bytes;
}

/* Upper-cases a multiple of four bytes. False if they are not all ASCII. */
static bool upper_blocks(const uint8_t *text, size_t size, char *out)
{
    size_t i = 0;
    block seen = {0};
#pragma GCC unroll 8
    for (; size - i >= BLOCK_SIZE; i += BLOCK_SIZE)
        seen |= upper_block(text + i, out + i);
    if (size & 8) {
        seen |= upper_part(text + i, 8, out + i);
        i += 8;
    }
    if (size & 4)
        seen |= upper_part(text + i, 4, out + i);
    halves top = (halves) seen & UINT64_C(0x8080808080808080);
    return !(top[0] | top[1]);
}

/* Upper-cases text that is all ASCII. False, with `out` written in vain, if it is not. */
static bool upper_ascii(const uint8_t *text, size_t size, char *out)
{
    size_t i = size - size % 4;
    if (i > 0 && !upper_blocks(text, i, out))
        return false;
    uint8_t seen = 0;
    for (; i < size; i++) {
        uint8_t byte = text[i];
        seen |= byte;
        out[i] = (char) (byte >= 'a' && byte <= 'z' ? byte - 0x20 : byte);
    }
    return seen < 0x80;
}

static void refuse_not_utf8(struct banter_reply *reply, const uint8_t *text, const uint8_t *bad)
{
    banter_reply_refuse(reply, PROTOCOL_NOT_UTF8,
                        "the byte at offset %zu does not begin a character of UTF-8",
                        (size_t) (bad - text));
}

/* Any UTF-8. The result may be three times as long as the text. Not inlined: what it has on its
 * stack would cost every call of hello() a check of the stack. */
static __attribute__((noinline)) void hello_unicode(struct banter_reply *reply, const uint8_t *text,
                                                    size_t size)
{
    const uint8_t *bad = u8_check(text, size);
    if (bad) {
        refuse_not_utf8(reply, text, bad);
        return;
    }
    size = strip(text, size);
    size_t upper_size = 0;
    uint8_t *upper = u8_toupper(text, size, NULL, NULL, NULL, &upper_size);
    if (upper || size == 0) {
        banter_reply_append(reply, greeting, GREETING_SIZE);
        banter_reply_append(reply, upper, upper_size);
    } else {
        banter_reply_refuse(reply, PROTOCOL_HANDLER_FAILED, "out of memory");
    }
    free(upper);
}

static void hello(void *state, const char *message, size_t size, struct banter_reply *reply)
{
    (void) state;
    const uint8_t *text = (const uint8_t *) message;
    char *room = banter_reply_room(reply, GREETING_SIZE + size);
    if (!room)
        return;
    if (!upper_ascii(text, size, room + GREETING_SIZE)) {
        hello_unicode(reply, text, size);
        return;
    }
    memcpy(room, greeting, GREETING_SIZE);
    banter_reply_added(reply, GREETING_SIZE + strip(text, size));
}

const struct banter_handler handler_hello_functions = {
    .abi = BANTER_HANDLER_ABI,
    .name = "hello",
    .handle = hello,
};
