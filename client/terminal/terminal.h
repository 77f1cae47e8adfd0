/*
 * terminal: a person at a prompt.
 */
#ifndef BANTER_CLIENT_TERMINAL_TERMINAL_H
#define BANTER_CLIENT_TERMINAL_TERMINAL_H

#include "client/connect.h"
#include "client/conversation.h"
#include "client/exit_status.h"
#include "client/options.h"
#include "client/output.h"

/* Asks for lines on the terminal that is standard input, sends them and prints the replies, until
 * the user quits. Takes over the conversation, which `retries` are of, and closes it. If it ends
 * too early the user sees it at once, what was typed stays, and the next line that is entered opens
 * another one.
 *
 * Takes over the signals of a terminal; one that ends the program leaves the terminal as it was
 * found. */
enum exit_status terminal_run(struct conversation *conversation,
                              const struct connect_retries *retries, const struct options *options,
                              struct output *output);

#endif
