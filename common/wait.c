/*
 * wait.c - see wait.h
 *
 * It needs _GNU_SOURCE for sched_getaffinity.
 */
#define _GNU_SOURCE
#include "wait.h"

#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#define NS_PER_MS  1000000
#define NS_PER_S   INT64_C(1000000000)
#define PROBE_EACH 64 /* adapt: one wait in so many spins in full again */
#define CLOCK_EACH 32 /* spin: attempts between two looks at the clock */

static bool one_cpu(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1;
}

void wait_policy_init(struct wait_policy *p, enum tp_wait how)
{
    p->how = how == TP_ADAPT && one_cpu() ? TP_BLOCK : how;
    p->spin_ns = WAIT_SPIN_NS;
    p->waits = 0;
    p->spun = p->slept = false;
}

/*
 * What an adaptive handle learns from its last wait. Spinning that was
 * followed by sleep was wasted: half as long next time. Spinning that brought
 * the message paid: the full time again. One wait in PROBE_EACH spins in full
 * anyway, or a slow hour would end the spinning for good.
 */
static int64_t learn(struct wait_policy *p)
{
    if (p->slept)
        p->spin_ns /= 2;
    else if (p->spun)
        p->spin_ns = WAIT_SPIN_NS;
    p->spun = p->slept = false;
    return ++p->waits % PROBE_EACH ? p->spin_ns : WAIT_SPIN_NS;
}

void wait_begin(struct wait *w, struct wait_policy *policy, int ms)
{
    w->policy = policy;
    w->tries = 0;
    w->now = w->look = 0;
    w->slice_ms = TP_NOTICE_MS;
    w->until = ms < 0 ? INT64_MAX : 0;
    if (ms > 0 || policy->how == TP_ADAPT)
        w->now = clock_now_ns();
    if (ms > 0)
        w->until = w->now + (int64_t)ms * NS_PER_MS;
    if (policy->how == TP_ADAPT)
        w->spin_until = w->now + learn(policy);
}

/* Spinning: look at the clock now and then only; it costs as much as an
 * attempt in shared memory does. */
static enum wait_step next_spin(struct wait *w)
{
    w->tries++;
    if (w->until == INT64_MAX || w->tries % CLOCK_EACH)
        return WAIT_TRY;
    w->now = clock_now_ns();
    return w->now < w->until ? WAIT_TRY : WAIT_OVER;
}

static enum wait_step next_adapt(struct wait *w)
{
    if (w->tries++ == 0)
        return WAIT_TRY;
    w->now = clock_now_ns();
    if (w->now >= w->until)
        return WAIT_OVER;
    if (w->now < w->spin_until) {
        w->policy->spun = true;
        return WAIT_TRY;
    }
    w->policy->slept = true;
    return WAIT_SLEEP;
}

enum wait_step wait_next(struct wait *w)
{
    if (w->tries)
        w->slice_ms = TP_NOTICE_MS;
    if (w->until == 0) /* try once */
        return w->tries++ ? WAIT_OVER : WAIT_TRY;
    if (w->policy->how == TP_SPIN)
        return next_spin(w);
    if (w->policy->how == TP_ADAPT)
        return next_adapt(w);
    if (w->until == INT64_MAX)
        return WAIT_PLAIN;
    if (w->tries++) /* the first time, wait_begin has just read the clock */
        w->now = clock_now_ns();
    return w->now < w->until ? WAIT_SLEEP : WAIT_OVER;
}

bool wait_looks(const struct wait *w, enum wait_step step)
{
    return step != WAIT_PLAIN && (step != WAIT_TRY || w->slice_ms == 0);
}

bool wait_look(struct wait *w)
{
    bool due = w->look && w->now >= w->look;

    if (w->now && (due || !w->look))
        w->look = w->now + (int64_t)TP_NOTICE_MS * NS_PER_MS;
    return due;
}

int64_t wait_until(const struct wait *w, int slice_ms)
{
    int64_t slice = w->now + (int64_t)slice_ms * NS_PER_MS;

    return slice < w->until ? slice : w->until;
}

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

struct timespec wait_realtime(const struct wait *w, enum wait_step step)
{
    struct timespec t;

    if (step != WAIT_SLEEP)
        return (struct timespec){0};
    clock_gettime(CLOCK_REALTIME, &t);
    return timespec_of(t.tv_sec * NS_PER_S + t.tv_nsec +
                       wait_until(w, w->slice_ms) - w->now);
}

int wait_left_ms(const struct wait *w)
{
    int64_t ms;

    if (w->until == INT64_MAX)
        return -1;
    ms = (w->until - w->now + NS_PER_MS - 1) / NS_PER_MS;
    return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

int wait_slice_ms(struct wait *w)
{
    int ms;

    if (w->until == 0) /* one try */
        return w->tries++ ? -1 : 0;
    w->now = clock_now_ns();
    if (w->now >= w->until)
        return -1;
    ms = wait_left_ms(w);
    return ms < 0 || ms > TP_NOTICE_MS ? TP_NOTICE_MS : ms;
}

int wait_fd(struct wait *w, int fd, short events, bool slice)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int ms = 0, n;

        switch (wait_next(w)) {
        case WAIT_PLAIN: return 0;
        case WAIT_OVER: return -ETIMEDOUT;
        case WAIT_TRY:
            if (w->policy->how != TP_BLOCK && w->slice_ms > 0)
                return 0; /* the descriptor doesn't block */
            break;
        case WAIT_SLEEP: ms = wait_left_ms(w); break;
        }
        if (slice && (ms < 0 || ms > w->slice_ms))
            ms = w->slice_ms;
        n = poll(&p, 1, ms);
        if (n > 0)
            return 0;
        if (n < 0)
            return -errno;
        if (slice && ms == w->slice_ms)
            return -EAGAIN;
    }
}

