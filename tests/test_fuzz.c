/*
 * test_fuzz.c - the fuzz targets without a fuzzer, and a server under attack
 *
 *   replay/TARGET  every file of tests/fuzz/corpus/TARGET/: what a fuzzer has
 *                  found to be different from each other, and what once failed
 *   mutate/TARGET  many small changes of these files, made by random numbers
 *                  from a known start: the same ones each time
 *   live/...       a running server, honest clients, hostile ones: fuzz/live.c
 *
 * Environment: FUZZ_FILE=PATH replays this one file instead; FUZZ_SEED=N other
 * random numbers; FUZZ_TIMES=N so many times as many changes; FUZZ_SECONDS=N
 * (live) how long, and then it says how the honest clients fared.
 *
 * It needs _GNU_SOURCE for MAP_ANONYMOUS.
 */
#define _GNU_SOURCE
#include "fuzz/fuzz.h"
#include "fuzz/live.h"
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CORPUS     "tests/fuzz/corpus"
#define FILES      256   /* of one target at most */
#define INPUT_MAX  16384 /* bytes of one input at most */
#define FUZZ_SEED  1
#define CASE_LIMIT 120 /* seconds; FUZZ_TIMES multiplies it */

typedef int fuzz_target(const uint8_t *data, size_t size);

/* LLVMFuzzerTestOneInput of fuzz_wire.c and so on; see the Makefile. */
fuzz_target fuzz_wire, fuzz_server, fuzz_client, fuzz_journal, fuzz_json,
    fuzz_import, fuzz_time, fuzz_frame, fuzz_cframe;

struct target {
    const char *name;
    fuzz_target *run;
    unsigned changes; /* of mutate; fewer where a run makes system calls */
};

static const struct target targets[] = {
    {"wire", fuzz_wire, 100000},     {"server", fuzz_server, 20000},
    {"client", fuzz_client, 100000}, {"journal", fuzz_journal, 4000},
    {"json", fuzz_json, 100000},     {"import", fuzz_import, 40000},
    {"time", fuzz_time, 40000},      {"frame", fuzz_frame, 8000},
    {"cframe", fuzz_cframe, 10000},
};

#define TARGETS (sizeof targets / sizeof *targets)

static unsigned long setting(const char *name, unsigned long usual)
{
    const char *text = getenv(name);

    return text != NULL ? strtoul(text, NULL, 10) : usual;
}

/* ---- running inputs in a child -------------------------------------------- */

/* What the child is at, for its parent to tell when it has died of it. */
static struct {
    char file[300];       /* the input's origin */
    unsigned long change; /* 0 = as it is in the file */
    size_t len;
    uint8_t bytes[INPUT_MAX];
} * at;

_Noreturn void fuzz_failed(const char *file, int line, const char *what)
{
    harness_check(false, false, file, line, "must hold: %s", what);
    _exit(1);
}

/* In memory of exactly its size, so that ASan sees a byte read beyond. */
static void run_input(const struct target *t)
{
    uint8_t *exact = malloc(at->len > 0 ? at->len : 1);

    REQUIRE(exact != NULL);
    memcpy(exact, at->bytes, at->len);
    EXPECT_INT(0, t->run(exact, at->len));
    free(exact);
}

/* Keeps the input that a child has died of, and says how to see it again. */
static void tell(const struct target *t, int status)
{
    char path[64];
    int fd;

    (void)snprintf(path, sizeof path, "/tmp/ipclab-fuzz-%s-XXXXXX", t->name);
    fd = mkstemp(path);
    if (fd < 0 || write(fd, at->bytes, at->len) != (ssize_t)at->len)
        (void)snprintf(path, sizeof path, "(it can't be kept)");
    if (fd >= 0)
        (void)close(fd); /* written, or given up */
    harness_check(false, false, __FILE__, __LINE__,
                  "status %#x at change %lu of %s, seed %lu; again: "
                  "FUZZ_FILE=%s build/tests/test_fuzz -k replay/%s",
                  (unsigned)status, at->change, at->file,
                  setting("FUZZ_SEED", FUZZ_SEED), path, t->name);
}

