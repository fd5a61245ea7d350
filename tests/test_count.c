/*
 * test_count.c - are system calls counted exactly?
 *
 * Children whose calls are known, watched in both ways (perf, strace) where
 * they are open: what is counted must be what they did, call for call and byte
 * for byte. A child waits for its signal, and after its work, in
 * clock_nanosleep, which isn't counted: so nothing has to be allowed for.
 *
 * It needs _GNU_SOURCE for pipe2, sched_setaffinity and gettid.
 */
#define _GNU_SOURCE
#include "count.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define TURNS    200
#define FLOOD    300000 /* more than a ring holds */
#define THREADS  3
#define NOBODY   65534

/* ThreadSanitizer gives each process a thread that makes calls of its own: the
 * total is more than what the child did then. */
#if defined(__SANITIZE_THREAD__)
#define ALONE false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ALONE false
#endif
#endif
#ifndef ALONE
#define ALONE true
#endif

/* ---- the wrapped call --------------------------------------------------- */

int __real_poll(struct pollfd *p, nfds_t n, int ms);
int __wrap_poll(struct pollfd *p, nfds_t n, int ms);

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static atomic_bool drainer_sleeps; /* it is the only one who polls in a case */

int __wrap_poll(struct pollfd *p, nfds_t n, int ms)
{
    while (atomic_load(&drainer_sleeps))
        nap();
    return __real_poll(p, n, ms);
}

/* ---- children ----------------------------------------------------------- */

/* In memory that all processes of a case share. */
static struct stage {
    atomic_int ready, done;
    atomic_bool go;
    atomic_uint beats; /* how often the child has woken after its work */
} * stage;

static int ends[2][2]; /* two pipes */
static mqd_t queue[3]; /* there, back, and a full one */

static void on_stage(void (*work)(void))
{
    atomic_fetch_add(&stage->ready, 1);
    while (!atomic_load(&stage->go))
        nap();
    work();
    atomic_fetch_add(&stage->done, 1);
}

/* On one CPU each of a pair blocks once a round trip, wherever the test runs.
 * Only the children: who watches them must not need their turn. */
static bool share_cpu;

