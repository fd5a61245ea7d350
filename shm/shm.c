/*
 * shm.c - POSIX shared memory with semaphores
 *
 * Both processes map the same pages: what one stores, the other loads, and the
 * kernel never sees it. What is left to do is everything that the other four
 * mechanisms do for us: to say that there is a message, in which order the
 * bytes became visible, and how to sleep until something happens.
 *
 *      /ipclab-UID-HASH-INSTANCE                   (one segment)
 *      +----------+--------------------+---------------------+----
 *      | head     | slot 0             | slot 1              | ...
 *      | doorbell | request   reply    | request   reply     |
 *      | rung     | box ->    <- box   | box ->    <- box    |
 *      +----------+--------------------+---------------------+----
 *
 *      client i                                 server
 *      copy the request into its box
 *      box.ticket = n          (release)
 *      rung |= bit i, post doorbell      ->     wait for doorbell
 *                                               take the bits of rung
 *                                               box.ticket == n? (acquire)
 *                                               copy the request out
 *                                               copy the reply into its box
 *      wait for bell           <-  post bell    box.ticket = n  (release)
 *      box.ticket == n? (acquire)
 *
 * The semaphores are signals, never locks: a process that is killed can't hold
 * one. They are hints, too. What counts is a box's ticket: the generation of
 * the slot in the high 24 bits and the number of the request in the low 40.
 * A ticket that isn't the expected one is no message; a lost hint costs one
 * slice of LOOK_MS: before the server sleeps on, it looks at every slot.
 *
 * sem_post(3) enters the kernel only when somebody sleeps, and sem_wait only
 * when there is nothing: so the same code blocks and spins.
 *
 * No lost wake-up: the client sets its bit *before* it posts, the server takes
 * the bits *after* its wait returned. A bit set too late for that look has its
 * post still to come, and the next wait won't sleep.
 *
 * System calls: shm_open, posix_fallocate, mmap, munmap, shm_unlink; futex
 * inside sem_wait, sem_clockwait and sem_post when there is reason to sleep.
 * Left out on purpose: a mutex in the segment (its holder may die; a robust
 * one would say EOWNERDEAD); huge pages; a ring of requests (depth).
 *
 * Read shm_overview(7), sem_overview(7), futex(7).
 */
#include "box.h"
#include "guard.h"
#include "slots.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SHM_CEILING (1024 * 1024) /* bytes a message, opts.max_msg at most */
#define SHM_USUAL   (64 * 1024)
#define TICKET_BITS 40  /* for the number of a request; the generation above */
#define LOOK_MS     100 /* the server looks at every slot at least so often */

/* The segment's first page. Boxes follow, two for each slot. */
struct shm_head {
    alignas(SHM_LINE) _Atomic uint64_t rung; /* bit i: look at slot i */
    sem_t doorbell;                          /* posted by every client */
};

struct shm_server {
    struct tp_server base;
    struct wait_policy policy;
    struct slots slots;
    struct shm_head *head; /* the mapping, owned */
    size_t size;           /* its bytes */
    uint64_t ready;        /* bits taken from `rung`, still to look at */
    struct turn_order order;
    uint64_t ticket[TP_CLIENTS_MAX]; /* of the last request of each slot */
};

struct shm_client {
    struct tp_client base;
    struct wait_policy policy;
    struct slots slots;
    struct shm_head *head; /* the mapping, owned */
    size_t size;
    struct shm_box *request, *reply; /* ours, in the mapping */
    uint64_t ticket;                 /* of the last request sent */
    uint64_t taken;                  /* of the last reply received */
};

/* ---- helpers ------------------------------------------------------------ */

static int shm_probe(char *why, size_t cap)
{
    if (access("/dev/shm", W_OK) == 0)
        return 0;
    snprintf(why, cap, "/dev/shm is missing or read-only; mount a tmpfs there");
    return -ENOENT;
}

enum direction { REQUEST, REPLY };

static size_t segment_size(unsigned clients, size_t max_msg)
{
    return sizeof(struct shm_head) + 2 * clients * shm_box_size(max_msg);
}

static struct shm_box *box_of(struct shm_head *h, size_t max_msg, unsigned slot,
                              enum direction d)
{
    return shm_box_at(h + 1, max_msg, 2 * slot + d);
}

/*
 * Map the segment of our name; with O_CREAT | O_EXCL a new one, all zero.
 * posix_fallocate makes sure that every page exists: ftruncate alone would
 * succeed on a full /dev/shm, and the first touch of a page that isn't there
 * would be SIGBUS. Here it is -ENOSPC, and now.
 */
static int map_segment(struct shm_head **head, const struct slots *s,
                       size_t size, int flags)
{
    char name[RUNDIR_OBJECT_MAX];
    void *p = NULL;
    int fd, err;

    slots_object(name, s, -1);
    if (flags & O_CREAT)
        (void)shm_unlink(name); /* a dead server's; the name is ours */
    fd = rundir_ours(shm_open(name, O_RDWR | flags, 0600));
    if (fd < 0)
        return -errno;
    while ((err = -posix_fallocate(fd, 0, (off_t)size)) == -EINTR)
        ;
    if (!err)
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        err = -errno;
    if (err) {
        close(fd);
        return err;
    }
    guard_add(p, size, fd); /* with the descriptor: see guard.h */
    *head = p;
    return 0;
}

