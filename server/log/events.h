/*
 * events: everything that is logged. One table gives each event its level, its wording, the names
 * and kinds of what it says, and its own names.
 */
#ifndef BANTER_SERVER_LOG_EVENTS_H
#define BANTER_SERVER_LOG_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a log writes. Events are counted at every level. */
enum log_level {
    LOG_MESSAGES,    /* everything */
    LOG_CONNECTIONS, /* connections and errors */
    LOG_ERRORS,
    LOG_SILENT, /* nothing at all */
};

/* EVENT(name, level, always, before, fields, after, event, counter). An event is in logs of `level`
 * and of the levels that write more; with `always`, in all but silent ones. Its line is `before`,
 * its fields, and `after`. A field is TEXT(key, lead), NUMBER or OPTIONAL, in its line behind its
 * lead; an optional one that is empty is left out, with its lead. `event` and the keys are the
 * names that programs know, and never change; so is `counter`. */
#define LOG_EVENT_TABLE(EVENT)                                                                     \
    EVENT(SOCKET_CREATED, ERRORS, true, "Socket created", NONE, "", "socket-created",              \
          "sockets_created")                                                                       \
    EVENT(LISTENING, ERRORS, true, "Socket now listening on ", TEXT("address", ""), "",            \
          "listening", "addresses_listened_on")                                                    \
    EVENT(METRICS, ERRORS, true, "Metrics on ", TEXT("url", ""), "", "metrics",                    \
          "metrics_listened_on")                                                                   \
    EVENT(STOPPED, ERRORS, true, "Server stopped after ",                                          \
          NUMBER("clients", "") NUMBER("requests", " clients, "), " requests", "stopped", "stops") \
    EVENT(STATUS, ERRORS, true, "Status: ",                                                        \
          NUMBER("sessions", "") NUMBER("sessions_total", " clients now, ")                        \
              NUMBER("requests_total", " so far, ") NUMBER("loops_in_use", " requests, ")          \
                  NUMBER("threads", " loops in use, ") NUMBER("memory_bytes", " threads, "),       \
          " bytes held", "status", "statuses")                                                     \
    /* the files */                                                                                \
    EVENT(RELOADED, ERRORS, true, "Reloaded: ", TEXT("message", ""), "", "reloaded", "reloads")    \
    EVENT(RELOAD_FAILED, ERRORS, false,                                                            \
          "Reload failed, nothing has changed: ", TEXT("file", "") TEXT("why", ": "), "",          \
          "reload-failed", "reloads_failed")                                                       \
    EVENT(CONNECTED, CONNECTIONS, false, "Connected with ",                                        \
          TEXT("address", "") OPTIONAL("identity", " as "), "", "connected", "clients_connected")  \
    EVENT(PROCESSING, MESSAGES, false,                                                             \
          "Processing the input received from client: ", TEXT("message", ""), "", "request",       \
          "requests_logged")                                                                       \
    EVENT(PROCESSED, MESSAGES, false, "Processed result: ", TEXT("message", ""), "", "reply",      \
          "replies_logged")                                                                        \
    /* of the message */                                                                           \
    EVENT(TOO_LONG, ERRORS, false, "The input size is greater than expected ",                     \
          NUMBER("bytes", ""), "", "too-long", "requests_too_long")                                \
    EVENT(QUIT, CONNECTIONS, false, "Client is requesting to quit", NONE, "", "quit", "quits")     \
    EVENT(CLOSED, CONNECTIONS, false, "Connection ", TEXT("address", ""), " closed", "closed",     \
          "clients_closed")                                                                        \
    EVENT(BAD_FRAME, ERRORS, false, "The input is malformed: ", TEXT("why", ""), "", "bad-frame",  \
          "requests_malformed")                                                                    \
    EVENT(HTTP, ERRORS, false, "The client speaks HTTP, and is refused", NONE, "", "http",         \
          "http_clients")                                                                          \
    /* why its end won't come */                                                                   \
    EVENT(INCOMPLETE, ERRORS, false, "The input is incomplete: ", TEXT("why", ""), "",             \
          "incomplete", "requests_incomplete")                                                     \
    EVENT(HANDLER_FAILED, ERRORS, false, "The handler failed: ", TEXT("why", ""), "",              \
          "handler-failed", "handler_failures")                                                    \
    EVENT(HANDLER_TIMEOUT, ERRORS, false, "The handler has not answered within ",                  \
          NUMBER("timeout_ms", ""), " ms", "handler-timeout", "handler_timeouts")                  \
    EVENT(IDLE, CONNECTIONS, false, "The client has asked nothing for ", NUMBER("timeout_ms", ""), \
          " ms", "idle", "idle_timeouts")                                                          \
    EVENT(WRITE_TIMEOUT, ERRORS, false, "The client has read nothing for ",                        \
          NUMBER("timeout_ms", ""), " ms", "write-timeout", "write_timeouts")                      \
    EVENT(ANSWER_DROPPED, ERRORS, false, "An answer was dropped: ", TEXT("why", ""), "",           \
          "answer-dropped", "answers_dropped")                                                     \
    EVENT(BROKEN, ERRORS, false, "The session was given up: ", TEXT("why", ""), "", "broken",      \
          "sessions_given_up")                                                                     \
    EVENT(BUSY, ERRORS, false, "Too many clients, refused ", TEXT("address", ""), "", "busy",      \
          "clients_refused")                                                                       \
    EVENT(ADDRESS_BUSY, ERRORS, false, "Too many clients of one address, refused ",                \
          TEXT("address", "") OPTIONAL("identity", " as "), "", "address-busy",                    \
          "clients_refused_by_address")                                                            \
    /* which rule says so */                                                                       \
    EVENT(DENIED, ERRORS, false, "Denied ",                                                        \
          TEXT("address", "") OPTIONAL("identity", " as ") TEXT("why", ": "), "", "denied",        \
          "clients_denied")                                                                        \
    EVENT(PROXY_FAILED, ERRORS, false, "PROXY header from ",                                       \
          TEXT("address", "") TEXT("why", " is wrong: "), "", "proxy-failed",                      \
          "proxy_headers_wrong")                                                                   \
    EVENT(TLS_FAILED, ERRORS, false, "TLS handshake with ",                                        \
          TEXT("address", "") TEXT("why", " failed: "), "", "tls-failed", "tls_failures")          \
    EVENT(CUT, ERRORS, false, "The stream was cut", NONE, "", "cut", "streams_cut")                \
    /* the server's own; when it is over */                                                        \
    EVENT(CERTIFICATE, CONNECTIONS, false, "Certificate ",                                         \
          TEXT("file", "") TEXT("until", " is good until "), "", "certificate",                    \
          "certificates_loaded")                                                                   \
    EVENT(CERTIFICATE_NEAR, ERRORS, false, "Certificate ",                                         \
          TEXT("file", "") TEXT("until", " is over soon: it is good until "), "",                  \
          "certificate-near", "certificate_warnings")                                              \
    EVENT(CERTIFICATE_OVER, ERRORS, false, "Certificate ",                                         \
          TEXT("file", "") TEXT("until", " is over since "), "", "certificate-over",               \
          "certificates_over")                                                                     \
    EVENT(NATS_NO_REPLY, ERRORS, false, "A message to ", TEXT("subject", ""),                      \
          " has no reply subject, and is not run", "nats-no-reply", "nats_messages_without_reply") \
    /* how much is held, and of how much */                                                        \
    EVENT(MEMORY_SHORT, ERRORS, false, "Memory is short, some clients wait until they are read: ", \
          NUMBER("bytes", "") NUMBER("max_bytes", " bytes of "), "", "memory-short",               \
          "memory_shortages")                                                                      \
    EVENT(ACCEPT_FAILED, ERRORS, false, "Accept failed, resting. Error : ", TEXT("why", ""), "",   \
          "accept-failed", "accept_failures")                                                      \
    EVENT(THREAD_FAILED, ERRORS, false, "Thread did not start. Error : ", TEXT("why", ""), "",     \
          "thread-failed", "thread_failures")                                                      \
    EVENT(NO_SPARE, ERRORS, false,                                                                 \
          "No thread to go on while handlers run long: ", NUMBER("max_threads", ""),               \
          " threads at most", "no-spare", "threads_missing")                                       \
    EVENT(LEFT_BEHIND, ERRORS, false, "Handlers left behind: ", NUMBER("count", ""), "",           \
          "left-behind", "stops_with_handlers_left")                                               \
    /* what fits, and what was to fit */                                                           \
    EVENT(MAX_CLIENTS_LOWERED, ERRORS, false,                                                      \
          "Clients at most: ", NUMBER("max_clients", "") NUMBER("wanted", " instead of "),         \
          ", since the limit of open files leaves no room for more", "max-clients-lowered",        \
          "client_limits_lowered")                                                                 \
    EVENT(WORKER_STARTED, CONNECTIONS, false, "Worker ",                                           \
          NUMBER("worker", "") NUMBER("pid", " started, process "), "", "worker-started",          \
          "workers_started")                                                                       \
    /* what comes of it, such as "is replaced"; and why */                                         \
    EVENT(WORKER_LOST, ERRORS, false, "Worker ",                                                   \
          NUMBER("worker", "") TEXT("outcome", " ") TEXT("why", ": "), "", "worker-lost",          \
          "workers_lost")                                                                          \
    EVENT(WORKERS_DOWN, ERRORS, false, "All workers have failed again and again, next try in ",    \
          NUMBER("retry_s", ""), " s", "workers-down", "workers_down")                             \
    /* how many have another process, of how many */                                               \
    EVENT(WORKERS_RESTARTED, CONNECTIONS, false,                                                   \
          "Workers restarted: ", NUMBER("restarted", "") NUMBER("count", " of "), "",              \
          "workers-restarted", "worker_restarts")                                                  \
    /* what it has written before its first request */                                             \
    EVENT(WORKER_GREETING, CONNECTIONS, false, "Worker ",                                          \
          NUMBER("worker", "") TEXT("message", " greets: "), "", "worker-greeting",                \
          "worker_greetings")                                                                      \
    EVENT(WORKER_SURPLUS, ERRORS, false, "Worker ",                                                \
          NUMBER("worker", "")                                                                     \
              TEXT("message", " has written behind its reply, which is dropped: "),                \
          "", "worker-surplus", "worker_surpluses")                                                \
    EVENT(WORKER_RESTS, ERRORS, false, "Worker ",                                                  \
          NUMBER("worker", "") TEXT("why", " can't be seen to wait any more: "), "",               \
          "worker-rests", "workers_resting")                                                       \
    /* of NATS: a server and its version; why */                                                   \
    EVENT(NATS_CONNECTED, CONNECTIONS, false, "Connected to NATS ",                                \
          TEXT("address", "") TEXT("version", " ("), ")", "nats-connected", "nats_connects")       \
    EVENT(NATS_LOST, ERRORS, false, "Lost NATS ", TEXT("address", "") TEXT("why", ": "), "",       \
          "nats-lost", "nats_losses")                                                              \
    EVENT(NATS_AWAY, ERRORS, false, "NATS can't be reached: ", TEXT("why", ""), "", "nats-away",   \
          "nats_outages")                                                                          \
    EVENT(NATS_REFUSED, ERRORS, false, "NATS does not let us in: ", TEXT("why", ""), "",           \
          "nats-refused", "nats_refusals")                                                         \
    EVENT(NATS_DENIED, ERRORS, false, "NATS ",                                                     \
          TEXT("address", "") TEXT("why", " does not permit it: "), "", "nats-denied",             \
          "nats_denials")                                                                          \
    EVENT(NATS_MAX_PAYLOAD, ERRORS, false, "NATS ",                                                \
          TEXT("address", "") NUMBER("bytes", " takes messages of ")                               \
              NUMBER("max_message", " bytes, less than --max-message "),                           \
          "", "nats-max-payload", "nats_max_payloads")                                             \
    /* its name */                                                                                 \
    EVENT(SERVICE_DOWN, ERRORS, false, "Service ", TEXT("service", ""), " is down",                \
          "service-down", "services_down")                                                         \
    EVENT(SERVICE_UP, CONNECTIONS, false, "Service ", TEXT("service", ""), " is up", "service-up", \
          "services_up")                                                                           \
    /* a line of its standard error */                                                             \
    EVENT(WORKER, ERRORS, false, "Worker ", NUMBER("worker", "") TEXT("message", ": "), "",        \
          "worker", "worker_lines")

