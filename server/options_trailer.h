/*
 * options_trailer: the end of what banterd --help prints: the handlers, files of options, signals
 * and exit statuses.
 */
#ifndef BANTER_SERVER_OPTIONS_TRAILER_H
#define BANTER_SERVER_OPTIONS_TRAILER_H

/* The caller frees it. NULL: out of memory. */
char *options_trailer(void);

#endif
