/* notify: each message finds the socket anew, since a manager that starts again makes a new one. */
#include "server/admin/notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/descriptor.h"

bool notify_open(struct notify *notify, const char *name)
{
    struct sockaddr_un *local = &notify->socket.socket.local;
    size_t size = strlen(name);
    *notify = (struct notify){.fd = -1};
    if ((name[0] != '/' && name[0] != '@') || !name[1] || size >= sizeof local->sun_path)
        return false;
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, name, size);
    notify->socket.size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + size);
    if (name[0] == '@')
        local->sun_path[0] = '\0';
    else
        notify->socket.size++; /* the NUL */
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return notify->fd >= 0;
}

void notify_close(struct notify *notify) { descriptor_close(&notify->fd); }

bool notify_send(const struct notify *notify, const char *text)
{
    return sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL, &notify->socket.socket.any,
                  notify->socket.size) >= 0 ||
           (errno != EAGAIN && errno != ENOBUFS);
}
