/*
 * test_fuzz.c - the fuzz targets without a fuzzer, and a server under attack
 *
 *   replay/TARGET  every file of tests/fuzz/corpus/TARGET/: what a fuzzer has
 *                  found to be different from each other, and what once failed
 *   mutate/TARGET  many small changes of these files, made by random numbers
 *                  from a known start: the same ones each time
 *   live/...       a running server, honest clients, hostile ones: fuzz/live.c
 *   guard/...      shared memory that is cut short or spoilt: common/guard.h
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
#include "guard.h"
#include "harness.h"
#include "wait.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CORPUS     "tests/fuzz/corpus"
#define FILES      256   /* of one target at most */
#define INPUT_MAX  16384 /* bytes of one input at most */
#define FUZZ_SEED  1
#define CASE_LIMIT 400 /* seconds; FUZZ_TIMES multiplies it */

typedef int fuzz_target(const uint8_t *data, size_t size);

/* LLVMFuzzerTestOneInput of fuzz_wire.c and so on; see the Makefile. */
fuzz_target fuzz_wire, fuzz_server, fuzz_client, fuzz_journal, fuzz_json,
    fuzz_import, fuzz_ics, fuzz_time, fuzz_frame, fuzz_cframe;

struct target {
    const char *name;
    fuzz_target *run;
    unsigned changes; /* of mutate; fewer where a run makes system calls */
};

static const struct target targets[] = {
    {"wire", fuzz_wire, 100000},     {"server", fuzz_server, 20000},
    {"client", fuzz_client, 100000}, {"journal", fuzz_journal, 4000},
    {"json", fuzz_json, 100000},     {"import", fuzz_import, 40000},
    {"ics", fuzz_ics, 20000},        {"time", fuzz_time, 40000},
    {"frame", fuzz_frame, 8000},     {"cframe", fuzz_cframe, 10000},
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
    REQUIRE_INT(0, setenv("FUZZ_DIR", harness_dir(), 1));
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
    struct corpus c = {0};

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
    struct corpus c = {0};

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

/* ---- guard ---------------------------------------------------------------- */

#define PAGES (16 * 4096)

struct shared {
    uint8_t *at;
    int fd; /* ours, to cut the file with */
};

static void map_one(struct shared *s)
{
    char path[300];

    (void)snprintf(path, sizeof path, "%s/shared-XXXXXX", harness_dir());
    s->fd = mkstemp(path);
    REQUIRE(s->fd >= 0 && ftruncate(s->fd, PAGES) == 0);
    s->at = mmap(NULL, PAGES, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    REQUIRE(s->at != MAP_FAILED);
    memset(s->at, 'x', PAGES);
}

static void share(struct shared *s)
{
    map_one(s);
    guard_add(s->at, PAGES, dup(s->fd));
}

static void unshare_it(struct shared *s)
{
    guard_unmap(s->at, PAGES);
    EXPECT_INT(0, close(s->fd));
}

static void cut_short(const struct shared *s, off_t len)
{
    REQUIRE(ftruncate(s->fd, len) == 0);
}

/* Two mappings; each is put back alone, and what wasn't cut is kept. */
static void guard_puts_back(const void *arg)
{
    struct shared a, b;

    (void)arg;
    guard_install();
    map_one(&a);
    map_one(&b);
    bool a_first = a.at < b.at; /* the table has the lower one first */
    guard_add(a_first ? a.at : b.at, PAGES, dup(a_first ? a.fd : b.fd));
    guard_add(a_first ? b.at : a.at, PAGES, dup(a_first ? b.fd : a.fd));
    cut_short(&a, 4096);
    EXPECT_INT(0, a.at[PAGES - 1]);
    EXPECT_INT('x', a.at[4095]);
    EXPECT_INT('x', b.at[PAGES - 1]);
    EXPECT_INT(PAGES, lseek(a.fd, 0, SEEK_END));
    cut_short(&a, 0);
    cut_short(&b, 0);
    b.at[5000] = 'y';
    a.at[5000] = 'z';
    EXPECT_INT('y', b.at[5000]);
    EXPECT_INT('z', a.at[5000]);
    unshare_it(&a);
    cut_short(&b, 0); /* its neighbour in the table has gone */
    EXPECT_INT(0, b.at[5000]);
    unshare_it(&b);
}

/* Half of the pages, again and again. */
static void *touch(void *half)
{
    for (int i = 0; i < 2000; i++)
        ((volatile uint8_t *)half)[i * 7919 % (PAGES / 2)] = 1;
    return NULL;
}

/* Two threads and a process by fork meet the same cut. */
static void guard_threads(const void *arg)
{
    pthread_t one, two;
    struct shared s;
    int status;
    pid_t pid;

    (void)arg;
    guard_install();
    share(&s);
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        touch(s.at + PAGES / 4);
        _exit(0);
    }
    REQUIRE(pthread_create(&one, NULL, touch, s.at) == 0);
    REQUIRE(pthread_create(&two, NULL, touch, s.at + PAGES / 2) == 0);
    for (int i = 0; i < 200; i++)
        cut_short(&s, 0);
    REQUIRE(pthread_join(one, NULL) == 0 && pthread_join(two, NULL) == 0);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    EXPECT_INT(0, status);
    unshare_it(&s);
}

/* No room to put it back: other pages, which nobody else sees. */
static void guard_no_room(const void *arg)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    const struct rlimit small = {4096, 4096};
    struct shared s;

    (void)arg;
    guard_install();
    share(&s);
    cut_short(&s, 0);
    REQUIRE(sigaction(SIGXFSZ, &ignore, NULL) == 0);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    s.at[5000] = 'y';
    EXPECT_INT('y', s.at[5000]);
    EXPECT_INT(0, s.at[0]);
    EXPECT_INT(0, lseek(s.fd, 0, SEEK_END));
    unshare_it(&s);
}

