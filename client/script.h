/*
 * script: standard input as a script, one request a line.
 */
#ifndef BANTER_CLIENT_SCRIPT_H
#define BANTER_CLIENT_SCRIPT_H

#include "client/conversation.h"
#include "client/exit_status.h"
#include "client/options.h"
#include "client/output.h"

/* Sends the lines of standard input (LF, or CR LF; the last one may lack it) up to a line `quit`
 * or `--QUIT--`, or to the end of input. Where the options say literal neither is special:
 * `quit` is sent as text, and `--QUIT--` can't be. See batch_run() for the rest. */
enum exit_status script_run(struct conversation *conversation, const struct options *options,
                            struct output *output);

#endif
