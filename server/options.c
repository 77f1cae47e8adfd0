/* options: one table, from which parsing and --help come. */
#include "server/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/args.h"
#include "common/escape.h"
#include "common/protocol.h"
#include "server/handlers/kinds.h"
#include "server/admin/control.h"
#include "server/options_check.h"

enum {
    MAX_THREADS = 1024,
    MAX_CLIENTS = 1 << 24,
    MAX_WORKERS = 1024,
    MAX_MAX_WORKERS = 65536,
    MAX_AHEAD = 1024,
    MAX_LINE = 1024,
};

#define MAX_MESSAGE ((size_t) 1 << 30)
#define LEAST_MEMORY ((size_t) 1 << 20)
#define MOST_MEMORY ((size_t) 1 << 50)

static bool take_listen(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    if (options->config.listen_count == LISTENERS_MAX)
        return error_set(error, "there can be %d at most", LISTENERS_MAX);
    options->addresses[options->config.listen_count++] = value;
    return address_check(value, ADDRESS_TO_LISTEN, error);
}

static bool take_control(const char *value, void *context, struct error *error)
{
    ((struct options *) context)->control = value;
    return control_check_address(value, error);
}

static bool take_handler(const char *value, void *context, struct error *error)
{
    return handler_parse(&((struct options *) context)->handler, value, error);
}

static bool take_count(const char *value, long max, unsigned *count, struct error *error)
{
    long number = 0; /* gcc can't see that it is set */
    if (!args_number(value, 1, max, &number, error))
        return false;
    *count = (unsigned) number;
    return true;
}

/* Whether the text is one line, and not too long for a program to be given. */
static bool check_line(const char *text, struct error *error)
{
    if (strchr(text, '\n') || strlen(text) > MAX_LINE)
        return error_set(error, "it must be one line of up to %d bytes", MAX_LINE);
    return true;
}

static bool take_workers(const char *value, void *context, struct error *error)
{
    return take_count(value, MAX_WORKERS, &((struct options *) context)->program.workers, error);
}

static bool take_max_workers(const char *value, void *context, struct error *error)
{
    return take_count(value, MAX_MAX_WORKERS, &((struct options *) context)->program.max_workers,
                      error);
}

static bool take_worker_per_request(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->program.worker_per_request = true;
    return true;
}

static bool take_worker_per_client(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->program.worker_per_client = true;
    return true;
}

/* newline, waits, line:TEXT, or none. */
static bool take_reply_end(const char *value, void *context, struct error *error)
{
    static const char line[] = "line:";
    struct program_options *program = &((struct options *) context)->program;
    program->reply_mark = NULL;
    if (strcmp(value, "newline") == 0) {
        program->reply_end = REPLY_END_NEWLINE;
    } else if (strcmp(value, "waits") == 0) {
        program->reply_end = REPLY_END_WAITS;
    } else if (strcmp(value, "none") == 0) {
        program->reply_end = REPLY_END_NONE;
    } else if (strncmp(value, line, sizeof line - 1) == 0) {
        program->reply_end = REPLY_END_LINE;
        program->reply_mark = value + sizeof line - 1;
        return check_line(program->reply_mark, error);
    } else {
        return error_set(error,
                         "\"%s\" is no end of a reply; it can be newline, waits, line:TEXT or none",
                         value);
    }
    return true;
}

static bool take_request_end(const char *value, void *context, struct error *error)
{
    ((struct options *) context)->program.request_end = value;
    return check_line(value, error);
}

static bool take_ahead(const char *value, void *context, struct error *error)
{
    return take_count(value, MAX_AHEAD, &((struct options *) context)->program.ahead, error);
}

static bool take_tagged(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->program.tagged = true;
    return true;
}

static bool take_tell_peer(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->program.tell_peer = true;
    return true;
}

static bool take_pty(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->program.pty = true;
    return true;
}

static bool take_stderr(const char *value, void *context, struct error *error)
{
    bool reply = strcmp(value, "reply") == 0;
    ((struct options *) context)->program.stderr_to_reply = reply;
    return reply || strcmp(value, "log") == 0 ||
           error_set(error, "\"%s\" is no place for it; it can be log or reply", value);
}

static bool take_start_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->program.start_timeout_ms, error);
}

static bool take_framing(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    return frame_codec_from_name(value, &options->config.codec) ||
           error_set(error, "\"%s\" is no framing; it can be " FRAME_CODEC_NAMES, value);
}

static bool take_telnet(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->config.telnet = true;
    return true;
}

static bool take_max_message(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    return args_size(value, 1, MAX_MESSAGE, &options->config.max_message, error);
}

static bool take_max_memory(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    return args_size(value, LEAST_MEMORY, MOST_MEMORY, &options->config.max_memory, error);
}

