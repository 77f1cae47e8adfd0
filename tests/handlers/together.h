/*
 * together: which calls of the handler are under way at the same time. From any thread.
 */
#ifndef BANTER_TESTS_HANDLERS_TOGETHER_H
#define BANTER_TESTS_HANDLERS_TOGETHER_H

/* Waits until `count` callers wait at the same time; then all of them go on. */
void together_meet(unsigned count);

/* Between these two the caller is counted. The first returns how many there are with it, the second
 * the most there were meanwhile, given what the first has returned. */
unsigned together_enter(void);
unsigned together_leave(unsigned at_first);

#endif
