/*
 * count.h - what a request makes the kernel do: system calls, switches, copies
 *
 * Counted from outside, in a run of its own, because counting disturbs what a
 * clock would measure. With perf tracepoints (perf_event_open(2), the events
 * raw_syscalls:sys_enter and sys_exit) where they are permitted, which hardly
 * changes what it counts; else with strace(1), which stops the process twice
 * a call and so changes who sleeps when: futex calls above all come out wrong.
 */
#ifndef BENCH_COUNT_H
#define BENCH_COUNT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define COUNT_NAMES    8 /* different system calls told apart */
#define COUNT_NAME_MAX 24

enum count_how { COUNT_NOT, COUNT_PERF, COUNT_STRACE };

/* All of them a request, over all processes watched. NAN = not known. */
struct counts {
    enum count_how how;
    double calls;  /* system calls */
    double copied; /* bytes copied by the kernel between processes and itself:
                      what read and write calls returned. A message that goes
                      there and back is copied four times by a pipe, and never
                      by shared memory */
    double voluntary, involuntary; /* context switches; NAN with strace, which
                                      makes far more of its own */
    struct {
        char name[COUNT_NAME_MAX]; /* "read"; "" = no more */
        double calls, failed;      /* failed: returned an error (EAGAIN ...),
                                      or was begun again after a signal */
    } call[COUNT_NAMES];           /* the most frequent first */
};

/* How it can be done here; COUNT_NOT when neither way is open. *why gets one
 * sentence when it isn't COUNT_PERF: what is missing and how to get it. */
enum count_how count_possible(char *why, size_t cap);

struct counter;

/*
 * Watch these processes and all threads they have now, but nothing that is
 * started later: counting begins when this returns. 0 or -errno (-ESRCH: one
 * of them has gone); *out is NULL then. Neither call may be made by a watched
 * process. For strace a process must have said
 * prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY): else Yama, where it is on (as in
 * Ubuntu), lets only root attach. And what is blocked in epoll_wait at that
 * moment fails with EINTR.
 */
int count_begin(struct counter **out, enum count_how how, const pid_t *pid,
                size_t n);

/*
 * Stop watching; the processes go on. Fills *out for `requests` requests, in
 * which the calls named clock_nanosleep, restart_syscall and sched_yield are
 * left out: they are how the benchmark's own processes wait for each other.
 * Calls count when they return. What a process did before it died counts, too;
 * but the switches are NAN once a thread has gone.
 * Frees the counter, also on error: -EINVAL no requests; -ENOBUFS perf lost
 * some; -ESRCH strace ended with the last of its processes, or was ended;
 * another -errno.
 */
int count_end(struct counter *c, uint64_t requests, struct counts *out);

#endif
