/* inquiry: parts, one for each shard. */
#include "server/session/inquiry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/json.h"
#include "common/protocol.h"
#include "server/log/stamp.h"
#include "server/session/session.h"
#include "server/session/turn.h"

/* How many sessions are described, or looked at, before others have their turns: some 50 us. */
enum { DESCRIBED_AT_ONCE = 64, LOOKED_AT_AT_ONCE = 8192 };

struct part {
    struct inbox_node node; /* first */
    struct inquiry *inquiry;
    const struct shard *shard;
    bool was_asked;
    _Atomic bool is_over;
    /* The shard's owner's; when it is over, of the one who asks. */
    size_t place;
    struct log_stamp stamp;
    size_t found;
    struct buffer items; /* of the list */
    bool failed;         /* something is missing in it */
};

struct inquiry {
    atomic_uint owners;  /* the one who asks, and each part that was posted */
    atomic_uint waiting; /* parts that are not over; one more while they are posted */
    _Atomic bool is_abandoned;
    enum inquiry_kind kind;
    uint64_t number;
    int fd; /* eventfd */
    unsigned count;
    struct part parts[];
};

/* ---- both ---- */

static void unref(struct inquiry *inquiry)
{
    if (atomic_fetch_sub(&inquiry->owners, 1) > 1)
        return;
    for (unsigned i = 0; i < inquiry->count; i++)
        buffer_fini(&inquiry->parts[i].items);
    close(inquiry->fd);
    free(inquiry);
}

static void count_over(struct inquiry *inquiry)
{
    if (atomic_fetch_sub(&inquiry->waiting, 1) == 1)
        eventfd_write(inquiry->fd, 1);
}

/* ---- the owners of the loops ---- */

static void put_since(struct json *json, const struct part *part, const struct session *session)
{
    const uint32_t *since_s = store_since(session);
    struct log_stamp stamp = part->stamp;
    char text[LOG_STAMP_BYTES];
    if (!since_s)
        return;
    *log_stamp_put(&stamp, text, (int64_t) *since_s * 1000000000) = '\0';
    char *fraction = strchr(text, '.');
    if (fraction)
        memcpy(fraction, "Z", sizeof "Z");
    json_text(json, "since", text);
}

static void describe(struct part *part, const struct session *session)
{
    const struct session_active *active = session->active;
    struct json json = {.out = &part->items, .has_item = part->found > 0};
    struct peer_text peer;
    int64_t idle_ms = session_shard(session)->loop.now_ms - (int64_t) session->since_ms;
    session_describe_peer(session, &peer);
    json_begin_object(&json, NULL);
    json_number(&json, "session", session->number);
    json_text(&json, "address", peer.address);
    if (peer.identity[0])
        json_text(&json, "identity", peer.identity);
    put_since(&json, part, session);
    json_thousandths(&json, "idle_s", idle_ms > 0 ? (uint64_t) idle_ms : 0);
    json_number(&json, "requests_pending", active ? active->pending : 0);
    json_number(&json, "unsent_bytes", active ? buffer_size(&active->output) : 0);
    json_end_object(&json);
    part->failed |= json.failed;
}

/* Whether it is a client still, and one that is asked for. */
static bool is_meant(const struct inquiry *inquiry, const struct session *session)
{
    return session->number && !session->closing &&
           (!inquiry->number || session->number == inquiry->number);
}

/* Returns whether that was all. */
static bool look_at_some(struct part *part, const struct shard *shard, struct scratch *scratch)
{
    const struct inquiry *inquiry = part->inquiry;
    log_stamp_look(&part->stamp);
    int left = inquiry->number ? LOOKED_AT_AT_ONCE : DESCRIBED_AT_ONCE;
    struct session *session;
    for (; left > 0; left--) {
        if (!(session = store_next(&shard->store, &part->place)))
            return true;
        if (!is_meant(inquiry, session))
            continue;
        if (inquiry->kind == INQUIRY_CLOSE)
            turn_drain(session, scratch);
        else
            describe(part, session);
        part->found++;
        if (inquiry->number || part->failed || buffer_size(&part->items) > PROTOCOL_MAX_REPLY)
            return true;
    }
    return false;
}

