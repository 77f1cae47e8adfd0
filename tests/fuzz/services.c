/*
 * services: their handlers, and the judge: the whole stream at once, by common/frame, which has a
 * judge of its own.
 */
#include "tests/fuzz/services.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/protocol.h"
#include "server/handlers/kinds.h"
#include "server/handlers/plugin_call.h"
#include "server/handlers/program/program.h"
#include "server/log/log.h"
#include "server/net/access.h"
#include "server/net/proxy.h"
#include "server/server.h"
#include "server/session/telnet.h"
#include "tests/fuzz/fuzz.h"
#include "tests/handlers/work.h"

/* ---- a plugin that computes ---- */

enum { LONG_WORK = 3000000 }; /* some milliseconds: the loop is handed over */

static void reverse(void *state, const char *message, size_t size, struct banter_reply *reply)
{
    (void) state;
    if (size > 0 && message[0] == '!')
        work(LONG_WORK);
    char *room = banter_reply_room(reply, size);
    for (size_t i = 0; room && i < size; i++)
        room[i] = message[size - 1 - i];
    banter_reply_added(reply, size);
}

static const struct banter_handler reverses = {BANTER_HANDLER_ABI, "reverses", NULL, reverse, NULL};

static void handle_reverse(struct handler *handler, struct request *request)
{
    plugin_call(&reverses, handler->state, request);
}

static const struct handler_kind handler_reverses = {.name = "reverses", .handle = handle_reverse};

/* ---- one whose replies are long: no socket takes some of them at once ---- */

static void repeat(void *state, const char *message, size_t size, struct banter_reply *reply)
{
    (void) state;
    for (size_t i = 0; i < SERVICE_LONGEST_REPLY / SERVICE_MAX_MESSAGE; i++)
        banter_reply_append(reply, message, size);
}

static const struct banter_handler repeats = {BANTER_HANDLER_ABI, "repeats", NULL, repeat, NULL};

static void handle_repeat(struct handler *handler, struct request *request)
{
    plugin_call(&repeats, handler->state, request);
}

static const struct handler_kind handler_repeats = {.name = "repeats", .handle = handle_repeat};

/* ---- programs, which write each line as they read it ---- */

static char cat_name[] = "cat";
static char *const cat[] = {cat_name, NULL};

static const struct program_options lines = {
    .argv = cat, .workers = 1, .reply_end = REPLY_END_NEWLINE, .start_timeout_ms = 10000};
static const struct program_options turns = {
    .argv = cat, .workers = 2, .reply_end = REPLY_END_WAITS, .start_timeout_ms = 10000};
static const struct program_options tagged = {.argv = cat,
                                              .workers = 1,
                                              .reply_end = REPLY_END_NEWLINE,
                                              .tagged = true,
                                              .ahead = 8,
                                              .start_timeout_ms = 10000};

/* ---- what they answer ---- */

/* Of a message that is not ASCII, the beginning. */
static size_t answer_hello(const char *message, size_t size, char *reply)
{
    size_t length = (size_t) sprintf(reply, "Hello ");
    while (size > 0 && strchr(" \t\n\v\f\r\x1c\x1d\x1e\x1f", message[size - 1]) &&
           message[size - 1])
        size--;
    for (size_t i = 0; i < size; i++) {
        char byte = message[i];
        reply[length++] = byte >= 'a' && byte <= 'z' ? (char) (byte - 'a' + 'A') : byte;
    }
    return length;
}

static size_t answer_same(const char *message, size_t size, char *reply)
{
    if (size > 0)
        memcpy(reply, message, size);
    return size;
}

static size_t answer_reversed(const char *message, size_t size, char *reply)
{
    for (size_t i = 0; i < size; i++)
        reply[i] = message[size - 1 - i];
    return size;
}

static size_t answer_repeated(const char *message, size_t size, char *reply)
{
    size_t length = 0;
    for (size_t i = 0; i < SERVICE_LONGEST_REPLY / SERVICE_MAX_MESSAGE; i++)
        length += answer_same(message, size, reply + length);
    return length;
}

/* A CR at the end of a program's line belongs to the line end. */
static size_t answer_line(const char *message, size_t size, char *reply)
{
    static const char refusal[] = "-ERR bad-request ";
    if (size > 0 && memchr(message, '\n', size))
        return answer_same(refusal, strlen(refusal), reply);
    return answer_same(message, size - (size > 0 && message[size - 1] == '\r'), reply);
}

struct service services[SERVICES] = {
    {"hello", &handler_hello, NULL, answer_hello, FRAME_LINE, .threads = 1},
    {"telnet", &handler_hello, NULL, answer_hello, FRAME_CRLF, .telnet = true},
    {"echo", &handler_echo, NULL, answer_same, FRAME_NETSTRING, .threads = 0},
    {"few", &handler_echo, NULL, answer_same, FRAME_BLOCK, .max_requests = 3, .threads = 1},
    {"raw", &handler_echo, NULL, answer_same, FRAME_RAW, .threads = 1},
    {"long", &handler_repeats, NULL, answer_repeated, FRAME_NETSTRING, .threads = 1},
    {"plugin", &handler_reverses, NULL, answer_reversed, FRAME_BLOCK, .threads = 1},
    {"lines", &handler_program, &lines, answer_line, FRAME_LINE, .threads = 1},
    {"turns", &handler_program, &turns, answer_line, FRAME_NETSTRING, .threads = 1},
    {"tagged", &handler_program, &tagged, answer_line, FRAME_BLOCK, .threads = 1},
    {"proxy", &handler_hello, NULL, answer_hello, FRAME_LINE, .threads = 1, .proxy = true},
};