static bool take_threads(const char *value, void *context, struct error *error)
{
    return take_count(value, MAX_THREADS, &((struct options *) context)->config.threads, error);
}

static bool take_max_clients(const char *value, void *context, struct error *error)
{
    return take_count(value, MAX_CLIENTS, &((struct options *) context)->config.max_clients, error);
}

static bool take_socket_mode(const char *value, void *context, struct error *error)
{
    return access_take_socket_mode(&((struct options *) context)->access, value, error);
}

static bool take_socket_group(const char *value, void *context, struct error *error)
{
    return access_take_socket_group(&((struct options *) context)->access, value, error);
}

static bool take_allow(const char *value, void *context, struct error *error)
{
    return access_take_who(&((struct options *) context)->access, ACCESS_ALLOW, value, error);
}

static bool take_deny(const char *value, void *context, struct error *error)
{
    return access_take_who(&((struct options *) context)->access, ACCESS_DENY, value, error);
}

static bool take_proxy_from(const char *value, void *context, struct error *error)
{
    return access_take_who(&((struct options *) context)->access, ACCESS_PROXIES, value, error);
}

static bool take_handshake_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->config.handshake_timeout_ms, error);
}

static bool take_cert(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct options *) context)->tls.files.certificate = value;
    return true;
}

static bool take_key(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct options *) context)->tls.files.key = value;
    return true;
}

static bool take_client_ca(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct options *) context)->tls.files.authorities = value;
    return true;
}

static bool take_crl(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct options *) context)->tls.files.revoked = value;
    return true;
}

static bool take_max_per_address(const char *value, void *context, struct error *error)
{
    return take_count(value, MAX_CLIENTS, &((struct options *) context)->config.max_per_address,
                      error);
}

static bool take_max_requests(const char *value, void *context, struct error *error)
{
    return take_count(value, SERVER_MAX_REQUESTS,
                      &((struct options *) context)->config.max_requests, error);
}

static bool take_request_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->config.request_timeout_ms, error);
}

static bool take_handler_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->config.handler_timeout_ms, error);
}

static bool take_idle_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->config.idle_timeout_ms, error);
}

static bool take_write_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->config.write_timeout_ms, error);
}

static bool take_drain_timeout(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->config.drain_timeout_ms, error);
}

static bool take_run_for(const char *value, void *context, struct error *error)
{
    return args_duration(value, &((struct options *) context)->run_for_ms, error);
}

static bool take_log(const char *value, void *context, struct error *error)
{
    static const char *const names[] = {
        [LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_TIMED] = "timed", [LOG_FORMAT_JSON] = "json"};
    unsigned format;
    if (!args_word(value, names, sizeof names / sizeof *names, &format))
        return error_set(error, "\"%s\" is no form of the log; it can be text, timed or json",
                         value);
    ((struct options *) context)->log_format = (enum log_format) format;
    return true;
}

static bool take_metrics(const char *value, void *context, struct error *error)
{
    ((struct options *) context)->metrics = value;
    if (address_is_tls(value))
        return error_set(error, "\"%s\": figures are served in the clear", value);
    return address_check(value, ADDRESS_TO_LISTEN, error);
}

static bool take_quiet(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    (void) value, (void) error;
    if (options->log_level < LOG_ERRORS)
        options->log_level++;
    return true;
}

static bool take_help(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->help = true;
    return true;
}

static bool take_version(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->version = true;
    return true;
}

