/* stream: references, and the way to the loop. */
#include "server/stream.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/engine/loop.h"

struct stream *stream_new(struct loop *loop, uint64_t session, void *context)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->started_node.kind = INBOX_STREAM_STARTED;
    stream->ended_node.kind = INBOX_STREAM_ENDED;
    stream->loop = loop;
    stream->session = session;
    stream->context = context;
    stream->input_fd = stream->output_fd = -1;
    atomic_init(&stream->references, 1);
    return stream;
}

void stream_hold(struct stream *stream)
{
    atomic_fetch_add_explicit(&stream->references, 1, memory_order_relaxed);
}

void stream_release(struct stream *stream)
{
    if (atomic_fetch_sub_explicit(&stream->references, 1, memory_order_acq_rel) == 1)
        free(stream);
}

struct stream *stream_of_node(struct inbox_node *node)
{
    size_t offset = node->kind == INBOX_STREAM_STARTED ? offsetof(struct stream, started_node)
                                                       : offsetof(struct stream, ended_node);
    return (struct stream *) ((char *) node - offset);
}

static void post(struct stream *stream, struct inbox_node *node)
{
    stream_hold(stream);
    loop_post(stream->loop, node);
}

void stream_started(struct stream *stream, int input_fd, int output_fd)
{
    stream->input_fd = input_fd;
    stream->output_fd = output_fd;
    post(stream, &stream->started_node);
}

void stream_refuse(struct stream *stream, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(stream->text, sizeof stream->text, format, arguments);
    va_end(arguments);
    stream->code = code;
    post(stream, &stream->started_node);
}

void stream_process_ended(struct stream *stream) { post(stream, &stream->ended_node); }
