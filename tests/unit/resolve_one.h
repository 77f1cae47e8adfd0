/*
 * resolve_one: the one address that a text stands for; a test that has none or several of it fails.
 */
#ifndef BANTER_TESTS_RESOLVE_ONE_H
#define BANTER_TESTS_RESOLVE_ONE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/address.h"

static inline struct address resolve_one(const char *text)
{
    struct address_list list;
    struct error error = {"none"};
    address_resolve(text, ADDRESS_TO_LISTEN, &list, &error);
    assert_string_equal(error.text, "none");
    assert_int_equal(list.count, 1);
    struct address address = list.items[0];
    address_list_fini(&list);
    return address;
}

#endif
