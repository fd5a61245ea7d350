/*
 * count_strace.c - system calls counted with strace(1)
 *
 *      watched thread         strace                               this process
 *      read(...) = 100 --> "17 read(0x3, ...) = 0x64" --> file --> count_note
 *
 * strace is started, attaches to the threads, and writes a line a call to a
 * file without a name. That is read only after its end: so nobody but strace
 * itself disturbs what is counted.
 *
 * Calls: posix_spawnp(3), memfd_create(2), waitid(2), kill(2); and the file
 * status in /proc, which tells who is watched by whom.
 *
 * Left out on purpose: ptrace(2) calls of our own, which would stop a thread
 * just as often.
 *
 * It needs _GNU_SOURCE for memfd_create and environ.
 */
#define _GNU_SOURCE
#include "count_parts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ATTACH_MS 5000 /* strace does it in 10 ms */
#define DETACH_MS 2000

/* ---- start -------------------------------------------------------------- */

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

/* ---- is it there? ------------------------------------------------------- */

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

/* Does it watch this thread? 0 = not yet, 1, or -ESRCH. */
static int attached(const struct counter *c, const struct thread *t)
{
    char tracer[COUNT_WORD], state[COUNT_WORD];
    int err = count_status(t->pid, t->tid, "TracerPid", tracer);

    if (!err)
        err = count_status(t->pid, t->tid, "State", state);
    if (err)
        return err;
    return *state == 'Z' ? -ESRCH : strtol(tracer, NULL, 10) == c->strace;
}

/*
 * strace seizes a thread, interrupts it, and then waits for something to
 * happen: once every thread is its own and it sleeps, nothing gets past it.
 * That is seen in /proc; there is no event to wait for.
 */
static int all_attached(const struct counter *c)
{
    char state[COUNT_WORD];
    int is = 1;

    for (size_t i = 0; i < c->threads && is > 0; i++)
        is = attached(c, &c->thread[i]);
    if (is > 0)
        is = count_status(c->strace, c->strace, "State", state) == 0 &&
             *state == 'S';
    return is;
}

int count_strace_begin(struct counter *c, const pid_t *pid, size_t n)
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

/* ---- what it wrote ------------------------------------------------------ */

/* NULL: it was started later, and isn't watched. */
static struct thread *thread_of(const struct counter *c, pid_t tid)
{
    for (size_t i = 0; i < c->threads; i++)
        if (c->thread[i].tid == tid)
            return &c->thread[i];
    return NULL;
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
 *      17 +++ exited with 0 +++
 */
static void take_line(struct counter *c, const char *line)
{
    char *at, name[COUNT_NAME_MAX];
    struct thread *t = thread_of(c, (pid_t)strtol(line, &at, 10));
    const char *result = strstr(at, " = ");
    bool resumed;

    at += strspn(at, " ");
    resumed = strncmp(at, "<... ", 5) == 0;
    at += resumed ? 5 : 0;
    if (!t || !islower((unsigned char)*at))
        return;
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(at, " ("), at);
    if (!resumed)
        t->sending = third(strchr(at, '('));
    if (result && result[3] != '?') /* else it hasn't returned */
        count_note(c, t, count_named(c, name), result[3] == '-',
                   strtoull(result + 3, NULL, 0));
}

/* ---- end ---------------------------------------------------------------- */

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

int count_strace_end(struct counter *c)
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

void count_strace_free(struct counter *c)
{
    (void)stop_strace(c); /* after another error; else it has ended */
    if (c->log >= 0)
        (void)close(c->log); /* nothing to lose */
}

/* ---- is it possible here? ----------------------------------------------- */

/* As the benchmark's own processes are. Never returns. */
static void wait_as_child(pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* can't fail for a signal */
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* without Yama: no */
    while (getppid() == parent)
        (void)pause();
    _exit(0);
}

int count_strace_try(void)
{
    struct counter *c;
    struct counts counts;
    pid_t parent = getpid(), pid = fork();
    int err;

    if (pid < 0)
        return -errno;
    if (pid == 0)
        wait_as_child(parent);
    err = count_begin(&c, COUNT_STRACE, &pid, 1);
    if (!err)
        err = count_end(c, 1, &counts);
    (void)kill(pid, SIGKILL); /* not reaped yet: it is there */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return err;
}
