/*
 * peer: what the programs to compare with do before they serve. Trouble ends the process.
 */
#ifndef BANTER_TESTS_BENCH_PEERS_PEER_H
#define BANTER_TESTS_BENCH_PEERS_PEER_H

/* The port of the command line "NAME PORT [echo]" (0: any free one); with `echo` each line is given
 * back. "NAME --version" prints `version` and exits. As many descriptors as the machine allows may
 * be open from here on. */
int peer_begin(int argc, char **argv, const char *version);

/* A non-blocking listening socket on 127.0.0.1. */
int peer_listen(int port);

/* Prints the line that says where it listens. */
void peer_tell(int port);

/* Sends all, and waits where the kernel has no room. -1: it can't. */
int peer_write_all(int client, const char *data, long size);

/* Prints why, with errno, and exits. */
_Noreturn void peer_die(const char *what);

#endif