/* ---- server ------------------------------------------------------------- */

static int make_segment(struct shm_server *s, const struct tp_opts *opts)
{
    int err = map_segment(&s->head, &s->slots, s->size, O_CREAT | O_EXCL);

    if (err == -ENOSPC)
        return tp_why(opts, err,
                      "a segment of %zu bytes doesn't fit into /dev/shm; make "
                      "it larger (docker: --shm-size) or serve fewer clients",
                      s->size);
    if (!err && sem_init(&s->head->doorbell, 1, 0) < 0)
        err = -errno;
    return rundir_taken(opts, err);
}

static int shm_srv_open(struct tp_server **out, const struct tp_opts *opts)
{
    struct shm_server *s = calloc(1, sizeof *s);
    int err;

    if (!s)
        return -ENOMEM;
    *out = &s->base;
    tp_srv_init(&s->base, opts);
    s->size = segment_size(opts->clients, opts->max_msg);
    wait_policy_init(&s->policy, opts->wait);
    err = slots_serve(&s->slots, opts, "shm");
    if (!err)
        err = make_segment(s, opts);
    return err ? err : slots_ready(&s->slots, &s->base);
}

/* Is there a request in this slot? As srv_recv; -EAGAIN when there is none. */
static ssize_t look_at(struct shm_server *s, unsigned slot, tp_peer *from,
                       void *buf, size_t cap)
{
    struct shm_box *box = box_of(s->head, s->base.max_msg, slot, REQUEST);
    uint64_t ticket = shm_box_ticket(box);
    uint32_t generation = (uint32_t)(ticket >> TICKET_BITS);
    int met;

    if (ticket == s->ticket[slot] || ticket << (64 - TICKET_BITS) == 0)
        return -EAGAIN; /* taken already; or cleared, with the number 0 */
    met = slots_meet(&s->slots, slot, generation);
    if (met == -EPIPE) {
        s->ready |= UINT64_C(1) << slot; /* the request, in the next call */
        *from = slots_part(&s->slots, slot);
        return 0;
    }
    s->ticket[slot] = ticket;
    *from = peer_of(slot, generation);
    return met < 0 ? met : shm_box_take(box, ticket, s->base.max_msg, buf, cap);
}

/* The next slot in turn among those that rang: as look_at. */
static ssize_t next_request(struct shm_server *s, tp_peer *from, void *buf,
                            size_t cap)
{
    for (int round = 0;; round++) {
        while (s->ready &= UINT64_MAX >> (64 - s->base.clients)) {
            unsigned slot = turn_take(&s->order, &s->ready);
            ssize_t n = look_at(s, slot, from, buf, cap);

            if (n != -EAGAIN)
                return n;
        }
        if (round)
            return -EAGAIN;
        /* Acquire pairs with the client's release: its ticket is visible. */
        s->ready =
            atomic_exchange_explicit(&s->head->rung, 0, memory_order_acquire);
    }
}

/*
 * Nobody rang: look at every slot, for a hint that was lost; then for a client
 * that has left. As srv_recv; -EAGAIN when there is nothing.
 *
 * The doorbell is made new first: a client may have scribbled over it, and from
 * then on posts wake nobody, or no wait sleeps. Only the server waits for it,
 * and not now. POSIX doesn't say what becomes of a post at this very moment; on
 * Linux it may be lost. But its client had set its bit before: the exchange,
 * which comes after, sees the bit, and so its ticket is visible.
 */
static ssize_t look_about(struct shm_server *s, tp_peer *from, void *buf,
                          size_t cap)
{
    int dead;
    ssize_t n;

    (void)sem_init(&s->head->doorbell, 1, 0); /* it has worked before */
    s->ready = UINT64_MAX | atomic_exchange(&s->head->rung, 0);
    n = next_request(s, from, buf, cap);
    if (n != -EAGAIN)
        return n;
    dead = slots_dead(&s->slots);
    if (dead < 0)
        return -EAGAIN;
    /* Dead before this look: so what it sent is visible now, or never was. */
    n = look_at(s, (unsigned)dead, from, buf, cap);
    if (n == -EAGAIN) {
        *from = slots_part(&s->slots, (unsigned)dead);
        n = 0;
    }
    return n;
}

static ssize_t shm_srv_recv(struct tp_server *srv, tp_peer *from, void *buf,
                            size_t cap, int ms)
{
    struct shm_server *s = (struct shm_server *)srv;
    /* Never wait while somebody who rang hasn't been looked at. */
    ssize_t n = s->ready ? next_request(s, from, buf, cap) : -EAGAIN;
    struct wait w;

    wait_begin(&w, &s->policy, ms);
    w.slice_ms = slots_slice_ms(&s->slots);
    while (n == -EAGAIN) {
        enum wait_step step = wait_next(&w);
        int err = -ETIMEDOUT;

        if (step != WAIT_OVER)
            err = wait_sem(&w, step, &s->head->doorbell,
                           w.slice_ms ? LOOK_MS : 0);
        if (err == 0)
            n = next_request(s, from, buf, cap);
        else if (wait_looks(&w, step))
            n = look_about(s, from, buf, cap);
        if (n == -EAGAIN && err != 0 && err != -EAGAIN)
            n = err;
    }
    return n;
}

