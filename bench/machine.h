/*
 * machine.h - where it was measured, and what measuring itself costs
 *
 * No number here travels without these. Nothing names the host or its user.
 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include "case.h"

#define MACHINE_TEXT 128

struct machine {
    char cpu[MACHINE_TEXT];      /* model */
    char kernel[MACHINE_TEXT];   /* "Linux 6.18.5 x86_64" */
    char governor[MACHINE_TEXT]; /* of CPU 0; "" = none */
    char clock_source[MACHINE_TEXT];
    char hypervisor[MACHINE_TEXT];  /* "" = none seen */
    char mitigations[MACHINE_TEXT]; /* those that make system calls dearer:
                                       "pti, ibrs"; "" = none seen */
    bool container;
    bool smt;          /* two threads a core are on */
    int mhz;           /* 0 = unknown */
    int cpus;          /* online */
    int allowed;       /* of them ours */
    double load[3];    /* averages of 1, 5, 15 minutes, before */
    double clock_ns;   /* one reading of the clock */
    double harness_ns; /* of measuring one request: two readings and a store;
                          one reading is inside the sample */
    struct spot spots[PLACE_COUNT];

    /* While it was measured, filled in by machine_after: shares of the CPU
     * time of all CPUs we may use, 0 to 1; NAN = /proc doesn't say. */
    double load_after;
    double stolen;    /* taken by the hypervisor for other machines */
    double others;    /* used by other programs here */
    double before[4]; /* machine.c's own: where its counters stood */
};

/* Look, and find the placements. Where something can't be found out its field
 * stays empty. */
void machine_look(struct machine *m);
/* Measuring is over: how busy was the machine meanwhile? All children have
 * been waited for. */
void machine_after(struct machine *m);

/*
 * Choose CPUs for each placement among the `allowed` ones (a list of numbers
 * below CPU_SETSIZE, rising), reading the topology below `sys`
 * ("/sys/devices/system/cpu"): `same` is the last one, since CPU 0 often
 * serves the devices; `cross` that and one of another core where there is one
 * (two threads of one core share its pipeline: that is `smt`).
 */
void machine_place(struct spot spots[PLACE_COUNT], const int *allowed,
                   size_t count, const char *sys);

#endif
