/* scheduling: time slices, by sched_setattr(2), which glibc has no function for. */
#include "server/scheduling.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The bounds of what the kernel takes. A thread that wakes up goes before one that runs if its slice
 * would end earlier. */
enum { PROMPT_SLICE_NS = 100000, PATIENT_SLICE_NS = 100000000 };

static void set_slice(pid_t thread, uint64_t slice_ns)
{
    struct sched_attr attributes = {
        .size = sizeof attributes,
        .sched_flags = SCHED_FLAG_KEEP_POLICY,
        /* as it is: it can't be left out */
        .sched_nice = getpriority(PRIO_PROCESS, (id_t) thread),
        .sched_runtime = slice_ns,
    };
    /* Where it fails the threads are as prompt as the kernel makes them. */
    syscall(SYS_sched_setattr, thread, &attributes, 0);
}

void scheduling_be_prompt(void) { set_slice(0, PROMPT_SLICE_NS); }

void scheduling_be_patient(pid_t thread) { set_slice(thread, PATIENT_SLICE_NS); }