static void take_cpu(void)
{
    cpu_set_t all, one;

    CPU_ZERO(&one);
    REQUIRE_INT(0, sched_getaffinity(0, sizeof all, &all));
    for (unsigned i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    REQUIRE_INT(0, sched_setaffinity(0, sizeof one, &one));
}

static pid_t begin_child(void (*work)(void))
{
    pid_t pid = fork();

    REQUIRE(pid >= 0);
    if (pid > 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* for strace and Yama */
    if (share_cpu) {
        take_cpu();
        for (int i = 0; i < 2 * TURNS; i++) /* switches from before counting */
            nap();
    }
    on_stage(work);
    for (;;) { /* until it is killed; and no other call, it would count */
        atomic_fetch_add(&stage->beats, 1);
        nap();
    }
}

static void end_child(pid_t pid)
{
    EXPECT_INT(0, kill(pid, SIGKILL));
    EXPECT_INT(pid, waitpid(pid, NULL, 0));
}

static void wait_for(atomic_int *number, int value)
{
    time_t start = time(NULL);

    while (atomic_load(number) < value && time(NULL) < start + 12)
        nap();
    REQUIRE(atomic_load(number) >= value);
}

static void make_stage(void)
{
    stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(stage != MAP_FAILED);
}

/* Is it a reason that lies in this machine or in what we may do here? */
static bool good_reason(const char *why)
{
    static const int reasons[] = {EACCES, EPERM, ENOENT, ENOSYS};

    for (size_t i = 0; i < COUNT(reasons); i++)
        if (strstr(why, strerror(reasons[i])))
            return true;
    return false;
}

/* Try strace, also where count_possible doesn't come to it: 0 or -errno. */
static int try_strace(void)
{
    struct counts counts;
    struct counter *c;
    pid_t pid = begin_child(nap);
    int err = count_begin(&c, COUNT_STRACE, &pid, 1);

    if (!err)
        err = count_end(c, 1, &counts);
    end_child(pid);
    return err;
}

/* Is this way open? Else the case is skipped. */
static bool is_open(enum count_how how)
{
    char why[300] = "";
    int err = 0;

    make_stage();
    if (how == COUNT_PERF) {
        (void)count_possible(why, sizeof why);
    } else if ((err = try_strace()) < 0) {
        (void)snprintf(why, sizeof why, "strace: %s", strerror(-err));
    }
    make_stage(); /* a new one */
    if (!why[0])
        return true;
    REQUIRE(good_reason(why));
    harness_skip("%s", why);
    return false;
}

/* Watch these children while `workers` of them or of their threads work. */
static struct counts watch(enum count_how how, const pid_t *pid, size_t n,
                           int workers, uint64_t requests)
{
    struct counts counts = {0};
    struct counter *c;

    wait_for(&stage->ready, workers);
    REQUIRE_INT(0, count_begin(&c, how, pid, n));
    atomic_store(&stage->go, true);
    wait_for(&stage->done, workers);
    REQUIRE_INT(0, count_end(c, requests, &counts));
    EXPECT_INT(how, counts.how);
    return counts;
}

static struct counts watch_one(enum count_how how, void (*work)(void),
                               uint64_t requests)
{
    pid_t pid = begin_child(work);
    struct counts counts = watch(how, &pid, 1, 1, requests);

    end_child(pid);
    return counts;
}

/* Only forgives what dividing by the number of requests leaves. */
static bool near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static void expect_total(const struct counts *counts, double calls)
{
    EXPECT(near(calls, counts->calls) || (!ALONE && counts->calls > calls));
}

static void expect_call(const struct counts *counts, size_t i, const char *name,
                        double calls, double failed)
{
    EXPECT_STR(name, counts->call[i].name);
    EXPECT(near(calls, counts->call[i].calls));
    EXPECT(near(failed, counts->call[i].failed));
}

/* ---- one process -------------------------------------------------------- */

static void make_pipes(void)
{
    for (int i = 0; i < 2; i++)
        REQUIRE_INT(0, pipe2(ends[i], 0));
}

static void close_pipes(void)
{
    for (int i = 0; i < 4; i++)
        EXPECT_INT(0, close(ends[i / 2][i % 2]));
}

/* A write, a read, and a read that fails; and calls that don't count. */
static void three_calls(void)
{
    char bytes[100] = {0};

    for (int i = 0; i < TURNS; i++) {
        if (write(ends[0][1], bytes, sizeof bytes) != sizeof bytes ||
            read(ends[0][0], bytes, sizeof bytes) != sizeof bytes ||
            read(ends[0][0], bytes, sizeof bytes) != -1)
            _exit(1);
        (void)sched_yield();
        if (i % 50 == 0)
            nap();
    }
}

static void expect_three_calls(const struct counts *counts)
{
    expect_total(counts, 3);
    EXPECT(near(200, counts->copied));
    expect_call(counts, 0, "read", 2, 1);
    expect_call(counts, 1, "write", 1, 0);
    if (ALONE)
        EXPECT_STR("", counts->call[2].name);
}

static void exact(enum count_how how)
{
    struct counts counts;

    make_pipes();
    REQUIRE_INT(0, fcntl(ends[0][0], F_SETFL, O_NONBLOCK));
    counts = watch_one(how, three_calls, TURNS);
    expect_three_calls(&counts);
    EXPECT(isnan(counts.voluntary) == (how == COUNT_STRACE));
    EXPECT(isnan(counts.involuntary) == (how == COUNT_STRACE));
    close_pipes();
}

/* Call number i of these is made i + 1 times. */
static const long many[] = {SYS_getpgid,     SYS_getpid,  SYS_getppid,
                            SYS_gettid,      SYS_geteuid, SYS_getuid,
                            SYS_getgid,      SYS_getegid, SYS_umask,
                            SYS_sched_yield, SYS_getsid};

static void many_calls(void)
{
    for (size_t i = 0; i < COUNT(many); i++)
        for (size_t n = 0; n <= i; n++)
            (void)syscall(many[i], 0);
}

/* More than there is room for: the most frequent are shown, all are in the
 * sum. One without a name has its number. */
static void crowd(enum count_how how)
{
    struct counts counts;
    char name[COUNT_NAME_MAX];

    if (!ALONE) {
        harness_skip("its own calls are not the most frequent");
        return;
    }
    counts = watch_one(how, many_calls, 1);
    (void)snprintf(name, sizeof name, "call %d", SYS_getsid);
    expect_call(&counts, 0, how == COUNT_PERF ? name : "getsid", 11, 0);
    for (size_t i = 1; i < COUNT_NAMES; i++) /* 10 is sched_yield */
        EXPECT(near(10 - (double)i, counts.call[i].calls));
    EXPECT_STR("getppid", counts.call[COUNT_NAMES - 1].name);
    expect_total(&counts, 56);
    EXPECT(near(0, counts.copied));
}

static void flood_calls(void)
{
    char byte;

    for (int i = 0; i < FLOOD; i++)
        if (read(ends[0][0], &byte, 1) != -1)
            _exit(1);
}

static void flood(enum count_how how)
{
    struct counts counts;

    if (!ALONE) {
        harness_skip("ThreadSanitizer is too slow to keep up");
        return;
    }
    make_pipes();
    REQUIRE_INT(0, fcntl(ends[0][0], F_SETFL, O_NONBLOCK));
    counts = watch_one(how, flood_calls, FLOOD);
    expect_total(&counts, 1);
    expect_call(&counts, 0, "read", 1, 1);
    close_pipes();
}

/* Nobody empties the rings: no numbers then, rather than wrong ones. */
static void lost(enum count_how how)
{
    struct counts counts;
    struct counter *c;
    pid_t pid;

    make_pipes();
    REQUIRE_INT(0, fcntl(ends[0][0], F_SETFL, O_NONBLOCK));
    pid = begin_child(flood_calls);
    wait_for(&stage->ready, 1);
    atomic_store(&drainer_sleeps, true);
    REQUIRE_INT(0, count_begin(&c, how, &pid, 1));
    atomic_store(&stage->go, true);
    wait_for(&stage->done, 1);
    atomic_store(&drainer_sleeps, false);
    EXPECT_INT(-ENOBUFS, count_end(c, FLOOD, &counts));
    end_child(pid);
    close_pipes();
}

/* ---- several ------------------------------------------------------------ */

static void write_calls(void)
{
    for (int i = 0; i < TURNS; i++)
        if (write(ends[0][1], "0123456789", 10) != 10)
            _exit(1);
}

static void *writer(void *arg)
{
    (void)arg;
    on_stage(write_calls);
    while (atomic_load(&stage->go)) /* until it is killed */
        nap();
    return NULL;
}

static void threaded(enum count_how how)
{
    struct counts counts;
    pid_t pid;

    ends[0][1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
    REQUIRE(ends[0][1] >= 0);
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        pthread_t id;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
        for (int i = 0; i < THREADS; i++)
            REQUIRE_INT(0, pthread_create(&id, NULL, writer, NULL));
        (void)writer(NULL);
    }
    counts = watch(how, &pid, 1, THREADS + 1, TURNS);
    end_child(pid);
    expect_total(&counts, THREADS + 1);
    EXPECT(near(10 * (THREADS + 1), counts.copied));
    expect_call(&counts, 0, "write", THREADS + 1, 0);
    EXPECT_INT(0, close(ends[0][1]));
}

static void ping(void)
{
    char bytes[100] = {0};

    for (int i = 0; i < TURNS; i++)
        if (write(ends[0][1], bytes, sizeof bytes) != sizeof bytes ||
            read(ends[1][0], bytes, sizeof bytes) != sizeof bytes)
            _exit(1);
}

static void pong(void)
{
    char bytes[100];

    for (int i = 0; i < TURNS; i++)
        if (read(ends[0][0], bytes, sizeof bytes) != sizeof bytes ||
            write(ends[1][1], bytes, sizeof bytes) != sizeof bytes)
            _exit(1);
}

static struct counts watch_pair(enum count_how how, void (*one)(void),
                                void (*other)(void))
{
    struct counts counts;
    pid_t pid[2];

    share_cpu = true;
    pid[0] = begin_child(one);
    pid[1] = begin_child(other);
    counts = watch(how, pid, 2, 2, TURNS);
    end_child(pid[0]);
    end_child(pid[1]);
    return counts;
}

static void pair(enum count_how how)
{
    struct counts counts;
    double both;

    make_pipes();
    counts = watch_pair(how, ping, pong);
    expect_total(&counts, 4);
    EXPECT(near(400, counts.copied));
    expect_call(&counts, 0, "read", 2, 0);
    expect_call(&counts, 1, "write", 2, 0);
    both = counts.voluntary + counts.involuntary;
    EXPECT(how == COUNT_STRACE || (both > 1.9 && both < 3.5));
    close_pipes();
}

/* mq_timedsend returns 0, not how many bytes it took. One that fails took
 * none: into a full queue, with a deadline that has passed. */
static void queue_ping(void)
{
    static const struct timespec past = {.tv_sec = 1};
    char bytes[128] = {0};

    for (int i = 0; i < TURNS; i++)
        if (mq_send(queue[0], bytes, 100, 0) < 0 ||
            mq_receive(queue[1], bytes, sizeof bytes, NULL) != 50 ||
            mq_timedsend(queue[2], bytes, 70, 0, &past) == 0)
            _exit(1);
}

static void queue_pong(void)
{
    char bytes[128] = {0};

    for (int i = 0; i < TURNS; i++)
        if (mq_receive(queue[0], bytes, sizeof bytes, NULL) != 100 ||
            mq_send(queue[1], bytes, 50, 0) < 0)
            _exit(1);
}

static bool make_queues(void)
{
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 128};
    char name[64];

    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "/ipclab-count-%d-%d", (int)getpid(),
                       i);
        queue[i] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
        if (queue[i] == (mqd_t)-1) {
            while (i-- > 0)
                (void)mq_close(queue[i]);
            return false;
        }
        (void)mq_unlink(name); /* it lives on until it is closed */
    }
    return mq_send(queue[2], "full", 4, 0) == 0;
}

