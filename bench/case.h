/*
 * case.h - one case of the benchmark, and how one run of it is done
 *
 * A case is what is measured (a subject: the lab over one transport, or a bare
 * ping-pong) and every condition it is measured under. A run is one
 * measurement in two fresh processes:
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
 * The client's loop makes no system call but the mechanism's own, reads the
 * clock twice a request (vDSO: no system call), allocates nothing and writes
 * only to pages it has touched before. Replies are checked between the two
 * clock readings of different requests: outside of what is timed. But for the
 * lab's echo: client_echo compares the bytes itself, inside.
 */
#ifndef BENCH_CASE_H
#define BENCH_CASE_H

#include "stats.h"
#include "transport.h"

#include <stdatomic.h>

enum place { PLACE_SAME, PLACE_CROSS, PLACE_COUNT };
enum op { OP_GET, OP_ECHO, OP_COUNT };
enum kind { KIND_LAB, KIND_BARE, KIND_NONE };

#define CASE_NAME_MAX 80
#define CASE_WHY_MAX  200

struct conditions {
    const char *transport; /* "pipe"; "none" with KIND_NONE */
    enum kind kind;
    enum tp_wait wait; /* KIND_NONE waits for nobody */
    enum place place;
    enum op op;      /* bare: whose bytes are sent each way */
    int deadline_ms; /* -1 = none: plain blocking calls */
    size_t size;     /* bytes of the whole reply */
    unsigned clients, depth;
    unsigned events; /* in the store */
};

/* The bytes of a request and of its reply. */
size_t case_request_size(const struct conditions *c);
/* The smallest and the largest reply that an operation can have. */
void op_sizes(enum op op, size_t *min, size_t *max);
const char *op_name(enum op op);
const char *wait_name(enum tp_wait wait);
const char *place_name(enum place place);

/* "socket/block/same/get/128", "pipe/spin/cross/bare/128",
 * "shm/block/same/get/128/deadline", "none/-/same/none/128". */
void case_name(char name[CASE_NAME_MAX], const struct conditions *c);

/*
 * What can be measured. All calls return 0 or -errno; `self` is what prepare
 * made, copied into both processes by fork.
 */
struct subject {
    /* In ipcbench, before fork: make what both processes inherit. A failure
     * leaves nothing behind; one sentence may go to why[CASE_WHY_MAX]. */
    int (*prepare)(void **self, const struct conditions *c, char *why);
    /* In the server process: serve until *stop. NULL: there is no server. */
    int (*serve)(void *self, const atomic_bool *stop);
    /* In the client process. */
    int (*join)(void *self, char *why);
    int (*call)(void *self);  /* one request and its reply: timed */
    int (*check)(void *self); /* the reply is the right one (-EBADMSG); then
                                  get ready for the next request. Not timed */
    /* Leave; `server` (0 = none) has to be told to stop when nothing else
     * would wake it. */
    void (*leave)(void *self, pid_t server);
    /* In ipcbench, after both forks. */
    void (*drop)(void *self);
};

extern const struct subject lab_subject;  /* lab.c: KIND_LAB */
extern const struct subject none_subject; /* lab.c: KIND_NONE */
extern const struct subject bare_subject; /* bare.c: KIND_BARE */

/*
 * What payloads are made of: reply number n is the bytes from n % PATTERN_STEP
 * on, so neighbours differ in every byte. PATTERN_STEP + size bytes of text,
 * the caller's to free; NULL without memory.
 */
#define PATTERN_STEP 26
char *pattern_new(size_t size);

/* One measured run. */
struct run {
    struct dist dist; /* count 0: it failed */
    double requests_per_s;
    double cpu_ns;   /* a request: user + system, both processes */
    double switches; /* a request: voluntary or not, both; NAN = unknown */
    int error;       /* 0 or -errno */
    char why[CASE_WHY_MAX];
};

/* How long, and where: the same for all cases of one benchmark. */
struct bench_opts {
    double seconds;          /* measured in one run */
    int cpu[PLACE_COUNT][2]; /* the client's, the server's; -1 = no such pair */
};

struct bench; /* shared memory and signals of a series of runs */

/* NULL without memory. One at a time: it blocks SIGCHLD, and SIGINT,
 * SIGTERM, SIGHUP unless they are ignored (nohup). */
struct bench *bench_open(const struct bench_opts *opts);
void bench_close(struct bench *b); /* takes NULL */

/* True once one of these three came: then case_run gives -EINTR soon. */
bool bench_interrupted(const struct bench *b);

/*
 * One run. Both processes have ended when it returns, whatever happened: they
 * are asked, then killed. The result is in *out (the caller frees out->dist);
 * returns out->error. `subject`: NULL = the one for c->kind.
 */
int case_run(struct bench *b, const struct conditions *c,
             const struct subject *subject, struct run *out);

/* Seconds that a run takes beside the measured ones: start, warm-up, end. */
#define RUN_WARMUP_S   0.02
#define RUN_OVERHEAD_S (RUN_WARMUP_S + 0.015)

#endif
