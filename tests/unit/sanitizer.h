/* sanitizer: what a test has to know of the sanitizers that it is built with. */
#ifndef BANTER_TESTS_UNIT_SANITIZER_H
#define BANTER_TESTS_UNIT_SANITIZER_H

#include <stdbool.h>

/* ThreadSanitizer gives each process a second thread. */
static inline bool thread_sanitizer_is_on(void)
{
#if defined __SANITIZE_THREAD__
    return true;
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
    return true;
#else
    return false;
#endif
#else
    return false;
#endif
}

#endif