/* Two processes that block each other: strace writes many a call in two
 * halves, and the length is in the first. */
static void queues(enum count_how how)
{
    struct counts counts;

    if (!make_queues()) {
        harness_skip("no message queue: %s", strerror(errno));
        return;
    }
    counts = watch_pair(how, queue_ping, queue_pong);
    expect_total(&counts, 5);
    EXPECT(near(300, counts.copied));
    expect_call(&counts, 0, "mq_timedsend", 3, 1);
    expect_call(&counts, 1, "mq_timedreceive", 2, 0);
    for (int i = 0; i < 3; i++)
        EXPECT_INT(0, mq_close(queue[i]));
}

/* A process that is started later isn't watched. */
static void fork_calls(void)
{
    for (int i = 0; i < 5; i++) {
        pid_t pid = fork();

        for (int n = 0; pid == 0 && n < TURNS; n++)
            (void)syscall(SYS_getppid);
        if (pid == 0)
            _exit(0);
        if (pid < 0 || waitpid(pid, NULL, 0) != pid)
            _exit(1);
    }
}

static void later(enum count_how how)
{
    struct counts counts;
    bool waited = false;

    counts = watch_one(how, fork_calls, 5);
    for (size_t i = 0; i < COUNT_NAMES; i++) {
        EXPECT(strcmp(counts.call[i].name, "getppid") != 0);
        waited |= strcmp(counts.call[i].name, "wait4") == 0;
    }
    EXPECT(waited);
}

