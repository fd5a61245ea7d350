/*
 * wait.h - deadlines, spinning, adapting; and many descriptors in turn
 *
 * All chapters wait in the same way. One call of the contract is
 *
 *      struct wait w;
 *      wait_begin(&w, &handle->policy, ms);
 *      for (;;)
 *          switch (wait_next(&w)) {
 *          case WAIT_PLAIN: the mechanism's own blocking call
 *          case WAIT_TRY:   one attempt that doesn't sleep
 *          case WAIT_SLEEP: one that sleeps until wait_until(&w), at most
 *          case WAIT_OVER:  return -ETIMEDOUT
 *          }
 *
 * until an attempt brings something. What differs between the wait policies is
 * in wait_next alone:
 *
 *      block, no deadline    PLAIN
 *      block, deadline       SLEEP SLEEP ... OVER     (ms 0: TRY OVER)
 *      spin                  TRY TRY TRY ... OVER
 *      adapt                 TRY ... TRY SLEEP SLEEP ... OVER
 */
#ifndef IPCLAB_WAIT_H
#define IPCLAB_WAIT_H

#include "clock.h"
#include "transport.h"

#include <limits.h>
#include <semaphore.h>
#include <time.h>

/* An adaptive wait spins at most this long: about what it costs to be woken on
 * another CPU. */
#define WAIT_SPIN_NS 50000

/* Kept in a handle, from open to close. */
struct wait_policy {
    enum tp_wait how;
    int64_t spin_ns;  /* adapt: how long to spin now, ns */
    unsigned waits;   /* adapt: waits so far */
    bool spun, slept; /* adapt: what the last wait had to do */
};

enum wait_step { WAIT_PLAIN, WAIT_TRY, WAIT_SLEEP, WAIT_OVER };

/* One call's waiting. */
struct wait {
    struct wait_policy *policy;
    int64_t until;      /* deadline, ns; INT64_MAX = none, 0 = try once */
    int64_t spin_until; /* adapt: when to stop spinning, ns */
    int64_t now;        /* the clock as last read, ns; 0 = not yet */
    int64_t look;       /* when wait_look says true, ns; 0 = not set yet */
    unsigned tries;
    int slice_ms; /* longest sleep of the next attempt; later ones have
                     TP_NOTICE_MS, and so has the first, unless a chapter
                     that knows better sets it after wait_begin */
};

/* `how` as opened; TP_ADAPT becomes TP_BLOCK where only one CPU may be used:
 * the peer can't get on while we spin. */
void wait_policy_init(struct wait_policy *p, enum tp_wait how);

void wait_begin(struct wait *w, struct wait_policy *policy, int ms);
enum wait_step wait_next(struct wait *w);

/* After wait_next, where the mechanism doesn't tell that a peer has died:
 * true each TP_NOTICE_MS, when it is time to look at its lock. */
bool wait_look(struct wait *w);

/* After an attempt in vain: should a server look who has left? After each sleep;
 * one that spins does so when slice_ms is 0. */
bool wait_looks(const struct wait *w, enum wait_step step);

/* When a WAIT_SLEEP has to end, ns on CLOCK_MONOTONIC: the deadline, or
 * slice_ms from now, when it is time to look about. */
int64_t wait_until(const struct wait *w, int slice_ms);

/* The end of a slice of slice_ms on CLOCK_REALTIME, the only clock that
 * mq_timedreceive(3) knows; "long ago" when the step isn't WAIT_SLEEP, so that
 * the call takes what is there and doesn't sleep. */
struct timespec wait_realtime(const struct wait *w, enum wait_step step);

/* Milliseconds left until the deadline, rounded up, for poll(2): never early.
 * -1 = for ever, 0 = passed. */
int wait_left_ms(const struct wait *w);

/* For a poll(2) that looks about each TP_NOTICE_MS, whatever the policy: how
 * long the next slice is; 0 = just one look; -1 = the deadline has passed. */
int wait_slice_ms(struct wait *w);

/*
 * wait_next for a descriptor; call it before each attempt. 0: try now;
 * -ETIMEDOUT; -EINTR. The descriptor is blocking with TP_BLOCK, non-blocking
 * otherwise: so that after 0 the attempt is right in each case. `slice`: give
 * -EAGAIN when slice_ms have passed with nothing to read.
 */
int wait_fd(struct wait *w, int fd, short events, bool slice);

/* For a non-blocking write that said EAGAIN: wait for room. The clock starts
 * at the first such wait, so that a write that finds room never reads it. */
struct wait_room {
    int ms; /* as in the contract */
    bool begun;
    int64_t until; /* ns */
};

/* 0: write again; -ETIMEDOUT; -EINTR. */
int wait_for_room(struct wait_room *r, int fd);

/* One attempt to take a signal from a semaphore, as `step` says; a sleep lasts
 * slice_ms at most. 0; -EAGAIN none came; -EINTR. One that makes no sense to the
 * C library is made new: nobody else may wait for it. */
int wait_sem(const struct wait *w, enum wait_step step, sem_t *sem,
             int slice_ms);

/* Set or clear O_NONBLOCK: 0 or -errno. */
int wait_set_nonblock(int fd, bool on);

/* A write end of a pipe or FIFO. O_NONBLOCK belongs to the open file, not to
 * the call: so it is changed when a call's `ms` asks for the other kind, which
 * is hardly ever. */
struct wait_out {
    int fd;        /* owned; -1 = none */
    bool nonblock; /* O_NONBLOCK as it is now */
};
int wait_out_for(struct wait_out *out, int ms); /* 0 or -errno */

/* Close *fd unless it is negative, and make it -1. */
void close_fd(int *fd);

/* ---- many descriptors, one after the other ------------------------------- */

/* Who was served when; all zero: nobody yet. */
struct turn_order {
    uint64_t count, served[TP_CLIENTS_MAX];
};

/*
 * Whose turn is it? Takes out of *mask, which isn't 0, the bit that was served
 * longest ago. To go round from bit to bit isn't the same: who comes in the
 * middle of a round, too late for it, would see some of the others served in
 * this round and, before its own turn, in the next one again.
 */
unsigned turn_take(struct turn_order *o, uint64_t *mask);

#define TURNS_EXTRA TP_CLIENTS_MAX /* a number beside the slots: a listener */

/*
 * Which of many descriptors is next. A round serves every number that was
 * ready at its beginning once; then epoll is asked again. So nobody waits for
 * more than one message of each other.
 */
struct turns {
    int epoll;      /* owned; -1 = not made yet */
    uint64_t ready; /* this round, still to serve */
    uint64_t again; /* next round, whatever epoll says */
    bool extra;     /* TURNS_EXTRA is ready */
    bool refresh;   /* it was served: there may be new numbers to ask for */
    struct turn_order order;
};

int turns_open(struct turns *t); /* 0 or -errno; call it after fork */
void turns_close(struct turns *t);
int turns_add(struct turns *t, int fd, unsigned number);
/* Before the descriptor is closed, while others may share it (fork). */
void turns_remove(struct turns *t, int fd, unsigned number);
/* `number` has something that epoll doesn't know of: bytes already read. */
void turns_again(struct turns *t, unsigned number);
/* The next ready number; -ETIMEDOUT, -EINTR. */
int turns_next(struct turns *t, struct wait *w);

#endif
