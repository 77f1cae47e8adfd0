/*
 * crew: the server's threads. Each one owns a loop, or is in a handler whose loop was taken from
 * it, or runs what was offloaded (server/engine/offload.h), or is a spare: it waits to be given something.
 *
 * A thread that has computed has given way to all others (server/engine/scheduling.h), for good: it is used
 * for that again, and for something else only where the bound leaves no other.
 *
 * Spares are made on demand up to a bound and end when they have not been needed for ten seconds.
 */
#ifndef BANTER_SERVER_ENGINE_CREW_H
#define BANTER_SERVER_ENGINE_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "server/engine/pace.h"

struct crew;
struct log;
struct loop;
struct offload;
struct offload_run;
struct request;
struct session;

/* What a thread works with while it owns a loop. When the loop is taken, its new owner reads the
 * fields that say so; the thread itself leaves them alone until crew_thread_let_go() was called. */
struct turn {
    struct buffer input; /* the thread's own: a read goes in here */
    /* `input`, or the session's own where much was left over. Read by the new owner */
    struct buffer *reading;
    struct buffer output;    /* replies that are complete. Read by the new owner */
    struct session *session; /* whose turn it is. Read by the new owner */
    /* for the next call, or in the call under way. Taken by the new owner */
    struct request *request;
    struct buffer large; /* a session's buffer, lent to the turn */
    unsigned begun_ms;   /* when the turn began, by watcher_ms() */
    /* the call under way when the loop was taken. Written by the watcher, read by the new owner */
    struct stint stall;
};

struct crew_thread;

/* A crew of at most `bound` threads. NULL when memory is out. */
struct crew *crew_new(unsigned bound, struct log *log);

/* Before any thread is given something: what its threads serve when they have lost a loop. */
void crew_set_offload(struct crew *crew, struct offload *offload);

enum crew_use {
    CREW_PROMPT,   /* a loop, or a call that sleeps */
    CREW_COMPUTES, /* a call that computes, or may */
};

/* Gives a loop to a spare, or to a new thread where there is none: it will call loop_run(loop,
 * itself, from); or an offloaded request: it will call offload_serve(). Two steps, so that the
 * caller can make sure of a thread before it takes the loop: crew_get(), then crew_give() or
 * crew_give_request() or crew_put_back(). crew_get() returns NULL when the bound is reached or a
 * thread would not start (which is logged). */
struct crew_thread *crew_get(struct crew *crew, enum crew_use use);
void crew_give(struct crew_thread *thread, struct loop *loop, struct crew_thread *from);
void crew_give_request(struct crew_thread *thread, struct request *request);
void crew_put_back(struct crew_thread *thread);

/* The most threads there may be. */
unsigned crew_bound(const struct crew *crew);

/* What the thread works with; only the thread itself, and as told at struct turn. */
struct turn *crew_turn(struct crew_thread *thread);

/* Its identity, and its part in the offload. */
pthread_t crew_thread_id(const struct crew_thread *thread);
struct offload_run *crew_thread_run(struct crew_thread *thread);

/* The new owner has taken what it needs from the turn: the thread may use it again. */
void crew_thread_let_go(struct crew_thread *thread);

/* Waits until the loops have drained and every thread has ended. Threads in handlers are waited
 * for until `deadline_ms` (CLOCK_MONOTONIC; INT64_MAX: for ever), loops for `grace_ms` more.
 * Returns how many threads are left behind, in handlers. */
unsigned crew_stop(struct crew *crew, int64_t deadline_ms, int64_t grace_ms);

/* Gives everything back. Only after crew_stop() returned 0. NULL is left alone. */
void crew_free(struct crew *crew);

#endif
