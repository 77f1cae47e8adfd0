/*
 * events: everything that is logged. One table gives each event its level, its wording in the log
 * and its name as a counter.
 */
#ifndef BANTER_SERVER_LOG_EVENTS_H
#define BANTER_SERVER_LOG_EVENTS_H

#include <stdint.h>

/* What a log writes. Events are counted at every level. */
enum log_level {
    LOG_MESSAGES,    /* everything */
    LOG_CONNECTIONS, /* connections and errors */
    LOG_ERRORS,
    LOG_SILENT, /* nothing at all */
};

/* EVENT(name, level, always, before, after, counter). An event has at most one variable text, which
 * the comment above it describes; the log shows it between `before` and `after`. It is in
 * logs of `level` and of the levels that write more; with `always`, in all but silent ones. */
#define LOG_EVENT_TABLE(EVENT)                                                                     \
    EVENT(SOCKET_CREATED, ERRORS, true, "Socket created", "", "sockets_created")                   \
    /* address */                                                                                  \
    EVENT(LISTENING, ERRORS, true, "Socket now listening on ", "", "addresses_listened_on")        \
    /* "2 clients, 3 requests" */                                                                  \
    EVENT(STOPPED, ERRORS, true, "Server stopped after ", "", "stops")                             \
    /* address, and " as " and the identity, if there is one */                                    \
    EVENT(CONNECTED, CONNECTIONS, false, "Connected with ", "", "clients_connected")               \
    /* message */                                                                                  \
    EVENT(PROCESSING, MESSAGES, false, "Processing the input received from client: ", "",          \
          "requests_logged")                                                                       \
    /* reply */                                                                                    \
    EVENT(PROCESSED, MESSAGES, false, "Processed result: ", "", "replies_logged")                  \
    /* size of the message */                                                                      \
    EVENT(TOO_LONG, ERRORS, false, "The input size is greater than expected ", "",                 \
          "requests_too_long")                                                                     \
    EVENT(QUIT, CONNECTIONS, false, "Client is requesting to quit", "", "quits")                   \
    /* address */                                                                                  \
    EVENT(CLOSED, CONNECTIONS, false, "Connection ", " closed", "clients_closed")                  \
    /* what is wrong */                                                                            \
    EVENT(BAD_FRAME, ERRORS, false, "The input is malformed: ", "", "requests_malformed")          \
    EVENT(HTTP, ERRORS, false, "The client speaks HTTP, and is refused", "", "http_clients")       \
    /* why its end won't come */                                                                   \
    EVENT(INCOMPLETE, ERRORS, false, "The input is incomplete: ", "", "requests_incomplete")       \
    /* why */                                                                                      \
    EVENT(HANDLER_FAILED, ERRORS, false, "The handler failed: ", "", "handler_failures")           \
    /* the time-out */                                                                             \
    EVENT(HANDLER_TIMEOUT, ERRORS, false, "The handler has not answered within ", "",              \
          "handler_timeouts")                                                                      \
    /* the time-out */                                                                             \
    EVENT(IDLE, CONNECTIONS, false, "The client has asked nothing for ", "", "idle_timeouts")      \
    /* the time-out */                                                                             \
    EVENT(WRITE_TIMEOUT, ERRORS, false, "The client has read nothing for ", "", "write_timeouts")  \
    /* why */                                                                                      \
    EVENT(ANSWER_DROPPED, ERRORS, false, "An answer was dropped: ", "", "answers_dropped")         \
    /* what failed */                                                                              \
    EVENT(BROKEN, ERRORS, false, "The session was given up: ", "", "sessions_given_up")            \
    /* address */                                                                                  \
    EVENT(BUSY, ERRORS, false, "Too many clients, refused ", "", "clients_refused")                \
    /* how much is held, of how much */                                                            \
    EVENT(MEMORY_SHORT, ERRORS, false,                                                             \
          "Memory is short, some clients wait until they are read: ", "", "memory_shortages")      \
    /* why */                                                                                      \
    EVENT(ACCEPT_FAILED, ERRORS, false, "Accept failed, resting. Error : ", "", "accept_failures") \
    /* why */                                                                                      \
    EVENT(THREAD_FAILED, ERRORS, false, "Thread did not start. Error : ", "", "thread_failures")   \
    /* the limit of threads */                                                                     \
    EVENT(NO_SPARE, ERRORS, false, "No thread to go on while handlers run long: ", "",             \
          "threads_missing")                                                                       \
    /* how many */                                                                                 \
    EVENT(LEFT_BEHIND, ERRORS, false, "Handlers left behind: ", "", "stops_with_handlers_left")    \
    /* to what, and why */                                                                         \
    EVENT(MAX_CLIENTS_LOWERED, ERRORS, false, "Clients at most: ", "", "client_limits_lowered")    \
    /* its number and process */                                                                   \
    EVENT(WORKER_STARTED, CONNECTIONS, false, "Worker ", "", "workers_started")                    \
    /* its number, and why */                                                                      \
    EVENT(WORKER_LOST, ERRORS, false, "Worker ", "", "workers_lost")                               \
    /* when the next try is */                                                                     \
    EVENT(WORKERS_DOWN, ERRORS, false, "All workers have failed again and again, next try in ",    \
          "", "workers_down")                                                                      \
    /* its number, and what it has written before its first request */                             \
    EVENT(WORKER_GREETING, CONNECTIONS, false, "Worker ", "", "worker_greetings")                  \
    /* its number, and what it has written behind a reply */                                       \
    EVENT(WORKER_SURPLUS, ERRORS, false, "Worker ", "", "worker_surpluses")                        \
    /* its number, and why it can't be seen to wait any more */                                    \
    EVENT(WORKER_RESTS, ERRORS, false, "Worker ", "", "workers_resting")                           \
    /* its number, and a line of its standard error */                                             \
    EVENT(WORKER, ERRORS, false, "Worker ", "", "worker_lines")

#define LOG_EVENT_MEMBER(name, level, always, before, after, counter) LOG_##name,
enum log_event {
    LOG_EVENT_TABLE(LOG_EVENT_MEMBER) LOG_EVENTS, /* how many there are */
};
#undef LOG_EVENT_MEMBER

/* The events that a log of this level writes: a bit for each, 1 << event. */
uint64_t log_events_wanted(enum log_level level);

/* The events of which only some a second are written (repeats.h): errors that clients, programs or
 * the machine can bring about again and again. What a program says on its standard error is not
 * among them. */
uint64_t log_events_limited(void);

/* The events that all logs but silent ones write. */
uint64_t log_events_always(void);

/* An event's name as a counter: lower case and underscores. Static. */
const char *log_event_name(enum log_event event);

#endif