int wait_sem(const struct wait *w, enum wait_step step, sem_t *sem,
             int slice_ms)
{
    struct timespec at;
    int err;

    if (step == WAIT_PLAIN) {
        err = guard_sem_wait(sem, NULL);
    } else if (step == WAIT_TRY) {
        err = sem_trywait(sem) < 0 ? -errno : 0;
    } else {
        at = timespec_of(wait_until(w, slice_ms));
        err = guard_sem_wait(sem, &at);
    }
    if (err == -EFAULT)
        (void)sem_init(sem, 1, 0); /* nobody else waits for it, and a post
                                      that is lost now was only a hint */
    return err == 0 || err == -EINTR ? err : -EAGAIN; /* or -ETIMEDOUT */
}

int wait_for_room(struct wait_room *r, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int64_t now = r->ms < 0 ? 0 : clock_now_ns();
    int left = -1, n;

    if (r->ms >= 0 && !r->begun) {
        r->until = now + (int64_t)r->ms * NS_PER_MS;
        r->begun = true;
    }
    if (r->ms >= 0) {
        if (now >= r->until)
            return -ETIMEDOUT;
        left = (int)((r->until - now + NS_PER_MS - 1) / NS_PER_MS);
    }
    n = poll(&p, 1, left);
    return n < 0 ? -errno : 0;
}

int wait_set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int wait_out_for(struct wait_out *out, int ms)
{
    int err;

    if (out->nonblock == (ms >= 0))
        return 0;
    err = wait_set_nonblock(out->fd, ms >= 0);
    if (!err)
        out->nonblock = ms >= 0;
    return err;
}

void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- turns -------------------------------------------------------------- */

int turns_open(struct turns *t)
{
    t->ready = t->again = 0;
    t->extra = t->refresh = false;
    t->order = (struct turn_order){0};
    t->epoll = epoll_create1(EPOLL_CLOEXEC);
    return t->epoll < 0 ? -errno : 0;
}

void turns_close(struct turns *t)
{
    close_fd(&t->epoll);
}

int turns_add(struct turns *t, int fd, unsigned number)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = number};

    return epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

void turns_remove(struct turns *t, int fd, unsigned number)
{
    (void)epoll_ctl(t->epoll, EPOLL_CTL_DEL, fd, NULL); /* close would do it,
                                       unless fork has shared the descriptor */
    if (number < TP_CLIENTS_MAX) {
        t->ready &= ~(UINT64_C(1) << number);
        t->again &= ~(UINT64_C(1) << number);
    }
}

void turns_again(struct turns *t, unsigned number)
{
    t->again |= UINT64_C(1) << number;
}

/* A new round, or more for this one: what epoll has, and what was asked for.
 * 0, or -errno. */
static int begin_round(struct turns *t, int ms)
{
    struct epoll_event ev[TP_CLIENTS_MAX + 1];
    int n = epoll_wait(t->epoll, ev, TP_CLIENTS_MAX + 1, ms);

    if (n < 0)
        return -errno;
    t->ready |= t->again;
    t->again = 0;
    t->refresh = false;
    for (int i = 0; i < n; i++)
        if (ev[i].data.u32 == TURNS_EXTRA)
            t->extra = true;
        else
            t->ready |= UINT64_C(1) << ev[i].data.u32;
    return 0;
}

unsigned turn_take(struct turn_order *o, uint64_t *mask)
{
    unsigned first = (unsigned)__builtin_ctzll(*mask);

    for (uint64_t left = *mask; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);

        if (o->served[i] < o->served[first])
            first = i;
    }
    o->served[first] = ++o->count;
    *mask &= ~(UINT64_C(1) << first);
    return first;
}

/* Takes the next number out of this round, or -1 when the round is over. */
static int take_turn(struct turns *t)
{
    if (t->extra) {
        t->extra = false;
        t->refresh = true;
        return TURNS_EXTRA;
    }
    if (!t->ready || t->refresh)
        return -1;
    return (int)turn_take(&t->order, &t->ready);
}

int turns_next(struct turns *t, struct wait *w)
{
    for (;;) {
        int number = take_turn(t), ms = 0, err;

        if (number >= 0)
            return number;
        if (t->again || t->refresh) {
            ms = 0; /* somebody is ready, or may be by now */
        } else {
            switch (wait_next(w)) {
            case WAIT_PLAIN: ms = -1; break;
            case WAIT_TRY: ms = 0; break;
            case WAIT_SLEEP: ms = wait_left_ms(w); break;
            case WAIT_OVER: return -ETIMEDOUT;
            }
        }
        err = begin_round(t, ms);
        if (err)
            return err;
    }
}