/* How a child ends: 0, or the signal. */
static int end_of(void (*work)(struct shared *s), struct shared *s)
{
    const struct rlimit none = {0, 0};
    int status;
    pid_t pid = fork();

    REQUIRE(pid >= 0);
    if (pid == 0) {
        (void)setrlimit(RLIMIT_CORE, &none); /* it is to die */
        work(s);
        _exit(0);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void touch_last(struct shared *s)
{
    ((volatile uint8_t *)s->at)[PAGES - 1] = 1;
}

static void touch_unguarded(struct shared *s)
{
    guard_unmap(s->at, PAGES);
    s->at = mmap(NULL, PAGES, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    touch_last(s);
}

static void send_sigbus(struct shared *s)
{
    (void)s;
    (void)raise(SIGBUS);
}

/* Nothing else changes: SIGBUS for another reason is what it has always been,
 * and so it is in a program that hasn't asked for the guard. */
static void guard_no_more(const void *arg)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    struct shared s;

    (void)arg;
    REQUIRE(sigaction(SIGBUS, &usual, NULL) == 0); /* a sanitizer's own */
    share(&s);
    cut_short(&s, 0);
    EXPECT_INT(SIGBUS, end_of(touch_last, &s));
    guard_install();
    EXPECT_INT(SIGBUS, end_of(touch_unguarded, &s));
    EXPECT_INT(SIGBUS, end_of(send_sigbus, &s));
    EXPECT_INT(0, end_of(touch_last, &s));
    unshare_it(&s);
}

/* One that the kernel isn't asked about in a way that it knows: the bit lies
 * behind the count and the waiters, where glibc keeps which futex call to make
 * (with 64 bits). */
static void spoil(sem_t *sem)
{
    uint32_t words[3] = {0, 1, UINT32_C(1) << 30}; /* one waits: wake it */

    REQUIRE(sem_init(sem, 1, 0) == 0);
    memcpy(sem, words, sizeof words);
}

static void wait_spoilt(struct shared *s)
{
    struct timespec soon;
    sigset_t blocked;

    clock_gettime(CLOCK_MONOTONIC, &soon);
    soon.tv_sec++;
    spoil((sem_t *)s->at);
    EXPECT_INT(-EFAULT, guard_sem_wait((sem_t *)s->at, &soon));
    spoil((sem_t *)s->at);
    EXPECT_INT(-EFAULT, guard_sem_wait((sem_t *)s->at, NULL));
    spoil((sem_t *)s->at);
    EXPECT_INT(-EFAULT, guard_sem_post((sem_t *)s->at));
    REQUIRE(pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0);
    EXPECT_INT(0, sigismember(&blocked, SIGABRT));
}

/* The transport's wait makes it new: the next post is heard. */
static void wait_again(struct shared *s)
{
    sem_t *sem = (sem_t *)s->at;
    struct wait_policy policy;
    struct wait w;

    wait_policy_init(&policy, TP_BLOCK);
    wait_begin(&w, &policy, 1000);
    spoil(sem);
    EXPECT_INT(-EAGAIN, wait_sem(&w, WAIT_SLEEP, sem, 1000));
    EXPECT_INT(0, guard_sem_post(sem));
    EXPECT_INT(0, wait_sem(&w, WAIT_SLEEP, sem, 1000));
}

static void wait_and_post(struct shared *s)
{
    REQUIRE(sem_init((sem_t *)s->at, 1, 0) == 0);
    EXPECT_INT(0, guard_sem_post((sem_t *)s->at));
    EXPECT_INT(0, guard_sem_wait((sem_t *)s->at, NULL));
    EXPECT_INT(-ETIMEDOUT,
               guard_sem_wait((sem_t *)s->at, &(struct timespec){0}));
}

static void abort_after_failure(struct shared *s)
{
    wait_spoilt(s);
    abort();
}

static void abort_after_wait(struct shared *s)
{
    wait_and_post(s);
    abort();
}

static void abort_after_post(struct shared *s)
{
    REQUIRE(sem_init((sem_t *)s->at, 1, 0) == 0);
    EXPECT_INT(0, guard_sem_post((sem_t *)s->at));
    abort();
}

static void *aborts(void *arg)
{
    (void)arg;
    abort();
}

static void abort_beside(struct shared *s)
{
    pthread_t other;

    (void)sem_init((sem_t *)s->at, 1, 0); /* can't fail */
    REQUIRE(pthread_create(&other, NULL, aborts, NULL) == 0);
    (void)guard_sem_wait((sem_t *)s->at, NULL);
}

static void *kills(void *arg)
{
    (void)kill(*(pid_t *)arg, SIGABRT);
    return NULL;
}

static void kill_beside(struct shared *s)
{
    pthread_t other;
    pid_t me = getpid();

    (void)sem_init((sem_t *)s->at, 1, 0);
    REQUIRE(pthread_create(&other, NULL, kills, &me) == 0);
    (void)guard_sem_wait((sem_t *)s->at, NULL);
}

/* A semaphore that makes no sense to the C library isn't the end, as often as
 * it happens; whatever else is abort, is. */
static void guard_abort(const void *arg)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct shared s;

    (void)arg;
    REQUIRE(null >= 0 && dup2(null, STDERR_FILENO) >= 0 && close(null) == 0);
    share(&s);
    guard_install();
    EXPECT_INT(0, end_of(wait_and_post, &s));
    EXPECT_INT(0, end_of(wait_spoilt, &s));
    EXPECT_INT(0, end_of(wait_again, &s));
    EXPECT_INT(SIGABRT, end_of(abort_after_failure, &s));
    EXPECT_INT(SIGABRT, end_of(abort_after_wait, &s));
    EXPECT_INT(SIGABRT, end_of(abort_after_post, &s));
    EXPECT_INT(SIGABRT, end_of(abort_beside, &s));
    EXPECT_INT(SIGABRT, end_of(kill_beside, &s));
    unshare_it(&s);
}

static const struct test_case guard_cases[] = {
    {.name = "guard/puts-back", .run = guard_puts_back},
    {.name = "guard/threads", .run = guard_threads},
    {.name = "guard/no-room", .run = guard_no_room},
    {.name = "guard/no-more", .run = guard_no_more},
    {.name = "guard/abort", .run = guard_abort},
};

#define GUARD_CASES (sizeof guard_cases / sizeof *guard_cases)

/* ---- the table ------------------------------------------------------------ */

int main(int argc, char **argv)
{
    static struct test_case cases[2 * TARGETS + LIVE_CASES + GUARD_CASES];
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
    for (size_t i = 0; i < GUARD_CASES; i++)
        cases[suite.count++] = guard_cases[i];
    for (size_t i = 0; i < LIVE_CASES; i++)
        cases[suite.count++] = live_cases[i];
    return harness_main(argc, argv, &suite);
}
