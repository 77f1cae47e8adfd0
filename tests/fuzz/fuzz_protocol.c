/*
 * fuzz_protocol: the words on the wire, against regular expressions.
 *
 * Input: a codec, a message.
 */
#include <regex.h>
#include <string.h>

#include "common/protocol.h"
#include "tests/fuzz/fuzz.h"

static regex_t quit, quit_within, error, unasked;

/* regexec() over `size` bytes, with NUL as any other. It is given a copy that ends in one: the
 * sanitizer looks for it. */
static bool matches(const regex_t *regex, const char *text, size_t size)
{
    regmatch_t whole = {0, (regoff_t) size};
    char *copy = calloc(size + 1, 1);
    FUZZ_REQUIRE(copy);
    memcpy(copy, text, size);
    bool found = regexec(regex, copy, 1, &whole, REG_STARTEND) == 0;
    free(copy);
    return found;
}

static void check_code(const char *reply, size_t size)
{
    int code = protocol_error_code(reply, size);
    FUZZ_REQUIRE((code >= 0) == matches(&error, reply, size));
    for (int each = 0; each < PROTOCOL_CODE_OTHER; each++)
        FUZZ_REQUIRE(protocol_is_error_code(reply, size, protocol_codes[each]) == (each == code));
    FUZZ_REQUIRE(protocol_is_unasked(reply, size) == matches(&unasked, reply, size));
}

/* An error can be read again, in each codec. */
static void check_append(enum frame_codec codec, const char *text, size_t size)
{
    char line[PROTOCOL_ERROR_SIZE];
    struct buffer out = {0};
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\n' || text[i] == '\r' || text[i] == '\0')
            return;
    char *copy = strndup(text, size);
    FUZZ_REQUIRE(copy);
    size_t length = protocol_write_error(line, sizeof line, PROTOCOL_TOO_LONG, copy);
    FUZZ_REQUIRE(length < sizeof line && strlen(line) == length);
    FUZZ_REQUIRE(length == sizeof line - 1 || length == size + strlen("-ERR too-long "));
    FUZZ_REQUIRE(protocol_error_code(line, length) == PROTOCOL_CODE_TOO_LONG);
    FUZZ_REQUIRE(protocol_append_error(&out, codec, PROTOCOL_TOO_LONG, copy));
    FUZZ_REQUIRE(memmem(buffer_head(&out), buffer_size(&out), line, length));
    buffer_fini(&out);
    free(copy);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void) argc;
    (void) argv;
    FUZZ_REQUIRE(regcomp(&quit, "^--QUIT--[ \t\n\v\f\r]*$", REG_EXTENDED) == 0);
    FUZZ_REQUIRE(regcomp(&quit_within, "--QUIT--", REG_EXTENDED) == 0);
    FUZZ_REQUIRE(regcomp(&error, "^-ERR [^ ]", REG_EXTENDED) == 0);
    FUZZ_REQUIRE(
        regcomp(&unasked, "^-ERR (busy|denied|tls-required|stopping)( |$)", REG_EXTENDED) == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    enum frame_codec codec = (enum frame_codec) fuzz_below(&input, FRAME_RAW + 1);
    size_t left = input.left;
    const char *text = left ? (const char *) input.at : "";
    FUZZ_REQUIRE(protocol_is_quit(text, left) == matches(&quit, text, left));
    const char *found = protocol_find_quit(text, left);
    FUZZ_REQUIRE((found != NULL) == matches(&quit_within, text, left));
    FUZZ_REQUIRE(protocol_is_error(text, left) == matches(&error, text, left));
    check_code(text, left);
    check_append(codec, text, left);
    return 0;
}
