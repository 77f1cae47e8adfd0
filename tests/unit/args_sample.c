/* args_sample: see args_sample.h. */
#include "tests/unit/args_sample.h"

#include <stdio.h>
#include <string.h>

static bool note(void *context, const char *name, const char *value)
{
    struct args_record *record = context;
    size_t used = strlen(record->text);
    snprintf(record->text + used, sizeof record->text - used, "%s%s%s;", name, value ? "=" : "",
             value ? value : "");
    return true;
}

static bool take_listen(const char *value, void *context, struct error *error)
{
    (void) error;
    return note(context, "listen", value);
}

static bool take_port(const char *value, void *context, struct error *error)
{
    (void) error;
    return note(context, "port", value);
}

static bool take_message(const char *value, void *context, struct error *error)
{
    (void) error;
    return note(context, "message", value);
}

static bool take_clients(const char *value, void *context, struct error *error)
{
    long number;
    return args_number(value, 1, 1000000, &number, error) && note(context, "clients", value);
}

static bool take_wait(const char *value, void *context, struct error *error)
{
    (void) error;
    return note(context, "wait", value);
}

static bool take_quiet(const char *value, void *context, struct error *error)
{
    (void) error;
    return note(context, "quiet", value);
}

static bool take_twice(const char *value, void *context, struct error *error)
{
    const struct args_record *record = context;
    (void) value;
    if (strstr(record->text, "listen"))
        return error_set(error, "it can't stand beside --listen");
    return note(context, "twice", NULL);
}

static bool take_no_noise(const char *value, void *context, struct error *error)
{
    (void) value;
    (void) context;
    return error_set(error, "quiet enough");
}

static bool take_long_story(const char *value, void *context, struct error *error)
{
    (void) value;
    (void) context;
    return error_set(error, "%0600d", 0);
}

static void take_file(struct line_file *file, void *context)
{
    ((struct args_record *) context)->file = file;
}

static const struct args_option options[] = {
    {'l', "listen", "ADDRESS", "where it listens", "127.0.0.1:8000", take_listen},
    {'p', "port", "N", "a port", NULL, take_port},
    {'m', "max-message", "BYTES", "the longest request", "5120", take_message},
    {0, "max-clients", "N", "how many at once", "10000", take_clients},
    {'w', "wait", "[T]", "keep trying", NULL, take_wait},
    {'q', "quiet", NULL, "log less", NULL, take_quiet},
    {0, "qui", NULL, "a name that begins another's", NULL, take_twice},
    {'Q', "no-noise", NULL, "always refused", NULL, take_no_noise},
    {'S', "story", "TEXT", "always bad, at length", NULL, take_long_story},
};

const struct args_program args_sample = {
    .name = "banterd",
    .synopsis = "[OPTION]...",
    .about = "A test.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .take_file = take_file,
};
