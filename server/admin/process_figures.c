/* process_figures: files of /proc/self, and two system calls. */
#include "server/admin/process_figures.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

/* A whole file, cut to `size` and ended by a NUL; "" if it can't be read. */
static void read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, text, size - 1);
    text[got > 0 ? got : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

/* Its 22nd field is when the process began, in ticks since the machine did. The second is the name
 * in parentheses, which may have any bytes in it. */
static double read_start(void)
{
    enum { SPACES = 22 - 2 }; /* from the name to that field */
    char text[1024];
    read_file("/proc/self/stat", text, sizeof text);
    const char *field = strrchr(text, ')');
    for (int i = 0; field && i < SPACES; i++)
        field = strchr(field + 1, ' ');
    if (!field)
        return 0;
    double began_s = (double) strtoull(field, NULL, 10) / (double) sysconf(_SC_CLK_TCK);
    return (double) clock_ns(CLOCK_REALTIME) / 1e9 - (double) clock_ns(CLOCK_BOOTTIME) / 1e9 +
           began_s;
}

static double read_cpu(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static uint64_t read_resident(void)
{
    char text[256];
    read_file("/proc/self/statm", text, sizeof text);
    const char *pages = strchr(text, ' ');
    return pages ? strtoull(pages, NULL, 10) * (uint64_t) sysconf(_SC_PAGESIZE) : 0;
}

/* Since Linux 6.2 the folder's size is their number; before that they are counted, one by one. */
static uint64_t count_open(void)
{
    static const char path[] = "/proc/self/fd";
    struct stat status;
    uint64_t count = 0;
    if (stat(path, &status) == 0 && status.st_size > 0)
        return (uint64_t) status.st_size;
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    for (const struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count - 1; /* the folder itself */
}

static uint64_t read_limit(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

void process_figures_begin(struct process_figures *figures)
{
    *figures = (struct process_figures){.started_s = read_start()};
}

void process_figures_read(struct process_figures *figures)
{
    figures->cpu_s = read_cpu();
    figures->resident_bytes = read_resident();
    figures->open_fds = count_open();
    figures->max_fds = read_limit();
}