/* The same for lines that no thread reports: they are the log's own. */
#define LOG_LINE_TABLE(LINE)                                                                       \
    LINE(DROPPED, ERRORS, false, "", NUMBER("count", ""), " lines of this log were dropped",       \
         "dropped", "lines_dropped")                                                               \
    /* of what other event, which is one of those that are limited */                              \
    LINE(REPEATED, ERRORS, false, "", NUMBER("count", "") TEXT("of", " more within a second: "),   \
         "", "repeated", "repeats")

#define LOG_EVENT_MEMBER(name, level, always, before, fields, after, event, counter) LOG_##name,
enum log_event {
    LOG_EVENT_TABLE(LOG_EVENT_MEMBER) LOG_EVENTS, /* how many there are */
    LOG_LAST_EVENT = LOG_EVENTS - 1,
    LOG_LINE_TABLE(LOG_EVENT_MEMBER) LOG_LINES, /* with the log's own lines */
};
#undef LOG_EVENT_MEMBER

/* ---- what a line holds ---- */

struct log_value {
    const char *text;
    size_t size;
};

enum log_field_kind { LOG_FIELD_TEXT, LOG_FIELD_NUMBER, LOG_FIELD_OPTIONAL };

struct log_field {
    const char *key; /* NULL: the one before was the last */
    enum log_field_kind kind;
    struct log_value lead; /* what stands in front of it in a line of text */
};

enum { LOG_FIELDS = 6 }; /* the most that an event has */

struct log_description {
    const char *event;   /* its name for programs */
    const char *counter; /* its name as a counter: lower case and underscores */
    enum log_level level;
    bool always;
    struct log_value before, after;
    struct log_field fields[LOG_FIELDS + 1];
};

/* Describes an event, or a line of the log's own. Static. */
const struct log_description *log_describe(enum log_event event);

/* How much an event matters, in syslog(3)'s numbers. */
enum log_severity { LOG_SEVERITY_ERROR = 3, LOG_SEVERITY_INFO = 6, LOG_SEVERITY_DEBUG = 7 };

enum log_severity log_severity(const struct log_description *description);

/* ---- sets of events ---- */

/* The events that a log of this level writes: a bit for each, 1 << event. */
uint64_t log_events_wanted(enum log_level level);

/* The events of which only some a second are written (repeats.h): errors that clients, programs or
 * the machine can bring about again and again. What a program says on its standard error is not
 * among them, nor what came of a reload: somebody waits for that. */
uint64_t log_events_limited(void);

/* The events that all logs but silent ones write. */
uint64_t log_events_always(void);

#endif
