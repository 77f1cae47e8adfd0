/*
 * test_nats_front: a front on a toy link, whose other side is the test: it sees what was published,
 * says what comes back, and what time it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/errands.h"
#include "server/nats/front.h"
#include "server/nats/link.h"
#include "server/net/admission.h"
#include "tests/unit/log_capture.h"

enum {
    MOST = 40,
    WINDOW = 4,
    TRY_MS = 100,
    START_MS = 1000000,
    NO_SERVER_MS = 2000,
    DOWN_MS = 500,
};

#define INBOX "_INBOX.0123456789abcdef0123456789abcdef"

/* ---- the link ---- */

struct sent {
    char subject[WORDS_GONE_SIZE];
    char token[WORDS_TOKEN_SIZE]; /* "": it wants no reply */
    char body[100];
};

static struct link {
    struct link_owner owner;
    int64_t now_ms;
    struct heap timers;
    struct link_task *tasks[MOST];
    unsigned task_count;
    enum link_result result; /* of what is published next */
    struct sent sent[MOST];
    unsigned sent_count, seen;
} the_link;

struct link *link_open(const struct link_plan *plan, struct error *error)
{
    (void) error;
    the_link = (struct link){.owner = plan->owner, .now_ms = START_MS};
    return heap_reserve(&the_link.timers, MOST) ? &the_link : NULL;
}

bool link_start(struct link *link, int stop_fd, struct error *error)
{
    (void) stop_fd, (void) error;
    link->owner.up(link->owner.context);
    return true;
}

void link_stop(struct link *link) { heap_fini(&link->timers); }

void link_post(struct link *link, struct link_task *task)
{
    assert_true(link->task_count < MOST);
    link->tasks[link->task_count++] = task;
}

enum link_result link_publish(struct link *link, const char *subject, const char *reply,
                              const void *data, size_t size)
{
    if (link->result != LINK_SENT)
        return link->result;
    assert_true(link->sent_count < MOST);
    struct sent *sent = &link->sent[link->sent_count++];
    snprintf(sent->subject, sizeof sent->subject, "%s", subject);
    snprintf(sent->token, sizeof sent->token, "%s", reply ? reply + strlen(INBOX ".") : "");
    snprintf(sent->body, sizeof sent->body, "%.*s", (int) size, (const char *) data);
    return LINK_SENT;
}

const char *link_inbox(const struct link *link)
{
    (void) link;
    return INBOX;
}

size_t link_max_payload(const struct link *link)
{
    (void) link;
    return 1000;
}

int64_t link_now_ms(const struct link *link) { return link->now_ms; }

bool link_set_timer(struct link *link, struct link_timer *timer, int64_t at_ms)
{
    heap_put(&link->timers, &timer->item, at_ms);
    return true;
}

void link_clear_timer(struct link *link, struct link_timer *timer)
{
    heap_remove(&link->timers, &timer->item);
}

void link_figures(struct link *link, struct link_figures *figures)
{
    (void) link;
    *figures = (struct link_figures){0};
}

/* ---- the front, and who asks ---- */

struct order {
    struct errand errand; /* first */
    unsigned answers;
    char reply[200];
};

static struct handler handler;
static struct errands errands;
static struct admission admission;
static struct log_capture capture;

static void answered(void *context, struct errand *errand, const struct errands_reply *reply)
{
    struct order *order = (struct order *) errand;
    (void) context;
    order->answers++;
    snprintf(order->reply, sizeof order->reply, "%.*s", (int) reply->size, reply->text);
}

/* What the link's thread does from one wait to the next: a message may have come (NULL: none has),
 * before tasks and timers. Then answers reach those who asked. */
