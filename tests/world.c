/*
 * world.c - see world.h
 *
 * It needs _GNU_SOURCE for MAP_ANONYMOUS, prlimit, sem_clockwait, unshare and
 * usleep.
 */
#define _GNU_SOURCE
#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLICE_MS 100 /* how often a server looks whether it has been stopped */

int64_t now_ms(int64_t since)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 - since;
}

/* ---- cases -------------------------------------------------------------- */

#define CASES 2000 /* more than there are */

void run_check(const void *param)
{
    const struct param *p = param;
    char why[200];

    if (p->t && tp_probe(p->t, why, sizeof why) < 0)
        harness_skip("%s: %s", p->t->name, why);
    else
        p->check(p);
}

static void add_case(struct test_suite *suite, void (*run)(const void *),
                     struct param p, const char *where,
                     const struct check *check)
{
    static struct param params[CASES];
    static struct test_case cases[CASES];
    static char names[CASES][64];
    size_t n = suite->count;

    if (n == CASES || (check->only && (!p.t || strcmp(check->only, p.t->name))))
        return;
    params[n] = p;
    snprintf(names[n], sizeof names[n], "%s%s", where, check->name);
    cases[n] = (struct test_case){.name = names[n],
                                  .run = run,
                                  .arg = &params[n],
                                  .seconds = check->seconds};
    suite->cases = cases;
    suite->count++;
}

void add_for_waits(struct test_suite *suite, void (*run)(const void *),
                   const struct transport *t, const struct check *table)
{
    static const char *const waits[] = {"block", "spin", "adapt"};
    char where[40];

    for (int how = TP_BLOCK; how <= TP_ADAPT; how++) {
        snprintf(where, sizeof where, "%s/%s/", t->name, waits[how]);
        for (const struct check *c = table; c->name; c++)
            add_case(suite, run, (struct param){t, (enum tp_wait)how, c->check},
                     where, c);
    }
}

void add_once(struct test_suite *suite, void (*run)(const void *),
              const struct transport *t, const struct check *table)
{
    char where[40] = "";

    if (t)
        snprintf(where, sizeof where, "%s/", t->name);
    for (const struct check *c = table; c->name; c++)
        add_case(suite, run, (struct param){t, TP_BLOCK, c->check}, where, c);
}

void world_in_time(int64_t (*once)(const void *arg), const void *arg,
                   int64_t ms)
{
    int64_t begin = now_ms(0), took;

    do {
        took = once(arg);
    } while (took >= ms && now_ms(begin) < LONG_MS);
    harness_check(took < ms, false, __FILE__, __LINE__,
                  "it took %d ms, and never less than %d", (int)took, (int)ms);
}

/* ---- making ------------------------------------------------------------- */

