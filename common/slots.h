/*
 * slots.h - who is there: byte locks on one file per instance and transport
 *
 *   INSTANCE.TRANSPORT.lock in the runtime folder
 *   byte      0          1          2         ...  64
 *   locked by server     client in  client in
 *                        slot 0     slot 1
 *
 * To take a slot *is* to lock its byte. So a full server answers -EBUSY
 * without being asked; kill -9 gives a byte back at once, because the kernel
 * drops a lock with the last descriptor of its open file description; PID
 * reuse can't confuse it; and a stopped process still counts as alive. Locks
 * of this kind (F_OFD_SETLK in fcntl(2)) are shared by fork.
 *
 * Every server starts with a new file: so a client of a dead server, which has
 * the old one open, sees byte 0 of *its* file unlocked, whoever serves now.
 */
#ifndef IPCLAB_SLOTS_H
#define IPCLAB_SLOTS_H

#include "rundir.h"
#include "wait.h"

#define SLOTS_FILE_MAX 64 /* bytes of a file name in the runtime folder */

struct slots {
    int dir;                   /* the runtime folder; owned, -1 = none */
    int fd;                    /* the lock file; owned, -1 = none */
    char stem[SLOTS_FILE_MAX]; /* "INSTANCE.TRANSPORT" */
    unsigned clients;          /* how many slots there are */

    /* A client's: its slot, and the slot's generation, which differs from
     * that of every earlier client. */
    unsigned slot;
    uint32_t generation;
    bool left; /* the server has left */

    /* A server's: who has sent something and hasn't left (bit i = slot i). */
    uint64_t known;
    uint64_t refused; /* whose messages aren't taken any more */
    uint32_t known_generation[TP_CLIENTS_MAX];
    int64_t look; /* when slots_dead looks again, ns */
};

/* ---- coming -------------------------------------------------------------- */

/*
 * Become the server of opts->name: -EADDRINUSE when a live one holds it. On
 * success the caller cleans the stale names of its own transport, makes new
 * ones, and then calls slots_ready, which writes what clients must know (from
 * *base) into the file: until then no client finds the server.
 */
int slots_serve(struct slots *s, const struct tp_opts *opts,
                const char *transport);
int slots_ready(struct slots *s, const struct tp_server *base);

/* Take a free slot of a live server: -ENOENT, -EBUSY. Fills in max_msg and
 * depth of *base. When everything is open, slots_joined: -ENOENT if the server
 * has left meanwhile, and the names may have been another one's. */
int slots_join(struct slots *s, const struct tp_opts *opts,
               const char *transport, struct tp_client *base);
int slots_joined(const struct slots *s);

/* The name "INSTANCE.TRANSPORT" in the folder, with ".SLOT" unless slot < 0;
 * and the same as the name of a queue or a segment. */
void slots_name(char name[SLOTS_FILE_MAX], const struct slots *s, int slot);
void slots_object(char object[RUNDIR_OBJECT_MAX], const struct slots *s,
                  int slot);

/* ---- who is there -------------------------------------------------------- */

bool slots_server_alive(const struct slots *s);

/* Client, after each wait_next, where the lock is the only sign of the server's
 * life: true once it is known to have left. It looks each TP_NOTICE_MS and when
 * the deadline has passed; not in a wait without a clock (ms < 0, ms 0). */
bool slots_server_left(struct slots *s, struct wait *w);

/*
 * A message says that it comes from this slot and generation:
 *   1        from a client that is known
 *   0        from a new one, now known: a chapter opens its way back
 *   -EPIPE   from a new one, but its slot had another client, which has left:
 *            that has to be reported first (slots_part)
 *   -EPROTO  nobody holds this slot with this generation
 */
int slots_meet(struct slots *s, unsigned slot, uint32_t generation);

/*
 * A name belongs to a slot, and who sent a request may be dead when we come to
 * it: then the name may be the next client's already, and to open or remove it
 * would take that one's way back. So around both: true if the slot still is the
 * known client's, and nobody else gets it until slots_unpin. False: that client
 * has left, and there is nothing of it to open or to remove.
 */
bool slots_pin(struct slots *s, unsigned slot);
void slots_unpin(struct slots *s, unsigned slot); /* also where it was false */

/* The client in this slot has left; its address. */
tp_peer slots_part(struct slots *s, unsigned slot);

/* The client in this slot is dropped: its messages are -EPROTO from now on,
 * and slots_dead gives its slot, once, as if it had left. */
void slots_refuse(struct slots *s, unsigned slot);

/* True when this address is that of a known client that isn't refused. */
bool slots_knows(const struct slots *s, tp_peer peer);

/*
 * For a server whose mechanism doesn't tell: the slot of a known client that
 * has left, or -1. Looks at most once in TP_NOTICE_MS; a look costs two system
 * calls a client.
 */
int slots_dead(struct slots *s);

/* How long such a server may sleep before it looks: TP_NOTICE_MS; 0 when it has
 * just found one, for there may be more. */
int slots_slice_ms(const struct slots *s);

/* ---- leaving ------------------------------------------------------------- */

/* Client: give the slot back. Server handle shared by fork: let go of it. */
void slots_drop(struct slots *s);

/* True when our names are ours to remove: nobody else has begun to serve since.
 * A client asks before it removes what the server never opened. */
bool slots_ours(const struct slots *s);

/* Server, before it removes its names: no client can join any more. False when
 * there is nothing to remove: this handle doesn't serve; or somebody has
 * removed its lock file, and another server has the names since. */
bool slots_retire(struct slots *s);

/* Server, after slots_retire said true: remove the lock file and let go. */
void slots_close(struct slots *s);

/* ---- for people ---------------------------------------------------------- */

/* What a server tells those who come. Text in the file: `cat` shows it. */
struct slots_info {
    long pid;
    unsigned clients, depth;
    size_t max_msg; /* bytes */
};

/* The lock file `file` in the folder `dir`: 1 its server lives, 0 it is dead,
 * -errno not readable. */
int slots_look(int dir, const char *file, struct slots_info *info);

#endif
