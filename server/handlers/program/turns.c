/* turns: writing, reading and looking. */
#include "server/handlers/program/turns.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/handlers/program/tagged.h"
#include "server/log/log.h"
#include "server/request.h"

enum {
    /* From the hand-over of a request to the first look, if nothing comes before: of an instance
     * that is expected to answer with something, and of one that is not. A timer costs more than
     * most answers do. */
    BEGIN_LOOK_US = 1000,
    BEGIN_DOUBTED_LOOK_US = 100,
    QUICK_LOOKS = 4,    /* behind a line, at once */
    FIRST_LOOK_US = 20, /* from one look to the next; doubles */
    MAX_LOOK_US = 1000,
    LOOKS_A_MS = 32,          /* of those that are looked at, more share what these would cost */
    HOLD_US = 10000,          /* how long a line is held while the turn is not over */
    START_RESTS_US = 100000,  /* from its start an instance must rest for so long */
    START_HIDDEN_US = 200000, /* the same, silent, if the system does not show what it does */
    HIDDEN_US = 2000,         /* such a one has written a line, and nothing for so long */
    UNSURE_US = 100000,       /* threads or children that stay for so long are there to stay */
    MAX_SILENT_TURNS = 8,     /* of several sessions */
    TAGGED_LOOK_US = 5000,    /* one with tagged requests was given nothing, and silent, so long */
    MAX_READS = 64,           /* of one that rests, before others have their turn */
};

#define SILENT_TEXT                                                                                \
    "the program has answered nothing; if it keeps its output in a buffer, see --pty"
#define BUFFERS_TEXT "the program keeps its output in a buffer: see --pty"

/* ---- what becomes of the instance ---- */

/* The first outcome counts. */
static void end(struct worker *worker, enum turn_outcome outcome)
{
    if (worker->outcome == TURN_GOES_ON)
        worker->outcome = outcome;
}

static void lose(struct workers *workers, struct worker *worker, const char *why)
{
    snprintf(workers->why, sizeof workers->why, "%s", why);
    end(worker, TURN_LOST);
}

static void break_off(struct worker *worker, const char *why)
{
    worker->broken = why;
    end(worker, TURN_BROKEN);
}

static enum turn_outcome take_outcome(struct worker *worker)
{
    enum turn_outcome outcome = worker->outcome;
    worker->outcome = TURN_GOES_ON;
    return outcome;
}

/* ---- when to look ---- */

static void look_after(struct workers *workers, struct worker *worker, int64_t delay_us)
{
    struct look_timer *timer = &worker->timer;
    if (!timer->due_us) {
        LIST_INSERT_HEAD(&workers->looking, worker, timer.entry);
        workers->looking_count++;
    }
    timer->delay_us = delay_us;
    timer->due_us = workers->instances->now_us + delay_us;
    if (timer->due_us < workers->look_due_us)
        workers->look_due_us = timer->due_us;
}

static void look_again(struct workers *workers, struct worker *worker)
{
    int64_t delay_us = worker->timer.due_us ? worker->timer.delay_us * 2 : FIRST_LOOK_US;
    int64_t most_us = MAX_LOOK_US * (1 + (int64_t) workers->looking_count / LOOKS_A_MS);
    look_after(workers, worker, delay_us < most_us ? delay_us : most_us);
}

static void look_no_more(struct workers *workers, struct worker *worker)
{
    if (worker->timer.due_us) {
        LIST_REMOVE(worker, timer.entry);
        workers->looking_count--;
    }
    worker->timer.due_us = 0;
}

/* ---- watching for room in the input ---- */

static void stop_watching_input(struct workers *workers, struct worker *worker)
{
    if (worker->input_watched)
        instance_watch_input(workers->instances, worker->instance, false);
    worker->input_watched = false;
}

static void watch_input(struct workers *workers, struct worker *worker)
{
    if (worker->input_watched)
        return;
    worker->input_watched = instance_watch_input(workers->instances, worker->instance, true);
    if (!worker->input_watched)
        lose(workers, worker, "out of memory");
}

void turns_stop(struct workers *workers, struct worker *worker)
{
    look_no_more(workers, worker);
    stop_watching_input(workers, worker);
}

