/*
 * load: a load generator. Opens connections, asks the same question over and over, judges each
 * reply, and tells requests a second, errors and how long replies took. What is measured is in
 * traffic.h; here are the options and the report.
 *
 * Exit: 0 every request was answered rightly, 1 some was not, 64 usage, 69 unable to start.
 */
#include <ctype.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/args.h"
#include "common/protocol.h"
#include "tests/bench/question.h"
#include "tests/bench/secure.h"
#include "tests/bench/traffic.h"

#define MAX_CONNECTIONS 1000000
#define MAX_DEPTH 100000
#define MAX_RATE 1000000

struct load {
    const char *address;
    struct question question;
    bool tls;
    bool json;
    bool help;
    struct address_list addresses;
    struct traffic_plan plan;
};

/* ---- options ---- */

static bool take_address(const char *value, void *context, struct error *error)
{
    ((struct load *) context)->address = value;
    return address_check(value, ADDRESS_TO_CONNECT, error);
}

static bool take_count(const char *value, long max, size_t *count, struct error *error)
{
    long number = 0;
    if (!args_number(value, 1, max, &number, error)) {
        return false;
    }
    *count = (size_t) number;
    return true;
}

static bool take_connections(const char *value, void *context, struct error *error)
{
    return take_count(value, MAX_CONNECTIONS, &((struct load *) context)->plan.connections, error);
}

static bool take_idle(const char *value, void *context, struct error *error)
{
    return take_count(value, MAX_CONNECTIONS, &((struct load *) context)->plan.idle, error);
}

static bool take_connect_each(const char *value, void *context, struct error *error)
{
    (void) value;
    (void) error;
    ((struct load *) context)->plan.connect_each = true;
    return true;
}

static bool take_depth(const char *value, void *context, struct error *error)
{
    return take_count(value, MAX_DEPTH, &((struct load *) context)->plan.depth, error);
}

static bool take_requests(const char *value, void *context, struct error *error)
{
    size_t requests = 0;
    const bool ok = take_count(value, __LONG_MAX__, &requests, error);
    ((struct load *) context)->plan.requests = requests;
    return ok;
}

static bool take_rate(const char *value, void *context, struct error *error)
{
    size_t rate = 0;
    const bool ok = take_count(value, MAX_RATE, &rate, error);
    ((struct load *) context)->plan.rate = (double) rate;
    return ok;
}

static bool take_duration(const char *value, void *context, struct error *error)
{
    int64_t ms = 0;
    if (!args_duration(value, &ms, error)) {
        return false;
    }
    if (ms == 0) {
        return error_set(error, "'%s' is no time at all; give it 1s, or a number of --requests",
                         value);
    }
    ((struct load *) context)->plan.duration_ns = (uint64_t) ms * 1000 * 1000;
    return true;
}

static bool take_warm_up(const char *value, void *context, struct error *error)
{
    int64_t ms = 0;
    if (!args_duration(value, &ms, error)) {
        return false;
    }
    ((struct load *) context)->plan.warm_up_ns = (uint64_t) ms * 1000 * 1000;
    return true;
}

static bool take_message(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct load *) context)->question.message = value;
    return true;
}

static bool take_payload(const char *value, void *context, struct error *error)
{
    return args_size(value, 1, PROTOCOL_MAX_REPLY / 2,
                     &((struct load *) context)->question.payload_bytes, error);
}

static bool take_expect(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct load *) context)->question.expect = value;
    return true;
}

static bool take_echo(const char *value, void *context, struct error *error)
{
    (void) value;
    (void) error;
    ((struct load *) context)->question.echo = true;
    return true;
}

static bool take_any_reply(const char *value, void *context, struct error *error)
{
    (void) value;
    (void) error;
    ((struct load *) context)->question.any_reply = true;
    return true;
}

static bool take_stamped(const char *value, void *context, struct error *error)
{
    (void) value;
    (void) error;
    ((struct load *) context)->question.stamped = true;
    return true;
}

static bool take_send(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct load *) context)->question.send = value;
    return true;
}

static bool take_receive(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct load *) context)->question.receive = value;
    return true;
}

static bool take_framing(const char *value, void *context, struct error *error)
{
    enum frame_codec *codec = &((struct load *) context)->plan.codec;
    if (!frame_codec_from_name(value, codec) ||
        (*codec != FRAME_LINE && *codec != FRAME_NETSTRING)) {
        return error_set(error, "'%s' is neither line nor netstring", value);
    }
    return true;
}

/* So that whoever started this can look at the server, and begin several loads at one time. */
static void wait_for_word(const char *told)
{
    puts(told);
    fflush(stdout);
    int byte;
    do {
        byte = getchar();
    } while (byte != '\n' && byte != EOF);
}