/* ---- running ---- */

static struct log *service_log(void)
{
    static struct log *log;
    struct error error;
    if (!log) {
        FILE *null = fopen("/dev/null", "we");
        FUZZ_REQUIRE(null);
        log = log_open(fileno(null), LOG_MESSAGES, (struct log_style){0}, &error);
        FUZZ_REQUIRE(log);
    }
    return log;
}

/* A name that the kernel makes: nothing is left of it in any folder. */
static int bind_anywhere(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr any = {.sa_family = AF_UNIX};
    FUZZ_REQUIRE(fd >= 0 && bind(fd, &any, sizeof any.sa_family) == 0);
    return fd;
}

/* All Unix sockets are those of proxies. */
static struct access *access_of_proxies(void)
{
    static struct access *access;
    struct error error;
    if (!access) {
        access = access_new();
        FUZZ_REQUIRE(access && access_add(access, ACCESS_PROXIES, "unix", &error));
    }
    return access;
}

static void *run(void *argument)
{
    struct service *service = argument;
    FUZZ_REQUIRE(server_run(service->server) == 0);
    return NULL;
}

void service_start(struct service *service)
{
    struct error error = {""};
    struct server_config config = server_defaults();
    int fd = bind_anywhere();
    bool is_tls = service->tls;
    struct handler_spec spec = {.kind = service->kind, .program = service->program};
    struct handler_host host = {
        .log = service_log(),
        .handler_timeout_ms = config.handler_timeout_ms,
        .cores = 2,
        .lines = service->codec < FRAME_NETSTRING,
        .one_line = frame_codec_is_one_line(service->codec),
    };
    config.sockets = &fd;
    config.socket_is_tls = &is_tls;
    config.socket_count = 1;
    config.tls = service->tls;
    if (service->tls)
        config.handshake_timeout_ms = 0; /* one that nobody sees leave must not be gone by that */
    config.codec = service->codec;
    config.max_message = service->codec == FRAME_RAW ? SERVICE_LONGEST_STREAM : SERVICE_MAX_MESSAGE;
    config.telnet = service->telnet;
    config.max_requests = service->max_requests;
    config.threads = service->threads;
    config.access = service->proxy ? access_of_proxies() : NULL;
    config.handler = &service->handler;
    config.log = service_log();
    FUZZ_REQUIRE(handler_open(&service->handler, &spec, &host, &error));
    service->server = server_open(&config, NULL, &error);
    FUZZ_REQUIRE(service->server);
    FUZZ_REQUIRE(pthread_create(&service->thread, NULL, run, service) == 0);
}

void service_end(struct service *service)
{
    server_stop(service->server);
    FUZZ_REQUIRE(pthread_join(service->thread, NULL) == 0);
    server_close(service->server);
    service->server = NULL;
}

