/*
 * tester: a plugin whose messages say what it shall do. Its argument is a file, to which it adds a
 * line for each of open, close and whatever a test wants to wait for. Nothing that is no command is
 * given back.
 */
#include <banter/handler.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tester {
    char *diary;          /* NULL: none is kept */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    int inside; /* calls that are at "meet" */
    bool released;
};

static void note(struct tester *tester, const char *what)
{
    FILE *file = tester->diary ? fopen(tester->diary, "a") : NULL;
    if (!file)
        return;
    fprintf(file, "%s\n", what);
    fclose(file);
}

/* Comes back when `count` calls are in here at the same time. */
static void meet(struct tester *tester, int count, struct banter_reply *reply)
{
    pthread_mutex_lock(&tester->lock);
    tester->inside++;
    pthread_cond_broadcast(&tester->changed);
    while (tester->inside < count)
        pthread_cond_wait(&tester->changed, &tester->lock);
    pthread_mutex_unlock(&tester->lock);
    banter_reply_printf(reply, "%d have met", count);
}

static bool is_released(struct tester *tester)
{
    pthread_mutex_lock(&tester->lock);
    bool released = tester->released;
    pthread_mutex_unlock(&tester->lock);
    return released;
}

/* Computes until another call says "release". */
static void compute(struct tester *tester, struct banter_reply *reply)
{
    unsigned rounds = 0;
    while (!is_released(tester))
        for (volatile int i = 0; i < 100000; i++)
            rounds++;
    banter_reply_printf(reply, "%s", rounds ? "computed" : "released before");
}

static void release(struct tester *tester, struct banter_reply *reply)
{
    pthread_mutex_lock(&tester->lock);
    tester->released = true;
    pthread_mutex_unlock(&tester->lock);
    banter_reply_append(reply, "released", 8);
}

/* Comes back when nobody waits any more. */
static void until_unwanted(struct tester *tester, struct banter_reply *reply)
{
    note(tester, banter_reply_wanted(reply) ? "wanted" : "never wanted");
    while (banter_reply_wanted(reply))
        usleep(1000);
    note(tester, "unwanted");
    banter_reply_append(reply, "too late", 8);
}

static void who(struct banter_reply *reply)
{
    banter_reply_printf(reply, "%s,%s,%llu", banter_reply_address(reply),
                        banter_reply_identity(reply),
                        (unsigned long long) banter_reply_session(reply));
}

/* When another call has said "release". */
static void who_later(struct tester *tester, struct banter_reply *reply)
{
    while (!is_released(tester))
        usleep(1000);
    who(reply);
}

/* When nobody waits any more, and "release" was said, too. */
static void who_has_left(struct tester *tester, struct banter_reply *reply)
{
    char text[200];
    until_unwanted(tester, reply);
    while (!is_released(tester))
        usleep(1000);
    snprintf(text, sizeof text, "%s,%s,%llu", banter_reply_address(reply),
             banter_reply_identity(reply), (unsigned long long) banter_reply_session(reply));
    note(tester, text);
}

/* `size` bytes in pieces of at most 1000, by all three ways in turn. */
static void in_pieces(size_t size, struct banter_reply *reply)
{
    char piece[1001];
    for (size_t done = 0, way = 0; done < size; way++) {
        size_t part = size - done < 1000 ? size - done : 1000;
        memset(piece, 'a' + (int) (way % 26), part);
        piece[part] = '\0';
        char *room = way % 3 == 0 ? banter_reply_room(reply, 2 * part) : NULL;
        if (room) {
            memcpy(room, piece, part);
            banter_reply_added(reply, part);
        } else if (way % 3 == 1) {
            banter_reply_append(reply, piece, part);
        } else {
            banter_reply_printf(reply, "%s", piece);
        }
        done += part;
    }
}

/* A reply without an end; afterwards nothing more can be done with it. */
static void too_much(struct tester *tester, struct banter_reply *reply)
{
    static const char piece[1 << 20];
    int pieces = 0;
    while (banter_reply_append(reply, piece, sizeof piece))
        pieces++;
    bool more = banter_reply_append(reply, "", 0) || banter_reply_printf(reply, "x") ||
                banter_reply_room(reply, 1);
    banter_reply_added(reply, 1);
    banter_reply_refuse(reply, "after", "the end");
    char text[100];
    snprintf(text, sizeof text, "%d pieces, then %s", pieces, more ? "more" : "none");
    note(tester, text);
}

