/* test_program_tagged: IDs, answers in any order, what is late, and what was not read. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/handlers/program/tagged.h"
#include "server/request_owner.h"

enum { ROOM = 4 };

/* What a program is given, and the requests, of which the test has the engine's reference. */
struct fixture {
    struct tagged tagged;
    int fds[2];
    struct request *requests[ROOM];
    unsigned count;
    char why[300];
};

static void begin(struct fixture *fixture)
{
    *fixture = (struct fixture){0};
    assert_true(tagged_init(&fixture->tagged, ROOM));
    assert_int_equal(pipe2(fixture->fds, O_NONBLOCK | O_CLOEXEC), 0);
}

static void add_at(struct fixture *fixture, const char *message, int64_t now_ms)
{
    struct request *request = request_new(NULL, NULL, NULL);
    assert_non_null(request);
    request_start(request, NULL, NULL, 1, message, strlen(message));
    request->deadline_ms = CLOCK_NEVER;
    assert_true(request_hold(request));
    request_release(request);
    assert_true(tagged_add(&fixture->tagged, request, now_ms * 1000));
    fixture->requests[fixture->count++] = request;
}

static void add(struct fixture *fixture, const char *message) { add_at(fixture, message, 1); }

static bool take_at(struct fixture *fixture, const char *text, size_t part, int64_t now_ms)
{
    size_t size = strlen(text);
    bool right = true;
    for (size_t at = 0; right && at < size; at += part)
        right = tagged_take(&fixture->tagged, text + at, size - at < part ? size - at : part,
                            now_ms * 1000, fixture->why, sizeof fixture->why);
    return right;
}

static bool take(struct fixture *fixture, const char *text, size_t part)
{
    return take_at(fixture, text, part, 1);
}

/* Each reply has a bar behind it. NULL: they do not matter. */
static void end(struct fixture *fixture, const char *replies)
{
    char text[400] = "";
    tagged_fini(&fixture->tagged);
    for (unsigned i = 0; i < fixture->count; i++) {
        const struct buffer *reply = &fixture->requests[i]->reply;
        if (buffer_size(reply) > 0)
            strncat(text, buffer_head(reply), buffer_size(reply));
        strcat(text, "|");
        request_unref(fixture->requests[i]);
    }
    if (replies)
        assert_string_equal(text, replies);
    close(fixture->fds[0]);
    close(fixture->fds[1]);
}

static void assert_written(struct fixture *fixture, const char *text)
{
    char seen[200];
    assert_int_equal(tagged_write(&fixture->tagged, fixture->fds[1]), EXCHANGE_WRITTEN);
    assert_true(tagged_is_written(&fixture->tagged));
    ssize_t got = read(fixture->fds[0], seen, sizeof seen);
    assert_int_equal(got, strlen(text));
    assert_memory_equal(seen, text, strlen(text));
}

#define NONE "-ERR handler-failed the handler has not answered|"

static void test_answers_in_any_order(void **state)
{
    (void) state;
    static const char answers[] = "6 third\n4 a b\r\n7 \n5  x\n";
    for (size_t part = 1; part <= strlen(answers); part++) {
        struct fixture fixture;
        begin(&fixture);
        add(&fixture, "one");
        add(&fixture, "");
        add(&fixture, "three");
        add(&fixture, "4");
        assert_true(tagged_is_full(&fixture.tagged));
        assert_written(&fixture, "4 one\n5 \n6 three\n7 4\n");
        assert_true(take(&fixture, answers, part));
        assert_int_equal(fixture.tagged.count, 0);
        end(&fixture, "a b| x|third||");
    }
}

