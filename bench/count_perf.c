/*
 * count_perf.c - system calls counted with perf tracepoints
 *
 *      watched thread           kernel                           drainer
 *      read(...) = 100   -->  event sys_exit {0, 100}  -->  ring --> count_note
 *
 * Every call is sampled, not one in a thousand: only that tells names, failures
 * and bytes exactly. A ring is full after some ten thousand calls, and a
 * process that spins makes them in some ten milliseconds: so a thread, the
 * drainer, empties the rings. It sleeps until one is a quarter full, which no
 * case that blocks ever reaches; so it disturbs only who spins anyway. Should
 * the kernel have dropped samples all the same, the event's own count, which
 * never drops one, is higher than their number: then there is no result.
 *
 * Calls: perf_event_open(2) and its PERF_EVENT_IOC_*, mmap(2) of the rings,
 * poll(2), eventfd(2).
 *
 * Left out on purpose: inherited events (cpu -1 and inherit can't be mapped);
 * BPF, which could add up in the kernel, but for root alone.
 *
 * It needs _GNU_SOURCE for syscall.
 */
#define _GNU_SOURCE
#include "count_parts.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RINGS_MAX (64u << 20) /* bytes of all rings together */
#define RING_MAX  (4u << 20)  /* ... of one */
#define RING_MIN  (64u << 10)

/* ---- tracepoints -------------------------------------------------------- */

/* The number that this kernel gave to a tracepoint, or -errno. */
static int read_id(const char *root, const char *name)
{
    char path[96];
    FILE *f;
    int id;

    (void)snprintf(path, sizeof path, "%s/events/raw_syscalls/%s/id", root,
                   name);
    f = fopen(path, "re");
    if (!f)
        return -errno;
    if (fscanf(f, "%d", &id) != 1)
        id = -EIO;
    (void)fclose(f); /* only read */
    return id;
}

/* In the place where tracefs belongs, or in its old one. */
static int tracepoint_id(const char *name)
{
    int id = read_id("/sys/kernel/tracing", name), old;

    if (id >= 0)
        return id;
    old = read_id("/sys/kernel/debug/tracing", name);
    return old >= 0 || id == -ENOENT ? old : id;
}

static int find_tracepoints(int id[EVENTS])
{
    static const char *const name[EVENTS] = {"sys_exit", "sys_enter"};

    for (int e = 0; e < EVENTS; e++) {
        id[e] = tracepoint_id(name[e]);
        if (id[e] < 0)
            return id[e];
    }
    return 0;
}

/* ---- events and their rings --------------------------------------------- */

/* One event of one thread, on whatever CPU it runs; not enabled yet. */
static int open_event(struct thread *t, int which, int tracepoint,
                      size_t wakeup)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT,
                                   .size = sizeof attr,
                                   .config = (unsigned)tracepoint,
                                   .sample_period = 1,
                                   .sample_type = PERF_SAMPLE_RAW,
                                   .disabled = 1,
                                   .watermark = 1,
                                   .wakeup_watermark = (uint32_t)wakeup};
    long fd = syscall(SYS_perf_event_open, &attr, t->tid, -1, -1,
                      PERF_FLAG_FD_CLOEXEC);

    if (fd < 0)
        return -errno;
    t->event[which] = (int)fd;
    return 0;
}

/*
 * Two events into one ring, so that they stay in order: every return from a
 * call; and the begin of each mq_timedsend, which returns 0, so that only its
 * argument tells how long the message was.
 */
static int open_thread(struct thread *t, const int tracepoint[EVENTS],
                       size_t size)
{
    char only[32];
    void *ring;
    int err = 0;

    for (int e = 0; e < EVENTS && !err; e++)
        err = open_event(t, e, tracepoint[e], size / 4);
    if (err)
        return err;
    ring = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE) + size,
                PROT_READ | PROT_WRITE, MAP_SHARED, t->event[EXITS], 0);
    if (ring == MAP_FAILED)
        return -errno;
    t->ring = ring;
    t->ring_size = size;
    (void)snprintf(only, sizeof only, "id == %d", SYS_mq_timedsend);
    if (ioctl(t->event[SENDS], PERF_EVENT_IOC_SET_FILTER, only) < 0 ||
        ioctl(t->event[SENDS], PERF_EVENT_IOC_SET_OUTPUT, t->event[EXITS]) < 0)
        return -errno;
    return 0;
}

