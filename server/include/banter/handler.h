/*
 * banter/handler.h: how to write a handler for banterd as a C (or C++) function. banter-handler(3)
 * says the same at more length, with an example.
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
 * It is built with     cc -shared -fPIC $(pkg-config --cflags banter) -o same.so same.c
 * and used with        banterd -H plugin:same.so
 *
 * It is linked with no library: the server has the functions declared below, and they are found
 * when it loads the shared object.
 */
#ifndef BANTER_HANDLER_H
#define BANTER_HANDLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The version of the interface. A server takes a handler that was built with the same number, and
 * refuses any other before it reads more than the number. The number grows with each change that
 * would break a handler built before: to the struct, or to the meaning of one of its functions. A
 * new banter_reply function does not change it: a handler that calls a function which its server
 * lacks does not load, and the error names the function.
 */
#define BANTER_HANDLER_ABI 1

#if defined __GNUC__
#define BANTER_PUBLIC __attribute__((visibility("default")))
#define BANTER_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define BANTER_PUBLIC
#define BANTER_PRINTF(text, first)
#endif

/* The reply to one message, while it is made. The server's; good until handle() returns. */
struct banter_reply;

struct banter_handler {
    unsigned abi; /* BANTER_HANDLER_ABI */

    const char *name; /* the handler's name, for messages to the user */

    /*
     * Makes the handler ready, once, before the server listens and before any other call.
     * `argument` is the part after the file in plugin:FILE:ARGUMENT, or NULL; it is good for this
     * call only, so copy it if it is needed later. The value stored in *state (NULL at first) is
     * passed to all further calls.
     *
     * Returns 0, or anything else if it can't: then the server does not start, and prints the
     * sentence written into `error`, which has room for error_size bytes including the NUL. The
     * call must then free all that it has allocated: no close() follows.
     *
     * NULL instead of a function: nothing needs to be done, the state is NULL, and an argument is
     * refused.
     */
    int (*open)(const char *argument, void **state, char *error, size_t error_size);

    /*
     * Makes the reply to one message: `size` bytes of any kind, with no NUL after them. The message
     * and the reply are good until this returns. The reply is all that has been added by then; if
     * nothing was, it is empty.
     *
     * Many threads call it at once, for different messages, with the same state: data that they
     * share must be locked or constant. All of them see what open() wrote. It may take as long as
     * it likes: after some milliseconds the thread is left alone with it, and others serve the
     * other clients.
     *
     * It must return normally: no exception, longjmp() or pthread_exit() out of it, and no exit().
     */
    void (*handle)(void *state, const char *message, size_t size, struct banter_reply *reply);

    /*
     * Frees everything, once, after the last handle() has returned, in one of the server's threads.
     * When it returns, all threads that the handler has started must have ended: its code is
     * unloaded then. It is not called if the server has to end while a handle() still runs.
     *
     * NULL instead of a function: nothing needs to be done.
     */
    void (*close)(void *state);
};

/* The symbol to export. This declaration makes it visible, and unmangled in C++. */
extern BANTER_PUBLIC const struct banter_handler banter_handler;

/*
 * The functions below are called within handle(), with its reply, by its thread. A failure (memory
 * is out, or the reply would exceed 16 MiB) may be ignored: the client gets "-ERR handler-failed"
 * instead of what was added, and each call after it fails too.
 */

/* Appends a copy of `size` bytes, any that the framing can carry: a line can't have a newline in
 * it, a block has any number of lines. False if it failed. */
BANTER_PUBLIC bool banter_reply_append(struct banter_reply *reply, const void *data, size_t size);

/* Appends text as printf(3) makes it. False if it failed. */
BANTER_PUBLIC bool banter_reply_printf(struct banter_reply *reply, const char *format, ...)
    BANTER_PRINTF(2, 3);

/*
 * To write in place: banter_reply_room() gives room for `size` bytes at the end of the reply, or
 * NULL if it failed; banter_reply_added() takes the number of bytes, at most `size`, that were
 * written there. The room is good until the next call for this reply; unused room is forgotten.
 */
BANTER_PUBLIC char *banter_reply_room(struct banter_reply *reply, size_t size);
BANTER_PUBLIC void banter_reply_added(struct banter_reply *reply, size_t size);

/*
 * Replies "-ERR CODE TEXT" instead of what was added. `code` is a word, such as "bad-request";
 * banter-protocol(7) lists the ones in use, and a handler may have others. The text, as printf(3)
 * makes it, is one line, cut after 1000 bytes. The first refusal counts, and nothing can be added
 * after it. It may reach the client before handle() returns.
 */
BANTER_PUBLIC void banter_reply_refuse(struct banter_reply *reply, const char *code,
                                       const char *format, ...) BANTER_PRINTF(3, 4);

/* Whether the client still waits for the reply. Turns false when the client leaves, when the
 * server's --handler-timeout is over, and when the handler has refused: a handler that takes long
 * may check it from time to time and return early. */
BANTER_PUBLIC bool banter_reply_wanted(const struct banter_reply *reply);

/*
 * Who has sent the message: the address, such as "127.0.0.1:54012" or "unix:/path", and the
 * identity, "uid=1000" of a client of a Unix socket, with the number of its user, or "CN=alice" of
 * one behind a proxy that has verified its certificate; empty if there is none. Both as plain text,
 * which may hold any byte of a path; good until handle() returns. They can be asked for at any
 * time, also when the client has left.
 */
BANTER_PUBLIC const char *banter_reply_address(struct banter_reply *reply);
BANTER_PUBLIC const char *banter_reply_identity(struct banter_reply *reply);

/* The number of the client's session, from 1, as in the log: messages with the same number come
 * from the same connection. */
BANTER_PUBLIC uint64_t banter_reply_session(const struct banter_reply *reply);

#ifdef __cplusplus
}
#endif

#endif
