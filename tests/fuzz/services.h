/*
 * services: servers that run in this process, one of each kind, and what each must answer.
 */
#ifndef BANTER_TESTS_FUZZ_SERVICES_H
#define BANTER_TESTS_FUZZ_SERVICES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/frame.h"
#include "server/handler.h"

enum {
    SERVICES = 11,
    SERVICE_MAX_MESSAGE = 30,
    SERVICE_LONGEST_REPLY = 4000 * SERVICE_MAX_MESSAGE,
    SERVICE_LONGEST_STREAM = 400, /* that is sent to one */
};

struct tls_server;

struct service {
    const char *name;
    const struct handler_kind *kind;
    const struct program_options *program;
    /* Writes the handler's reply, of SERVICE_LONGEST_REPLY bytes at most. */
    size_t (*answer)(const char *message, size_t size, char *reply);
    enum frame_codec codec;
    bool telnet;
    bool proxy;             /* each client begins with a PROXY header */
    struct tls_server *tls; /* each shakes hands then; NULL: it speaks in the clear */
    unsigned max_requests;
    unsigned threads;

    struct handler handler;
    struct server *server;
    pthread_t thread;
};

extern struct service services[SERVICES];

/* Starts it; the process ends if that fails. */
void service_start(struct service *service);

/* Ends it in order, if service_stop() was called or not, and sees that nothing is left behind. */
void service_end(struct service *service);

/* What a client of it begins with that does as it should; "" if that is nothing. */
const char *service_header(const struct service *service);

/* A socket that is connected to it and does not block. */
int service_connect(const struct service *service);

/* The replies to a stream that is sent to its end, each with how it was found. */
struct replies {
    struct buffer text; /* all of them, one behind the other */
    struct {
        size_t begin, size;
        bool is_open; /* only its beginning is known */
    } reply[SERVICE_LONGEST_STREAM + 2];
    unsigned count;
};

/* What must come; not for FRAME_RAW, in which that depends on the reads. */
void replies_expect(struct replies *replies, const struct service *service, const char *sent,
                    size_t size);

/* What has come. False: it ends within a frame, or is none. */
bool replies_read(struct replies *replies, const struct service *service, const char *received,
                  size_t size);

/* Whether the replies are the first ones of those that are expected. */
bool replies_begin(const struct replies *replies, const struct replies *expected);

/* The text of one of them; never NULL. */
const char *reply_text(const struct replies *replies, unsigned number);

void replies_fini(struct replies *replies);

#endif
