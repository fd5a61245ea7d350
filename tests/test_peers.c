/*
 * test_peers.c - do the peers answer rightly, and do they tidy up?
 *
 *      case ---- fork ----> server    serves until SIGTERM
 *         |  \-- fork ----> clients   join, get, check, leave
 *         |                   |
 *         \<--- shared page --/
 *
 * Each peer is driven as the benchmark does it, but by a few lines of our own:
 * a peer that is a subject as it is, one that is a transport through the lab's
 * client, server and store. A peer that isn't built is skipped.
 *
 * It needs _DEFAULT_SOURCE for MAP_ANONYMOUS, which POSIX 2008 lacks.
 */
#define _DEFAULT_SOURCE
#include "client.h"
#include "clock.h"
#include "harness.h"
#include "peer.h"
#include "peers/folder.h"
#include "server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* libzmq's own locks are unknown to it: it would see races that aren't any. */
#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif
#ifndef THREAD_SANITIZER
#define THREAD_SANITIZER 0
#endif

#define GETS   200
#define EVENTS 60
#define SIZE   128   /* bytes of a reply */
#define ASK_MS 20    /* between two SIGTERMs to a server */
#define END_MS 20000 /* it must end within: a busy machine may need long */

/* ---- the events --------------------------------------------------------- */

enum lie { TRUTH, WRONG_TITLE, WRONG_TIME };

static enum lie lie; /* what bench_event is to get wrong now */

/* The linker's --wrap=bench_event sends every call of gets.c and of ours
 * through here. */
void __real_bench_event(const char *pattern, uint32_t id, size_t len,
                        char *title, int64_t *start, int64_t *end);
void __wrap_bench_event(const char *pattern, uint32_t id, size_t len,
                        char *title, int64_t *start, int64_t *end);

void __wrap_bench_event(const char *pattern, uint32_t id, size_t len,
                        char *title, int64_t *start, int64_t *end)
{
    __real_bench_event(pattern, id, len, title, start, end);
    if (lie == WRONG_TITLE)
        title[len - 1] = '!';
    *start += lie == WRONG_TIME;
}

static struct conditions usual(const char *name)
{
    return (struct conditions){.transport = name,
                               .kind = KIND_PEER,
                               .wait = TP_BLOCK,
                               .op = OP_GET,
                               .deadline_ms = -1,
                               .size = SIZE,
                               .clients = 1,
                               .depth = 1,
                               .events = EVENTS};
}

/* ---- a transport as a subject ------------------------------------------- */

struct carried {
    struct conditions c;
    const struct transport *t;
    struct tp_server *srv;
    struct store *store;
    struct client client;
    struct client_event event;
    char *pattern;
    size_t len; /* bytes of a title */
    uint32_t turn;
};

static const struct transport *carrier; /* of the next prepare */

static void carried_drop(void *self)
{
    struct carried *s = self;

    tp_srv_drop(s->srv);
    store_close(s->store);
    free(s->pattern);
    free(s);
}

static void fill(struct carried *s)
{
    for (uint32_t id = 1; id <= s->c.events; id++) {
        char title[EVENT_TITLE_MAX + 1];
        struct event ev = {.title = title, .title_len = (uint8_t)s->len};
        struct store_result res;

        bench_event(s->pattern, id, s->len, title, &ev.start, &ev.end);
        store_lock(s->store);
        REQUIRE_INT(0, store_add(s->store, 0, &ev, &res));
        store_unlock(s->store);
    }
}

static int carried_prepare(void **self, const struct conditions *c, char *why)
{
    struct carried *s = calloc(1, sizeof *s);
    struct tp_opts opts = {.clients = c->clients,
                           .depth = c->depth,
                           .wait = c->wait,
                           .why = why,
                           .why_cap = CASE_WHY_MAX};
    int err;

    REQUIRE(s != NULL);
    s->c = *c;
    s->t = carrier;
    s->len = c->size - WIRE_REPLY_MIN - WIRE_EVENT_MIN;
    s->pattern = pattern_new(s->len);
    REQUIRE_INT(0, store_open(&s->store, &(struct store_opts){.path = NULL}));
    fill(s);
    err = tp_srv_open(s->t, &s->srv, &opts);
    if (err)
        carried_drop(s);
    else
        *self = s;
    return err;
}

