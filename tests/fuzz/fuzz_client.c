/*
 * fuzz_client: what a server may send to a client, cut anywhere: replies, frames that nobody asked
 * for, halves, a reset. Each frame comes out once, in order, as it was on the wire; there are never
 * more replies than requests; and what the conversation says of its end is so.
 *
 * Input: the codec, flags, two bytes for the cuts, the server's bytes.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/conversation_state.h"
#include "common/protocol.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/frame_feed.h"
#include "tests/unit/frame_splitter.h"

enum { LONGEST_STREAM = 300, LONGEST_REPLY = 60 };

struct talk {
    struct conversation *conversation;
    int server; /* its socket */
    bool by_lines;
    const char *stream; /* all that the server sends */
    size_t taken;       /* bytes of it that have come out as frames */
    struct trace trace;
    struct buffer asked; /* what the server must receive */
    uint64_t owed;
};

/* ---- the client ---- */

static void ask(struct talk *talk, unsigned which)
{
    static const struct {
        const char *message;
        size_t size;
    } messages[] = {
        {BYTES("Zack")}, {BYTES("")}, {BYTES("two\nlines")}, {BYTES("--QUIT--")}, {BYTES(".")},
    };
    enum frame_codec codec = talk->conversation->request_codec;
    const char *message = messages[which % 5].message;
    size_t size = messages[which % 5].size;
    const char *why;
    bool is_quit = size == strlen(PROTOCOL_QUIT) && memcmp(message, PROTOCOL_QUIT, size) == 0;
    enum frame_refusal refusal = FRAME_HAS_LF;
    if (!is_quit)
        refusal = frame_put(&talk->asked, codec, message, size, SIZE_MAX);
    enum conversation_asked asked = conversation_ask(talk->conversation, message, size, &why);
    FUZZ_REQUIRE((asked == CONVERSATION_ASKED) == (refusal == FRAME_FITS));
    talk->owed += asked == CONVERSATION_ASKED;
}

static void ask_lines(struct talk *talk)
{
    static const char lines[] = "one\ntwo\n";
    FUZZ_REQUIRE(conversation_ask_lines(talk->conversation, lines, strlen(lines), 2));
    FUZZ_REQUIRE(buffer_append(&talk->asked, lines, strlen(lines)));
    talk->owed += 2;
}

static void take_frame(struct talk *talk, enum conversation_event event, const struct frame *frame)
{
    size_t size;
    const char *wire = conversation_wire(talk->conversation, &size);
    FUZZ_REQUIRE(memcmp(talk->stream + talk->taken, wire, size) == 0);
    talk->taken += size;
    trace_outcome(&talk->trace, FRAME_MESSAGE, frame->message, frame->size);
    conversation_is_silent(talk->conversation, frame);
    if (talk->owed == 0)
        FUZZ_REQUIRE(event == CONVERSATION_UNASKED);
    talk->owed -= event == CONVERSATION_REPLY;
}

static void take_lines(struct talk *talk, const char *lines, size_t size, size_t count)
{
    FUZZ_REQUIRE(memcmp(talk->stream + talk->taken, lines, size) == 0 && count <= talk->owed);
    talk->taken += size;
    talk->owed -= count;
    for (size_t at = 0; at < size; count--) {
        const char *lf = memchr(lines + at, '\n', size - at);
        trace_outcome(&talk->trace, FRAME_MESSAGE, lines + at, (size_t) (lf - lines) - at);
        at = (size_t) (lf - lines) + 1;
    }
    FUZZ_REQUIRE(count == 0);
}

/* One turn of the loop around poll(2). */
static void turn(struct talk *talk, bool want_reply)
{
    struct pollfd fd;
    struct frame frame;
    enum conversation_event event;
    conversation_poll(talk->conversation, want_reply, &fd);
    FUZZ_REQUIRE(conversation_wait_ms(talk->conversation) >= -1);
    if (fd.fd >= 0 && poll(&fd, 1, 0) > 0)
        conversation_step(talk->conversation, fd.revents);
    do {
        const char *lines;
        size_t size, count;
        while (talk->by_lines &&
               (count = conversation_next_lines(talk->conversation, &lines, &size)) > 0)
            take_lines(talk, lines, size, count);
        event = conversation_next(talk->conversation, &frame);
        if (event == CONVERSATION_REPLY || event == CONVERSATION_UNASKED)
            take_frame(talk, event, &frame);
        FUZZ_REQUIRE(conversation_owed(talk->conversation) == talk->owed);
    } while (event != CONVERSATION_NOTHING && event != CONVERSATION_END);
    FUZZ_REQUIRE((event == CONVERSATION_END) == (conversation_ended(talk->conversation) > 0));
}

/* ---- the server ---- */

