/* nats/words: parsing and printing. */
#include "server/nats/words.h"

#include <stdio.h>
#include <string.h>

#include "common/address_notation.h"
#include "common/decimal.h"
#include "common/escape.h"
#include "common/protocol.h"

/* ---- SERVERS/SUBJECT[#N] ---- */

static bool malformed(struct error *error, const char *text, const char *why)
{
    char shown[ESCAPE_SIZE];
    return error_set(
        error,
        "\"%s\" is no service of NATS: %s; it is nats:HOST[:PORT],.../SUBJECT, such as "
        "nats:n1,n2/upper",
        escape_text(text, strlen(text), shown), why);
}

/* Whether a port stands behind the host: "h:1", "[::1]:1". */
static bool has_port(const char *host)
{
    const char *bracket = strrchr(host, ']');
    return strchr(bracket ? bracket : host, ':');
}

/* Makes HOST:PORT of HOST[:PORT], in `address`. False, with why, if it is neither. */
static bool complete(const char *host, size_t size, char *address, const char **why)
{
    struct error error;
    struct address_notation notation;
    char text[ADDRESS_HOST_SIZE + 8];
    *why = size == 0 ? "a server's name is missing" : "a server is no HOST, HOST:PORT or [V6]:PORT";
    if (size == 0 || size >= ADDRESS_HOST_SIZE || *host == ':')
        return false;
    snprintf(text, sizeof text, "%.*s", (int) size, host);
    if (!has_port(text))
        snprintf(text + size, sizeof text - size, ":%d", WORDS_DEFAULT_PORT);
    if (strncmp(text, ADDRESS_TLS_PREFIX, strlen(ADDRESS_TLS_PREFIX)) == 0 ||
        !address_notation_parse(text, ADDRESS_TO_CONNECT, &notation, &error))
        return false;
    memcpy(address, text, sizeof text);
    return notation.form == ADDRESS_FORM_IPV4 || notation.form == ADDRESS_FORM_IPV6 ||
           notation.form == ADDRESS_FORM_NAME;
}

/* Takes the server in the `size` bytes. */
static bool add_server(struct words_service *service, const char *text, size_t size,
                       const char **why)
{
    static const char prefix[] = WORDS_TLS_PREFIX;
    *why = "there can be 32 servers at most";
    _Static_assert(WORDS_SERVERS == 32, "the text above says how many");
    if (service->server_count == WORDS_SERVERS)
        return false;
    struct words_server *server = &service->servers[service->server_count++];
    server->tls = size >= sizeof prefix - 1 && memcmp(text, prefix, sizeof prefix - 1) == 0;
    size_t skipped = server->tls ? sizeof prefix - 1 : 0;
    return complete(text + skipped, size - skipped, server->address, why);
}

static bool parse_servers(struct words_service *service, const char *text, const char *end,
                          const char **why)
{
    for (;;) {
        const char *comma = memchr(text, ',', (size_t) (end - text));
        if (!add_server(service, text, (size_t) ((comma ? comma : end) - text), why))
            return false;
        if (!comma)
            return true;
        text = comma + 1;
    }
}

/* A whole number from 1 to WORDS_SHARDS, without zeros in front. */
static bool parse_shards(const char *text, unsigned *shards)
{
    unsigned number = 0;
    if (*text == '0')
        return false;
    for (; *text >= '0' && *text <= '9' && number <= WORDS_SHARDS; text++)
        number = number * 10 + (unsigned) (*text - '0');
    *shards = number;
    return *text == '\0' && number >= 1 && number <= WORDS_SHARDS;
}

static bool parse_subject(struct words_service *service, const char *text, const char **why)
{
    /* Of a shard it has a dot and a number behind it. */
    enum { SHARD_BYTES = 1 + 4 };
    const char *hash = strchr(text, '#');
    size_t size = hash ? (size_t) (hash - text) : strlen(text);
    *why = "the subject is too long";
    if (size >= WORDS_SUBJECT_SIZE - SHARD_BYTES)
        return false;
    memcpy(service->subject, text, size);
    *why = "the subject has an empty token, a wildcard or a blank";
    if (!words_is_subject(service->subject))
        return false;
    *why = "behind # there must be the number of shards, from 1 to 10000";
    _Static_assert(WORDS_SHARDS == 10000, "the text above says how many");
    return !hash || parse_shards(hash + 1, &service->shards);
}