/* A target may end its process: it runs in a child. */
static void in_child(const struct target *t,
                     void (*work)(const struct target *t))
{
    int status;
    pid_t pid;

    at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(at != MAP_FAILED);
    (void)fuzz_dir(); /* made here, so that it is ours to remove */
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        work(t);
        exit(0); /* and not _exit: a sanitizer looks for leaks now */
    }
    REQUIRE(waitpid(pid, &status, 0) == pid);
    if (status != 0)
        tell(t, status);
    fuzz_dir_remove();
    (void)munmap(at, sizeof *at); /* ours, mapped above */
}

/* ---- the corpus ----------------------------------------------------------- */

struct corpus {
    struct dirent **names;
    int count;
    char folder[200];
};

static int not_hidden(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* In the order of the names, so that mutate is the same everywhere. */
static void corpus_open(struct corpus *c, const struct target *t)
{
    const char *root = getenv("FUZZ_CORPUS");

    (void)snprintf(c->folder, sizeof c->folder, "%.150s/%s",
                   root != NULL ? root : CORPUS, t->name);
    c->count = scandir(c->folder, &c->names, not_hidden, alphasort);
    harness_check(c->count > 0 && c->count <= FILES, true, __FILE__, __LINE__,
                  "%s: %d files", c->folder, c->count);
}

static void corpus_close(struct corpus *c)
{
    while (c->count > 0)
        free(c->names[--c->count]);
    free(c->names);
}

static size_t load(const char *path, uint8_t bytes[INPUT_MAX])
{
    int fd = open(path, O_RDONLY);
    ssize_t n;

    REQUIRE(fd >= 0);
    n = read(fd, bytes, INPUT_MAX);
    REQUIRE(n >= 0);
    (void)close(fd); /* only read */
    return (size_t)n;
}

static size_t corpus_load(const struct corpus *c, unsigned i,
                          uint8_t bytes[INPUT_MAX])
{
    char path[sizeof c->folder + sizeof c->names[0]->d_name];

    (void)snprintf(path, sizeof path, "%s/%s", c->folder, c->names[i]->d_name);
    return load(path, bytes);
}

/* ---- replay --------------------------------------------------------------- */

static void replay_all(const struct target *t)
{
    const char *only = getenv("FUZZ_FILE");
    struct corpus c;

    if (only != NULL) {
        (void)snprintf(at->file, sizeof at->file, "%s", only);
        at->len = load(only, at->bytes);
        run_input(t);
        return;
    }
    corpus_open(&c, t);
    for (int i = 0; i < c.count; i++) {
        (void)snprintf(at->file, sizeof at->file, "%s", c.names[i]->d_name);
        at->len = corpus_load(&c, (unsigned)i, at->bytes);
        run_input(t);
    }
    corpus_close(&c);
}

static void replay(const void *arg)
{
    in_child(arg, replay_all);
}

/* ---- mutate --------------------------------------------------------------- */

static uint64_t state; /* xorshift64*, George Marsaglia's: never 0 */

static uint32_t any(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)(state * 0x2545f4914f6cdd1du >> 32);
}

static size_t below(size_t n)
{
    return n > 0 ? any() % n : 0;
}

/* Puts `len` bytes in at `where`, as far as there is room. */
static void insert(size_t where, const uint8_t *bytes, size_t len)
{
    if (len > INPUT_MAX - at->len)
        len = INPUT_MAX - at->len;
    memmove(at->bytes + where + len, at->bytes + where, at->len - where);
    memcpy(at->bytes + where, bytes, len);
    at->len += len;
}

static void cut(size_t where, size_t len)
{
    if (len > at->len - where)
        len = at->len - where;
    at->len -= len;
    memmove(at->bytes + where, at->bytes + where + len, at->len - where);
}

