/*
 * test: a handler that does as its requests say, good or bad. Only the server under test has it.
 *
 *     compute MS [TEXT]   uses MS ms of its thread's CPU time, then answers TEXT, or all if none
 *     work N [TEXT]       computes N iterations, however long that takes, then answers; see work.h
 *     now                 answers CLOCK_MONOTONIC in ns, at which the handler began
 *     sleep MS [TEXT]     sleeps in the handler, then answers
 *     stand-still [TEXT] stops the process with SIGSTOP, in the handler, then answers
 *     meet N [TEXT]       waits until N calls of it are under way at the same time, then answers
 *     crowd MS            computes, and answers how many calls of it it has seen under way, itself
 *                         included
 *     later MS [TEXT]     returns at once; another thread answers after MS ms
 *     twice [TEXT]        answers twice
 *     race [TEXT]         is answered by this thread and by another one, whichever is first
 *     forget              returns without an answer
 *     hold                is kept, and not answered while the server lives
 *     slow-hold MS        sleeps in the handler, then the same
 *     let-go              is kept, and then released without an answer, by another thread
 *     reply TEXT          answers TEXT with \n, \r, \\ and \0 in it unescaped
 *     loop                answers in which loop it is handled, as an index
 *     priority [MS]       computes, if it has to, and answers nice(1)'s value of its thread
 *     loops N [TEXT]      puts the first N loops into use, then answers
 *     error CODE TEXT     refuses with that code and text
 *     size N              answers N bytes 'x'
 *     anything else       is given back as it is
 */
#ifndef BANTER_TESTS_HANDLERS_TEST_H
#define BANTER_TESTS_HANDLERS_TEST_H

#include "server/handler.h"

extern const struct handler_kind handler_test;

#endif
