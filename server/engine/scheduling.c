/* scheduling: priorities and time slices, by sched_setattr(2), which glibc has no function for. */
#include "server/engine/scheduling.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The shortest that the kernel takes. A thread that wakes up goes before one that runs if its slice would
 * end earlier, and if it has not just had more than its share. */
enum {
    PROMPT_SLICE_NS = 100000,
    /* The kernel's own. Long ones would be fewer switches, but with many threads of little weight the
     * average that decides who has had too much then leaps by more than the weighty ones can wait. */
    USUAL_SLICE_NS = 0,
};

/* nice(1)'s: a share so small that next to it no other has ever had too much. */
enum { LEAST_PRIORITY = 19 };

static void set(pid_t thread, int priority, uint64_t slice_ns)
{
    struct sched_attr attributes = {
        .size = sizeof attributes,
        .sched_flags = SCHED_FLAG_KEEP_POLICY,
        .sched_nice = priority,
        .sched_runtime = slice_ns,
    };
    /* Where it fails the threads are as prompt as the kernel makes them. */
    syscall(SYS_sched_setattr, thread, &attributes, 0);
}

void scheduling_be_prompt(void) { set(0, getpriority(PRIO_PROCESS, 0), PROMPT_SLICE_NS); }

void scheduling_give_way(pid_t thread) { set(thread, LEAST_PRIORITY, USUAL_SLICE_NS); }
