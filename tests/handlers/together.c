/* together: counts of calls, behind a lock. */
#include "tests/handlers/together.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t met = PTHREAD_COND_INITIALIZER;
/* guarded by `lock` */
static unsigned waiting, meeting, inside;

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

unsigned together_enter(void)
{
    pthread_mutex_lock(&lock);
    unsigned count = ++inside;
    pthread_mutex_unlock(&lock);
    return count;
}

unsigned together_leave(unsigned at_first)
{
    pthread_mutex_lock(&lock);
    unsigned count = inside--;
    pthread_mutex_unlock(&lock);
    return count > at_first ? count : at_first;
}
