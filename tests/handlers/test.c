/* test: a function for each word that a request can begin with. */
#include "tests/handlers/test.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/engine/scaler.h"
#include "server/request_owner.h"
#include "server/session/shard.h"
#include "tests/handlers/later.h"
#include "tests/handlers/together.h"
#include "tests/handlers/work.h"

/* A request cut into words; `rest` is what stands behind the words taken so far, with offsets
 * into the message. */
struct command {
    struct request *request;
    const char *message;
    size_t size;
    size_t at;
};

/* Takes the next word; false at the end. */
static bool take_word(struct command *command, char *word, size_t word_size)
{
    size_t begin = command->at;
    const char *blank = memchr(command->message + begin, ' ', command->size - begin);
    size_t end = blank ? (size_t) (blank - command->message) : command->size;
    if (end == begin || end - begin >= word_size)
        return false;
    memcpy(word, command->message + begin, end - begin);
    word[end - begin] = '\0';
    command->at = blank ? end + 1 : end;
    return true;
}

static long take_number(struct command *command)
{
    char word[32];
    return take_word(command, word, sizeof word) ? strtol(word, NULL, 10) : 0;
}

/* Where the text begins; without a text, the whole request is it. */
static size_t text_offset(const struct command *command)
{
    return command->at < command->size ? command->at : 0;
}

static void answer_text(struct command *command)
{
    size_t offset = text_offset(command);
    request_reply(command->request, command->message + offset, command->size - offset);
}

static void compute_ms(long ms)
{
    int64_t end = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ms * 1000000;
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end)
        for (volatile int i = 0; i < 10000; i++)
            continue;
}

static void compute(struct command *command, struct later *later)
{
    (void) later;
    compute_ms(take_number(command));
    answer_text(command);
}

static void work_off(struct command *command, struct later *later)
{
    (void) later;
    work((uint64_t) take_number(command));
    answer_text(command);
}

static void tell_time(struct command *command, struct later *later)
{
    (void) later;
    char text[32];
    int size = snprintf(text, sizeof text, "%" PRIu64, work_clock_ns());
    request_reply(command->request, text, (size_t) size);
}

static void sleep_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&time, &time) != 0)
        continue;
}

static void sleep_inside(struct command *command, struct later *later)
{
    (void) later;
    sleep_ms(take_number(command));
    answer_text(command);
}

static void stand_still(struct command *command, struct later *later)
{
    (void) later;
    raise(SIGSTOP); /* to this thread, so it stands still before it answers */
    answer_text(command);
}

static void meet(struct command *command, struct later *later)
{
    (void) later;
    together_meet((unsigned) take_number(command));
    answer_text(command);
}

static void crowd(struct command *command, struct later *later)
{
    (void) later;
    char text[32];
    unsigned others = together_enter();
    compute_ms(take_number(command));
    others = together_leave(others);
    int size = snprintf(text, sizeof text, "%u", others);
    request_reply(command->request, text, (size_t) size);
}

static void hold(struct command *command, struct later *later, enum later_act act, long ms)
{
    size_t offset = text_offset(command);
    if (request_hold(command->request))
        later_add(later, command->request, act, ms, offset);
}

static void answer_later(struct command *command, struct later *later)
{
    long ms = take_number(command);
    hold(command, later, LATER_ANSWER, ms);
}

static void answer_twice(struct command *command, struct later *later)
{
    (void) later;
    answer_text(command);
    answer_text(command);
}

static void race(struct command *command, struct later *later)
{
    hold(command, later, LATER_ANSWER, 0);
    /* The hold has copied the message. */
    command->message = request_message(command->request);
    answer_text(command);
}

static void forget(struct command *command, struct later *later) { (void) command, (void) later; }

static void keep(struct command *command, struct later *later)
{
    hold(command, later, LATER_NEVER, 0);
}

/* A call that takes long before it says that the answer comes later. */
static void keep_slowly(struct command *command, struct later *later)
{
    sleep_ms(take_number(command));
    keep(command, later);
}

