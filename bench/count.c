/*
 * count.c - see count.h: names of calls, tallies, switches, results
 *
 *      watched thread --> count_perf.c   --+
 *                         count_strace.c --+--> count_note --> struct call
 *      its switches   --> /proc/PID/task/TID/status
 *
 * A call counts when it returns: then its number and its result are known, and
 * with the result, for nearly all calls, how many bytes were moved. What is
 * still blocked at the end doesn't count; what was blocked at the beginning
 * and returns does.
 *
 * It rests on /proc/PID/task and the files status there, and on the numbers in
 * <sys/syscall.h>.
 *
 * Left out on purpose: threads and processes that are started later; programs
 * of another word size than ours, whose calls have other numbers.
 */
#include "count_parts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

/* ---- names -------------------------------------------------------------- */

#define ROW(call, how) [SYS_##call] = {#call, how}
#define RESULT(call)   ROW(call, MOVES_RESULT)
#define LENGTH(call)   ROW(call, MOVES_LENGTH)
#define UNKNOWN(call)  ROW(call, MOVES_UNKNOWN)
#define WAITING(call)  ROW(call, MOVES_WAITING)
#define OTHER(call)    ROW(call, MOVES_NOTHING)

/* Those that the five mechanisms and their peers make. Another one is called
 * by its number. (clang-format would give each a line of its own.) */
/* clang-format off */
static const struct {
    const char *name;
    enum moves moves;
} table[COUNT_NUMBERS] = {
    RESULT(read), RESULT(readv), RESULT(pread64), RESULT(preadv), RESULT(preadv2),
    RESULT(write), RESULT(writev), RESULT(pwrite64), RESULT(pwritev),
    RESULT(pwritev2), RESULT(recvfrom), RESULT(recvmsg), RESULT(sendto),
    RESULT(sendmsg), RESULT(mq_timedreceive), RESULT(process_vm_readv),
    RESULT(process_vm_writev), LENGTH(mq_timedsend),
    UNKNOWN(recvmmsg), UNKNOWN(sendmmsg), UNKNOWN(io_uring_enter),
    WAITING(clock_nanosleep), WAITING(restart_syscall), WAITING(sched_yield),
    OTHER(nanosleep), OTHER(ppoll), OTHER(pselect6), OTHER(epoll_ctl),
    OTHER(epoll_pwait), OTHER(futex), OTHER(semop), OTHER(semtimedop),
    OTHER(mq_open), OTHER(mq_unlink), OTHER(mq_getsetattr), OTHER(openat),
    OTHER(close), OTHER(fstat), OTHER(lseek), OTHER(fcntl), OTHER(flock),
    OTHER(ioctl), OTHER(faccessat), OTHER(unlinkat), OTHER(ftruncate),
    OTHER(fallocate), OTHER(fsync), OTHER(fdatasync), OTHER(mmap),
    OTHER(munmap), OTHER(mprotect), OTHER(mremap), OTHER(msync), OTHER(madvise),
    OTHER(brk), OTHER(socket), OTHER(socketpair), OTHER(bind), OTHER(accept),
    OTHER(accept4), OTHER(connect), OTHER(shutdown), OTHER(getsockopt),
    OTHER(setsockopt), OTHER(pipe2), OTHER(splice), OTHER(vmsplice),
    OTHER(eventfd2), OTHER(clone), OTHER(wait4), OTHER(kill), OTHER(tgkill),
    OTHER(getpid), OTHER(getppid), OTHER(gettid), OTHER(geteuid),
    OTHER(getrandom), OTHER(getrusage), OTHER(clock_gettime), OTHER(membarrier),
    OTHER(rt_sigaction), OTHER(rt_sigprocmask), OTHER(rt_sigreturn),
    OTHER(rt_sigtimedwait),
#ifdef SYS_newfstatat
    OTHER(newfstatat),
#endif
#ifdef SYS_poll /* arm64 has only the newer forms of these */
    OTHER(poll), OTHER(select), OTHER(epoll_wait), OTHER(open), OTHER(stat),
    OTHER(access), OTHER(unlink), OTHER(pipe), OTHER(pause),
#endif
};
/* clang-format on */

static enum moves moves_of(const char *name)
{
    for (size_t i = 0; i < COUNT_NUMBERS; i++)
        if (table[i].name && strcmp(table[i].name, name) == 0)
            return table[i].moves;
    return MOVES_NOTHING;
}

/* ---- tallies ------------------------------------------------------------ */

/* The last of all is for the rest, once there are too many. */
struct call *count_named(struct counter *c, const char *name)
{
    struct call *call;

    for (size_t i = 0; i < c->calls; i++)
        if (strcmp(c->call[i].name, name) == 0)
            return &c->call[i];
    if (c->calls == COUNT_CALLS)
        return &c->call[COUNT_CALLS - 1];
    call = &c->call[c->calls++];
    (void)snprintf(call->name, sizeof call->name, "%s",
                   c->calls == COUNT_CALLS ? "others" : name);
    call->moves = moves_of(call->name);
    return call;
}

struct call *count_numbered(struct counter *c, long number)
{
    char name[COUNT_NAME_MAX];
    struct call *call;

    /* -1 is what a tracer leaves who doesn't let a call happen. */
    if (number < 0 || number >= COUNT_NUMBERS)
        return count_named(c, "others");
    if (c->call_of[number])
        return &c->call[c->call_of[number] - 1];
    (void)snprintf(name, sizeof name, "call %ld", number);
    call = count_named(c, table[number].name ? table[number].name : name);
    c->call_of[number] = (unsigned char)(call - c->call + 1);
    return call;
}

