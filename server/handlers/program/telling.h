/*
 * telling: what a program is told of the client in front of a request (--tell-peer):
 * ADDRESS TAB IDENTITY TAB, with "-" for what there is none of. Escaped as in the log, so that
 * neither can end the line or begin another field.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_TELLING_H
#define BANTER_SERVER_HANDLERS_PROGRAM_TELLING_H

#include <stddef.h>

#include "common/escape.h"
#include "server/net/peer.h"

struct request;

enum { TELLING_SIZE = ESCAPE_BYTE_SIZE * sizeof(struct peer_text) };

/* Writes it, TELLING_SIZE bytes at most, without a NUL. Returns how many bytes it has. */
size_t telling_write(const struct request *request, char *out);

#endif