void inquiry_go_on(struct inbox_node *node, struct shard *shard, struct scratch *scratch)
{
    struct part *part = (struct part *) node;
    struct inquiry *inquiry = part->inquiry;
    if (!atomic_load(&inquiry->is_abandoned) && !look_at_some(part, shard, scratch)) {
        loop_post(&shard->loop, node);
        return;
    }
    atomic_store(&part->is_over, true);
    count_over(inquiry);
    unref(inquiry);
}

void inquiry_discard(struct inbox_node *node) { unref(((struct part *) node)->inquiry); }

/* ---- the one who asks ---- */

/* A loop that does not run has no sessions. */
static void post(struct inquiry *inquiry, const struct shared *shared)
{
    for (unsigned i = 0; i < inquiry->count; i++) {
        struct part *part = &inquiry->parts[i];
        struct shard *shard = &shared->shards[i];
        *part = (struct part){
            .node.kind = INBOX_INQUIRY, .inquiry = inquiry, .shard = shard, .is_over = true};
        if (!atomic_load(&shard->serves))
            continue;
        part->is_over = false;
        part->was_asked = true;
        atomic_fetch_add(&inquiry->owners, 1);
        atomic_fetch_add(&inquiry->waiting, 1);
        loop_post(&shard->loop, &part->node);
    }
    count_over(inquiry);
}

struct inquiry *inquiry_new(const struct shared *shared, unsigned count, enum inquiry_kind kind,
                            uint64_t number)
{
    struct inquiry *inquiry = calloc(1, sizeof *inquiry + count * sizeof *inquiry->parts);
    if (!inquiry)
        return NULL;
    inquiry->kind = kind;
    inquiry->number = number;
    inquiry->count = count;
    inquiry->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (inquiry->fd < 0) {
        int why = errno;
        free(inquiry);
        errno = why;
        return NULL;
    }
    atomic_store(&inquiry->owners, 1);
    atomic_store(&inquiry->waiting, 1);
    post(inquiry, shared);
    return inquiry;
}

int inquiry_fd(const struct inquiry *inquiry) { return inquiry->fd; }

bool inquiry_is_over(const struct inquiry *inquiry)
{
    for (unsigned i = 0; i < inquiry->count; i++) {
        const struct part *part = &inquiry->parts[i];
        if (!atomic_load(&part->is_over) && atomic_load(&part->shard->serves))
            return false;
    }
    return true;
}

/* One that is not over is of a loop that has ended, without sessions. */
static const struct part *next_answer(const struct inquiry *inquiry, unsigned *place)
{
    while (*place < inquiry->count) {
        const struct part *part = &inquiry->parts[(*place)++];
        if (part->was_asked && atomic_load(&part->is_over))
            return part;
    }
    return NULL;
}

size_t inquiry_found(const struct inquiry *inquiry)
{
    size_t found = 0;
    unsigned place = 0;
    for (const struct part *part; (part = next_answer(inquiry, &place));)
        found += part->found;
    return found;
}

bool inquiry_list(const struct inquiry *inquiry, size_t most, struct buffer *out)
{
    struct json json = {.out = out};
    size_t before = buffer_size(out);
    unsigned place = 0;
    json_begin_array(&json, NULL);
    for (const struct part *part; (part = next_answer(inquiry, &place));) {
        json_items(&json, buffer_head(&part->items), buffer_size(&part->items));
        json.failed |= part->failed;
    }
    json_end_array(&json);
    if (!json.failed && buffer_size(out) - before <= most)
        return true;
    out->end = out->begin + before;
    return false;
}

void inquiry_release(struct inquiry *inquiry)
{
    atomic_store(&inquiry->is_abandoned, true);
    unref(inquiry);
}
