/* freezer: from a process's group to the root. */
#include "server/handlers/program/freezer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 1024 };

/* False if there is no such file, or it is too long. */
static bool read_file(const char *path, char text[TEXT_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, TEXT_MAX);
    close(fd);
    if (size < 0 || size == TEXT_MAX)
        return false;
    text[size] = '\0';
    return true;
}

static bool is_frozen(const char *mount, const char *group)
{
    char path[2 * TEXT_MAX], text[TEXT_MAX];
    snprintf(path, sizeof path, "%s%s/cgroup.freeze", mount, group);
    return read_file(path, text) && *text == '1';
}

/* Finds the line "0::GROUP", and cuts the text behind it. */
static char *find_group(char *text)
{
    char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (!line)
        return NULL;
    char *group = strchr(line, '/');
    if (group)
        group[strcspn(group, "\n")] = '\0';
    return group;
}

bool process_is_frozen(pid_t pid)
{
    char path[32], text[TEXT_MAX];
    snprintf(path, sizeof path, "/proc/%d/cgroup", (int) pid);
    char *group = read_file(path, text) ? find_group(text) : NULL;
    while (group && group[1]) { /* the root can't be frozen */
        /* The second one where version 1 is in use, too. */
        if (is_frozen("/sys/fs/cgroup", group) || is_frozen("/sys/fs/cgroup/unified", group))
            return true;
        char *last = strrchr(group, '/');
        last[last == group] = '\0';
    }
    return false;
}