static void wait_connected(void) { wait_for_word("connected"); }
static void wait_answered(void) { wait_for_word("answered"); }

static bool take_wait(const char *value, void *context, struct error *error)
{
    (void) value;
    (void) error;
    ((struct load *) context)->plan.connected = wait_connected;
    return true;
}

static bool take_hold(const char *value, void *context, struct error *error)
{
    (void) value;
    (void) error;
    ((struct load *) context)->plan.answered = wait_answered;
    return true;
}

static bool take_tls(const char *value, void *context, struct error *error)
{
    (void) value;
    (void) error;
    ((struct load *) context)->tls = true;
    return true;
}

static bool take_json(const char *value, void *context, struct error *error)
{
    (void) value;
    (void) error;
    ((struct load *) context)->json = true;
    return true;
}

static bool take_help(const char *value, void *context, struct error *error)
{
    (void) value;
    (void) error;
    ((struct load *) context)->help = true;
    return true;
}

static const struct args_option options[] = {
    {'c', "connect", "ADDRESS", "the server: PORT, HOST:PORT, unix:PATH", PROTOCOL_DEFAULT_ADDRESS,
     take_address},
    {0, "tls", NULL, "speak TLS 1.3; the certificate is not judged", NULL, take_tls},
    {'n', "connections", "N", "connections, all open from the start", "1", take_connections},
    {0, "idle", "N", "more connections, on which nothing is asked", "0", take_idle},
    {0, "connect-each", NULL,
     "connect, ask, close: a connection for each request,\n"
     "so many at a time as --connections",
     NULL, take_connect_each},
    {'d', "depth", "N", "requests that each connection sends ahead", "1", take_depth},
    {0, "duration", "T", "ask for so long", "2s, where --requests is not given", take_duration},
    {0, "warm-up", "T", "and so long before, which is not in the figures", "0", take_warm_up},
    {0, "requests", "N", "ask so many times in all", NULL, take_requests},
    {'r', "rate", "R",
     "requests a second on each connection, jittered;\n"
     "latency then counts from when a request was due",
     "as fast as replies come", take_rate},
    {'m', "message", "TEXT", "what to ask", "Zack", take_message},
    {0, "payload", "BYTES", "ask so many bytes 'x' instead", NULL, take_payload},
    {'e', "expect", "TEXT", "the right reply", "'Hello ' and the message in upper case",
     take_expect},
    {0, "echo", NULL, "the right reply is the message itself", NULL, take_echo},
    {0, "any-reply", NULL, "every reply but an -ERR is right", NULL, take_any_reply},
    {0, "stamped", NULL,
     "right is the server's CLOCK_MONOTONIC in ns, when its\n"
     "handler began: splits the latency in two",
     NULL, take_stamped},
    {0, "send", "BYTES",
     "for another protocol: send these bytes as they are,\n"
     "with \\r \\n \\t \\\\ \\xHH in them ...",
     NULL, take_send},
    {0, "receive", "BYTES", "... and these are the right reply to them", NULL, take_receive},
    {'f', "framing", "CODEC", "line or netstring", "line", take_framing},
    {0, "wait", NULL,
     "when all are connected, say so on standard output and\n"
     "ask nothing before a line has come on standard input",
     NULL, take_wait},
    {0, "hold", NULL,
     "when all is answered, say so too, and keep the\n"
     "connections until another line has come",
     NULL, take_hold},
    {0, "json", NULL, "report in one line of JSON", NULL, take_json},
    {'h', "help", NULL, "this text", NULL, take_help},
};

static const struct args_program program = {
    .name = "load",
    .synopsis = "[OPTION]...",
    .about = "Asks a server the same question over many connections and tells how fast the\n"
             "right reply came.",
    .trailer = "Exit: 0 every request was answered rightly, 1 some was not, 64 usage, 69 unable\n"
               "to start.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
};

/* The plan from the options, as far as they are more than one. */
static bool prepare(struct load *load, struct error *error)
{
    struct traffic_plan *plan = &load->plan;
    if (plan->connect_each && (plan->rate > 0 || plan->depth > 1)) {
        return error_set(error, "--connect-each has one request on each connection, as fast as "
                                "replies come: leave out --rate and --depth");
    }
    if (plan->duration_ns == 0 && plan->requests == 0) {
        plan->duration_ns = (uint64_t) 2 * 1000 * 1000 * 1000;
    }
    return question_prepare(&load->question, plan, error);
}

/* ---- the report ---- */

static const struct {
    const char *name;
    unsigned parts;
} quantiles[] = {{"p50", 50000}, {"p90", 90000}, {"p99", 99000}, {"p99.9", 99900}};

#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

static double us(uint64_t ns) { return (double) ns / 1000; }
static double seconds(uint64_t ns) { return (double) ns / 1e9; }

