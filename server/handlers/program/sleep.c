/* sleep: calls, and their time-outs. */
#include "server/handlers/program/sleep.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

/* How a call says that it has no time-out. */
enum timeout {
    TIMEOUT_NEVER,   /* nothing to look at. Those of futex don't count: runtimes with threads use
                      * them all the time */
    TIMEOUT_INT,     /* an int that is negative */
    TIMEOUT_POINTER, /* NULL. Any other points to a finite one, so there is no need to read it */
    /* A call that was interrupted by a stop or a tracer has kept its arguments, not its number. Of
     * those that do that, only poll has a negative int here; others have a pointer. */
    TIMEOUT_RESTARTED,
};

static const struct {
    long number;
    enum sleep sleep;
    enum timeout timeout;
    unsigned argument; /* the one that is the time-out */
} calls[] = {
    {SYS_read, SLEEP_READ, TIMEOUT_NEVER, 0},
    {SYS_readv, SLEEP_READ, TIMEOUT_NEVER, 0},
#ifdef SYS_poll
    {SYS_poll, SLEEP_EVENT, TIMEOUT_INT, 2},
#endif
    {SYS_ppoll, SLEEP_EVENT, TIMEOUT_POINTER, 2},
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, SLEEP_EVENT, TIMEOUT_INT, 3},
#endif
    {SYS_epoll_pwait, SLEEP_EVENT, TIMEOUT_INT, 3},
#ifdef SYS_epoll_pwait2
    {SYS_epoll_pwait2, SLEEP_EVENT, TIMEOUT_POINTER, 3},
#endif
#ifdef SYS_select
    {SYS_select, SLEEP_EVENT, TIMEOUT_POINTER, 4},
#endif
    {SYS_pselect6, SLEEP_EVENT, TIMEOUT_POINTER, 4},
    {SYS_futex, SLEEP_EVENT, TIMEOUT_NEVER, 0},
#ifdef SYS_pause
    {SYS_pause, SLEEP_SIGNAL, TIMEOUT_NEVER, 0},
#endif
    {SYS_rt_sigsuspend, SLEEP_SIGNAL, TIMEOUT_NEVER, 0},
    {SYS_wait4, SLEEP_CHILDREN, TIMEOUT_NEVER, 0},
    {SYS_waitid, SLEEP_CHILDREN, TIMEOUT_NEVER, 0},
    {SYS_restart_syscall, SLEEP_EVENT, TIMEOUT_RESTARTED, 2},
};

static bool is_endless(enum timeout timeout, uint64_t argument)
{
    switch (timeout) {
    case TIMEOUT_INT:
        return (int32_t) argument < 0;
    case TIMEOUT_POINTER:
        return argument == 0;
    case TIMEOUT_RESTARTED: /* as the registers hold it, extended or not */
        return argument >> 31 == 1 || argument >> 31 == UINT64_MAX >> 31;
    default:
        return true;
    }
}

/* What the text of a file `syscall` consists of: the call's number, its six arguments, the stack's
 * pointer and the program's counter. Only what is needed is made a number: all of them by
 * strtoull(3) take as long as the system call that has read the text. */
enum field { FIELD_NUMBER, FIELD_ARGUMENTS, FIELD_STACK = 7, FIELDS };

/* Finds where each begins. False: the thread runs, or is not in a call. */
static bool split(const char *text, const char *fields[FIELDS])
{
    if (!isdigit((unsigned char) *text)) /* "running", or -1: outside of any call, as in a fault */
        return false;
    for (int field = FIELD_NUMBER; field < FIELDS && text; field++) {
        fields[field] = text;
        if ((text = strchr(text, ' ')))
            text++;
    }
    return text;
}

static long decimal(const char *digit)
{
    long number = 0;
    for (; isdigit((unsigned char) *digit); digit++)
        number = 10 * number + (*digit - '0');
    return number;
}

/* "0x7f", in small letters. */
static uint64_t hexadecimal(const char *text)
{
    uint64_t number = 0;
    for (const char *digit = text + 2; isxdigit((unsigned char) *digit); digit++)
        number = number << 4 | (unsigned) (*digit <= '9' ? *digit - '0' : *digit - 'a' + 10);
    return number;
}

enum sleep sleep_of(const char *text, uint64_t *first)
{
    const char *fields[FIELDS];
    if (!split(text, fields))
        return SLEEP_NOT;
    /* A program of 32 bits: its numbers mean other calls. */
    if (sizeof(void *) > 4 && hexadecimal(fields[FIELD_STACK]) <= UINT32_MAX)
        return SLEEP_UNKNOWN;
    long number = decimal(fields[FIELD_NUMBER]);
    *first = hexadecimal(fields[FIELD_ARGUMENTS]);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (calls[i].number == number) {
            uint64_t argument = hexadecimal(fields[FIELD_ARGUMENTS + calls[i].argument]);
            return is_endless(calls[i].timeout, argument) ? calls[i].sleep : SLEEP_NOT;
        }
    return SLEEP_NOT;
}

enum sleep sleep_unread(void)
{
    return errno == ESRCH || errno == ENOENT ? SLEEP_NOT : SLEEP_UNKNOWN;
}
