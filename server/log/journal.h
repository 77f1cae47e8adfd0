/*
 * journal: whether what a descriptor gets goes to systemd's journal, which takes a priority from
 * the head of each line (sd-daemon(3)).
 */
#ifndef BANTER_SERVER_LOG_JOURNAL_H
#define BANTER_SERVER_LOG_JOURNAL_H

#include <stdbool.h>

/* Whether JOURNAL_STREAM names the descriptor's file. While no thread changes the environment. */
bool journal_is_at(int fd);

#endif
