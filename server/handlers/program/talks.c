/* talks: news, starts, and time. */
#include "server/handlers/program/talks.h"

#include <stdlib.h>

#include "common/protocol.h"
#include "server/handlers/program/patience.h"
#include "server/net/peer.h"
#include "server/stream.h"

enum {
    /* One that is asleep for the first time has started, or has not after this. */
    START_TURN_MS = 1000,
    MAX_CHECK_MS = 50, /* the time between two checks, which doubles */
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

/* As many as are wanted and may start now. */
static void start_ahead(struct talks *talks)
{
    while (talks->spare_count < talks->rules.ahead + talks->more &&
           talks->count < talks->rules.max && may_start(talks)) {
        if (talks->spare_ms > talks->instances->now_ms) {
            instances_schedule(talks->instances, talks->spare_ms);
            return;
        }
        talk_start_ahead(talks);
    }
}

/* ---- sessions ---- */

/* Its session has begun. */
static void begin_talk(struct talks *talks, struct talk *talk)
{
    struct talk *spare = TAILQ_FIRST(&talks->spares);
    if (spare) {
        talk_take_spare(talks, talk, spare);
    } else if (talks->count >= talks->rules.max) {
        stream_refuse(talk->stream, PROTOCOL_UNAVAILABLE, "%s",
                      "all copies of the program are taken");
    } else {
        talk_count(talks, talk);
        talk->in_line = true;
        TAILQ_INSERT_TAIL(&talks->line, talk, entry);
    }
}

static void take_all_news(struct talks *talks)
{
    struct talk *talk;
    bool is_over = false;
    while ((talk = take_news(talks, &is_over)))
        if (is_over)
            talk_end(talks, talk);
        else
            begin_talk(talks, talk);
}

void talks_serve(struct talks *talks)
{
    take_all_news(talks);
    while (!TAILQ_EMPTY(&talks->line) && may_start(talks)) {
        struct talk *talk = TAILQ_FIRST(&talks->line);
        talk_leave_line(talks, talk);
        talk_start_for_session(talks, talk);
    }
    start_ahead(talks);
}

/* ---- a restart ---- */

/* Its number; 0: there is none. */
static uint64_t oldest_spare(const struct talks *talks)
{
    const struct talk *oldest = TAILQ_FIRST(&talks->spares);
    return oldest ? oldest->instance->number : 0;
}

static void begin_restart(struct talks *talks, struct restart *restart)
{
    restart_plan_spares(restart, talks->number, talks->spare_count,
                        talks->count - talks->spare_count);
    talks->more = talks->rules.ahead > 0;
    talks->failures = 0;
    talks->spare_ms = 0;
}

void talks_restart(struct talks *talks, struct restart *restart)
{
    if (restart_begins(restart))
        begin_restart(talks, restart);
    struct talk *oldest = TAILQ_FIRST(&talks->spares);
    const struct talk *newest = TAILQ_LAST(&talks->spares, talk_list);
    struct restart_spares spares = {
        .count = talks->spare_count,
        .wanted = talks->rules.ahead,
        .oldest = oldest_spare(talks),
        .newest = newest ? newest->instance->number : 0,
        .newest_waits = newest && !newest->starts,
        .is_full = talks->count >= talks->rules.max,
        .are_kept = true,
        .has_failed = talks->failures > 0,
    };
    if (restart_takes_oldest(restart, &spares))
        talk_end_spare(talks, oldest);
    talks->more = restart_more(restart, oldest_spare(talks));
}

/* ---- the end ---- */

void talks_end(struct talks *talks)
{
    struct talk *spare, *next;
    take_all_news(talks);
    for (spare = TAILQ_FIRST(&talks->spares); spare; spare = next) {
        next = TAILQ_NEXT(spare, entry); /* this one leaves the list */
        talk_end_spare(talks, spare);
    }
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
            talk_end_start(talks, talk);
            continue;
        }
        if (talk->check_ms <= talks->instances->looked_ms)
            talk->check_ms = now_ms + (waited < MAX_CHECK_MS ? waited : MAX_CHECK_MS);
        instances_schedule(talks->instances, talk->check_ms);
    }
}
