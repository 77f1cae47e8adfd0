/*
 * writer: merging, formatting, writing. render.c makes the lines.
 */
#include "server/log/writer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "server/log/render.h"

enum {
    CHUNK_BYTES = 256 << 10, /* about this much is formatted before it is written */
    PIECE_BYTES = 16 << 10,  /* a ring gets room again whenever about this much was taken */
    NAP_MS = 2,              /* how long events may gather after a write */
    /* More than `out` ever holds: the rest of a line, a chunk, and then a piece and a text that
     * become six times as long when they are escaped. */
    OUT_BYTES = 3 << 19,
    /* At the end: the time that the reader has for the next piece, and in all. */
    PATIENCE_MS = 1000,
    LAST_MS = 5000,
};

/* ---- formatting ---- */

static void report_dropped(struct log_writer *writer, struct log_ring *ring)
{
    uint64_t dropped = log_ring_take_dropped(ring);
    if (dropped &&
        log_render_dropped(&writer->renderer, &writer->out, clock_ns(CLOCK_MONOTONIC), dropped))
        writer->out_lines++;
}

/* Reports how many events were not written by themselves in the seconds that are over by `end_ns`,
 * INT64_MAX for all, as it is `now_ns`. */
static void report_repeats(struct log_writer *writer, int64_t now_ns, int64_t end_ns)
{
    enum log_event event;
    uint64_t count;
    int64_t due_ns;
    while ((due_ns = repeats_due_ns(&writer->repeats)) <= end_ns &&
           repeats_next(&writer->repeats, end_ns, &event, &count))
        if (log_render_repeated(&writer->renderer, &writer->out, clock_earlier(due_ns, now_ns),
                                event, count))
            writer->out_lines++;
}

static void format_record(struct log_writer *writer, const struct log_record *record)
{
    /* The stop's line is the last. */
    int64_t end_ns = record->event == LOG_STOPPED ? INT64_MAX : record->time_ns;
    if (repeats_due_ns(&writer->repeats) <= end_ns)
        report_repeats(writer, record->time_ns, end_ns);
    if (!repeats_take(&writer->repeats, record->event, record->time_ns))
        return;
    if (log_render(&writer->renderer, &writer->out, record))
        writer->out_lines++;
    else
        counter_add(&writer->lost, 1);
}

/* The ring whose next record is the oldest; NULL when all are empty. `*next_ns` is the time of the
 * oldest record in the other rings. */
static struct log_ring *oldest_ring(struct log_writer *writer, int64_t *next_ns)
{
    struct log_ring *found = NULL;
    int64_t found_ns = INT64_MAX;
    *next_ns = INT64_MAX;
    struct log_ring *ring = NULL;
    while ((ring = log_rings_next(writer->rings, ring))) {
        int64_t time_ns;
        if (!log_ring_peek(ring, &time_ns)) {
            report_dropped(writer, ring);
        } else if (!found || time_ns < found_ns) {
            *next_ns = found_ns;
            found_ns = time_ns;
            found = ring;
        } else if (time_ns < *next_ns) {
            *next_ns = time_ns;
        }
    }
    return found;
}

/* Formats up to about a piece of the records that one ring held at the last look and that are not
 * later than `until_ns`. False if there were none. */
static bool format_ring(struct log_writer *writer, struct log_ring *ring, int64_t until_ns)
{
    struct log_record record;
    while (log_ring_taken(ring) < PIECE_BYTES && log_ring_next(ring, until_ns, &record))
        format_record(writer, &record);
    bool took = log_ring_taken(ring) > 0;
    log_ring_release(ring);
    return took;
}

/* Formats up to about a chunk of what the rings hold. False if there was nothing.
 *
 * A session may move from one ring's loop to another's, and its lines must stay in order. The
 * record that came first was in its ring before the second was in the other one. So only records
 * that were there at a look are taken, while those that are there after the look decide which ring
 * is next: a record that the look has missed holds up the later ones until the next look. */
static bool format_chunk(struct log_writer *writer)
{
    struct log_ring *ring;
    int64_t next_ns;
    size_t most = writer->cut_bytes + CHUNK_BYTES;
    log_renderer_look(&writer->renderer);
    log_rings_look(writer->rings);
    while (buffer_size(&writer->out) < most && (ring = oldest_ring(writer, &next_ns)))
        if (!format_ring(writer, ring, next_ns))
            log_rings_look(writer->rings);
    if (repeats_due_ns(&writer->repeats) != INT64_MAX) {
        int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
        report_repeats(writer, now_ns, now_ns);
    }
    return writer->out_lines > 0;
}

/* ---- writing ---- */

