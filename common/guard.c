/*
 * guard.c - see guard.h
 *
 * The handler runs in the thread that touched the memory, in the middle of a
 * load or store of ours: no lock of the C library can be held there, and it
 * makes system calls only. (signal-safety(7) doesn't list posix_fallocate and
 * mmap; on Linux each is its system call.) When it returns, the load or store
 * is tried again. Two threads may be here at once: both put the same back.
 *
 * The table is written under a lock and read without one, by the handler. A
 * place that is free has `at` 0, and the rest of it is complete before `at` is
 * set. To unmap what another thread still uses would be a mistake anyway.
 *
 * The way out of abort is a jump to where the call on the semaphore began. Only
 * the C library's own code lies in between, at its end: it has printed why, and
 * holds no lock when it raises SIGABRT. sigsetjmp doesn't save the signal mask,
 * for that would be a system call for each wait: the handler puts it back.
 * sem_wait is still counted as a waiter: siglongjmp undoes that, for glibc runs
 * the cleanups of the frames that it leaves. A page that is gone is SIGBUS there,
 * inside this handler: so neither handler blocks the other's signal.
 *
 * A child made by fork has the table, the descriptors and the handlers, too.
 *
 * It needs _GNU_SOURCE for MAP_ANONYMOUS and sem_clockwait.
 */
#define _GNU_SOURCE
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define GUARDED 16 /* mappings of one process; more than that aren't guarded */

static struct guarded {
    _Atomic uintptr_t at; /* 0 = free place; written last */
    size_t size;
    int fd; /* owned */
} table[GUARDED];

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

/* Where this thread goes on when abort is called in its call on a semaphore;
 * NULL = it is in none. */
static _Thread_local sigjmp_buf *volatile way_out;

/* The file's pages once more; on a full /dev/shm, other pages that nobody else
 * sees, so that at least this process lives on. */
static bool put_back(const struct guarded *g, uintptr_t at)
{
    int err;

    while ((err = posix_fallocate(g->fd, 0, (off_t)g->size)) == EINTR)
        ;
    return err == 0 ||
           mmap((void *)at, g->size, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

/* The end, when the handler returns: as without us. */
static void end_by(int sig)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};

    (void)sigaction(sig, &usual, NULL); /* can't fail */
    (void)raise(sig);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
    uintptr_t where = (uintptr_t)info->si_addr;
    int saved = errno;

    (void)context;
    for (int i = 0; i < GUARDED && info->si_code == BUS_ADRERR; i++) {
        uintptr_t at = atomic_load(&table[i].at);

        if (at != 0 && where >= at && where - at < table[i].size &&
            put_back(&table[i], at)) {
            errno = saved;
            return;
        }
    }
    end_by(sig);
}

/* From abort in this thread, and not from somebody's kill(2)? */
static void on_sigabrt(int sig, siginfo_t *info, void *context)
{
    const ucontext_t *before = context;
    sigjmp_buf *out = way_out;

    if (out != NULL && info->si_code == SI_TKILL && info->si_pid == getpid()) {
        way_out = NULL;
        (void)pthread_sigmask(SIG_SETMASK, &before->uc_sigmask, NULL);
        siglongjmp(*out, 1);
    }
    end_by(sig);
}

void guard_install(void)
{
    const struct sigaction bus = {.sa_sigaction = on_sigbus,
                                  .sa_flags = SA_SIGINFO};
    const struct sigaction abrt = {.sa_sigaction = on_sigabrt,
                                   .sa_flags = SA_SIGINFO};

    (void)sigaction(SIGBUS, &bus, NULL); /* can't fail */
    (void)sigaction(SIGABRT, &abrt, NULL);
}

static struct guarded *find(uintptr_t at)
{
    for (int i = 0; i < GUARDED; i++)
        if (atomic_load(&table[i].at) == at)
            return &table[i];
    return NULL;
}

void guard_add(void *at, size_t size, int fd)
{
    (void)pthread_mutex_lock(&table_lock); /* fails on misuse only */
    struct guarded *g = find(0);
    if (g != NULL) {
        g->size = size;
        g->fd = fd;
        atomic_store(&g->at, (uintptr_t)at);
    } else {
        (void)close(fd); /* the mapping doesn't need it: mmap(2) */
    }
    (void)pthread_mutex_unlock(&table_lock);
}

void guard_unmap(void *at, size_t size)
{
    (void)pthread_mutex_lock(&table_lock); /* fails on misuse only */
    struct guarded *g = find((uintptr_t)at);
    (void)munmap(at, size); /* ours: it can't fail */
    if (g != NULL) {
        atomic_store(&g->at, 0);
        (void)close(g->fd); /* nothing was written to it */
    }
    (void)pthread_mutex_unlock(&table_lock);
}

int guard_sem_wait(sem_t *sem, const struct timespec *until)
{
    sigjmp_buf here;
    int r;

    if (sigsetjmp(here, 0) != 0)
        return -EFAULT;
    way_out = &here;
    r = until == NULL ? sem_wait(sem)
                      : sem_clockwait(sem, CLOCK_MONOTONIC, until);
    way_out = NULL;
    return r == 0 ? 0 : -errno;
}

int guard_sem_post(sem_t *sem)
{
    sigjmp_buf here;
    int r;

    if (sigsetjmp(here, 0) != 0)
        return -EFAULT;
    way_out = &here;
    r = sem_post(sem);
    way_out = NULL;
    return r == 0 ? 0 : -errno;
}
