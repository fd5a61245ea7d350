/*
 * fakes.h - what the tests of the benchmark share
 *
 * Subjects whose behaviour is known: each takes its time by looking at the
 * clock until it is over. So what the benchmark must find is known beforehand.
 * And ipcbench itself, as a person types it.
 */
#ifndef IPCLAB_FAKES_H
#define IPCLAB_FAKES_H

#include "case.h"
#include "machine.h"
#include "options.h"
#include "plan.h"

/* Parse a command line; its words stay until the next call. */
enum order fake_parse(struct choice *choice, const char *line);

/* This machine, looked at once. */
struct machine *fake_here(void);
/* Runs of 20 ms. */
struct bench *fake_bench(void);

#define FAKE_NS 50000 /* what a call to known_50us takes */

extern const struct subject known_50us;
/* Two kinds of calls: 19 of 20 take 100 us, one takes 3 ms. */
extern const struct subject fake_tail;
/* 20 us a call, but one in 400 stops for 20 ms. */
extern const struct subject fake_stalls;
/* Client 0 is four times as slow as the others. */
extern const struct subject fake_unfair;
/* Three in flight: replies come in order, the wrong way round, or one late. */
extern const struct subject fake_pipeline, fake_disorder;
/* Each of these fails a run in its way. */
extern const struct subject fake_liar, fake_hangs, fake_dies, fake_one_dies,
    fake_server_fails, fake_server_stays;

/* A plan that has been measured, of so many runs a row: pipe with known_50us
 * (row 0), with a deadline and fake_liar (1), bare with known_50us (2). */
void fake_plan(struct plan *p, unsigned runs);

/* A progress that never says more than all. */
void fake_progress(double done, double all, void *arg);

/* Starts ipcbench with the words of `line`: *out is the read end of what it
 * says. -1, with the case skipped: there is none beside this program. */
pid_t ipcbench_start(const char *line, int *out);

/* Reads all that it still says into said[cap], which is cut off there, behind
 * what stands there already; its exit code. */
int ipcbench_finish(pid_t pid, int out, char *said, size_t cap);

/* Both: true when it ended with this code, which is EXPECTed if there is one to
 * be run. */
bool ipcbench_run(int code, const char *line, char *said, size_t cap);

#endif