void world_init(struct world *w, const struct param *p)
{
    memset(w, 0, sizeof *w);
    w->p = p;
    w->board = mmap(NULL, sizeof *w->board, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(w->board != MAP_FAILED);
    for (int i = 0; i < GATES; i++)
        sem_init(&w->board->gate[i], 1, 0);
}

void world_open(struct world *w, const struct param *p, struct tp_opts opts)
{
    if (!w->board)
        world_init(w, p);
    w->p = p;
    w->opts = opts;
    w->opts.wait = p->wait;
    w->opts.open_ms = LONG_MS;
    REQUIRE_INT(0, tp_srv_open(p->t, &w->srv, &w->opts));
}

static atomic_bool stopped;

static void on_term(int sig)
{
    (void)sig;
    atomic_store(&stopped, true);
}

bool world_stopped(void)
{
    return atomic_load(&stopped);
}

void world_serve(struct world *w, world_server *serve)
{
    sigset_t term;

    /* It may be stopped before it has come as far as its handler. */
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    w->server = fork();
    REQUIRE(w->server >= 0);
    if (w->server > 0)
        sigprocmask(SIG_UNBLOCK, &term, NULL);
    if (w->server == 0) {
        struct sigaction sa = {.sa_handler = on_term};

        sigaction(SIGTERM, &sa, NULL);
        sigprocmask(SIG_UNBLOCK, &term, NULL);
        (serve ? serve : world_echo)(w);
        tp_srv_close(w->srv);
        _exit(0);
    }
}

struct tp_client *world_connect(struct world *w)
{
    struct tp_client *c = NULL;

    REQUIRE_INT(0, tp_cli_open(w->p->t, &c, &w->opts));
    return c;
}

pid_t world_add(struct world *w, world_client *run)
{
    unsigned i = w->clients++;
    pid_t pid = fork();

    REQUIRE(pid >= 0);
    if (pid == 0) {
        struct tp_client *c;

        w->opts.index = i;
        w->opts.inherited = w->srv; /* NULL when this one comes later */
        c = world_connect(w);
        run(w, c, i);
        tp_cli_close(c);
        _exit(0);
    }
    w->client[i] = pid;
    return pid;
}

void world_drop(struct world *w)
{
    tp_srv_drop(w->srv);
    w->srv = NULL;
}

/* ---- ending ------------------------------------------------------------- */

void world_join_clients(struct world *w)
{
    for (unsigned i = 0; i < w->clients; i++) {
        int status;

        if (w->client[i] <= 0)
            continue;
        REQUIRE(waitpid(w->client[i], &status, 0) == w->client[i]);
        EXPECT_INT(0, status);
        w->client[i] = 0;
    }
}

void world_stop_server(struct world *w)
{
    int status;

    if (w->server <= 0)
        return;
    kill(w->server, SIGTERM);
    REQUIRE(waitpid(w->server, &status, 0) == w->server);
    EXPECT_INT(0, status);
    w->server = 0;
}

void world_end(struct world *w)
{
    world_join_clients(w);
    world_stop_server(w);
}

static void begin(struct world *w, const struct param *p, struct tp_opts opts,
                  world_server *serve, world_client *run, unsigned n)
{
    world_open(w, p, opts);
    world_serve(w, serve);
    for (unsigned i = 0; i < n; i++)
        world_add(w, run);
    world_drop(w);
}

void world_run(const struct param *p, struct tp_opts opts, world_server *serve,
               world_client *run, unsigned n)
{
    struct world w = {0};

    begin(&w, p, opts, serve, run, n);
    world_end(&w);
}

void world_run_killed(const struct param *p, struct tp_opts opts,
                      world_server *serve, world_client *run, unsigned n)
{
    struct world w = {0};

    begin(&w, p, opts, serve, run, n);
    gate_wait(&w, 0);
    world_kill_server(&w);
    gate_open(&w, 1);
    world_join_clients(&w);
    world_sweep(&w);
}

void world_kill(pid_t pid)
{
    int status;

    kill(pid, SIGKILL);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

void world_kill_server(struct world *w)
{
    world_kill(w->server);
    w->server = 0;
}

void world_sweep(struct world *w)
{
    struct tp_server *srv = NULL;

    if (!(w->p->t->caps & TP_NAMED))
        return;
    REQUIRE_INT(0, tp_srv_open(w->p->t, &srv, &w->opts));
    tp_srv_close(srv);
}

/* ---- serving ------------------------------------------------------------ */

ssize_t world_echo_one(struct world *w, int ms)
{
    static uint8_t buf[2 * 1024 * 1024];
    tp_peer from;
    ssize_t n = tp_srv_recv(w->srv, &from, buf, sizeof buf, ms);

    if (n > 0)
        (void)tp_srv_send(w->srv, from, buf, (size_t)n,
                          w->send_ms ? w->send_ms : LONG_MS);
    return n;
}

void world_echo(struct world *w)
{
    while (!world_stopped()) {
        ssize_t n = world_echo_one(w, SLICE_MS);

        if (n == -ENOTCONN)
            break;
        if (n < 0 && n != -ETIMEDOUT && n != -EINTR && n != -EPROTO)
            EXPECT_INT(0, n);
    }
}

/* ---- messages ----------------------------------------------------------- */

void fill_bytes(void *buf, size_t n, unsigned seed)
{
    uint8_t *p = buf;
    uint32_t x = seed * 2654435761u + 1;

    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        p[i] = (uint8_t)(x >> 24);
    }
}

static void receive_same(struct tp_client *c, size_t n, unsigned seed)
{
    uint8_t *want = malloc(n), *in = malloc(c->max_msg);

    REQUIRE(want && in);
    fill_bytes(want, n, seed);
    REQUIRE_INT((long long)n, tp_cli_recv(c, in, c->max_msg, LONG_MS));
    EXPECT_BYTES(want, in, n);
    free(want);
    free(in);
}

void echo_once(struct tp_client *c, size_t n, unsigned seed)
{
    uint8_t *out = malloc(n);

    REQUIRE(out);
    fill_bytes(out, n, seed);
    EXPECT_INT(0, tp_cli_send(c, out, n, LONG_MS));
    free(out);
    receive_same(c, n, seed);
}

void echo_all(struct tp_client *c, size_t n, unsigned seed)
{
    uint8_t *out = malloc(n);

    REQUIRE(out);
    for (unsigned k = 0; k < c->depth; k++) {
        fill_bytes(out, n, seed + k);
        EXPECT_INT(0, tp_cli_send(c, out, n, LONG_MS));
    }
    free(out);
    for (unsigned k = 0; k < c->depth; k++)
        receive_same(c, n, seed + k);
}

/* ---- gates -------------------------------------------------------------- */

void gate_open(struct world *w, unsigned gate)
{
    sem_post(&w->board->gate[gate]);
}

void gate_wait(struct world *w, unsigned gate)
{
    struct timespec t;
    int r;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += 2 * LONG_MS / 1000;
    do {
        r = sem_clockwait(&w->board->gate[gate], CLOCK_MONOTONIC, &t);
    } while (r < 0 && errno == EINTR);
    harness_check(r == 0, true, __FILE__, __LINE__,
                  "gate %u: nobody opened it in time", gate);
}

/* ---- what goes on while something goes wrong ------------------------------ */

void world_honest(struct world *w, struct tp_client *c, unsigned i)
{
    unsigned k = 0;

    do {
        echo_once(c, 50, i + k++);
        if (w->p->wait != TP_SPIN && k % 16 == 0)
            usleep(1000); /* a user, not a load */
    } while (!atomic_load(&w->board->value[0]));
    EXPECT(k > 0);
}

void world_tally(struct world *w)
{
    while (!world_stopped()) {
        ssize_t n = world_echo_one(w, SLICE_MS);

        if (n == -ENOTCONN)
            break;
        if (n == 0)
            atomic_fetch_add(&w->board->value[1], 1);
        else if (n == -EPROTO)
            atomic_fetch_add(&w->board->value[2], 1);
        else if (n > 0)
            atomic_fetch_add(&w->board->value[3], 1);
        else if (n != -ETIMEDOUT && n != -EINTR)
            EXPECT_INT(0, n);
    }
}

void world_await_left(struct world *w, int n, int more)
{
    int64_t start = now_ms(0);
    int left;

    while ((left = atomic_load(&w->board->value[1])) < n &&
           now_ms(start) < LONG_MS)
        usleep(5000);
    harness_check(left >= n && left <= n + more, false, __FILE__, __LINE__,
                  "peers reported as gone: expected %d, got %d", n, left);
}

/* ---- options and names -------------------------------------------------- */

struct tp_opts clients(unsigned n)
{
    return (struct tp_opts){.clients = n};
}

bool is_named(const struct param *p)
{
    return p->t->caps & TP_NAMED;
}

unsigned depth_of(const struct param *p, unsigned wanted)
{
    return p->t->max_depth < wanted ? p->t->max_depth : wanted;
}

void runtime_file(char *path, size_t cap, const struct transport *t)
{
    char dir[RUNDIR_PATH_MAX];

    REQUIRE_INT(0, rundir_path(dir));
    snprintf(path, cap, "%.200s/default.%s", dir, t->name);
}

void object_name(char object[RUNDIR_OBJECT_MAX], const char *name)
{
    struct tp_opts o = {0};
    int dir = rundir_open(&o, true);

    REQUIRE(dir >= 0);
    rundir_object(object, dir, name);
    close(dir);
}

/* ---- this process and its machine --------------------------------------- */

int count_entries(const char *path)
{
    DIR *d = opendir(path);
    int n = -2; /* "." and ".." */

    if (!d)
        return -1;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

int count_descriptors(void)
{
    int n = count_entries("/proc/self/fd");

    return n < 0 ? n : n - 1; /* the folder's own */
}

void soft_limit(pid_t pid, int resource, rlim_t n)
{
    __rlimit_resource_t which = (__rlimit_resource_t)resource;
    struct rlimit r;

    REQUIRE_INT(0, prlimit(pid, which, NULL, &r));
    r.rlim_cur = n < r.rlim_max ? n : r.rlim_max;
    REQUIRE_INT(0, prlimit(pid, which, &r, NULL));
}

bool mount_own(const char *path, const char *size)
{
    char options[64];

    snprintf(options, sizeof options, "mode=1777,size=%s", size);
    if (unshare(CLONE_NEWNS) == 0 &&
        mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("none", path, "tmpfs", 0, options) == 0)
        return true;
    harness_skip("no right to mount a %s of its own", path);
    return false;
}
