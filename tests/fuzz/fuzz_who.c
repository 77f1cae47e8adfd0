/*
 * fuzz_who: who is named is found, and nobody else; what is refused gets a sentence of one line.
 *
 * Input: what may be named, the address of a client (4 bytes), the text. Files are not opened.
 */
#include <arpa/inet.h>
#include <string.h>

#include "common/escape.h"
#include "server/net/who.h"
#include "tests/fuzz/fuzz.h"

/* Whether one of the items is an IPv4 network that holds the address. */
static bool judge(const char *text, uint32_t ip)
{
    char *copy = strdup(text), *rest = copy;
    bool found = false;
    for (char *item; (item = strsep(&rest, ","));) {
        struct in_addr base;
        char *slash = strchr(item, '/');
        long bits = slash ? strtol(slash + 1, NULL, 10) : 32;
        if (slash)
            *slash = '\0';
        if (strncasecmp(item, "::ffff:", 7) == 0 && strchr(item, '.')) {
            item += 7;
            bits -= slash ? 96 : 0;
        }
        if (inet_pton(AF_INET, item, &base) == 1)
            found |= bits == 0 || (ntohl(base.s_addr) ^ ip) >> (32 - bits) == 0;
    }
    free(copy);
    return found;
}

static bool add_all(struct who *who, enum who_kind kind, const char *text, struct error *error)
{
    char item[WHO_ITEM_MAX + 1];
    while (who_next(&text, item, error))
        if (!who_add(who, kind, item, error))
            return false;
    return !text;
}

/* What it is found by is itself a set that it is in. */
static void check_found(const struct address *address, const char *text)
{
    char again[WHO_TEXT_SIZE];
    struct who who = {0};
    struct error error;
    FUZZ_REQUIRE(who_add(&who, WHO_CLIENTS, text, &error));
    who_ready(&who);
    FUZZ_REQUIRE(who_has_address(&who, address, again));
    FUZZ_REQUIRE(strcmp(text, again) == 0);
    who_fini(&who);
}

static void check(const struct who *who, const char *text, uint32_t ip)
{
    char found[WHO_TEXT_SIZE];
    struct address address = {.size = sizeof address.socket.v4,
                              .socket.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(ip)}};
    bool is_in = who_has_address(who, &address, found);
    /* Other notations of a mapped address, such as one without dots, are not the judge's. */
    FUZZ_REQUIRE(is_in || !judge(text, ip));
    FUZZ_REQUIRE(!is_in || judge(text, ip) || strchr(text, ':'));
    if (is_in)
        check_found(&address, found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    enum who_kind kind = fuzz_below(&input, 2) ? WHO_CLIENTS : WHO_PROXIES;
    uint32_t ip = 0;
    for (int i = 0; i < 4; i++)
        ip = ip << 8 | fuzz_byte(&input);
    char *text = strndup((const char *) input.at, input.left);
    struct who who = {0};
    struct error error = {""};
    FUZZ_REQUIRE(text);
    if (!strchr(text, '@')) {
        if (add_all(&who, kind, text, &error)) {
            who_ready(&who);
            check(&who, text, ip);
        } else {
            size_t length = strlen(error.text);
            FUZZ_REQUIRE(length > 0);
            FUZZ_REQUIRE(escape_shown(error.text, length, escape_utf8, "") == length);
        }
    }
    who_fini(&who);
    free(text);
    return 0;
}