int service_connect(const struct service *service)
{
    const struct address *address = server_address(service->server, 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FUZZ_REQUIRE(fd >= 0);
    /* A full backlog lets a socket that blocks wait. */
    if (connect(fd, &address->socket.any, address->size) != 0) {
        close(fd);
        return -1;
    }
    FUZZ_REQUIRE(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

/* ---- replies ---- */

void replies_fini(struct replies *replies) { buffer_fini(&replies->text); }

static void add(struct replies *replies, const char *text, size_t size, bool is_open)
{
    FUZZ_REQUIRE(replies->count < sizeof replies->reply / sizeof *replies->reply);
    replies->reply[replies->count].begin = buffer_size(&replies->text);
    replies->reply[replies->count].size = size;
    replies->reply[replies->count++].is_open = is_open;
    FUZZ_REQUIRE(buffer_append(&replies->text, text, size));
}

static void add_error(struct replies *replies, const char *code)
{
    char text[40];
    int size = snprintf(text, sizeof text, "-ERR %s ", code);
    add(replies, text, (size_t) size, true);
}

static bool is_ascii(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char) text[i] >= 0x80)
            return false;
    return true;
}

static void expect_reply(struct replies *replies, const struct service *service,
                         const char *message, size_t size)
{
    static char reply[SERVICE_LONGEST_REPLY];
    struct frame_edges edges;
    size_t reply_size = service->answer(message, size, reply);
    if (service->kind == &handler_hello && !is_ascii(message, size)) {
        add(replies, "", 0, true);
        return;
    }
    if (protocol_is_unasked(reply, reply_size) ||
        frame_encode(service->codec, reply, reply_size, SIZE_MAX, &edges) != FRAME_FITS)
        add_error(replies, PROTOCOL_HANDLER_FAILED);
    else
        add(replies, reply, reply_size,
            protocol_is_error_code(reply, reply_size, PROTOCOL_BAD_REQUEST));
}

/* One outcome of the stream; false: the session ends with it. */
static bool expect(struct replies *replies, const struct service *service,
                   enum frame_outcome outcome, const struct frame *frame)
{
    switch (outcome) {
    case FRAME_MESSAGE:
        if (protocol_is_quit(frame->message, frame->size))
            return false;
        expect_reply(replies, service, frame->message, frame->size);
        break;
    case FRAME_OVERSIZE:
        add_error(replies, PROTOCOL_TOO_LONG);
        break;
    case FRAME_BAD:
        add_error(replies, PROTOCOL_BAD_FRAME);
        return false;
    case FRAME_BAD_LENGTH:
        add_error(replies, PROTOCOL_TOO_LONG);
        return false;
    case FRAME_END_PARTIAL:
        add_error(replies, PROTOCOL_INCOMPLETE);
        return false;
    default:
        break;
    }
    return replies->count != service->max_requests || service->max_requests == 0;
}

static size_t without_telnet(const struct service *service, char *data, size_t size)
{
    struct telnet telnet = {0};
    struct buffer answers = {0};
    bool failed = false;
    if (service->telnet)
        size = telnet_filter(&telnet, data, size, &answers, &failed);
    buffer_fini(&answers);
    return size;
}

const char *service_header(const struct service *service)
{
    return service->proxy ? "PROXY TCP4 10.1.2.3 127.0.0.1 54012 8000\r\n" : "";
}

/* Takes the header off; false: it is none, and nobody is served. */
static bool take_header(const struct service *service, const char **sent, size_t *size)
{
    struct proxy_header header;
    size_t used = 0;
    const char *why;
    if (service->proxy && proxy_parse(*sent, *size, &header, &used, &why) != PROXY_COMPLETE)
        return false;
    *sent += used;
    *size -= used;
    return true;
}

void replies_expect(struct replies *replies, const struct service *service, const char *sent,
                    size_t size)
{
    char stream[SERVICE_LONGEST_STREAM];
    struct frame_rules rules = {frame_codec_of_requests(service->codec), SERVICE_MAX_MESSAGE,
                                PROTOCOL_QUIT};
    struct frame_decoder decoder = {0};
    struct frame frame;
    enum frame_outcome outcome;
    size_t at = 0;
    *replies = (struct replies){.count = 0};
    if (!take_header(service, &sent, &size))
        return;
    memcpy(stream, sent, size);
    size = without_telnet(service, stream, size);
    do {
        outcome = frame_next(&rules, &decoder, stream + at, size - at, &frame);
        at += frame.consumed;
        if (!expect(replies, service, outcome, &frame))
            return;
    } while (outcome != FRAME_MORE);
    expect(replies, service, frame_end(&rules, &decoder, size - at, &frame), &frame);
}

/* Takes the answers to telnet commands out: their first byte is in no reply. */
static size_t without_commands(char *data, size_t size)
{
    size_t left = 0;
    for (size_t at = 0; at < size; at++) {
        if ((unsigned char) data[at] == 255)
            at += 2;
        else
            data[left++] = data[at];
    }
    return left;
}

bool replies_read(struct replies *replies, const struct service *service, const char *received,
                  size_t size)
{
    char *copy = malloc(size + 1);
    struct frame_rules rules = {service->codec, PROTOCOL_MAX_REPLY, NULL};
    struct frame_decoder decoder = {0};
    struct frame frame;
    size_t at = 0;
    FUZZ_REQUIRE(copy);
    *replies = (struct replies){.count = 0};
    if (size > 0)
        memcpy(copy, received, size);
    if (service->telnet)
        size = without_commands(copy, size);
    while (frame_next(&rules, &decoder, copy + at, size - at, &frame) == FRAME_MESSAGE) {
        struct buffer plain = {0};
        if (frame.is_stuffed) {
            FUZZ_REQUIRE(frame_unstuff(&plain, frame.message, frame.size));
            add(replies, buffer_head(&plain), buffer_size(&plain), false);
        } else {
            add(replies, frame.message, frame.size, false);
        }
        buffer_fini(&plain);
        at += frame.consumed;
    }
    bool is_whole = frame_end(&rules, &decoder, size - at, &frame) == FRAME_END;
    free(copy);
    return is_whole;
}

const char *reply_text(const struct replies *replies, unsigned number)
{
    if (replies->reply[number].size == 0)
        return ""; /* there may be no memory at all */
    return buffer_head(&replies->text) + replies->reply[number].begin;
}

bool replies_begin(const struct replies *replies, const struct replies *expected)
{
    if (replies->count > expected->count)
        return false;
    for (unsigned i = 0; i < replies->count; i++) {
        size_t size = expected->reply[i].size;
        bool fits = expected->reply[i].is_open ? replies->reply[i].size >= size
                                               : replies->reply[i].size == size;
        if (!fits || memcmp(reply_text(replies, i), reply_text(expected, i), size) != 0)
            return false;
    }
    return true;
}
