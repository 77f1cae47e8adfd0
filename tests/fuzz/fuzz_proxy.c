/*
 * fuzz_proxy: a header is complete at one size and incomplete at each smaller one, and what was
 * wrong stays wrong; what it says can be shown.
 *
 * Input: the bytes that a connection begins with.
 */
#include <string.h>

#include "server/net/proxy.h"
#include "tests/fuzz/fuzz.h"

struct outcome {
    enum proxy_result result;
    size_t used;
    const char *why;
    struct proxy_header header;
};

/* Of the first bytes alone, so that reading behind them shows. */
static struct outcome parse(const uint8_t *data, size_t size)
{
    struct outcome outcome = {.why = NULL};
    char *copy = malloc(size ? size : 1);
    FUZZ_REQUIRE(copy);
    memcpy(copy, data, size);
    outcome.result = proxy_parse(copy, size, &outcome.header, &outcome.used, &outcome.why);
    free(copy);
    return outcome;
}

static void check_complete(const struct outcome *outcome, size_t size)
{
    char text[ADDRESS_TEXT_SIZE];
    const struct proxy_header *header = &outcome->header;
    FUZZ_REQUIRE(outcome->used > 0 && outcome->used <= size && outcome->used <= PROXY_MAX_SIZE);
    FUZZ_REQUIRE(header->tells || !header->identity[0]);
    FUZZ_REQUIRE(!header->common_name[0] == !header->identity[0]);
    FUZZ_REQUIRE(strlen(header->common_name) < PROXY_NAME_SIZE);
    FUZZ_REQUIRE(strlen(header->identity) < PROXY_NAME_SIZE);
    if (header->tells) {
        address_print(&header->address, text);
        FUZZ_REQUIRE(strlen(text) < ADDRESS_TEXT_SIZE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum proxy_result before = PROXY_INCOMPLETE;
    struct outcome whole = parse(data, size);
    if (whole.result == PROXY_COMPLETE)
        check_complete(&whole, size);
    for (size_t cut = 0; cut <= size; cut++) {
        struct outcome part = parse(data, cut);
        FUZZ_REQUIRE(before == PROXY_INCOMPLETE || part.result == before);
        FUZZ_REQUIRE((part.result == PROXY_WRONG) == (part.why != NULL));
        FUZZ_REQUIRE(part.result != PROXY_COMPLETE || part.used == whole.used);
        FUZZ_REQUIRE(part.result != PROXY_INCOMPLETE || cut < PROXY_MAX_SIZE);
        if (whole.result == PROXY_COMPLETE)
            FUZZ_REQUIRE((part.result == PROXY_COMPLETE) == (cut >= whole.used));
        before = part.result;
    }
    return 0;
}