/* ---- what has been written ---- */

static void log_greeting(const struct workers *workers, struct worker *worker)
{
    struct instance_state *state = &worker->state;
    const struct answer *greeting = &state->greeting;
    size_t size = greeting->marked ? greeting->line_begin : buffer_size(&greeting->text);
    if (size > 0)
        instance_log(workers->instances, worker->instance, LOG_WORKER_GREETING, "greets",
                     buffer_head(&greeting->text), size);
    buffer_fini(&state->greeting.text);
}

static bool take_greeting(struct workers *workers, struct worker *worker, const char *text,
                          size_t size)
{
    /* Of a greeting without a mark the first line is of interest. */
    const struct reply_rules *rules = &workers->rules->reply;
    struct reply_rules first_line = {.end = REPLY_END_NEWLINE};
    bool marked = workers->rules->end_size > 1;
    if (answer_add(&worker->state.greeting, marked ? rules : &first_line, text, size))
        return true;
    lose(workers, worker, "the program's greeting is too long");
    return false;
}

/* It has answered. */
static void note_answer(struct workers *workers, struct worker *worker)
{
    worker->state.answered = true;
    workers->answered = true;
    worker->failures = 0;
}

static bool take_tagged(struct workers *workers, struct worker *worker, const char *text,
                        size_t size)
{
    char why[300];
    unsigned before = worker->tagged->count;
    bool right = tagged_take(worker->tagged, text, size, why, sizeof why);
    if (worker->tagged->count < before) {
        note_answer(workers, worker);
        worker->state.silent_turns = 0;
    }
    if (!right)
        lose(workers, worker, why);
    return right;
}

/* Takes what the instance has written. False if it was lost over that. */
static bool take(struct workers *workers, struct worker *worker, const char *text, size_t size)
{
    worker->state.spoken_us = workers->instances->now_us;
    worker->state.rested_us = 0;
    if (worker->phase == WORKER_STARTING)
        return take_greeting(workers, worker, text, size);
    if (worker->tagged)
        return take_tagged(workers, worker, text, size);
    if (!worker->given) {
        lose(workers, worker, "the program has written something that nobody had asked for");
        return false;
    }
    if (worker->exchange.replied) {
        instance_log(workers->instances, worker->instance, LOG_WORKER_SURPLUS,
                     "has written behind its reply, which is dropped", text, size);
        return true;
    }
    if (answer_add(&worker->exchange.answer, &workers->rules->reply, text, size))
        return true;
    lose(workers, worker, "the program's answer is longer than 16 MiB");
    return false;
}

/* ---- judging ---- */

static void reply(struct workers *workers, struct worker *worker,
                  const struct answer_verdict *verdict)
{
    struct instance_state *state = &worker->state;
    if (exchange_has_several(&worker->exchange))
        exchange_reply_each(&worker->exchange, &workers->rules->reply);
    else
        exchange_reply(&worker->exchange, verdict->text, verdict->size);
    if (worker->exchange.answer.surplus)
        instance_log(workers->instances, worker->instance, LOG_WORKER_SURPLUS,
                     "has written behind its reply, which is dropped", "", 0);
    state->silent_turns =
        verdict->size > 0 || exchange_has_several(&worker->exchange) ? 0 : state->silent_turns + 1;
    state->silent_to_several = false;
    note_answer(workers, worker);
}

/* Answers the request as far as that is known. Returns what it was, or ANSWER_REPLY if the answer
 * has left already. */
