/*
 * completion: Tab completes a word from the words of earlier lines.
 */
#ifndef BANTER_CLIENT_TERMINAL_COMPLETION_H
#define BANTER_CLIENT_TERMINAL_COMPLETION_H

/* Sets readline up, after it has read the user's settings. A word ends at white space. A second Tab
 * lists the words if there are several, without a question: readline would block until the answer,
 * and the server would wait. */
void completion_init(void);

#endif
