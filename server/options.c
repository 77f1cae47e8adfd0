/* options: one table, from which parsing and --help come. */
#include "server/options.h"

#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/args.h"
#include "common/protocol.h"
#include "server/admin/control.h"
#include "server/handlers/kinds.h"
#include "server/options_check.h"
#include "server/options_limits.h"
#include "server/options_program.h"
#include "server/options_trailer.h"

static bool take_listen(const char *value, void *context, struct error *error)
{
    struct options *options = context;
    if (serving_is_address(value))
        return serving_take(&options->serving, value, error);
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

static bool take_run_again(const char *value, void *context, struct error *error)
{
    return nats_take_run_again(&((struct options *) context)->nats, value, error);
}

static bool take_try(const char *value, void *context, struct error *error)
{
    return nats_take_try(&((struct options *) context)->nats, value, error);
}

static bool take_window(const char *value, void *context, struct error *error)
{
    return nats_take_window(&((struct options *) context)->nats, value, error);
}

static bool take_nats_login(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct options *) context)->nats.login = value;
    return true;
}

static bool take_nats_ca(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct options *) context)->nats.authorities = value;
    return true;
}

static bool take_nats_cert(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct options *) context)->nats.certificate = value;
    return true;
}

static bool take_nats_key(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct options *) context)->nats.key = value;
    return true;
}

static bool take_nats_group(const char *value, void *context, struct error *error)
{
    return nats_take_group(&((struct options *) context)->nats, value, error);
}

static bool take_nats_name(const char *value, void *context, struct error *error)
{
    return nats_take_name(&((struct options *) context)->nats, value, error);
}

static bool take_no_micro(const char *value, void *context, struct error *error)
{
    (void) value, (void) error;
    ((struct options *) context)->nats.no_micro = true;
    return true;
}

