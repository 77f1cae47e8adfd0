/*
 * writer: merging, formatting, writing. text.c makes the lines.
 */
#include "server/log/writer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/log/text.h"

enum {
    CHUNK_BYTES = 256 << 10, /* about this much is formatted before it is written */
    PIECE_BYTES = 16 << 10,  /* a ring gets room again whenever about this much was taken */
    NAP_MS = 2,              /* how long events may gather after a write */
    PATIENCE_MS = 1000,      /* at the end: the time that the reader has for the next piece */
};

/* ---- formatting ---- */

static void report_dropped(struct log_writer *writer, struct log_ring *ring)
{
    uint64_t dropped = log_ring_take_dropped(ring);
    if (dropped && log_text_append_dropped(&writer->out, dropped))
        writer->out_lines++;
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
    while (log_ring_taken(ring) < PIECE_BYTES && log_ring_next(ring, until_ns, &record)) {
        if (log_text_append(&writer->out, record.event, record.session, record.text, record.size,
                            record.full_size))
            writer->out_lines++;
        else
            counter_add(&writer->lost, 1);
    }
    bool took = log_ring_taken(ring) > 0;
    log_ring_release(ring);
    return took;
}

/* Formats up to about a chunk of what the rings hold. False if they were empty.
 *
 * A session may move from one ring's loop to another's, and its lines must stay in order. The
 * record that came first was in its ring before the second was in the other one. So only records
 * that were there at a look are taken, while those that are there after the look decide which ring
 * is next: a record that the look has missed holds up the later ones until the next look. */
static bool format_chunk(struct log_writer *writer)
{
    struct log_ring *ring;
    int64_t next_ns;
    log_rings_look(writer->rings);
    while (buffer_size(&writer->out) < CHUNK_BYTES && (ring = oldest_ring(writer, &next_ns)))
        if (!format_ring(writer, ring, next_ns))
            log_rings_look(writer->rings);
    return buffer_size(&writer->out) > 0;
}

/* ---- writing ---- */

/* Waits until the log's reader takes something. False if the log closes and the reader has had its
 * time. */
static bool wait_writable(struct log_writer *writer)
{
    for (;;) {
        bool closing = atomic_load(&writer->closing);
        struct pollfd fds[2] = {{writer->fd, POLLOUT, 0}, {writer->stop_fd, POLLIN, 0}};
        int ready = poll(fds, closing ? 1 : 2, closing ? PATIENCE_MS : -1);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0 || fds[0].revents)
            return true; /* write(2) says what POLLERR and POLLHUP mean */
        if (closing)
            return false;
    }
}

/* Writes the bytes of `out`. False if it can't: those that are left are lost. */
static bool write_all(struct log_writer *writer, struct buffer *out)
{
    while (buffer_size(out)) {
        if (writer->broken || (!writer->is_file && !wait_writable(writer)))
            return false;
        /* A pipe that is writable takes PIPE_BUF bytes without blocking; more might block for
         * good, and then the server could not stop. */
        size_t size = buffer_size(out);
        if (!writer->is_file && size > PIPE_BUF)
            size = PIPE_BUF;
        ssize_t written = write(writer->fd, buffer_head(out), size);
        if (written >= 0)
            buffer_consume(out, (size_t) written);
        else if (errno == EPIPE || errno == EBADF)
            writer->broken = true;
        else if (errno != EINTR && errno != EAGAIN)
            return false; /* a full disk, perhaps for a while: later lines may not be lost */
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

static uint64_t lost_unreported(struct log_writer *writer)
{
    return counter_get(&writer->lost) - writer->lost_reported;
}

static void report_lost(struct log_writer *writer)
{
    struct buffer line = {0};
    uint64_t lost = lost_unreported(writer);
    log_text_append_dropped(&line, lost);
    if (write_all(writer, &line)) {
        writer->lost_reported += lost;
        counter_add(&writer->written, 1);
    }
    buffer_fini(&line);
}

static void write_out(struct log_writer *writer)
{
    if (lost_unreported(writer))
        report_lost(writer);
    uint64_t lost = 0;
    if (lost_unreported(writer) || !write_all(writer, &writer->out))
        lost = count_lines(buffer_head(&writer->out), buffer_size(&writer->out));
    counter_add(&writer->lost, lost);
    counter_add(&writer->written, writer->out_lines - lost);
    writer->out_lines = 0;
    buffer_clear(&writer->out);
}

/* ---- the thread ---- */

/* Lets events gather, so that a busy log is written in large pieces and its writer woken rarely. */
static void nap(struct log_writer *writer)
{
    struct pollfd stop = {writer->stop_fd, POLLIN, 0};
    poll(&stop, 1, NAP_MS);
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
            return NULL;
        if (wrote)
            nap(writer);
        else
            log_rings_wait(writer->rings);
    }
}

int log_writer_start(struct log_writer *writer, struct log_rings *rings, int fd)
{
    struct stat status;
    *writer = (struct log_writer){.rings = rings, .fd = fd};
    writer->is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    writer->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (writer->stop_fd < 0)
        return errno;
    int failure = pthread_create(&writer->thread, NULL, run, writer);
    if (failure)
        close(writer->stop_fd);
    return failure;
}

void log_writer_stop(struct log_writer *writer)
{
    atomic_store(&writer->closing, true);
    eventfd_write(writer->stop_fd, 1);
    log_rings_wake(writer->rings);
    pthread_join(writer->thread, NULL);
    close(writer->stop_fd);
    buffer_fini(&writer->out);
}
