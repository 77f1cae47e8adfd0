/*
 * nats/service_state: what the files of a service share. All of it is the link's thread's, from
 * begin() to end(), but for counters.
 */
#ifndef BANTER_SERVER_NATS_SERVICE_STATE_H
#define BANTER_SERVER_NATS_SERVICE_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/counter.h"
#include "server/errands.h"
#include "server/nats/answers.h"
#include "server/nats/link.h"
#include "server/nats/micro.h"
#include "server/nats/quota.h"
#include "server/nats/serving.h"

/* A request that was taken. */
struct call {
    struct errand errand; /* first */
    SLIST_ENTRY(call) spare_entry;
    struct buffer reply; /* the subject for its answer, with its NUL */
};

enum leaving {
    SERVING,
    UNSUBSCRIBING, /* messages may still come */
    FINISHING,     /* none come any more; what was taken is not finished */
    FLUSHING,      /* answers may still be on their way */
    GONE,
};

struct nats_service {
    struct nats_service_config config;
    struct words_service where;
    char subject[WORDS_SUBJECT_SIZE]; /* of the shard, if there are some */
    char gone_subject[WORDS_GONE_SIZE];
    char origin[WORDS_SUBJECT_SIZE + sizeof NATS_PREFIX]; /* stands for its askers' address */
    char name[WORDS_SUBJECT_SIZE];
    struct link *link;
    struct errands errands;
    struct answers answers;
    struct quota quota;
    struct link_subscription requests, gone;
    SLIST_HEAD(, call) spares;
    struct counter busy, withdrawn, dropped;
    _Atomic unsigned running, limit; /* for those who watch */

    struct micro_service micro;
    struct micro_subscription {
        struct link_subscription subscription;
        struct nats_service *service;
        enum micro_verb verb;
        char subject[MICRO_SUBJECT_SIZE];
    } micro_subscriptions[MICRO_VERBS * MICRO_SCOPES];
    char last_error[200]; /* "": none yet */

    struct link_watch watch;
    struct link_timer timer; /* for errands_run() */
    int64_t timer_ms;        /* when it is due; CLOCK_NEVER */

    enum leaving leaving;
    struct link_task begin_task, stop_task;
    struct executor *executor; /* for begin_task */
    struct monitor *monitor;
    struct link_fence unsubscribed, flushed;
    struct link_timer patience; /* the drain's time */
    unsigned recalls;
    int gone_fd; /* eventfd: readable once it is GONE */
};

#endif
