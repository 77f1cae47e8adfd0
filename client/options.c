/* options: one table, for parsing and for --help. */
#include "client/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/report.h"
#include "common/address.h"
#include "common/args.h"
#include "common/escape.h"
#include "common/protocol.h"

#define ADDRESS_VARIABLE "BANTER_ADDRESS"
#define CA_VARIABLE "BANTER_CA"

static bool take_connect(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    options->conversation.address = value;
    return address_check(value, ADDRESS_TO_CONNECT, error);
}

static bool take_framing(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    return frame_codec_from_name(value, &options->conversation.codec) ||
           error_set(error, "'%s' is no framing; it can be " FRAME_CODEC_NAMES, value);
}

static bool take_ca(const char *value, void *context, struct error *error)
{
    ((struct options *) context)->conversation.tls.authorities = value;
    return *value || error_set(error, "a file or a folder has a name");
}

static bool take_tls_name(const char *value, void *context, struct error *error)
{
    ((struct options *) context)->conversation.tls.name = value;
    return (*value && strlen(value) < ADDRESS_HOST_SIZE) ||
           error_set(error, "a name has from 1 to %d bytes", ADDRESS_HOST_SIZE - 1);
}

/* A hash of 32 bytes in base64, of whose last digit two bits are none of them. */
static bool is_pin(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char prefix[] = "sha256:";
    if (strncmp(text, prefix, strlen(prefix)) != 0)
        return false;
    const char *hash = text + strlen(prefix);
    return strspn(hash, digits) == 43 && strchr("AEIMQUYcgkosw048", hash[42]) &&
           strcmp(hash + 43, "=") == 0;
}

static bool take_pin(const char *value, void *context, struct error *error)
{
    char shown[ESCAPE_SIZE];
    ((struct options *) context)->conversation.tls.pin = value;
    return is_pin(value) || error_set(error,
                                      "\"%s\" is no pin, which is sha256: and 44 characters of "
                                      "base64, as the refusal of a certificate gives them",
                                      escape_text(value, strlen(value), shown));
}

static bool take_cert(const char *value, void *context, struct error *error)
{
    ((struct options *) context)->conversation.tls.certificate = value;
    return *value || error_set(error, "a file has a name");
}

static bool take_key(const char *value, void *context, struct error *error)
{
    ((struct options *) context)->conversation.tls.key = value;
    return *value || error_set(error, "a file has a name");
}

static bool take_connect_timeout(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    return args_duration(value, &options->conversation.connect_timeout_ms, error);
}

static bool take_timeout(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    return args_duration(value, &options->conversation.reply_timeout_ms, error);
}

static bool take_wait(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    options->waits = true;
    options->wait_ms = 0;
    return !value || args_duration(value, &options->wait_ms, error);
}

static bool take_again(const char *value, void *context, struct error *error)
{
    static const char *const names[] = {[OPTIONS_AGAIN_NEVER] = "never",
                                        [OPTIONS_AGAIN_STOPPING] = "stopping",
                                        [OPTIONS_AGAIN_LOST] = "lost"};
    unsigned again;
    if (!args_word(value, names, sizeof names / sizeof *names, &again))
        return error_set(error, "'%s' is not known; it can be never, stopping or lost", value);
    ((struct options *) context)->again = (enum options_again) again;
    return true;
}

static bool take_literal(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->is_literal = true;
    return true;
}

static bool take_quit_word(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct options *) context)->conversation.quit_word = value;
    return true;
}

static bool take_greeting(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    long frames = 0; /* gcc can't see that it is set */
    if (!args_number(value, 0, 1000, &frames, error))
        return false;
    options->conversation.greetings = (size_t) frames;
    return true;
}

static bool take_half_close(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->conversation.half_closes = true;
    return true;
}

static bool take_stop_on_error(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->stops_on_error = true;
    ((struct options *) context)->conversation.is_one_by_one = true;
    return true;
}

static bool take_when(const char *value, enum options_when *when, struct error *error)
{
    static const char *const names[] = {
        [OPTIONS_AUTO] = "auto", [OPTIONS_ALWAYS] = "always", [OPTIONS_NEVER] = "never"};
    unsigned index;
    if (!args_word(value, names, sizeof names / sizeof *names, &index))
        return error_set(error, "'%s' is not known; it can be auto, always or never", value);
    *when = (enum options_when) index;
    return true;
}

static bool take_color(const char *value, void *context, struct error *error)
{
    return take_when(value, &((struct options *) context)->color, error);
}

static bool take_progress(const char *value, void *context, struct error *error)
{
    return take_when(value, &((struct options *) context)->progress, error);
}

