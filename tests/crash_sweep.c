/*
 * crash_sweep.c - see crash_sweep.h
 *
 *      director (tracer)                 the process to be killed, its threads
 *      PTRACE_SEIZE, PTRACE_INTERRUPT    stopped
 *      PTRACE_SYSCALL                    runs up to its next system call
 *      waitpid                           stopped before it (or after it)
 *      ... until the nth one, then SIGKILL
 *
 * Read ptrace(2), "Syscall-stops".
 *
 * It needs _GNU_SOURCE for __WALL.
 */
#define _GNU_SOURCE
#include "crash_sweep.h"
#include "clock.h"
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS_MOST 300 /* more than any of the stories has */
#define WORK_CALLS 40  /* a server at work never comes to an end */

const struct step crash_sweeps[] = {
    {"sweep", CLIENT, CLIENT, OPENING, BEFORE, NULL, UNKNOWN},
    {"sweep opening", SERVER, SERVER, OPENING, BEFORE, NULL, NOT_SENT},
    {"sweep working", SERVER, SERVER, WORKING, BEFORE, NULL, ANSWERED},
    {"sweep closing", SERVER, SERVER, CLOSING, BEFORE, NULL, ANSWERED},
    {0},
};

/* ---- one process ------------------------------------------------------------ */

static void run_on(pid_t thread, int sig)
{
    /* ESRCH: it has been killed meanwhile, and waitpid tells. */
    (void)ptrace(PTRACE_SYSCALL, thread, NULL, sig);
}

void sweep_watch(pid_t pid)
{
    char path[64];
    struct dirent *e;
    DIR *d;

    (void)snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
    d = opendir(path);
    REQUIRE(d != NULL);
    while ((e = readdir(d))) {
        pid_t thread = (pid_t)strtol(e->d_name, NULL, 10);
        int status;

        if (thread <= 0)
            continue; /* "." and ".." */
        REQUIRE(ptrace(PTRACE_SEIZE, thread, NULL,
                       PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE) == 0);
        REQUIRE(ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) == 0);
        REQUIRE(waitpid(thread, &status, __WALL) == thread);
        run_on(thread, 0);
    }
    (void)closedir(d); /* only read */
}

/* Is this thread stopped before a system call, and not after one? */
static bool is_before_call(pid_t thread)
{
    struct __ptrace_syscall_info info = {.op = 0};

    return ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof info, &info) >
               0 &&
           info.op == PTRACE_SYSCALL_INFO_ENTRY;
}

static bool is_up(void)
{
    int n = 0;

    return sem_getvalue(&stage->gate[UP], &n) == 0 && n > 0;
}

/* Waits for the process's own end, whatever its threads do meanwhile. */
static int await_end(pid_t pid)
{
    int status;

    while (waitpid(-1, &status, __WALL) != pid || WIFSTOPPED(status))
        ;
    return status;
}

/* A thread has stopped. Was that a call that counts? Lets it go on if not. */
static bool stopped_at_call(pid_t thread, int status)
{
    bool call = WSTOPSIG(status) == (SIGTRAP | 0x80);

    if (call && atomic_load(&stage->counting) && is_before_call(thread))
        return true;
    /* After a call; something that ptrace tells; or a signal for it. */
    run_on(thread, call || status >> 16 ? 0 : WSTOPSIG(status));
    return false;
}

bool sweep_kill(pid_t pid, unsigned nth, int *status)
{
    bool opening = !is_up();
    unsigned calls = 0;

    while (calls < nth) {
        pid_t thread = waitpid(-1, status, __WALL);

        REQUIRE(thread > 0);
        if (thread == pid && !WIFSTOPPED(*status))
            break;
        if (!WIFSTOPPED(*status) || !stopped_at_call(thread, *status))
            continue;
        if (++calls < nth)
            run_on(thread, 0);
    }
    atomic_store(&stage->died, clock_now_ns());
    if (calls < nth)
        return false; /* it has ended */
    atomic_store(&stage->reached, true);
    REQUIRE(kill(pid, SIGKILL) == 0);
    *status = await_end(pid);
    return !(opening && is_up());
}

/* ---- all its system calls ----------------------------------------------------- */

/* One story more, in a process and a folder of its own: false when the process
 * outlived it, or something went wrong. */
static bool play(const struct cell *cell, unsigned nth)
{
    struct cell now = *cell;
    char folder[80];
    int status;
    pid_t pid;

    now.nth = nth;
    (void)snprintf(folder, sizeof folder, "%s/%u", harness_dir(), nth);
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0)
        _exit(crash_play(&now, folder) ? 0 : 3);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    harness_check(status == 0 || WEXITSTATUS(status) == 3, false, __FILE__,
                  __LINE__, "at its call %u: wait status %#x", nth,
                  (unsigned)status);
    return status == 0;
}

/* May we? Some containers forbid ptrace. */
static bool can_trace(void)
{
    pid_t pid = fork();
    bool can;

    REQUIRE(pid >= 0);
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    can = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
    REQUIRE(kill(pid, SIGKILL) == 0);
    REQUIRE(waitpid(pid, NULL, 0) == pid);
    return can;
}

void crash_sweep(const void *arg)
{
    const struct cell *cell = arg;
    bool endless = cell->step->phase == WORKING;
    unsigned most = endless ? WORK_CALLS : CALLS_MOST, n = 1;
    char why[200];

    if (tp_probe(tp_all[cell->transport], why, sizeof why) < 0) {
        harness_skip("%s", why);
        return;
    }
    if (!can_trace()) {
        harness_skip("ptrace isn't allowed here");
        return;
    }
    while (n <= most && play(cell, n))
        n++;
    EXPECT(n > 5); /* that was a story */
    EXPECT(endless || n < CALLS_MOST);
}