static void on_signal(int sig)
{
    (void)sig;
}

static void one_read(void)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    char byte;

    if (sigaction(SIGUSR1, &act, NULL) < 0 || read(ends[0][0], &byte, 1) != 1)
        _exit(1);
}

/* Is it blocked in a read? */
static bool reads(pid_t pid)
{
    char path[64];
    long number = -1;
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
    f = fopen(path, "re");
    if (f) {
        if (fscanf(f, "%ld", &number) != 1)
            number = -1;
        (void)fclose(f);
    }
    return number == SYS_read;
}

/* A read that the kernel begins again after a signal: two calls, of which one
 * came to nothing, though the program sees only one. */
static void again(enum count_how how)
{
    struct counts counts;
    struct counter *c;
    pid_t pid;

    make_pipes();
    pid = begin_child(one_read);
    wait_for(&stage->ready, 1);
    REQUIRE_INT(0, count_begin(&c, how, &pid, 1));
    atomic_store(&stage->go, true);
    while (!reads(pid))
        nap();
    REQUIRE_INT(0, kill(pid, SIGUSR1));
    for (int i = 0; i < 100; i++) /* it reads before and after */
        nap();
    REQUIRE_INT(1, write(ends[0][1], "x", 1));
    wait_for(&stage->done, 1);
    REQUIRE_INT(0, count_end(c, 1, &counts));
    end_child(pid);
    expect_call(&counts, 0, "read", 2, 1);
    EXPECT(near(1, counts.copied));
    close_pipes();
}

/* ---- when something goes wrong ------------------------------------------ */

struct death {
    enum count_how how;
    bool reaped; /* before the end of counting */
};

static const struct death deaths[] = {{COUNT_PERF, false},
                                      {COUNT_PERF, true},
                                      {COUNT_STRACE, false},
                                      {COUNT_STRACE, true}};

static double cpu_seconds(void)
{
    struct timespec t;

    REQUIRE_INT(0, clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t));
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* perf still has what it did, and doesn't wait for more as hard as it can;
 * strace ends with the last of its processes. */
