/* terminal: /dev/tty. */
#include "server/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

bool terminal_is_there(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno != ENXIO && errno != ENOENT;
    close(fd);
    return true;
}