static void run_batch_with(const struct link_message *message)
{
    struct heap_item *item;
    the_link.owner.begin(the_link.owner.context);
    if (message)
        the_link.owner.reply(the_link.owner.context, message);
    for (unsigned i = 0; i < the_link.task_count; i++)
        the_link.tasks[i]->run(the_link.tasks[i]->context, the_link.tasks[i]);
    the_link.task_count = 0;
    while ((item = heap_take(&the_link.timers, the_link.now_ms))) {
        struct link_timer *timer = (struct link_timer *) item;
        timer->due(timer->context, timer);
    }
    the_link.owner.end(the_link.owner.context);
    errands_begin_batch(&errands);
    errands_run(&errands);
    errands_end_batch(&errands);
}

static void run_batch(void) { run_batch_with(NULL); }

/* Millisecond by millisecond. */
static void pass(int64_t ms)
{
    for (; ms > 0; ms--) {
        the_link.now_ms++;
        run_batch();
    }
}

/* It comes to the link's thread with the next batch. */
static void post(struct order *order, const char *message)
{
    struct errands_reply reply;
    *order = (struct order){0};
    errands_begin_batch(&errands);
    assert_false(errands_ask(&errands, &order->errand, message, strlen(message), &reply));
    errands_end_batch(&errands);
}

static void ask(struct order *order, const char *message)
{
    post(order, message);
    run_batch();
}

static void open_with(const char *service, const struct nats_options *options)
{
    const struct handler_spec spec = {.argument = service, .nats = options};
    const struct handler_host host = {.log = capture.log};
    struct error error;
    handler = (struct handler){.kind = &front_kind};
    assert_true(front_kind.open(&handler, &spec, &host, &error));
    const struct errands_config config = {
        .handler = &handler,
        .admission = &admission,
        .log = capture.log,
        .origin = "test",
        .answered = answered,
        .context = &errands,
    };
    errands = (struct errands){0};
    assert_true(errands_init(&errands, &config));
}

static const struct nats_options never = {.window = WINDOW};
static const struct nats_options lost = {.window = WINDOW, .runs_again = true, .try_ms = TRY_MS};

static int set_up(void **state)
{
    (void) state;
    log_capture_init(&capture);
    admission = (struct admission){0};
    return 0;
}

/* Ends the front, and reads the log. Nobody waits for an answer. */
static void close_all(void)
{
    assert_int_equal(errands.count, 0);
    handler.kind->close(&handler);
    errands_fini(&errands);
    log_capture_read(&capture);
}

static int tear_down(void **state)
{
    (void) state;
    if (capture.log)
        close_all();
    return 0;
}

/* ---- the other side ---- */

/* The next one that was published; NULL: nothing was. */
static const struct sent *next_sent(void)
{
    return the_link.seen == the_link.sent_count ? NULL : &the_link.sent[the_link.seen++];
}

static void assert_sent(const char *body, const char *token)
{
    const struct sent *sent = next_sent();
    assert_non_null(sent);
    assert_string_equal(sent->body, body);
    assert_string_equal(sent->token, token);
}

static void assert_nothing_sent(void)
{
    const struct sent *sent = next_sent();
    if (sent)
        fail_msg("%s was sent", sent->body);
}

static void assert_reply(const struct order *order, const char *reply)
{
    assert_int_equal(order->answers, 1);
    assert_string_equal(order->reply, reply);
}

static void say(const char *token, unsigned status, const char *error, const char *data)
{
    const struct link_message message = {.subject = token,
                                         .reply = "",
                                         .data = data,
                                         .size = strlen(data),
                                         .status = status,
                                         .error = error};
    run_batch_with(&message);
}

static void answer(const char *token, const char *data) { say(token, 0, NULL, data); }
static void be_busy(const char *token) { say(token, WORDS_BUSY, "busy", "-ERR busy"); }
static void be_nobody(const char *token) { say(token, WORDS_NOBODY, NULL, ""); }

static void lose_server(void)
{
    the_link.result = LINK_DOWN;
    the_link.owner.down(the_link.owner.context);
    run_batch();
}

