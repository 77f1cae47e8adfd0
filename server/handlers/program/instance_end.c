/* instance_end: one phase after the other, and the reap. */
#include "server/handlers/program/instance_end.h"

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/handlers/program/instance_errors.h"

enum {
    GENTLE_MS = 1000, /* from the end of its input to SIGTERM */
    TERM_MS = 1000,   /* from SIGTERM to SIGKILL */
    CHECK_MS = 50,    /* how often to check whether a group without its leader is empty */
};

static siginfo_t end_of(const struct instance *instance)
{
    siginfo_t info = {0};
    waitid(P_PIDFD, (id_t) instance->end.fd, &info, WEXITED | WNOHANG | WNOWAIT);
    return info;
}

bool instance_ended_well(const struct instance *instance)
{
    siginfo_t info = end_of(instance);
    return info.si_code == CLD_EXITED && info.si_status == 0;
}

void instance_describe_end(const struct instance *instance, char *text, size_t size)
{
    siginfo_t info = end_of(instance);
    if (info.si_code == CLD_EXITED)
        snprintf(text, size, "ended with status %d", info.si_status);
    else
        snprintf(text, size, "was killed by signal %d", info.si_status);
}

/* The group, and the process itself, which may have left it. */
static void send_signal(const struct instance *instance, int number)
{
    group_signal(&instance->group, number);
    if (!instance->reaped && getpgid(instance->group.id) != instance->group.id)
        syscall(SYS_pidfd_send_signal, instance->end.fd, number, NULL, 0);
}

static void terminate(struct instances *instances, struct instance *instance)
{
    instance_close_input(instances, instance);
    channel_close(instances, &instance->output);
    send_signal(instance, SIGTERM);
    instance->phase = INSTANCE_TERMINATED;
    instance->due_ms = instances->now_ms + TERM_MS;
    instances_schedule(instances, instance->due_ms);
}

void instance_end(struct instances *instances, struct instance *instance, bool gently)
{
    instance->worker = NULL;
    instance->oneshot = NULL;
    if (!gently) {
        terminate(instances, instance);
        return;
    }
    /* Its output is still read, so that it does not fail while it ends. */
    instance_close_input(instances, instance);
    instance->phase = INSTANCE_INPUT_CLOSED;
    instance->due_ms = instances->now_ms + GENTLE_MS;
    instances_schedule(instances, instance->due_ms);
}

void instance_discard_output(struct instances *instances, struct instance *instance)
{
    instance_read(instances, instance);
}

void instance_exited(struct instances *instances, struct instance *instance)
{
    instance_last_words(instances, instance);
    /* The rest of its group, now: after the reap the group's number may be another one's. */
    if (instance->phase == INSTANCE_RUNS || instance->phase == INSTANCE_INPUT_CLOSED)
        terminate(instances, instance);
    bool gone = group_reap(&instance->group, instance->end.fd);
    instance->reaped = true;
    channel_close(instances, &instance->end);
    if (!gone && instance->phase == INSTANCE_KILLED) {
        group_forget(&instance->group);
        gone = true;
    }
    if (gone)
        instance_remove(instances, instance);
    else
        instances_schedule(instances, instances->now_ms + CHECK_MS);
}

/* Its time in this phase is over. */
static void next_phase(struct instances *instances, struct instance *instance)
{
    if (instance->phase == INSTANCE_INPUT_CLOSED) {
        terminate(instances, instance);
        return;
    }
    send_signal(instance, SIGKILL);
    instance->phase = INSTANCE_KILLED;
    instance->due_ms = INT64_MAX;
    if (instance->reaped) {
        group_forget(&instance->group);
        instance_remove(instances, instance);
    }
}

void instances_act(struct instances *instances)
{
    for (struct instance *instance = LIST_FIRST(&instances->all), *next; instance;
         instance = next) {
        next = LIST_NEXT(instance, entry); /* this one may be removed */
        if (instance->reaped && group_is_gone(&instance->group)) {
            instance_remove(instances, instance);
            continue;
        }
        if (instance->due_ms <= instances->looked_ms)
            next_phase(instances, instance);
        if (instance->phase != INSTANCE_DEAD) {
            instances_schedule(instances, instance->due_ms);
            if (instance->reaped)
                instances_schedule(instances, instances->now_ms + CHECK_MS);
        }
    }
}
