/*
 * terminal: a person at a prompt.
 */
#ifndef BANTER_CLIENT_TERMINAL_TERMINAL_H
#define BANTER_CLIENT_TERMINAL_TERMINAL_H

#include "client/conversation.h"
#include "client/exit_status.h"
#include "client/options.h"
#include "client/output.h"

/* Asks for lines on the terminal that is standard input, sends them, and prints the replies,
 * until the user quits. Owns `conversation` from here on. When the connection ends before that
 * it is told at once, what was typed stays, and the next line that is entered opens a new one.
 *
 * The signals of a terminal are taken over while it runs; those that end a program leave the
 * terminal as it was found and then end this one. */
enum exit_status terminal_run(struct conversation *conversation, const struct options *options,
                              struct output *output);

#endif