static void find_server(void)
{
    the_link.result = LINK_SENT;
    the_link.owner.up(the_link.owner.context);
    run_batch();
}

static struct nats_front_figures figures(void)
{
    struct nats_front_figures result;
    front_kind.front_figures(&handler, &result);
    return result;
}

/* ---- replies ---- */

static void a_reply_finds_its_request_or_nobody(void **state)
{
    (void) state;
    static const char *const strange[] = {"",      "0-2-1", "0-1-2", "0-1-0", "1-1-1",
                                          "4-1-1", "x",     "0-1",   "0-0-1", "4294967295-1-1"};
    struct order order;
    open_with("n1/upper", &never);
    ask(&order, "a");
    assert_sent("a", "0-1-1");
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
        answer(strange[i], "wrong");
    assert_int_equal(order.answers, 0);
    assert_int_equal(figures().late, sizeof strange / sizeof *strange);
    answer("0-1-1", "A");
    assert_reply(&order, "A");
    answer("0-1-1", "again");
    assert_reply(&order, "A");
    ask(&order, "b");
    assert_sent("b", "0-2-1");
    answer("0-1-1", "again");
    answer("0-2-1", "B");
    assert_reply(&order, "B");
}

static void an_answer_is_made_of_what_came(void **state)
{
    (void) state;
    static const struct {
        unsigned status;
        const char *error, *data, *reply;
    } table[] = {
        {0, NULL, "", ""},
        {0, NULL, "A", "A"},
        {0, NULL, "-ERR own text", "-ERR own text"},
        {500, "it broke", "", "-ERR handler-failed it broke"},
        {500, "", "", "-ERR handler-failed the service has failed"},
        {400, "bad", "body", "-ERR handler-failed bad"},
        {503, "I can't", "", "-ERR handler-failed I can't"},
        {500, "text", "-ERR own text", "-ERR own text"},
    };
    open_with("n1/upper", &never);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct order order;
        ask(&order, "x");
        say(next_sent()->token, table[i].status, table[i].error, table[i].data);
        assert_reply(&order, table[i].reply);
    }
}

/* ---- tries ---- */

static void never_is_sent_once_whatever_happens(void **state)
{
    (void) state;
    struct order order;
    open_with("n1/upper", &never);
    ask(&order, "a");
    assert_sent("a", "0-1-1");
    pass(5 * TRY_MS);
    lose_server();
    pass(NO_SERVER_MS + 1);
    find_server();
    pass(5 * TRY_MS);
    assert_nothing_sent();
    answer("0-1-1", "A");
    assert_reply(&order, "A");
}

static void lost_is_tried_five_times_each_twice_as_long(void **state)
{
    (void) state;
    struct order order;
    open_with("n1/upper", &lost);
    ask(&order, "a");
    assert_sent("a", "0-1-1");
    int64_t wait_ms = TRY_MS;
    for (char token[] = "0-1-2"; token[4] <= '5'; token[4]++, wait_ms *= 2) {
        pass(wait_ms - 1);
        assert_nothing_sent();
        pass(1);
        assert_sent("a", token);
    }
    pass(4 * wait_ms);
    assert_nothing_sent();
    assert_int_equal(figures().overdue, 4);
    answer("0-1-2", "A"); /* of any of them */
    assert_reply(&order, "A");
    answer("0-1-5", "A");
    assert_int_equal(figures().late, 1);
}

static void busy_is_asked_again_ever_later(void **state)
{
    (void) state;
    enum { TIMES = 20 };
    struct order order;
    int backoff_ms = 1;
    open_with("n1/upper", &never);
    ask(&order, "a");
    for (int i = 0; i < TIMES; i++) {
        be_busy(next_sent()->token);
        pass(backoff_ms / 2); /* half of it, and chance */
        assert_nothing_sent();
        int waited_ms = 0;
        for (; the_link.seen == the_link.sent_count; waited_ms++)
            pass(1);
        assert_in_range(waited_ms, 1, backoff_ms);
        backoff_ms = backoff_ms == 64 ? 64 : 2 * backoff_ms;
    }
    assert_int_equal(figures().busy, TIMES);
    answer(next_sent()->token, "A");
    assert_reply(&order, "A");
}

