/* thread_state: files of /proc/self/task/THREAD. */
#include "server/engine/thread_state.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_SIZE = 128 };

/* The beginning of one of the thread's files, as a string. False: there is no such thread, or file. */
static bool read_file(pid_t thread, const char *name, char text[TEXT_SIZE])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int) thread, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, TEXT_SIZE - 1);
    close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    return true;
}

bool thread_state_sleeps(pid_t thread)
{
    char text[TEXT_SIZE];
    if (!read_file(thread, "stat", text))
        return false;
    /* Behind the name, which stands in brackets and may hold some itself. */
    const char *state = strrchr(text, ')');
    return state && (strncmp(state, ") S", 3) == 0 || strncmp(state, ") D", 3) == 0);
}

int64_t thread_state_waited_ns(pid_t thread)
{
    char text[TEXT_SIZE];
    /* Its time on a processor, its time in a queue for one, its turns. */
    const char *waited = read_file(thread, "schedstat", text) ? strchr(text, ' ') : NULL;
    return waited ? strtoll(waited, NULL, 10) : 0;
}
