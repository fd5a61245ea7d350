/*
 * until.h - waiting on a condition until a time that nobody can turn
 *
 * pthread_cond_timedwait(3) goes by CLOCK_REALTIME unless its condition was
 * made for another clock.
 */
#ifndef IPCLAB_WEB_UNTIL_H
#define IPCLAB_WEB_UNTIL_H

#include "clock.h"

#include <pthread.h>

#define UNTIL_MS_NS 1000000
#define UNTIL_S_NS  1000000000

/* A condition for deadlines of until_ms. */
static inline void until_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr); /* on Linux none of these can fail */
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}

/* The time `ms` milliseconds from now. */
static inline struct timespec until_ms(int ms)
{
    int64_t t = clock_now_ns() + (int64_t)ms * UNTIL_MS_NS;

    return (struct timespec){.tv_sec = t / UNTIL_S_NS,
                             .tv_nsec = t % UNTIL_S_NS};
}

#endif