static int carried_serve(void *self, const atomic_bool *stop)
{
    struct carried *s = self;
    struct server_opts opts = {.set = &s->srv,
                               .count = 1,
                               .store = s->store,
                               .stop = stop,
                               .wait_ms = s->c.deadline_ms < 0 ? -1 : 0};
    int err = server_run(&opts);

    tp_srv_close(s->srv);
    return err;
}

static int carried_join(void *self, unsigned index, char *why)
{
    struct carried *s = self;
    struct tp_opts opts = {.open_ms = 2000,
                           .wait = s->c.wait,
                           .inherited = s->srv,
                           .why = why,
                           .why_cap = CASE_WHY_MAX};

    s->srv = NULL; /* client_open drops it */
    s->turn = index * 17;
    return client_open(&s->client, s->t, &opts, s->c.deadline_ms);
}

static uint32_t id_now(const struct carried *s)
{
    return s->turn % s->c.events + 1;
}

static int carried_call(void *self)
{
    struct carried *s = self;

    return client_get(&s->client, id_now(s), &s->event);
}

static int carried_check(void *self)
{
    struct carried *s = self;
    const struct event *ev = &s->event.event;
    char title[EVENT_TITLE_MAX + 1];
    int64_t start, end;
    bool good;

    bench_event(s->pattern, id_now(s), s->len, title, &start, &end);
    good = ev->id == id_now(s) && ev->start == start && ev->end == end &&
           ev->title_len == s->len && memcmp(ev->title, title, s->len) == 0;
    s->turn++;
    return good ? 0 : -EBADMSG;
}

static void carried_leave(void *self, pid_t server)
{
    struct carried *s = self;

    if (server && s->c.wait == TP_SPIN) { /* no signal ends that wait */
        (void)kill(server, SIGTERM);
        s->client.ms = 100;
        (void)client_ping(&s->client); /* it may be gone already */
    }
    client_close(&s->client);
}

static const struct subject carried_subject = {.prepare = carried_prepare,
                                               .serve = carried_serve,
                                               .join = carried_join,
                                               .call = carried_call,
                                               .check = carried_check,
                                               .leave = carried_leave,
                                               .drop = carried_drop};

/* ---- one run ------------------------------------------------------------ */

struct shared {
    atomic_uint joined, left, gets;
    atomic_bool gate;
};

struct crew {
    struct conditions c;
    const struct subject *subject;
    void *self;
    struct shared *sh;
    enum lie lie; /* in what the server has */
    pid_t server; /* 0 = none */
    char why[CASE_WHY_MAX];
};

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

static void own_tmpdir(void)
{
    char tmp[128];

    (void)snprintf(tmp, sizeof tmp, "%s/tmp", harness_dir());
    REQUIRE(mkdir(tmp, 0700) == 0);
    setenv("TMPDIR", tmp, 1);
}

/* NULL, with the case skipped, when it isn't there. */
static const struct peer *get_peer(const char *name)
{
    char why[CASE_WHY_MAX] = "";
    const struct peer *peer = peer_find(name, why, sizeof why);

    if (!peer) {
        EXPECT(strncmp(why, "skipped: ", 9) == 0);
        harness_skip("%s", why + 9);
    } else if (THREAD_SANITIZER && strcmp(name, "zmq") == 0) {
        harness_skip("libzmq isn't made for ThreadSanitizer");
        peer = NULL;
    }
    return peer;
}

/* How many files there are below the case's TMPDIR. */
static int count_files(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;

    for (struct dirent *e; d && (e = readdir(d));) {
        char below[512];

        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(below, sizeof below, "%s/%s", path, e->d_name);
        n += 1 + count_files(below);
    }
    if (d)
        (void)closedir(d);
    return n;
}

