/* control: its listeners and its connections. */
#include "server/admin/control.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/protocol.h"
#include "server/admin/command.h"
#include "server/admin/console.h"
#include "server/net/listener.h"

/* How long nobody is accepted if descriptors or memory are out. */
enum { REST_MS = 100 };

static const struct address_permissions owner_only = {.mode = 0600, .group = (gid_t) -1};

/* What waits at a listener. */
struct door {
    struct admin_item item; /* first */
    struct control *control;
    int fd; /* not owned */
};

struct control {
    struct command_host host;
    struct recent recent;   /* how long the requests of the last minute took */
    struct admin_item mark; /* when that is looked at next */
    struct listeners listeners;
    struct door doors[LISTENERS_MAX];
    LIST_HEAD(, console) consoles;
    unsigned console_count;
    int failure; /* an errno: why it could not begin */
};

/* ---- connections ---- */

static void end_console(struct control *control, struct console *console, const char *code,
                        const char *text)
{
    LIST_REMOVE(console, entry);
    control->console_count--;
    console_close(console, code, text);
}

static void console_ended(struct console *console)
{
    end_console(console->owner, console, NULL, NULL);
}

/* Whether there is room for one more. */
static bool make_room(struct control *control)
{
    struct console *console, *oldest = NULL;
    if (control->console_count < CONTROL_CONNECTIONS)
        return true;
    LIST_FOREACH(console, &control->consoles, entry)
        if (console_is_idle(console) && (!oldest || console->active_ns < oldest->active_ns))
            oldest = console;
    if (oldest)
        end_console(control, oldest, PROTOCOL_BUSY, "another one needs the connection");
    return oldest;
}

static bool is_allowed(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void admit(struct control *control, int fd)
{
    struct console *console;
    if (!is_allowed(fd)) {
        console_refuse(fd, PROTOCOL_DENIED, "only root and the server's user may");
    } else if (!make_room(control)) {
        console_refuse(fd, PROTOCOL_BUSY, "all connections are at work, try again later");
    } else if ((console = console_open(&control->host, fd, console_ended))) {
        console->owner = control;
        LIST_INSERT_HEAD(&control->consoles, console, entry);
        control->console_count++;
    }
}

static bool watch_door(struct door *door)
{
    return admin_watch(door->control->host.admin, &door->item, door->fd, EPOLLIN);
}

static void rest(struct door *door)
{
    struct admin *admin = door->control->host.admin;
    admin_forget(&door->item);
    admin_due_at(admin, &door->item, admin_now_ms(admin) + REST_MS);
}

static void end_rest(struct admin_item *item)
{
    if (!watch_door((struct door *) item))
        rest((struct door *) item);
}

static void accept_one(struct admin_item *item, uint32_t events)
{
    (void) events;
    struct door *door = (struct door *) item;
    int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        admit(door->control, fd);
    else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        rest(door);
}

/* ---- in the admin's thread ---- */

static void mark_time(struct admin_item *item)
{
    struct control *control = (struct control *) ((char *) item - offsetof(struct control, mark));
    struct admin *admin = control->host.admin;
    struct latency so_far;
    status_latency(&control->host.source, &so_far);
    admin_due_at(admin, item, recent_mark(&control->recent, &so_far, admin_now_ms(admin)));
}

static void end(struct admin *admin, void *context)
{
    struct control *control = context;
    struct console *console;
    (void) admin;
    admin_forget(&control->mark);
    for (unsigned i = 0; i < control->listeners.count; i++)
        admin_forget(&control->doors[i].item);
    while ((console = LIST_FIRST(&control->consoles)))
        end_console(control, console, PROTOCOL_STOPPING, "the server is stopping");
}

static void begin(struct admin *admin, void *context)
{
    struct control *control = context;
    for (unsigned i = 0; i < control->listeners.count; i++) {
        struct door *door = &control->doors[i];
        *door = (struct door){.item = {.ready = accept_one, .due = end_rest},
                              .control = control,
                              .fd = control->listeners.items[i].fd};
        if (!watch_door(door)) {
            control->failure = errno;
            end(admin, control);
            return;
        }
    }
    mark_time(&control->mark);
}

/* ---- in the thread that opens it ---- */

bool control_check_address(const char *address, struct error *error)
{
    if (strncmp(address, "unix:", 5) != 0)
        return error_set(error,
                         "\"%s\" is no Unix socket; give unix:PATH, such as "
                         "unix:/run/banterd.control",
                         address);
    return address_check(address, ADDRESS_TO_LISTEN, error);
}

static bool take_sockets(struct control *control, const struct control_config *config,
                         struct error *error)
{
    for (unsigned i = 0; i < config->socket_count; i++)
        if (!listeners_take(&control->listeners, config->sockets[i], error))
            return false;
    return true;
}

static bool listen_on(struct control *control, const struct control_config *config,
                      struct error *error)
{
    struct error why;
    control->listeners.permissions = &owner_only;
    if (config->address && !listeners_open(&control->listeners, config->address, &why))
        return error_set(error, "--control: %s", why.text);
    return take_sockets(control, config, error);
}

static bool start(struct control *control, struct error *error)
{
    if (!admin_call(control->host.admin, begin, control))
        control->failure = errno;
    return !control->failure ||
           error_set(error, "unable to answer at --control: %s", strerror(control->failure));
}

struct control *control_open(struct admin *admin, const struct control_config *config,
                             struct error *error)
{
    struct control *control = calloc(1, sizeof *control);
    if (!control) {
        error_set(error, "unable to answer at --control: %s", strerror(ENOMEM));
        return NULL;
    }
    LIST_INIT(&control->consoles);
    control->mark.due = mark_time;
    control->host = (struct command_host){
        .admin = admin,
        .source = config->source,
        .recent = &control->recent,
        .reloading = config->reloading,
        .log = config->log,
        .stop = config->stop,
        .stop_context = config->stop_context,
    };
    if (listen_on(control, config, error) && start(control, error))
        return control;
    listeners_close(&control->listeners);
    free(control);
    return NULL;
}

void control_close(struct control *control)
{
    if (!control)
        return;
    admin_call(control->host.admin, end, control);
    listeners_close(&control->listeners);
    free(control);
}
