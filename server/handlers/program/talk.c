/* talk: starts and ends. */
#include "server/handlers/program/talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/protocol.h"
#include "server/handlers/program/backoff.h"
#include "server/handlers/program/instance_end.h"
#include "server/handlers/program/patience.h"
#include "server/handlers/program/variables.h"
#include "server/log/log.h"
#include "server/net/peer.h"
#include "server/stream.h"

enum {
    /* One that is asleep for the first time has started, or has not after this. */
    START_TURN_MS = 1000,
    FIRST_CHECK_MS = 1, /* the time between two doubles */
    MAX_CHECK_MS = 50,
};

void talks_init(struct talks *talks, struct instances *instances, const struct talk_rules *rules)
{
    *talks = (struct talks){.instances = instances, .rules = *rules};
    pthread_mutex_init(&talks->lock, NULL);
    STAILQ_INIT(&talks->news);
    TAILQ_INIT(&talks->line);
    TAILQ_INIT(&talks->spares);
}

void talks_fini(struct talks *talks) { pthread_mutex_destroy(&talks->lock); }

/* ---- news ---- */

static struct talk *talk_new(void)
{
    struct talk *talk = calloc(1, sizeof *talk);
    if (talk)
        talk->input_fd = talk->output_fd = -1;
    return talk;
}

static void talk_free(struct talk *talk)
{
    if (talk->stream)
        stream_release(talk->stream);
    free(talk->peer);
    free(talk);
}

static enum talk_result put_news(struct talks *talks, struct talk *talk, bool is_over)
{
    pthread_mutex_lock(&talks->lock);
    bool was_empty = STAILQ_EMPTY(&talks->news);
    talk->is_over = is_over;
    if (!talk->is_news)
        STAILQ_INSERT_TAIL(&talks->news, talk, news_entry);
    talk->is_news = true;
    pthread_mutex_unlock(&talks->lock);
    return was_empty ? TALK_WAKE : TALK_QUIET;
}

enum talk_result talks_begin(struct talks *talks, struct stream *stream,
                             const struct peer_text *peer)
{
    struct talk *talk = talk_new();
    if (talk && (talk->peer = malloc(sizeof *talk->peer))) {
        *talk->peer = *peer;
        talk->stream = stream;
        stream->data = talk;
        return put_news(talks, talk, false);
    }
    free(talk);
    return TALK_NO_MEMORY;
}

enum talk_result talks_over(struct talks *talks, struct stream *stream)
{
    return put_news(talks, stream->data, true);
}

/* NULL: there are none. `*is_over`: its session is over; it may have begun since the last time. */
static struct talk *take_news(struct talks *talks, bool *is_over)
{
    pthread_mutex_lock(&talks->lock);
    struct talk *talk = STAILQ_FIRST(&talks->news);
    if (talk) {
        STAILQ_REMOVE_HEAD(&talks->news, news_entry);
        talk->is_news = false;
        *is_over = talk->is_over;
    }
    pthread_mutex_unlock(&talks->lock);
    return talk;
}

/* ---- starting ---- */

static bool may_start(const struct talks *talks)
{
    return talks->starting_count < talks->rules.starts;
}

static void end_start(struct talks *talks, struct talk *talk)
{
    if (!talk->starts)
        return;
    talk->starts = false;
    LIST_REMOVE(talk, start_entry);
    talks->starting_count--;
    patience_end(talk->instance->group.id);
}

/* It goes behind those that run until it has started. */
static void begin_start(struct talks *talks, struct talk *talk)
{
    talk->starts = true;
    talk->begun_ms = talks->instances->now_ms;
    talk->check_ms = talk->begun_ms + FIRST_CHECK_MS;
    LIST_INSERT_HEAD(&talks->starting, talk, start_entry);
    talks->starting_count++;
    patience_begin(talk->instance->group.id);
    instances_schedule(talks->instances, talk->check_ms);
}

