/*
 * faults: makes the N-th call of a function fail, once or from then on. Linked into a program by
 * ld's --wrap, so that it meets the calls of our own code and those of no library.
 *
 * Which one is in the environment: FAULTS_CALL, FAULTS_NUMBER, FAULTS_MODE (once or on).
 * One of OpenSSL's for memory is "openssl". FAULTS_BOARD is the descriptor of a file in memory, a
 * struct board, in which the driver (tests/faults/run) sees what has happened.
 */
#include "tests/faults/faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Each with the errno that it fails with. */
#define CALLS(CALL)                                                                                \
    CALL(malloc, ENOMEM)                                                                           \
    CALL(calloc, ENOMEM)                                                                           \
    CALL(realloc, ENOMEM)                                                                          \
    CALL(aligned_alloc, ENOMEM)                                                                    \
    CALL(strdup, ENOMEM)                                                                           \
    CALL(mmap, ENOMEM)                                                                             \
    CALL(accept4, EMFILE)                                                                          \
    CALL(epoll_create1, EMFILE)                                                                    \
    CALL(epoll_ctl, ENOMEM)                                                                        \
    CALL(epoll_wait, EINTR)                                                                        \
    CALL(recv, ECONNRESET)                                                                         \
    CALL(send, ECONNRESET)                                                                         \
    CALL(writev, ENOSPC)                                                                           \
    CALL(eventfd, EMFILE)                                                                          \
    CALL(timerfd_create, EMFILE)                                                                   \
    CALL(pthread_create, EAGAIN)                                                                   \
    CALL(pipe2, EMFILE)                                                                            \
    CALL(clone, EAGAIN)                                                                            \
    CALL(open, EMFILE)                                                                             \
    CALL(read, EIO)                                                                                \
    CALL(write, ENOSPC)                                                                            \
    CALL(openssl, ENOMEM)

#define NUMBER(name, error) CALL_##name,
enum call { CALLS(NUMBER) CALL_COUNT };
#undef NUMBER

/* In the order of the table; the driver reads it. */
struct board {
    _Atomic uint64_t failed; /* how many calls have */
    _Atomic uint64_t caller; /* of the first that has, as an offset into the program or module */
    _Atomic uint64_t made[CALL_COUNT]; /* calls */
};

static struct board unwatched;
static struct board *board = &unwatched;
static struct {
    int call; /* -1: none */
    uint64_t number;
    bool on;
} fault = {.call = -1};

__attribute__((constructor)) static void begin(void)
{
#define NAME(name, error) #name,
    static const char *const names[] = {CALLS(NAME)};
#undef NAME
    const char *memory = getenv("FAULTS_BOARD"), *name = getenv("FAULTS_CALL"),
               *number = getenv("FAULTS_NUMBER"), *mode = getenv("FAULTS_MODE");
    if (!memory || !name || !number || !mode)
        return;
    int descriptor = (int) strtol(memory, NULL, 10);
    struct board *shared =
        __real_mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (shared == MAP_FAILED)
        abort();
    close(descriptor);
    board = shared;
    fault.number = strtoull(number, NULL, 10);
    fault.on = strcmp(mode, "on") == 0;
    for (int call = 0; call < CALL_COUNT; call++)
        if (strcmp(names[call], name) == 0)
            fault.call = call;
}

/* Into the program or the library that it is in. */
static uint64_t offset_of(const void *caller)
{
    Dl_info info = {.dli_fbase = NULL};
    dladdr(caller, &info);
    return (uint64_t) ((const char *) caller - (const char *) info.dli_fbase);
}

/* Counts a call of the function, and returns whether it is to fail. */
static bool fails(enum call call, const void *caller, int error)
{
    uint64_t number = atomic_fetch_add(&board->made[call], 1) + 1;
    if ((int) call != fault.call || number < fault.number || (number > fault.number && !fault.on))
        return false;
    if (atomic_fetch_add(&board->failed, 1) == 0)
        board->caller = offset_of(caller);
    errno = error;
    return true;
}

/* Defines the function that stands in for another: FAILED is what that one returns when it fails.
 */
