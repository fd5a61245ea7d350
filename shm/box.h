/*
 * box.h - one message, handed over through shared memory
 *
 * The writer fills in the bytes and the length and then stores the ticket; the
 * reader looks at the ticket first. Two processes on two CPUs don't see each
 * other's stores in program order by themselves: the release store and the
 * acquire load of the ticket make it so for this one pair (C11, 7.17.3).
 *
 *      writer                              reader
 *      payload = ...                       ticket (acquire) == expected?
 *      len = ...                             then len and payload are the
 *      ticket = n (release)                  ones that were written before it
 */
#ifndef IPCLAB_SHM_BOX_H
#define IPCLAB_SHM_BOX_H

#include <errno.h>
#include <semaphore.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#define SHM_LINE 64 /* bytes of a cache line on most machines */

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2,
               "a lock inside an atomic would be another one in each process");

/* Ticket, length, bell and the first bytes of the payload share a cache line:
 * to hand over a short message moves one line from CPU to CPU. */
struct shm_box {
    alignas(SHM_LINE) _Atomic uint64_t ticket; /* makes the rest visible */
    _Atomic uint32_t len; /* payload bytes; not to be trusted */
    sem_t bell;           /* replies only: wakes who waits for one; a hint */
    uint8_t payload[];    /* max_msg bytes */
};

/* Bytes from one box to the next. */
static inline size_t shm_box_size(size_t max_msg)
{
    size_t bytes = offsetof(struct shm_box, payload) + max_msg;

    return (bytes + SHM_LINE - 1) / SHM_LINE * SHM_LINE;
}

/* Box number i of a row that begins at `first`. */
static inline struct shm_box *shm_box_at(void *first, size_t max_msg,
                                         unsigned i)
{
    return (struct shm_box *)((uint8_t *)first + i * shm_box_size(max_msg));
}

static inline uint64_t shm_box_ticket(const struct shm_box *box)
{
    return atomic_load_explicit(&box->ticket, memory_order_acquire);
}

static inline void shm_box_put(struct shm_box *box, uint64_t ticket,
                               const void *buf, size_t len)
{
    memcpy(box->payload, buf, len);
    atomic_store_explicit(&box->len, (uint32_t)len, memory_order_relaxed);
    atomic_store_explicit(&box->ticket, ticket, memory_order_release);
}

/*
 * Before another process writes into a box whose last writer may have been
 * killed: its message isn't one any more. Release: who sees a byte of the next
 * message also sees this, see below.
 */
static inline void shm_box_clear(struct shm_box *box, uint64_t ticket)
{
    atomic_store_explicit(&box->ticket, ticket, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

/*
 * The message's length; -EPROTO an impossible one; -EMSGSIZE. The length is
 * read once: its writer could change it between our check and our use.
 *
 * The writer may be killed while we copy, and the next one of its slot write
 * its own message over it. Then the ticket has changed, and the copy, perhaps
 * half of one and half of the other, is thrown away (-EPROTO): its writer is
 * gone, nobody waits for it. The acquire fence keeps this look behind the copy.
 */
static inline ssize_t shm_box_take(struct shm_box *box, uint64_t ticket,
                                   size_t max_msg, void *buf, size_t cap)
{
    size_t len = atomic_load_explicit(&box->len, memory_order_relaxed);

    if (len == 0 || len > max_msg)
        return -EPROTO;
    if (len > cap)
        return -EMSGSIZE;
    memcpy(buf, box->payload, len);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&box->ticket, memory_order_relaxed) != ticket)
        return -EPROTO;
    return (ssize_t)len;
}

#endif
