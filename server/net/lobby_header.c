/* lobby_header: a proxy's header, and the first byte behind one that says nothing of a client. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "server/log/log.h"
#include "server/net/lobby_state.h"

void lobby_fail_header(struct lobby *lobby, struct guest *guest, const char *why)
{
    char text[ADDRESS_TEXT_SIZE];
    lobby_describe(lobby, guest, text);
    log_tell(lobby->config.log, LOG_PROXY_FAILED, 0, "%s%c%s", text, LOG_SEPARATOR, why);
    lobby_end(lobby, guest);
}

static bool has_ended(int fd)
{
    struct pollfd poll_fd = {fd, POLLRDHUP, 0};
    return poll(&poll_fd, 1, 0) > 0;
}

/* One that leaves without a word is a health check. */
bool lobby_look_for_a_word(struct lobby *lobby, struct guest *guest)
{
    char byte;
    ssize_t got = recv(guest->accepted.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got > 0)
        lobby_admit(lobby, guest, NULL);
    else
        lobby_end(lobby, guest);
    return false;
}

/* Whether a header names the connection itself, as those of some health checks do. */
static bool names_itself(const struct proxy_header *header, const struct address *address)
{
    return header->address.size == address->size &&
           memcmp(&header->address.socket, &address->socket, address->size) == 0 &&
           !header->identity[0];
}

/* Its header is there, but a handshake comes before it is a client. True: it goes on waiting. */
static bool begin_tls(struct lobby *lobby, struct guest *guest, bool tells)
{
    if (tells) {
        guest->header = malloc(sizeof *guest->header);
        if (guest->header)
            *guest->header = lobby->parsed;
        if (!guest->header || !lobby_regroup(lobby, guest, &lobby->parsed.address)) {
            lobby_fail_header(lobby, guest, "memory is out");
            return false;
        }
    }
    guest->state = GUEST_TLS;
    return lobby_tally_guest(lobby, guest) && lobby_look_at_tls(lobby, guest);
}

/* The header is there, and nothing behind it is read with it. True as above. */
static bool take_header(struct lobby *lobby, struct guest *guest, size_t size)
{
    if (recv(guest->accepted.fd, lobby->received, size, MSG_DONTWAIT) != (ssize_t) size) {
        lobby_fail_header(lobby, guest, "it is gone again");
        return false;
    }
    bool tells = lobby->parsed.tells && !names_itself(&lobby->parsed, &guest->accepted.address);
    if (lobby_listener_of(lobby, guest)->is_tls)
        return begin_tls(lobby, guest, tells);
    if (tells) {
        lobby_admit(lobby, guest, &lobby->parsed);
        return false;
    }
    guest->state = GUEST_WORD;
    return lobby_look_for_a_word(lobby, guest);
}

bool lobby_look_for_header(struct lobby *lobby, struct guest *guest)
{
    int fd = guest->accepted.fd;
    ssize_t got = recv(fd, lobby->received, sizeof lobby->received, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    size_t used;
    const char *why = got == 0 ? "there is none" : "it is cut off";
    enum proxy_result result = PROXY_WRONG;
    if (got > 0)
        result = proxy_parse(lobby->received, (size_t) got, &lobby->parsed, &used, &why);
    if (result == PROXY_COMPLETE)
        return take_header(lobby, guest, used);
    if (result == PROXY_INCOMPLETE && !has_ended(fd))
        return true;
    lobby_fail_header(lobby, guest, result == PROXY_INCOMPLETE ? "it is cut off" : why);
    return false;
}