static void let_go(struct command *command, struct later *later)
{
    hold(command, later, LATER_LET_GO, 0);
}

static void reply(struct command *command, struct later *later)
{
    (void) later;
    char *room = request_room(command->request, command->size);
    size_t used = 0;
    if (!room)
        return;
    for (size_t i = command->at; i < command->size; i++) {
        char byte = command->message[i];
        if (byte == '\\' && i + 1 < command->size) {
            char letter = command->message[++i];
            byte = letter == 'n' ? '\n' : letter == 'r' ? '\r' : letter == '0' ? '\0' : letter;
        }
        room[used++] = byte;
    }
    request_added(command->request, used);
    request_reply_built(command->request);
}

static void refuse(struct command *command, struct later *later)
{
    (void) later;
    char code[64];
    if (!take_word(command, code, sizeof code))
        return;
    request_refuse(command->request, code, "%.*s", (int) (command->size - command->at),
                   command->message + command->at);
}

/* A call that runs on when it has answered. */
static void refuse_and_go_on(struct command *command, struct later *later)
{
    long ms = take_number(command);
    refuse(command, later);
    sleep_ms(ms);
}

static void large(struct command *command, struct later *later)
{
    (void) later;
    size_t size = (size_t) take_number(command);
    char *room = request_room(command->request, size ? size : 1); /* NULL is out of memory */
    if (room) {
        memset(room, 'x', size);
        request_added(command->request, size);
        request_reply_built(command->request);
    }
}

static struct shard *shard_of_request(const struct request *request)
{
    return shard_of(request->loop);
}

/* The loop in which the request is handled, as an index. */
static void tell_loop(struct command *command, struct later *later)
{
    (void) later;
    const struct shard *shard = shard_of_request(command->request);
    char text[32];
    int size = snprintf(text, sizeof text, "%td", shard - shard->shared->shards);
    request_reply(command->request, text, (size_t) size);
}

static void tell_priority(struct command *command, struct later *later)
{
    (void) later;
    compute_ms(take_number(command));
    char text[32];
    int size = snprintf(text, sizeof text, "%d", getpriority(PRIO_PROCESS, 0));
    request_reply(command->request, text, (size_t) size);
}

static void use_loops(struct command *command, struct later *later)
{
    (void) later;
    scaler_use(shard_of_request(command->request)->shared->scaler, (unsigned) take_number(command));
    answer_text(command);
}

static const struct {
    const char *name;
    void (*act)(struct command *command, struct later *later);
} acts[] = {
    {"compute", compute},
    {"sleep", sleep_inside},
    {"stand-still", stand_still},
    {"later", answer_later},
    {"twice", answer_twice},
    {"race", race},
    {"forget", forget},
    {"hold", keep},
    {"let-go", let_go},
    {"reply", reply},
    {"error", refuse},
    {"error-and-sleep", refuse_and_go_on},
    {"size", large},
    {"meet", meet},
    {"crowd", crowd},
    {"work", work_off},
    {"now", tell_time},
    {"loop", tell_loop},
    {"loops", use_loops},
    {"slow-hold", keep_slowly},
    {"priority", tell_priority},
};

static void handle(struct handler *handler, struct request *request)
{
    struct command command = {request, request_message(request), request_size(request), 0};
    char word[32];
    if (take_word(&command, word, sizeof word))
        for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
            if (strcmp(word, acts[i].name) == 0) {
                acts[i].act(&command, handler->state);
                return;
            }
    request_reply(request, command.message, command.size);
}

static bool open_test(struct handler *handler, const struct handler_spec *spec,
                      const struct handler_host *host, struct error *error)
{
    (void) spec, (void) host;
    handler->state = later_start();
    return handler->state || error_set(error, "unable to start a thread");
}

static void close_test(struct handler *handler) { later_stop(handler->state); }

const struct handler_kind handler_test = {
    .name = "test",
    .usage = "test",
    .help = "does what the request says",
    .open = open_test,
    .handle = handle,
    .close = close_test,
};
