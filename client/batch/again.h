/*
 * again: --again, and --wait behind a busy server: from the end of one conversation to another one
 * that goes on with what is unanswered.
 *
 * It never blocks, and nothing is connected while there is nothing to ask. Embedded by value.
 */
#ifndef BANTER_CLIENT_BATCH_AGAIN_H
#define BANTER_CLIENT_BATCH_AGAIN_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/batch/input.h"
#include "client/connect.h"
#include "client/conversation.h"
#include "client/options.h"
#include "common/error.h"

struct again {
    const struct options *options;
    struct connect_retries retries;
    uint64_t replies; /* when the retries began: with another one they begin anew */

    /* Between two conversations. */
    bool is_under_way;
    bool awaits_input; /* since nothing is unanswered */
    bool is_retry;
    struct connect_attempt *attempt; /* owned, or NULL */

    bool has_resumed;  /* this is not the first conversation */
    bool is_untrusted; /* the last attempt failed for a lack of trust */
    struct error why;  /* the last attempt failed; "" if it did not */
};

/* `retries` are those of the first conversation. The options must outlive it. */
void again_init(struct again *again, const struct connect_retries *retries,
                const struct options *options);
void again_fini(struct again *again);

/* Whether this end, behind which requests are unanswered or input is left, is one to go on from. */
bool again_goes_on(const struct again *again, const struct conversation *conversation);

/* Begins to look for another conversation than this one, which hangs up; false if the time for that
 * is over. */
bool again_begin(struct again *again, struct conversation *conversation);

/* What to poll for, and for how long at most, as poll(2) takes it. */
void again_poll(const struct again *again, struct pollfd *fd);
int again_wait_ms(const struct again *again, const struct input *input);

enum again_outcome {
    AGAIN_NOT_YET,
    AGAIN_TELL,    /* the same, but it begins to connect, which is worth a word */
    AGAIN_RESUMED, /* `*conversation` is another one, and the former is closed */
    AGAIN_OVER,    /* the input has ended, with nothing left to ask */
    AGAIN_FAILED,  /* the time is over, or of no use; `why` is the reason */
};

/* Takes a step, as `revents` and the clock allow. */
enum again_outcome again_step(struct again *again, struct conversation **conversation,
                              const struct input *input, short revents);

#endif
