/*
 * completion: Tab completes a word from those that were entered before.
 */
#ifndef BANTER_CLIENT_TERMINAL_COMPLETION_H
#define BANTER_CLIENT_TERMINAL_COMPLETION_H

/* Tells readline, once it has read the user's settings. A word ends at white space. What has several
 * ways to go on is listed when Tab is pressed again, and nothing is asked about it: readline would
 * wait for the answer, and nobody would look after the server. */
void completion_init(void);

#endif