static void died(const void *arg)
{
    const struct death *d = arg;
    struct counts counts;
    struct counter *c;
    double cpu;
    pid_t pid;
    int err, keep = d->reaped ? 0 : WNOWAIT;

    if (!is_open(d->how))
        return;
    make_pipes();
    REQUIRE_INT(0, fcntl(ends[0][0], F_SETFL, O_NONBLOCK));
    pid = begin_child(three_calls);
    wait_for(&stage->ready, 1);
    REQUIRE_INT(0, count_begin(&c, d->how, &pid, 1));
    atomic_store(&stage->go, true);
    wait_for(&stage->done, 1);
    REQUIRE_INT(0, kill(pid, SIGKILL));
    REQUIRE_INT(0, waitid(P_PID, (id_t)pid, NULL, WEXITED | keep));
    cpu = cpu_seconds();
    for (int i = 0; i < 500; i++)
        nap();
    EXPECT(cpu_seconds() - cpu < 0.06);
    err = count_end(c, TURNS, &counts);
    EXPECT(err == 0 || (err == -ESRCH && d->how == COUNT_STRACE));
    if (!err)
        expect_three_calls(&counts);
    EXPECT(!d->reaped || isnan(counts.voluntary));
    if (!d->reaped)
        EXPECT_INT(pid, waitpid(pid, NULL, 0));
    EXPECT_INT(-ESRCH, d->reaped ? count_begin(&c, d->how, &pid, 1) : -ESRCH);
    close_pipes();
}

/* Nobody below us is left, nor below somebody who has gone. */
static void expect_childless(void)
{
    pid_t pid = 0;

    for (int i = 0; i < 2000 && pid >= 0; i++) {
        pid = waitpid(-1, NULL, WNOHANG);
        nap();
    }
    EXPECT(pid < 0 && errno == ECHILD);
}

static void refused(enum count_how how)
{
    struct counts counts;
    struct counter *c;
    pid_t pid;

    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid = begin_child(nap);
    wait_for(&stage->ready, 1);
    EXPECT_INT(-EINVAL, count_begin(&c, COUNT_NOT, &pid, 1));
    EXPECT_INT(-EINVAL, count_begin(&c, how, &pid, 0));
    REQUIRE_INT(0, count_begin(&c, how, &pid, 1));
    EXPECT_INT(-EINVAL, count_end(c, 0, &counts));
    REQUIRE_INT(0, kill(pid, SIGKILL));
    REQUIRE_INT(0, waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT));
    for (int i = 0; i < 10; i++) {
        EXPECT(count_begin(&c, how, &pid, 1) < 0); /* a zombie */
        EXPECT(c == NULL);
    }
    EXPECT_INT(pid, waitpid(pid, NULL, 0));
    EXPECT_INT(-ESRCH, count_begin(&c, how, &pid, 1));
    expect_childless();
}

static int tracer_of(pid_t pid)
{
    char path[64], line[128];
    int tracer = -1;
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        (void)sscanf(line, "TracerPid: %d", &tracer);
    if (f)
        (void)fclose(f);
    return tracer;
}

/* A strace that won't end, whose process dies before it is attached, and that
 * has a child of its own: as the true one has for a moment when it starts. */
static void make_bad_strace(void)
{
    static const char script[] = "#!/bin/sh\n"
                                 "trap '' TERM\n"
                                 "sleep 60 &\n"
                                 "for pid; do :; done\n"
                                 "kill -9 $pid\n"
                                 "sleep 60\n";
    char path[128];
    int fd;

    (void)snprintf(path, sizeof path, "%s/strace", harness_dir());
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    REQUIRE_INT(sizeof script - 1, write(fd, script, sizeof script - 1));
    REQUIRE_INT(0, close(fd));
    (void)snprintf(path, sizeof path, "%s:/bin:/usr/bin", harness_dir());
    REQUIRE_INT(0, setenv("PATH", path, 1));
}

static void bad_strace(const void *arg)
{
    struct counter *c;
    pid_t pid;

    (void)arg;
    make_stage();
    make_bad_strace();
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid = begin_child(nap);
    EXPECT_INT(-ESRCH, count_begin(&c, COUNT_STRACE, &pid, 1));
    EXPECT_INT(pid, waitpid(pid, NULL, 0));
    expect_childless();
}

/* strace lets its process go on. Signals are blocked, as the benchmark has
 * them: strace must end all the same. */
