/*
 * group: the process groups that the server has started and that still run. One list holds all
 * groups of all handlers, so that they can be killed at once when the server has no time left.
 *
 * Any thread may call these; a group has one owner, and groups_abort() may be called beside it.
 */
#ifndef BANTER_SERVER_HANDLERS_PROGRAM_GROUP_H
#define BANTER_SERVER_HANDLERS_PROGRAM_GROUP_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

struct group {
    LIST_ENTRY(group) entry; /* in the list of all */
    pid_t id;                /* and the process id of its leader */
    bool reaped;             /* the leader is: its process id may be another one's */
};

/* Whether groups_abort() was called: then no group may be started. */
bool groups_are_aborted(void);

/* Adds the new group that a child of this process leads. If groups_abort() came meanwhile, the
 * group is killed, and its leader is to be reaped as any. */
void group_add(struct group *group, pid_t pid);

void group_signal(const struct group *group, int number);

/* Reaps the leader, which has ended. True if no process is left in the group: then it is off the
 * list. */
bool group_reap(struct group *group, int pid_fd);

/* The same for a group whose leader has been reaped. */
bool group_is_gone(struct group *group);

/* Kills what is left of a group whose leader has been reaped, and takes it off the list. */
void group_forget(struct group *group);

/* Kills a group, waits for its leader's end, and takes it off the list. */
void group_kill(struct group *group);

/* Kills all groups, and leaders that have left theirs; from now on none can be started. At any
 * time. */
void groups_abort(void);

#endif
