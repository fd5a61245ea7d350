/*
 * clock.h - the clock that nobody can turn
 */
#ifndef IPCLAB_CLOCK_H
#define IPCLAB_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in nanoseconds. */
static inline int64_t clock_now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* can't fail on Linux */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