/* As poll(2), until `*due_ms`, which comes later if the process stands still meanwhile. */
static int poll_until(struct pollfd *fd, int64_t *due_ms)
{
    int ready;
    do {
        ready = clock_poll(fd, 1, due_ms);
    } while ((ready == 0 && clock_ms() < *due_ms) || (ready < 0 && errno == EINTR));
    return ready;
}

/* As poll(2), while the log closes: until the log's reader has had its time. */
static int wait_at_last(struct log_writer *writer, struct pollfd *fd)
{
    int64_t now_ms = clock_ms();
    if (writer->last_ms == CLOCK_NEVER)
        writer->last_ms = now_ms + LAST_MS;
    int64_t planned_ms = clock_earlier(now_ms + PATIENCE_MS, writer->last_ms);
    int64_t due_ms = planned_ms;
    int ready = poll_until(fd, &due_ms);
    writer->last_ms += due_ms - planned_ms;
    return ready;
}

/* Waits until the log's reader takes something. False if the log closes and the reader has had its
 * time. */
static bool wait_writable(struct log_writer *writer)
{
    for (;;) {
        bool closing = atomic_load(&writer->closing);
        struct pollfd fds[2] = {{writer->fd, POLLOUT, 0}, {writer->stop_fd, POLLIN, 0}};
        int ready = closing ? wait_at_last(writer, fds) : poll(fds, 2, -1);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0 || fds[0].revents)
            return true; /* write(2) says what POLLERR and POLLHUP mean */
        if (closing)
            return false;
    }
}

/* How many of the bytes to write at once. A pipe that is writable takes PIPE_BUF bytes without
 * blocking; more might block for good. Whole lines, so that none is cut if it is the last. */
static size_t piece_size(const struct log_writer *writer, const char *bytes, size_t size)
{
    if (writer->is_file || size <= PIPE_BUF)
        return size;
    const char *newline = memrchr(bytes, '\n', PIPE_BUF);
    return newline ? (size_t) (newline - bytes) + 1 : PIPE_BUF;
}

/* Writes the first `size` bytes of `out`. False if it can't: those that are left stay in it. */
static bool write_head(struct log_writer *writer, struct buffer *out, size_t size)
{
    while (size > 0) {
        if (!writer->broken && !writer->is_file && !wait_writable(writer))
            writer->broken = true;
        if (writer->broken)
            return false;
        const char *bytes = buffer_head(out);
        ssize_t written = write(writer->fd, bytes, piece_size(writer, bytes, size));
        if (written > 0) {
            writer->is_within = bytes[written - 1] != '\n';
            buffer_consume(out, (size_t) written);
            size -= (size_t) written;
            counter_add(&writer->taken, 1);
        } else if (written < 0 && (errno == EPIPE || errno == EBADF)) {
            writer->broken = true;
        } else if (written == 0 || (errno != EINTR && errno != EAGAIN)) {
            return false; /* a full disk, perhaps for a while: later lines may not be lost */
        }
    }
    return true;
}

static uint64_t count_lines(const char *text, size_t size)
{
    uint64_t lines = 0;
    for (const char *end = text + size; (text = memchr(text, '\n', (size_t) (end - text))); text++)
        lines++;
    return lines;
}

static off_t file_size(const struct log_writer *writer)
{
    struct stat status;
    return writer->is_file && fstat(writer->fd, &status) == 0 ? status.st_size : 0;
}

/* Writes the rest of a line that was cut, unless its beginning was cut off since, as when the log
 * is rotated. */
static bool complete_line(struct log_writer *writer)
{
    if (writer->cut_bytes == 0)
        return true;
    if (file_size(writer) < writer->cut_at) {
        buffer_consume(&writer->out, writer->cut_bytes);
        writer->cut_bytes = 0;
        writer->is_within = false;
        counter_add(&writer->lost, 1);
        return true;
    }
    size_t before = buffer_size(&writer->out);
    bool done = write_head(writer, &writer->out, writer->cut_bytes);
    writer->cut_bytes -= before - buffer_size(&writer->out);
    counter_add(&writer->written, done);
    return done;
}

/* Gives up the lines in `out`. The rest of one that was begun is at the head of `begun`, `out` or
 * another, and is kept. */
static void lose_lines(struct log_writer *writer, const struct buffer *begun)
{
    struct buffer *out = &writer->out;
    const char *rest = buffer_head(begun);
    const char *end = writer->is_within ? memchr(rest, '\n', buffer_size(begun)) : NULL;
    size_t rest_bytes = end ? (size_t) (end - rest) + 1 : 0;
    size_t skipped = begun == out ? rest_bytes : 0;
    uint64_t lost = count_lines(buffer_head(out) + skipped, buffer_size(out) - skipped);
    uint64_t cut = skipped > 0 && writer->cut_bytes == 0; /* a line of these, only now */
    counter_add(&writer->lost, lost);
    counter_add(&writer->written, writer->out_lines - lost - cut);
    buffer_clear(out);
    memmove(out->data, rest, rest_bytes);
    buffer_added(out, rest_bytes);
    writer->out_lines = 0;
    writer->cut_bytes = rest_bytes;
    writer->cut_at = file_size(writer);
}