/* Numbers at the edge of something, as 1 to 8 bytes. */
static void put_edge(size_t where)
{
    static const uint64_t edges[] = {0,          1,
                                     0x7f,       0x80,
                                     0xff,       0x100,
                                     0x7fff,     0xffff,
                                     0x10000,    0x7fffffff,
                                     0x80000000, 0xffffffff,
                                     INT64_MAX,  (uint64_t)INT64_MIN,
                                     UINT64_MAX};
    uint64_t v = edges[below(sizeof edges / sizeof *edges)];
    size_t len = (size_t)1 << below(4);

    for (size_t i = 0; i < len && where + i < at->len; i++, v >>= 8)
        at->bytes[where + i] = (uint8_t)v;
}

/* One small change; `other` is another file of the corpus. */
static void change_once(const uint8_t *other, size_t other_len)
{
    size_t where = below(at->len), from = below(other_len);
    uint8_t piece[64];
    size_t len = 1 + below(sizeof piece);

    switch (below(8)) {
    case 0:
        at->bytes[where] ^= (uint8_t)(1u << below(8));
        break; /* of an empty input it is a byte that doesn't count */
    case 1: at->bytes[where] = (uint8_t)any(); break;
    case 2: put_edge(where); break;
    case 3: cut(where, 1 + below(8)); break;
    case 4: cut(where, len); break;
    case 5: /* a piece of itself once more, elsewhere */
        if (len > at->len - where)
            len = at->len - where;
        memcpy(piece, at->bytes + where, len);
        insert(below(at->len + 1), piece, len);
        break;
    case 6: /* a piece of the other one */
        insert(where, other + from,
               len < other_len - from ? len : other_len - from);
        break;
    default: /* the front of this one, the back of the other */
        at->len = where;
        insert(where, other + from, other_len - from);
    }
}

static void change_all(const struct target *t)
{
    static uint8_t files[FILES][INPUT_MAX];
    unsigned long times = t->changes * setting("FUZZ_TIMES", 1);
    unsigned long seed = setting("FUZZ_SEED", FUZZ_SEED);
    size_t len[FILES];
    struct corpus c;

    corpus_open(&c, t);
    for (int i = 0; i < c.count; i++)
        len[i] = corpus_load(&c, (unsigned)i, files[i]);
    for (at->change = 1; at->change <= times; at->change++) {
        /* Each change has its own start: one alone can be made again. */
        state = (seed << 32 | at->change) * 0x9e3779b97f4a7c15u | 1;
        size_t i = below((size_t)c.count), k = below((size_t)c.count);

        (void)snprintf(at->file, sizeof at->file, "%s", c.names[i]->d_name);
        at->len = len[i];
        memcpy(at->bytes, files[i], len[i]);
        for (size_t n = 1 + below(4); n > 0; n--)
            change_once(files[k], len[k]);
        run_input(t);
    }
    corpus_close(&c);
}

static void mutate(const void *arg)
{
    (void)alarm(CASE_LIMIT * (unsigned)setting("FUZZ_TIMES", 1));
    in_child(arg, change_all);
}

/* ---- the table ------------------------------------------------------------ */

int main(int argc, char **argv)
{
    static struct test_case cases[2 * TARGETS + LIVE_CASES];
    static char names[2 * TARGETS][24];
    struct test_suite suite = {"fuzz", cases, 0, live_leftovers};

    for (size_t i = 0; i < TARGETS; i++)
        for (int k = 0; k < 2; k++) {
            size_t n = suite.count++;

            (void)snprintf(names[n], sizeof names[n], "%s/%s",
                           k == 0 ? "replay" : "mutate", targets[i].name);
            cases[n] = (struct test_case){.name = names[n],
                                          .run = k == 0 ? replay : mutate,
                                          .arg = &targets[i]};
        }
    for (size_t i = 0; i < LIVE_CASES; i++)
        cases[suite.count++] = live_cases[i];
    return harness_main(argc, argv, &suite);
}
