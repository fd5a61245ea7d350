/*
 * count.c - see count.h
 *
 *      watched thread           kernel                       this process
 *      read(...) = 100  -->  event sys_exit {0, 100}  -->  ring --> struct kind
 *                            strace: "read(...) = 0x64" -> file --> struct kind
 *
 * A call counts when it returns: then its number and its result are known, and
 * with the result, for nearly all calls, how many bytes were moved. What is
 * still blocked at the end doesn't count; what was blocked at the beginning
 * and returns does.
 *
 * Every call is sampled, not one in a thousand: only that tells names, failures
 * and bytes exactly. A ring is full after some ten thousand calls, and a
 * process that spins makes them in some ten milliseconds: so a thread empties
 * the rings. It sleeps until one is a quarter full, which no case that blocks
 * ever reaches; so it disturbs only who spins anyway. Should the kernel have
 * dropped samples all the same, the event's own count, which never drops one, is
 * higher than their number: then there is no result.
 *
 * Calls: perf_event_open(2) and its PERF_EVENT_IOC_*, mmap(2) of the rings,
 * poll(2), eventfd(2); /proc/PID/task and .../status; for strace
 * posix_spawnp(3), memfd_create(2), waitpid(2).
 *
 * Left out on purpose: threads and processes that are started later; programs
 * of another word size than ours, whose calls have other numbers; inherited
 * events (cpu -1 and inherit can't be mapped); BPF, which could add up in the
 * kernel, but for root alone.
 *
 * It needs _GNU_SOURCE for syscall, memfd_create and the names of errors.
 */
#define _GNU_SOURCE
#include "count.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NUMBERS   1024 /* system calls have lower numbers */
#define KINDS     100  /* different calls of one counter */
#define NO_KIND   0xff
#define RINGS_MAX (64u << 20) /* bytes of all rings together */
#define RING_MAX  (4u << 20)  /* ... of one */
#define RING_MIN  (64u << 10)
#define ATTACH_MS 5000 /* strace does it in 10 ms */
#define DETACH_MS 2000

/* ---- system calls ------------------------------------------------------- */

#define NAME(call) [SYS_##call] = #call

/* Those that the five mechanisms and their peers make. Another one is called
 * by its number. (clang-format would give each a line of its own.) */
/* clang-format off */
static const char *const names[NUMBERS] = {
    NAME(read), NAME(readv), NAME(pread64), NAME(preadv), NAME(preadv2),
    NAME(write), NAME(writev), NAME(pwrite64), NAME(pwritev), NAME(pwritev2),
    NAME(recvfrom), NAME(recvmsg), NAME(sendto), NAME(sendmsg),
    NAME(mq_timedreceive), NAME(process_vm_readv), NAME(process_vm_writev),
    NAME(recvmmsg), NAME(sendmmsg), NAME(io_uring_enter), NAME(mq_timedsend),
    NAME(clock_nanosleep), NAME(restart_syscall), NAME(sched_yield),
    NAME(nanosleep), NAME(ppoll), NAME(pselect6), NAME(epoll_ctl), NAME(epoll_pwait),
    NAME(futex), NAME(semop), NAME(semtimedop), NAME(mq_open), NAME(mq_unlink),
    NAME(mq_getsetattr), NAME(openat), NAME(close), NAME(fstat), NAME(lseek),
    NAME(fcntl), NAME(flock), NAME(ioctl), NAME(faccessat), NAME(unlinkat),
    NAME(ftruncate), NAME(fallocate), NAME(fsync), NAME(fdatasync), NAME(mmap),
    NAME(munmap), NAME(mprotect), NAME(mremap), NAME(msync), NAME(madvise),
    NAME(brk), NAME(socket), NAME(socketpair), NAME(bind), NAME(accept),
    NAME(accept4), NAME(connect), NAME(shutdown), NAME(getsockopt),
    NAME(setsockopt), NAME(pipe2), NAME(splice), NAME(vmsplice), NAME(eventfd2),
    NAME(clone), NAME(wait4), NAME(kill), NAME(tgkill), NAME(getpid),
    NAME(getppid), NAME(gettid), NAME(geteuid), NAME(getrandom),
    NAME(getrusage), NAME(clock_gettime), NAME(membarrier), NAME(rt_sigaction),
    NAME(rt_sigprocmask), NAME(rt_sigreturn), NAME(rt_sigtimedwait),
#ifdef SYS_newfstatat
    NAME(newfstatat),
#endif
#ifdef SYS_poll /* arm64 has only the newer forms of these */
    NAME(poll), NAME(select), NAME(epoll_wait), NAME(open), NAME(stat),
    NAME(access), NAME(unlink), NAME(pipe), NAME(pause),
#endif
};
/* clang-format on */

