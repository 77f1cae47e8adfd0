/*
 * reopening: a connection that is opened in a thread of its own, so that whoever wants it can go on
 * listening to the keyboard, and give it up.
 *
 * A name may take the resolver long, and an address may be mute: neither can be interrupted where
 * it happens.
 */
#ifndef BANTER_CLIENT_REOPENING_H
#define BANTER_CLIENT_REOPENING_H

#include "client/conversation.h"

struct reopening;

/* Begins. The settings are copied, what they point to must stay. NULL with errno set on failure. */
struct reopening *reopening_start(const struct conversation_settings *settings);

/* Readable when it has come to an end; to be polled only. */
int reopening_fd(const struct reopening *reopening);

/* When it has come to an end: what conversation_open() gave. Frees it. */
struct conversation *reopening_finish(struct reopening *reopening,
                                      enum conversation_opening *opening, struct error *error);

/* Does not want it any more: what it may come to is closed, and its memory freed, when the thread
 * ends. Does not wait for that. Takes NULL. */
void reopening_give_up(struct reopening *reopening);

#endif
