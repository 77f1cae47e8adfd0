/*
 * uv_line: the line server that one would write with libuv in an afternoon, done well: one thread,
 * lines split in place, "Hello " and ASCII upper case, all replies to one read in one write, tried
 * at once. Usage: uv_line PORT [echo]; port 0 is any free one; the port is printed. uv_line
 * --version tells libuv's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "tests/bench/peers/answers.h"
#include "tests/bench/peers/peer.h"

#define READ_BYTES ((size_t) 64 << 10)
#define MAX_LINE ((size_t) 1 << 20)

struct client {
    uv_tcp_t handle;
    struct buffer rest; /* the beginning of a line whose end has not come */
};

/* What a try-write left over; owned by the write request. */
struct unsent {
    uv_write_t request;
    char data[];
};

static char read_buffer[READ_BYTES];
static struct buffer replies; /* to the present read */

static _Noreturn void die(const char *what, int status)
{
    fprintf(stderr, "uv_line: %s: %s\n", what, uv_strerror(status));
    exit(1);
}

static void on_close(uv_handle_t *handle)
{
    struct client *client = handle->data;
    buffer_fini(&client->rest);
    free(client);
}

static void close_client(struct client *client)
{
    if (!uv_is_closing((uv_handle_t *) &client->handle)) {
        uv_close((uv_handle_t *) &client->handle, on_close);
    }
}

static void on_written(uv_write_t *request, int status)
{
    if (status < 0 && status != UV_ECANCELED) {
        close_client(request->handle->data);
    }
    free(request->data);
}

static void send_replies(struct client *client)
{
    uv_stream_t *stream = (uv_stream_t *) &client->handle;
    uv_buf_t buffer = uv_buf_init(buffer_head(&replies), (unsigned) buffer_size(&replies));
    const int taken = uv_try_write(stream, &buffer, 1);
    if (taken < 0 && taken != UV_EAGAIN) {
        close_client(client);
        return;
    }
    const size_t done = taken < 0 ? 0 : (size_t) taken;
    const size_t left = buffer_size(&replies) - done;
    if (left == 0) {
        return;
    }
    struct unsent *unsent = malloc(sizeof(*unsent) + left);
    if (unsent == NULL) {
        die("write", UV_ENOMEM);
    }
    memcpy(unsent->data, buffer_head(&replies) + done, left);
    unsent->request.data = unsent;
    buffer = uv_buf_init(unsent->data, (unsigned) left);
    uv_write(&unsent->request, stream, &buffer, 1, on_written);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void) handle;
    (void) suggested;
    *buffer = uv_buf_init(read_buffer, sizeof(read_buffer));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct client *client = stream->data;
    if (count < 0) {
        close_client(client);
        return;
    }
    buffer_clear(&replies);
    answers_to_read(&client->rest, buffer->base, (size_t) count, &replies);
    if (buffer_size(&replies) > 0) {
        send_replies(client);
    }
    if (buffer_size(&client->rest) > MAX_LINE) {
        close_client(client);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct client *client = status < 0 ? NULL : calloc(1, sizeof(*client));
    if (client == NULL) {
        return;
    }
    uv_tcp_init(listener->loop, &client->handle);
    client->handle.data = client;
    if (uv_accept(listener, (uv_stream_t *) &client->handle) < 0) {
        close_client(client);
        return;
    }
    uv_tcp_nodelay(&client->handle, 1);
    uv_read_start((uv_stream_t *) &client->handle, on_alloc, on_read);
}

static void listen_on(uv_loop_t *loop, uv_tcp_t *listener, int port)
{
    struct sockaddr_in address;
    int size = sizeof(address);
    uv_tcp_init(loop, listener);
    uv_ip4_addr("127.0.0.1", port, &address);
    int status = uv_tcp_bind(listener, (const struct sockaddr *) &address, 0);
    if (status == 0) {
        status = uv_listen((uv_stream_t *) listener, SOMAXCONN, on_connection);
    }
    if (status == 0) {
        status = uv_tcp_getsockname(listener, (struct sockaddr *) &address, &size);
    }
    if (status < 0) {
        die("listen", status);
    }
    peer_tell(ntohs(address.sin_port));
}

int main(int argc, char **argv)
{
    char version[64];
    snprintf(version, sizeof(version), "libuv %s", uv_version_string());
    const int port = peer_begin(argc, argv, version);
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    listen_on(loop, &listener, port);
    return uv_run(loop, UV_RUN_DEFAULT);
}