/* Starts its instance. Returns 0, or the errno of what failed. */
static int start(struct talks *talks, struct talk *talk)
{
    struct instances *instances = talks->instances;
    struct spawn_options options = instances->spawn;
    struct variables variables;
    int failure;
    uint64_t number = 0;
    if (talk->stream) {
        number = talk->stream->session;
        variables_set(&variables, &options, number, talk->peer);
    }
    if (talks->rules.ahead > 0)
        number = ++talks->number;
    talk->instance = instance_start(instances, number, &options, &failure);
    if (!talk->instance)
        return failure;
    talk->instance->talk = talk;
    instance_give_pipes(instances, talk->instance, &talk->input_fd, &talk->output_fd);
    begin_start(talks, talk);
    return 0;
}

/* The pipes are its session's from here on. */
static void hand_over(struct talk *talk)
{
    int input_fd = talk->input_fd, output_fd = talk->output_fd;
    talk->input_fd = talk->output_fd = -1;
    stream_started(talk->stream, input_fd, output_fd);
}

/* It is counted no more. */
static void uncount(struct talks *talks, struct talk *talk)
{
    if (talk->is_counted)
        talks->count--;
    talk->is_counted = false;
}

static void count(struct talks *talks, struct talk *talk)
{
    talk->is_counted = true;
    talks->count++;
}

static void start_for_session(struct talks *talks, struct talk *talk)
{
    char text[200];
    int failure = start(talks, talk);
    if (!failure) {
        hand_over(talk);
        return;
    }
    uncount(talks, talk);
    int size = snprintf(text, sizeof text, "%llu has failed: unable to start the program: %s",
                        (unsigned long long) talk->stream->session, strerror(failure));
    log_put(talks->instances->log, LOG_WORKER_LOST, 0, text, (size_t) size);
    stream_refuse(talk->stream, PROTOCOL_UNAVAILABLE, "unable to start the program: %s",
                  strerror(failure));
}

/* ---- started ahead ---- */

static void remove_spare(struct talks *talks, struct talk *spare)
{
    TAILQ_REMOVE(&talks->spares, spare, entry);
    talks->spare_count--;
}

/* One that was to wait for its session has not. */
static void spare_failed(struct talks *talks)
{
    talks->failures++;
    talks->spare_ms = talks->instances->now_ms + backoff_ms(talks->failures);
}

static void start_spare(struct talks *talks)
{
    struct talk *spare = talk_new();
    if (!spare || start(talks, spare) != 0) {
        free(spare);
        spare_failed(talks);
        return;
    }
    count(talks, spare);
    TAILQ_INSERT_TAIL(&talks->spares, spare, entry);
    talks->spare_count++;
}

/* As many as are wanted and may start now. */
static void start_ahead(struct talks *talks)
{
    while (talks->spare_count < talks->rules.ahead && talks->count < talks->rules.max &&
           may_start(talks)) {
        if (talks->spare_ms > talks->instances->now_ms) {
            instances_schedule(talks->instances, talks->spare_ms);
            return;
        }
        start_spare(talks);
    }
}

/* A session takes its instance. */
static void take_spare(struct talks *talks, struct talk *talk, struct talk *spare)
{
    end_start(talks, spare);
    remove_spare(talks, spare);
    uncount(talks, spare);
    count(talks, talk);
    talk->instance = spare->instance;
    talk->instance->talk = talk;
    talk->input_fd = spare->input_fd;
    talk->output_fd = spare->output_fd;
    talk_free(spare);
    talks->failures = 0;
    hand_over(talk);
}

/* ---- sessions ---- */

/* Its session has begun. */
static void begin_talk(struct talks *talks, struct talk *talk)
{
    struct talk *spare = TAILQ_FIRST(&talks->spares);
    if (spare) {
        take_spare(talks, talk, spare);
    } else if (talks->count >= talks->rules.max) {
        stream_refuse(talk->stream, PROTOCOL_UNAVAILABLE, "%s",
                      "all copies of the program are taken");
    } else {
        count(talks, talk);
        talk->in_line = true;
        TAILQ_INSERT_TAIL(&talks->line, talk, entry);
    }
}

static void leave_line(struct talks *talks, struct talk *talk)
{
    if (talk->in_line)
        TAILQ_REMOVE(&talks->line, talk, entry);
    talk->in_line = false;
}

