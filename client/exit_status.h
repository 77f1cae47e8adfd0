/*
 * exit_status: the exit statuses of banter. The table is the one place for the numbers, their order
 * of precedence and the words of --help.
 *
 * A signal ends banter as it ends any program: a shell's $? is 130 for SIGINT, 141 for SIGPIPE and
 * 143 for SIGTERM.
 */
#ifndef BANTER_CLIENT_EXIT_STATUS_H
#define BANTER_CLIENT_EXIT_STATUS_H

/* X(NAME, number, "words"), the one that takes precedence first. */
#define EXIT_STATUS_TABLE(X)                                                                       \
    X(USAGE, 64, "wrong usage, or a file for TLS that is no such file")                            \
    X(NO_HOST, 68, "unknown host")                                                                 \
    X(TRUST, 77, "no trust: in the server's certificate, or in this client")                       \
    X(UNREACHABLE, 69, "can't connect, in time or at all, or the server is busy")                  \
    X(IO, 74, "input or output error here")                                                        \
    X(LOST, 76, "connection lost with replies owed or input left")                                 \
    X(TIMEOUT, 75, "nothing received for --timeout while replies are owed")                        \
    X(NOT_CARRIED, 65, "a line that this framing can't carry, or input behind a quit")             \
    X(ERROR_REPLY, 1, "some reply was -ERR, or a message came unasked")                            \
    X(ANSWERED, 0, "everything was answered")

#define EXIT_STATUS_MEMBER(name, number, words) EXIT_STATUS_##name = number,
enum exit_status { EXIT_STATUS_TABLE(EXIT_STATUS_MEMBER) };
#undef EXIT_STATUS_MEMBER

/* The table as text, with a heading, for the end of --help. */
extern const char exit_status_help[];

/* Of two statuses that both apply, the one that takes precedence. */
enum exit_status exit_status_first(enum exit_status a, enum exit_status b);

#endif