/* How to know how many bytes a call moved. */
enum moves {
    NOTHING,
    RESULT,  /* what it returned */
    LENGTH,  /* it returned 0: its third argument */
    UNKNOWN, /* it doesn't say */
    WAITING  /* a call of the benchmark itself: not counted at all */
};

static const struct {
    const char *name;
    enum moves moves;
} movers[] = {
    {"read", RESULT},
    {"readv", RESULT},
    {"pread64", RESULT},
    {"preadv", RESULT},
    {"preadv2", RESULT},
    {"write", RESULT},
    {"writev", RESULT},
    {"pwrite64", RESULT},
    {"pwritev", RESULT},
    {"pwritev2", RESULT},
    {"recvfrom", RESULT},
    {"recvmsg", RESULT},
    {"sendto", RESULT},
    {"sendmsg", RESULT},
    {"mq_timedreceive", RESULT},
    {"process_vm_readv", RESULT},
    {"process_vm_writev", RESULT},
    {"mq_timedsend", LENGTH},
    {"recvmmsg", UNKNOWN},
    {"sendmmsg", UNKNOWN},
    {"io_uring_enter", UNKNOWN},
    {"clock_nanosleep", WAITING},
    {"restart_syscall", WAITING},
    {"sched_yield", WAITING},
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- what is counted ---------------------------------------------------- */

struct kind {
    char name[COUNT_NAME_MAX];
    enum moves moves;
    uint64_t calls, failed;
};

enum { EXITS, SENDS, EVENTS };

/* A watched thread. */
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

struct counter {
    enum count_how how;
    struct thread *thread;
    size_t threads;

    /* Written by the drainer until it has ended. */
    struct kind kind[KINDS];
    size_t kinds;
    unsigned char kind_of[NUMBERS]; /* NO_KIND = not met yet */
    uint64_t copied;

    /* perf */
    int tracepoint[EVENTS]; /* ids */
    pthread_t drainer;
    bool draining;
    int stop;            /* eventfd: the drainer has to end; -1 = none */
    struct pollfd *poll; /* the rings, then `stop` */

    /* strace */
    pid_t strace; /* 0 = not started, or reaped */
    int log;      /* what it writes, a file without a name; -1 = none */
};

static enum moves moves_of(const char *name)
{
    for (size_t i = 0; i < COUNT(movers); i++)
        if (strcmp(movers[i].name, name) == 0)
            return movers[i].moves;
    return NOTHING;
}

/* The last of all kinds is for the rest, once there are too many. */
static struct kind *kind_named(struct counter *c, const char *name)
{
    struct kind *kind;

    for (size_t i = 0; i < c->kinds; i++)
        if (strcmp(c->kind[i].name, name) == 0)
            return &c->kind[i];
    if (c->kinds == KINDS)
        return &c->kind[KINDS - 1];
    kind = &c->kind[c->kinds++];
    (void)snprintf(kind->name, sizeof kind->name, "%s",
                   c->kinds == KINDS ? "others" : name);
    kind->moves = moves_of(kind->name);
    return kind;
}

static struct kind *kind_numbered(struct counter *c, long number)
{
    char name[COUNT_NAME_MAX];
    struct kind *kind;

    /* -1 is what a tracer leaves who doesn't let a call happen. */
    if (number < 0 || number >= NUMBERS)
        return kind_named(c, "others");
    if (c->kind_of[number] != NO_KIND)
        return &c->kind[c->kind_of[number]];
    (void)snprintf(name, sizeof name, "call %ld", number);
    kind = kind_named(c, names[number] ? names[number] : name);
    c->kind_of[number] = (unsigned char)(kind - c->kind);
    return kind;
}

/* One call has returned to its thread. */
static void note(struct counter *c, struct thread *t, struct kind *kind,
                 bool failed, uint64_t result)
{
    kind->calls++;
    kind->failed += failed;
    if (failed)
        return;
    if (kind->moves == RESULT)
        c->copied += result;
    else if (kind->moves == LENGTH)
        c->copied += t->sending;
}

/* ---- /proc -------------------------------------------------------------- */

/* The word after "key:" in a thread's status file: 0 or -ESRCH. */
static int status_word(pid_t pid, pid_t tid, const char *key, char word[32])
{
    char path[64], line[256];
    size_t len = strlen(key);
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid,
                   (int)tid);
    word[0] = '\0';
    f = fopen(path, "re");
    if (!f)
        return errno == ENOENT ? -ESRCH : -errno;
    while (!word[0] && fgets(line, sizeof line, f))
        if (strncmp(line, key, len) == 0 && line[len] == ':')
            (void)sscanf(line + len + 1, "%31s", word); /* "" if there's none */
    (void)fclose(f);                                    /* only read */
    return word[0] ? 0 : -ESRCH;
}