static void look_at_requests(struct talk *talk)
{
    char bytes[4096];
    ssize_t size;
    while ((size = recv(talk->server, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        size_t known = buffer_size(&talk->asked);
        size_t same = (size_t) size < known ? (size_t) size : known;
        FUZZ_REQUIRE(fuzz_is_same(bytes, buffer_head(&talk->asked), same));
        buffer_consume(&talk->asked, same);
        /* Behind the requests there is nothing but the word for quit. */
        FUZZ_REQUIRE((size_t) size == same || memmem(bytes + same, (size_t) size - same,
                                                     PROTOCOL_QUIT, strlen(PROTOCOL_QUIT)));
    }
}

static void do_something(struct talk *talk, unsigned what)
{
    struct conversation *conversation = talk->conversation;
    if (what % 16 == 15)
        conversation_quit(conversation);
    else if (!conversation_takes_requests(conversation))
        return;
    else if (what % 16 == 14 && conversation->request_codec == FRAME_LINE)
        ask_lines(talk);
    else if (what % 16 < 5)
        ask(talk, what % 16);
}

static void run(struct talk *talk, struct fuzz_cuts *cuts, size_t size, struct trace *raw)
{
    /* When the conversation has ended nobody reads what is sent. */
    for (size_t at = 0; at < size && !conversation_ended(talk->conversation);) {
        do_something(talk, cuts->state >> 20);
        size_t piece = fuzz_cut(cuts, size - at);
        FUZZ_REQUIRE(send(talk->server, talk->stream + at, piece, MSG_NOSIGNAL) == (ssize_t) piece);
        trace_outcome(raw, FRAME_MESSAGE, talk->stream + at, piece);
        at += piece;
        turn(talk, true);
        if (cuts->state & 0x8000)
            turn(talk, false);
        if (cuts->state & 0x4000)
            look_at_requests(talk);
    }
    do_something(talk, cuts->state >> 20);
}

/* ---- the judge ---- */

static void check_end(const struct talk *talk, const struct trace *expected)
{
    size_t size = talk->trace.size;
    enum conversation_end end = conversation_ended(talk->conversation);
    const char *why = conversation_why(talk->conversation);
    FUZZ_REQUIRE(size < expected->size && memcmp(talk->trace.text, expected->text, size) == 0);
    FUZZ_REQUIRE((*why == '\0') == (end == CONVERSATION_CLOSED));
    char next = expected->text[size]; /* '.' if the stream has ended between two frames */
    bool is_over = talk->owed == 0 && talk->conversation->quitting;
    if (next == '[') /* the last word of a server that refuses, or stops */
        FUZZ_REQUIRE(memcmp(expected->text + size, "[-ERR ", 6) == 0 && end != CONVERSATION_LOST);
    else if (end == CONVERSATION_CLOSED)
        FUZZ_REQUIRE((next == '.' || is_over) && talk->owed == 0);
    else
        FUZZ_REQUIRE(end == CONVERSATION_LOST || end == CONVERSATION_TLS_REQUIRED);
}

static void judge(const struct talk *talk, size_t size, struct trace *raw)
{
    struct trace expected = {.size = 0}, ends = {.size = 0};
    if (talk->conversation->rules.codec == FRAME_RAW) {
        trace_outcome(raw, FRAME_END, NULL, 0);
        check_end(talk, raw);
    } else {
        split_stream(&talk->conversation->rules, talk->stream, size, &expected, &ends);
        check_end(talk, &expected);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    enum frame_codec codec = (enum frame_codec) fuzz_below(&input, FRAME_RAW + 1);
    unsigned flags = fuzz_byte(&input);
    struct fuzz_cuts cuts = fuzz_cuts(&input);
    struct conversation_settings settings = {.codec = codec};
    struct talk talk = {.conversation = calloc(1, sizeof *talk.conversation)};
    struct trace raw = {.size = 0};
    int fds[2];
    FUZZ_REQUIRE(talk.conversation);
    FUZZ_REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    conversation_init(talk.conversation, fds[0], &settings);
    talk.conversation->rules.max_bytes = LONGEST_REPLY;
    talk.server = fds[1];
    talk.by_lines = flags & 1;
    talk.stream = (const char *) input.at;
    size_t stream_size = input.left < LONGEST_STREAM ? input.left : LONGEST_STREAM;

    run(&talk, &cuts, stream_size, &raw);
    if (flags & 2)
        look_at_requests(&talk);
    if (flags & 4)
        shutdown(talk.server, SHUT_WR);
    else
        close(talk.server);
    for (unsigned i = 0; i < 9 && !conversation_ended(talk.conversation); i++)
        turn(&talk, true);
    FUZZ_REQUIRE(conversation_ended(talk.conversation));
    judge(&talk, stream_size, &raw);

    if (flags & 4)
        close(talk.server);
    conversation_close(talk.conversation);
    buffer_fini(&talk.asked);
    return 0;
}
