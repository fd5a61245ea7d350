/*
 * case.h - one case of the benchmark, and how one run of it is done
 *
 * A case is what is measured (a subject: the lab over one transport, a bare
 * ping-pong, ...) and every condition it is measured under. A run is one
 * measurement in fresh processes, one server and as many clients as wanted:
 *
 *      ipcbench ---- fork ----> server   placed on its CPU, serves
 *         |  \------ fork ----> client   placed, warms up, measures
 *         |                       |
 *         \<- shared page(s) -----/      raw samples, counters, errors
 *
 * Fresh processes, because memory layout and scheduling differ from start to
 * start and stay for a process's life: one process measured for ever would
 * give one throw of the dice with great precision.
 *
 *      join | all are ready | warm-up | measured      | cool-down | leave
 *                           begin     + RUN_WARMUP_S  end      + RUN_COOLDOWN_S
 *
 * All clients share these moments: while one is measured, all work.
 *
 * A client's loop makes no system call but the mechanism's own (and, with
 * think time, the sleep), reads the clock twice a request (vDSO: no system
 * call), allocates nothing and writes only to pages it has touched before.
 * Replies are checked between the two clock readings of different requests:
 * outside of what is timed. But for the lab's echo: client_echo compares the
 * bytes itself, inside.
 */
#ifndef BENCH_CASE_H
#define BENCH_CASE_H

#include "count.h"
#include "stats.h"
#include "transport.h"

#include <stdatomic.h>

/* Where the server and its clients run. */
enum place {
    PLACE_SAME,    /* all on one CPU */
    PLACE_CROSS,   /* server on one, clients on another, of another core where
                      there is one */
    PLACE_SMT,     /* two threads of one core */
    PLACE_CACHE,   /* two cores below one last-level cache */
    PLACE_PACKAGE, /* two processor packages */
    PLACE_FREE,    /* wherever the scheduler likes */
    PLACE_COUNT
};

/* A placement's CPUs: -1 = any. */
struct spot {
    bool there; /* this machine has it, and we may use it */
    int client, server;
};

enum op {
    OP_GET,  /* one event by its id */
    OP_ECHO, /* bytes there and back through the codec */
    OP_RAW,  /* a message there and back: no codec, no store */
    OP_LIST, /* a range of the timetable: a page of 36 events */
    OP_ADD,  /* a change, kept in a data file */
    OP_COUNT
};

enum kind {
    KIND_LAB,   /* the lab over a transport */
    KIND_BARE,  /* the mechanism's own smallest ping-pong */
    KIND_NONE,  /* a direct call: codec and store alone */
    KIND_ALONE, /* both sides of the bare ping-pong in one process: the same
                   system calls, and nobody to be woken */
    KIND_PEER,  /* what people would use instead (peer.h) */
};

#define CASE_NAME_MAX    160
#define CASE_EVENTS      1000 /* the usual store */
#define CASE_DEADLINE_MS 1000 /* and deadline, where there is one */
#define LIST_HITS        36   /* events of a list's reply */
/* Of which each has a title as long as those of a get of 128 bytes. */
#define LIST_SIZE    (20 + 4 + LIST_HITS * (29 + 79))
#define ADD_TITLE    79 /* bytes of an added event's title */
#define CASE_WHY_MAX 200

struct conditions {
    const char *transport; /* "pipe"; "none" with KIND_NONE */
    enum kind kind;
    enum tp_wait wait; /* KIND_NONE and KIND_ALONE wait for nobody */
    enum place place;
    enum op op;      /* bare, alone: whose bytes are sent each way */
    int deadline_ms; /* -1 = none: plain blocking calls */
    size_t size;     /* bytes of the whole reply */
    unsigned clients, depth;
    unsigned events;   /* in the store */
    unsigned think_us; /* the client sleeps so long before each request */
    unsigned work_us;  /* the server computes so long for each request */
    unsigned stall_us; /* the server stops so long, ten times a second */
    double rate;       /* open loop: requests a second, all clients together;
                          0 = closed loop */
    bool sync;         /* OP_ADD: on disk before the reply */
    double seconds;    /* measured in one run; 0 = the benchmark's */
};

/* The bytes of a request and of its reply. */
size_t case_request_size(const struct conditions *c);
/* The smallest and the largest reply that an operation can have. */
void op_sizes(enum op op, size_t *min, size_t *max);

/* Names as on the command line, indexed by the enums; COUNT of them. */
extern const char *const op_names[OP_COUNT];
extern const char *const place_names[PLACE_COUNT];
extern const char *const wait_names[3];