static void expect_tidy(void)
{
    folder_remove();
    EXPECT_INT(0, count_files(getenv("TMPDIR")));
}

/* Everything before the first fork: what prepare said. */
static int prepare(struct crew *r, const struct peer *peer, struct conditions c,
                   enum lie how)
{
    int err;

    *r = (struct crew){.c = c, .lie = how};
    carrier = peer->transport;
    r->subject = peer->transport ? &carried_subject : peer->subject;
    lie = how;
    err = r->subject->prepare(&r->self, &c, r->why);
    lie = TRUTH;
    if (err)
        return err;
    r->sh = mmap(NULL, sizeof *r->sh, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(r->sh != MAP_FAILED);
    return 0;
}

static atomic_bool stop_serving;

static void on_term(int sig)
{
    (void)sig;
    atomic_store(&stop_serving, true);
}

static void start_server(struct crew *r)
{
    struct sigaction act = {.sa_handler = on_term}; /* no SA_RESTART */

    if (!r->subject->serve)
        return;
    r->server = fork();
    REQUIRE(r->server >= 0);
    if (r->server == 0) {
        REQUIRE(sigaction(SIGTERM, &act, NULL) == 0);
        EXPECT_INT(0, r->subject->serve(r->self, &stop_serving));
        _exit(0);
    }
}

typedef void client_body(struct crew *r, unsigned index);

static pid_t start_client(struct crew *r, client_body *body, unsigned index)
{
    pid_t pid = fork();

    REQUIRE(pid >= 0);
    if (pid == 0) {
        body(r, index);
        _exit(0);
    }
    return pid;
}

static void join(struct crew *r, unsigned index)
{
    int err;

    lie = r->lie; /* Redis is filled here */
    err = r->subject->join(r->self, index, r->why);
    lie = TRUTH;
    REQUIRE_INT(0, err);
    atomic_fetch_add(&r->sh->joined, 1);
    while (atomic_load(&r->sh->joined) < r->c.clients)
        nap();
}

/* Client 0 is the last to leave, as in the benchmark. */
static void leave(struct crew *r, unsigned index)
{
    while (index == 0 && atomic_load(&r->sh->left) + 1 < r->c.clients)
        nap();
    r->subject->leave(r->self, index == 0 ? r->server : 0);
    atomic_fetch_add(&r->sh->left, 1);
}

/* Two that spin on one CPU take turns by time slice: a few gets take long. */
static void get_some(struct crew *r, unsigned index)
{
    int expected = r->lie == TRUTH ? 0 : -EBADMSG;
    int gets = r->c.wait == TP_SPIN ? GETS / 10 : GETS;

    join(r, index);
    for (int i = 0; i < gets; i++) {
        REQUIRE_INT(0, r->subject->call(r->self));
        REQUIRE_INT(expected, r->subject->check(r->self));
    }
    leave(r, index);
}

static void await(pid_t pid)
{
    int status = 0;

    REQUIRE(waitpid(pid, &status, 0) == pid);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* As the benchmark does it: asked again and again, and it must end in time. */
static void end_server(struct crew *r)
{
    int64_t end = clock_now_ns() + (int64_t)END_MS * 1000000;
    bool in_time = true;
    int status = 0;

    if (!r->server)
        return;
    while (waitpid(r->server, &status, WNOHANG) == 0) {
        in_time = clock_now_ns() < end;
        (void)kill(r->server, in_time ? SIGTERM : SIGKILL);
        (void)nanosleep(&(struct timespec){.tv_nsec = ASK_MS * 1000000}, NULL);
    }
    EXPECT(in_time);
    EXPECT(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM));
    r->server = 0;
}

static void drop(struct crew *r)
{
    r->subject->drop(r->self);
    r->self = NULL;
}

static void run_all(const struct peer *peer, struct conditions c, enum lie how)
{
    pid_t pid[TP_CLIENTS_MAX];
    struct crew r;

    REQUIRE_INT(0, prepare(&r, peer, c, how));
    start_server(&r);
    for (unsigned i = 0; i < c.clients; i++)
        pid[i] = start_client(&r, get_some, i);
    drop(&r);
    for (unsigned i = 0; i < c.clients; i++)
        await(pid[i]);
    end_server(&r);
}

/* A server, and a client that does this. */
static pid_t start_pair(struct crew *r, const struct peer *peer,
                        struct conditions c, client_body *body)
{
    pid_t pid;

