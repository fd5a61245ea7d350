/*
 * report.h - the results as files: JSON, CSV, Markdown, HTML
 *
 * The JSON is a superset of Google Benchmark's: context{}, benchmarks[] with
 * name, real_time, cpu_time, time_unit; real_time is the p50. Its keys are a
 * promise: later versions only add some.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "machine.h"
#include "plan.h"

#include <stdio.h>

/* Where results will go: opened before anything is measured, put in place when
 * they are complete. FILE.json brings FILE.csv, FILE.md and FILE.html with it;
 * where its name ends in results.json, that one ends in report.html. */
struct report {
    struct report_file {
        FILE *f;
        char *path, *temporary; /* temporary NULL: written in place */
    } file[4];
};

/* 0, or -errno with the path that can't be written in *bad (the report's). */
int report_open(struct report *r, const char *json, const char **bad);
/* Write all and put them in place: 0 or -errno, *bad as above. */
int report_write(struct report *r, const struct plan *p,
                 const struct machine *m, bool partial, const char **bad);
/* Takes what report_open left, also after a failure. */
void report_close(struct report *r);

/* The JSON text alone; the caller's to free. NULL without memory. */
char *report_json(const struct plan *p, const struct machine *m, bool partial);

#endif
