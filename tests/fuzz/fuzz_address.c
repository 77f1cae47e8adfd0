/*
 * fuzz_address: an address that is taken can be printed and read again; a text that is refused gets
 * a sentence of one line.
 *
 * Input: what the address is for, the text. Host names are not looked up: that is the resolver's.
 */
#include <netdb.h>
#include <string.h>

#include "common/address.h"
#include "common/escape.h"
#include "tests/fuzz/fuzz.h"

/* The linker puts it in the place of getaddrinfo(), which it knows by the other name. */
int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result)
{
    struct addrinfo numeric = *hints;
    numeric.ai_flags |= AI_NUMERICHOST;
    return __real_getaddrinfo(node, service, &numeric, result);
}

static void check_sentence(const char *text)
{
    size_t size = strlen(text);
    FUZZ_REQUIRE(size > 0);
    FUZZ_REQUIRE(escape_shown(text, size, escape_utf8, "") == size);
}

static bool is_same(const struct address *one, const struct address *other)
{
    return one->size == other->size && memcmp(&one->socket, &other->socket, one->size) == 0;
}

static void check_printed(const struct address *address, enum address_use use)
{
    char text[ADDRESS_TEXT_SIZE], again[ADDRESS_TEXT_SIZE];
    struct address_list list;
    struct error error;
    address_print(address, text);
    FUZZ_REQUIRE(strlen(text) < sizeof text);
    FUZZ_REQUIRE(address_check(text, use, &error));
    FUZZ_REQUIRE(address_resolve(text, use, &list, &error) == ADDRESS_OK);
    FUZZ_REQUIRE(list.count == 1);
    address_print(&list.items[0], again);
    FUZZ_REQUIRE(strcmp(text, again) == 0);
    /* One that is mapped into IPv6 is printed as the IPv4 address that it is. */
    bool is_mapped = address->socket.any.sa_family != list.items[0].socket.any.sa_family;
    FUZZ_REQUIRE(is_mapped ? IN6_IS_ADDR_V4MAPPED(&address->socket.v6.sin6_addr)
                           : is_same(address, &list.items[0]));
    address_list_fini(&list);
}

static void check_port(struct address *address)
{
    unsigned port = address_port(address);
    bool is_path = address->socket.any.sa_family == AF_UNIX;
    FUZZ_REQUIRE(port <= 65535 && (!is_path || port == 0));
    address_set_port(address, 4711);
    FUZZ_REQUIRE(address_port(address) == (is_path ? 0 : 4711));
    address_set_port(address, port);
    FUZZ_REQUIRE(address_port(address) == port);
}

/* A name ends in what is printed of the address, if it does not have the host's name. */
static void check_named(const struct address *address, const char *text)
{
    char host[ADDRESS_HOST_SIZE], name[ADDRESS_NAMED_SIZE], plain[ADDRESS_TEXT_SIZE];
    bool is_tls = strncmp(text, "tls:", 4) == 0;
    address_print_named(address, text, name);
    address_print(address, plain);
    FUZZ_REQUIRE(address_is_tls(text) == is_tls);
    FUZZ_REQUIRE(is_tls == (strncmp(name, "tls:", 4) == 0));
    FUZZ_REQUIRE(strstr(name, plain) || strstr(name, address_host(text, host)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    enum address_use use = fuzz_below(&input, 2) ? ADDRESS_TO_LISTEN : ADDRESS_TO_CONNECT;
    char *text = strndup((const char *) input.at, input.left);
    struct address_list list = {NULL, 7};
    struct error error = {""};
    FUZZ_REQUIRE(text);

    bool is_right = address_check(text, use, &error);
    if (!is_right)
        check_sentence(error.text);
    error.text[0] = '\0';
    enum address_result result = address_resolve(text, use, &list, &error);
    FUZZ_REQUIRE(is_right == (result != ADDRESS_MALFORMED));
    if (result == ADDRESS_OK) {
        FUZZ_REQUIRE(list.count > 0);
        for (size_t i = 0; i < list.count; i++) {
            check_printed(&list.items[i], use);
            check_port(&list.items[i]);
            if (use == ADDRESS_TO_CONNECT)
                check_named(&list.items[i], text);
        }
    } else {
        check_sentence(error.text);
        FUZZ_REQUIRE(list.count == 0);
    }
    address_list_fini(&list);
    free(text);
    return 0;
}
