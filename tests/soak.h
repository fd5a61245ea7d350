/*
 * soak.h - a day in a busy server's life, in minutes: what its parts share
 *
 *      soak.c          options and report
 *      soak_run.c      who comes, is stopped, is killed, and when
 *      soak_server.c   the server, its data file, what its heap holds
 *      soak_client.c   one client's life
 *      soak_look.c     looking whether all events are there
 *      soak_watch.c    once a second: what the server has in hand; the table
 *
 *      soak --- forks ---> server (five transports, one data file)
 *        |                   ^ ^ ^
 *        +---- forks ----> 64 clients, each in a seat of its own
 *
 * A seat has a book, in memory that all share: what the server has
 * acknowledged, and the one change that was asked for and not answered. A
 * client that is killed leaves its book to the next one in its seat, which
 * asks again, with the same token. So whatever dies, somebody knows what must
 * be in the timetable.
 */
#ifndef IPCLAB_SOAK_H
#define IPCLAB_SOAK_H

#include "client.h"
#include "clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/types.h>

#define NS_PER_MS  1000000
#define SEC        (1000 * (int64_t)NS_PER_MS)
#define SEATS      64
#define PIPE_SEATS 8    /* seats 0.. begin each server's life with a pipe */
#define SLOTS      20   /* of each other transport: sometimes one is full */
#define NOTES      8    /* living events of one seat, at most */
#define CALL_MS    5000 /* the deadline of every call: never to be met */
#define MONDAY     1795392000
#define DAY        86400
#define APART      600 /* seconds between the events of one seat */

/* ---- what is checked ----------------------------------------------------- */

enum check {
    ANSWERS, /* what the answer says */
    KEPT,    /* an acknowledged change is there */
    ONCE,    /* and nothing is there that wasn't asked for, or twice */
    WAITS,   /* every call and every process ends in time */
    SERVED,  /* nobody is turned away while there is a server and room */
    SERVERS, /* a server starts, and ends as it should */
    CHECKS
};

/* ---- books --------------------------------------------------------------- */

enum op { NONE, ADD, CHANGE, REMOVE };

struct change {
    enum op op;
    unsigned place;      /* in the book's notes */
    uint32_t n, version; /* the seat's nth event, as it will be */
    uint32_t id;         /* 0 for an add */
    uint64_t expect, token;
};

struct note {
    bool alive;
    uint32_t id, n, version;
    uint64_t rev;
};

/* Written by the one client in this seat. */
struct book {
    atomic_bool asked;  /* `now` was asked for, and isn't answered */
    struct change now;  /* being asked for */
    struct change last; /* the last one answered, and its result: */
    uint32_t last_id;
    uint64_t last_rev;
    uint64_t tokens;  /* given so far */
    uint32_t made;    /* events added so far */
    uint32_t gone_id; /* an event that was removed; 0 = none yet */
    struct note note[NOTES];
};

/* ---- what all processes share -------------------------------------------- */

/* What the server's malloc has given, and not got back (soak_server.c). */
struct heap {
    atomic_llong small; /* bytes in pieces of less than 1 KiB */
    atomic_llong large; /* number of all others */
};

struct desk {
    uint64_t seed;
    atomic_bool calm;  /* clients: leave; over a pipe: stand still */
    atomic_uint life;  /* number of the server; grows before its end */
    atomic_llong beat; /* when the parent last looked around, ns */
    atomic_llong gap;  /* when it noticed last that all had been stopped */
    atomic_uint stops[SEATS]; /* how often who sits there was stopped */
    atomic_uint said;         /* complaints printed */
    atomic_uint max_id;       /* of all events ever added */
    atomic_ullong passed[CHECKS], failed[CHECKS];
    atomic_ullong calls, changes, clients, refused, dropped;
    atomic_llong worst, worst_now; /* longest call, ns: ever, this second */
    atomic_llong notice;           /* longest until a dead server was seen */
    struct heap heap;
    struct book book[SEATS];
};

extern struct desk *desk;

/* Counted; a failure is said, the first ones on stderr. Any process. */
void soak_check(bool ok, enum check what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Zeroed memory that children share; nothing of it counts as a child's own
 * before the child touches it. */
void *soak_share(size_t size);

/* Ends the program, with a sentence. */
void soak_give_up(const char *what) __attribute__((noreturn));

void soak_pause(int64_t ns);
uint64_t soak_below(uint64_t *random, uint64_t n); /* 0..n-1 */

/* ---- soak_run.c ---------------------------------------------------------- */

struct totals {
    unsigned servers, server_kills, terms, kills, stops, roll_calls, looks;
    int64_t slowest_start, slowest_end; /* of a server, ns */
    int64_t paused;                     /* ns that all of us were stopped */
};

extern atomic_bool soak_over; /* Ctrl-C, or told to end */

void soak_run(unsigned seconds, bool sync, struct totals *t);

/* ---- soak_server.c ------------------------------------------------------- */

extern char soak_data[64]; /* the data file's path */

/* The data file as a long life would have left it. */
void soak_make_data(void);

/* Fork a server; its pipe's client ends are in *pipe_ends, to be dropped. Its
 * pid, when it is ready; 0 = it couldn't start, and has said why. */
pid_t soak_serve(struct tp_server **pipe_ends, bool sync);

/* After the last one: is the data file whole, with so many events? */
void soak_check_data(unsigned events);

/* ---- soak_client.c ------------------------------------------------------- */

struct visit {
    const struct transport *t;
    struct tp_server *inherited; /* a pipe's, and its channel */
    unsigned seat, life, serial;
    unsigned calls; /* then it leaves; 0 = it stays until it is told */
    bool slow;      /* it takes its time to read */
    bool last;      /* it only asks again for what wasn't answered, when there
                       is room for all */
};

/* In a process of its own. */
void soak_visit(const struct visit *v) __attribute__((noreturn));

int64_t soak_day(unsigned seat); /* when its events begin */

/* ---- soak_look.c --------------------------------------------------------- */

/* In a process of its own: is the timetable what the books say? Seats whose
 * bit is set in `busy` are left out: somebody may be writing there. */
void soak_look(const struct transport *t, unsigned life, uint64_t busy)
    __attribute__((noreturn));

unsigned soak_living(void); /* events, by the books */

/* ---- soak_watch.c -------------------------------------------------------- */

/* What a server has in hand. */
struct hand {
    long fds, threads, names, segments, queues;
    long rss, pss; /* KiB */
};

/* 0, or -1 when the process has gone. */
int soak_in_hand(pid_t server, struct hand *out);
long soak_fds(pid_t server);
long soak_data_size(void);            /* bytes */
long soak_names(struct hand *counts); /* all of them; counts may be NULL */

/* Room for one sample a second. */
void soak_watch_begin(unsigned seconds);
/* None while no server runs (0), or while all stand still. */
void soak_sample(pid_t server);
/* A server has started: its data file is as compaction left it. */
void soak_sample_start(void);
/* A roll call: since the one before, of the same server. */
void soak_sample_heap(long long bytes, unsigned long long clients);

/* The table. Adds to the two numbers. */
void soak_table(unsigned *passed, unsigned *failed);

#endif
