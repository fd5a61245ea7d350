/*
 * guard.h - shared memory that another process may cut short or spoil
 *
 * Who can open a segment can also truncate it. To touch a page that is gone is
 * SIGBUS, and that ends the whole process, with all that it serves otherwise.
 * A program that has called guard_install puts the segment back instead: as
 * long as before, its pages zero. What was in it is lost, as if everybody had
 * scribbled over it; shm.c lives with that.
 *
 * A semaphore in such memory has a second way to end the process: when the page
 * is gone at the moment when the kernel is to look at it, or when somebody has
 * overwritten what the C library keeps there, glibc calls abort(3). Here that
 * is an error. C11, 7.22.4.1 allows it: abort isn't the end when a handler of
 * SIGABRT doesn't return.
 *
 * What a signal does is a matter of the whole process: so a chapter only says
 * which memory is to be guarded, and the program decides.
 *
 * Left out: a page that the hardware has lost; it stays the end. The line that
 * the C library writes to standard error before it aborts. A semaphore that was
 * overwritten so that the call doesn't return: it sleeps, or spins.
 * Rests on: sigaction(2), posix_fallocate(3), mmap(2), sigsetjmp(3), futex(2).
 */
#ifndef IPCLAB_GUARD_H
#define IPCLAB_GUARD_H

#include <semaphore.h>
#include <stddef.h>
#include <time.h>

/* From now on, in all threads. Once, at the program's start. */
void guard_install(void);

/* `at` is a shared mapping of `size` bytes of the file `fd`, which is the
 * guard's from now on. Without guard_install it is only kept. */
void guard_add(void *at, size_t size, int fd);

/* munmap(2), and the end of the guard. */
void guard_unmap(void *at, size_t size);

/* sem_wait(3); with `until`, a time of CLOCK_MONOTONIC, sem_clockwait. 0 or
 * -errno; -EFAULT: the semaphore makes no sense, until it is made new. */
int guard_sem_wait(sem_t *sem, const struct timespec *until);

/* sem_post(3): as above. */
int guard_sem_post(sem_t *sem);

#endif
