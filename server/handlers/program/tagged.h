/*
 * tagged: the requests that are in an instance at once, each behind a number of its own (--tagged):
 * writes "ID SPACE line", with a telling before the line or without, and gives "ID SPACE answer" to
 * the request that has this ID, in any order. An ID is used once. Knows pipes and requests, neither
 * workers nor processes.
 *
 * A request whose time is over (the engine has answered it) keeps its ID and its place until its
 * answer comes. It costs the others nothing as long as the instance goes on: it hangs if it has had
 * a request for as long as one may take, and for as long has neither answered any nor begun to. So
 * one that has nothing but late requests, or that is full of them, has the time of one more.
 *
 * Only the supervisor's thread calls these.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_TAGGED_H
#define BANTER_SERVER_HANDLERS_PROGRAM_TAGGED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "server/handlers/program/exchange.h"

struct request;

struct tagged_slot {
    struct request *request; /* held until its answer comes, in time or not; NULL: free */
    uint64_t id;             /* of this request, or of the last one */
    uint64_t begin;          /* of its line, in bytes from the instance's start */
    int64_t given_us;
};

struct tagged {
    bool tells;                /* each line has the telling behind its ID */
    struct tagged_slot *slots; /* `room` of them; owned */
    unsigned *free;            /* a stack of the numbers of those that are free; owned */
    unsigned room, count;      /* how many there are, how many are in use */
    struct buffer output;      /* lines that are not written yet */
    uint64_t written;          /* bytes, since the instance's start */
    struct buffer line;        /* of the instance's output, not ended yet */
    int64_t progress_us;       /* when it has last answered, or begun to */
    uint64_t answered;         /* requests, since the last time that the taker set it to 0 */
};

/* False: out of memory; tagged_fini() must follow in both cases. */
bool tagged_init(struct tagged *tagged, unsigned room);

/* Releases all requests. */
void tagged_fini(struct tagged *tagged);

static inline bool tagged_is_full(const struct tagged *tagged)
{
    return tagged->count == tagged->room;
}

/* Takes over the hold of a request; there is room. False: out of memory, and it is not taken. */
bool tagged_add(struct tagged *tagged, struct request *request, int64_t now_us);

/* Writes what was added, to a descriptor that does not block. */
enum exchange_progress tagged_write(struct tagged *tagged, int fd);

static inline bool tagged_is_written(const struct tagged *tagged)
{
    return buffer_size(&tagged->output) == 0;
}

/* Takes what the instance has written, and answers. False: it can't be trusted any more, or memory
 * is out: `why`, of `size` bytes, follows nothing. */
bool tagged_take(struct tagged *tagged, const char *text, size_t length, int64_t now_us, char *why,
                 size_t size);

/* When the instance hangs, unless it goes on before: in ms of CLOCK_MONOTONIC; CLOCK_NEVER: it has
 * no request. `timeout_ms` is how long a request may take, 0: as long as it likes. */
int64_t tagged_hangs_ms(const struct tagged *tagged, int64_t timeout_ms);

/* Answers all with "-ERR CODE TEXT", and releases them: their IDs are unknown from now on. */
void tagged_refuse(struct tagged *tagged, const char *code, const char *text);

/* Gives back one of the requests of which nothing was read, if so many bytes of what was written
 * are unread, with its hold; NULL: there is none any more. */
struct request *tagged_return(struct tagged *tagged, size_t unread);

/* None of them is begun any more. */
void tagged_defer_unread(const struct tagged *tagged, size_t unread);

/* For the next instance; no request is left. */
void tagged_reset(struct tagged *tagged);

#endif