static void close_thread(struct thread *t)
{
    if (t->ring)
        (void)munmap(t->ring, (size_t)sysconf(_SC_PAGESIZE) + t->ring_size);
    t->ring = NULL;
    for (int e = 0; e < EVENTS; e++) {
        if (t->event[e] >= 0)
            (void)close(t->event[e]); /* nothing was written to it */
        t->event[e] = -1;
    }
}

/* So that all rings together stay within RINGS_MAX. */
static size_t ring_size(size_t threads)
{
    size_t size = RING_MAX;

    while (size > RING_MIN && size * threads > RINGS_MAX)
        size /= 2;
    return size;
}

/* Smaller rings where a user without CAP_IPC_LOCK may lock only so much memory
 * (EPERM beyond). */
static int open_threads(struct counter *c)
{
    size_t size = ring_size(c->threads);
    int err;

    do {
        err = 0;
        for (size_t i = 0; i < c->threads && !err; i++)
            err = open_thread(&c->thread[i], c->tracepoint, size);
        for (size_t i = 0; i < c->threads && err; i++)
            close_thread(&c->thread[i]);
        size /= 2;
    } while (err == -EPERM && size >= RING_MIN);
    return err;
}

/* ---- what comes out of a ring ------------------------------------------- */

/* What both tracepoints have in common: .../sys_exit/format shows it. */
struct raw {
    uint16_t tracepoint;
    uint8_t common[6];
    long number;
    long value[6]; /* sys_exit: the result; sys_enter: the arguments */
};

/* A record may begin near the ring's end and go on at its start. */
static void ring_copy(const struct thread *t, uint64_t at, void *out,
                      size_t len)
{
    const char *data = (const char *)t->ring + t->ring->data_offset;
    size_t from = (size_t)at & (t->ring_size - 1);
    size_t first = t->ring_size - from;

    first = first < len ? first : len;
    memcpy(out, data + from, first);
    memcpy((char *)out + first, data, len - first);
}

static void take_sample(struct counter *c, struct thread *t, uint64_t at,
                        size_t len)
{
    struct raw raw = {0};

    at += sizeof(uint32_t); /* the length once more, without padding */
    len -= sizeof(uint32_t);
    ring_copy(t, at, &raw, len < sizeof raw ? len : sizeof raw);
    if (raw.tracepoint == c->tracepoint[SENDS]) {
        t->seen[SENDS]++;
        t->sending = (uint64_t)raw.value[2];
        return;
    }
    t->seen[EXITS]++;
    /* The kernel's own codes of a call that a signal made it restart (512 and
     * more) are failures, too: it did nothing but go in and out. */
    count_note(c, t, count_numbered(c, raw.number),
               raw.value[0] < 0 && raw.value[0] >= -4095,
               (uint64_t)raw.value[0]);
}

static void drain(struct counter *c, struct thread *t)
{
    /* Acquire: the kernel wrote the records before it moved the head. */
    uint64_t head = __atomic_load_n(&t->ring->data_head, __ATOMIC_ACQUIRE);
    uint64_t tail = t->ring->data_tail; /* only we write it */
    struct perf_event_header h;

    for (; tail < head; tail += h.size) {
        ring_copy(t, tail, &h, sizeof h);
        if (h.type == PERF_RECORD_SAMPLE)
            take_sample(c, t, tail + sizeof h, h.size - sizeof h);
    }
    /* Release: we are done with reading what it may now write over. */
    __atomic_store_n(&t->ring->data_tail, tail, __ATOMIC_RELEASE);
}

/* ---- the drainer -------------------------------------------------------- */

