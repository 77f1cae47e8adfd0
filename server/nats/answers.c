/* nats/answers: send or keep. */
#include "server/nats/answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/protocol.h"
#include "server/nats/link.h"
#include "server/nats/words.h"

enum {
    KEPT_COUNT = 4096,
    KEPT_BYTES = 16 << 20,
    ERROR_TEXT_SIZE = 256, /* of a header */
};

struct answer {
    STAILQ_ENTRY(answer) entry;
    int64_t kept_ms; /* since when */
    struct errands_reply reply;
    char subject[]; /* with its NUL; then the text */
};

/* ---- errors ---- */

/* What stands behind "-ERR ", as a header: one line of ASCII. Returns the length of its code. */
static size_t make_error_text(const struct errands_reply *reply, char *text)
{
    static const char prefix[] = PROTOCOL_ERROR " ";
    size_t skipped = sizeof prefix - 1, size = 0;
    for (size_t i = skipped; i < reply->size && size < ERROR_TEXT_SIZE - 1; i++) {
        unsigned char c = (unsigned char) reply->text[i];
        if (c == '\n' || c == '\r')
            break;
        text[size++] = c >= ' ' && c < 0x7f ? (char) c : '?';
    }
    text[size] = '\0';
    return strcspn(text, " ");
}

/* ---- sending ---- */

static enum link_result publish(const struct answers *answers, const char *subject,
                                const struct errands_reply *reply)
{
    char text[ERROR_TEXT_SIZE];
    if (!reply->is_error)
        return link_publish(answers->link, subject, NULL, reply->text, reply->size);
    size_t code_size = make_error_text(reply, text);
    return link_publish_error(answers->link, subject, words_status(text, code_size), text,
                              reply->text, reply->size);
}

static enum link_result publish_too_long(const struct answers *answers, const char *subject)
{
    char text[100];
    int size = snprintf(text, sizeof text,
                        PROTOCOL_ERROR " " PROTOCOL_TOO_LONG " the NATS server takes %zu bytes",
                        link_max_payload(answers->link));
    const struct errands_reply reply = {text, (size_t) size, true};
    return publish(answers, subject, &reply);
}

/* Returns whether it is not to be tried again. */
static bool try(const struct answers *answers, const char *subject,
                const struct errands_reply *reply)
{
    enum link_result result = publish(answers, subject, reply);
    if (result == LINK_TOO_LONG)
        result = publish_too_long(answers, subject);
    return result == LINK_SENT || result == LINK_TOO_LONG;
}

/* ---- keeping ---- */

static void keep(struct answers *answers, const char *subject, const struct errands_reply *reply)
{
    size_t subject_size = strlen(subject) + 1;
    bool has_room = answers->count < KEPT_COUNT && answers->bytes + reply->size <= KEPT_BYTES;
    struct answer *answer = has_room ? malloc(sizeof *answer + subject_size + reply->size) : NULL;
    if (!answer) {
        counter_add(&answers->lost, 1);
        return;
    }
    memcpy(answer->subject, subject, subject_size);
    if (reply->size > 0)
        memcpy(answer->subject + subject_size, reply->text, reply->size);
    answer->reply =
        (struct errands_reply){answer->subject + subject_size, reply->size, reply->is_error};
    answer->kept_ms = link_now_ms(answers->link);
    STAILQ_INSERT_TAIL(&answers->kept, answer, entry);
    answers->count++;
    answers->bytes += reply->size;
}

static void drop_first(struct answers *answers)
{
    struct answer *answer = STAILQ_FIRST(&answers->kept);
    STAILQ_REMOVE_HEAD(&answers->kept, entry);
    answers->count--;
    answers->bytes -= answer->reply.size;
    free(answer);
}

void answers_send(struct answers *answers, const char *subject, const struct errands_reply *reply)
{
    if (answers->count > 0 || !try(answers, subject, reply))
        keep(answers, subject, reply);
}

void answers_go_on(struct answers *answers)
{
    const struct answer *answer;
    int64_t now_ms = link_now_ms(answers->link);
    while ((answer = STAILQ_FIRST(&answers->kept))) {
        bool is_over = answers->timeout_ms && now_ms - answer->kept_ms > answers->timeout_ms;
        if (is_over)
            counter_add(&answers->lost, 1);
        else if (!try(answers, answer->subject, &answer->reply))
            return;
        drop_first(answers);
    }
}

/* ---- life ---- */

void answers_init(struct answers *answers, struct link *link, int64_t timeout_ms)
{
    *answers = (struct answers){.link = link, .timeout_ms = timeout_ms};
    STAILQ_INIT(&answers->kept);
}

void answers_fini(struct answers *answers)
{
    counter_add(&answers->lost, answers->count);
    while (answers->count > 0)
        drop_first(answers);
}
