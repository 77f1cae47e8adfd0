/* expiry: looks at the time of day each hour, since that may be set. */
#include "server/admin/expiry.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/date.h"
#include "server/admin/admin.h"
#include "server/log/log.h"
#include "server/log/record.h"
#include "server/net/tls.h"

enum {
    HOUR_S = 60 * 60,
    DAY_S = 24 * HOUR_S,
    MOST_S = 30 * DAY_S, /* how long before the end it is near, at most */
    SHARE = 10,          /* and which part of its time */
};

struct expiry {
    struct admin *admin;
    struct log *log;
    const struct tls_server *server;
    const char *file;
    struct admin_item item;
    enum expiry_state said;
    int64_t said_s, good_until_s; /* when, and of which certificate */
};

struct expiry_next expiry_next(int64_t good_from_s, int64_t good_until_s, int64_t now_s)
{
    int64_t share_s = (good_until_s - good_from_s) / SHARE;
    int64_t near_s = good_until_s - (share_s < MOST_S ? share_s : MOST_S);
    struct expiry_next next = {.in_s = HOUR_S};
    int64_t left_s = now_s < near_s ? near_s - now_s : good_until_s + 1 - now_s;
    next.state = now_s < near_s ? EXPIRY_FAR : now_s <= good_until_s ? EXPIRY_NEAR : EXPIRY_OVER;
    if (left_s > 0 && left_s < next.in_s)
        next.in_s = left_s;
    return next;
}

static void say(struct expiry *expiry, enum log_event event, enum expiry_state state, int64_t now_s)
{
    char date[DATE_SIZE];
    expiry->said = state;
    expiry->said_s = now_s;
    log_tell(expiry->log, event, 0, "%s%c%s", expiry->file, LOG_SEPARATOR,
             date_text(expiry->good_until_s, date));
}

void expiry_look(struct expiry *expiry)
{
    if (!expiry)
        return;
    int64_t until_s = atomic_load(&expiry->server->good_until_s);
    int64_t now_s = clock_ns(CLOCK_REALTIME) / 1000000000;
    struct expiry_next next =
        expiry_next(atomic_load(&expiry->server->good_from_s), until_s, now_s);
    if (until_s != expiry->good_until_s) {
        expiry->good_until_s = until_s;
        say(expiry, LOG_CERTIFICATE, EXPIRY_FAR, now_s);
    }
    bool is_due = next.state != expiry->said || now_s - expiry->said_s >= DAY_S;
    if (next.state == EXPIRY_NEAR && is_due)
        say(expiry, LOG_CERTIFICATE_NEAR, next.state, now_s);
    else if (next.state == EXPIRY_OVER && is_due)
        say(expiry, LOG_CERTIFICATE_OVER, next.state, now_s);
    admin_due_at(expiry->admin, &expiry->item,
                 admin_now_ms(expiry->admin) + next.in_s * INT64_C(1000));
}

static void look(struct admin_item *item)
{
    expiry_look((struct expiry *) ((char *) item - offsetof(struct expiry, item)));
}

static void begin(struct admin *admin, void *context)
{
    (void) admin;
    expiry_look(context);
}

static void end(struct admin *admin, void *context)
{
    struct expiry *expiry = context;
    (void) admin;
    admin_forget(&expiry->item);
}

struct expiry *expiry_open(struct admin *admin, struct log *log, const struct tls_server *server,
                           const char *file)
{
    struct expiry *expiry = calloc(1, sizeof *expiry);
    if (!expiry)
        return NULL;
    *expiry = (struct expiry){
        .admin = admin, .log = log, .server = server, .file = file, .item.due = look};
    if (admin_call(admin, begin, expiry))
        return expiry;
    int why = errno;
    free(expiry);
    errno = why;
    return NULL;
}

void expiry_close(struct expiry *expiry)
{
    if (!expiry)
        return;
    admin_call(expiry->admin, end, expiry);
    free(expiry);
}