static int shm_srv_send(struct tp_server *srv, tp_peer to, const void *buf,
                        size_t len, int ms)
{
    struct shm_server *s = (struct shm_server *)srv;
    unsigned slot = peer_slot(to);
    struct shm_box *box;

    (void)ms; /* the box is there, and it is free: nothing to wait for */
    if (!slots_knows(&s->slots, to))
        return -EPIPE;
    box = box_of(s->head, s->base.max_msg, slot, REPLY);
    shm_box_put(box, s->ticket[slot], buf, len);
    (void)guard_sem_post(&box->bell); /* scribbled over? a hint only */
    return 0;
}

static void shm_srv_drop(struct tp_server *srv)
{
    struct shm_server *s = (struct shm_server *)srv;

    if (!s)
        return;
    if (s->head)
        guard_unmap(s->head, s->size);
    slots_drop(&s->slots);
    free(s);
}

static void shm_srv_close(struct tp_server *srv)
{
    struct shm_server *s = (struct shm_server *)srv;
    char name[RUNDIR_OBJECT_MAX];

    if (s && slots_retire(&s->slots)) {
        slots_object(name, &s->slots, -1);
        (void)shm_unlink(name); /* gone already is as good */
        slots_close(&s->slots);
    }
    shm_srv_drop(srv);
}

/* ---- client ------------------------------------------------------------- */

static int shm_cli_open(struct tp_client **out, const struct tp_opts *opts)
{
    struct shm_client *c = calloc(1, sizeof *c);
    int err;

    if (!c)
        return -ENOMEM;
    *out = &c->base;
    wait_policy_init(&c->policy, opts->wait);
    err = slots_join(&c->slots, opts, "shm", &c->base);
    if (err)
        return err;
    c->size = segment_size(c->slots.clients, c->base.max_msg);
    c->ticket = c->taken = (uint64_t)c->slots.generation << TICKET_BITS;
    err = map_segment(&c->head, &c->slots, c->size, 0);
    if (err)
        return rundir_taken(opts, err);
    c->request = box_of(c->head, c->base.max_msg, c->slots.slot, REQUEST);
    c->reply = box_of(c->head, c->base.max_msg, c->slots.slot, REPLY);
    shm_box_clear(c->request, c->ticket);
    (void)sem_init(&c->reply->bell, 1, 0); /* whatever an earlier client of this
                                             slot has left there; as above */
    return slots_joined(&c->slots);
}

static int shm_cli_send(struct tp_client *cli, const void *buf, size_t len,
                        int ms)
{
    struct shm_client *c = (struct shm_client *)cli;

    (void)ms; /* our box is free: the last request has been answered */
    if (c->slots.left)
        return -EPIPE;
    shm_box_put(c->request, ++c->ticket, buf, len);
    /* Release: who takes the bit also sees the ticket. */
    atomic_fetch_or_explicit(&c->head->rung, UINT64_C(1) << c->slots.slot,
                             memory_order_release);
    (void)guard_sem_post(&c->head->doorbell); /* a hint only */
    return 0;
}

static ssize_t shm_cli_recv(struct tp_client *cli, void *buf, size_t cap,
                            int ms)
{
    struct shm_client *c = (struct shm_client *)cli;
    struct wait w;

    wait_begin(&w, &c->policy, ms);
    for (;;) {
        enum wait_step step = wait_next(&w);
        bool left = slots_server_left(&c->slots, &w);
        int err = -ETIMEDOUT;

        if (left) /* its last reply may be there */
            step = WAIT_TRY;
        if (step != WAIT_OVER)
            err = wait_sem(&w, step, &c->reply->bell, TP_NOTICE_MS);
        if (c->taken != c->ticket && shm_box_ticket(c->reply) == c->ticket) {
            c->taken = c->ticket;
            return shm_box_take(c->reply, c->ticket, c->base.max_msg, buf, cap);
        }
        if (left)
            return 0;
        if (err == -EINTR || err == -ETIMEDOUT)
            return err;
    }
}

static void shm_cli_close(struct tp_client *cli)
{
    struct shm_client *c = (struct shm_client *)cli;

    if (!c)
        return;
    if (c->head)
        guard_unmap(c->head, c->size);
    slots_drop(&c->slots); /* last: who gets the slot finds us gone */
    free(c);
}

/* ---- the table ---------------------------------------------------------- */

const struct transport shm_transport = {
    .name = "shm",
    .blurb = "POSIX shared memory, semaphores as signals",
    .caps = TP_NAMED | TP_TURNS,
    .max_msg = SHM_CEILING,
    .usual_msg = SHM_USUAL,
    .max_depth = 1, /* a box holds one message */
    .probe = shm_probe,
    TP_CALLS(shm),
};
