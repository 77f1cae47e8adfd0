/*
 * banter/handler.h: how to write a handler for banterd as a C (or C++) function. banter-handler(3)
 * tells the same at more length, with an example.
 *
 * A handler is a shared object that exports one symbol, the struct `banter_handler`:
 *
 *     #include <banter/handler.h>
 *
 *     static void handle(void *state, const char *message, size_t size, struct banter_reply *reply)
 *     {
 *         (void) state;
 *         banter_reply_append(reply, message, size);
 *     }
 *
 *     const struct banter_handler banter_handler = {
 *         .abi = BANTER_HANDLER_ABI,
 *         .name = "same",
 *         .handle = handle,
 *     };
 *
 * It is built with     cc -shared -fPIC $(pkg-config --cflags banter) -o same.so same.c and used
 * with        banterd -H plugin:same.so
 *
 * It is linked with no library of banter's: the functions below are in the server, and are found
 * when the server loads the shared object.
 */
#ifndef BANTER_HANDLER_H
#define BANTER_HANDLER_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The version of the interface. A server takes a handler that was built with the same number, and
 * refuses any other before it looks at more than the number. It grows when a handler that was built
 * before the change would go wrong after it: when the struct or the meaning of one of its functions
 * changes. A new banter_reply function does not change it: a handler that calls one which its
 * server lacks does not load, and is told its name.
 */
#define BANTER_HANDLER_ABI 1

#if defined __GNUC__
#define BANTER_PUBLIC __attribute__((visibility("default")))
#define BANTER_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define BANTER_PUBLIC
#define BANTER_PRINTF(text, first)
#endif

/* The reply to one message while it is made. It is the server's; good until handle() returns. */
struct banter_reply;

struct banter_handler {
    unsigned abi; /* BANTER_HANDLER_ABI */

    const char *name; /* what the handler calls itself: for messages to the user */

    /*
     * Makes the handler ready, once, before the server listens and before any other call.
     * `argument` is what stands behind the file in plugin:FILE:ARGUMENT, or NULL; it is good for
     * this call only, so copy what is needed later. What is stored in *state (NULL at first) is
     * given to all further calls.
     *
     * Returns 0; or anything else when it can't: then the server does not start and prints the
     * sentence that was written into `error`, which has room for error_size bytes with the NUL. All
     * that this call has allocated must then be given back by itself: no close() follows.
     *
     * NULL instead of a function: nothing is to be done, the state is NULL, and an argument is
     * refused.
     */
    int (*open)(const char *argument, void **state, char *error, size_t error_size);

    /*
     * Makes the reply to one message: `size` bytes, any bytes, without a NUL behind them. The
     * message and the reply are good until this returns. What was added to the reply by then is the
     * reply; nothing at all is an empty one.
     *
     * Called by many threads at once, for different messages, with the same state: what the state
     * shares must be locked or constant. What open() wrote is visible in all of them. It may take
     * as long as it likes: after some milliseconds the thread is left alone with it and others
     * serve the other clients.
     *
     * It must return, and normally: no exception, longjmp() or pthread_exit() out of it, and no
     * exit().
     */
    void (*handle)(void *state, const char *message, size_t size, struct banter_reply *reply);

    /*
     * Gives everything back, once, after the last handle() has returned; in some thread of the
     * server's. All threads that the handler has started must have ended when it returns: its code
     * is unloaded then. It is not called where the server had to end while a handle() still ran.
     *
     * NULL instead of a function: nothing is to be done.
     */
    void (*close)(void *state);
};

/* What the shared object exports. The declaration makes it visible, and unmangled in C++. */
extern BANTER_PUBLIC const struct banter_handler banter_handler;

/*
 * What follows is called within handle() with its reply, by its own thread. A failure (memory is
 * out, or the reply would have more than 16 MiB) need not be looked at: the client gets "-ERR
 * handler-failed" instead of what was added, and each call after it fails too.
 */

/* Appends a copy of `size` bytes, any bytes that the framing can carry; a newline in a line is
 * the one that can't be. False where it failed. */
BANTER_PUBLIC bool banter_reply_append(struct banter_reply *reply, const void *data, size_t size);

/* Appends text as printf(3) makes it. False where it failed. */
BANTER_PUBLIC bool banter_reply_printf(struct banter_reply *reply, const char *format, ...)
    BANTER_PRINTF(2, 3);

/*
 * To write in place: room for `size` bytes behind what was added so far, or NULL where it failed;
 * then the number of bytes, at most `size`, that were written there. The room is good until the
 * next call for this reply; room that was not used is asked for again or forgotten.
 */
BANTER_PUBLIC char *banter_reply_room(struct banter_reply *reply, size_t size);
BANTER_PUBLIC void banter_reply_added(struct banter_reply *reply, size_t size);

/*
 * Replies "-ERR CODE TEXT" instead of what was added. `code` is a word, such as "bad-request";
 * banter-protocol(7) lists those in use, and a handler may have its own. The text, as printf(3)
 * makes it, is one line; more than 1000 bytes are cut. The first refusal counts, and nothing can be
 * added behind it. It may reach the client before handle() returns.
 */
BANTER_PUBLIC void banter_reply_refuse(struct banter_reply *reply, const char *code,
                                       const char *format, ...) BANTER_PRINTF(3, 4);

/* Whether somebody still waits for the reply. Turns false at any time when the client leaves,
 * the server's --handler-timeout is over, or the handler has refused: a handler that takes long
 * may look at it from time to time and return early. */
BANTER_PUBLIC bool banter_reply_wanted(const struct banter_reply *reply);

#ifdef __cplusplus
}
#endif

#endif
