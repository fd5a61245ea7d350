/*
 * crash_run.h - the harness, several cases at a time
 *
 * Most of a cell's time is waiting. Each case has its own folders and its own
 * process group (harness.h), so cases don't meet.
 */
#ifndef IPCLAB_CRASH_RUN_H
#define IPCLAB_CRASH_RUN_H

#include "harness.h"

#include <stdio.h>

struct crash_run {
    const struct test_suite *suite;
    bool (*wanted)(const struct test_case *c);
    unsigned (*jobs)(const struct test_case *c); /* how many beside this one */
    void (*ended)(const struct test_case *c, bool ok);
    const char *program;
    FILE *say;       /* what a person reads */
    const char *xml; /* NULL, or the JUnit file to write */
    bool verbose;
};

/* Runs the wanted cases; says what the harness says. Returns as harness_main. */
int crash_run(const struct crash_run *run);

#endif
