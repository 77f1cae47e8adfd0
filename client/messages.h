/*
 * messages: the operands of the command line as requests.
 */
#ifndef BANTER_CLIENT_MESSAGES_H
#define BANTER_CLIENT_MESSAGES_H

#include "client/conversation.h"
#include "client/exit_status.h"
#include "client/output.h"

/* Sends each of `messages`, which ends in NULL, as plain text: no word is special. Standard
 * input is not touched. See batch_run() for the rest. */
enum exit_status messages_run(struct conversation *conversation, char *const *messages,
                              struct output *output);

#endif
