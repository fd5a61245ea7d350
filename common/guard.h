/*
 * guard.h - shared memory that another process may cut short
 *
 * Who can open a segment can also truncate it. To touch a page that is gone is
 * SIGBUS, and that ends the whole process, with all that it serves otherwise.
 * A program that has called guard_install puts the segment back instead: as
 * long as before, its pages zero. What was in it is lost, as if everybody had
 * scribbled over it; shm.c lives with that.
 *
 * What a signal does is a matter of the whole process: so a chapter only says
 * which memory is to be guarded, and the program decides.
 *
 * Left out: a page that the hardware has lost; it stays the end.
 * Rests on: sigaction(2), posix_fallocate(3), mmap(2).
 */
#ifndef IPCLAB_GUARD_H
#define IPCLAB_GUARD_H

#include <stddef.h>

/* From now on, in all threads. Once, at the program's start. */
void guard_install(void);

/* `at` is a shared mapping of `size` bytes of the file `fd`, which is the
 * guard's from now on. Without guard_install it is only kept. */
void guard_add(void *at, size_t size, int fd);

/* munmap(2), and the end of the guard. */
void guard_unmap(void *at, size_t size);

#endif
