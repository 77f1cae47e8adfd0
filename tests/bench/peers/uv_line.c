/*
 * uv_line: the line server that one would write with libuv in an afternoon, done well: one thread,
 * lines split in place, "Hello " and ASCII upper case, all replies to one read in one write, tried
 * at once. Usage: uv_line PORT; port 0 is any free one; the port is printed. uv_line --version
 * tells libuv's.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

#define HELLO "Hello "
#define HELLO_SIZE (sizeof(HELLO) - 1)
#define READ_BYTES ((size_t) 64 << 10)
#define MAX_LINE ((size_t) 1 << 20)

struct bytes {
    char *data;
    size_t size;
    size_t capacity;
};

struct client {
    uv_tcp_t handle;
    struct bytes rest; /* the beginning of a line whose end has not come */
};

/* What a try-write left over; owned by the write request. */
struct unsent {
    uv_write_t request;
    char data[];
};

static char read_buffer[READ_BYTES];
static struct bytes replies; /* to the present read */

static _Noreturn void die(const char *what, int status)
{
    fprintf(stderr, "uv_line: %s: %s\n", what, uv_strerror(status));
    exit(1);
}

static char *append(struct bytes *bytes, const char *data, size_t size)
{
    if (bytes->size + size > bytes->capacity) {
        const size_t capacity = 2 * (bytes->size + size);
        char *larger = realloc(bytes->data, capacity);
        if (larger == NULL) {
            die("append", UV_ENOMEM);
        }
        bytes->data = larger;
        bytes->capacity = capacity;
    }
    char *place = bytes->data + bytes->size;
    memcpy(place, data, size);
    bytes->size += size;
    return place;
}

static void forget(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

static void on_close(uv_handle_t *handle)
{
    struct client *client = handle->data;
    forget(&client->rest);
    free(client);
}

static void close_client(struct client *client)
{
    if (!uv_is_closing((uv_handle_t *) &client->handle)) {
        uv_close((uv_handle_t *) &client->handle, on_close);
    }
}

/* The rest of a line, its end included. */
static void answer(const char *rest, size_t rest_size, const char *data, size_t size)
{
    append(&replies, HELLO, HELLO_SIZE);
    if (rest_size > 0) {
        append(&replies, rest, rest_size);
    }
    append(&replies, data, size);
    char *text = replies.data + replies.size - rest_size - size;
    for (size_t i = 0; i < rest_size + size; i++) {
        if (text[i] >= 'a' && text[i] <= 'z') {
            text[i] -= 'a' - 'A';
        }
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
    uv_buf_t buffer = uv_buf_init(replies.data, (unsigned) replies.size);
    const int taken = uv_try_write(stream, &buffer, 1);
    if (taken < 0 && taken != UV_EAGAIN) {
        close_client(client);
        return;
    }
    const size_t done = taken < 0 ? 0 : (size_t) taken;
    if (done == replies.size) {
        return;
    }
    struct unsent *unsent = malloc(sizeof(*unsent) + replies.size - done);
    if (unsent == NULL) {
        die("write", UV_ENOMEM);
    }
    memcpy(unsent->data, replies.data + done, replies.size - done);
    unsent->request.data = unsent;
    buffer = uv_buf_init(unsent->data, (unsigned) (replies.size - done));
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
    const char *at = buffer->base;
    const char *end = at + count;
    replies.size = 0;
    for (const char *line_end; (line_end = memchr(at, '\n', (size_t) (end - at))) != NULL;
         at = line_end + 1) {
        answer(client->rest.data, client->rest.size, at, (size_t) (line_end + 1 - at));
        client->rest.size = 0;
    }
    if (at < end) {
        append(&client->rest, at, (size_t) (end - at));
    } else if (client->rest.data != NULL) {
        forget(&client->rest);
    }
    if (replies.size > 0) {
        send_replies(client);
    }
    if (client->rest.size > MAX_LINE) {
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
    printf("listening on %d\n", ntohs(address.sin_port));
    fflush(stdout);
}

static int port_of(const char *text)
{
    char *end = NULL;
    const long port = strtol(text, &end, 10);
    if (end == text || *end != '\0' || port < 0 || port > 65535) {
        fprintf(stderr, "uv_line: '%s' is no port\n", text);
        exit(64);
    }
    return (int) port;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: uv_line PORT|--version\n");
        return 64;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("libuv %s\n", uv_version_string());
        return 0;
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    listen_on(loop, &listener, port_of(argv[1]));
    return uv_run(loop, UV_RUN_DEFAULT);
}