static void refuse(struct tester *tester, const char *code, struct banter_reply *reply)
{
    banter_reply_append(reply, "this is dropped", 15);
    banter_reply_refuse(reply, code, "for %d reasons", 3);
    bool more = banter_reply_append(reply, "x", 1) || banter_reply_printf(reply, "x") ||
                banter_reply_room(reply, 1);
    banter_reply_added(reply, 1);
    banter_reply_refuse(reply, "second", "is dropped too");
    note(tester, more || banter_reply_wanted(reply) ? "more" : "refused");
}

static void handle(void *state, const char *message, size_t size, struct banter_reply *reply)
{
    struct tester *tester = state;
    char word[64] = "", rest[2000] = "";
    char text[2100];
    snprintf(text, sizeof text, "%.*s", (int) size, message);
    sscanf(text, "%63s %1999[^\n]", word, rest);
    if (strcmp(word, "meet") == 0)
        meet(tester, (int) strtol(rest, NULL, 10), reply);
    else if (strcmp(word, "compute") == 0)
        compute(tester, reply);
    else if (strcmp(word, "release") == 0)
        release(tester, reply);
    else if (strcmp(word, "until-unwanted") == 0)
        until_unwanted(tester, reply);
    else if (strcmp(word, "who") == 0)
        who(reply);
    else if (strcmp(word, "who-later") == 0)
        who_later(tester, reply);
    else if (strcmp(word, "who-has-left") == 0)
        who_has_left(tester, reply);
    else if (strcmp(word, "pause") == 0)
        pause();
    else if (strcmp(word, "pieces") == 0)
        in_pieces(strtoul(rest, NULL, 10), reply);
    else if (strcmp(word, "too-much") == 0)
        too_much(tester, reply);
    else if (strcmp(word, "refuse") == 0)
        refuse(tester, rest, reply);
    else if (strcmp(word, "refuse-long") == 0)
        banter_reply_refuse(reply, "long", "%02000d", 0);
    else if (strcmp(word, "overrun") == 0)
        banter_reply_added(reply, banter_reply_room(reply, 4) ? 5 : 0);
    else if (strcmp(word, "room-twice") == 0)
        banter_reply_added(reply, memcpy(banter_reply_room(reply, 4), "lost", 4) &&
                                          memcpy(banter_reply_room(reply, 4), "kept", 4)
                                      ? 4
                                      : 0);
    else if (strcmp(word, "bytes") == 0)
        banter_reply_append(reply, "a\0\xff\r\nb", 6);
    else if (strcmp(word, "lf") == 0)
        banter_reply_append(reply, "a\nb", 3);
    else if (strcmp(word, "cr") == 0)
        banter_reply_append(reply, "a\r", 2);
    else if (strcmp(word, "busy") == 0)
        banter_reply_printf(reply, "-ERR busy like the server");
    else if (strcmp(word, "nothing") != 0)
        banter_reply_append(reply, message, size);
}

static int open_tester(const char *argument, void **state, char *error, size_t error_size)
{
    struct tester *tester = *state ? NULL : calloc(1, sizeof *tester); /* it is NULL at first */
    if (!tester) {
        snprintf(error, error_size, "out of memory");
        return 1;
    }
    tester->diary = argument ? strdup(argument) : NULL;
    pthread_mutex_init(&tester->lock, NULL);
    pthread_cond_init(&tester->changed, NULL);
    note(tester, "open");
    *state = tester;
    return 0;
}

static void close_tester(void *state)
{
    struct tester *tester = state;
    note(tester, "close");
    pthread_cond_destroy(&tester->changed);
    pthread_mutex_destroy(&tester->lock);
    free(tester->diary);
    free(tester);
}

const struct banter_handler banter_handler = {
    .abi = BANTER_HANDLER_ABI,
    .name = "tester",
    .open = open_tester,
    .handle = handle,
    .close = close_tester,
};