void count_note(struct counter *c, const struct thread *t, struct call *call,
                bool failed, uint64_t result)
{
    call->calls++;
    call->failed += failed;
    if (failed)
        return;
    if (call->moves == MOVES_RESULT)
        c->copied += result;
    else if (call->moves == MOVES_LENGTH)
        c->copied += t->sending;
}

/* ---- /proc -------------------------------------------------------------- */

int count_status(pid_t pid, pid_t tid, const char *key, char word[COUNT_WORD])
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
            (void)sscanf(line + len + 1, "%31s", word); /* or it stays "" */

    (void)fclose(f); /* only read */
    return word[0] ? 0 : -ESRCH;
}

/* A status file is one thread's, also /proc/PID/status: so add them up. */
static int switches(const struct thread *t, uint64_t *voluntary,
                    uint64_t *involuntary)
{
    char word[COUNT_WORD];
    int err = count_status(t->pid, t->tid, "voluntary_ctxt_switches", word);

    if (err)
        return err;
    *voluntary = strtoull(word, NULL, 10);
    err = count_status(t->pid, t->tid, "nonvoluntary_ctxt_switches", word);
    if (!err)
        *involuntary = strtoull(word, NULL, 10);
    return err;
}

static int add_thread(struct counter *c, pid_t pid, pid_t tid)
{
    struct thread *more =
        realloc(c->thread, (c->threads + 1) * sizeof *c->thread);

    if (!more)
        return -ENOMEM;
    c->thread = more;
    more += c->threads++;
    *more = COUNT_NO_THREAD;
    more->pid = pid;
    more->tid = tid;
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

/* ---- results ------------------------------------------------------------ */

/* The most frequent first; then by name, so that equal ones don't jump. */
static int by_calls(const void *a, const void *b)
{
    const struct call *x = a, *y = b;

    if (x->calls != y->calls)
        return x->calls < y->calls ? 1 : -1;
    return strcmp(x->name, y->name);
}

static void fill_calls(struct counter *c, double requests, struct counts *out)
{
    size_t shown = 0;

    qsort(c->call, c->calls, sizeof c->call[0], by_calls);
    out->copied = (double)c->copied / requests;
    for (size_t i = 0; i < c->calls; i++) {
        const struct call *call = &c->call[i];

        if (call->moves == MOVES_WAITING)
            continue;
        if (call->moves == MOVES_UNKNOWN && call->calls > call->failed)
            out->copied = NAN;
        out->calls += (double)call->calls / requests;
        if (shown == COUNT_NAMES)
            continue;
        memcpy(out->call[shown].name, call->name, sizeof call->name);
        out->call[shown].calls = (double)call->calls / requests;
        out->call[shown++].failed = (double)call->failed / requests;
    }
}

/* Since the counting began. A thread that has ended takes its number with it;
 * and strace, which stops a thread twice a call, makes four of its own. */
static void fill_switches(const struct counter *c, double requests,
                          struct counts *out)
{
    bool known = c->how == COUNT_PERF;

    for (size_t i = 0; i < c->threads && known; i++) {
        const struct thread *t = &c->thread[i];
        uint64_t voluntary = 0, involuntary = 0;

        known = switches(t, &voluntary, &involuntary) == 0;
        out->voluntary += (double)(voluntary - t->voluntary) / requests;
        out->involuntary += (double)(involuntary - t->involuntary) / requests;
    }
    if (!known)
        out->voluntary = out->involuntary = NAN;
}

/* ---- counting ----------------------------------------------------------- */

static void counter_free(struct counter *c)
{
    count_perf_free(c);
    count_strace_free(c);
    free(c->thread);
    free(c);
}

/* The events come last: from then on it counts. */
static int begin_perf(struct counter *c)
{
    int err = count_perf_begin(c);

    for (size_t i = 0; i < c->threads && !err; i++)
        err = switches(&c->thread[i], &c->thread[i].voluntary,
                       &c->thread[i].involuntary);
    return err ? err : count_perf_switch(c, true);
}

int count_begin(struct counter **out, enum count_how how, const pid_t *pid,
                size_t n)
{
    struct counter *c;
    int err = 0;

    *out = NULL;
    if ((how != COUNT_PERF && how != COUNT_STRACE) || n == 0)
        return -EINVAL;
    c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->how = how;
    c->stop = c->log = -1;
    for (size_t i = 0; i < n && !err; i++)
        err = add_threads(c, pid[i]);
    if (!err)
        err = how == COUNT_PERF ? begin_perf(c) : count_strace_begin(c, pid, n);
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
        err = count_perf_switch(c, false); /* before our own look at /proc */
    if (!err)
        fill_switches(c, (double)requests, out);
    if (!err)
        err = c->how == COUNT_PERF ? count_perf_end(c) : count_strace_end(c);
    if (!err)
        fill_calls(c, (double)requests, out);
    counter_free(c);
    return err;
}

enum count_how count_possible(char *why, size_t cap)
{
    char perf[240];
    int err = count_perf_try(perf, sizeof perf);

    (void)snprintf(why, cap, "%s", err ? perf : "");
    if (!err)
        return COUNT_PERF;
    err = count_strace_try();
    if (!err)
        return COUNT_STRACE;
    if (err == -ENOENT)
        (void)snprintf(why, cap, "%s; and strace is not installed", perf);
    else
        (void)snprintf(why, cap, "%s; and strace fails (%s)", perf,
                       strerror(-err));
    return COUNT_NOT;
}
