/*
 * test_gaps.c - what no other test has run; `make coverage` says what that is
 *
 *   NAME/WAIT/for-ever    without any deadline, both ways
 *   NAME/null             what closes takes NULL, also without its wrapper
 *   NAME/no-memory        each allocation of each open fails once
 *   pipe/taken            a channel that its server has closed
 *   mqueue/limits         each limit that an open can meet, and what it says
 *   store/no-memory       an open store, and a change that there is no room for
 *   server/no-memory      a server without room for a second reply
 *
 * malloc and its like go through this program, and cJSON's: a case says how many
 * more of them work. What other libraries allocate isn't among them.
 */
#include "client.h"
#include "server.h"
#include "store_check.h"
#include "world.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- memory that runs out -------------------------------------------------- */

/* How many more allocations work; and of which size they are (0 = any), so
 * that a case can mean one in the middle of a running server. */
static atomic_int memory_left = INT_MAX;
static atomic_size_t memory_size;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool none_left(size_t size)
{
    size_t meant = atomic_load(&memory_size);

    if ((meant && size != meant) || atomic_load(&memory_left) == INT_MAX)
        return false;
    if (atomic_fetch_sub(&memory_left, 1) > 0)
        return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return none_left(size) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return none_left(n * size) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return none_left(size) ? NULL : __real_realloc(old, size);
}

static void memory(int left, size_t size)
{
    atomic_store(&memory_size, size);
    atomic_store(&memory_left, left);
}

/* ---- no deadline ----------------------------------------------------------- */

#define ROUNDS 5

static void patient_server(struct world *w)
{
    uint8_t buf[200];
    tp_peer from;

    for (int k = 0; k < 2 * ROUNDS;) {
        ssize_t n = tp_srv_recv(w->srv, &from, buf, sizeof buf, -1);

        REQUIRE(n >= 0);
        if (n > 0) {
            k++;
            EXPECT_INT(0, tp_srv_send(w->srv, from, buf, (size_t)n, -1));
        }
    }
}

static void patient_client(struct world *w, struct tp_client *c, unsigned i)
{
    uint8_t out[100], in[200];

    (void)w;
    for (unsigned k = 0; k < ROUNDS; k++) {
        fill_bytes(out, sizeof out, i * ROUNDS + k);
        EXPECT_INT(0, tp_cli_send(c, out, sizeof out, -1));
        REQUIRE_INT(sizeof out, tp_cli_recv(c, in, sizeof in, -1));
        EXPECT_BYTES(out, in, sizeof out);
    }
}

static void check_for_ever(const struct param *p)
{
    world_run(p, (struct tp_opts){.clients = 2, .max_msg = 200}, patient_server,
              patient_client, 2);
}

/* ---- closing nothing -------------------------------------------------------- */

static void check_null(const struct param *p)
{
    int descriptors = count_descriptors();

    p->t->cli_close(NULL);
    p->t->srv_drop(NULL);
    p->t->srv_close(NULL);
    tp_cli_close(NULL);
    tp_srv_drop(NULL);
    tp_srv_close(NULL);
    EXPECT_INT(descriptors, count_descriptors());
}

/* ---- opening without memory ------------------------------------------------- */

/* A server that opens at last; each time before, it was -ENOMEM, and nothing
 * was left open. */
static struct tp_server *open_at_last(const struct param *p,
                                      const struct tp_opts *opts)
{
    int descriptors = count_descriptors();
    struct tp_server *srv = NULL;
    int err = -1;

    for (int left = 0; err != 0; left++) {
        REQUIRE(left < 100);
        memory(left, 0);
        err = tp_srv_open(p->t, &srv, opts);
        memory(INT_MAX, 0);
        if (left == 0)
            EXPECT_INT(-ENOMEM, err);
        if (err != 0) {
            REQUIRE_INT(-ENOMEM, err);
            EXPECT(srv == NULL);
            EXPECT_INT(descriptors, count_descriptors());
        }
    }
    return srv;
}

