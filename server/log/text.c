/* text: the table, and escaping. */
#include "server/log/text.h"

#include <stdio.h>
#include <string.h>

#include "common/escape.h"

enum {
    FIXED_BYTES = 200, /* more than all of a line but its text */
};

static const struct wording {
    enum log_level level;
    bool always; /* whatever the level is */
    const char *before, *after;
} wordings[LOG_EVENTS] = {
    [LOG_SOCKET_CREATED] = {LOG_ERRORS, true, "Socket created", ""},
    [LOG_LISTENING] = {LOG_ERRORS, true, "Socket now listening on ", ""},
    [LOG_STOPPED] = {LOG_ERRORS, true, "Server stopped after ", ""},
    [LOG_CONNECTED] = {LOG_CONNECTIONS, false, "Connected with ", ""},
    [LOG_PROCESSING] = {LOG_MESSAGES, false, "Processing the input received from client: ", ""},
    [LOG_PROCESSED] = {LOG_MESSAGES, false, "Processed result: ", ""},
    [LOG_TOO_LONG] = {LOG_ERRORS, false, "The input size is greater than expected ", ""},
    [LOG_QUIT] = {LOG_CONNECTIONS, false, "Client is requesting to quit", ""},
    [LOG_CLOSED] = {LOG_CONNECTIONS, false, "Connection ", " closed"},
    [LOG_BAD_FRAME] = {LOG_ERRORS, false, "The input is malformed: ", ""},
    [LOG_INCOMPLETE] = {LOG_ERRORS, false, "The input is incomplete: ", ""},
    [LOG_HANDLER_FAILED] = {LOG_ERRORS, false, "The handler failed: ", ""},
    [LOG_HANDLER_TIMEOUT] = {LOG_ERRORS, false, "The handler has not answered within ", ""},
    [LOG_IDLE] = {LOG_CONNECTIONS, false, "The client has asked nothing for ", ""},
    [LOG_WRITE_TIMEOUT] = {LOG_ERRORS, false, "The client has read nothing for ", ""},
    [LOG_ANSWER_DROPPED] = {LOG_ERRORS, false, "An answer was dropped: ", ""},
    [LOG_BROKEN] = {LOG_ERRORS, false, "The session was given up: ", ""},
    [LOG_BUSY] = {LOG_ERRORS, false, "Too many clients, refused ", ""},
    [LOG_ACCEPT_FAILED] = {LOG_ERRORS, false, "Accept failed, resting. Error : ", ""},
    [LOG_THREAD_FAILED] = {LOG_ERRORS, false, "Thread did not start. Error : ", ""},
    [LOG_NO_SPARE] = {LOG_ERRORS, false, "No thread to go on while handlers run long: ", ""},
    [LOG_LEFT_BEHIND] = {LOG_ERRORS, false, "Handlers left behind: ", ""},
    [LOG_WORKER_STARTED] = {LOG_CONNECTIONS, false, "Worker ", ""},
    [LOG_WORKER_LOST] = {LOG_ERRORS, false, "Worker ", ""},
    [LOG_WORKERS_DOWN] = {LOG_ERRORS, false,
                          "All workers have failed again and again, next try in ", ""},
    [LOG_WORKER] = {LOG_ERRORS, false, "Worker ", ""},
    [LOG_MAX_CLIENTS_LOWERED] = {LOG_ERRORS, false, "Clients at most: ", ""},
};

bool log_text_is_wanted(enum log_event event, enum log_level level)
{
    return wordings[event].always || wordings[event].level >= level;
}

/* Writes \n, \t, \r or \xNN, and returns where it ends. */
static char *put_escape(char *at, char byte)
{
    if (byte != '\n' && byte != '\t' && byte != '\r')
        return escape_byte(byte, at);
    *at++ = '\\';
    *at++ = byte == '\n' ? 'n' : byte == '\t' ? 't' : 'r';
    return at;
}

static char *put_escaped(char *at, const char *text, size_t size)
{
    const char *end = text + size;
    while (text < end) {
        size_t shown = escape_shown(text, (size_t) (end - text), escape_utf8, "");
        at = mempcpy(at, text, shown);
        text += shown;
        if (text < end)
            at = put_escape(at, *text++);
    }
    return at;
}

static char *put_number(char *at, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char) ('0' + number % 10);
        number /= 10;
    } while (number);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

void log_text_append(struct buffer *out, enum log_event event, uint64_t session, const char *text,
                     size_t size, size_t full_size)
{
    const struct wording *wording = &wordings[event];
    if (!buffer_reserve(out, FIXED_BYTES + ESCAPE_BYTE_SIZE * size))
        return;
    char *at = buffer_tail(out);
    if (session) {
        *at++ = '[';
        at = put_number(at, session);
        *at++ = ']';
        *at++ = ' ';
    }
    at = stpcpy(at, wording->before);
    at = put_escaped(at, text, size);
    if (full_size > size) {
        at = stpcpy(at, "... (");
        at = put_number(at, full_size);
        at = stpcpy(at, " bytes)");
    }
    at = stpcpy(at, wording->after);
    *at++ = '\n';
    buffer_added(out, (size_t) (at - buffer_tail(out)));
}

void log_text_append_dropped(struct buffer *out, unsigned long dropped)
{
    char line[80];
    if (!dropped)
        return;
    int size = snprintf(line, sizeof line, "%lu lines of this log were dropped\n", dropped);
    buffer_append(out, line, (size_t) size);
}
