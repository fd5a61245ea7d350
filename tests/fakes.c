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
#include <sys/wait.h>
#include <unistd.h>

/* ---- the command line ---------------------------------------------------- */

#define WORDS 32 /* of a command line */

/* An argv of the words of `line`, which lie in text[cap]; argc. */
static int split(char *argv[WORDS], char *text, size_t cap, const char *line)
{
    int argc = 0;
    char *save = NULL;

    (void)snprintf(text, cap, "ipcbench %s", line);
    for (char *w = strtok_r(text, " ", &save); w && argc < WORDS - 1;
         w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    argv[argc] = NULL;
    return argc;
}

enum order fake_parse(struct choice *choice, const char *line)
{
    static char text[400], *argv[WORDS];
    char why[CASE_WHY_MAX] = "";
    int argc = split(argv, text, sizeof text, line);
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

    f->reply ^= f->taken > 3; /* each stretch takes three or more */
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

/* There is more than one call however slow the machine is: one to warm up, and
 * one to measure. */
static int check_liar(void *self)
{
    struct fake *f = self;

    return ++f->calls == 2 ? -EBADMSG : 0;
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

    if (f->index == 1 && ++f->calls == 2)
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

/* ---- a plan ----------------------------------------------------------------- */

void fake_progress(double done, double all, void *arg)
{
    (void)arg;
    EXPECT(done <= all * 1.0001);
}

void fake_plan(struct plan *p, unsigned runs)
{
    struct bench *b = fake_bench();
    struct choice ch;
    char line[100];

    (void)snprintf(line, sizeof line,
                   "--transports pipe --wait block --place same --runs %u "
                   "--seconds 0.02 --no-why",
                   runs);
    REQUIRE_INT(ORDER_MEASURE, fake_parse(&ch, line));
    REQUIRE_INT(0, plan_make(p, &ch, fake_here()));
    REQUIRE_INT(3, (long long)p->count);
    p->rows[0].subject = p->rows[2].subject = &known_50us;
    p->rows[1].subject = &fake_liar;
    for (int i = 0; i < 3; i++)
        p->rows[i].error = 0; /* whatever pipes can do here */
    EXPECT_INT(3LL * runs, (long long)plan_runs(p));
    EXPECT_INT(0, plan_measure(p, b, fake_progress, NULL));
    bench_close(b);
}

/* ---- the program itself ---------------------------------------------------- */

/* build/ipcbench beside this test, or one folder up. */
static bool find_program(char path[300])
{
    char self[200];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    for (int up = 0; n > 0 && up < 2; up++) {
        self[n] = '\0';
        slash = strrchr(self, '/');
        if (!slash)
            break;
        *slash = '\0';
        n = slash - self;
        (void)snprintf(path, 300, "%s/ipcbench", self);
        if (access(path, X_OK) == 0)
            return true;
    }
    harness_skip("no ipcbench beside this program");
    return false;
}

pid_t ipcbench_start(const char *line, int *out)
{
    char path[300], text[500], *argv[WORDS];
    int fd[2];
    pid_t pid;

    if (!find_program(path))
        return -1;
    REQUIRE_INT(0, pipe(fd));
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        (void)split(argv, text, sizeof text, line);
        (void)dup2(fd[1], STDOUT_FILENO);
        (void)dup2(fd[1], STDERR_FILENO);
        (void)close(fd[0]);
        (void)close(fd[1]);
        (void)execv(path, argv);
        _exit(126);
    }
    (void)close(fd[1]);
    *out = fd[0];
    return pid;
}

int ipcbench_finish(pid_t pid, int out, char *said, size_t cap)
{
    char more[512];
    size_t len = strlen(said);
    int status = 0;
    ssize_t n;

    while ((n = read(out, more, sizeof more)) > 0)
        for (ssize_t i = 0; i < n && len + 1 < cap; i++)
            said[len++] = more[i];
    said[len] = '\0';
    (void)close(out);
    REQUIRE_INT(pid, waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool ipcbench_run(int code, const char *line, char *said, size_t cap)
{
    int out = -1;
    pid_t pid = ipcbench_start(line, &out);

    if (pid < 0)
        return false;
    said[0] = '\0';
    harness_int(code, ipcbench_finish(pid, out, said, cap), false, __FILE__,
                __LINE__, line);
    return true;
}