static void nobody_is_asked_again_and_then_the_service_is_down(void **state)
{
    (void) state;
    struct order order, other;
    open_with("n1/upper", &never);
    ask(&order, "a");
    be_nobody(next_sent()->token);
    while (order.answers == 0) {
        const struct sent *sent = next_sent();
        assert_true(the_link.now_ms <= START_MS + DOWN_MS);
        if (sent)
            be_nobody(sent->token);
        else
            pass(1);
    }
    assert_reply(&order, "-ERR unavailable nobody serves upper");
    assert_int_equal(the_link.now_ms, START_MS + DOWN_MS);
    assert_true(figures().is_down);
    ask(&other, "b"); /* at once */
    assert_reply(&other, "-ERR unavailable nobody serves upper");
    assert_nothing_sent();
    pass(50);
    ask(&other, "c"); /* a probe */
    answer(next_sent()->token, "C");
    assert_reply(&other, "C");
    assert_false(figures().is_down);
    close_all();
    assert_int_equal(log_capture_count(&capture, "Service upper is down"), 1);
    assert_int_equal(log_capture_count(&capture, "Service upper is up"), 1);
}

static void another_shard_is_asked_where_nobody_serves_one(void **state)
{
    (void) state;
    struct order order;
    open_with("n1/upper#3", &never);
    ask(&order, "a");
    const struct sent *sent;
    bool asked[3] = {false};
    for (int i = 0; i < 3; i++) {
        assert_non_null(sent = next_sent());
        assert_memory_equal(sent->subject, "upper.", 6);
        unsigned shard = (unsigned) (sent->subject[6] - '0');
        assert_true(shard < 3 && !asked[shard]);
        asked[shard] = true;
        be_nobody(sent->token);
    }
    assert_nothing_sent();
    pass(50);
    answer(next_sent()->token, "A");
    assert_reply(&order, "A");
}

/* ---- the window ---- */

static void beyond_the_window_requests_wait_in_their_order(void **state)
{
    (void) state;
    struct order orders[WINDOW + 2];
    open_with("n1/upper", &never);
    for (unsigned i = 0; i < WINDOW + 2; i++)
        ask(&orders[i], (char[]){(char) ('a' + i), '\0'});
    for (unsigned i = 0; i < WINDOW; i++)
        assert_non_null(next_sent());
    assert_nothing_sent();
    assert_int_equal(figures().out, WINDOW);
    assert_int_equal(figures().waiting, 2);
    assert_true(handler_is_full(&handler));
    answer("2-1-1", "C");
    assert_sent("e", "2-2-1");
    answer("0-1-1", "A");
    assert_sent("f", "0-2-1");
    for (unsigned slot = 0; slot < WINDOW; slot++)
        answer((char[]){(char) ('0' + slot), '-', slot % 2 ? '1' : '2', '-', '1', '\0'}, "X");
    for (unsigned i = 0; i < WINDOW + 2; i++)
        assert_int_equal(orders[i].answers, 1);
    assert_false(handler_is_full(&handler));
    assert_int_equal(figures().out, 0);
}

static void one_that_comes_beside_an_answer_does_not_overtake(void **state)
{
    (void) state;
    struct order orders[3];
    open_with("n1/upper", &(struct nats_options){.window = 1});
    ask(&orders[0], "a");
    ask(&orders[1], "b");
    post(&orders[2], "c");
    answer("0-1-1", "A");
    assert_sent("a", "0-1-1");
    assert_sent("b", "0-2-1");
    assert_nothing_sent();
    answer("0-2-1", "B");
    answer("0-3-1", "C");
    assert_reply(&orders[2], "C");
}

