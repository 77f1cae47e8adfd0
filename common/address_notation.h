/*
 * address_notation: the texts that stand for addresses, as they are written. What a host's name
 * means is for the resolver (common/address.c).
 */
#ifndef BANTER_COMMON_ADDRESS_NOTATION_H
#define BANTER_COMMON_ADDRESS_NOTATION_H

#include <netinet/in.h>
#include <stdbool.h>

#include "common/address.h"
#include "common/error.h"

#define ADDRESS_PATH_PREFIX "unix:" /* in front of a path */
#define ADDRESS_TLS_PREFIX "tls:"   /* in front of any of the forms */

enum {
    ADDRESS_NAME_MAX_BYTES = 253 /* of a host name: RFC 1035's 255 octets, written with dots */
};

enum address_form {
    ADDRESS_FORM_PATH,
    ADDRESS_FORM_EVERY,
    ADDRESS_FORM_IPV4,
    ADDRESS_FORM_IPV6,
    ADDRESS_FORM_NAME
};

/* A parsed text. The fields in use besides `form` and `port` depend on the form. */
struct address_notation {
    enum address_form form;
    unsigned port;
    const char *path; /* points into the text */
    struct in_addr v4;
    struct in6_addr v6;
    /* ADDRESS_FORM_NAME: the host. ADDRESS_FORM_IPV6: the interface after '%', or "". */
    char name[ADDRESS_NAME_MAX_BYTES + 1];
};

/* Reads a text, which the notation may point into. False, with `error` set, if it is no address. */
bool address_notation_parse(const char *text, enum address_use use,
                            struct address_notation *notation, struct error *error);

#endif