    REQUIRE_INT(0, prepare(r, peer, c, TRUTH));
    start_server(r);
    pid = start_client(r, body, 0);
    drop(r);
    return pid;
}

static void run_pair(const struct peer *peer, struct conditions c,
                     client_body *body)
{
    struct crew r;

    await(start_pair(&r, peer, c, body));
    end_server(&r);
}

/* ---- every peer --------------------------------------------------------- */

static void one_client(const struct peer *peer, struct conditions c)
{
    run_all(peer, c, TRUTH);
}

static void eight_clients(const struct peer *peer, struct conditions c)
{
    c.clients = 8;
    run_all(peer, c, TRUTH);
}

/* The shortest and the longest title, one after the other: so a run doesn't
 * find what another has left. */
static void sizes(const struct peer *peer, struct conditions c)
{
    c.size = WIRE_REPLY_MIN + WIRE_EVENT_MIN + EVENT_TITLE_MAX;
    run_all(peer, c, TRUTH);
    c.size = WIRE_REPLY_MIN + WIRE_EVENT_MIN + 1;
    run_all(peer, c, TRUTH);
}

static void wrong_payload(const struct peer *peer, struct conditions c)
{
    run_all(peer, c, WRONG_TITLE);
    run_all(peer, c, WRONG_TIME);
}

/* Gets until it is killed. */
static void get_for_ever(struct crew *r, unsigned index)
{
    join(r, index);
    for (;;) {
        REQUIRE_INT(0, r->subject->call(r->self));
        REQUIRE_INT(0, r->subject->check(r->self));
        atomic_fetch_add(&r->sh->gets, 1);
    }
}

static void get_after_gate(struct crew *r, unsigned index)
{
    while (!atomic_load(&r->sh->gate))
        nap();
    get_some(r, index);
}

static void kill_while_it_gets(struct crew *r, pid_t pid)
{
    while (atomic_load(&r->sh->gets) < 20)
        nap();
    REQUIRE(kill(pid, SIGKILL) == 0);
    REQUIRE(waitpid(pid, NULL, 0) == pid);
}

/* There is one place: the next client gets the dead one's. */
static void killed_client(const struct peer *peer, struct conditions c)
{
    struct crew r;
    pid_t pid[2];

    REQUIRE_INT(0, prepare(&r, peer, c, TRUTH));
    start_server(&r);
    pid[0] = start_client(&r, get_for_ever, 0);
    pid[1] = start_client(&r, get_after_gate, 1);
    drop(&r);
    kill_while_it_gets(&r, pid[0]);
    atomic_store(&r.sh->gate, true);
    await(pid[1]);
    end_server(&r);
}

/* Nobody says goodbye: a signal alone must end the server. */
static void only_client_killed(const struct peer *peer, struct conditions c)
{
    struct crew r;

    kill_while_it_gets(&r, start_pair(&r, peer, c, get_for_ever));
    end_server(&r);
    if (peer->transport) /* only the folder, or not even that */
        EXPECT(count_files(getenv("TMPDIR")) <= 1);
}

/* What it left doesn't disturb the next run. */
static void killed_server(const struct peer *peer, struct conditions c)
{
    struct crew r;

    kill_while_it_gets(&r, start_pair(&r, peer, c, get_for_ever));
    if (r.server) {
        REQUIRE(kill(r.server, SIGKILL) == 0);
        REQUIRE(waitpid(r.server, NULL, 0) == r.server);
    }
    run_all(peer, c, TRUTH);
}

/* Something else has the name of the folder's folder; or there is none. */
static void no_folder(const struct peer *peer, struct conditions c)
{
    char missing[144], keep[128];
    struct crew r;
    int err;

    (void)snprintf(keep, sizeof keep, "%s", getenv("TMPDIR"));
    (void)snprintf(missing, sizeof missing, "%s/missing", keep);
    setenv("TMPDIR", missing, 1);
    err = prepare(&r, peer, c, TRUTH);
    EXPECT_INT(-ENOENT, err);
    EXPECT(strstr(r.why, missing) != NULL);
    setenv("TMPDIR", keep, 1);
}

/* ---- transports --------------------------------------------------------- */

static void deadline(const struct peer *peer, struct conditions c)
{
    c.deadline_ms = 2000;
    run_all(peer, c, TRUTH);
}

static void spinning(const struct peer *peer, struct conditions c)
{
    c.wait = TP_SPIN;
    run_all(peer, c, TRUTH);
    c.wait = TP_ADAPT;
    run_all(peer, c, TRUTH);
}

/* From one byte to the longest message, and one more. */
static void echo_all(struct crew *r, unsigned index)
{
    static uint8_t bytes[1024 * 1024 + 1];
    struct carried *s;
    struct client *cl;

    (void)index;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    join(r, 0);
    s = r->self;
    cl = &s->client;
    for (size_t n = 1; n <= cl->conn->max_msg - WIRE_REPLY_MIN; n *= 3)
        EXPECT_INT(0, client_echo(cl, bytes, n));
    EXPECT_INT(0, client_echo(cl, bytes, cl->conn->max_msg - WIRE_REPLY_MIN));
    EXPECT_INT(-EMSGSIZE,
               tp_cli_send(cl->conn, bytes, cl->conn->max_msg + 1, 100));
    EXPECT_INT(0, client_ping(cl));
    leave(r, 0);
}

/* A request with this tag: what tp_cli_send says. */
static int send_get(struct tp_client *conn, uint64_t tag)
{
    struct wire_request rq = {.op = WIRE_GET, .tag = tag, .id = 1};
    uint8_t buf[WIRE_REQUEST_MIN + 4];
    ssize_t n = wire_put_request(buf, sizeof buf, &rq);

    REQUIRE(n > 0);
    return tp_cli_send(conn, buf, (size_t)n, -1);
}

static void take_get(struct tp_client *conn, uint64_t tag)
{
    uint8_t buf[WIRE_MESSAGE_MIN];
    struct wire_reply rp;
    ssize_t n = tp_cli_recv(conn, buf, sizeof buf, -1);

    REQUIRE_INT(SIZE, n);
    REQUIRE_INT(0, wire_get_reply(&rp, buf, (size_t)n));
    EXPECT_INT((long long)tag, (long long)rp.tag);
}

/* As many requests under way as may be; the replies come in order. The server
 * is stopped meanwhile, so it finds them all at once; and no further request
 * wakes it for the last ones. */
static void many_under_way(struct crew *r, unsigned index)
{
    uint64_t depth = r->c.depth;
    struct tp_client *conn;

    (void)index;
    join(r, 0);
    conn = ((struct carried *)r->self)->client.conn;
    for (uint64_t first = 0; first < GETS; first += depth) {
        REQUIRE(kill(r->server, SIGSTOP) == 0);
        for (uint64_t i = 0; i < depth; i++)
            EXPECT_INT(0, send_get(conn, first + i));
        EXPECT_INT(-EAGAIN, send_get(conn, first + depth));
        REQUIRE(kill(r->server, SIGCONT) == 0);
        for (uint64_t i = 0; i < depth; i++)
            take_get(conn, first + i);
    }
    leave(r, 0);
}

/* A server that is stopped: a deadline isn't early, nor much late. Then it
 * goes on. nng gives up a request whose deadline has passed. */
static void wait_for_stopped(struct crew *r, unsigned index)
{
    uint8_t buf[WIRE_MESSAGE_MIN];
    struct tp_client *conn;
    struct carried *s;
    int64_t start;

    (void)index;
    join(r, 0);
    s = r->self;
    conn = s->client.conn;
    EXPECT_INT(0, client_ping(&s->client));
    REQUIRE(kill(r->server, SIGSTOP) == 0);
    EXPECT_INT(0, send_get(conn, 0));
    EXPECT_INT(-ETIMEDOUT, tp_cli_recv(conn, buf, sizeof buf, 0));
    start = clock_now_ns();
    EXPECT_INT(-ETIMEDOUT, tp_cli_recv(conn, buf, sizeof buf, 50));
    EXPECT(clock_now_ns() - start >= 50 * 1000000);
    EXPECT(clock_now_ns() - start < END_MS * (int64_t)1000000);
    REQUIRE(kill(r->server, SIGCONT) == 0);
    EXPECT_INT(strcmp(r->c.transport, "nng") ? SIZE : -EPROTO,
               tp_cli_recv(conn, buf, sizeof buf, END_MS));
    EXPECT_INT(0, client_ping(&s->client));
    leave(r, 0);
}

static void all_sizes(const struct peer *peer, struct conditions c)
{
    run_pair(peer, c, echo_all);
}

static void depth(const struct peer *peer, struct conditions c)
{
    c.depth = peer->transport->max_depth < 8 ? peer->transport->max_depth : 8;
    run_pair(peer, c, many_under_way);
}

static void timeouts(const struct peer *peer, struct conditions c)
{
    run_pair(peer, c, wait_for_stopped);
}

/* ---- subjects ----------------------------------------------------------- */

static void refused(const struct peer *peer, struct conditions c)
{
    struct crew r;

    EXPECT_INT(-EOPNOTSUPP, prepare(&r, peer, c, TRUTH));
    EXPECT(strstr(r.why, peer->name) != NULL);
}

static void conditions(const struct peer *peer, struct conditions c)
{
    struct conditions odd[] = {c, c, c, c, c};

    odd[0].op = OP_ECHO;
    odd[1].depth = 2;
    odd[2].deadline_ms = 1000;
    odd[3].wait = TP_SPIN;
    odd[4].work_us = 1;
    for (size_t i = 0; i < COUNT(odd); i++)
        refused(peer, odd[i]);
    EXPECT_INT(0, count_files(getenv("TMPDIR")));
}

static void not_in_path(const struct peer *peer, struct conditions c)
{
    struct crew r;

    setenv("PATH", "/nonexistent:", 1);
    EXPECT_INT(-ENOSYS, prepare(&r, peer, c, TRUTH));
    EXPECT_STR("skipped: no redis-server in PATH; make deps-peers installs it",
               r.why);
}

static void join_fails(struct crew *r, unsigned index)
{
    EXPECT_INT(-ETIMEDOUT, r->subject->join(r->self, index, r->why));
    EXPECT(strstr(r->why, "redis-server") != NULL);
}

/* A server that ends at once: a sentence after two seconds, not a hang. */
static void does_not_start(const struct peer *peer, struct conditions c)
{
    static const char script[] = "#!/bin/sh\nexit 0\n";
    char path[128];
    int fd;

    (void)snprintf(path, sizeof path, "%s/redis-server", harness_dir());
    fd = open(path, O_WRONLY | O_CREAT, 0700);
    REQUIRE(fd >= 0);
    REQUIRE(write(fd, script, sizeof script - 1) == sizeof script - 1);
    (void)close(fd);
    setenv("PATH", harness_dir(), 1);
    run_pair(peer, c, join_fails);
}

/* The data file of the file peer: in the only folder below TMPDIR. */
static void find_data(char *path, size_t cap)
{
    const char *tmp = getenv("TMPDIR");
    DIR *d = opendir(tmp);

    REQUIRE(d != NULL);
    path[0] = '\0';
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            (void)snprintf(path, cap, "%s/%s/events.jsonl", tmp, e->d_name);
    (void)closedir(d);
}

/* Event 1 gets another title, event 2 goes: the last line about each counts. */
static void change_data(const char *path)
{
    struct event ev = {
        .id = 1, .title = "new", .title_len = 3, .start = 5, .end = 9};
    struct store_result res;
    struct store *st;

    REQUIRE_INT(0, store_open(&st, &(struct store_opts){.path = path}));
    store_lock(st);
    EXPECT_INT(0, store_update(st, 0, &ev, 0, &res));
    EXPECT_INT(0, store_remove(st, 0, 2, 0, &res));
    store_unlock(st);
    store_close(st);
}

static void changed_file(const struct peer *peer, struct conditions c)
{
    char path[512];
    struct crew r;

    REQUIRE_INT(0, prepare(&r, peer, c, TRUTH));
    find_data(path, sizeof path);
    change_data(path);
    REQUIRE_INT(0, r.subject->join(r.self, 0, r.why));
    EXPECT_INT(0, r.subject->call(r.self));
    EXPECT_INT(-EBADMSG, r.subject->check(r.self));
    EXPECT_INT(-ENOENT, r.subject->call(r.self));
    EXPECT_INT(-EBADMSG, r.subject->check(r.self));
    EXPECT_INT(0, r.subject->call(r.self));
    EXPECT_INT(0, r.subject->check(r.self));
    REQUIRE(truncate(path, 1000) == 0); /* in the middle of a line */
    EXPECT_INT(-EBADMSG, r.subject->call(r.self));
    r.subject->leave(r.self, 0);
    drop(&r);
}

/* ---- the loader and the folder ------------------------------------------ */

static void loader(const void *arg)
{
    char why[CASE_WHY_MAX];

    (void)arg;
    for (const char *const *name = peer_names; *name; name++) {
        const struct peer *peer = peer_find(*name, why, sizeof why);

        if (!peer) {
            EXPECT(strncmp(why, "skipped: ", 9) == 0);
            continue;
        }
        EXPECT_STR(*name, peer->name);
        EXPECT(peer->blurb && *peer->blurb);
        EXPECT((peer->transport != NULL) != (peer->subject != NULL));
        if (peer->transport)
            EXPECT_STR(*name, peer->transport->name);
        EXPECT(peer == peer_find(*name, why, sizeof why));
    }
    EXPECT(peer_find("nothing", why, sizeof why) == NULL);
    EXPECT_STR("there is no peer 'nothing'", why);
}

static void touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

