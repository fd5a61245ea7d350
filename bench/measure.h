/*
 * measure.h - the client's side of a run: wait for the others, warm up,
 * measure, cool down
 *
 * Between case.c, which starts and ends the processes, and the subjects.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "case.h"

/* What one client reports; on cache lines of its own. */
struct tally {
    _Alignas(64) int error; /* 0 or -errno */
    uint32_t count;         /* samples */
    int64_t elapsed_ns;
    int64_t cpu_ns;                 /* client 0: and the server's */
    int64_t voluntary, involuntary; /* the same; -1 = can't be counted */
    char why[CASE_WHY_MAX];
};

/* A counting run goes through these, in turn moved on by the client (READY,
 * DONE) and by ipcbench. */
enum phase { PHASE_WARMUP, PHASE_READY, PHASE_COUNTED, PHASE_DONE, PHASE_OVER };

/* What the processes of one run tell each other: one shared mapping. */
struct shared {
    atomic_bool stop;          /* to all clients: give up */
    atomic_uint joined, left;  /* clients */
    atomic_int_fast64_t begin; /* when warm-up begins; 0: not all are there */
    atomic_int phase;          /* counting run */
    bool counting;
    pid_t server; /* 0 = none */
    int server_error;
    struct tally client[TP_CLIENTS_MAX];
    _Alignas(64) uint32_t sample[]; /* ns; see client_samples */
};

/* One client of a run. */
struct meter {
    struct shared *sh;
    const struct conditions *c;
    const struct subject *subject;
    void *self;
    unsigned index;
    double seconds;
    uint32_t *sample, *service; /* service: open loop only */
    uint32_t capacity;          /* of each */
};

/*
 * The samples of client `index`: `total` of them are shared out evenly.
 * *service is NULL but for an open loop. Returns the capacity of each.
 */
uint32_t client_samples(struct shared *sh, uint32_t total,
                        const struct conditions *c, unsigned index,
                        uint32_t **sample, uint32_t **service);

/* All that a client process does; what came out is in its tally. */
void measure_client(struct meter *m);

#endif
