/* options_access: see options_access.h. */
#include "server/options_access.h"

#include <grp.h>
#include <string.h>
#include <sys/stat.h>

#include "common/args.h"
#include "common/escape.h"
#include "server/config.h"
#include "server/reload.h"

enum {
    ALL_MAY = 0777,
    MODE_DIGITS = 4,
};

#define MAX_GROUP 0xfffffffeL /* the next one means none */

bool access_take_socket_mode(struct access_options *options, const char *value, struct error *error)
{
    size_t digits = strspn(value, "01234567");
    mode_t mode = 0;
    for (size_t i = 0; i < digits && i < MODE_DIGITS; i++)
        mode = mode << 3 | (mode_t) (value[i] - '0');
    options->has_mode = true;
    options->permissions.mode = mode;
    if (digits > 0 && digits <= MODE_DIGITS && !value[digits] && mode <= ALL_MAY)
        return true;
    char shown[ESCAPE_SIZE];
    return error_set(error, "\"%s\" is no mode; it can be 0 to 777 in octal, such as 660",
                     escape_text(value, strlen(value), shown));
}

bool access_take_socket_group(struct access_options *options, const char *value,
                              struct error *error)
{
    const struct group *group = getgrnam(value);
    struct error ignored;
    long number = 0;
    options->has_group = true;
    if (group || args_number(value, 0, MAX_GROUP, &number, &ignored)) {
        options->permissions.group = group ? group->gr_gid : (gid_t) number;
        return true;
    }
    char shown[ESCAPE_SIZE];
    return error_set(error, "there is no group \"%s\"", escape_text(value, strlen(value), shown));
}

bool access_take_who(struct access_options *options, enum access_list list, const char *value,
                     struct error *error)
{
    if (!options->access && !(options->access = access_new()))
        return error_set(error, "memory is out");
    return access_add(options->access, list, value, error);
}

void access_options_apply(struct access_options *options, struct server_config *config)
{
    config->access = options->access;
    struct address_permissions *permissions = &options->permissions;
    if (!options->has_mode && !options->has_group)
        return;
    if (!options->has_group)
        permissions->group = (gid_t) -1;
    if (!options->has_mode) {
        mode_t mask = umask(0);
        umask(mask);
        permissions->mode = ALL_MAY & ~mask;
    }
    config->socket_permissions = permissions;
}

bool access_options_register(const struct access_options *options, struct reload *reload,
                             struct error *error)
{
    struct access_file *file;
    bool added = true;
    for (unsigned i = 0; options->access && added && (file = access_file(options->access, i)); i++)
        added = reload_add(reload,
                           &(struct reload_file){.name = access_file_name(file),
                                                 .prepare = access_prepare,
                                                 .commit = access_commit,
                                                 .cancel = access_cancel,
                                                 .context = file},
                           error);
    return added;
}
