/* descriptor: one that may not be there. */
#ifndef BANTER_COMMON_DESCRIPTOR_H
#define BANTER_COMMON_DESCRIPTOR_H

#include <unistd.h>

/* Closes it if it is open, and makes it -1: closed. */
static inline void descriptor_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

#endif