    REQUIRE(fd >= 0);
    (void)close(fd);
}

/* A process that makes a folder with two files, and ends in this way. */
static pid_t leave_behind(bool killed)
{
    char path[FOLDER_PATH_MAX], why[CASE_WHY_MAX] = "";
    pid_t pid = fork();

    REQUIRE(pid >= 0);
    if (pid == 0) {
        REQUIRE_INT(0, folder_file(path, "one", why, sizeof why));
        touch(path);
        REQUIRE_INT(0, folder_file(path, "two", why, sizeof why));
        touch(path);
        if (killed)
            (void)kill(getpid(), SIGKILL);
        exit(0); /* with its handlers: that is what is tested */
    }
    REQUIRE(waitpid(pid, NULL, 0) == pid);
    return pid;
}

static void folder_goes(const void *arg)
{
    char path[FOLDER_PATH_MAX];
    struct stat st;

    (void)arg;
    own_tmpdir();
    (void)leave_behind(false);
    EXPECT_INT(0, count_files(getenv("TMPDIR")));
    (void)leave_behind(true);
    EXPECT_INT(3, count_files(getenv("TMPDIR")));
    REQUIRE_INT(0, folder_file(path, "three", NULL, 0));
    EXPECT_INT(1, count_files(getenv("TMPDIR"))); /* ours */
    touch(path);
    *strrchr(path, '/') = '\0';
    REQUIRE(stat(path, &st) == 0);
    EXPECT_INT(0700, st.st_mode & 0777);
    EXPECT_INT(0, folder_file(path, "three", NULL, 0));
    EXPECT_INT(1, count_files(getenv("TMPDIR"))); /* what was there is gone */
    expect_tidy();
}

