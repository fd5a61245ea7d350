/*
 * slots.c - byte locks; see slots.h
 *
 * Layout of the lock file: one line of text in the first INFO_SIZE bytes, and
 * from there a 4-byte counter for each slot, its generation, written only by
 * the client that holds the slot's lock. Locks are on byte numbers; they have
 * nothing to do with what the bytes contain.
 *
 * It needs _GNU_SOURCE for F_OFD_SETLK.
 */
#define _GNU_SOURCE
#include "slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INFO_SIZE      128 /* bytes for the line of text */
#define SERVER_BYTE    0
#define SLOT_BYTE      1 /* slot i locks byte SLOT_BYTE + i */
#define PIN_BYTE       (SLOT_BYTE + TP_CLIENTS_MAX) /* see slots_pin */
#define GENERATION_MAX 0xffffffu /* a tp_peer has room for 24 bits; 0 is none */

/* ---- locks -------------------------------------------------------------- */

static struct flock one_byte(short type, off_t byte)
{
    struct flock l = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return l;
}

static int lock_byte(int fd, off_t byte)
{
    struct flock l = one_byte(F_WRLCK, byte);

    return fcntl(fd, F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

static void unlock_byte(int fd, off_t byte)
{
    struct flock l = one_byte(F_UNLCK, byte);

    (void)fcntl(fd, F_OFD_SETLK, &l); /* to unlock can't fail */
}

/* Somebody else holds it. (Our own lock never stands in our way.) */
static bool is_locked(int fd, off_t byte)
{
    struct flock l = one_byte(F_WRLCK, byte);

    return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

/* ---- the file ----------------------------------------------------------- */

static int read_info(int fd, struct slots_info *info)
{
    char line[INFO_SIZE + 1];
    ssize_t n = pread(fd, line, INFO_SIZE, 0);

    if (n < 0)
        return -errno;
    line[n] = '\0';
    if (sscanf(line, "pid %ld clients %u depth %u max_msg %zu", &info->pid,
               &info->clients, &info->depth, &info->max_msg) != 4)
        return -ENOENT; /* its server isn't ready yet, or not any more */
    return info->clients <= TP_CLIENTS_MAX ? 0 : -EPROTO;
}

void slots_name(char name[SLOTS_FILE_MAX], const struct slots *s, int slot)
{
    if (slot < 0)
        snprintf(name, SLOTS_FILE_MAX, "%s", s->stem);
    else
        snprintf(name, SLOTS_FILE_MAX, "%.50s.%d", s->stem, slot);
}

void slots_object(char object[RUNDIR_OBJECT_MAX], const struct slots *s,
                  int slot)
{
    char name[SLOTS_FILE_MAX];

    slots_name(name, s, slot);
    rundir_object(object, s->dir, name);
}

/* The lock file's name. */
static void lock_name(char file[SLOTS_FILE_MAX], const struct slots *s)
{
    snprintf(file, SLOTS_FILE_MAX, "%.50s.lock", s->stem);
}

/* Opens it: the descriptor, or -errno. A link isn't followed, wherever it may
 * lead. */
static int open_lock(const struct slots *s, const struct tp_opts *opts,
                     int flags)
{
    char file[SLOTS_FILE_MAX];
    int fd;

    lock_name(file, s);
    fd = openat(s->dir, file, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
    if (fd < 0 && errno == ELOOP)
        return tp_why(opts, -EACCES,
                      "'%s' in the runtime folder is a link; remove it", file);
    return fd < 0 ? -errno : fd;
}

/* The runtime folder and the names in it: 0 or -errno. */
static int begin(struct slots *s, const struct tp_opts *opts,
                 const char *transport, bool make)
{
    *s = (struct slots){.fd = -1, .clients = opts->clients};
    snprintf(s->stem, sizeof s->stem, "%s.%s", opts->name, transport);
    s->dir = rundir_open(opts, make);
    return s->dir < 0 ? s->dir : 0;
}

/* ---- coming ------------------------------------------------------------- */

/*
 * One attempt to hold byte 0 of a new file: 1 done, 0 try again, or -errno.
 *
 * Why two starters can't both win: whoever holds byte 0 of the file that the
 * name leads to is the server. A starter that finds an old file removes its
 * name *while holding its byte 0*; so the other one either fails to lock, or
 * locks a file that has no name any more, sees that, and tries again.
 */
static int try_serve(struct slots *s, const struct tp_opts *opts)
{
    char file[SLOTS_FILE_MAX];
    struct stat st;
    int err, fd = open_lock(s, opts, O_CREAT);

    if (fd < 0)
        return fd;
    lock_name(file, s);
    err = lock_byte(fd, SERVER_BYTE);
    if (err) {
        close(fd);
        return err == -EAGAIN || err == -EACCES ? -EADDRINUSE : err;
    }
    if (!rundir_leads_to(s->dir, file, fd) || fstat(fd, &st) < 0) {
        close(fd);
        return 0;
    }
    if (st.st_size > 0) { /* a dead server's: its clients may still hold it */
        (void)unlinkat(s->dir, file, 0); /* the next attempt will tell */
        close(fd);
        return 0;
    }
    s->fd = fd;
    return 1;
}

int slots_serve(struct slots *s, const struct tp_opts *opts,
                const char *transport)
{
    int got = 0;

    /* Each further attempt needs another starter to have got ahead of us. */
    for (int i = 0; i < 100 && got == 0; i++) {
        got = begin(s, opts, transport, true);
        if (!got)
            got = try_serve(s, opts);
        if (got == -ENOENT) /* who closed last has removed the folder */
            got = 0;
        if (got != 1)
            slots_drop(s);
    }
    if (got == 1)
        return 0;
    return got < 0 && got != -EADDRINUSE
               ? got
               : tp_why(opts, -EADDRINUSE, "a live server has this name");
}

int slots_ready(struct slots *s, const struct tp_server *base)
{
    char line[INFO_SIZE];
    int n =
        snprintf(line, sizeof line, "pid %ld clients %u depth %u max_msg %zu\n",
                 (long)getpid(), base->clients, base->depth, base->max_msg);

    /* One write: a client sees all of the line or none of it. */
    return pwrite(s->fd, line, (size_t)n, 0) < 0 ? -errno : 0;
}

static off_t generation_at(unsigned slot)
{
    return INFO_SIZE + (off_t)slot * (off_t)sizeof(uint32_t);
}

/* The generation of the last client that took this slot. */
static uint32_t generation_of(const struct slots *s, unsigned slot)
{
    uint32_t g = 0;

    /* Beyond the end of the file: nobody has had this slot yet. */
    if (pread(s->fd, &g, sizeof g, generation_at(slot)) != (ssize_t)sizeof g)
        return 0;
    return g;
}

/* From now on the slot is ours: its generation says so. 0; -EAGAIN when the
 * server has it pinned, and seems to have been stopped there; or -errno. */
static int sign_slot(struct slots *s)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    off_t pin = PIN_BYTE + (off_t)s->slot;
    int err = lock_byte(s->fd, pin);

    for (int i = 0; err == -EAGAIN && i < TP_NOTICE_MS; i++) {
        (void)nanosleep(&moment, NULL); /* a signal only makes it shorter */
        err = lock_byte(s->fd, pin);
    }
    if (err)
        return err;
    s->generation = generation_of(s, s->slot) % GENERATION_MAX + 1;
    if (pwrite(s->fd, &s->generation, sizeof s->generation,
               generation_at(s->slot)) < 0)
        err = -errno;
    unlock_byte(s->fd, pin);
    return err;
}

/* Locks the first free slot: 0, or -EBUSY. */
static int take_slot(struct slots *s)
{
    for (s->slot = 0; s->slot < s->clients; s->slot++) {
        int err = lock_byte(s->fd, SLOT_BYTE + (off_t)s->slot);

        if (err == -EAGAIN || err == -EACCES)
            continue;
        if (err)
            return err;
        err = sign_slot(s);
        if (err != -EAGAIN)
            return err;
        unlock_byte(s->fd, SLOT_BYTE + (off_t)s->slot);
    }
    return -EBUSY;
}

int slots_join(struct slots *s, const struct tp_opts *opts,
               const char *transport, struct tp_client *base)
{
    struct slots_info info = {0};
    int err = begin(s, opts, transport, false);

    if (!err)
        s->fd = open_lock(s, opts, 0);
    if (!err)
        err = s->fd < 0 ? s->fd : read_info(s->fd, &info);
    if (!err && !slots_server_alive(s))
        err = -ENOENT;
    s->clients = info.clients;
    base->max_msg = info.max_msg;
    base->depth = info.depth;
    if (!err)
        err = take_slot(s);
    if (!err)
        return 0;
    slots_drop(s);
    if (err == -EBUSY)
        return tp_why(opts, err, "all %u client slots are taken", info.clients);
    return err == -ENOENT ? tp_why(opts, err, "nobody serves here") : err;
}

int slots_joined(const struct slots *s)
{
    return slots_server_alive(s) ? 0 : -ENOENT;
}

/* ---- who is there ------------------------------------------------------- */

bool slots_server_alive(const struct slots *s)
{
    return is_locked(s->fd, SERVER_BYTE);
}

bool slots_server_left(struct slots *s, struct wait *w)
{
    bool over = w->until && w->now >= w->until;

    if (!s->left && (wait_look(w) || over))
        s->left = !slots_server_alive(s);
    return s->left;
}

bool slots_pin(struct slots *s, unsigned slot)
{
    if (lock_byte(s->fd, PIN_BYTE + (off_t)slot))
        return false;
    if (generation_of(s, slot) == s->known_generation[slot])
        return true;
    slots_unpin(s, slot);
    return false;
}

void slots_unpin(struct slots *s, unsigned slot)
{
    unlock_byte(s->fd, PIN_BYTE + (off_t)slot);
}

int slots_meet(struct slots *s, unsigned slot, uint32_t generation)
{
    uint64_t bit = UINT64_C(1) << slot % TP_CLIENTS_MAX;
    bool same = s->known_generation[slot % TP_CLIENTS_MAX] == generation;

    if (slot >= s->clients || (s->refused & bit && same))
        return -EPROTO;
    if (s->known & bit && same)
        return 1;
    if (!generation || generation_of(s, slot) != generation)
        return -EPROTO;
    if (s->known & bit)
        return -EPIPE;
    s->known |= bit;
    s->refused &= ~bit;
    s->known_generation[slot] = generation;
    return 0;
}

tp_peer slots_part(struct slots *s, unsigned slot)
{
    s->known &= ~(UINT64_C(1) << slot);
    return peer_of(slot, s->known_generation[slot]);
}

void slots_refuse(struct slots *s, unsigned slot)
{
    s->refused |= UINT64_C(1) << slot;
    s->look = 0; /* slots_dead has something to tell */
}

bool slots_knows(const struct slots *s, tp_peer peer)
{
    unsigned slot = peer_slot(peer);

    return slot < s->clients && (s->known & ~s->refused) >> slot & 1 &&
           peer_of(slot, s->known_generation[slot]) == peer;
}

/* Its byte is free, or somebody else has it by now. */
static bool has_left(const struct slots *s, unsigned slot)
{
    return !is_locked(s->fd, SLOT_BYTE + (off_t)slot) ||
           generation_of(s, slot) != s->known_generation[slot];
}

int slots_dead(struct slots *s)
{
    int64_t now = clock_now_ns();

    if (now < s->look)
        return -1;
    s->look = 0; /* if one has left: look again at once, there may be more */
    for (unsigned i = 0; i < s->clients; i++)
        if (s->known >> i & 1 && (s->refused >> i & 1 || has_left(s, i)))
            return (int)i;
    s->look = now + (int64_t)TP_NOTICE_MS * 1000000;
    return -1;
}

int slots_slice_ms(const struct slots *s)
{
    return s->look == 0 ? 0 : TP_NOTICE_MS;
}

/* ---- leaving ------------------------------------------------------------ */

void slots_drop(struct slots *s)
{
    if (s->fd >= 0)
        close(s->fd);
    if (s->dir >= 0)
        close(s->dir);
    s->fd = s->dir = -1;
}

bool slots_ours(const struct slots *s)
{
    char file[SLOTS_FILE_MAX];

    lock_name(file, s);
    return rundir_leads_to(s->dir, file, s->fd) ||
           faccessat(s->dir, file, F_OK, 0) < 0; /* nobody serves */
}

bool slots_retire(struct slots *s)
{
    static const char line[] = "closing\n";

    if (s->fd < 0)
        return false;
    /* If it can't be written, who joins now finds us gone a little later. */
    (void)!pwrite(s->fd, line, sizeof line - 1, 0);
    return slots_ours(s);
}

void slots_close(struct slots *s)
{
    char file[SLOTS_FILE_MAX];

    if (s->fd >= 0) { /* still ours: we hold its byte 0 until the drop */
        lock_name(file, s);
        (void)unlinkat(s->dir, file, 0); /* gone already is as good */
        rundir_remove();
    }
    slots_drop(s);
}

/* ---- for people --------------------------------------------------------- */

int slots_look(int dir, const char *file, struct slots_info *info)
{
    int fd = openat(dir, file, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    int alive;

    if (fd < 0)
        return -errno;
    *info = (struct slots_info){0};
    (void)read_info(fd, info); /* no line: a server that never got ready */
    alive = is_locked(fd, SERVER_BYTE);
    close(fd);
    return alive;
}
