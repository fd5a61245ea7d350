/*
 * count_parts.h - what the two ways of counting share
 */
#ifndef BENCH_COUNT_PARTS_H
#define BENCH_COUNT_PARTS_H

#include "count.h"

#include <pthread.h>
#include <stdbool.h>

#define COUNT_NUMBERS 1024 /* system calls have lower numbers */
#define COUNT_CALLS   100  /* different ones of one counter */
#define COUNT_WORD    32

struct perf_event_mmap_page;
struct pollfd;

/* How to know how many bytes a call moved. */
enum moves {
    MOVES_NOTHING,
    MOVES_RESULT,  /* what it returned */
    MOVES_LENGTH,  /* it returned 0: its third argument */
    MOVES_UNKNOWN, /* it doesn't say */
    MOVES_WAITING  /* a call of the benchmark itself: not counted at all */
};

/* All calls of one name. */
struct call {
    char name[COUNT_NAME_MAX];
    enum moves moves;
    uint64_t calls, failed;
};

/* What perf watches: every return; and where a message is sent. */
enum { EXITS, SENDS, EVENTS };

struct thread {
    pid_t pid, tid;
    uint64_t voluntary, involuntary; /* switches before counting began */
    uint64_t sending; /* bytes of the mq_timedsend that it is in */

    /* perf */
    int event[EVENTS];                 /* descriptors; -1 = not open */
    uint64_t seen[EVENTS];             /* samples taken from the ring */
    struct perf_event_mmap_page *ring; /* NULL = not mapped */
    size_t ring_size;                  /* bytes of data: a power of two */
};

#define COUNT_NO_THREAD ((struct thread){.event = {-1, -1}})

struct counter {
    enum count_how how;
    struct thread *thread; /* those watched */
    size_t threads;

    /* Written by perf's drainer until it has ended. */
    struct call call[COUNT_CALLS];
    size_t calls;
    unsigned char call_of[COUNT_NUMBERS]; /* 1 + index; 0 = not met yet */
    uint64_t copied;

    /* perf */
    int tracepoint[EVENTS]; /* ids */
    pthread_t drainer;      /* the thread that empties the rings */
    bool draining;          /* it runs */
    int stop;               /* eventfd: it has to end; -1 = none */
    struct pollfd *poll;    /* the rings, then `stop` */

    /* strace */
    pid_t strace; /* 0 = not started, or reaped */
    int log;      /* what it writes, a file without a name; -1 = none */
};

/* ---- for both (count.c) ------------------------------------------------- */

/* Where calls of this name, or number, are added up: never NULL. */
struct call *count_named(struct counter *c, const char *name);
struct call *count_numbered(struct counter *c, long number);
/* One call has returned to its thread. */
void count_note(struct counter *c, const struct thread *t, struct call *call,
                bool failed, uint64_t result);

/* The word after "key:" in a thread's status file in /proc: 0; -ESRCH when the
 * thread has gone, or another -errno. */
int count_status(pid_t pid, pid_t tid, const char *key, char word[COUNT_WORD]);

/* ---- perf (count_perf.c) ------------------------------------------------ */

/* 0, or -errno and in why[cap] what is missing and how to get it. */
int count_perf_try(char *why, size_t cap);
/* Gets everything ready; then it is switched on, later off. 0 or -errno. */
int count_perf_begin(struct counter *c);
int count_perf_switch(struct counter *c, bool on);
/* Takes what is left in the rings: 0, -ENOBUFS when some was lost, -errno. */
int count_perf_end(struct counter *c);
/* From whatever state. */
void count_perf_free(struct counter *c);

/* ---- strace (count_strace.c) -------------------------------------------- */

/* Watches a child of our own with it: 0 or -errno (-ENOENT: not installed). */
int count_strace_try(void);
/* 0 once it watches all threads of the counter, those of pid[n]; or -errno. */
int count_strace_begin(struct counter *c, const pid_t *pid, size_t n);
/* Ends it and reads what it wrote: 0; -ESRCH when it had ended by itself. */
int count_strace_end(struct counter *c);
/* From whatever state. */
void count_strace_free(struct counter *c);

#endif