static const struct args_option table[] = {
    {'l', "listen", "ADDRESS",
     "where to listen: HOST:PORT, :PORT (every address), "
     "PORT (127.0.0.1), [V6]:PORT or unix:PATH; with tls: in front, for clients that speak TLS; "
     "nats:SERVERS/SUBJECT for requests that come over NATS; "
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
     "one a core", program_take_workers},
    {0, "worker-per-client", NULL,
     "each client gets a copy of PROGRAM to itself, which may keep state", NULL,
     program_take_worker_per_client},
    {0, "worker-per-request", NULL,
     "each request gets a copy of PROGRAM to itself, which reads it to the end of its input", NULL,
     program_take_worker_per_request},
    {0, "max-workers", "N", "how many copies of these two run at a time; for requests 4 a core",
     "1000", program_take_max_workers},
    {0, "reply-end", "END",
     "what ends a reply of PROGRAM: newline (a reply is one line), waits (all until PROGRAM reads "
     "again), line:TEXT (the lines before one that is TEXT) or none (lines go both ways as they "
     "come)",
     "newline", program_take_reply_end},
    {0, "request-end", "TEXT",
     "a line for PROGRAM behind each request, which makes it write the one of --reply-end", NULL,
     program_take_request_end},
    {0, "ahead", "N",
     "up to N requests of a client are given to PROGRAM at once, which must answer each before it "
     "begins the next",
     "1", program_take_ahead},
    {0, "tagged", NULL,
     "PROGRAM is given \"ID SPACE line\", and answers \"ID SPACE answer\", in any order, up to "
     "--ahead (64) of any clients at once",
     NULL, program_take_tagged},
    {0, "tell-peer", NULL,
     "PROGRAM is given \"ADDRESS TAB IDENTITY TAB line\", with - for what a client has none of",
     NULL, program_take_tell_peer},
    {0, "pty", NULL,
     "PROGRAM writes to a terminal, so that it does not keep its output in a buffer", NULL,
     program_take_pty},
    {0, "stderr", "WHERE", "where PROGRAM's standard error goes: log or reply", "log",
     program_take_stderr},
    {0, "start-timeout", "T", "how long a copy may take until it is ready for a request", "60s",
     program_take_start_timeout},
    {'f', "framing", "CODEC", "how messages are separated: " FRAME_CODEC_NAMES, "line",
     take_framing},
    {0, "telnet", NULL, "take telnet commands out of what clients send, and refuse every option",
     NULL, take_telnet},
    {'m', "max-message", "BYTES",
     "the longest request, such as 5120, 64k or 1m, without its framing", "5120",
     limits_take_max_message},
    {0, "max-memory", "BYTES",
     "what all clients together make it hold; over it, those that would add to it are not read",
     "a quarter of the machine's", limits_take_max_memory},
    {'t', "threads", "N", "how many event loops", "one a core", limits_take_threads},
    {0, "max-clients", "N", "the next client gets -ERR busy", "10000", limits_take_max_clients},
    {0, "max-per-address", "N",
     "how many of one IPv4 address, IPv6 /64 or Unix user; the next gets -ERR busy", "any number",
     limits_take_max_per_address},
    {0, "allow", "WHO",
     "who may connect, others get -ERR denied: 10.0.0.0/8, ::1, user:NAME, group:NAME, CN=TEXT, "
     "DNS:TEXT, URI:TEXT, with commas between, or @FILE; may be repeated",
     "everybody", take_allow},
    {0, "deny", "WHO", "who may not, even if it is allowed", "nobody", take_deny},
    {0, "proxy-from", "WHO",
     "addresses, networks or unix: the proxies, whose connections begin with a PROXY header",
     "nobody", take_proxy_from},
    {0, "handshake-timeout", "T", "how long a connection may take to show it, and to shake hands",
     "10s", limits_take_handshake_timeout},
    {0, "max-requests", "N", "close a client's connection behind the reply to its Nth request",
     "none", limits_take_max_requests},
    {0, "request-timeout", "T",
     "how long a request may take from its first byte to its last; 0 is for ever, as for every T",
     "30s", limits_take_request_timeout},
    {0, "handler-timeout", "T",
     "how long the handler may take; then the client gets -ERR handler-timeout", "30s",
     limits_take_handler_timeout},
    {0, "idle-timeout", "T",
     "a client with nothing asked, owed or half received for this long is closed", "0",
     limits_take_idle_timeout},
    {0, "write-timeout", "T", "a client that reads none of its replies for this long is dropped",
     "30s", limits_take_write_timeout},
    {0, "drain-timeout", "T", "how long the stop waits for owed replies; 0: not at all", "5s",
     limits_take_drain_timeout},
    {0, "run-for", "T", "stop after this long: 90, 90s, 0.5s, 500ms, 2m or 1h", "for ever",
     take_run_for},
    {0, "run-again", "POLICY",
     "when a handler nats: asks another machine: never, unless nobody has begun; or lost, also if "
     "no answer has come within --try, for services in which running twice does no harm",
     "never", take_run_again},
    {0, "try", "T",
     "how long that is, longer than the service takes; each further try waits twice as long, five "
     "at most",
     NULL, take_try},
    {0, "window", "N", "how many of its requests are out at a time; over it, no client is read",
     "1024", take_window},
    {0, "nats-login", "FILE", "for nats: user:password, an nkey's seed, or credentials", NULL,
     take_nats_login},
    {0, "nats-ca", "FILE",
     "for nats:tls://HOST: who may have signed the server's certificate, beside those that the "
     "system trusts",
     NULL, take_nats_ca},
    {0, "nats-cert", "FILE", "and our own certificate", NULL, take_nats_cert},
    {0, "nats-key", "FILE", "and its key, without a passphrase", "in the certificate's file",
     take_nats_key},
    {0, "nats-group", "WORD", "with --listen nats: the queue group", NATS_DEFAULT_GROUP,
     take_nats_group},
    {0, "nats-name", "WORD", "and what the service is called", "SUBJECT", take_nats_name},
    {0, "no-micro", NULL, "and it does not answer those who look for services", NULL,
     take_no_micro},
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

static bool check_nats(struct options *options, struct error *error)
{
    bool is_front = options->handler.kind == &handler_nats;
    const struct nats_uses uses = {
        .front = is_front ? options->handler.argument : NULL,
        .addresses = options->serving.addresses,
        .address_count = options->serving.nats.count,
    };
    options->handler.nats = &options->nats;
    return serving_check(&options->serving, &options->program, error) &&
           nats_options_check(&options->nats, &uses, error);
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
          check_tls(options, error) && check_nats(options, error)))
        return false;
    if (options->program.argv)
        options->handler = (struct handler_spec){
            .kind = &handler_program,
            .program = &options->program,
        };
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
    if (config->socket_count + config->listen_count + options->serving.nats.count > 0)
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

bool options_open_nats(struct options *options, struct error *error)
{
    return serving_open(&options->serving, &options->nats, &options->config, error);
}

void options_free(struct options *options)
{
    tls_options_close(&options->tls);
    operands_fini(&options->operands);
}

char *options_help(void)
{
    struct args_program program = banterd;
    char *trailer = options_trailer();
    program.trailer = trailer;
    char *help = trailer ? args_help(&program) : NULL;
    free(trailer);
    return help;
}
