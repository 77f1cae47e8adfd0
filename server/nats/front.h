/*
 * nats/front: the handler that sends requests over NATS to whoever serves a subject, and gives the
 * answers back. It lives in the thread of its link; handle() only passes requests on to that.
 *
 * A request has a slot while it is out, and the reply subject of each try says which slot, how
 * often that was used, and which try: so a reply finds its own request or nobody, whatever comes
 * late, twice or to a wrong number. Beyond the window requests wait here, and sessions are not
 * read.
 */
#ifndef BANTER_SERVER_NATS_FRONT_H
#define BANTER_SERVER_NATS_FRONT_H

#include "server/handler.h"
#include "server/nats/library.h"

extern const struct handler_kind front_kind;

#endif
