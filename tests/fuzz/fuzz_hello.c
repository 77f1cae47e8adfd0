/*
 * fuzz_hello: any bytes get a greeting in UTF-8, upper-cased character by character, or not-utf8
 * with the place of the first byte that is wrong.
 *
 * Input: the message.
 */
#include <banter/handler.h>

#include <stdarg.h>
#include <string.h>

#include <unicase.h>
#include <unictype.h>
#include <unistr.h>

#include "tests/fuzz/fuzz.h"

/* server/handlers/kinds.h declares it too, and would bring the whole server with it. */
extern const struct banter_handler handler_hello_functions;

/* ---- a reply ---- */

enum { LONGEST_MESSAGE = 1024 };

struct banter_reply {
    char bytes[4 * LONGEST_MESSAGE];
    size_t size;
    char refusal[200];
};

char *banter_reply_room(struct banter_reply *reply, size_t size)
{
    FUZZ_REQUIRE(size <= sizeof reply->bytes - reply->size);
    return reply->bytes + reply->size;
}

void banter_reply_added(struct banter_reply *reply, size_t size) { reply->size += size; }

bool banter_reply_append(struct banter_reply *reply, const void *data, size_t size)
{
    if (size > 0)
        memcpy(banter_reply_room(reply, size), data, size);
    banter_reply_added(reply, size);
    return true;
}

void banter_reply_refuse(struct banter_reply *reply, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = snprintf(reply->refusal, sizeof reply->refusal, "%s ", code);
    vsnprintf(reply->refusal + length, sizeof reply->refusal - (size_t) length, format, arguments);
    va_end(arguments);
}

/* ---- the judge: character by character ---- */

static bool is_space(ucs4_t character)
{
    return uc_is_property_white_space(character) || (character >= 0x1c && character <= 0x1f);
}

/* Upper-cases each character alone, into `out`; how many bytes of it are there up to the last that
 * is no white space. False: the byte at `*size` does not begin a character. */
static bool greet(const uint8_t *text, size_t *size, char *out)
{
    size_t length = (size_t) sprintf(out, "Hello ");
    size_t kept = length;
    for (size_t at = 0; at < *size;) {
        ucs4_t character;
        int count = u8_mbtoucr(&character, text + at, *size - at);
        if (count < 0) {
            *size = at;
            return false;
        }
        uint8_t upper[32];
        size_t upper_size = sizeof upper;
        FUZZ_REQUIRE(u8_toupper(text + at, (size_t) count, NULL, NULL, upper, &upper_size) ==
                     upper);
        memcpy(out + length, upper, upper_size);
        length += upper_size;
        if (!is_space(character))
            kept = length;
        at += (size_t) count;
    }
    *size = kept;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct banter_reply reply;
    static char expected[4 * LONGEST_MESSAGE];
    if (size > LONGEST_MESSAGE)
        return -1;
    reply.size = 0;
    reply.refusal[0] = '\0';
    handler_hello_functions.handle(NULL, (const char *) data, size, &reply);

    size_t expected_size = size;
    if (greet(data, &expected_size, expected)) {
        FUZZ_REQUIRE(reply.refusal[0] == '\0');
        FUZZ_REQUIRE(reply.size == expected_size &&
                     memcmp(reply.bytes, expected, expected_size) == 0);
        FUZZ_REQUIRE(!u8_check((const uint8_t *) reply.bytes, reply.size));
    } else {
        sprintf(expected, "not-utf8 the byte at offset %zu ", expected_size);
        FUZZ_REQUIRE(strncmp(reply.refusal, expected, strlen(expected)) == 0);
    }
    return 0;
}