static int status_number(pid_t pid, pid_t tid, const char *key, uint64_t *value)
{
    char word[32];
    int err = status_word(pid, tid, key, word);

    if (!err)
        *value = strtoull(word, NULL, 10);
    return err;
}

/* A status file is one thread's, also /proc/PID/status: so add them up. */
static int switches(const struct thread *t, uint64_t *voluntary,
                    uint64_t *involuntary)
{
    int err =
        status_number(t->pid, t->tid, "voluntary_ctxt_switches", voluntary);

    return err ? err
               : status_number(t->pid, t->tid, "nonvoluntary_ctxt_switches",
                               involuntary);
}

static int add_thread(struct counter *c, pid_t pid, pid_t tid)
{
    struct thread *more =
        realloc(c->thread, (c->threads + 1) * sizeof *c->thread);

    if (!more)
        return -ENOMEM;
    c->thread = more;
    c->thread[c->threads++] =
        (struct thread){.pid = pid, .tid = tid, .event = {-1, -1}};
    return 0;
}

static int add_threads(struct counter *c, pid_t pid)
{
    char path[32];
    DIR *dir;
    int err = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? -ESRCH : -errno;
    for (struct dirent *e; !err && (e = readdir(dir));)
        if (isdigit((unsigned char)e->d_name[0]))
            err = add_thread(c, pid, (pid_t)strtol(e->d_name, NULL, 10));
    (void)closedir(dir); /* only read */
    return err;
}

/* ---- perf --------------------------------------------------------------- */

/* The number that this kernel gave to a tracepoint, or -errno. */
static int tracepoint_id(const char *name)
{
    static const char *const roots[] = {"/sys/kernel/tracing",
                                        "/sys/kernel/debug/tracing"};
    int err = -ENOENT;

    for (size_t i = 0; i < COUNT(roots); i++) {
        char path[96];
        FILE *f;
        int id;

        (void)snprintf(path, sizeof path, "%s/events/raw_syscalls/%s/id",
                       roots[i], name);
        f = fopen(path, "re");
        if (!f) {
            err = err == -ENOENT ? -errno : err;
            continue;
        }
        if (fscanf(f, "%d", &id) != 1)
            id = -EIO;
        (void)fclose(f); /* only read */
        return id;
    }
    return err;
}

static int find_tracepoints(struct counter *c)
{
    c->tracepoint[EXITS] = tracepoint_id("sys_exit");
    c->tracepoint[SENDS] = tracepoint_id("sys_enter");
    return c->tracepoint[EXITS] < 0   ? c->tracepoint[EXITS]
           : c->tracepoint[SENDS] < 0 ? c->tracepoint[SENDS]
                                      : 0;
}