static void *drainer(void *arg)
{
    struct counter *c = arg;

    while (c->poll[c->threads].revents == 0) {
        if (poll(c->poll, c->threads + 1, -1) < 0 && errno != EINTR)
            return NULL; /* lost samples will tell */
        for (size_t i = 0; i < c->threads; i++) {
            drain(c, &c->thread[i]);
            /* An ended thread would make poll come back at once for ever. */
            if (c->poll[i].revents & (POLLHUP | POLLERR))
                c->poll[i].fd = -1;
        }
    }
    return NULL;
}

static int start_drainer(struct counter *c)
{
    sigset_t all, old;
    int err;

    c->stop = eventfd(0, EFD_CLOEXEC);
    if (c->stop < 0)
        return -errno;
    c->poll = calloc(c->threads + 1, sizeof *c->poll);
    if (!c->poll)
        return -ENOMEM;
    for (size_t i = 0; i < c->threads; i++)
        c->poll[i] =
            (struct pollfd){.fd = c->thread[i].event[EXITS], .events = POLLIN};
    c->poll[c->threads] = (struct pollfd){.fd = c->stop, .events = POLLIN};
    (void)sigfillset(&all); /* signals are for the caller's own thread */
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    err = pthread_create(&c->drainer, NULL, drainer, c);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    c->draining = err == 0;
    return -err;
}

static void stop_drainer(struct counter *c)
{
    if (!c->draining)
        return;
    (void)eventfd_write(c->stop, 1); /* fails only near 2^64 */
    (void)pthread_join(c->drainer, NULL);
    c->draining = false;
}

/* ---- the way through ---------------------------------------------------- */

int count_perf_begin(struct counter *c)
{
    int err = find_tracepoints(c->tracepoint);

    if (!err)
        err = open_threads(c);
    return err ? err : start_drainer(c);
}

int count_perf_switch(struct counter *c, bool on)
{
    unsigned long what = on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE;

    for (size_t i = 0; i < c->threads; i++)
        for (int e = 0; e < EVENTS; e++)
            if (ioctl(c->thread[i].event[e], what, 0) < 0)
                return -errno;
    return 0;
}

/* Did we see all that happened? But for one call: which the thread is about
 * to return from just when its event is disabled may have been counted, and
 * then isn't sampled any more. It is outside or inside as you like. */
static int check_seen(const struct thread *t)
{
    for (int e = 0; e < EVENTS; e++) {
        uint64_t counted;

        if (read(t->event[e], &counted, sizeof counted) != sizeof counted)
            return -EIO;
        if (counted - t->seen[e] > 1)
            return -ENOBUFS;
    }
    return 0;
}

int count_perf_end(struct counter *c)
{
    int err = 0;

    stop_drainer(c); /* it empties the rings a last time */
    for (size_t i = 0; i < c->threads && !err; i++)
        err = check_seen(&c->thread[i]);
    return err;
}

void count_perf_free(struct counter *c)
{
    stop_drainer(c);
    for (size_t i = 0; i < c->threads; i++)
        close_thread(&c->thread[i]);
    if (c->stop >= 0)
        (void)close(c->stop); /* nothing to lose */
    free(c->poll);
}

/* ---- what is possible here ---------------------------------------------- */

static const char *cure(int err)
{
    if (geteuid() != 0)
        return "run it as root";
    if (err == -ENOENT)
        return "mount -t tracefs tracefs /sys/kernel/tracing";
    return "in a container this needs CAP_PERFMON and a seccomp profile that "
           "lets it through";
}

int count_perf_try(char *why, size_t cap)
{
    struct thread self = COUNT_NO_THREAD; /* tid 0: whoever calls */
    const char *what =
        "perf's tracepoints in /sys/kernel/tracing can't be read";
    int tracepoint[EVENTS];
    int err = find_tracepoints(tracepoint);

    if (!err) {
        what = "perf_event_open(2) is refused";
        err = open_thread(&self, tracepoint, RING_MIN);
        close_thread(&self);
    }
    if (err)
        (void)snprintf(why, cap, "%s (%s): %s", what, strerror(-err),
                       cure(err));
    return err;
}
