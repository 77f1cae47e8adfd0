/*
 * question: messages into frames, and literal bytes out of their escapes.
 */
#include "tests/bench/question.h"

#include <ctype.h>
#include <string.h>

#include "common/protocol.h"

static bool out_of_memory(struct error *error) { return error_set(error, "out of memory"); }

/* ---- framed ---- */

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
        return out_of_memory(error);
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
           out_of_memory(error);
}

static bool prepare_message(const struct question *question, struct buffer *message,
                            struct error *error)
{
    if (question->message != NULL && question->payload_bytes > 0) {
        return error_set(error, "--message and --payload both say what to ask: give one of them");
    }
    const char *text = question->message != NULL ? question->message : "Zack";
    const bool ok = question->payload_bytes > 0 ? fill(message, 'x', question->payload_bytes)
                                                : buffer_append(message, text, strlen(text));
    return ok || out_of_memory(error);
}

static bool prepare_answer(const struct question *question, const struct buffer *message,
                           struct traffic_plan *plan, struct error *error)
{
    if ((question->expect != NULL) + question->echo + question->any_reply + question->stamped > 1) {
        return error_set(error, "--expect, --echo, --any-reply and --stamped contradict each "
                                "other: give one of them");
    }
    plan->right = question->any_reply ? TRAFFIC_ANY
                  : question->stamped ? TRAFFIC_STAMP
                                      : TRAFFIC_EXPECTED;
    if (question->expect != NULL) {
        return buffer_append(&plan->expected, question->expect, strlen(question->expect)) ||
               out_of_memory(error);
    }
    if (question->echo) {
        return buffer_append(&plan->expected, buffer_head(message), buffer_size(message)) ||
               out_of_memory(error);
    }
    return plan->right != TRAFFIC_EXPECTED || greet(message, &plan->expected, error);
}

static bool prepare_framed(const struct question *question, struct traffic_plan *plan,
                           struct error *error)
{
    struct buffer message = {0};
    const bool ok =
        prepare_message(question, &message, error) &&
        encode(plan, "the request", &message, &plan->request, error) &&
        prepare_answer(question, &message, plan, error) &&
        encode(plan, "the expected reply", &plan->expected, &plan->expected_wire, error);
    buffer_fini(&message);
    return ok;
}

/* ---- literal ---- */

/* -1: it is no hexadecimal digit. */
static int digit(char letter)
{
    static const char digits[] = "0123456789abcdef";
    const char *place = letter == '\0' ? NULL : strchr(digits, tolower((unsigned char) letter));
    return place == NULL ? -1 : (int) (place - digits);
}

/* The byte that an escape stands for, and how many characters it has; 0: it is none. */
static size_t unescape(const char *text, char *byte)
{
    static const char letters[] = "rnt\\";
    static const char bytes[] = "\r\n\t\\";
    const char *place = text[1] == '\0' ? NULL : strchr(letters, text[1]);
    if (place != NULL) {
        *byte = bytes[place - letters];
        return 2;
    }
    if (text[1] != 'x' || digit(text[2]) < 0 || digit(text[3]) < 0) {
        return 0;
    }
    *byte = (char) (digit(text[2]) * 16 + digit(text[3]));
    return 4;
}

static bool append_literal(const char *option, const char *text, struct buffer *wire,
                           struct error *error)
{
    while (*text != '\0') {
        char byte = *text;
        const size_t size = byte == '\\' ? unescape(text, &byte) : 1;
        if (size == 0) {
            return error_set(error, "%s: '%.4s' is no escape; there are \\r \\n \\t \\\\ \\xHH",
                             option, text);
        }
        if (!buffer_append(wire, &byte, 1)) {
            return out_of_memory(error);
        }
        text += size;
    }
    return buffer_size(wire) > 0 || error_set(error, "%s is empty", option);
}

static bool prepare_literal(const struct question *question, struct traffic_plan *plan,
                            struct error *error)
{
    if (question->send == NULL || question->receive == NULL) {
        return error_set(error, "--send and --receive belong together: give both");
    }
    if (question->message != NULL || question->payload_bytes > 0 || question->expect != NULL ||
        question->echo || question->any_reply || question->stamped || plan->codec != FRAME_LINE) {
        return error_set(error, "--send and --receive say all about request and reply: leave out "
                                "--message, --payload, --expect, --echo, --any-reply, --stamped "
                                "and --framing");
    }
    plan->literal = true;
    plan->right = TRAFFIC_EXPECTED;
    return append_literal("--send", question->send, &plan->request, error) &&
           append_literal("--receive", question->receive, &plan->expected_wire, error);
}

bool question_prepare(const struct question *question, struct traffic_plan *plan,
                      struct error *error)
{
    const bool is_literal = question->send != NULL || question->receive != NULL;
    return is_literal ? prepare_literal(question, plan, error)
                      : prepare_framed(question, plan, error);
}

void question_fini(struct traffic_plan *plan)
{
    buffer_fini(&plan->request);
    buffer_fini(&plan->expected);
    buffer_fini(&plan->expected_wire);
}
