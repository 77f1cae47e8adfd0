/* test_memory_out: whichever call for memory fails, once or from then on, no client gets anything
 * in the place of a reply but the reply, an error, or the end of the connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/request_owner.h"
#include "tests/unit/shard_fixture.h"

/* ---- memory that runs out ---- */

static struct {
    unsigned left; /* calls that succeed before one fails; 0: none fails any more */
    bool for_good; /* and all behind it */
    unsigned failed;
} memory;

static bool fails(void)
{
    if (!memory.left || (memory.left > 1 && --memory.left))
        return false;
    if (!memory.for_good)
        memory.left = 0;
    memory.failed++;
    return true;
}

/* The linker puts these in the place of the library's, whose names are reserved. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *data, size_t size);

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *data, size_t size)
{
    return fails() ? NULL : __real_realloc(data, size);
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- what clients say and may hear ---- */

#define LINE_40 "0123456789012345678901234567890123456789"

static const struct {
    const char *requests;    /* "hold" is answered with "held" once all is said */
    const char *replies[10]; /* as far as there is memory; NULL: the bytes of "big" */
    unsigned count;
} conversations[] = {
    {"a\nb\nc\n", {"a", "b", "c"}, 3},
    {"built\n\nbuilt\n", {"built", "", "built"}, 3},
    {"a\nhold\nb\nforget\nc\n",
     {"a", "held", "b", "-ERR handler-failed the handler has not answered", "c"},
     5},
    {"hold\nlines\n" LINE_40 LINE_40 LINE_40 "\nlast\n",
     {"held", "-ERR handler-failed the handler's reply can't be sent: it holds a line feed",
      "-ERR too-long too long", "last"},
     4},
    {"hold\nbig 3000\nx\nbig 60\ny\n", {"held", NULL, "x", NULL, "y"}, 5},
    {"big 3000\nhold\nbig 200\nx\n", {NULL, "held", NULL, "x"}, 4},
    {"a\nhold\n--QUIT--\n", {"a", "held"}, 2},
};

/* Some of the N bytes that "big" replies. */
static bool is_big(const char *text, size_t size) { return strspn(text, "x") >= size && size > 1; }

/* The next line of what a client has got, or the beginning of one, as a reply. */
static void check_reply(const char *expected, const char *got, size_t size, bool is_whole)
{
    static const char error[] = "-ERR handler-failed ";
    bool is_error = size >= sizeof error - 1 && memcmp(got, error, sizeof error - 1) == 0;
    bool is_it = expected ? strncmp(got, expected, size) == 0 && (!is_whole || !expected[size])
                          : is_big(got, size);
    if (!is_it && !is_error)
        fail_msg("\"%.*s\" in the place of \"%s\"", (int) size, got,
                 expected ? expected : "xxx...");
}

static void check_replies(int client, size_t which)
{
    static char got[16384];
    ssize_t size = recv(client, got, sizeof got - 1, MSG_DONTWAIT);
    got[size > 0 ? size : 0] = '\0';
    unsigned count = 0;
    for (const char *at = got; *at; count++) {
        size_t length = strcspn(at, "\n");
        assert_true(count < conversations[which].count);
        check_reply(conversations[which].replies[count], at, length, at[length]);
        at += length + (at[length] == '\n');
    }
    if (!memory.failed)
        assert_int_equal(count, conversations[which].count);
}

static void answer_held(void)
{
    for (unsigned i = 0; i < fixture.held_count; i++)
        if (fixture.held[i])
            fixture_answer(i, "held");
}

/* The `number`-th call for memory fails. False: there were not so many. */
static bool converse(size_t which, unsigned number, bool for_good)
{
    int client;
    fixture_session(&client);
    fixture.held_count = 0;
    memory.left = number;
    memory.for_good = for_good;
    memory.failed = 0;
    fixture_say(client, conversations[which].requests);
    assert_true(fixture_run());
    answer_held();
    assert_true(fixture_run());
    bool has_failed = memory.failed > 0;
    memory.left = 0;
    check_replies(client, which);
    fixture_end();
    shard_free_dead(&fixture.shard);
    close(client);
    scratch_fini(&fixture.scratch); /* the next one begins with nothing at hand */
    request_spares_fini(&fixture.shard.spares);
    fixture.scratch = (struct scratch){0};
    return has_failed;
}

static void run_out(bool for_good)
{
    for (size_t which = 0; which < sizeof conversations / sizeof conversations[0]; which++) {
        unsigned number = 1;
        while (converse(which, number, for_good))
            number++;
        assert_true(number > 3); /* something has failed at all */
    }
}

static void one_call_for_memory_fails(void **state)
{
    (void) state;
    run_out(false);
}

static void memory_is_out_from_then_on(void **state)
{
    (void) state;
    run_out(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(one_call_for_memory_fails),
        FIXTURE_TEST(memory_is_out_from_then_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
