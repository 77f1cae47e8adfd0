/*
 * messages: the operands of the command line as requests.
 */
#ifndef BANTER_CLIENT_MESSAGES_H
#define BANTER_CLIENT_MESSAGES_H

#include "client/conversation.h"
#include "client/exit_status.h"
#include "client/options.h"
#include "client/output.h"

/* Sends each of the options' messages as plain text: no word is special. Standard input is not
 * touched. See batch_run() for the rest. */
enum exit_status messages_run(struct conversation *conversation, const struct options *options,
                              struct output *output);

#endif