/* One event of one thread, on whatever CPU it runs; not enabled yet. */
static int open_event(struct counter *c, struct thread *t, int which,
                      size_t wakeup)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT,
                                   .size = sizeof attr,
                                   .config = (unsigned)c->tracepoint[which],
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

/* A user without CAP_IPC_LOCK may lock only so much memory (EPERM beyond). */
static int map_ring(struct thread *t, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (; size >= RING_MIN; size /= 2) {
        void *ring = mmap(NULL, page + size, PROT_READ | PROT_WRITE, MAP_SHARED,
                          t->event[EXITS], 0);

        if (ring != MAP_FAILED) {
            t->ring = ring;
            t->ring_size = size;
            return 0;
        }
        if (errno != EPERM && errno != ENOMEM)
            break;
    }
    return -errno;
}

/*
 * Two events into one ring, so that they stay in order: every return from a
 * call; and the begin of each mq_timedsend, which returns 0, so that only its
 * argument tells how long the message was.
 */
static int open_thread(struct counter *c, struct thread *t, size_t size)
{
    char only[32];
    int err = open_event(c, t, EXITS, size / 4);

    if (!err)
        err = map_ring(t, size);
    if (!err)
        err = open_event(c, t, SENDS, size / 4);
    if (err)
        return err;
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
    for (int i = 0; i < EVENTS; i++) {
        if (t->event[i] >= 0)
            (void)close(t->event[i]); /* nothing was written to it */
        t->event[i] = -1;
    }
}

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
    note(c, t, kind_numbered(c, raw.number),
         raw.value[0] < 0 && raw.value[0] >= -4095, (uint64_t)raw.value[0]);
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
    c->poll = calloc(c->threads + 1, sizeof *c->poll);
    if (c->stop < 0 || !c->poll)
        return c->poll ? -errno : -ENOMEM;
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

/* So that all rings together stay within RINGS_MAX. */
static size_t ring_size(size_t threads)
{
    size_t size = RING_MAX;

    while (size > RING_MIN && size * threads > RINGS_MAX)
        size /= 2;
    return size;
}

static int begin_perf(struct counter *c)
{
    int err = find_tracepoints(c);

    for (size_t i = 0; i < c->threads && !err; i++)
        err = open_thread(c, &c->thread[i], ring_size(c->threads));
    return err ? err : start_drainer(c);
}

/* For all threads; last of all in count_begin, first of all in count_end. */
static int enable(struct counter *c, bool on)
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

static int end_perf(struct counter *c)
{
    int err = 0;

    stop_drainer(c); /* it empties the rings a last time */
    for (size_t i = 0; i < c->threads && !err; i++)
        err = check_seen(&c->thread[i]);
    return err;
}

/* ---- strace ------------------------------------------------------------- */

static void sleep_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/*
 * Is strace gone? Then it is reaped. One that is ended while it starts may
 * leave a child behind, on which it tries what this kernel can do. That one is
 * in its process group, whose number nobody else can get as long as strace
 * isn't reaped.
 */
static bool strace_ended(struct counter *c)
{
    siginfo_t info = {0};

    if (!c->strace)
        return true;
    if (waitid(P_PID, (id_t)c->strace, &info, WEXITED | WNOHANG | WNOWAIT) ==
        0) {
        if (info.si_pid == 0)
            return false;
        (void)kill(-c->strace, SIGKILL); /* itself at least is there */
        (void)waitpid(c->strace, NULL, WNOHANG);
    }
    c->strace = 0; /* reaped: if not by us, then by somebody else */
    return true;
}

/* "-p" takes "17,18,19". */
static char *pid_list(const pid_t *pid, size_t n)
{
    size_t cap = n * 12 + 1, len = 0;
    char *list = calloc(cap, 1);

    for (size_t i = 0; list && i < n; i++)
        len += (size_t)snprintf(list + len, cap - len, "%s%d", i ? "," : "",
                                (int)pid[i]);
    return list;
}

/* We may have blocked the signal that is to end it; and the terminal's Ctrl-C
 * isn't for it: it ends when we say so. */
