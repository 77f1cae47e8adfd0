/*
 * terminal: whether the process still has the terminal that it was started from. A shell, or the
 * kernel, sends SIGHUP when that has gone, and so does whoever wants files to be read anew.
 */
#ifndef BANTER_SERVER_TERMINAL_H
#define BANTER_SERVER_TERMINAL_H

#include <stdbool.h>

/* Whether there is a controlling terminal. False only if it is known that there is none. */
bool terminal_is_there(void);

#endif