/* A pipe's client opens in a process of its own; what became of it. */
static int fork_client(const struct param *p, struct tp_opts opts, int left)
{
    int status;
    pid_t pid = fork();

    REQUIRE(pid >= 0);
    if (pid == 0) {
        struct tp_client *c;
        int err;

        memory(left, 0);
        err = tp_cli_open(p->t, &c, &opts);
        memory(INT_MAX, 0);
        if (err == 0)
            tp_cli_close(c);
        _exit(-err);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static void pipe_clients(const struct param *p, struct tp_opts opts)
{
    int err = -1;

    for (int left = 0; err != 0; left++) {
        struct tp_server *srv = NULL;

        REQUIRE(left < 100);
        REQUIRE_INT(0, tp_srv_open(p->t, &srv, &opts));
        opts.inherited = srv;
        err = fork_client(p, opts, left);
        REQUIRE(err == 0 || err == -ENOMEM);
        EXPECT(err != 0 || left > 0);
        tp_srv_close(srv);
    }
}

static void check_no_memory(const struct param *p)
{
    struct tp_opts opts = {.clients = 2, .open_ms = LONG_MS};
    struct tp_server *srv = open_at_last(p, &opts);
    int descriptors = count_descriptors(), err = -1;

    if (!is_named(p)) {
        tp_srv_close(srv);
        pipe_clients(p, opts);
        return;
    }
    for (int left = 0; err != 0; left++) {
        struct client c;

        REQUIRE(left < 100);
        memory(left, 0);
        err = client_open(&c, p->t, &opts, LONG_MS);
        memory(INT_MAX, 0);
        REQUIRE(err == 0 || err == -ENOMEM);
        EXPECT(err != 0 || left > 1);
        client_close(&c);
        EXPECT_INT(descriptors, count_descriptors());
    }
    tp_srv_close(srv);
}

/* ---- a pipe ----------------------------------------------------------------- */

/* Who is forked when its server has begun comes too late. */
static void check_taken(const struct param *p)
{
    struct tp_opts opts = {0};
    struct tp_server *srv = NULL;
    uint8_t byte;
    tp_peer from;

    REQUIRE_INT(0, tp_srv_open(p->t, &srv, &opts));
    EXPECT_INT(-ENOTCONN, tp_srv_recv(srv, &from, &byte, 1, 0));
    opts.inherited = srv;
    EXPECT_INT(-EBUSY, fork_client(p, opts, INT_MAX));
    tp_srv_close(srv);
}

/* ---- a message queue's limits ----------------------------------------------- */

static int open_limited(const struct param *p, struct tp_opts opts, rlim_t room,
                        struct tp_server **srv, const char *sentence)
{
    char why[200] = "";
    int err;

    opts.why = why;
    opts.why_cap = sizeof why;
    /* The soft one, which counts: a lowered hard one can't be raised again
     * without CAP_SYS_RESOURCE, which root may lack. */
    soft_limit(0, RLIMIT_MSGQUEUE, room);
    err = tp_srv_open(p->t, srv, &opts);
    if (sentence)
        EXPECT(strstr(why, sentence) != NULL);
    return err;
}

/* The number in a file of /proc/sys/fs/mqueue. */
static size_t kernel_limit(const char *name)
{
    char path[64];
    size_t v = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/sys/fs/mqueue/%s", name);
    f = fopen(path, "r");
    REQUIRE(f != NULL);
    REQUIRE_INT(1, fscanf(f, "%zu", &v));
    fclose(f);
    return v;
}

static void check_limits(const struct param *p)
{
    struct tp_server *srv = NULL, *second = NULL;
    struct tp_opts small = {.name = "small", .max_msg = 100};
    struct tp_opts other = {.name = "other", .max_msg = 100};
    struct tp_opts big = {.max_msg = kernel_limit("msgsize_max") + 1};
    int err;

    /* From the most to the least: who isn't root can't raise it again. */
    if (big.max_msg <= p->t->max_msg)
        EXPECT_INT(-EMSGSIZE,
                   open_limited(p, big, 800000, &srv, "msgsize_max"));
    /* Everybody gets less, but a message is still worth the name. */
    err = open_limited(p, clients(TP_CLIENTS_MAX), 200000, &srv, NULL);
    if (err == -EMFILE) {
        harness_skip("this user has too many other queues");
        return;
    }
    REQUIRE_INT(0, err);
    EXPECT(srv->max_msg < 200000 / TP_CLIENTS_MAX && srv->max_msg >= 256);
    tp_srv_close(srv);
    EXPECT_INT(-ENOBUFS, open_limited(p, clients(TP_CLIENTS_MAX), 10000, &srv,
                                      "ulimit -q"));
    if (geteuid() != 0) {
        harness_skip("only root can look for the limit from below");
        return;
    }
    /* Room for one server's queue, but not for another one's. */
    err = -1;
    for (rlim_t room = 2000; err != 0; room += 500) {
        REQUIRE(room < 1000000);
        err = open_limited(p, small, room, &srv, NULL);
        REQUIRE(err == 0 || err == -ENOBUFS || err == -EMFILE);
        if (err == 0)
            EXPECT_INT(-EMFILE, open_limited(p, other, room, &second,
                                             "no room for one more queue"));
    }
    tp_srv_close(srv);
}

/* ---- the store -------------------------------------------------------------- */

static struct event class_at(int64_t start)
{
    return (struct event){
        .title = "class", .title_len = 5, .start = start, .end = start + 60};
}

/* A change for which there is no memory changes nothing, and can be repeated. */
static void add_at_last(struct store *st, uint64_t token)
{
    struct event ev = class_at((int64_t)token * 60);
    struct store_result res;
    uint64_t before;
    int err = -1;

    store_lock(st);
    before = store_rev(st);
    for (int left = 0; err != 0; left++) {
        REQUIRE(left < 100);
        memory(left, 0);
        err = store_add(st, token, &ev, &res);
        memory(INT_MAX, 0);
        REQUIRE(err == 0 || err == -ENOMEM);
        EXPECT(store_rev(st) == before + (err == 0));
    }
    store_unlock(st);
    EXPECT_INT(0, store_commit(st, res.seq));
}

static struct store *store_at_last(const char *path)
{
    struct store_opts opts = {.path = path, .sync = true};
    int descriptors = count_descriptors();
    struct store *st = NULL;
    int err = -1;

    for (int left = 0; err != 0; left++) {
        REQUIRE(left < 10000);
        memory(left, 0);
        err = store_open(&st, &opts);
        memory(INT_MAX, 0);
        REQUIRE(err == 0 || err == -ENOMEM);
        EXPECT(err != 0 || left > 0);
        if (err != 0)
            EXPECT_INT(descriptors, count_descriptors());
    }
    return st;
}

#define CHANGES 70 /* more than the first tables have room for */

static void store_no_memory(const struct param *p)
{
    char path[200];
    struct store_stats stats;
    struct store *st;

    (void)p;
    cJSON_InitHooks(&(cJSON_Hooks){__wrap_malloc, free});
    snprintf(path, sizeof path, "%s/data/gaps.jsonl", harness_dir());
    st = store_at_last(path);
    for (uint64_t token = 1; token <= CHANGES; token++)
        add_at_last(st, token);
    store_close(st);
    st = store_at_last(path);
    store_stats(st, &stats);
    EXPECT_INT(CHANGES, (long long)stats.events);
    store_close(st);
}

/* A file is repaired or it isn't: for want of memory no line is dropped. */
static void repair_no_memory(const struct param *p)
{
    char path[200], to[200];
    struct store_opts opts = {.path = path};
    struct store_survey v;
    struct store *st;
    int err = -1;

    (void)p;
    cJSON_InitHooks(&(cJSON_Hooks){__wrap_malloc, free});
    snprintf(path, sizeof path, "%s/data/gaps.jsonl", harness_dir());
    snprintf(to, sizeof to, "%s/data/copy.jsonl", harness_dir());
    st = store_at_last(path);
    for (uint64_t token = 1; token <= 5; token++)
        add_at_last(st, token);
    store_close(st);
    for (int left = 0; err != 0; left++) {
        REQUIRE(left < 10000);
        memory(left, 0);
        err = store_repair(&opts, to, NULL, NULL, &v);
        memory(INT_MAX, 0);
        REQUIRE(err == 0 || err == -ENOMEM);
        EXPECT_INT(0, v.unread ? 0 : (long long)v.faults);
        EXPECT_INT(v.made, access(to, F_OK) == 0);
        if (err != 0)
            (void)unlink(to);
    }
    EXPECT_INT(5, (long long)v.events);
}

/* ---- the server ------------------------------------------------------------- */

#define MSG 1000 /* max_msg: of no other allocation */

struct run {
    struct server_opts opts;
    atomic_bool stop;
    int result;
};

static void *run_server(void *arg)
{
    struct run *r = arg;

    r->result = server_run(&r->opts);
    return NULL;
}

static void send_add(struct tp_client *c, uint64_t tag)
{
    uint8_t buf[MSG];
    struct wire_request rq = {.op = WIRE_ADD,
                              .tag = tag,
                              .token = tag,
                              .start = 60,
                              .end = 120,
                              .bytes = (const uint8_t *)"class",
                              .bytes_len = 5};
    ssize_t n = wire_put_request(buf, sizeof buf, &rq);

    REQUIRE(n > 0);
    EXPECT_INT(0, tp_cli_send(c, buf, (size_t)n, LONG_MS));
}

/* Four changes wait when the server begins, and it gets the two buffers that it
 * can't do without: each batch is one reply long, and all are answered. */
static void check_one_buffer(struct run *r, struct tp_client *c)
{
    pthread_t thread;

    for (uint64_t tag = 1; tag <= c->depth; tag++)
        send_add(c, tag);
    memory(2, MSG);
    REQUIRE_INT(0, pthread_create(&thread, NULL, run_server, r));
    for (uint64_t tag = 1; tag <= c->depth; tag++) {
        uint8_t buf[MSG];
        struct wire_reply rp;
        ssize_t n = tp_cli_recv(c, buf, sizeof buf, LONG_MS);

        REQUIRE(n > 0);
        REQUIRE_INT(0, wire_get_reply(&rp, buf, (size_t)n));
        EXPECT(rp.tag == tag);
        EXPECT_INT(WIRE_OK, rp.status);
    }
    memory(INT_MAX, 0);
    atomic_store(&r->stop, true);
    EXPECT_INT(0, pthread_join(thread, NULL));
    EXPECT_INT(0, r->result);
}

static void server_no_memory(const struct param *p)
{
    struct tp_opts opts = {.depth = 4, .max_msg = MSG, .open_ms = LONG_MS};
    const struct transport *t = tp_find("socket");
    struct tp_server *srv = NULL;
    struct tp_client *c = NULL;
    struct store_opts in_memory = {0};
    struct run r = {.opts = {.set = &srv, .count = 1, .stop = &r.stop}};

    (void)p;
    REQUIRE_INT(0, store_open(&r.opts.store, &in_memory));
    REQUIRE_INT(0, tp_srv_open(t, &srv, &opts));
    for (int left = 0; left < 2; left++) {
        memory(left, MSG);
        EXPECT_INT(-ENOMEM, server_run(&r.opts));
    }
    memory(INT_MAX, 0);
    r.opts.count = 0;
    EXPECT_INT(-EINVAL, server_run(&r.opts));
    r.opts.count = 1;
    REQUIRE_INT(0, tp_cli_open(t, &c, &opts));
    check_one_buffer(&r, c);
    tp_cli_close(c);
    tp_srv_close(srv);
    store_close(r.opts.store);
}

/* ---- the list --------------------------------------------------------------- */

static const struct check waiting[] = {{"for-ever", check_for_ever, 0, NULL},
                                       {0}};

static const struct check opening[] = {{"null", check_null, 0, NULL},
                                       {"no-memory", check_no_memory, 0, NULL},
                                       {"taken", check_taken, 0, "pipe"},
                                       {"limits", check_limits, 0, "mqueue"},
                                       {0}};

static const struct check others[] = {
    {"store/no-memory", store_no_memory, 0, NULL},
    {"repair/no-memory", repair_no_memory, 0, NULL},
    {"server/no-memory", server_no_memory, 0, NULL},
    {0}};

int main(int argc, char **argv)
{
    struct test_suite suite = {.name = "gaps"};

    for (size_t t = 0; tp_all[t]; t++) {
        add_for_waits(&suite, run_check, tp_all[t], waiting);
        add_once(&suite, run_check, tp_all[t], opening);
    }
    add_once(&suite, run_check, NULL, others);
    return harness_main(argc, argv, &suite);
}
