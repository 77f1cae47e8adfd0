/*
 * nats/asked: answers those who look for services (micro.h). In the link's thread.
 */
#ifndef BANTER_SERVER_NATS_ASKED_H
#define BANTER_SERVER_NATS_ASKED_H

#include "server/nats/service_state.h"

/* Subscribes to what they ask on. */
void asked_subscribe(struct nats_service *service);

#endif