static enum answer_outcome judge(struct workers *workers, struct worker *worker,
                                 enum turn_state turn)
{
    struct instance_state *state = &worker->state;
    struct answer_verdict verdict;
    if (worker->exchange.replied)
        return ANSWER_REPLY;
    answer_judge(&worker->exchange.answer, &workers->rules->reply, turn, &verdict);
    if (verdict.outcome == ANSWER_HELD) {
        if (!state->hold_us)
            state->hold_us = workers->instances->now_us + HOLD_US;
        if (state->hold_us > workers->instances->now_us ||
            !exchange_is_written(&worker->exchange, workers->rules->end_size))
            return ANSWER_HELD;
        verdict.outcome = ANSWER_REPLY;
    }
    if (verdict.outcome == ANSWER_REPLY)
        reply(workers, worker, &verdict);
    if (verdict.outcome == ANSWER_SILENT)
        exchange_refuse(&worker->exchange, PROTOCOL_HANDLER_FAILED, SILENT_TEXT);
    if (verdict.outcome == ANSWER_WRONG) {
        exchange_refuse(&worker->exchange, PROTOCOL_HANDLER_FAILED, verdict.why);
        state->answered = true; /* it lives, though it does not answer as it should */
        worker->failures = 0;
    }
    return verdict.outcome;
}

/* The output has ended, or the process has, as it should or not: an answer may be complete. */
static void judge_end(struct workers *workers, struct worker *worker, bool well)
{
    if (worker->given)
        judge(workers, worker, well ? TURN_ENDED : TURN_FAILED);
}

/* Whether a silent instance must not stay. As long as none has ever answered, its answers may be in
 * a buffer, and would come out in another's turn. One that a session has to itself stays all the
 * same, for what it knows: see is_buffered(). */
static bool is_silent_for_too_long(const struct workers *workers, const struct worker *worker)
{
    const struct instance_state *state = &worker->state;
    if (workers->on_demand)
        return false;
    return !workers->answered ||
           (state->silent_to_several && state->silent_turns >= MAX_SILENT_TURNS);
}

/* A turn has ended without a word. */
static void end_silent(struct workers *workers, struct worker *worker)
{
    struct instance_state *state = &worker->state;
    uint64_t session = request_session(worker->exchange.request);
    if (state->silent_turns++ == 0)
        state->silent_session = session;
    else if (state->silent_session != session)
        state->silent_to_several = true;
    if (is_silent_for_too_long(workers, worker)) {
        snprintf(workers->why, sizeof workers->why, "%s", SILENT_TEXT);
        end(worker, TURN_REPLACE);
    } else {
        end(worker, TURN_OVER);
    }
}

/* ---- reading ---- */

static void output_ended(struct workers *workers, struct worker *worker)
{
    judge_end(workers, worker, false);
    break_off(worker, "the program has closed its output");
}

enum reading { READ_SOME, READ_ALL, READ_LOST };

/* Reads once. READ_LOST: the instance was lost, or has closed its output. */
static enum reading read_some(struct workers *workers, struct worker *worker)
{
    ssize_t got = instance_read(workers->instances, worker->instance);
    if (got > 0)
        return take(workers, worker, workers->instances->scratch, (size_t) got) ? READ_SOME
                                                                                : READ_LOST;
    if (got == 0)
        return READ_ALL;
    output_ended(workers, worker);
    return READ_LOST;
}

/* Reads until there is nothing more; READ_SOME: there is more. */
static enum reading read_all(struct workers *workers, struct worker *worker)
{
    enum reading reading = READ_SOME;
    for (int reads = 0; reads < MAX_READS && reading == READ_SOME; reads++)
        reading = read_some(workers, worker);
    return reading;
}

/* ---- looking ---- */

/* Why a look does not tell that the instance waits. */
static void describe_unseen(const struct worker *worker, char *text, size_t size)
{
    const char *why = worker->instance->look.why;
    snprintf(text, size, "Worker %llu can't be seen to wait: the program %s",
             (unsigned long long) worker->number, why ? why : "rests");
}

/* Threads or children have been there for so long that they will stay: from now on it rests when it
 * would wait without them. */
static void settle_for_rest(struct workers *workers, struct worker *worker)
{
    worker->state.rests = true;
    const char *why = worker->instance->look.why;
    instance_log(workers->instances, worker->instance, LOG_WORKER_RESTS,
                 "can't be seen to wait any more", why ? why : "", why ? strlen(why) : 0);
}

/* What a look tells of the turn. `*unsure` if it would be TURN_WAITS but for threads, children or
 * the system's silence. */