static bool take_time(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->wants_times = true;
    return true;
}

static bool take_history(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    options->has_history = true;
    options->history = value;
    return *value || error_set(error, "a file has a name; --no-history is for none");
}

static bool take_no_history(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->has_history = false;
    return true;
}

static bool take_quiet(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->is_quiet = true;
    return true;
}

static bool take_help(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->wants_help = true;
    return true;
}

static bool take_version(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->wants_version = true;
    return true;
}

static const struct args_option table[] = {
    {'c', "connect", "ADDRESS",
     "the server: HOST (port 8000), HOST:PORT, PORT, [V6]:PORT or unix:PATH; tls: in front of one: "
     "through TLS",
     "$" ADDRESS_VARIABLE ", else " PROTOCOL_DEFAULT_ADDRESS, take_connect},
    {'f', "framing", "CODEC", "how messages are framed: " FRAME_CODEC_NAMES, "line", take_framing},
    {0, "connect-timeout", "T", "give up connecting after this time, over all addresses", "10s",
     take_connect_timeout},
    {0, "ca", "FILE", "tls: the certificates of those whom we trust; also a hashed folder",
     "$" CA_VARIABLE ", else /etc/ssl/certs", take_ca},
    {0, "tls-name", "HOST",
     "tls: the server's certificate must be for this name, not for the one in the address", NULL,
     take_tls_name},
    {0, "pin", "PIN",
     "tls: trust the server with this public key alone: sha256:BASE64, as a refusal names it", NULL,
     take_pin},
    {0, "cert", "FILE", "tls: our own certificate, with those that lead to its authority", NULL,
     take_cert},
    {0, "key", "FILE", "tls: the key of --cert, if it is not in the same file", NULL, take_key},
    {0, "wait", "[T]",
     "retry until the server is up and has room, for at most T; without T, for ever", NULL,
     take_wait},
    {0, "again", "CASE",
     "connect again and send what is unanswered: never, stopping (the server said that it stops: "
     "nothing of it was run) or lost (also if the connection was lost: some may be run twice)",
     "stopping", take_again},
    {0, "timeout", "T", "give up if a reply is owed and nothing comes for this time", "none",
     take_timeout},
    {0, "literal", NULL,
     "send a line '" OPTIONS_QUIT "' as text; a line '" PROTOCOL_QUIT "' is refused", NULL,
     take_literal},
    {0, "greeting", "N",
     "the server says N messages first: shown, no replies, awaited within --connect-timeout", NULL,
     take_greeting},
    {0, "quit-word", "TEXT",
     "what to send at the end, or nothing if it is empty; what comes behind it does not count",
     PROTOCOL_QUIT, take_quit_word},
    {0, "half-close", NULL,
     "end our half of the connection with the input, not behind the last reply: for servers that "
     "answer at the end of their input; sends no word for quit but that of --quit-word",
     NULL, take_half_close},
    {0, "stop-on-error", NULL,
     "send one request at a time, and none behind the first whose reply is an error", NULL,
     take_stop_on_error},
    {0, "progress", "WHEN",
     "without a prompt, show progress on standard error: auto (on a terminal that does not get "
     "the replies), always or never",
     "auto", take_progress},
    {0, "color", "WHEN",
     "show error replies in red: auto (on a terminal with colours), always or never", "auto",
     take_color},
    {0, "time", NULL,
     "print the time that each reply took; at the end, their number, min, median, p99 and max",
     NULL, take_time},
    {0, "history", "FILE", "keep the lines typed at a terminal in this file",
     "$XDG_STATE_HOME/banter/history", take_history},
    {0, "no-history", NULL, "neither read nor write a history file", NULL, take_no_history},
    {'q', "quiet", NULL,
     "show errors only: no greeting, progress or hint, no word about waiting or a normal end", NULL,
     take_quiet},
    {'h', "help", NULL, "print this help and exit", NULL, take_help},
    {'V', "version", NULL, "print the version and exit", NULL, take_version},
};

static const struct args_program program = {
    .name = "banter",
    .synopsis = "[OPTION]... [MESSAGE]...",
    .about = "Sends each MESSAGE to the server and prints its reply; if one looks like an option, "
             "put -- in front of the first. Without a MESSAGE, asks for requests at a terminal, or "
             "takes one from each line of standard input; '" OPTIONS_QUIT "' ends it.",
    .trailer = exit_status_help,
    .options = table,
    .option_count = sizeof table / sizeof table[0],
    .operands = "messages",
};

