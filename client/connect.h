/*
 * connect: opens the conversation: the first one, with --wait also to a server that is not up yet,
 * and later ones beside the keyboard.
 */
#ifndef BANTER_CLIENT_CONNECT_H
#define BANTER_CLIENT_CONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include "client/conversation.h"
#include "client/exit_status.h"
#include "client/options.h"

/* ---- retries ---- */

/* How long a server is tried, and the pauses between two attempts, which double. */
struct connect_retries {
    int64_t end_ms; /* CLOCK_NEVER: they go on for ever */
    int64_t pause_ms;
    int64_t next_ms; /* when to make the next attempt; 0: at once */
};

/* Retries for the time of --wait from now on; for 10 seconds without it. */
struct connect_retries connect_retries(const struct options *options);

/* Puts the next attempt off by a pause. False if the time is over. */
bool connect_put_off(struct connect_retries *retries);

/* What it means for the exit status that there is no first conversation. */
enum exit_status connect_status(enum conversation_opening opening);

/* Whether --wait is about this failure. An unknown host is retried only if there is an end of the
 * time: a misspelt name never comes up. */
bool connect_is_worth_retrying(const struct options *options, enum conversation_opening opening);

/* The settings of the next attempt, which the end of the time bounds too. */
struct conversation_settings connect_settings(const struct connect_retries *retries,
                                              const struct options *options);

/* ---- the first conversation ---- */

/* Opens the first conversation, as conversation_open() does; blocks, and says so to a person at a
 * terminal after a second. Signals end the program meanwhile. With --wait it retries a
 * server that it can't reach until it can, or until that time is over, and reports so once. */
struct conversation *connect_first(struct connect_retries *retries, const struct options *options,
                                   enum conversation_opening *opening, struct error *error);

/* ---- an attempt in a thread of its own ---- */

/* Neither the resolver nor a connect(2) to a silent address can be interrupted while it blocks. A
 * thread blocks in the place of the caller, who can go on reading keys and abandon the attempt. */
struct connect_attempt;

/* Begins an attempt. The settings are copied; what they point to must outlive it. NULL with errno
 * set on failure. */
struct connect_attempt *connect_start(const struct conversation_settings *settings);

/* A descriptor to poll; readable when the attempt is over. */
int connect_fd(const struct connect_attempt *attempt);

/* The result of an attempt that is over, as conversation_open() gives it. Frees the attempt. */
struct conversation *connect_finish(struct connect_attempt *attempt,
                                    enum conversation_opening *opening, struct error *error);

/* Gives the attempt up without waiting for its thread, which frees it and closes the connection
 * that it may still make. Takes NULL. */
void connect_abandon(struct connect_attempt *attempt);

#endif
