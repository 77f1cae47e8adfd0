/*
 * batch: requests that come from no keyboard, sent ahead at full speed, and their replies on
 * standard output.
 *
 * The socket is always read while standard output takes what comes, the input only while few bytes
 * wait to be sent or, if they are kept for another connection, to be answered. So neither side can
 * make the other stall for good, and memory stays bounded.
 */
#ifndef BANTER_CLIENT_BATCH_BATCH_H
#define BANTER_CLIENT_BATCH_BATCH_H

#include "client/connect.h"
#include "client/conversation.h"
#include "client/exit_status.h"
#include "client/options.h"
#include "client/output.h"

/* Sends what the input (input.h) has, prints the replies, says quit and waits for the end; reports
 * what goes wrong. The output is flushed, unless it failed. A signal that ends the program does so
 * after a script was summed up. With --again and --wait (`retries` are what is left of it) it goes
 * on over other connections. Closes the conversation. */
enum exit_status batch_run(struct conversation *conversation, const struct connect_retries *retries,
                           const struct options *options, struct output *output);

#endif
