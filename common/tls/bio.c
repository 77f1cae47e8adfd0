/* tls/bio: the method of such a BIO, which is made once. */
#include "common/tls/bio.h"

#include <pthread.h>

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static int read_received(BIO *bio, char *data, size_t size, size_t *got)
{
    struct buffer *received = ((struct tls_buffers *) BIO_get_data(bio))->received;
    size_t there = buffer_size(received);
    BIO_clear_retry_flags(bio);
    *got = size < there ? size : there;
    if (*got == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(data, buffer_head(received), *got);
    buffer_consume(received, *got);
    return 1;
}

static int write_sending(BIO *bio, const char *data, size_t size, size_t *taken)
{
    struct buffer *sending = ((struct tls_buffers *) BIO_get_data(bio))->sending;
    BIO_clear_retry_flags(bio);
    *taken = buffer_append(sending, data, size) ? size : 0;
    return *taken == size;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
    (void) bio, (void) number, (void) pointer;
    return command == BIO_CTRL_FLUSH;
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "buffers");
    if (method && BIO_meth_set_read_ex(method, read_received) &&
        BIO_meth_set_write_ex(method, write_sending) && BIO_meth_set_ctrl(method, control))
        return;
    BIO_meth_free(method);
    method = NULL;
}

BIO *tls_bio_new(struct tls_buffers *buffers)
{
    pthread_once(&method_once, make_method);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!bio)
        return NULL;
    BIO_set_data(bio, buffers);
    BIO_set_init(bio, 1);
    return bio;
}
