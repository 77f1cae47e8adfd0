/* thread_state: the third word of /proc/self/task/THREAD/stat. */
#include "server/thread_state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool thread_state_sleeps(pid_t thread)
{
    char path[64];
    char text[128];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int) thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    /* Behind the name, which stands in brackets and may hold some itself. */
    const char *state = strrchr(text, ')');
    return state && (strncmp(state, ") S", 3) == 0 || strncmp(state, ") D", 3) == 0);
}
