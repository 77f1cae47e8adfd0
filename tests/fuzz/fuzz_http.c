/*
 * fuzz_http: heads of HTTP requests against their notation, spelled out as a regular expression;
 * and each beginning of one against the whole.
 *
 * Input: the bytes that a client sends.
 */
#include <regex.h>

#include "server/admin/http.h"
#include "tests/fuzz/fuzz.h"

static regex_t first_line, head;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void) argc;
    (void) argv;
    FUZZ_REQUIRE(regcomp(&first_line, "^([^ \n]+) ([^ \n]+) HTTP/1[.][01]\r?\n", REG_EXTENDED) ==
                 0);
    FUZZ_REQUIRE(regcomp(&head, "^[^\n]*\n(\r?[^\r\n][^\n]*\n|\r\r[^\n]*\n)*\r?\n", REG_EXTENDED) ==
                 0);
    return 0;
}

static bool is_word(const char *text, const regmatch_t *match, const char *word)
{
    size_t size = (size_t) (match->rm_eo - match->rm_so);
    return size == strlen(word) && memcmp(text + match->rm_so, word, size) == 0;
}

static enum http_outcome judge(const char *text)
{
    if (!strchr(text, '\n'))
        return HTTP_MORE;
    if (regexec(&first_line, text, 0, NULL, 0) != 0)
        return HTTP_MALFORMED;
    return regexec(&head, text, 0, NULL, 0) == 0 ? HTTP_REQUEST : HTTP_MORE;
}

static void check_words(const char *text, const struct http_request *request)
{
    regmatch_t words[3];
    FUZZ_REQUIRE(regexec(&first_line, text, 3, words, 0) == 0);
    FUZZ_REQUIRE((request->method == HTTP_GET) == is_word(text, &words[1], "GET"));
    FUZZ_REQUIRE((request->method == HTTP_HEAD) == is_word(text, &words[1], "HEAD"));
    FUZZ_REQUIRE(request->path >= text + words[2].rm_so);
    FUZZ_REQUIRE(request->path + request->path_size <= text + words[2].rm_eo);
    FUZZ_REQUIRE(request->path_size == 0 || !memchr(request->path, '?', request->path_size));
    if (text[words[2].rm_so] == '/')
        FUZZ_REQUIRE(request->path == text + words[2].rm_so);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { LONGEST = 4096 };
    struct http_request request;
    if (size == 0 || size > LONGEST || memchr(data, '\0', size))
        return 0;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    enum http_outcome outcome = http_read_request(text, size, &request);
    FUZZ_REQUIRE(outcome == judge(text));
    if (outcome == HTTP_REQUEST)
        check_words(text, &request);
    for (size_t cut = size < 64 ? 0 : size - 64; cut < size; cut++) {
        enum http_outcome before = http_read_request(text, cut, &request);
        FUZZ_REQUIRE(before == HTTP_MORE || before == outcome);
    }
    free(text);
    return 0;
}