/*
 * Each case has one name and no other case has it: "socket/block/same/get/128",
 * "pipe/spin/cross/bare/128", "none/-/same/none/128"; then what isn't usual:
 * ".../deadline", ".../clients:8", ".../depth:4", ".../think:100us",
 * ".../work:1000us", ".../stall:10000us", ".../rate:5000", ".../sync",
 * ".../events:1000000".
 */
void case_name(char name[CASE_NAME_MAX], const struct conditions *c);

/*
 * What can be measured. All calls return 0 or -errno; `self` is what prepare
 * made, copied into all processes by fork.
 */
struct subject {
    /* In ipcbench, before fork: make what the processes inherit. A failure
     * leaves nothing behind; one sentence may go to why[CASE_WHY_MAX]. */
    int (*prepare)(void **self, const struct conditions *c, char *why);
    /* In the server process: serve until *stop. NULL: there is no server. */
    int (*serve)(void *self, const atomic_bool *stop);
    /* In client process number `index`. */
    int (*join)(void *self, unsigned index, char *why);
    int (*call)(void *self);  /* one request and its reply: timed */
    int (*check)(void *self); /* the reply is the right one (-EBADMSG); then
                                  get ready for the next request. Not timed */
    /* The two halves of a call, for more than one request in flight; replies
     * come in the order of the requests, check follows take. NULL: it can't. */
    int (*post)(void *self);
    int (*take)(void *self);
    /* Leave. In the last client `server` isn't 0: tell that process to stop
     * when nothing else would wake it. */
    void (*leave)(void *self, pid_t server);
    /* In ipcbench, after all forks. */
    void (*drop)(void *self);
};

extern const struct subject lab_subject;   /* lab.c: KIND_LAB */
extern const struct subject none_subject;  /* lab.c: KIND_NONE */
extern const struct subject bare_subject;  /* bare.c: KIND_BARE */
extern const struct subject alone_subject; /* bare.c: KIND_ALONE */

/* Frees the stores that lab_subject filled and keeps for the next runs, and
 * removes what a killed server of its left on disk. */
void lab_forget(void);

/*
 * What payloads are made of: reply number n is the bytes from n % PATTERN_STEP
 * on, so neighbours differ in every byte. PATTERN_STEP + size bytes of text,
 * the caller's to free; NULL without memory.
 */
#define PATTERN_STEP 26
char *pattern_new(size_t size);

/* One measured run. Without clock readings of its own a value is NAN. */
struct run {
    struct dist dist;    /* of all clients; count 0: it failed. Closed loop:
                            from the send; open loop: from the moment at which
                            the request was due */
    struct dist service; /* open loop: from the send; else empty */
    double p50;
    double requests_per_s;
    double cpu_ns;      /* a request: user + system, all processes */
    double voluntary;   /* context switches a request: gave the CPU away */
    double involuntary; /* ... had it taken away */
    double drift;       /* median of the last third over that of the first */
    double share;       /* requests of the busiest client over the idlest's */
    double client_p99[TP_CLIENTS_MAX];
    int error; /* 0 or -errno */
    char why[CASE_WHY_MAX];
};

/* How long, and where: the same for all cases of one benchmark. */
struct bench_opts {
    double seconds;      /* measured in one run, where the case doesn't say */
    double seconds_most; /* the longest of all cases; 0 = seconds */
    const struct spot *spots; /* PLACE_COUNT of them; kept */
};

struct bench; /* shared memory and signals of a series of runs */

/* NULL without memory. One at a time: it blocks SIGCHLD, and SIGINT,
 * SIGTERM, SIGHUP unless they are ignored (nohup). */
struct bench *bench_open(const struct bench_opts *opts);
void bench_close(struct bench *b); /* takes NULL */

/* True once one of these three came: then case_run gives -EINTR soon. */
bool bench_interrupted(const struct bench *b);

/*
 * One run. All processes have ended when it returns, whatever happened: they
 * are asked, then killed. The result is in *out (the caller frees out->dist
 * and out->service); returns out->error. `subject`: NULL = the one for
 * c->kind.
 */
int case_run(struct bench *b, const struct conditions *c,
             const struct subject *subject, struct run *out);

/*
 * A run that isn't timed: its system calls and switches are counted instead,
 * in the way out->how says, over at most COUNT_REQUESTS requests of one client.
 * 0, or -errno when that can't be done here or the run failed: then *out says
 * nothing.
 */
#define COUNT_REQUESTS 400
int case_count(struct bench *b, const struct conditions *c,
               const struct subject *subject, struct counts *out);

/* Seconds that a run takes beside the measured ones: start, warm-up, end. */
#define RUN_WARMUP_S   0.02
#define RUN_COOLDOWN_S 0.003
#define RUN_OVERHEAD_S (RUN_WARMUP_S + RUN_COOLDOWN_S + 0.017)

#endif
