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
    char hypervisor[MACHINE_TEXT]; /* "" = none seen */
    bool container;
    int mhz;           /* 0 = unknown */
    int cpus;          /* online */
    int allowed;       /* of them ours */
    double load[3];    /* averages of 1, 5, 15 minutes */
    double clock_ns;   /* one reading of the clock */
    double harness_ns; /* all that is added to one round trip */
};

/* Look. Where something can't be found out its field stays empty. */
void machine_look(struct machine *m);

/*
 * Choose CPUs among those we may use: `same` one for both, `cross` two that
 * don't share a core where there are such (two threads of one core share its
 * caches and its pipeline, which is another experiment). {-1, -1} for cross
 * with one CPU only.
 */
void machine_place(int cpu[PLACE_COUNT][2]);

#endif