static enum exit_status print_help(void)
{
    char *help = args_help(&program);
    if (!help)
        errno = ENOMEM;
    bool ok = help && fputs(help, stdout) != EOF && fflush(stdout) == 0;
    free(help);
    return ok ? EXIT_STATUS_ANSWERED : EXIT_STATUS_IO;
}

static enum exit_status print_information(const struct options *options)
{
    enum exit_status status = EXIT_STATUS_ANSWERED;
    if (options->wants_help)
        status = print_help();
    else if (puts("banter " BANTER_VERSION) == EOF || fflush(stdout) != 0)
        status = EXIT_STATUS_IO;
    if (status == EXIT_STATUS_IO)
        report_io("write", "standard output", errno);
    return status;
}

/* The server's address, if the command line does not give it. */
static bool use_default_address(struct options *options, struct error *error)
{
    const char *address = getenv(ADDRESS_VARIABLE);
    options->conversation.address = PROTOCOL_DEFAULT_ADDRESS;
    if (!address || !*address)
        return true;
    struct error why;
    options->conversation.address = address;
    return address_check(address, ADDRESS_TO_CONNECT, &why) ||
           error_set(error, ADDRESS_VARIABLE ": %.400s", why.text);
}

/* An option of TLS without TLS could mean that somebody believes to be safe. */
static bool check_tls(const struct options *options, struct error *error)
{
    const struct tls_settings *tls = &options->conversation.tls;
    char host[ADDRESS_HOST_SIZE];
    bool has_some = tls->authorities || tls->name || tls->pin || tls->certificate || tls->key;
    bool is_tls = address_is_tls(options->conversation.address);
    if (has_some && !is_tls)
        return error_set(error, "--ca, --tls-name, --pin, --cert and --key need an address that "
                                "begins with tls:, such as tls:localhost:8443");
    if (tls->pin && tls->authorities)
        return error_set(error, "--pin trusts one key alone, so it can't be given with --ca");
    if (tls->key && !tls->certificate)
        return error_set(error, "--key needs the certificate of the key, --cert");
    if (is_tls && !tls->name && !tls->pin && !*address_host(options->conversation.address, host))
        return error_set(error, "a Unix socket has no name that a certificate could be for: give "
                                "--tls-name or --pin");
    return true;
}

/* The authorities, if neither the command line nor a pin says whom to trust. */
static void use_default_authorities(struct options *options)
{
    struct tls_settings *tls = &options->conversation.tls;
    const char *path = getenv(CA_VARIABLE);
    if (!tls->authorities && !tls->pin && path && *path)
        tls->authorities = path;
}

static bool check_quit_word(const struct options *options, struct error *error)
{
    struct frame_edges edges;
    const char *word = options->conversation.quit_word;
    enum frame_codec codec = frame_codec_of_requests(options->conversation.codec);
    if (!word || !*word)
        return true;
    enum frame_refusal refusal = frame_encode(codec, word, strlen(word), SIZE_MAX, &edges);
    return refusal == FRAME_FITS ||
           error_set(error, "--quit-word can't be sent in this framing: %s",
                     frame_refusal_text(refusal));
}

bool options_parse(struct options *options, int argc, char **argv, enum exit_status *status)
{
    struct error error;
    memset(options, 0, sizeof *options);
    options->conversation.codec = FRAME_LINE;
    options->conversation.connect_timeout_ms = 10 * 1000;
    options->has_history = true;
    options->again = OPTIONS_AGAIN_STOPPING;

    int first = args_parse(&program, argc, argv, options, NULL, &error);
    if (first >= 0 && (options->wants_help || options->wants_version)) {
        *status = print_information(options);
        return false;
    }
    if (first < 0 || (!options->conversation.address && !use_default_address(options, &error)) ||
        !check_tls(options, &error) || !check_quit_word(options, &error)) {
        report(error.text);
        *status = EXIT_STATUS_USAGE;
        return false;
    }
    use_default_authorities(options);
    if (options->is_quiet && options->progress == OPTIONS_AUTO)
        options->progress = OPTIONS_NEVER;
    options->conversation.keeps_unanswered =
        options->again != OPTIONS_AGAIN_NEVER || options->waits;
    options->messages = argv + first;
    return true;
}

bool options_is_interactive(const struct options *options)
{
    return !*options->messages && isatty(STDIN_FILENO);
}

bool options_is_quit(const struct options *options, const char *line, size_t size)
{
    bool is_word = size == strlen(OPTIONS_QUIT) && memcmp(line, OPTIONS_QUIT, size) == 0;
    return !options->is_literal && (is_word || protocol_is_quit(line, size));
}
