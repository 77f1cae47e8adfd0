/* later: a sorted list of held requests, and the thread that waits for the first one's time. */
#include "tests/handlers/later.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"

struct entry {
    struct entry *next;
    struct request *request;
    enum later_act act;
    int64_t at_ms; /* INT64_MAX: at the end */
    size_t text_offset;
};

struct later {
    pthread_t thread;
    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t changed;
    struct entry *entries; /* the earliest first */
    bool stopping;
};

static void act(struct entry *entry)
{
    struct request *request = entry->request;
    if (entry->act == LATER_ANSWER)
        request_reply(request, request_message(request) + entry->text_offset,
                      request_size(request) - entry->text_offset);
    request_release(request);
    free(entry);
}

static void wait_for_first(struct later *later)
{
    if (!later->entries || later->entries->at_ms == INT64_MAX) {
        pthread_cond_wait(&later->changed, &later->lock);
        return;
    }
    int64_t at_ms = later->entries->at_ms;
    struct timespec until = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
    pthread_cond_clockwait(&later->changed, &later->lock, CLOCK_MONOTONIC, &until);
}

static void *run(void *argument)
{
    struct later *later = argument;
    pthread_mutex_lock(&later->lock);
    while (!later->stopping) {
        struct entry *entry = later->entries;
        if (!entry || entry->at_ms > clock_ms()) {
            wait_for_first(later);
            continue;
        }
        later->entries = entry->next;
        pthread_mutex_unlock(&later->lock);
        act(entry);
        pthread_mutex_lock(&later->lock);
    }
    pthread_mutex_unlock(&later->lock);
    return NULL;
}

struct later *later_start(void)
{
    struct later *later = calloc(1, sizeof *later);
    if (!later)
        return NULL;
    pthread_mutex_init(&later->lock, NULL);
    pthread_cond_init(&later->changed, NULL);
    if (pthread_create(&later->thread, NULL, run, later) == 0)
        return later;
    free(later);
    return NULL;
}

void later_add(struct later *later, struct request *request, enum later_act what, long ms,
               size_t text_offset)
{
    struct entry *entry = malloc(sizeof *entry);
    if (!entry) {
        request_release(request);
        return;
    }
    *entry = (struct entry){.request = request, .act = what, .text_offset = text_offset};
    entry->at_ms = what == LATER_NEVER ? INT64_MAX : clock_ms() + ms;
    pthread_mutex_lock(&later->lock);
    struct entry **link = &later->entries;
    while (*link && (*link)->at_ms <= entry->at_ms)
        link = &(*link)->next;
    entry->next = *link;
    *link = entry;
    pthread_cond_signal(&later->changed);
    pthread_mutex_unlock(&later->lock);
}

void later_stop(struct later *later)
{
    pthread_mutex_lock(&later->lock);
    later->stopping = true;
    pthread_cond_signal(&later->changed);
    pthread_mutex_unlock(&later->lock);
    pthread_join(later->thread, NULL);
    for (struct entry *entry = later->entries, *next; entry; entry = next) {
        next = entry->next;
        request_release(entry->request);
        free(entry);
    }
    pthread_cond_destroy(&later->changed);
    pthread_mutex_destroy(&later->lock);
    free(later);
}
