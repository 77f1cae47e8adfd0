/* log_text: the table, and escaping. */
#include "server/log_text.h"

#include <stdio.h>
#include <string.h>

#include <unistr.h>

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

/* How many bytes at `text` are a character of UTF-8 that a terminal shows and does not obey; 0:
 * the first byte is none. Control characters are those below U+0020 and from U+007F to U+009F. */
static size_t shown_as_is(const unsigned char *text, size_t size)
{
    ucs4_t character;
    if (*text < 0x80)
        return *text >= 0x20 && *text != 0x7f;
    int length = u8_mbtoucr(&character, text, size);
    return length > 0 && character >= 0xa0 ? (size_t) length : 0;
}

/* \n, \t, \r or \xNN. */
static void append_escape(struct buffer *out, unsigned char byte)
{
    char escape[5];
    if (byte == '\n' || byte == '\t' || byte == '\r')
        snprintf(escape, sizeof escape, "\\%c", byte == '\n' ? 'n' : byte == '\t' ? 't' : 'r');
    else
        snprintf(escape, sizeof escape, "\\x%02x", byte);
    buffer_append(out, escape, strlen(escape));
}

static void append_escaped(struct buffer *out, const unsigned char *text, size_t size)
{
    size_t begin = 0; /* of the stretch that is copied in one go */
    for (size_t at = 0; at < size;) {
        size_t length = shown_as_is(text + at, size - at);
        if (length == 0) {
            buffer_append(out, text + begin, at - begin);
            append_escape(out, text[at]);
            begin = at + 1;
        }
        at += length ? length : 1;
    }
    buffer_append(out, text + begin, size - begin);
}

void log_text_append(struct buffer *out, enum log_event event, uint64_t session,
                     const unsigned char *text, size_t size, size_t full_size)
{
    const struct wording *wording = &wordings[event];
    char note[64];
    if (session) {
        int length = snprintf(note, sizeof note, "[%llu] ", (unsigned long long) session);
        buffer_append(out, note, (size_t) length);
    }
    buffer_append(out, wording->before, strlen(wording->before));
    append_escaped(out, text, size);
    if (full_size > size) {
        int length = snprintf(note, sizeof note, "... (%zu bytes)", full_size);
        buffer_append(out, note, (size_t) length);
    }
    buffer_append(out, wording->after, strlen(wording->after));
    buffer_append(out, "\n", 1);
}

void log_text_append_dropped(struct buffer *out, unsigned long dropped)
{
    char line[80];
    if (!dropped)
        return;
    int size = snprintf(line, sizeof line, "%lu lines of this log were dropped\n", dropped);
    buffer_append(out, line, (size_t) size);
}
