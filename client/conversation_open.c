/*
 * conversation_open: makes a conversation of an address, and frees it.
 */
#include <stdlib.h>
#include <string.h>

#include "client/conversation_state.h"
#include "common/clock.h"
#include "common/protocol.h"

/* ---- connecting ---- */

/* A way to the server that is being made. */
struct opening {
    const struct conversation_settings *settings;
    int64_t end_ms;
    struct conversation *conversation; /* its address and its transport are made */
    const struct tls_module *tls;      /* NULL: in the clear */
    struct tls_session *session;       /* owned */
    enum conversation_opening outcome;
    struct error *error;
};

/* Sets the outcome; always returns false. */
static bool fail(struct opening *opening, enum conversation_opening outcome)
{
    opening->outcome = outcome;
    return false;
}

/* The same for TLS, whose errors do not name the server. */
static bool fail_tls(struct opening *opening, enum tls_opening outcome, const char *address)
{
    struct error why = *opening->error;
    if (outcome != TLS_UNUSABLE)
        error_set(opening->error, "%s: %.*s", address, (int) sizeof why.text, why.text);
    return fail(opening, outcome == TLS_UNUSABLE     ? CONVERSATION_UNUSABLE
                         : outcome == TLS_UNTRUSTED  ? CONVERSATION_UNTRUSTED
                         : outcome == TLS_IMPOSSIBLE ? CONVERSATION_IMPOSSIBLE
                                                     : CONVERSATION_UNREACHABLE);
}

/* Whatever is wrong with files is found without a server. */
static bool prepare_tls(struct opening *opening)
{
    char host[ADDRESS_HOST_SIZE];
    const struct conversation_settings *settings = opening->settings;
    enum tls_opening outcome;
    if (!address_is_tls(settings->address))
        return true;
    opening->tls = tls_module_open(opening->error);
    if (!opening->tls)
        return fail_tls(opening, TLS_IMPOSSIBLE, settings->address);
    opening->session = opening->tls->create(&settings->tls, address_host(settings->address, host),
                                            &outcome, opening->error);
    return opening->session || fail_tls(opening, outcome, settings->address);
}

static bool shake_hands(struct opening *opening)
{
    struct transport *transport = &opening->conversation->transport;
    if (!opening->session)
        return true;
    enum tls_opening outcome =
        opening->tls->shake_hands(opening->session, transport->socket, opening->end_ms,
                                  opening->settings->connect_timeout_ms, opening->error);
    if (outcome != TLS_OPEN)
        return fail_tls(opening, outcome, opening->conversation->address);
    transport_secure(transport, opening->tls, opening->session);
    opening->session = NULL;
    return true;
}

static bool connect_to(struct opening *opening, const struct address_list *list)
{
    size_t connected = 0;
    struct conversation *conversation = opening->conversation;
    int64_t timeout_ms = opening->settings->connect_timeout_ms;
    int fd =
        address_connect(list, timeout_ms > 0 ? (int) timeout_ms : -1, &connected, opening->error);
    if (fd < 0)
        return fail(opening, CONVERSATION_UNREACHABLE);
    transport_init(&conversation->transport, fd);
    address_print_named(&list->items[connected], opening->settings->address, conversation->name);
    address_print(&list->items[connected], conversation->address);
    if (opening->tls)
        memcpy(conversation->address, conversation->name, sizeof conversation->address);
    return shake_hands(opening);
}

static bool open_transport(struct opening *opening)
{
    struct address_list list;
    const char *address = opening->settings->address;
    switch (address_resolve(address, ADDRESS_TO_CONNECT, &list, opening->error)) {
    case ADDRESS_OK:
        break;
    case ADDRESS_MALFORMED:
        return fail(opening, CONVERSATION_MALFORMED_ADDRESS);
    case ADDRESS_UNKNOWN_HOST:
        return fail(opening, CONVERSATION_UNKNOWN_HOST);
    }
    int64_t timeout_ms = opening->settings->connect_timeout_ms;
    opening->end_ms = timeout_ms > 0 ? clock_ms() + timeout_ms : CLOCK_NEVER;
    bool is_open = prepare_tls(opening) && connect_to(opening, &list);
    address_list_fini(&list);
    if (opening->session)
        opening->tls->free(opening->session);
    return is_open;
}

/* ---- all of it ---- */

static void init(struct conversation *conversation, const struct conversation_settings *settings)
{
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

void conversation_init(struct conversation *conversation, int socket,
                       const struct conversation_settings *settings)
{
    transport_init(&conversation->transport, socket);
    init(conversation, settings);
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
    struct opening way = {.settings = settings, .conversation = conversation, .error = error};
    transport_init(&conversation->transport, -1);
    if (!open_transport(&way)) {
        *opening = way.outcome;
        conversation_close(conversation);
        return NULL;
    }
    init(conversation, settings);
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

const char *conversation_identity(const struct conversation *conversation)
{
    const struct transport *transport = &conversation->transport;
    return transport->tls ? transport->tls->identity(transport->session) : NULL;
}