static const struct args_option table[] = {
    {'l', "listen", "ADDRESS",
     "where to listen: HOST:PORT, :PORT (every address), "
     "PORT (127.0.0.1), [V6]:PORT or unix:PATH; with tls: in front, for clients that speak TLS; "
     "may be repeated; port 0 is any free one",
     PROTOCOL_DEFAULT_ADDRESS, take_listen},
    {0, "cert", "FILE", "for tls: the server's certificate, and those that lead to its authority",
     NULL, take_cert},
    {0, "key", "FILE", "its key, without a passphrase", "in the certificate's file", take_key},
    {0, "client-ca", "FILE",
     "each client that speaks TLS must show a certificate that one of these signed",
     "none is asked for", take_client_ca},
    {0, "crl", "FILE", "and that is in no list of revoked ones in here", NULL, take_crl},
    {0, "socket-mode", "MODE", "who may connect to unix:PATH, in octal, such as 660",
     "what the umask leaves", take_socket_mode},
    {0, "socket-group", "GROUP", "the group of unix:PATH", "the server's", take_socket_group},
    {'H', "handler", "NAME", "what answers: one of the handlers below", "hello", take_handler},
    {'w', "workers", "N",
     "how many copies of PROGRAM run; with one of the next two: how many wait, started ahead (0)",
     "one a core", take_workers},
    {0, "worker-per-client", NULL,
     "each client gets a copy of PROGRAM to itself, which may keep state", NULL,
     take_worker_per_client},
    {0, "worker-per-request", NULL,
     "each request gets a copy of PROGRAM to itself, which reads it to the end of its input", NULL,
     take_worker_per_request},
    {0, "max-workers", "N", "how many copies of these two run at a time; for requests 4 a core",
     "1000", take_max_workers},
    {0, "reply-end", "END",
     "what ends a reply of PROGRAM: newline (a reply is one line), waits (all until PROGRAM reads "
     "again), line:TEXT (the lines before one that is TEXT) or none (lines go both ways as they "
     "come)",
     "newline", take_reply_end},
    {0, "request-end", "TEXT",
     "a line for PROGRAM behind each request, which makes it write the one of --reply-end", NULL,
     take_request_end},
    {0, "ahead", "N",
     "up to N requests of a client are given to PROGRAM at once, which must answer each before it "
     "begins the next",
     "1", take_ahead},
    {0, "tagged", NULL,
     "PROGRAM is given \"ID SPACE line\", and answers \"ID SPACE answer\", in any order, up to "
     "--ahead (64) of any clients at once",
     NULL, take_tagged},
    {0, "tell-peer", NULL,
     "PROGRAM is given \"ADDRESS TAB IDENTITY TAB line\", with - for what a client has none of",
     NULL, take_tell_peer},
    {0, "pty", NULL,
     "PROGRAM writes to a terminal, so that it does not keep its output in a buffer", NULL,
     take_pty},
    {0, "stderr", "WHERE", "where PROGRAM's standard error goes: log or reply", "log", take_stderr},
    {0, "start-timeout", "T", "how long a copy may take until it is ready for a request", "60s",
     take_start_timeout},
    {'f', "framing", "CODEC", "how messages are separated: " FRAME_CODEC_NAMES, "line",
     take_framing},
    {0, "telnet", NULL, "take telnet commands out of what clients send, and refuse every option",
     NULL, take_telnet},
    {'m', "max-message", "BYTES",
     "the longest request, such as 5120, 64k or 1m, without its framing", "5120", take_max_message},
    {0, "max-memory", "BYTES",
     "what all clients together make it hold; over it, those that would add to it are not read",
     "a quarter of the machine's", take_max_memory},
    {'t', "threads", "N", "how many event loops", "one a core", take_threads},
    {0, "max-clients", "N", "the next client gets -ERR busy", "10000", take_max_clients},
    {0, "max-per-address", "N",
     "how many of one IPv4 address, IPv6 /64 or Unix user; the next gets -ERR busy", "any number",
     take_max_per_address},
    {0, "allow", "WHO",
     "who may connect, others get -ERR denied: 10.0.0.0/8, ::1, user:NAME, group:NAME, CN=TEXT, "
     "DNS:TEXT, URI:TEXT, with commas between, or @FILE; may be repeated",
     "everybody", take_allow},
    {0, "deny", "WHO", "who may not, even if it is allowed", "nobody", take_deny},
    {0, "proxy-from", "WHO",
     "addresses, networks or unix: the proxies, whose connections begin with a PROXY header",
     "nobody", take_proxy_from},
    {0, "handshake-timeout", "T", "how long a connection may take to show it", "10s",
     take_handshake_timeout},
    {0, "max-requests", "N", "close a client's connection behind the reply to its Nth request",
     "none", take_max_requests},
    {0, "request-timeout", "T",
     "how long a request may take from its first byte to its last; 0 is for ever, as for every T",
     "30s", take_request_timeout},
    {0, "handler-timeout", "T",
     "how long the handler may take; then the client gets -ERR handler-timeout", "30s",
     take_handler_timeout},
    {0, "idle-timeout", "T",
     "a client with nothing asked, owed or half received for this long is closed", "0",
     take_idle_timeout},
    {0, "write-timeout", "T", "a client that reads none of its replies for this long is dropped",
     "30s", take_write_timeout},
    {0, "drain-timeout", "T", "how long the stop waits for owed replies; 0: not at all", "5s",
     take_drain_timeout},
    {0, "run-for", "T", "stop after this long: 90, 90s, 0.5s, 500ms, 2m or 1h", "for ever",
     take_run_for},
    {0, "log", "FORM",
     "what each line of the log looks like: text, timed (text behind its time) or json", "text",
     take_log},
    {0, "control", "ADDRESS",
     "where you and root can ask it what it does, and more: unix:PATH (banter -c unix:PATH "
     "status)",
     NULL, take_control},
    {0, "metrics", "ADDRESS",
     "where to answer GET /metrics, as Prometheus asks, and GET /health; ADDRESS as for --listen",
     NULL, take_metrics},
    {'q', "quiet", NULL, "log connections and errors, not messages; twice: errors only", NULL,
     take_quiet},
    {'h', "help", NULL, "print this, and exit", NULL, take_help},
    {'V', "version", NULL, "print the version, and exit", NULL, take_version},
};

