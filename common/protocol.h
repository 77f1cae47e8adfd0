/*
 * protocol: the words on the wire that both programs must agree on, and the defaults they share.
 * banter-protocol(7) is its description for people.
 */
#ifndef BANTER_COMMON_PROTOCOL_H
#define BANTER_COMMON_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

#define PROTOCOL_QUIT "--QUIT--"    /* as a request: ends the session */
#define PROTOCOL_ERROR "-ERR"       /* a reply that begins "-ERR CODE" is an error */
#define PROTOCOL_NULL_OPERATION "-" /* a raw reply for which the client prints nothing */

#define PROTOCOL_DEFAULT_ADDRESS "127.0.0.1:8000"
#define PROTOCOL_DEFAULT_MAX_MESSAGE 5120
#define PROTOCOL_MAX_REPLY                                                                         \
    ((size_t) 16 << 20) /* bytes; bounds replies whatever the request limit is */

/* The codes of error replies. */
#define PROTOCOL_TOO_LONG "too-long" /* the request is over the limit */
#define PROTOCOL_INCOMPLETE                                                                        \
    "incomplete"                       /* the stream, or the request's time, ended before it did */
#define PROTOCOL_BAD_FRAME "bad-frame" /* netstring: malformed */
#define PROTOCOL_BAD_REQUEST "bad-request"       /* this handler can't take it */
#define PROTOCOL_NOT_UTF8 "not-utf8"             /* with the byte offset */
#define PROTOCOL_HANDLER_FAILED "handler-failed" /* no answer, or one that the codec can't carry */
#define PROTOCOL_HANDLER_TIMEOUT "handler-timeout" /* no answer in time */
#define PROTOCOL_UNAVAILABLE "unavailable"         /* nobody behind the server can answer */
#define PROTOCOL_STOPPING "stopping"               /* the server stops and can't wait any longer */
/* The codes of frames that come unasked; a handler's reply can't bear them. */
#define PROTOCOL_BUSY "busy" /* too many clients */
#define PROTOCOL_IDLE "idle" /* nothing was asked for too long */

/* Whether a request is the quit word, trailing ASCII white space aside. */
bool protocol_is_quit(const char *message, size_t size);

/* raw: where the quit word begins in what was read, or NULL. */
const char *protocol_find_quit(const char *data, size_t size);

/* Writes "-ERR CODE TEXT" and a NUL, cut to `size` bytes. Returns the length without the NUL. */
size_t protocol_write_error(char *out, size_t size, const char *code, const char *text);

/* Whether a reply is an error: "-ERR", a space, and a code of at least one byte that is no
 * space. */
bool protocol_is_error(const char *reply, size_t size);

/* Whether a reply is an error with this very code. */
bool protocol_is_error_code(const char *reply, size_t size, const char *code);

/* Whether a frame from the server came without a request: busy or idle. */
bool protocol_is_unasked(const char *reply, size_t size);

#endif