static int spawn_apart(posix_spawnattr_t *attr)
{
    sigset_t none;
    int err;

    (void)sigemptyset(&none); /* can't fail */
    err = posix_spawnattr_setsigmask(attr, &none);
    if (!err)
        err = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK |
                                                 POSIX_SPAWN_SETPGROUP);
    return err;
}

/* Nothing to read and nothing to say, but for the log as descriptor 3. */
static int spawn_files(posix_spawn_file_actions_t *files, int log)
{
    int err = 0;

    for (int fd = 0; fd < 3 && !err; fd++)
        err =
            posix_spawn_file_actions_addopen(files, fd, "/dev/null", O_RDWR, 0);
    return err ? err : posix_spawn_file_actions_adddup2(files, log, 3);
}

/*
 * It writes to a file without a name, which is gone with its last descriptor,
 * whoever is killed. All arguments as bare numbers (raw=all): then no string
 * and no structure can look like something else.
 */
static int start_strace(struct counter *c, const char *pids)
{
    const char *const argv[] = {"strace",          "-f", "-qq",     "-e",
                                "signal=none",     "-e", "raw=all", "-o",
                                "/proc/self/fd/3", "-p", pids,      NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    int err;

    c->log = memfd_create("strace", MFD_CLOEXEC);
    if (c->log < 0)
        return -errno;
    err = posix_spawn_file_actions_init(&files);
    if (err)
        return -err;
    err = posix_spawnattr_init(&attr);
    if (!err)
        err = spawn_apart(&attr);
    if (!err)
        err = spawn_files(&files, c->log);
    if (!err)
        err = posix_spawnp(&c->strace, argv[0], &files, &attr,
                           (char *const *)argv, /* its type predates const */
                           environ);
    (void)posix_spawnattr_destroy(&attr); /* can't fail on Linux */
    (void)posix_spawn_file_actions_destroy(&files);
    return -err;
}

/* Is it watched? 0 = not yet, 1, or -ESRCH. */
static int attached(const struct counter *c, const struct thread *t)
{
    char state[32];
    uint64_t tracer;
    int err = status_number(t->pid, t->tid, "TracerPid", &tracer);

    if (!err)
        err = status_word(t->pid, t->tid, "State", state);
    if (err)
        return err;
    return *state == 'Z' ? -ESRCH : tracer == (uint64_t)c->strace;
}

/*
 * strace seizes a thread, interrupts it, and then waits for something to
 * happen: once every thread is its own and it sleeps, nothing gets past it.
 * That is seen in /proc; there is no event to wait for.
 */
static int all_attached(const struct counter *c)
{
    char state[32];
    int is = 1;

    for (size_t i = 0; i < c->threads && is > 0; i++)
        is = attached(c, &c->thread[i]);
    if (is > 0)
        is = status_word(c->strace, c->strace, "State", state) == 0 &&
             *state == 'S';
    return is;
}

static int begin_strace(struct counter *c, const pid_t *pid, size_t n)
{
    char *pids = pid_list(pid, n);
    int err = pids ? start_strace(c, pids) : -ENOMEM;

    free(pids);
    for (int ms = 0; !err && ms < ATTACH_MS; ms++) {
        int is = all_attached(c);

        if (is)
            return is > 0 ? 0 : is;
        if (strace_ended(c))
            return -EPERM; /* it has said why to /dev/null */
        sleep_ms(1);
    }
    return err ? err : -ETIMEDOUT;
}

/* Told to end it lets its processes go on; so it does when killed, but then
 * the last lines may be missing. */
static int stop_strace(struct counter *c)
{
    if (strace_ended(c))
        return -ESRCH;
    (void)kill(c->strace, SIGTERM); /* it is our child: it is there */
    for (int ms = 0; ms < DETACH_MS; ms++) {
        if (strace_ended(c))
            return 0;
        sleep_ms(1);
    }
    (void)kill(c->strace, SIGKILL);
    while (!strace_ended(c))
        sleep_ms(1);
    return -ETIMEDOUT;
}

/* The third argument of a call, or 0. */
static uint64_t third(const char *arguments)
{
    for (int i = 0; i < 2 && arguments; i++)
        arguments = strchr(arguments + 1, ',');
    return arguments ? strtoull(arguments + 1, NULL, 0) : 0;
}

/*
 *      17 read(0x3, 0x7ffc1234, 0x64) = 0x64
 *      17 read(0x3, 0x7ffc1234, 0x64) = -1 EAGAIN (Resource temporarily ...)
 *      17 read(0x3, 0x7ffc1234, 0x64 <unfinished ...>
 *      17 <... read resumed>) = 0x64
 *      17 exit_group(0) = ?
 */
static void take_line(struct counter *c, const char *line)
{
    char *at, name[COUNT_NAME_MAX];
    pid_t tid = (pid_t)strtol(line, &at, 10);
    const char *result = strstr(at, " = ");
    struct thread *t = c->thread;
    bool resumed;

    while (t < c->thread + c->threads && t->tid != tid)
        t++;
    if (t == c->thread + c->threads)
        return; /* started later: not watched */
    at += strspn(at, " ");
    resumed = strncmp(at, "<... ", 5) == 0;
    at += resumed ? 5 : 0;
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(at, " ("), at);
    if (!islower((unsigned char)name[0]))
        return; /* "+++ exited": not a call */
    if (!resumed)
        t->sending = third(strchr(at, '('));
    result = result ? result + 3 : "?"; /* unfinished: no result yet */
    if (*result != '?')
        note(c, t, kind_named(c, name), *result == '-',
             strtoull(result, NULL, 0));
}

