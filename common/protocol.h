/*
 * protocol: the words on the wire that both programs must agree on, and the defaults they share.
 * banter-protocol(7) describes the protocol for people.
 */
#ifndef BANTER_COMMON_PROTOCOL_H
#define BANTER_COMMON_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/frame.h"

#define PROTOCOL_QUIT "--QUIT--"    /* as a request: ends the session */
#define PROTOCOL_ERROR "-ERR"       /* a reply that begins "-ERR CODE" is an error */
#define PROTOCOL_NULL_OPERATION "-" /* a raw reply for which the client prints nothing */

#define PROTOCOL_DEFAULT_ADDRESS "127.0.0.1:8000"
#define PROTOCOL_DEFAULT_PORT 8000
#define PROTOCOL_DEFAULT_MAX_MESSAGE 5120
#define PROTOCOL_MAX_REPLY ((size_t) 16 << 20) /* bytes, whatever the limit of requests is */

/* The codes of error replies. */
#define PROTOCOL_TOO_LONG "too-long"       /* the request is over the limit */
#define PROTOCOL_INCOMPLETE "incomplete"   /* the stream, or the time, ended before the request */
#define PROTOCOL_BAD_FRAME "bad-frame"     /* netstring: malformed */
#define PROTOCOL_BAD_REQUEST "bad-request" /* this handler can't take it */
#define PROTOCOL_NOT_UTF8 "not-utf8"       /* with the byte offset */
#define PROTOCOL_HANDLER_FAILED "handler-failed"   /* no reply, or one that can't be framed */
#define PROTOCOL_HANDLER_TIMEOUT "handler-timeout" /* no reply in time */
#define PROTOCOL_UNAVAILABLE "unavailable"         /* no program behind the server can answer */
/* The codes of frames that come unasked, behind which nothing comes but the end of the stream; a
 * handler's reply must not have them. */
#define PROTOCOL_BUSY "busy"                 /* too many clients */
#define PROTOCOL_DENIED "denied"             /* this client may not connect */
#define PROTOCOL_TLS_REQUIRED "tls-required" /* always in FRAME_LINE: no TLS came */
/* The server stops in order: no request without a reply was, or will be, begun. */
#define PROTOCOL_STOPPING "stopping"

/* All of them, with a number for each. */
#define PROTOCOL_CODE_TABLE(CODE)                                                                  \
    CODE(TOO_LONG)                                                                                 \
    CODE(INCOMPLETE)                                                                               \
    CODE(BAD_FRAME)                                                                                \
    CODE(BAD_REQUEST)                                                                              \
    CODE(NOT_UTF8)                                                                                 \
    CODE(HANDLER_FAILED)                                                                           \
    CODE(HANDLER_TIMEOUT)                                                                          \
    CODE(UNAVAILABLE)                                                                              \
    CODE(BUSY)                                                                                     \
    CODE(DENIED)                                                                                   \
    CODE(TLS_REQUIRED)                                                                             \
    CODE(STOPPING)

#define PROTOCOL_CODE_MEMBER(name) PROTOCOL_CODE_##name,
enum protocol_code {
    PROTOCOL_CODE_TABLE(PROTOCOL_CODE_MEMBER) PROTOCOL_CODE_OTHER, /* a handler's own */
    PROTOCOL_CODES,                                                /* how many there are */
};
#undef PROTOCOL_CODE_MEMBER

/* Each code as it stands in a reply; that of PROTOCOL_CODE_OTHER is "other". */
extern const char *const protocol_codes[PROTOCOL_CODES];

/* Whether a request is the quit word, apart from ASCII white space at its end. */
bool protocol_is_quit(const char *message, size_t size);

/* raw: the quit word in the bytes of a read, or NULL. */
const char *protocol_find_quit(const char *data, size_t size);

/* Whether a reply is an error: "-ERR", a space, and a code, which does not begin with a space. */
bool protocol_is_error(const char *reply, size_t size);

/* Whether a reply is an error with this code. */
bool protocol_is_error_code(const char *reply, size_t size, const char *code);

/* The code of an error reply, an enum protocol_code; -1 for any other reply, at almost no cost. */
int protocol_error_code(const char *reply, size_t size);

/* Whether a frame is one that the server sends unasked: busy, denied, tls-required, stopping. */
bool protocol_is_unasked(const char *reply, size_t size);

/* Writes "-ERR CODE TEXT" and a NUL, cut to `size` bytes. Returns the length without the NUL. */
size_t protocol_write_error(char *out, size_t size, const char *code, const char *text);

enum { PROTOCOL_ERROR_SIZE = 512 }; /* an error of protocol_append_error() at most, with a NUL */

/* Appends the framed error reply "-ERR CODE TEXT". The text is one line that does not end in a
 * carriage return, so that every codec carries it. False, with `out` unchanged, when memory is
 * out. */
bool protocol_append_error(struct buffer *out, enum frame_codec codec, const char *code,
                           const char *text);

#endif
