/* reload: all files, or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/reload.h"

enum { FILES = 3 };

/* A file of one letter, and what is called for it. */
struct toy {
    char name[8];
    bool is_bad;
};

static char calls[40];

static void note(char what, const struct toy *toy)
{
    char text[] = {what, toy->name[0], ' ', '\0'};
    strcat(calls, text);
}

static bool prepare(void *context, struct error *error)
{
    const struct toy *toy = context;
    note('p', toy);
    return !toy->is_bad || error_set(error, "line 3: %s", "it is bad");
}

static void commit(void *context) { note('c', context); }

static void cancel(void *context) { note('x', context); }

static void add(struct reload *reload, struct toy *toy)
{
    struct error error;
    const struct reload_file file = {toy->name, prepare, commit, cancel, toy};
    assert_true(reload_add(reload, &file, &error));
}

static void all_are_committed_or_none(void **state)
{
    (void) state;
    static const struct {
        int bad; /* -1: none */
        const char *calls, *file;
    } table[] = {
        {-1, "pa pb pc ca cb cc ", NULL},
        {0, "pa ", "a"},
        {1, "pa pb xa ", "b"},
        {2, "pa pb pc xa xb ", "c"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct toy toys[FILES] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
        struct reload reload = {0};
        struct reload_outcome outcome;
        for (int k = 0; k < FILES; k++) {
            toys[k].is_bad = k == table[i].bad;
            add(&reload, &toys[k]);
        }
        calls[0] = '\0';
        reload_all(&reload, &outcome);
        assert_string_equal(calls, table[i].calls);
        assert_int_equal(outcome.done, !table[i].file);
        if (outcome.done) {
            assert_string_equal(outcome.files, "a b c");
        } else {
            assert_string_equal(outcome.file, table[i].file);
            assert_string_equal(outcome.why.text, "line 3: it is bad");
        }
    }
}

static void without_files_there_is_nothing_to_reload(void **state)
{
    (void) state;
    struct reload reload = {0};
    struct reload_outcome outcome;
    reload_all(&reload, &outcome);
    assert_true(outcome.done);
    assert_string_equal(outcome.files, "nothing");
}

static void a_file_is_named_once(void **state)
{
    (void) state;
    struct toy toys[] = {{.name = "a"}, {.name = "b"}, {.name = "a"}};
    struct reload reload = {0};
    struct reload_outcome outcome;
    for (size_t i = 0; i < sizeof toys / sizeof *toys; i++)
        add(&reload, &toys[i]);
    reload_all(&reload, &outcome);
    assert_string_equal(outcome.files, "a b");
}

static void names_that_are_long_are_left_out(void **state)
{
    (void) state;
    static char names[FILES][600];
    struct toy toy = {0};
    struct reload reload = {0};
    struct reload_outcome outcome;
    struct error error;
    for (int i = 0; i < FILES; i++) {
        memset(names[i], 'a' + i, i == 2 ? 400 : sizeof names[i] - 1);
        const struct reload_file file = {names[i], prepare, commit, cancel, &toy};
        assert_true(reload_add(&reload, &file, &error));
    }
    calls[0] = '\0';
    reload_all(&reload, &outcome);
    assert_int_equal(strlen(outcome.files), 599 + 1 + 400);
}

static void there_is_a_limit(void **state)
{
    (void) state;
    struct toy toy = {.name = "a"};
    struct reload reload = {0};
    struct error error;
    for (int i = 0; i < RELOAD_MAX; i++)
        add(&reload, &toy);
    const struct reload_file file = {toy.name, prepare, commit, cancel, &toy};
    assert_false(reload_add(&reload, &file, &error));
    assert_string_equal(error.text, "a: there can be 64 files at most");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_committed_or_none),
        cmocka_unit_test(without_files_there_is_nothing_to_reload),
        cmocka_unit_test(a_file_is_named_once),
        cmocka_unit_test(names_that_are_long_are_left_out),
        cmocka_unit_test(there_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