/* The folder of a living process stays: also when only its child still
 * lives. */
static void folder_stays(const void *arg)
{
    char path[FOLDER_PATH_MAX];
    pid_t pid;
    int fds[2];

    (void)arg;
    own_tmpdir();
    REQUIRE(pipe(fds) == 0);
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        char c;

        REQUIRE_INT(0, folder_file(path, "kept", NULL, 0));
        touch(path);
        if (fork() == 0) { /* it lives until our pipe is closed */
            (void)close(fds[1]);
            (void)!read(fds[0], &c, 1); /* end of file is what we wait for */
            _exit(0);
        }
        _exit(0);
    }
    REQUIRE(waitpid(pid, NULL, 0) == pid);
    REQUIRE_INT(0, folder_file(path, "mine", NULL, 0));
    EXPECT_INT(3, count_files(getenv("TMPDIR"))); /* two folders, one file */
    folder_remove();
    EXPECT_INT(2, count_files(getenv("TMPDIR")));
    (void)close(fds[1]);
    (void)close(fds[0]);
    for (int i = 0; i < 2000 && count_files(getenv("TMPDIR")) > 0; i++) {
        nap(); /* until the grandchild has gone */
        REQUIRE_INT(0, folder_file(path, "mine", NULL, 0));
        folder_remove();
    }
    EXPECT_INT(0, count_files(getenv("TMPDIR")));
}

