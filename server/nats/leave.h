/*
 * nats/leave: how a service leaves, so that nothing is lost and nothing is run twice: it
 * unsubscribes; a fence says that no message comes any more; what was taken is finished; a fence
 * says that all answers have arrived. In the link's thread, but for leave_wait().
 */
#ifndef BANTER_SERVER_NATS_LEAVE_H
#define BANTER_SERVER_NATS_LEAVE_H

#include "server/nats/service_state.h"

/* Begins to. */
void leave_begin(struct nats_service *service);

/* Goes on if something has become true: at the end of each batch. */
void leave_go_on(struct nats_service *service);

/* For the stop's thread: waits until it has left: true; false at `until_ms`. */
bool leave_wait(struct nats_service *service, int64_t until_ms);

#endif
