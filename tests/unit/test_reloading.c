/* reloading: files that take their time, and who asks meanwhile. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/admin/admin.h"
#include "server/admin/reloading.h"
#include "server/reload.h"
#include "tests/unit/log_capture.h"

/* A file whose reading goes on when `go` is posted. */
static struct toy {
    sem_t begun, go;
    bool is_bad;
    unsigned commits;
} toy;

struct asker {
    struct reloading_asker asker; /* first */
    sem_t done;
    bool was_done;
};

static struct fixture {
    struct admin *admin;
    struct reload reload;
    struct reloading *reloading;
    struct log_capture capture;
} fixture;

static void wait_for(sem_t *event)
{
    while (sem_wait(event) != 0)
        continue;
}

static bool prepare(void *context, struct error *error)
{
    (void) context;
    sem_post(&toy.begun);
    wait_for(&toy.go);
    return !toy.is_bad || error_set(error, "it is bad");
}

static void commit(void *context)
{
    (void) context;
    toy.commits++;
}

static void cancel(void *context) { (void) context; }

static void take_done(struct reloading_asker *item, const struct reload_outcome *outcome)
{
    struct asker *asker = (struct asker *) item;
    asker->was_done = outcome->done;
    sem_post(&asker->done);
}

static struct asker new_asker(void)
{
    struct asker asker = {.asker.done = take_done};
    sem_init(&asker.done, 0, 0);
    return asker;
}

static int set_up(void **state)
{
    struct error error;
    (void) state;
    const struct reload_file file = {"list", prepare, commit, cancel, NULL};
    toy = (struct toy){0};
    sem_init(&toy.begun, 0, 0);
    sem_init(&toy.go, 0, 0);
    fixture = (struct fixture){.admin = admin_open()};
    log_capture_init(&fixture.capture);
    reload_add(&fixture.reload, &file, &error);
    fixture.reloading =
        reloading_open(fixture.admin, &fixture.reload, fixture.capture.log, NULL, NULL);
    return fixture.admin && fixture.reloading ? 0 : -1;
}

static void close_all(void)
{
    reloading_close(fixture.reloading);
    admin_close(fixture.admin);
    log_capture_read(&fixture.capture);
}

static void ask_in_admin(struct admin *admin, void *context)
{
    (void) admin;
    reloading_ask(fixture.reloading, context);
}

static void forget_in_admin(struct admin *admin, void *context)
{
    (void) admin;
    reloading_forget(fixture.reloading, context);
}

static void ask(struct asker *asker) { admin_call(fixture.admin, ask_in_admin, asker); }

static void who_asks_hears_what_came_of_it(void **state)
{
    (void) state;
    struct asker asker = new_asker();
    for (int i = 0; i < 4; i++) {
        toy.is_bad = i % 2;
        ask(&asker);
        sem_post(&toy.go);
        wait_for(&asker.done);
        assert_int_equal(asker.was_done, !toy.is_bad);
    }
    close_all();
    assert_int_equal(toy.commits, 2);
    assert_string_equal(fixture.capture.text,
                        "Reloaded: list\nReload failed, nothing has changed: list: it is bad\n"
                        "Reloaded: list\nReload failed, nothing has changed: list: it is bad\n");
}

/* The file may have been changed behind its reading. */
static void who_asks_meanwhile_has_it_read_once_more(void **state)
{
    (void) state;
    struct asker first = new_asker(), second = new_asker(), third = new_asker();
    ask(&first);
    wait_for(&toy.begun);
    ask(&second);
    ask(NULL);
    ask(&third);
    sem_post(&toy.go);
    wait_for(&first.done);
    wait_for(&toy.begun);
    toy.is_bad = true;
    sem_post(&toy.go);
    wait_for(&second.done);
    wait_for(&third.done);
    assert_true(first.was_done && !second.was_done && !third.was_done);
    close_all();
    assert_int_equal(log_capture_count(&fixture.capture, "\n"), 2);
}

/* The admin's thread does not wait for files, nor they for who asked. */
static void who_has_forgotten_it_is_not_told(void **state)
{
    (void) state;
    struct asker now = new_asker(), next = new_asker(), last = new_asker();
    ask(&now);
    wait_for(&toy.begun);
    ask(&next);
    ask(&last);
    admin_call(fixture.admin, forget_in_admin, &now);
    admin_call(fixture.admin, forget_in_admin, &next);
    sem_post(&toy.go);
    sem_post(&toy.go);
    wait_for(&last.done);
    close_all();
    assert_int_equal(sem_trywait(&now.done), -1);
    assert_int_equal(sem_trywait(&next.done), -1);
}

static void *let_go(void *argument)
{
    sem_post(argument);
    return NULL;
}

static void its_end_waits_for_files(void **state)
{
    (void) state;
    pthread_t thread;
    ask(NULL);
    wait_for(&toy.begun);
    assert_int_equal(pthread_create(&thread, NULL, let_go, &toy.go), 0);
    close_all();
    pthread_join(thread, NULL);
    assert_int_equal(toy.commits, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(who_asks_hears_what_came_of_it, set_up),
        cmocka_unit_test_setup(who_asks_meanwhile_has_it_read_once_more, set_up),
        cmocka_unit_test_setup(who_has_forgotten_it_is_not_told, set_up),
        cmocka_unit_test_setup(its_end_waits_for_files, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
