/*
 * load: a load generator. Opens connections, asks the same question over and over, judges each
 * reply, and tells requests a second, errors and how long replies took. What is measured is in
 * traffic.h; here are the options and the report.
 *
 * Exit: 0 every request was answered rightly, 1 some was not, 64 usage, 69 unable to start.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/args.h"
#include "common/protocol.h"
#include "tests/bench/traffic.h"

#define MAX_CONNECTIONS 1000000
#define MAX_DEPTH 100000
#define MAX_RATE 1000000

struct load {
    const char *address;
    const char *message;
    const char *expect;
    size_t payload_bytes; /* 0: not given */
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

static bool take_message(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct load *) context)->message = value;
    return true;
}

static bool take_payload(const char *value, void *context, struct error *error)
{
    return args_size(value, 1, PROTOCOL_MAX_REPLY / 2, &((struct load *) context)->payload_bytes,
                     error);
}

static bool take_expect(const char *value, void *context, struct error *error)
{
    (void) error;
    ((struct load *) context)->expect = value;
    return true;
}

static bool take_any_reply(const char *value, void *context, struct error *error)
{
    (void) value;
    (void) error;
    ((struct load *) context)->plan.any_reply = true;
    return true;
}

static bool take_framing(const char *value, void *context, struct error *error)
{
    enum frame_codec *codec = &((struct load *) context)->plan.codec;
    if (!frame_codec_from_name(value, codec) || *codec == FRAME_RAW) {
        return error_set(
            error, "'%s' is neither line nor netstring (raw has no boundaries to count)", value);
    }
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
    {'n', "connections", "N", "connections, all open from the start", "1", take_connections},
    {'d', "depth", "N", "requests that each connection sends ahead", "1", take_depth},
    {0, "duration", "T", "ask for so long", "2s, where --requests is not given", take_duration},
    {0, "requests", "N", "ask so many times in all", NULL, take_requests},
    {'r', "rate", "R",
     "requests a second on each connection, jittered;\n"
     "latency then counts from when a request was due",
     "as fast as replies come", take_rate},
    {'m', "message", "TEXT", "what to ask", "Zack", take_message},
    {0, "payload", "BYTES", "ask so many bytes 'x' instead", NULL, take_payload},
    {'e', "expect", "TEXT", "the right reply", "'Hello ' and the message in upper case",
     take_expect},
    {0, "any-reply", NULL, "every reply but an -ERR is right", NULL, take_any_reply},
    {'f', "framing", "CODEC", "line or netstring", "line", take_framing},
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

/* ---- the question and its answer ---- */

static bool fill(struct buffer *buffer, char byte, size_t size)
{
    if (!buffer_reserve(buffer, size)) {
        return false;
    }
    memset(buffer_tail(buffer), byte, size);
    buffer_added(buffer, size);
    return true;
}

/* What `hello` answers, as far as ASCII goes. */
static bool greet(const struct buffer *message, struct buffer *reply, struct error *error)
{
    static const char hello[] = "Hello ";
    if (!buffer_append(reply, hello, sizeof(hello) - 1) ||
        !buffer_append(reply, buffer_head(message), buffer_size(message))) {
        return error_set(error, "out of memory");
    }
    char *text = buffer_head(reply) + sizeof(hello) - 1;
    for (size_t i = 0; i < buffer_size(message); i++) {
        if ((unsigned char) text[i] >= 0x80) {
            return error_set(error,
                             "unable to tell the right reply to a message that is not ASCII: "
                             "give --expect or --any-reply");
        }
        text[i] = (char) toupper((unsigned char) text[i]);
    }
    return true;
}

static bool encode(const struct traffic_plan *plan, const char *what, const struct buffer *message,
                   struct buffer *wire, struct error *error)
{
    struct frame_edges edges;
    const enum frame_refusal refusal = frame_encode(
        plan->codec, buffer_head(message), buffer_size(message), PROTOCOL_MAX_REPLY, &edges);
    if (refusal != FRAME_FITS) {
        return error_set(error, "%s can't be sent as %s: %s", what, frame_codec_name(plan->codec),
                         frame_refusal_text(refusal));
    }
    return frame_append(wire, &edges, buffer_head(message), buffer_size(message)) ||
           error_set(error, "out of memory");
}

static bool prepare_question(const struct load *load, struct buffer *message, struct error *error)
{
    if (load->message != NULL && load->payload_bytes > 0) {
        return error_set(error, "--message and --payload both say what to ask: give one of them");
    }
    const char *text = load->message != NULL ? load->message : "Zack";
    const bool ok = load->payload_bytes > 0 ? fill(message, 'x', load->payload_bytes)
                                            : buffer_append(message, text, strlen(text));
    return ok || error_set(error, "out of memory");
}

static bool prepare_answer(const struct load *load, const struct buffer *message,
                           struct buffer *expected, struct error *error)
{
    if (load->expect != NULL && load->plan.any_reply) {
        return error_set(error, "--expect and --any-reply contradict each other: give one of them");
    }
    if (load->expect != NULL) {
        return buffer_append(expected, load->expect, strlen(load->expect)) ||
               error_set(error, "out of memory");
    }
    return load->plan.any_reply || greet(message, expected, error);
}

static bool prepare(struct load *load, struct error *error)
{
    struct traffic_plan *plan = &load->plan;
    struct buffer message = {0};
    const bool ok =
        prepare_question(load, &message, error) &&
        encode(plan, "the request", &message, &plan->request, error) &&
        prepare_answer(load, &message, &plan->expected, error) &&
        encode(plan, "the expected reply", &plan->expected, &plan->expected_wire, error);
    buffer_fini(&message);
    if (plan->duration_ns == 0 && plan->requests == 0) {
        plan->duration_ns = (uint64_t) 2 * 1000 * 1000 * 1000;
    }
    return ok;
}

/* ---- the report ---- */

static const struct {
    const char *name;
    unsigned parts;
} quantiles[] = {{"p50", 50000}, {"p90", 90000}, {"p99", 99000}, {"p99.9", 99900}};

#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

static double us(uint64_t ns) { return (double) ns / 1000; }

static double per_second(const struct traffic_result *result)
{
    return result->elapsed_ns == 0 ? 0
                                   : (double) result->answered * 1e9 / (double) result->elapsed_ns;
}

static uint64_t errors(const struct traffic_result *result)
{
    return result->wrong + result->refused + result->lost + result->unasked + result->closed;
}

static void report_json(const struct traffic_result *result)
{
    printf("{\"answered\": %lu, \"seconds\": %.6f, \"per_second\": %.1f, \"wrong\": %lu, "
           "\"refused\": %lu, \"lost\": %lu, \"unasked\": %lu, \"closed\": %lu, \"latency_us\": {",
           result->answered, (double) result->elapsed_ns / 1e9, per_second(result), result->wrong,
           result->refused, result->lost, result->unasked, result->closed);
    for (size_t i = 0; i < QUANTILES; i++) {
        printf("\"%s\": %.1f, ", quantiles[i].name,
               us(histogram_quantile(&result->latency, quantiles[i].parts)));
    }
    printf("\"max\": %.1f}}\n", us(result->latency.max));
}

static void report_text(const struct traffic_result *result)
{
    printf("%lu requests answered in %.3f s: %.0f a second\n", result->answered,
           (double) result->elapsed_ns / 1e9, per_second(result));
    printf("latency in us:");
    for (size_t i = 0; i < QUANTILES; i++) {
        printf(" %s %.1f", quantiles[i].name,
               us(histogram_quantile(&result->latency, quantiles[i].parts)));
    }
    printf(" max %.1f\n", us(result->latency.max));
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
    static struct traffic_result result; /* its histogram is too large for a stack */
    struct error error = {""};
    if (!prepare(load, &error)) {
        return fail(EX_USAGE, &error);
    }
    if (address_resolve(load->address, ADDRESS_TO_CONNECT, &load->addresses, &error) !=
        ADDRESS_OK) {
        return fail(EX_UNAVAILABLE, &error);
    }
    load->plan.addresses = &load->addresses;
    if (!traffic_run(&load->plan, &result, &error)) {
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
    address_list_fini(&load.addresses);
    buffer_fini(&load.plan.request);
    buffer_fini(&load.plan.expected);
    buffer_fini(&load.plan.expected_wire);
    return status;
}
