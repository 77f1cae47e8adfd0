/*
 * conversation_open: makes a conversation of an address, and frees it.
 */
#include <stdlib.h>

#include "client/conversation_state.h"
#include "common/clock.h"
#include "common/protocol.h"

static int connect_to(const struct conversation_settings *settings, char *address,
                      enum conversation_opening *opening, struct error *error)
{
    struct address_list list;
    switch (address_resolve(settings->address, ADDRESS_TO_CONNECT, &list, error)) {
    case ADDRESS_OK:
        break;
    case ADDRESS_MALFORMED:
        *opening = CONVERSATION_MALFORMED_ADDRESS;
        return -1;
    case ADDRESS_UNKNOWN_HOST:
        *opening = CONVERSATION_UNKNOWN_HOST;
        return -1;
    }
    size_t connected = 0;
    int timeout_ms = settings->connect_timeout_ms > 0 ? (int) settings->connect_timeout_ms : -1;
    int fd = address_connect(&list, timeout_ms, &connected, error);
    if (fd >= 0)
        address_print(&list.items[connected], address);
    else
        *opening = CONVERSATION_UNREACHABLE;
    address_list_fini(&list);
    return fd;
}

void conversation_init(struct conversation *conversation, int socket,
                       const struct conversation_settings *settings)
{
    transport_init(&conversation->transport, socket);
    conversation->rules.codec = settings->codec;
    conversation->request_codec = frame_codec_of_requests(settings->codec);
    conversation->rules.max_bytes = PROTOCOL_MAX_REPLY;
    conversation->reply_timeout_ms = settings->reply_timeout_ms;
    conversation->half_closes = settings->half_closes;
    conversation->is_one_by_one = settings->codec == FRAME_RAW || settings->is_one_by_one;
    conversation->greetings = settings->greetings;
    if (settings->greetings > 0 && settings->connect_timeout_ms > 0)
        conversation->greeting_end_ms = clock_ms() + settings->connect_timeout_ms;
    conversation->discards = settings->quit_word;
    conversation->quit_word = settings->half_closes ? "" : PROTOCOL_QUIT;
    if (settings->quit_word)
        conversation->quit_word = settings->quit_word;
    if (settings->keeps_unanswered)
        conversation_keep(conversation);
}

struct conversation *conversation_open(const struct conversation_settings *settings,
                                       enum conversation_opening *opening, struct error *error)
{
    struct conversation *conversation = calloc(1, sizeof *conversation);
    if (!conversation) {
        *opening = CONVERSATION_UNREACHABLE;
        error_set(error, "out of memory");
        return NULL;
    }
    int socket = connect_to(settings, conversation->address, opening, error);
    if (socket < 0) {
        free(conversation);
        return NULL;
    }
    conversation_init(conversation, socket, settings);
    *opening = CONVERSATION_OPEN;
    return conversation;
}

void conversation_hang_up(struct conversation *conversation)
{
    transport_close(&conversation->transport);
}

void conversation_close(struct conversation *conversation)
{
    if (!conversation)
        return;
    conversation_hang_up(conversation);
    buffer_fini(&conversation->incoming);
    buffer_fini(&conversation->plain);
    buffer_fini(&conversation->outgoing);
    buffer_fini(&conversation->marks);
    free(conversation);
}

enum frame_codec conversation_codec(const struct conversation *conversation)
{
    return conversation->rules.codec;
}

bool conversation_half_closes(const struct conversation *conversation)
{
    return conversation->half_closes;
}

const char *conversation_address(const struct conversation *conversation)
{
    return conversation->address;
}
