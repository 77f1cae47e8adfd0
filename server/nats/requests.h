/*
 * nats/requests: messages become requests, and their answers messages. In the link's thread.
 */
#ifndef BANTER_SERVER_NATS_REQUESTS_H
#define BANTER_SERVER_NATS_REQUESTS_H

#include "server/nats/service_state.h"

/* For link_subscription.message: a request, and word that one is not waited for any more. The
 * context is the service. */
void requests_take(void *context, const struct link_message *message);
void requests_withdraw(void *context, const struct link_message *message);

/* For errands_config.answered. */
void requests_answered(void *context, struct errand *errand, const struct errands_reply *reply);

/* Gives up those that are still asked. */
void requests_forget(struct nats_service *service);

/* Gives back the memory of those that nobody waits for. */
void requests_fini(struct nats_service *service);

#endif