static void goes_on(const void *arg)
{
    unsigned beats;
    sigset_t some;
    pid_t pid;

    (void)arg;
    (void)sigemptyset(&some);
    (void)sigaddset(&some, SIGTERM);
    (void)sigaddset(&some, SIGCHLD);
    REQUIRE_INT(0, sigprocmask(SIG_BLOCK, &some, NULL));
    REQUIRE_INT(0, sigaction(SIGTERM,
                             &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    if (!is_open(COUNT_STRACE))
        return;
    pid = begin_child(nap);
    (void)watch(COUNT_STRACE, &pid, 1, 1, 1);
    EXPECT_INT(0, tracer_of(pid));
    beats = atomic_load(&stage->beats);
    for (int i = 0; i < 5000 && atomic_load(&stage->beats) < beats + 5; i++)
        nap();
    EXPECT(atomic_load(&stage->beats) >= beats + 5);
    end_child(pid);
}

/* ---- what is possible --------------------------------------------------- */

static void expect_possible(void)
{
    char why[300] = "";
    enum count_how how = count_possible(why, sizeof why);
    struct counts counts;

    EXPECT((how == COUNT_PERF) == (why[0] == '\0'));
    if (how == COUNT_NOT)
        return;
    REQUIRE_INT(0, fcntl(ends[0][0], F_SETFL, O_NONBLOCK));
    counts = watch_one(how, three_calls, TURNS);
    expect_three_calls(&counts);
}

static void possible(const void *arg)
{
    (void)arg;
    make_stage();
    make_pipes();
    expect_possible();
    close_pipes();
}

/* In a process of its own; also one that was root is somebody without rights
 * then, and may be watched by its like. */
static void as_nobody(void (*what)(void))
{
    int status;
    pid_t pid;

    make_stage();
    make_pipes();
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        if (geteuid() == 0)
            REQUIRE_INT(0, setresuid(NOBODY, NOBODY, NOBODY));
        (void)prctl(PR_SET_DUMPABLE, 1);
        what();
        _exit(0);
    }
    REQUIRE_INT(pid, waitpid(pid, &status, 0));
    EXPECT_INT(0, status);
    close_pipes();
}

static void without_rights(const void *arg)
{
    (void)arg;
    as_nobody(expect_possible);
}

static void expect_nothing(void)
{
    char why[300] = "";

    REQUIRE_INT(0, setenv("PATH", "/nowhere", 1));
    if (count_possible(why, sizeof why) == COUNT_PERF)
        return;
    EXPECT_INT(COUNT_NOT, count_possible(why, sizeof why));
    EXPECT(strstr(why, "strace is not installed") != NULL);
}

static void without_strace(const void *arg)
{
    (void)arg;
    as_nobody(expect_nothing);
}

/* ---- cases -------------------------------------------------------------- */

/* A case: a check, and the way to count that it is about. */
struct about {
    enum count_how how;
    void (*check)(enum count_how how);
};

static void run_check(const void *arg)
{
    const struct about *a = arg;

    if (is_open(a->how))
        a->check(a->how);
}

#define CHECK(what, way, check)                                                \
    {                                                                          \
        .name = what, .run = run_check, .arg = &(const struct about)           \
        {                                                                      \
            way, check                                                         \
        }                                                                      \
    }
#define BOTH(what, check)                                                      \
    CHECK(what "/perf", COUNT_PERF, check),                                    \
        CHECK(what "/strace", COUNT_STRACE, check)

static const struct test_case cases[] = {
    BOTH("exact", exact),
    BOTH("crowd", crowd),
    CHECK("flood", COUNT_PERF, flood),
    CHECK("lost", COUNT_PERF, lost),
    BOTH("threads", threaded),
    BOTH("pair", pair),
    BOTH("queues", queues),
    BOTH("later", later),
    BOTH("again", again),
    {.name = "died/perf", .run = died, .arg = &deaths[0]},
    {.name = "died-reaped/perf", .run = died, .arg = &deaths[1]},
    {.name = "died/strace", .run = died, .arg = &deaths[2]},
    {.name = "died-reaped/strace", .run = died, .arg = &deaths[3]},
    BOTH("refused", refused),
    {.name = "bad-strace", .run = bad_strace},
    {.name = "goes-on", .run = goes_on},
    {.name = "possible", .run = possible},
    {.name = "without-rights", .run = without_rights},
    {.name = "without-strace", .run = without_strace},
};

int main(int argc, char **argv)
{
    const struct test_suite suite = {
        .name = "count", .cases = cases, .count = COUNT(cases)};

    return harness_main(argc, argv, &suite);
}