static void take_file(struct line_file *file, void *context)
{
    operands_add_file(&((struct options *) context)->operands, file);
}

/* All but the trailer, which is made from the table of handlers. */
static const struct args_program banterd = {
    .name = "banterd",
    .synopsis = "[OPTION | @FILE]... [-- PROGRAM [ARGUMENT]...]",
    .about =
        "Answers every line that a client sends with one line; no client ever waits for another's "
        "heavy work. With PROGRAM, copies of it answer instead of a handler: any filter that "
        "reads a line and writes a line.",
    .options = table,
    .option_count = sizeof table / sizeof table[0],
    .take_file = take_file,
};

static bool take_program(struct options *options, char **words, bool separator, struct error *error)
{
    bool found = operands_find_program(&options->operands, words, separator, error);
    options->program.argv = options->operands.program;
    return found;
}

static bool check_tls(struct options *options, struct error *error)
{
    options->config.listen = options->addresses;
    return tls_options_check(&options->tls, &options->config, error);
}

bool options_parse(struct options *options, int argc, char **argv, struct error *error)
{
    *options = (struct options){.config = server_defaults(),
                                .program.start_timeout_ms = OPTIONS_START_TIMEOUT_MS};
    bool separator;
    int operand = args_parse(&banterd, argc, argv, options, &separator, error);
    if (operand < 0)
        return false;
    if (!options->help && !options->version &&
        !(take_program(options, argv + operand, separator, error) &&
          options_check(&options->config, &options->program, options->handler.kind, error) &&
          check_tls(options, error)))
        return false;
    if (options->program.argv)
        options->handler = (struct handler_spec){&handler_program, NULL, &options->program};
    else if (!options->handler.kind)
        options->handler.kind = &handler_hello;
    access_options_apply(&options->access, &options->config);
    return access_options_register(&options->access, &options->reload, error);
}

bool options_take_sockets(struct options *options, struct error *error)
{
    struct server_config *config = &options->config;
    if (!passed_take(&options->passed, error))
        return false;
    config->sockets = options->passed.clients.fds;
    config->socket_is_tls = options->passed.clients.is_tls;
    config->socket_count = options->passed.clients.count;
    if (config->socket_count + config->listen_count > 0)
        return true;
    if (passed_any(&options->passed))
        return error_set(error, "none of the sockets that were passed is for clients: name one "
                                "neither control nor metrics, or use --listen");
    options->addresses[config->listen_count++] = PROTOCOL_DEFAULT_ADDRESS;
    return true;
}

bool options_open_tls(struct options *options, struct error *error)
{
    return tls_options_open(&options->tls, passed_has_tls(&options->passed), &options->config,
                            &options->reload, error);
}

void options_free(struct options *options)
{
    tls_options_close(&options->tls);
    operands_fini(&options->operands);
}

/* ---- help ---- */

/* A line for each handler that --handler can name. Completion reads these lines. */
static void put_handlers(FILE *out)
{
    int widest = 0;
    for (const struct handler_kind *const *kind = handler_kinds; *kind; kind++) {
        int size = (*kind)->usage ? (int) strlen((*kind)->usage) : 0;
        widest = size > widest ? size : widest;
    }
    fputs("Handlers:\n", out);
    for (const struct handler_kind *const *kind = handler_kinds; *kind; kind++)
        if ((*kind)->usage)
            fprintf(out, "  %-*s  %s\n", widest, (*kind)->usage, (*kind)->help);
}

static char *make_trailer(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    put_handlers(out);
    fputs("\n"
          "@FILE stands for the options in FILE: each line is an option or its value, or a\n"
          "comment behind #. Behind a line -- each line is a word of PROGRAM.\n"
          "SIGTERM and SIGINT stop it: what has been received is answered first. SIGHUP\n"
          "lets it read files anew, SIGUSR1 lets it log its status.\n"
          "Exit status: 0 stopped, 1 could not start, 2 stopped with handlers left behind,\n"
          "64 wrong usage. See banterd(8) and banter-protocol(7).",
          out);
    bool failed = ferror(out);
    if (fclose(out) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}

char *options_help(void)
{
    struct args_program program = banterd;
    char *trailer = make_trailer();
    program.trailer = trailer;
    char *help = trailer ? args_help(&program) : NULL;
    free(trailer);
    return help;
}