static enum turn_state look_once(struct workers *workers, struct worker *worker, bool *unsure)
{
    struct look *look = &worker->instance->look;
    struct instance_state *state = &worker->state;
    int64_t now_us = workers->instances->now_us;
    enum look_state seen = look_at(look);
    bool related = seen != LOOK_WAITS && (look->has_threads || look->has_children);
    *unsure = related || seen == LOOK_UNKNOWN;
    if (!*unsure)
        state->unsure_us = 0;
    else if (!state->unsure_us)
        state->unsure_us = now_us;
    if (related && !state->rests && now_us - state->unsure_us >= UNSURE_US)
        settle_for_rest(workers, worker);
    if (seen == LOOK_WAITS)
        return TURN_WAITS;
    if (seen == LOOK_UNKNOWN)
        return now_us - state->spoken_us >= HIDDEN_US ? TURN_RESTS : TURN_WORKS;
    return seen == LOOK_RESTS || (related && state->rests) ? TURN_RESTS : TURN_WORKS;
}

/* The reply ends when the instance waits, and that can't be seen. */
static void refuse_unseen(struct worker *worker)
{
    char text[160];
    describe_unseen(worker, text, sizeof text);
    exchange_refuse(&worker->exchange, PROTOCOL_HANDLER_FAILED, text);
    end(worker, TURN_OVER);
}

/* Whether what has come, all of it, is output that the program had kept in a buffer. */
static bool is_buffered(const struct worker *worker)
{
    return worker->state.silent_turns > 0 && answer_is_buffers(&worker->exchange.answer);
}

static void end_turn(struct workers *workers, struct worker *worker, enum answer_outcome outcome)
{
    if (outcome == ANSWER_SILENT)
        end_silent(workers, worker);
    else
        end(worker, TURN_OVER);
}

/* Whether the last look has found that it rests, too. A look at many threads and processes takes
 * time, in which one may wake another; that happens seldom, and hardly twice in a row. */
static bool rested_before(const struct workers *workers, struct worker *worker)
{
    bool before = worker->state.rested_us > 0;
    worker->state.rested_us = workers->instances->now_us;
    return before;
}

/* True if the turn goes on. */
static bool look_in_turn(struct workers *workers, struct worker *worker)
{
    bool unsure = false, all_read = true;
    enum turn_state turn = TURN_WORKS;
    /* One that waits for the rest of its request looks as if it waited for the next one. */
    if (exchange_is_written(&worker->exchange, workers->rules->end_size))
        turn = look_once(workers, worker, &unsure);
    if (turn == TURN_RESTS && !rested_before(workers, worker))
        turn = TURN_WORKS;
    else if (turn == TURN_WORKS)
        worker->state.rested_us = 0;
    if (turn == TURN_WAITS || turn == TURN_RESTS) {
        enum reading reading = read_all(workers, worker);
        if (reading == READ_LOST)
            return false;
        all_read = reading == READ_ALL;
    }
    if (turn == TURN_WAITS && all_read) {
        worker->state.emptied_us = workers->instances->now_us;
        if (is_buffered(worker)) {
            lose(workers, worker, BUFFERS_TEXT);
            return false;
        }
    }
    if (workers->rules->reply.end == REPLY_END_WAITS && turn != TURN_WAITS && unsure &&
        workers->instances->now_us - worker->state.unsure_us >= UNSURE_US) {
        refuse_unseen(worker);
        return false;
    }
    enum answer_outcome outcome = judge(workers, worker, all_read ? turn : TURN_WORKS);
    if (outcome <= ANSWER_HELD || !all_read || turn == TURN_WORKS)
        return true;
    end_turn(workers, worker, outcome);
    return false;
}

/* It waits for more, and has said all that it had to say, and some requests are not answered. */
static void end_tagged_silent(struct workers *workers, struct worker *worker)
{
    tagged_refuse(worker->tagged, PROTOCOL_HANDLER_FAILED, SILENT_TEXT);
    if (!workers->answered || ++worker->state.silent_turns >= MAX_SILENT_TURNS) {
        snprintf(workers->why, sizeof workers->why, "%s", SILENT_TEXT);
        end(worker, TURN_REPLACE);
    }
}

