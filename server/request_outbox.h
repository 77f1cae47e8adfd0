/*
 * request_outbox: answers on their way to their loops. A thread that answers several requests in a
 * row may keep them back (request_answers_begin() in server/request.h), so that each loop is woken
 * once.
 *
 * From any thread; each has an outbox of its own.
 */
#ifndef BANTER_SERVER_REQUEST_OUTBOX_H
#define BANTER_SERVER_REQUEST_OUTBOX_H

struct inbox_node;
struct loop;

/* Posts an answer to its loop: now, or at request_answers_end(). */
void request_outbox_post(struct loop *loop, struct inbox_node *node);

#endif