static void close_pipe(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* An instance that runs gets its output back, which is still read, so that it does not fail while
 * it ends. */
static void end_instance(struct talks *talks, struct talk *talk, int input_fd, int output_fd)
{
    struct instance *instance = talk->instance;
    close_pipe(input_fd);
    if (instance && output_fd >= 0)
        instance_take_output(talks->instances, instance, output_fd);
    else
        close_pipe(output_fd);
    if (instance)
        instance_end(talks->instances, instance, true);
}

static void end_spare(struct talks *talks, struct talk *spare)
{
    end_start(talks, spare);
    remove_spare(talks, spare);
    uncount(talks, spare);
    end_instance(talks, spare, spare->input_fd, spare->output_fd);
    if (spare->instance)
        spare->instance->talk = NULL;
    talk_free(spare);
}

/* Its session is over, whatever it was doing. */
static void end_talk(struct talks *talks, struct talk *talk)
{
    struct stream *stream = talk->stream;
    bool stays = stream->output_over && talk->instance; /* its process' end is still to be logged */
    leave_line(talks, talk);
    end_start(talks, talk);
    uncount(talks, talk);
    end_instance(talks, talk, stream->input_fd, stream->output_fd);
    talk->stream = NULL;
    stream_release(stream);
    if (stays)
        return;
    if (talk->instance)
        talk->instance->talk = NULL;
    talk_free(talk);
}

static void take_all_news(struct talks *talks)
{
    struct talk *talk;
    bool is_over = false;
    while ((talk = take_news(talks, &is_over)))
        if (is_over)
            end_talk(talks, talk);
        else
            begin_talk(talks, talk);
}

void talks_serve(struct talks *talks)
{
    take_all_news(talks);
    while (!TAILQ_EMPTY(&talks->line) && may_start(talks)) {
        struct talk *talk = TAILQ_FIRST(&talks->line);
        leave_line(talks, talk);
        start_for_session(talks, talk);
    }
    start_ahead(talks);
}

void talks_end(struct talks *talks)
{
    struct talk *spare, *next;
    take_all_news(talks);
    for (spare = TAILQ_FIRST(&talks->spares); spare; spare = next) {
        next = TAILQ_NEXT(spare, entry); /* this one leaves the list */
        end_spare(talks, spare);
    }
}

/* ---- the end of a process ---- */

/* Unless it has ended as it should. */
static void log_end(struct talks *talks, const struct instance *instance)
{
    char how[64] = "has closed its output, but has not ended", text[100];
    bool was_made_to = instance->phase == INSTANCE_TERMINATED || instance->phase == INSTANCE_KILLED;
    if (!was_made_to && instance_ended_well(instance))
        return;
    if (!was_made_to)
        instance_describe_end(instance, how, sizeof how);
    int size = snprintf(text, sizeof text, "the program %s", how);
    instance_log(talks->instances, instance, LOG_WORKER_LOST, "has failed", text, (size_t) size);
}

void talk_exited(struct talks *talks, struct talk *talk)
{
    struct instance *instance = talk->instance;
    end_start(talks, talk);
    instance->talk = NULL;
    talk->instance = NULL;
    if (!talk->peer) {
        spare_failed(talks);
        end_spare(talks, talk);
    } else {
        log_end(talks, instance);
        if (talk->stream)
            stream_process_ended(talk->stream);
        else
            talk_free(talk);
    }
    instance_exited(talks->instances, instance);
}

/* ---- time ---- */

void talks_act(struct talks *talks)
{
    int64_t now_ms = talks->instances->now_ms;
    struct talk *talk, *next;
    for (talk = LIST_FIRST(&talks->starting); talk; talk = next) {
        next = LIST_NEXT(talk, start_entry); /* this one may leave the list */
        int64_t waited = now_ms - talk->begun_ms;
        if (talk->check_ms <= talks->instances->looked_ms &&
            (waited >= START_TURN_MS || process_is_asleep(talk->instance->group.id))) {
            end_start(talks, talk);
            continue;
        }
        if (talk->check_ms <= talks->instances->looked_ms)
            talk->check_ms = now_ms + (waited < MAX_CHECK_MS ? waited : MAX_CHECK_MS);
        instances_schedule(talks->instances, talk->check_ms);
    }
}
