/*
 * errands_state: what the files of errands share.
 */
#ifndef BANTER_SERVER_ERRANDS_STATE_H
#define BANTER_SERVER_ERRANDS_STATE_H

#include <stdint.h>

#include "server/errands.h"

/* Makes an error of the errands' own; and what is said for a request that is answered. */
void errands_make_error(struct errands *errands, const char *code, const char *text,
                        struct errands_reply *reply);
void errands_make_reply(struct errands *errands, const struct request *request,
                        struct errands_reply *reply);

/* Counts and logs the reply to the request with this number. */
void errands_count(struct errands *errands, uint64_t number, const struct errands_reply *reply);

/* Their functions as askers. */
extern const struct asker errands_asker;

#endif
