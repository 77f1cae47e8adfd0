/*
 * fuzz_tagged: lines behind IDs, taken in pieces, against the same lines read one by one: each ID
 * answers its request once, and anything else ends the trust.
 *
 * Input: how many requests are added when, two bytes for the cuts, the program's bytes.
 */
#include <string.h>

#include "common/clock.h"
#include "server/handlers/program/tagged.h"
#include "server/request_owner.h"
#include "tests/fuzz/fuzz.h"

enum { ROOM = 4, REQUESTS = 8 };

struct book {
    struct tagged tagged;
    struct request *requests[REQUESTS]; /* the asker's references */
    uint64_t ids[REQUESTS];             /* 0: it is answered, or not given yet */
    unsigned count;                     /* of those that were given */
};

/* An ID is the next one of the slot that became free last. */
static void give(struct book *book)
{
    static const char message[] = "x";
    struct request *request = request_new(NULL, NULL, NULL);
    FUZZ_REQUIRE(request);
    request_start(request, NULL, NULL, 1, message, 1);
    request->deadline_ms = CLOCK_NEVER;
    FUZZ_REQUIRE(request_hold(request));
    request_release(request);
    FUZZ_REQUIRE(tagged_add(&book->tagged, request, 0));
    for (unsigned i = 0; i < ROOM; i++)
        if (book->tagged.slots[i].request == request)
            book->ids[book->count] = book->tagged.slots[i].id;
    book->requests[book->count++] = request;
}

static void check_ids(const struct book *book)
{
    for (unsigned i = 0; i < book->count; i++)
        for (unsigned j = 0; j < i; j++)
            FUZZ_REQUIRE(!book->ids[i] || book->ids[i] != book->ids[j]);
}

/* The request that a line answers, and its answer; REQUESTS: none. */
static unsigned read_line(const struct book *book, const char *line, size_t size,
                          const char **answer, size_t *answer_size)
{
    if (size > 0 && line[size - 1] == '\r')
        size--;
    for (unsigned i = 0; i < book->count; i++) {
        char head[24];
        size_t head_size = (size_t) sprintf(head, "%llu ", (unsigned long long) book->ids[i]);
        if (book->ids[i] && size >= head_size && memcmp(line, head, head_size) == 0) {
            *answer = line + head_size;
            *answer_size = size - head_size;
            return i;
        }
    }
    return REQUESTS;
}

static void check_reply(const struct request *request, const char *answer, size_t size)
{
    const struct buffer *reply = &request->reply;
    FUZZ_REQUIRE(buffer_size(reply) == size && fuzz_is_same(buffer_head(reply), answer, size));
}

/* A whole line has been taken, rightly or not: it is compared with what has come of it. */
static bool take_line(struct book *book, const char *line, size_t size, bool trusted)
{
    const char *answer;
    size_t answer_size;
    unsigned number = read_line(book, line, size, &answer, &answer_size);
    FUZZ_REQUIRE(trusted == (number < REQUESTS));
    if (!trusted)
        return false;
    check_reply(book->requests[number], answer, answer_size);
    book->ids[number] = 0;
    return true;
}

/* Takes the bytes line by line, each cut anywhere; a request is added now and then between two. */
static void run(struct book *book, struct fuzz_input *input, struct fuzz_cuts *cuts)
{
    char why[300] = "";
    bool trusted = true;
    while (trusted && input->left > 0) {
        const char *line = (const char *) input->at;
        const char *newline = memchr(line, '\n', input->left);
        size_t size = newline ? (size_t) (newline - line) + 1 : input->left;
        for (size_t at = 0; at < size;) {
            size_t piece = fuzz_cut(cuts, size - at);
            trusted = tagged_take(&book->tagged, line + at, piece, 0, why, sizeof why);
            FUZZ_REQUIRE(trusted || at + piece == size);
            at += piece;
        }
        if (newline)
            trusted = take_line(book, line, size - 1, trusted);
        FUZZ_REQUIRE(trusted == (why[0] == '\0'));
        if (cuts->state & 0x40000 && book->count < REQUESTS && !tagged_is_full(&book->tagged))
            give(book);
        check_ids(book);
        input->at += size;
        input->left -= size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct book book = {.count = 0};
    FUZZ_REQUIRE(tagged_init(&book.tagged, ROOM));
    for (unsigned count = fuzz_below(&input, ROOM + 1); count > 0; count--)
        give(&book);
    struct fuzz_cuts cuts = fuzz_cuts(&input);
    run(&book, &input, &cuts);

    tagged_refuse(&book.tagged, "gone", "x");
    FUZZ_REQUIRE(book.tagged.count == 0);
    for (unsigned i = 0; i < book.count; i++) {
        if (book.ids[i])
            check_reply(book.requests[i], "-ERR gone x", strlen("-ERR gone x"));
        request_unref(book.requests[i]);
    }
    tagged_fini(&book.tagged);
    return 0;
}
