/*
 * options_access: the options that say who may connect.
 */
#ifndef BANTER_SERVER_OPTIONS_ACCESS_H
#define BANTER_SERVER_OPTIONS_ACCESS_H

#include <stdbool.h>

#include "common/address.h"
#include "common/error.h"
#include "server/net/access.h"

struct reload;
struct server_config;

/* What those options say. */
struct access_options {
    struct access *access;    /* NULL: none of them was given */
    bool has_mode, has_group; /* whether these two were given */
    struct address_permissions permissions;
};

/* Each takes the value of the option of its name. False, with `error` set, if it makes no sense. */
bool access_take_socket_mode(struct access_options *options, const char *value,
                             struct error *error);
bool access_take_socket_group(struct access_options *options, const char *value,
                              struct error *error);

bool access_take_who(struct access_options *options, enum access_list list, const char *value,
                     struct error *error);

/* Fills in the defaults, and what the server is to know of it: `options` stays where it is. To be
 * called before there are threads. */
void access_options_apply(struct access_options *options, struct server_config *config);

/* Registers the files that were named. False, with `error` set, if there are too many. */
bool access_options_register(const struct access_options *options, struct reload *reload,
                             struct error *error);

#endif
