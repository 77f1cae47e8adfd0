/* test_session_input: what a session holds of what its client has sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/session/input.h"
#include "tests/unit/shard_fixture.h"

enum { LONG_BYTES = 3 << 20 };

/* Sends `size` bytes of a message, in as many turns as it takes. */
static void say_bytes(int client, size_t size)
{
    static char text[1 << 16];
    memset(text, 'x', sizeof text);
    while (size > 0) {
        size_t piece = size < sizeof text ? size : sizeof text;
        assert_int_equal(send(client, text, piece, MSG_NOSIGNAL), piece);
        assert_true(fixture_run());
        size -= piece;
    }
}

static const size_t rests[] = {1, 100, 40000, 70000, 200000};

static void what_is_left_over_keeps_no_more_memory_than_it_needs(void **state)
{
    (void) state;
    fixture.shared.settings.rules.max_bytes = LONG_BYTES;
    for (unsigned i = 0; i < sizeof rests / sizeof rests[0]; i++) {
        int client;
        struct session *session = fixture_session(&client);
        for (int turns = 0; turns < 3; turns++) {
            say_bytes(client, LONG_BYTES - (turns ? rests[i] : 0));
            fixture_say(client, "\n");
            assert_true(fixture_run());
            fixture_expect(client, "long\n");
            say_bytes(client, rests[i]);
            const struct buffer *input = &session->active->input;
            assert_int_equal(buffer_size(input), rests[i]);
            assert_true(input->capacity <= 2 * (rests[i] + (64 << 10)));
        }
        /* A request and a bit, again and again. */
        for (int turns = 0; turns < 10; turns++) {
            fixture_say(client, "\nx");
            assert_true(fixture_run());
            assert_int_equal(buffer_size(&session->active->input), 1);
            assert_true(session->active->input.capacity <= 2 * (1 + (64 << 10)));
        }
        close(client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(what_is_left_over_keeps_no_more_memory_than_it_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