/* ---- the list ----------------------------------------------------------- */

/* A case: a check of a peer. */
struct about {
    const char *peer;
    void (*check)(const struct peer *peer, struct conditions c);
};

static void run_check(const void *arg)
{
    const struct about *a = arg;
    const struct peer *peer = get_peer(a->peer);

    if (!peer)
        return;
    own_tmpdir();
    a->check(peer, usual(a->peer));
    expect_tidy();
}

#define CHECK(peer, what, check)                                               \
    {                                                                          \
        .name = peer "/" what, .run = run_check, .arg = &(const struct about)  \
        {                                                                      \
            peer, check                                                        \
        }                                                                      \
    }

#define EACH(peer)                                                             \
    CHECK(peer, "one-client", one_client),                                     \
        CHECK(peer, "eight-clients", eight_clients),                           \
        CHECK(peer, "sizes", sizes),                                           \
        CHECK(peer, "wrong-payload", wrong_payload),                           \
        CHECK(peer, "killed-client", killed_client),                           \
        CHECK(peer, "only-client-killed", only_client_killed),                 \
        CHECK(peer, "killed-server", killed_server)

#define TRANSPORT(peer)                                                        \
    EACH(peer), CHECK(peer, "deadline", deadline),                             \
        CHECK(peer, "spinning", spinning),                                     \
        CHECK(peer, "all-sizes", all_sizes), CHECK(peer, "depth", depth),      \
        CHECK(peer, "timeouts", timeouts)

#define SUBJECT(peer) EACH(peer), CHECK(peer, "conditions", conditions)

static const struct test_case cases[] = {
    {.name = "loader", .run = loader},
    {.name = "folder-goes", .run = folder_goes},
    {.name = "folder-stays", .run = folder_stays},
    TRANSPORT("tcp"),
    TRANSPORT("zmq"),
    CHECK("zmq", "no-folder", no_folder),
    TRANSPORT("nng"),
    CHECK("nng", "no-folder", no_folder),
    SUBJECT("redis"),
    CHECK("redis", "no-folder", no_folder),
    CHECK("redis", "not-in-path", not_in_path),
    CHECK("redis", "does-not-start", does_not_start),
    SUBJECT("sqlite"),
    CHECK("sqlite", "no-folder", no_folder),
    SUBJECT("file"),
    CHECK("file", "no-folder", no_folder),
    CHECK("file", "changed", changed_file),
};

int main(int argc, char **argv)
{
    const struct test_suite suite = {
        .name = "peers", .cases = cases, .count = COUNT(cases)};

    return harness_main(argc, argv, &suite);
}