/* The slash between SERVERS and SUBJECT: not one of tls://. */
static const char *find_slash(const char *text)
{
    const char *slash = strchr(text, '/');
    while (slash && slash > text && slash[-1] == ':' && slash[1] == '/')
        slash = strchr(slash + 2, '/');
    return slash;
}

bool words_parse(struct words_service *service, const char *text, struct error *error)
{
    const char *why;
    const char *slash = find_slash(text);
    memset(service, 0, sizeof *service);
    if (!slash)
        return malformed(error, text, "the subject is missing");
    return (parse_servers(service, text, slash, &why) && parse_subject(service, slash + 1, &why)) ||
           malformed(error, text, why);
}

const char *words_shard(const struct words_service *service, unsigned shard, char *text)
{
    if (service->shards == 0)
        memcpy(text, service->subject, WORDS_SUBJECT_SIZE);
    else
        snprintf(text, WORDS_SUBJECT_SIZE, "%.250s.%u", service->subject, shard);
    return text;
}

/* ---- subjects ---- */

bool words_is_subject(const char *text)
{
    bool token = false; /* the one that ends here has a character */
    for (; *text; text++) {
        unsigned char c = (unsigned char) *text;
        if (c <= ' ' || c == 0x7f || c == '*' || c == '>' || (c == '.' && !token))
            return false;
        token = c != '.';
    }
    return token;
}

const char *words_name(const char *subject, char *name)
{
    size_t size = strlen(subject);
    for (size_t i = 0; i <= size; i++)
        name[i] = subject[i] == '.' ? '_' : subject[i];
    return name;
}

const char *words_gone(const char *subject, char *text)
{
    snprintf(text, WORDS_GONE_SIZE, WORDS_INBOX_PREFIX "gone.%s", subject);
    return text;
}

/* ---- inboxes ---- */

void words_inbox(const unsigned char random[WORDS_INBOX_RANDOM], char *inbox)
{
    char *end = stpcpy(inbox, WORDS_INBOX_PREFIX);
    for (unsigned i = 0; i < WORDS_INBOX_RANDOM; i++)
        end += sprintf(end, "%02x", random[i]);
}

const char *words_reply_subject(const char *inbox, const struct words_token *token, char *reply)
{
    const uint32_t numbers[] = {token->slot, token->generation, token->try};
    char *end = stpcpy(reply, inbox);
    for (unsigned i = 0; i < 3; i++) {
        *end++ = i == 0 ? '.' : '-';
        end += decimal_print(end, numbers[i]);
    }
    *end = '\0';
    return reply;
}

/* Reads a number as decimal_print() writes it. NULL: it is none; otherwise what is behind it. */
static const char *read_number(const char *text, uint32_t *number)
{
    uint64_t value = 0;
    const char *digit = text;
    for (; *digit >= '0' && *digit <= '9' && value <= UINT32_MAX; digit++)
        value = value * 10 + (uint64_t) (*digit - '0');
    *number = (uint32_t) value;
    bool zero_in_front = *text == '0' && digit > text + 1;
    return digit == text || zero_in_front || value > UINT32_MAX ? NULL : digit;
}

bool words_read_token(const char *text, struct words_token *token)
{
    text = read_number(text, &token->slot);
    if (!text || *text != '-')
        return false;
    text = read_number(text + 1, &token->generation);
    if (!text || *text != '-')
        return false;
    text = read_number(text + 1, &token->try);
    return text && *text == '\0';
}

/* ---- errors ---- */

enum words_status words_status(const char *code, size_t size)
{
    static const struct {
        const char *code;
        enum words_status status;
    } table[] = {
        {PROTOCOL_BAD_REQUEST, WORDS_BAD_REQUEST}, {PROTOCOL_NOT_UTF8, WORDS_BAD_REQUEST},
        {PROTOCOL_TOO_LONG, WORDS_TOO_LONG},       {PROTOCOL_BUSY, WORDS_BUSY},
        {PROTOCOL_UNAVAILABLE, WORDS_NOBODY},      {PROTOCOL_HANDLER_TIMEOUT, WORDS_TIMEOUT},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].code) == size && memcmp(table[i].code, code, size) == 0)
            return table[i].status;
    return WORDS_FAILED;
}
