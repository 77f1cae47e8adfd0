/*
 * link: the terminal's way to the server: a conversation, an attempt to open one, with --wait the
 * pause before an attempt, or nothing; and the requests that are still owed a reply.
 *
 * A request is sent once: one that was sent and not answered when the conversation ends is named.
 * Only if it was certainly not run, or with --again lost, it comes back to the prompt, or is sent
 * again with --wait. Says above the prompt what becomes of the connection. Embedded by value.
 */
#ifndef BANTER_CLIENT_TERMINAL_LINK_H
#define BANTER_CLIENT_TERMINAL_LINK_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/connect.h"
#include "client/conversation.h"
#include "client/exit_status.h"
#include "client/options.h"
#include "client/owed.h"
#include "client/terminal/paste.h"

struct link {
    const struct options *options;
    /* At most one of the two. */
    struct conversation *conversation; /* owned, or NULL */
    struct connect_attempt *attempt;   /* owned, or NULL */
    struct connect_retries retries;    /* of the present, or the last, conversation */
    bool is_retrying;                  /* for --wait, and it was not answered yet */
    struct owed_queue owed;            /* by the conversation */
    int64_t quiet_since_ms;            /* when the user last asked, or got, something */
    bool is_later;                  /* the first conversation is over, and another one was wanted,
                                       or with --wait the wait for it was given up */
    enum exit_status no_connection; /* why the last attempt to connect failed, or ANSWERED */
};

/* Takes over the first conversation, which `retries` are of. The options must outlive the link. */
void link_init(struct link *link, struct conversation *conversation,
               const struct connect_retries *retries, const struct options *options);
void link_fini(struct link *link);

/* Whether the user waits for something: for the conversation to open, or for the reply to what was
 * asked last, unless that was given up. */
bool link_is_awaited(const struct link *link);

/* The user asks for something: the time of the wait that is shown counts from now. */
void link_start_wait(struct link *link);

/* The user waits no longer: an attempt is abandoned, replies that are owed will come late. */
void link_give_up(struct link *link);

/* Starts an attempt to open a conversation; there must be none. Reports a failure: false. */
bool link_connect(struct link *link);

/* Whether a conversation is being opened: there is an attempt, or a pause before one. */
bool link_is_opening(const struct link *link);

/* In how many milliseconds link_step() must be called; -1: not before an attempt is over. */
int link_wait_ms(const struct link *link);

/* Takes a step to a conversation that is being opened, as `revents` of the attempt and the clock
 * allow. Says how it went; false if it is no longer being opened, since that failed. */
bool link_step(struct link *link, short revents);

/* The owed request whose reply has come. */
struct owed link_take_owed(struct link *link);

/* The conversation has ended (conversation.h), and is closed. Says so, unless that is what the user
 * asked for, quietly. Requests that may be sent again are put back into the paste. With --wait
 * another one is then being opened if the server was busy. Returns what it means for the exit
 * status: EXIT_STATUS_UNREACHABLE or EXIT_STATUS_TRUST if the server has refused the first one,
 * which ends the program. */
enum exit_status link_take_end(struct link *link, bool is_leaving, struct paste *paste);

/* Shows how long the user has waited, if it is worth a word and no prompt is shown. Returns in how
 * many milliseconds that changes; -1: not before something happens. */
int link_show_wait(const struct link *link, bool is_leaving);

/* What to poll for; see conversation_poll(). */
void link_poll(struct link *link, bool want_reply, struct pollfd *socket, struct pollfd *attempt);

#endif
