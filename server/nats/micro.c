/* nats/micro: three kinds of objects. */
#include "server/nats/micro.h"

#include <stdio.h>
#include <time.h>

#include "common/json.h"

static const struct {
    const char *word, *type;
} verbs[MICRO_VERBS] = {
    [MICRO_PING] = {"PING", "io.nats.micro.v1.ping_response"},
    [MICRO_INFO] = {"INFO", "io.nats.micro.v1.info_response"},
    [MICRO_STATS] = {"STATS", "io.nats.micro.v1.stats_response"},
};

void micro_make_id(const unsigned char random[MICRO_ID_SIZE - 1], char id[MICRO_ID_SIZE])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (int i = 0; i < MICRO_ID_SIZE - 1; i++)
        id[i] = digits[random[i] % (sizeof digits - 1)];
    id[MICRO_ID_SIZE - 1] = '\0';
}

void micro_subject(const struct micro_service *service, enum micro_verb verb,
                   enum micro_scope scope, char *subject)
{
    snprintf(subject, MICRO_SUBJECT_SIZE, "$SRV.%s%s%s%s%s", verbs[verb].word,
             scope == MICRO_ALL ? "" : ".", scope == MICRO_ALL ? "" : service->name,
             scope == MICRO_ONE ? "." : "", scope == MICRO_ONE ? service->id : "");
}

static void put_begin_time(struct json *json, int64_t realtime_ns)
{
    char text[sizeof "2026-11-25T23:22:48.000000Z" + 20], date[sizeof text];
    time_t seconds = (time_t) (realtime_ns / 1000000000);
    struct tm parts = {0};
    gmtime_r(&seconds, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, sizeof text, "%.19s.%06dZ", date, (int) (realtime_ns % 1000000000 / 1000));
    json_text(json, "started", text);
}

static void put_endpoint(struct json *json, const struct micro_service *service)
{
    json_text(json, "name", service->name);
    json_text(json, "subject", service->subject);
    json_text(json, "queue_group", service->group);
}

static void put_info(struct json *json, const struct micro_service *service)
{
    char text[200];
    snprintf(text, sizeof text, "banterd: %.100s", service->handler);
    json_text(json, "description", text);
    json_begin_array(json, "endpoints");
    json_begin_object(json, NULL);
    put_endpoint(json, service);
    json_begin_object(json, "metadata");
    json_end_object(json);
    json_end_object(json);
    json_end_array(json);
}

static void put_stats(struct json *json, const struct micro_service *service,
                      const struct micro_figures *figures)
{
    put_begin_time(json, service->started_ns);
    json_begin_array(json, "endpoints");
    json_begin_object(json, NULL);
    put_endpoint(json, service);
    json_number(json, "num_requests", figures->requests);
    json_number(json, "num_errors", figures->errors);
    json_text(json, "last_error", figures->last_error);
    json_number(json, "processing_time", figures->nanoseconds);
    json_number(json, "average_processing_time",
                figures->requests ? figures->nanoseconds / figures->requests : 0);
    json_end_object(json);
    json_end_array(json);
}

bool micro_answer(const struct micro_service *service, enum micro_verb verb,
                  const struct micro_figures *figures, struct buffer *answer)
{
    struct json json = {.out = answer};
    json_begin_object(&json, NULL);
    json_text(&json, "type", verbs[verb].type);
    json_text(&json, "name", service->name);
    json_text(&json, "id", service->id);
    json_text(&json, "version", BANTER_VERSION);
    json_begin_object(&json, "metadata");
    json_end_object(&json);
    if (verb == MICRO_INFO)
        put_info(&json, service);
    else if (verb == MICRO_STATS)
        put_stats(&json, service, figures);
    json_end_object(&json);
    return !json.failed;
}