#define ERROR_OF(name, error) ERROR_##name = error,
enum { CALLS(ERROR_OF) };
#undef ERROR_OF
#define STAND_IN(type, name, failed, parameters, arguments)                                        \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        if (fails(CALL_##name, __builtin_return_address(0), ERROR_##name))                         \
            return failed;                                                                         \
        return __real_##name arguments;                                                            \
    }

STAND_IN(void *, malloc, NULL, (size_t size), (size))
STAND_IN(void *, calloc, NULL, (size_t count, size_t size), (count, size))
STAND_IN(void *, realloc, NULL, (void *memory, size_t size), (memory, size))
STAND_IN(void *, aligned_alloc, NULL, (size_t alignment, size_t size), (alignment, size))
STAND_IN(char *, strdup, NULL, (const char *text), (text))
STAND_IN(void *, mmap, MAP_FAILED,
         (void *address, size_t size, int protection, int flags, int fd, off_t offset),
         (address, size, protection, flags, fd, offset))
STAND_IN(int, accept4, -1, (int fd, struct sockaddr *address, socklen_t *size, int flags),
         (fd, address, size, flags))
STAND_IN(int, epoll_create1, -1, (int flags), (flags))
STAND_IN(int, epoll_wait, -1, (int set, struct epoll_event *events, int most, int timeout),
         (set, events, most, timeout))
STAND_IN(ssize_t, recv, -1, (int fd, void *bytes, size_t size, int flags), (fd, bytes, size, flags))
STAND_IN(ssize_t, send, -1, (int fd, const void *bytes, size_t size, int flags),
         (fd, bytes, size, flags))
STAND_IN(ssize_t, writev, -1, (int fd, const struct iovec *pieces, int count), (fd, pieces, count))
STAND_IN(int, eventfd, -1, (unsigned count, int flags), (count, flags))
STAND_IN(int, timerfd_create, -1, (int clock, int flags), (clock, flags))
STAND_IN(int, pthread_create, EAGAIN,
         (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *),
          void *argument),
         (thread, attributes, run, argument))
STAND_IN(int, pipe2, -1, (int fds[2], int flags), (fds, flags))
STAND_IN(ssize_t, read, -1, (int fd, void *bytes, size_t size), (fd, bytes, size))

/* To forget a socket needs nothing that could be out. */
int __wrap_epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
    if (operation != EPOLL_CTL_DEL &&
        fails(CALL_epoll_ctl, __builtin_return_address(0), ERROR_epoll_ctl))
        return -1;
    return __real_epoll_ctl(set, operation, fd, event);
}

/* The eight bytes of an eventfd do arrive: only its overflow could keep them from that. */
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    if (size != sizeof(uint64_t) && fails(CALL_write, __builtin_return_address(0), ERROR_write))
        return -1;
    return __real_write(fd, bytes, size);
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return fails(CALL_open, __builtin_return_address(0), ERROR_open)
               ? -1
               : __real_open(path, flags, mode);
}

int __wrap_clone(int (*run)(void *), void *stack, int flags, void *argument, ...)
{
    va_list rest;
    va_start(rest, argument);
    void *parent_id = flags & (CLONE_PIDFD | CLONE_PARENT_SETTID) ? va_arg(rest, void *) : NULL;
    va_end(rest);
    return fails(CALL_clone, __builtin_return_address(0), ERROR_clone)
               ? -1
               : __real_clone(run, stack, flags, argument, parent_id, NULL, NULL);
}

bool __wrap_openssl(void)
{
    return fails(CALL_openssl, __builtin_return_address(0), ERROR_openssl);
}

/* What these become where the C library checks sizes (_FORTIFY_SOURCE). */

ssize_t __wrap___read_chk(int fd, void *bytes, size_t size, size_t room)
{
    return fails(CALL_read, __builtin_return_address(0), ERROR_read)
               ? -1
               : __real___read_chk(fd, bytes, size, room);
}

ssize_t __wrap___recv_chk(int fd, void *bytes, size_t size, size_t room, int flags)
{
    return fails(CALL_recv, __builtin_return_address(0), ERROR_recv)
               ? -1
               : __real___recv_chk(fd, bytes, size, room, flags);
}

int __wrap___open_2(const char *path, int flags)
{
    return fails(CALL_open, __builtin_return_address(0), ERROR_open) ? -1
                                                                     : __real___open_2(path, flags);
}