static void look_tagged(struct workers *workers, struct worker *worker)
{
    struct tagged *tagged = worker->tagged;
    int64_t quiet_us = workers->instances->now_us - TAGGED_LOOK_US;
    bool unsure;
    if (tagged->count > 0 && tagged_is_written(tagged) && worker->state.spoken_us <= quiet_us &&
        worker->begun_us <= quiet_us && look_once(workers, worker, &unsure) == TURN_WAITS &&
        read_all(workers, worker) == READ_ALL && tagged->count > 0)
        end_tagged_silent(workers, worker);
    if (tagged->count > 0)
        look_after(workers, worker, TAGGED_LOOK_US);
    else
        look_no_more(workers, worker);
}

/* ---- the start ---- */

static void fail_unseen(struct workers *workers, struct worker *worker)
{
    char text[160];
    describe_unseen(worker, text, sizeof text);
    workers->unseen = true;
    worker->state.unseen = true;
    lose(workers, worker, text);
}

/* It waits or rests, and all that it has written so far is its greeting. */
static void end_start(struct workers *workers, struct worker *worker, enum turn_state turn)
{
    bool has_end = workers->rules->end_size > 1;
    if (turn == TURN_RESTS && workers->rules->reply.end == REPLY_END_WAITS) {
        fail_unseen(workers, worker);
    } else if (has_end && !worker->state.greeting.marked && turn == TURN_WAITS) {
        lose(workers, worker,
             "the program has not answered the line of --request-end with that of "
             "--reply-end");
    } else if (has_end && !worker->state.greeting.marked) {
        look_again(workers, worker);
    } else {
        look_no_more(workers, worker);
        log_greeting(workers, worker);
        worker->state.unsure_us = 0;
        end(worker, TURN_READY);
    }
}

static void look_at_start(struct workers *workers, struct worker *worker)
{
    struct instance_state *state = &worker->state;
    int64_t now_us = workers->instances->now_us;
    bool unsure;
    enum turn_state turn = look_once(workers, worker, &unsure);
    if (turn == TURN_WORKS)
        state->rested_us = 0;
    enum reading reading = turn == TURN_WORKS ? READ_ALL : read_all(workers, worker);
    if (reading == READ_LOST)
        return;
    if (turn == TURN_RESTS && !state->rested_us)
        state->rested_us = now_us;
    int64_t long_enough_us = unsure && !state->rests ? START_HIDDEN_US : START_RESTS_US;
    bool over = turn == TURN_WAITS || (turn == TURN_RESTS && reading == READ_ALL &&
                                       now_us - state->rested_us >= long_enough_us);
    if (over && reading == READ_ALL)
        end_start(workers, worker, turn);
    else
        look_again(workers, worker);
}

enum turn_outcome turns_look(struct workers *workers, struct worker *worker)
{
    if (worker->phase == WORKER_STARTING)
        look_at_start(workers, worker);
    else if (worker->tagged)
        look_tagged(workers, worker);
    else if (look_in_turn(workers, worker))
        look_again(workers, worker);
    return take_outcome(worker);
}

/* ---- writing ---- */

static enum exchange_progress write_some(const struct workers *workers, struct worker *worker)
{
    const struct turn_rules *rules = workers->rules;
    int fd = worker->instance->input.fd;
    return worker->tagged ? tagged_write(worker->tagged, fd)
                          : exchange_write(&worker->exchange, fd, rules->end, rules->end_size);
}

static void write_request(struct workers *workers, struct worker *worker)
{
    switch (write_some(workers, worker)) {
    case EXCHANGE_WRITTEN:
        stop_watching_input(workers, worker);
        break;
    case EXCHANGE_BLOCKED:
        watch_input(workers, worker);
        break;
    case EXCHANGE_CLOSED:
        break_off(worker, "the program has closed its input");
        break;
    }
}

enum turn_outcome turns_write(struct workers *workers, struct worker *worker)
{
    if (worker->phase == WORKER_IN_TURN || (worker->tagged && worker->phase == WORKER_IDLE))
        write_request(workers, worker);
    return take_outcome(worker);
}

enum turn_outcome turns_write_tagged(struct workers *workers, struct worker *worker)
{
    worker->begun_us = workers->instances->now_us;
    if (!worker->timer.due_us)
        look_after(workers, worker, TAGGED_LOOK_US);
    if (!worker->input_watched)
        write_request(workers, worker);
    return take_outcome(worker);
}

