/* talk: its start and its end. */
#include "server/handlers/program/talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/descriptor.h"
#include "common/protocol.h"
#include "server/handlers/program/backoff.h"
#include "server/handlers/program/instance_end.h"
#include "server/handlers/program/patience.h"
#include "server/handlers/program/variables.h"
#include "server/log/log.h"
#include "server/net/peer.h"
#include "server/stream.h"

enum { FIRST_CHECK_MS = 1 }; /* after the start; then the time between two doubles (talks.c) */

struct talk *talk_new(void)
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

/* ---- starting ---- */

void talk_end_start(struct talks *talks, struct talk *talk)
{
    if (!talk->starts)
        return;
    talk->starts = false;
    score_state(talk->score, talk->stream ? HANDLER_WORKER_WORKS : HANDLER_WORKER_WAITS);
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
    score_number(talk->score, number);
    score_pid(talk->score, talk->instance->group.id);
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
    if (!talk->is_counted)
        return;
    talks->count--;
    talk->is_counted = false;
    scoreboard_release(&talks->instances->scoreboard, talk->score);
    talk->score = NULL;
}

void talk_count(struct talks *talks, struct talk *talk)
{
    talk->is_counted = true;
    talks->count++;
    talk->score = scoreboard_take(&talks->instances->scoreboard, 0);
}

void talk_start_for_session(struct talks *talks, struct talk *talk)
{
    char text[200];
    int failure = start(talks, talk);
    if (!failure) {
        hand_over(talk);
        return;
    }
    uncount(talks, talk);
    int size = snprintf(text, sizeof text, "%llu%chas failed%cunable to start the program: %s",
                        (unsigned long long) talk->stream->session, LOG_SEPARATOR, LOG_SEPARATOR,
                        strerror(failure));
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
    scoreboard_replaced(&talks->instances->scoreboard, NULL);
}

void talk_start_ahead(struct talks *talks)
{
    struct talk *spare = talk_new();
    if (spare)
        talk_count(talks, spare);
    if (!spare || start(talks, spare) != 0) {
        if (spare)
            uncount(talks, spare);
        free(spare);
        spare_failed(talks);
        return;
    }
    TAILQ_INSERT_TAIL(&talks->spares, spare, entry);
    talks->spare_count++;
}

void talk_take_spare(struct talks *talks, struct talk *talk, struct talk *spare)
{
    talk_end_start(talks, spare);
    remove_spare(talks, spare);
    talk->is_counted = true; /* in place of the spare */
    talk->score = spare->score;
    score_state(talk->score, HANDLER_WORKER_WORKS);
    talk->instance = spare->instance;
    talk->instance->talk = talk;
    talk->input_fd = spare->input_fd;
    talk->output_fd = spare->output_fd;
    talk_free(spare);
    talks->failures = 0;
    hand_over(talk);
}

/* ---- sessions ---- */

void talk_leave_line(struct talks *talks, struct talk *talk)
{
    if (talk->in_line)
        TAILQ_REMOVE(&talks->line, talk, entry);
    talk->in_line = false;
}

/* An instance that runs gets its output back, which is still read, so that it does not fail while
 * it ends. */
static void end_instance(struct talks *talks, struct talk *talk, int input_fd, int output_fd)
{
    struct instance *instance = talk->instance;
    descriptor_close(&input_fd);
    if (instance && output_fd >= 0)
        instance_take_output(talks->instances, instance, output_fd);
    else
        descriptor_close(&output_fd);
    if (instance)
        instance_end(talks->instances, instance, true);
}

void talk_end_spare(struct talks *talks, struct talk *spare)
{
    talk_end_start(talks, spare);
    remove_spare(talks, spare);
    uncount(talks, spare);
    end_instance(talks, spare, spare->input_fd, spare->output_fd);
    if (spare->instance)
        spare->instance->talk = NULL;
    talk_free(spare);
}

void talk_end(struct talks *talks, struct talk *talk)
{
    struct stream *stream = talk->stream;
    bool stays = stream->output_over && talk->instance; /* its process' end is still to be logged */
    talk_leave_line(talks, talk);
    talk_end_start(talks, talk);
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
    talk_end_start(talks, talk);
    instance->talk = NULL;
    talk->instance = NULL;
    score_pid(talk->score, 0);
    if (!talk->peer) {
        spare_failed(talks);
        talk_end_spare(talks, talk);
    } else {
        log_end(talks, instance);
        if (talk->stream)
            stream_process_ended(talk->stream);
        else
            talk_free(talk);
    }
    instance_exited(talks->instances, instance);
}
