/*
 * waiting: the first connection, to a server that may not be up yet.
 */
#ifndef BANTER_CLIENT_WAITING_H
#define BANTER_CLIENT_WAITING_H

#include "client/conversation.h"
#include "client/options.h"

/* As conversation_open(). Where the options say so, what can't be reached is tried again until it
 * can, or until their time is over; that this is so is told once. A host that is unknown is waited
 * for only where there is such a time: a name that is misspelt would be waited for in vain. */
struct conversation *waiting_open(const struct options *options, enum conversation_opening *opening,
                                  struct error *error);

#endif