static double per_second(const struct traffic_result *result)
{
    return result->elapsed_ns == 0 ? 0 : (double) result->measured / seconds(result->elapsed_ns);
}

static uint64_t errors(const struct traffic_result *result)
{
    return result->wrong + result->refused + result->lost + result->unasked + result->closed;
}

static void histogram_json(const char *name, const struct histogram *histogram)
{
    printf(", \"%s\": {\"count\": %lu", name, histogram->count);
    for (size_t i = 0; i < QUANTILES; i++) {
        printf(", \"%s\": %.1f", quantiles[i].name,
               us(histogram_quantile(histogram, quantiles[i].parts)));
    }
    printf(", \"max\": %.1f}", us(histogram->max));
}

static void report_json(const struct traffic_result *result)
{
    printf("{\"answered\": %lu, \"connecting_seconds\": %.6f, \"seconds\": %.6f, "
           "\"per_second\": %.1f, \"wrong\": %lu, \"refused\": %lu, \"lost\": %lu, "
           "\"unasked\": %lu, \"closed\": %lu",
           result->answered, seconds(result->connecting_ns), seconds(result->elapsed_ns),
           per_second(result), result->wrong, result->refused, result->lost, result->unasked,
           result->closed);
    histogram_json("latency_us", &result->latency);
    if (result->server.count > 0) {
        histogram_json("server_us", &result->server);
        histogram_json("client_us", &result->client);
    }
    puts("}");
}

static void histogram_text(const char *name, const struct histogram *histogram)
{
    printf("%s in us:", name);
    for (size_t i = 0; i < QUANTILES; i++) {
        printf(" %s %.1f", quantiles[i].name,
               us(histogram_quantile(histogram, quantiles[i].parts)));
    }
    printf(" max %.1f\n", us(histogram->max));
}

static void report_text(const struct traffic_result *result)
{
    printf("%lu requests answered in %.3f s: %.0f a second\n", result->measured,
           seconds(result->elapsed_ns), per_second(result));
    histogram_text("latency", &result->latency);
    if (result->server.count > 0) {
        histogram_text("of it until the handler began", &result->server);
        histogram_text("of it from there to here", &result->client);
    }
    printf("errors: %lu (%lu wrong, %lu refused, %lu lost, %lu unasked, %lu connections closed)\n",
           errors(result), result->wrong, result->refused, result->lost, result->unasked,
           result->closed);
}

/* Tells the first reply that was not right, without what could upset a terminal. */
static void report_sample(const struct traffic_result *result)
{
    char text[sizeof(result->sample)] = "";
    for (size_t i = 0; result->sample[i] != '\0'; i++) {
        text[i] = isprint((unsigned char) result->sample[i]) ? result->sample[i] : '?';
    }
    if (text[0] != '\0') {
        fprintf(stderr, "load: the first reply that was not right: %s\n", text);
    }
}

static int fail(int status, const struct error *error)
{
    fprintf(stderr, "load: %s\n", error->text);
    return status;
}

static int run(struct load *load)
{
    static struct traffic_result result; /* its histograms are too large for a stack */
    struct error error = {""};
    if (!prepare(load, &error)) {
        return fail(EX_USAGE, &error);
    }
    if (address_resolve(load->address, ADDRESS_TO_CONNECT, &load->addresses, &error) !=
        ADDRESS_OK) {
        return fail(EX_UNAVAILABLE, &error);
    }
    load->plan.addresses = &load->addresses;
    load->plan.tls = load->tls ? secure_open(&error) : NULL;
    if ((load->tls && load->plan.tls == NULL) || !traffic_run(&load->plan, &result, &error)) {
        return fail(EX_UNAVAILABLE, &error);
    }
    (load->json ? report_json : report_text)(&result);
    report_sample(&result);
    return errors(&result) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int help(void)
{
    char *text = args_help(&program);
    if (text == NULL || fputs(text, stdout) == EOF) {
        return EX_OSERR;
    }
    free(text);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct load load = {
        .address = PROTOCOL_DEFAULT_ADDRESS,
        .plan = {.connections = 1, .depth = 1, .codec = FRAME_LINE},
    };
    struct error error = {""};
    const int operand = args_parse(&program, argc, argv, &load, NULL, &error);
    if (operand < 0) {
        return fail(EX_USAGE, &error);
    }
    if (load.help) {
        return help();
    }
    if (operand < argc) {
        error_set(&error, "'%s' is no option, and there are no operands; see load --help",
                  argv[operand]);
        return fail(EX_USAGE, &error);
    }
    const int status = run(&load);
    SSL_CTX_free(load.plan.tls);
    address_list_fini(&load.addresses);
    question_fini(&load.plan);
    return status;
}