static int end_strace(struct counter *c)
{
    int err = stop_strace(c);
    char *line = NULL;
    size_t cap = 0;
    FILE *f;

    if (err)
        return err;
    f = fdopen(c->log, "r");
    if (!f)
        return -errno;
    c->log = -1; /* f's now */
    while (getline(&line, &cap, f) >= 0)
        take_line(c, line);
    err = ferror(f) ? -EIO : 0;
    free(line);
    (void)fclose(f); /* only read */
    return err;
}

/* ---- results ------------------------------------------------------------ */

/* The most frequent first; then by name, so that equal ones don't jump. */
static int by_calls(const void *a, const void *b)
{
    const struct kind *x = a, *y = b;

    if (x->calls != y->calls)
        return x->calls < y->calls ? 1 : -1;
    return strcmp(x->name, y->name);
}

static void fill_calls(struct counter *c, double requests, struct counts *out)
{
    size_t shown = 0;

    qsort(c->kind, c->kinds, sizeof c->kind[0], by_calls);
    out->copied = (double)c->copied / requests;
    for (size_t i = 0; i < c->kinds; i++) {
        const struct kind *kind = &c->kind[i];

        if (kind->moves == WAITING)
            continue;
        if (kind->moves == UNKNOWN && kind->calls > kind->failed)
            out->copied = NAN;
        out->calls += (double)kind->calls / requests;
        if (shown == COUNT_NAMES)
            continue;
        memcpy(out->call[shown].name, kind->name, sizeof kind->name);
        out->call[shown].calls = (double)kind->calls / requests;
        out->call[shown++].failed = (double)kind->failed / requests;
    }
}

/* Since the counting began. A thread that has ended takes its number with it;
 * and strace, which stops a thread twice a call, makes four of its own. */
static void fill_switches(const struct counter *c, double requests,
                          struct counts *out)
{
    if (c->how != COUNT_PERF)
        out->voluntary = out->involuntary = NAN;
    for (size_t i = 0; i < c->threads && !isnan(out->voluntary); i++) {
        const struct thread *t = &c->thread[i];
        uint64_t voluntary = 0, involuntary = 0;

        if (switches(t, &voluntary, &involuntary) < 0) {
            out->voluntary = out->involuntary = NAN;
            return;
        }
        out->voluntary += (double)(voluntary - t->voluntary) / requests;
        out->involuntary += (double)(involuntary - t->involuntary) / requests;
    }
}

