/* together: counts of calls. */
#include "tests/handlers/together.h"

#include <pthread.h>
#include <stdatomic.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t met = PTHREAD_COND_INITIALIZER;
static unsigned waiting, meeting; /* guarded by `lock` */
/* Without a lock: a call that waits for one sleeps, and another one may begin in its place. */
static atomic_uint inside;

void together_meet(unsigned count)
{
    pthread_mutex_lock(&lock);
    if (++waiting >= count) {
        waiting = 0;
        meeting++;
        pthread_cond_broadcast(&met);
    } else {
        for (unsigned mine = meeting; mine == meeting;)
            pthread_cond_wait(&met, &lock);
    }
    pthread_mutex_unlock(&lock);
}

unsigned together_enter(void) { return atomic_fetch_add(&inside, 1) + 1; }

unsigned together_leave(unsigned at_first)
{
    unsigned count = atomic_fetch_sub(&inside, 1);
    return count > at_first ? count : at_first;
}