/* What a program answers to the requests 4 and 5 when 6 has been answered. */
static void test_wrong_answers(void **state)
{
    (void) state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"6 again\n", "6 again"},
        {"7 x\n", "7 x"},
        {"8 x\n", "8 x"},
        {"0 x\n", "0 x"},
        {"04 x\n", "04 x"},
        {"4\n", "4"},
        {"4\tx\n", "4\\x09x"},
        {" 4 x\n", " 4 x"},
        {"-4 x\n", "-4 x"},
        {"x\n", "x"},
        {"\n", ""},
        {"18446744073709551620 x\n", "18446744073709551620 x"}, /* 4 but for 64 bits */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t part = 1; part <= strlen(cases[i].text); part++) {
            struct fixture fixture;
            char why[300] = "the program has answered \"";
            begin(&fixture);
            add(&fixture, "x");
            add(&fixture, "y");
            add(&fixture, "z");
            assert_true(take(&fixture, "6 yes\n", 6));
            assert_false(take(&fixture, cases[i].text, part));
            strcat(strcat(why, cases[i].shown), "\", which begins with the ID of no request");
            assert_string_equal(fixture.why, why);
            tagged_refuse(&fixture.tagged, PROTOCOL_HANDLER_FAILED, "wrong");
            end(&fixture, "-ERR handler-failed wrong|-ERR handler-failed wrong|yes|");
        }
}

static void test_an_id_is_used_once(void **state)
{
    (void) state;
    struct fixture fixture;
    begin(&fixture);
    add(&fixture, "a");
    assert_written(&fixture, "4 a\n");
    assert_true(take(&fixture, "4 A\n", 4));
    add(&fixture, "b");
    assert_written(&fixture, "8 b\n");
    assert_false(take(&fixture, "4 A\n", 4));
    end(&fixture, "A|" NONE);
}

/* All is in ms; requests "4 a" and "5 b" are given at 1000 and 1500, and then this is written. */
static void test_when_it_hangs(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        int64_t at_ms, timeout_ms, hangs_ms;
    } cases[] = {
        {"", 0, 100, 1110},
        {"", 0, 0, CLOCK_NEVER},
        {"4 A\n", 1600, 100, 1710},             /* has answered */
        {"5 B\n", 1600, 100, 1710},             /* the later one */
        {"4", 1600, 100, 1710},                 /* begins to answer */
        {"4 A\n5", 1600, 100, 1710},            /* both */
        {"4 A\n5 B\n", 1600, 100, CLOCK_NEVER}, /* has nothing to do */
        {"4 A\n", 1100, 100, 1610},             /* what it has left was given later */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture fixture;
        begin(&fixture);
        add_at(&fixture, "a", 1000);
        add_at(&fixture, "b", 1500);
        assert_true(take_at(&fixture, cases[i].text, 10, cases[i].at_ms));
        assert_int_equal(tagged_hangs_ms(&fixture.tagged, cases[i].timeout_ms), cases[i].hangs_ms);
        end(&fixture, NULL);
    }
}

/* An answer goes on only once. */
static void test_half_an_answer_is_no_progress(void **state)
{
    (void) state;
    struct fixture fixture;
    begin(&fixture);
    add_at(&fixture, "a", 1000);
    assert_true(take_at(&fixture, "4 ", 2, 1500));
    assert_true(take_at(&fixture, "A", 1, 1600));
    assert_int_equal(tagged_hangs_ms(&fixture.tagged, 1000), 2510);
    assert_true(take_at(&fixture, "\n", 1, 1700));
    assert_int_equal(tagged_hangs_ms(&fixture.tagged, 1000), CLOCK_NEVER);
    end(&fixture, "A|");
}

/* What comes too late is dropped, and its ID was known. */
static void test_a_late_answer(void **state)
{
    (void) state;
    struct fixture fixture;
    begin(&fixture);
    add(&fixture, "a");
    add(&fixture, "b");
    assert_true(request_cancel(fixture.requests[0]));
    assert_true(take(&fixture, "4 late\n5 b\n", 3));
    end(&fixture, "|b|");
}