/* ---- counting ----------------------------------------------------------- */

static void counter_free(struct counter *c)
{
    stop_drainer(c);
    if (c->strace)
        (void)stop_strace(c); /* after another error */
    for (size_t i = 0; i < c->threads; i++)
        close_thread(&c->thread[i]);
    if (c->stop >= 0)
        (void)close(c->stop); /* nothing to lose */
    if (c->log >= 0)
        (void)close(c->log);
    free(c->poll);
    free(c->thread);
    free(c);
}

static struct counter *counter_new(enum count_how how)
{
    struct counter *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->how = how;
    c->stop = c->log = -1;
    memset(c->kind_of, NO_KIND, sizeof c->kind_of);
    return c;
}

static int begin(struct counter *c, const pid_t *pid, size_t n)
{
    int err = 0;

    for (size_t i = 0; i < n && !err; i++)
        err = add_threads(c, pid[i]);
    if (!err && c->how == COUNT_STRACE)
        return begin_strace(c, pid, n);
    if (!err)
        err = begin_perf(c);
    for (size_t i = 0; i < c->threads && !err; i++)
        err = switches(&c->thread[i], &c->thread[i].voluntary,
                       &c->thread[i].involuntary);
    return err ? err : enable(c, true);
}

int count_begin(struct counter **out, enum count_how how, const pid_t *pid,
                size_t n)
{
    struct counter *c;
    int err;

    *out = NULL;
    if ((how != COUNT_PERF && how != COUNT_STRACE) || n == 0)
        return -EINVAL;
    c = counter_new(how);
    if (!c)
        return -ENOMEM;
    err = begin(c, pid, n);
    if (err)
        counter_free(c);
    else
        *out = c;
    return err;
}

int count_end(struct counter *c, uint64_t requests, struct counts *out)
{
    int err = requests ? 0 : -EINVAL;

    *out = (struct counts){.how = c->how};
    if (!err && c->how == COUNT_PERF)
        err = enable(c, false);
    if (!err)
        fill_switches(c, (double)requests, out);
    if (!err)
        err = c->how == COUNT_PERF ? end_perf(c) : end_strace(c);
    if (!err)
        fill_calls(c, (double)requests, out);
    counter_free(c);
    return err;
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

/* 0, or -errno and in why[cap] what is missing and how to get it. */
static int try_perf(char *why, size_t cap)
{
    struct counter *c = counter_new(COUNT_PERF);
    struct thread self = {.event = {-1, -1}}; /* tid 0: whoever calls */
    const char *what =
        "perf's tracepoints in /sys/kernel/tracing can't be read";
    int err = c ? find_tracepoints(c) : -ENOMEM;

    if (!err) {
        what = "perf_event_open(2) is refused";
        err = open_thread(c, &self, RING_MIN);
    }
    (void)snprintf(why, cap, "%s (%s): %s", what, strerror(-err), cure(err));
    close_thread(&self);
    if (c)
        counter_free(c);
    return err;
}

/* On a child as the benchmark has them; 0 or -errno. */
static int try_strace(void)
{
    struct counter *c;
    struct counts counts;
    pid_t parent = getpid(), pid = fork();
    int err;

    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* can't fail for a signal */
        (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* without Yama: no */
        while (getppid() == parent)
            (void)pause();
        _exit(0);
    }
    if (pid < 0)
        return -errno;
    err = count_begin(&c, COUNT_STRACE, &pid, 1);
    if (!err)
        err = count_end(c, 1, &counts);
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return err;
}

enum count_how count_possible(char *why, size_t cap)
{
    char perf[240];
    int err = try_perf(perf, sizeof perf);

    (void)snprintf(why, cap, "%s", err ? perf : "");
    if (!err)
        return COUNT_PERF;
    err = try_strace();
    if (!err)
        return COUNT_STRACE;
    if (err == -ENOENT)
        (void)snprintf(why, cap, "%s; and strace is not installed", perf);
    else
        (void)snprintf(why, cap, "%s; and strace fails (%s)", perf,
                       strerror(-err));
    return COUNT_NOT;
}
