/*
 * fakes.h - subjects whose behaviour is known, for testing the benchmark
 *
 * Each takes its time by looking at the clock until it is over. So what the
 * benchmark must find is known beforehand.
 */
#ifndef IPCLAB_FAKES_H
#define IPCLAB_FAKES_H

#include "case.h"
#include "machine.h"
#include "options.h"

#define FAKE_WORDS 32 /* of a command line */

/* An argv of the words of `line`, which lie in text[cap]; argc. */
int fake_split(char *argv[FAKE_WORDS], char *text, size_t cap,
               const char *line);
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

#endif