/* Of "4 a", "5 bb" and "6 c", 13 bytes, so many are written and then unread; and those go back. */
static void test_what_was_not_read(void **state)
{
    (void) state;
    static const struct {
        size_t written, unread;
        const char *back;
    } cases[] = {
        {13, 0, ""},     {13, 3, ""},      {13, 4, "c"},       {13, 8, "c"},
        {13, 9, "bb,c"}, {13, 12, "bb,c"}, {13, 13, "a,bb,c"}, {0, 0, "a,bb,c"},
        {4, 0, "bb,c"},  {5, 0, "c"},      {5, 1, "bb,c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture fixture;
        struct request *request;
        char back[32] = "";
        begin(&fixture);
        add(&fixture, "a");
        add(&fixture, "bb");
        add(&fixture, "c");
        buffer_consume(&fixture.tagged.output, cases[i].written);
        fixture.tagged.written = cases[i].written;
        while ((request = tagged_return(&fixture.tagged, cases[i].unread))) {
            strcat(back, *back ? "," : "");
            strncat(back, request_message(request), request_size(request));
            request_reply(request, "-", 1);
            request_release(request);
        }
        assert_string_equal(back, cases[i].back);
        tagged_refuse(&fixture.tagged, "no", "x");
        assert_int_equal(fixture.tagged.count, 0);
        end(&fixture, *back == 'a'   ? "-|-|-|"
                      : *back == 'b' ? "-ERR no x|-|-|"
                      : *back        ? "-ERR no x|-ERR no x|-|"
                                     : "-ERR no x|-ERR no x|-ERR no x|");
    }
}

static void test_writes_as_there_is_room(void **state)
{
    (void) state;
    enum { SIZE = 300000 };
    static char message[SIZE + 1], seen[SIZE + 10];
    struct fixture fixture;
    size_t size = 0;
    begin(&fixture);
    memset(message, 'x', SIZE);
    add(&fixture, message);
    while (tagged_write(&fixture.tagged, fixture.fds[1]) == EXCHANGE_BLOCKED) {
        assert_false(tagged_is_written(&fixture.tagged));
        ssize_t got = read(fixture.fds[0], seen + size, sizeof seen - size);
        assert_true(got > 0);
        size += (size_t) got;
    }
    for (ssize_t got; (got = read(fixture.fds[0], seen + size, sizeof seen - size)) > 0;)
        size += (size_t) got;
    assert_int_equal(size, SIZE + 3);
    assert_int_equal(fixture.tagged.written, size);
    assert_memory_equal(seen, "4 x", 3);
    assert_int_equal(seen[size - 1], '\n');
    close(fixture.fds[0]);
    add(&fixture, "y");
    assert_int_equal(tagged_write(&fixture.tagged, fixture.fds[1]), EXCHANGE_CLOSED);
    fixture.fds[0] = fixture.fds[1];
    end(&fixture, NONE NONE);
}

static void test_an_answer_that_is_too_long(void **state)
{
    (void) state;
    struct fixture fixture;
    size_t size = PROTOCOL_MAX_REPLY;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'x', size);
    begin(&fixture);
    add(&fixture, "a");
    assert_true(take(&fixture, "4 ", 2));
    assert_true(tagged_take(&fixture.tagged, text, size, 1, fixture.why, sizeof fixture.why));
    assert_false(tagged_take(&fixture.tagged, text, 100, 1, fixture.why, sizeof fixture.why));
    assert_string_equal(fixture.why, "the program's answer is longer than 16 MiB");
    free(text);
    end(&fixture, NONE);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_in_any_order),
        cmocka_unit_test(test_wrong_answers),
        cmocka_unit_test(test_an_id_is_used_once),
        cmocka_unit_test(test_when_it_hangs),
        cmocka_unit_test(test_half_an_answer_is_no_progress),
        cmocka_unit_test(test_a_late_answer),
        cmocka_unit_test(test_what_was_not_read),
        cmocka_unit_test(test_writes_as_there_is_room),
        cmocka_unit_test(test_an_answer_that_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