/* If it fails the lines in `out` are lost, too. */
static bool report_lost(struct log_writer *writer)
{
    char text[1024]; /* more than it needs, since no memory may be asked for */
    struct buffer line = {.data = text, .capacity = sizeof text};
    uint64_t lost = counter_get(&writer->lost) - writer->lost_reported;
    if (lost == 0)
        return true;
    log_render_dropped(&writer->renderer, &line, clock_ns(CLOCK_MONOTONIC), lost);
    bool done = write_head(writer, &line, buffer_size(&line));
    if (done || writer->is_within)
        writer->lost_reported += lost;
    if (done)
        counter_add(&writer->written, 1);
    else
        lose_lines(writer, &line);
    return done;
}

static void write_out(struct log_writer *writer)
{
    bool completed = complete_line(writer);
    if (completed && !report_lost(writer))
        return;
    if (completed && write_head(writer, &writer->out, buffer_size(&writer->out))) {
        counter_add(&writer->written, writer->out_lines);
        writer->out_lines = 0;
    } else {
        lose_lines(writer, &writer->out);
    }
}

/* ---- the thread ---- */

static void close_writer(struct log_writer *writer)
{
    descriptor_close(&writer->stop_fd);
    descriptor_close(&writer->ended_fd);
    buffer_fini(&writer->out);
}

/* Lets events gather, so that a busy log is written in large pieces and its writer woken rarely. */
static void nap(struct log_writer *writer)
{
    struct pollfd stop = {writer->stop_fd, POLLIN, 0};
    poll(&stop, 1, NAP_MS);
}

static void finish(struct log_writer *writer)
{
    report_repeats(writer, clock_ns(CLOCK_MONOTONIC), INT64_MAX);
    write_out(writer);
    counter_add(&writer->lost, writer->cut_bytes > 0);
    eventfd_write(writer->ended_fd, 1);
}

static void *run(void *argument)
{
    struct log_writer *writer = argument;
    for (;;) {
        bool closing = atomic_load(&writer->closing);
        bool wrote = false;
        while (format_chunk(writer)) {
            write_out(writer);
            wrote = true;
        }
        if (closing)
            break;
        if (wrote)
            nap(writer);
        else
            log_rings_wait(writer->rings, repeats_due_ns(&writer->repeats));
    }
    finish(writer);
    return NULL;
}

int log_writer_start(struct log_writer *writer, struct log_rings *rings, int fd,
                     struct log_style style)
{
    struct stat status;
    *writer = (struct log_writer){.rings = rings, .fd = fd, .last_ms = CLOCK_NEVER};
    log_renderer_init(&writer->renderer, style);
    writer->is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    writer->stop_fd = eventfd(0, EFD_CLOEXEC);
    writer->ended_fd = eventfd(0, EFD_CLOEXEC);
    int failure = writer->stop_fd < 0 || writer->ended_fd < 0 ? errno : 0;
    if (!failure && !buffer_reserve(&writer->out, OUT_BYTES))
        failure = ENOMEM;
    if (!failure)
        failure = pthread_create(&writer->thread, NULL, run, writer);
    if (failure)
        close_writer(writer);
    return failure;
}

/* What changes as long as the thread gets on: with its reader, or with giving up what is left. */
static uint64_t signs_of_life(const struct log_writer *writer)
{
    return counter_get(&writer->taken) + counter_get(&writer->lost);
}

/* Whether the thread has ended. If not, it is in a write(2) in which nobody takes anything: a
 * terminal that was stopped, a file on a machine that is gone. */
static bool has_ended(struct log_writer *writer)
{
    struct pollfd ended = {writer->ended_fd, POLLIN, 0};
    int silence_ms = writer->is_file ? LAST_MS : PATIENCE_MS + PATIENCE_MS / 2;
    int64_t end_ms = clock_ms() + LAST_MS + silence_ms;
    uint64_t signs;
    do {
        int64_t planned_ms = clock_ms() + silence_ms;
        int64_t due_ms = planned_ms;
        signs = signs_of_life(writer);
        if (poll_until(&ended, &due_ms) > 0)
            return true;
        end_ms += due_ms - planned_ms;
    } while (signs_of_life(writer) != signs && clock_ms() < end_ms);
    return false;
}

bool log_writer_stop(struct log_writer *writer)
{
    atomic_store(&writer->closing, true);
    eventfd_write(writer->stop_fd, 1);
    log_rings_wake(writer->rings);
    if (!has_ended(writer))
        return false;
    pthread_join(writer->thread, NULL);
    close_writer(writer);
    return true;
}
