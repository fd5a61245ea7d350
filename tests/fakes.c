/*
 * fakes.c - see fakes.h
 */
#include "fakes.h"

#include "clock.h"
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the command line ---------------------------------------------------- */

int fake_split(char *argv[FAKE_WORDS], char *text, size_t cap, const char *line)
{
    int argc = 0;
    char *save = NULL;

    (void)snprintf(text, cap, "ipcbench %s", line);
    for (char *w = strtok_r(text, " ", &save); w && argc < FAKE_WORDS - 1;
         w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    argv[argc] = NULL;
    return argc;
}

enum order fake_parse(struct choice *choice, const char *line)
{
    static char text[400], *argv[FAKE_WORDS];
    char why[CASE_WHY_MAX] = "";
    int argc = fake_split(argv, text, sizeof text, line);
    struct options o;
    enum order order = options_parse(&o, argc, argv, why);

    *choice = o.choice;
    EXPECT((order == ORDER_USAGE) == (why[0] != '\0'));
    return order;
}

/* ---- where ---------------------------------------------------------------- */

struct machine *fake_here(void)
{
    static struct machine m;

    if (m.allowed == 0)
        machine_look(&m);
    return &m;
}

struct bench *fake_bench(void)
{
    struct bench_opts opts = {
        .seconds = 0.02, .seconds_most = 0.5, .spots = fake_here()->spots};
    struct bench *b = bench_open(&opts);

    REQUIRE(b != NULL);
    return b;
}

/* ---- what all fakes do ----------------------------------------------------- */

struct fake {
    unsigned index, calls, posted, taken;
    unsigned reply; /* the number that the last reply carried */
};

static int fake_prepare(void **self, const struct conditions *c, char *why)
{
    (void)c, (void)why;
    *self = calloc(1, sizeof(struct fake));
    return *self ? 0 : -ENOMEM;
}

static int fake_join(void *self, unsigned index, char *why)
{
    struct fake *f = self;

    (void)why;
    f->index = index;
    return 0;
}

static int busy(int64_t ns)
{
    int64_t until = clock_now_ns() + ns;

    while (clock_now_ns() < until)
        ;
    return 0;
}

static int fine(void *self)
{
    (void)self;
    return 0;
}

static void fake_leave(void *self, pid_t server)
{
    (void)self, (void)server;
}

static void fake_drop(void *self)
{
    free(self);
}

#define FAKE                                                                   \
    .prepare = fake_prepare, .join = fake_join, .leave = fake_leave,           \
    .drop = fake_drop

/* ---- known times ----------------------------------------------------------- */

static int call_50us(void *self)
{
    (void)self;
    return busy(FAKE_NS);
}

static int call_tail(void *self)
{
    struct fake *f = self;

    return busy(++f->calls % 20 == 0 ? 3000000 : 100000);
}

static int call_stalls(void *self)
{
    struct fake *f = self;

    return busy(++f->calls % 400 == 0 ? 20000000 : 20000);
}

/* Sleeping, so that the others needn't share the CPU with it. */
static int call_unfair(void *self)
{
    const struct fake *f = self;
    struct timespec t = {0, f->index == 0 ? 2000000 : 500000};

    return -clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

const struct subject known_50us = {FAKE, .call = call_50us, .check = fine};
const struct subject fake_tail = {FAKE, .call = call_tail, .check = fine};
const struct subject fake_stalls = {FAKE, .call = call_stalls, .check = fine};
const struct subject fake_unfair = {FAKE, .call = call_unfair, .check = fine};

/* ---- several in flight ----------------------------------------------------- */

static int post(void *self)
{
    struct fake *f = self;

    f->posted++;
    return 0;
}

/* 20 us for each: with three in flight a request waits for two others. */
static int take(void *self)
{
    struct fake *f = self;

    f->reply = f->taken++;
    return f->taken > f->posted ? -EPROTO : busy(20000);
}

static int take_disorder(void *self)
{
    struct fake *f = self;
    int err = take(self);

    f->reply ^= f->taken > 50;
    return err;
}

static int check_order(void *self)
{
    const struct fake *f = self;

    return f->reply == f->taken - 1 ? 0 : -EBADMSG;
}

const struct subject fake_pipeline = {FAKE, .call = fine, .post = post,
                                      .take = take, .check = check_order};
const struct subject fake_disorder = {FAKE, .call = fine, .post = post,
                                      .take = take_disorder,
                                      .check = check_order};

/* ---- failures --------------------------------------------------------------- */

static int check_liar(void *self)
{
    struct fake *f = self;

    return ++f->calls == 100 ? -EBADMSG : 0;
}

static int call_hangs(void *self)
{
    (void)self;
    return pause(); /* until the alarm */
}

static int call_dies(void *self)
{
    (void)self;
    return raise(SIGKILL);
}

/* One of several; the others would go on. */
static int call_one_dies(void *self)
{
    struct fake *f = self;

    if (f->index == 1 && ++f->calls == 50)
        return raise(SIGKILL);
    return busy(20000);
}

static int serve_for_ever(void *self, const atomic_bool *stop)
{
    (void)self, (void)stop;
    while (pause() < 0)
        ; /* the signal handler returned; again */
    return 0;
}

/* Ends at the start; its client only sees that nobody is there. */
static int serve_fails(void *self, const atomic_bool *stop)
{
    (void)self, (void)stop;
    return -ENOSPC;
}

static int call_left_alone(void *self)
{
    (void)self;
    return -EPIPE;
}

const struct subject fake_liar = {FAKE, .call = call_50us, .check = check_liar};
const struct subject fake_hangs = {FAKE, .call = call_hangs, .check = fine};
const struct subject fake_dies = {FAKE, .call = call_dies, .check = fine};
const struct subject fake_one_dies = {FAKE, .call = call_one_dies,
                                      .check = fine};
const struct subject fake_server_fails = {
    FAKE, .serve = serve_fails, .call = call_left_alone, .check = fine};
const struct subject fake_server_stays = {FAKE, .serve = serve_for_ever,
                                          .call = call_50us, .check = fine};