static void one_that_is_given_up_is_told_to_who_has_it(void **state)
{
    (void) state;
    struct order order;
    open_with("n1/upper", &lost);
    ask(&order, "a");
    pass(TRY_MS);
    assert_sent("a", "0-1-1");
    assert_sent("a", "0-1-2");
    errands_forget(&errands);
    pass(50); /* it is seen by looking */
    for (char token[] = "0-1-1"; token[4] <= '2'; token[4]++) {
        const struct sent *sent = next_sent();
        assert_non_null(sent);
        assert_string_equal(sent->subject, "_INBOX.gone.upper");
        assert_string_equal(sent->token, "");
        assert_string_equal(sent->body + strlen(INBOX "."), token);
    }
    assert_int_equal(figures().given_up, 1);
    assert_int_equal(figures().out, 0);
}

/* ---- servers that are away ---- */

static void without_a_server_a_request_waits_two_seconds(void **state)
{
    (void) state;
    struct order order, late;
    open_with("n1/upper", &never);
    lose_server();
    ask(&order, "a");
    pass(NO_SERVER_MS - 1);
    assert_int_equal(order.answers, 0);
    ask(&late, "b");
    pass(1);
    assert_reply(&order, "-ERR unavailable no NATS server");
    assert_nothing_sent();
    find_server();
    assert_sent("b", "0-1-1");
    answer("0-1-1", "B");
    assert_reply(&late, "B");
}

static void what_does_not_go_out(void **state)
{
    (void) state;
    struct order order;
    open_with("n1/upper", &never);
    the_link.result = LINK_TOO_LONG;
    ask(&order, "a");
    assert_reply(&order, "-ERR too-long the NATS server takes 1000 bytes");
    the_link.result = LINK_FULL;
    ask(&order, "b");
    the_link.result = LINK_SENT;
    pass(10);
    assert_nothing_sent(); /* until there is room */
    the_link.owner.room(the_link.owner.context);
    answer(next_sent()->token, "B");
    assert_reply(&order, "B");
}

static void a_stop_begins_nothing(void **state)
{
    (void) state;
    struct order out, waits;
    open_with("n1/upper", &(struct nats_options){.window = 1});
    ask(&out, "a");
    ask(&waits, "b");
    assert_false(errands_recall(&errands));
    run_batch();
    assert_true(errands_recall(&errands));
    answer("0-1-1", "A");
    assert_reply(&out, "A");
    assert_sent("a", "0-1-1");
    assert_nothing_sent();
    errands_begin_batch(&errands);
    errands_refuse_all(&errands);
    errands_end_batch(&errands);
    assert_reply(&waits, "-ERR busy the server is stopping");
}

static void a_stop_knows_what_may_have_been_begun(void **state)
{
    (void) state;
    struct order order, busy;
    open_with("n1/upper", &lost);
    ask(&order, "a");
    pass(TRY_MS);
    be_busy("0-1-2"); /* but the first try is open */
    ask(&busy, "b");
    be_busy("1-1-1");
    errands_begin_batch(&errands);
    errands_refuse_all(&errands);
    errands_end_batch(&errands);
    assert_reply(&order, "-ERR handler-timeout the server is stopping");
    assert_reply(&busy, "-ERR busy the server is stopping");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reply_finds_its_request_or_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_is_made_of_what_came, set_up, tear_down),
        cmocka_unit_test_setup_teardown(never_is_sent_once_whatever_happens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lost_is_tried_five_times_each_twice_as_long, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(busy_is_asked_again_ever_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_asked_again_and_then_the_service_is_down, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_shard_is_asked_where_nobody_serves_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(beyond_the_window_requests_wait_in_their_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_given_up_is_told_to_who_has_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_a_server_a_request_waits_two_seconds, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_go_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_begins_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_knows_what_may_have_been_begun, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_comes_beside_an_answer_does_not_overtake, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