/* ---- beginnings ---- */

enum turn_outcome turns_start(struct workers *workers, struct worker *worker)
{
    const struct turn_rules *rules = workers->rules;
    worker->state.spoken_us = workers->instances->now_us;
    look_after(workers, worker, MAX_LOOK_US);
    /* A new pipe has room for a line. */
    if (rules->end_size > 1 &&
        write(worker->instance->input.fd, rules->end + 1, rules->end_size - 1) < 0)
        break_off(worker, "the program has closed its input");
    return take_outcome(worker);
}

enum turn_outcome turns_begin(struct workers *workers, struct worker *worker)
{
    worker->state.hold_us = 0;
    worker->state.unsure_us = 0;
    worker->state.rested_us = 0;
    bool doubted = !worker->state.answered || worker->state.silent_turns > 0 ||
                   workers->rules->reply.end == REPLY_END_WAITS;
    look_after(workers, worker, doubted ? BEGIN_DOUBTED_LOOK_US : BEGIN_LOOK_US);
    write_request(workers, worker);
    return take_outcome(worker);
}

enum turn_outcome turns_check(struct workers *workers, struct worker *worker)
{
    int readable = 0;
    if (worker->state.emptied_us == workers->instances->now_us)
        return TURN_GOES_ON; /* it waited a moment ago */
    /* Of a terminal only a read tells all. */
    bool is_pipe = !workers->instances->spawn.pty &&
                   ioctl(worker->instance->output.fd, FIONREAD, &readable) == 0;
    if (!is_pipe || readable > 0)
        read_some(workers, worker);
    return take_outcome(worker);
}

/* ---- events ---- */

enum turn_outcome turns_read(struct workers *workers, struct worker *worker)
{
    const struct answer *answer = &worker->exchange.answer;
    enum reading reading = read_some(workers, worker);
    if (reading == READ_SOME && worker->phase == WORKER_IN_TURN && answer->more > 0 &&
        answer->replies <= answer->more) {
        look_after(workers, worker, BEGIN_LOOK_US); /* the other replies are about to come */
    } else if (reading == READ_SOME && worker->phase == WORKER_IN_TURN) {
        /* What has just written a line is most often about to wait, and a timer takes longer. */
        bool goes_on = look_in_turn(workers, worker);
        for (int i = 0; i < QUICK_LOOKS && goes_on && worker->state.hold_us; i++)
            goes_on = look_in_turn(workers, worker);
        if (goes_on)
            look_after(workers, worker, FIRST_LOOK_US);
    }
    return take_outcome(worker);
}

/* Says how the process has ended, and what it was doing. */
static void describe_end(const struct workers *workers, const struct worker *worker, char *text,
                         size_t size)
{
    const struct answer *answer = &worker->exchange.answer;
    size_t whole = exchange_has_several(&worker->exchange) ? answer->line_begin : 0;
    bool cut = worker->given && !worker->exchange.replied && buffer_size(&answer->text) > whole;
    char how[64];
    instance_describe_end(worker->instance, how, sizeof how);
    int used =
        snprintf(text, size, "the program %s%s", how, cut ? " in the middle of its answer" : "");
    if (!workers->instances->spawn.stderr_to_output)
        return;
    if (!worker->given) /* it may have said at its start why it ends */
        answer = &worker->state.greeting;
    if (cut || !worker->given)
        answer_last_line(answer, text + used, size - (size_t) used);
}

enum turn_outcome turns_exited(struct workers *workers, struct worker *worker)
{
    enum reading reading = READ_SOME;
    /* It may have answered before it ended. */
    while (reading == READ_SOME)
        reading = read_some(workers, worker);
    if (worker->outcome != TURN_LOST) {
        char why[300];
        instance_last_words(workers->instances, worker->instance);
        judge_end(workers, worker, instance_ended_well(worker->instance));
        describe_end(workers, worker, why, sizeof why);
        worker->outcome = TURN_GOES_ON;
        lose(workers, worker, why);
    }
    return take_outcome(worker);
}
