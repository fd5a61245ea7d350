/*
 * live.c - a running server between honest and hostile clients; see live.h
 *
 * It needs _GNU_SOURCE for MAP_ANONYMOUS.
 */
#define _GNU_SOURCE
#include "live.h"

#include "../world.h"
#include "client.h"
#include "clock.h"
#include "guard.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMED       4 /* transports with names, and the pipe beside them */
#define LESSON      "Operating systems"
#define LESSON_FROM INT64_C(1790000000)

/* What one case is about. */
struct scene {
    enum tp_wait wait;
    unsigned ms; /* how long, unless FUZZ_SECONDS says it */
    live_strike *strikes[5];
    const char *exempt; /* the transport that is attacked beyond the threat
                           model; NULL = none: nobody may notice */
    bool alone;         /* its only client is the one that attacks it */
    bool nonsense;      /* proper clients with improper messages, too */
    bool aborts;        /* the C library will call abort(3), often */
    bool mortal;        /* who uses the segment may die of it: all are exempt */
};

static struct live *live;
static const struct scene *scene;
static int server_status; /* how it ended */
static pid_t children[32];
static unsigned child_count;

/* ---- processes ---------------------------------------------------------------- */

static pid_t start(void)
{
    pid_t pid = fork();

    REQUIRE(pid >= 0);
    if (pid > 0)
        children[child_count++] = pid;
    else
        live_seed(live->seed + child_count);
    return pid;
}

static void end(int code)
{
    exit(code); /* and not _exit: a sanitizer looks for leaks now */
}

/* The C library calls abort(3) when a semaphore makes no sense to it. */
static bool is_good_end(int status)
{
    return status == 0 ||
           (scene->mortal && WIFSIGNALED(status) &&
            (WTERMSIG(status) == SIGABRT || WTERMSIG(status) == SIGKILL));
}

/* It may also sleep there for ever: 2 s, and then SIGKILL. */
static void end_at_last(pid_t pid)
{
    siginfo_t info = {0};

    for (int i = 0; info.si_pid == 0 && i < 200; i++) {
        REQUIRE(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) ==
                0);
        if (info.si_pid == 0)
            live_pause(10000);
    }
    if (info.si_pid == 0)
        EXPECT_INT(0, kill(pid, SIGKILL));
}

static void join_all(unsigned from)
{
    int status;

    while (child_count > from) {
        if (scene->mortal)
            end_at_last(children[child_count - 1]);
        REQUIRE(waitpid(children[--child_count], &status, 0) > 0);
        if (child_count == 0)
            server_status = status;
        harness_check(is_good_end(status), false, __FILE__, __LINE__,
                      "process %u ended with status %#x", child_count,
                      (unsigned)status);
    }
}

/* ---- the server ---------------------------------------------------------------- */

static atomic_bool stop;

static void on_term(int sig)
{
    (void)sig;
    atomic_store(&stop, true);
}

static struct store *open_store(void)
{
    char path[200], why[200];
    struct store *st = NULL;
    struct store_opts opts = {.path = path,
                              .sync = true,
                              .wait_ms = 1000,
                              .why = why,
                              .why_cap = sizeof why};

    (void)snprintf(path, sizeof path, "%s/data/lessons", harness_dir());
    REQUIRE_INT(0, store_open(&st, &opts));
    EXPECT_STR("", why);
    return st;
}

/* Once: a server that is started again finds it in the file. */
static void add_lesson(struct store *st)
{
    struct event ev = {.title = LESSON,
                       .title_len = sizeof LESSON - 1,
                       .start = LESSON_FROM,
                       .end = LESSON_FROM + 3600};
    struct store_result res;

    if (schedule_count(store_schedule(st)) > 0)
        return;
    store_lock(st);
    EXPECT_INT(0, store_add(st, 0, &ev, &res));
    store_unlock(st);
    EXPECT_INT(0, store_commit(st, res.seq));
    EXPECT_INT(1, res.id);
}

/* Is it usable here? A machine may lack queues or /dev/shm. */
static bool usable(const struct transport *t)
{
    char why[200];

    return (t->caps & TP_NAMED) && tp_probe(t, why, sizeof why) == 0;
}

/* As `ipclab serve`, with the pipe beside the others. */
static void serve(struct tp_server *pipe)
{
    struct sigaction sa = {.sa_handler = on_term};
    struct tp_server *set[NAMED + 1] = {pipe};
    struct tp_opts o = {.clients = LIVE_CLIENTS, .wait = live->wait};
    struct server_opts so = {
        .set = set, .count = 1, .store = open_store(), .stop = &stop};

    REQUIRE_INT(0, sigaction(SIGTERM, &sa, NULL));
    for (size_t i = 0; tp_all[i] != NULL; i++)
        if (usable(tp_all[i]))
            REQUIRE_INT(0, tp_srv_open(tp_all[i], &set[so.count++], &o));
    add_lesson(so.store);
    live_open(live, SERVING);
    EXPECT_INT(0, server_run(&so));
    while (so.count > 0)
        tp_srv_close(set[--so.count]);
    store_close(so.store);
    end(0);
}

/* ---- honest clients ------------------------------------------------------------ */

struct honest {
    struct client c;
    struct live_tally *mine;
    unsigned who;
    unsigned long k; /* number of the round */
    bool failed;
};

unsigned long live_now_us(void)
{
    return (unsigned long)(clock_now_ns() / 1000);
}

/* A call is over: was it in time and without an error? */
static void note(struct honest *h, unsigned long since, const char *what,
                 int err)
{
    unsigned long us = live_now_us() - since;

    atomic_fetch_add(&h->mine->calls, 1);
    if (us > atomic_load(&h->mine->worst_us))
        atomic_store(&h->mine->worst_us, us);
    h->failed = h->failed || err != 0;
    if ((err != 0 && !atomic_load(&h->mine->exempt)) ||
        us > LIVE_DEADLINE * 2000) /* it may wait twice; nobody may hang */
        harness_check(false, false, __FILE__, __LINE__,
                      "honest client %u, round %lu, %s: %d after %lu ms",
                      h->who, h->k, what, err, us / 1000);
}

static void get_lesson(struct honest *h)
{
    struct client_event got;
    unsigned long since = live_now_us();
    int err = client_get(&h->c, 1, &got);

    note(h, since, "get", err);
    if (err != 0 || atomic_load(&h->mine->exempt))
        return;
    EXPECT_STR(LESSON, got.text);
    EXPECT(got.event.start == LESSON_FROM && got.event.rev == 1);
}

static void echo(struct honest *h)
{
    static uint8_t bytes[65536];
    size_t len = live_any() % 4 ? live_any() % 200 : live_any() % sizeof bytes;
    unsigned long since;

    if (len > h->c.conn->max_msg - WIRE_REPLY_MIN)
        len = h->c.conn->max_msg - WIRE_REPLY_MIN;
    live_fill(bytes, len);
    since = live_now_us();
    note(h, since, "echo", client_echo(&h->c, bytes, len));
}

/* A new event, and is it there? */
static void add_and_get(struct honest *h)
{
    char title[64];
    struct event ev = {.title = title, .start = (int64_t)h->k * 60};
    struct client_event got;
    uint32_t id = 0;
    uint64_t rev = 0;
    unsigned long since;
    int err;

    ev.end = ev.start + 3600;
    (void)snprintf(title, sizeof title, "honest %u, %lu", h->who, h->k);
    since = live_now_us();
    err = client_add(&h->c, client_token(), &ev, &id, &rev);
    note(h, since, "add", err);
    if (err != 0)
        return;
    atomic_fetch_add(&h->mine->adds, 1);
    since = live_now_us();
    err = client_get(&h->c, id, &got);
    note(h, since, "get", err);
    if (err == 0 && !atomic_load(&h->mine->exempt)) {
        EXPECT_STR(title, got.text);
        EXPECT(got.event.id == id && got.event.rev == rev &&
               got.event.start == ev.start && got.event.end == ev.end);
    }
}

static void one_round(struct honest *h)
{
    get_lesson(h);
    echo(h);
    if (h->k % 8 == 0)
        add_and_get(h);
    h->k++;
    live_pause(500);
}

static void greet(struct honest *h, const struct transport *t,
                  struct tp_opts *o)
{
    unsigned long since = live_now_us();
    /* Who is attacked may lose a message: let it not wait long in vain. */
    int ms = atomic_load(&h->mine->exempt) ? LIVE_DEADLINE / 20 : LIVE_DEADLINE;

    o->open_ms = ms;
    o->wait = live->wait;
    note(h, since, "open", client_open(&h->c, t, o, ms));
}

static bool is_exempt(const struct transport *t)
{
    return scene->mortal ||
           (scene->exempt != NULL && strcmp(scene->exempt, t->name) == 0);
}

static void honest(const struct transport *t, unsigned who,
                   struct tp_server *inherited)
{
    struct honest h = {.who = who, .mine = &live->honest[who]};
    struct tp_opts o = {.inherited = inherited};

    atomic_store(&h.mine->exempt, is_exempt(t));
    greet(&h, t, &o);
    live_open(live, OPENED);
    live_wait(live, GO);
    while (!h.failed && !atomic_load(&live->over))
        one_round(&h);
    client_close(&h.c);
    end(0);
}

/* Comes, asks and goes, over one transport after the other. */
static void newcomer(unsigned who)
{
    struct honest h = {.who = who, .mine = &live->honest[who]};

    for (unsigned i = 0; !h.failed && !atomic_load(&live->over); i++) {
        struct tp_opts o = {0};
        const struct transport *t = tp_all[i % (NAMED + 1)];

        if (!usable(t) || is_exempt(t))
            continue;
        greet(&h, t, &o);
        if (!h.failed)
            one_round(&h);
        client_close(&h.c);
        live_pause(5000);
    }
    end(0);
}

/* ---- a case -------------------------------------------------------------------- */

static void improper(const struct transport *t, struct tp_server *inherited,
                     unsigned which)
{
    struct tp_opts o = {.inherited = inherited,
                        .index = 1,
                        .open_ms = LIVE_DEADLINE,
                        .wait = live->wait};
    struct tp_client *c = NULL;

    REQUIRE_INT(0, tp_cli_open(t, &c, &o));
    strike_client(live, &live->hostile[which], c);
    tp_cli_close(c);
    end(0);
}

/* Its pipe, for `clients` of them: the caller drops it. */
static struct tp_server *start_server(unsigned clients)
{
    struct tp_opts o = {.clients = clients, .wait = live->wait};
    struct tp_server *srv = NULL;

    REQUIRE_INT(0, tp_srv_open(tp_find("pipe"), &srv, &o));
    if (start() == 0)
        serve(srv);
    live_wait(live, SERVING);
    return srv;
}

/* The server, and whoever needs its pipe; then the others. How many honest
 * clients have opened. */
static unsigned start_all(void)
{
    const struct transport *pipe = tp_find("pipe");
    bool nonsense = scene->nonsense;
    struct tp_server *srv = start_server(nonsense ? 2 : 1);
    unsigned who = 0;

    if (start() == 0)
        honest(pipe, who, srv);
    if (nonsense && start() == 0)
        improper(pipe, srv, 8);
    tp_srv_drop(srv);
    for (size_t i = 0; tp_all[i] != NULL; i++) {
        if (!usable(tp_all[i]) || (scene->alone && is_exempt(tp_all[i])))
            continue;
        who++;
        if (start() == 0)
            honest(tp_all[i], who, NULL);
        if (nonsense && start() == 0)
            improper(tp_all[i], NULL, 8 + who);
    }
    for (unsigned i = 0; i <= who; i++)
        live_wait(live, OPENED);
    return who + 1;
}

static void start_strikes(const struct scene *s)
{
    for (unsigned i = 0; i < 5 && s->strikes[i] != NULL; i++) {
        if (start() != 0)
            continue;
        s->strikes[i](live, &live->hostile[i]);
        end(0);
    }
    for (unsigned i = 0; i < 5 && s->strikes[i] != NULL; i++)
        live_wait(live, PREPARED);
}

/* The attack is over: even the transport that was attacked serves. */
static void serves(const char *name)
{
    struct tp_opts o = {.open_ms = LIVE_DEADLINE};
    struct client_event got;
    struct client c;

    EXPECT_INT(0, client_open(&c, tp_find(name), &o, LIVE_DEADLINE));
    if (c.conn != NULL && client_get(&c, 1, &got) == 0)
        EXPECT_STR(LESSON, got.text);
    else
        harness_check(false, false, __FILE__, __LINE__,
                      "%s doesn't serve any more", name);
    client_close(&c);
}

static void end_server(void)
{
    EXPECT_INT(0, kill(children[0], SIGTERM));
    join_all(0);
}

/* Whatever became of the last one: the next server finds the file, and all its
 * names. */
static void starts_again(void)
{
    tp_srv_drop(start_server(1));
    for (size_t i = 0; tp_all[i] != NULL; i++)
        if (usable(tp_all[i]))
            serves(tp_all[i]->name);
    end_server();
}

static void count_ours(const char *title, unsigned long *ours)
{
    unsigned who;

    if (sscanf(title, "honest %u,", &who) == 1 && who < 8)
        ours[who]++;
}

static bool count_event(const struct event *ev, void *arg)
{
    count_ours(ev->title, arg);
    return true;
}

/* The file is whole, and every change that was acknowledged is in it. */
static void check_file(void)
{
    unsigned long ours[8] = {0};
    struct store *st = open_store();

    schedule_walk(store_schedule(st), EVENT_TIME_MIN, EVENT_TIME_MAX, NULL,
                  count_event, ours);
    store_close(st);
    for (int i = 0; i < 8; i++) {
        unsigned long adds = atomic_load(&live->honest[i].adds);

        harness_check(atomic_load(&live->honest[i].exempt) ? ours[i] >= adds
                                                           : ours[i] == adds,
                      false, __FILE__, __LINE__,
                      "client %d: %lu changes acknowledged, %lu in the file", i,
                      adds, ours[i]);
    }
}

static void report(void)
{
    printf("  the server ended with status %#x\n", (unsigned)server_status);
    for (int i = 0; i < 8; i++) {
        const struct live_tally *h = &live->honest[i];

        if (atomic_load(&h->calls) > 0)
            printf("  honest %d%s: %lu calls, worst %.1f ms\n", i,
                   atomic_load(&h->exempt) ? " (attacked)" : "",
                   atomic_load(&h->calls),
                   (double)atomic_load(&h->worst_us) / 1e3);
    }
    for (int i = 0; i < 16; i++)
        if (atomic_load(&live->hostile[i].calls) > 0)
            printf("  hostile %d: %lu strikes\n", i,
                   atomic_load(&live->hostile[i].calls));
    (void)fflush(stdout); /* for the eye only */
}

/* What the C library writes before it aborts is no news here. */
static void quiet(void)
{
    const struct rlimit none = {0, 0};
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    REQUIRE(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0 && close(fd) == 0);
    REQUIRE(setrlimit(RLIMIT_CORE, &none) == 0);
}

static void run_scene(const void *arg)
{
    const struct scene *s = scene = arg;
    const char *seconds = getenv("FUZZ_SECONDS"), *seed = getenv("FUZZ_SEED");
    unsigned ms = s->ms, honest_count;

    if (seconds != NULL)
        ms = (unsigned)strtoul(seconds, NULL, 10) * 1000;
    (void)alarm(ms / 1000 + 60);
    live = mmap(NULL, sizeof *live, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(live != MAP_FAILED);
    live->wait = s->wait;
    live->seed = seed != NULL ? (unsigned)strtoul(seed, NULL, 10) : 1;
    guard_install(); /* as ipclab does, servers and clients */
    if (s->aborts)
        quiet();
    for (int i = 0; i < LIVE_GATES; i++)
        REQUIRE(sem_init(&live->gate[i], 1, 0) == 0);
    honest_count = start_all();
    start_strikes(s);
    for (unsigned i = 0; i < honest_count; i++)
        live_open(live, GO);
    if (!s->mortal && start() == 0)
        newcomer(honest_count);
    for (unsigned left = ms; left > 0; left -= left < 500 ? left : 500)
        live_pause((left < 500 ? left : 500) * 1000);
    atomic_store(&live->over, true);
    join_all(1); /* all but the server */
    if (s->exempt != NULL)
        serves(s->exempt);
    end_server();
    check_file();
    if (seconds != NULL)
        report();
    if (s->mortal)
        starts_again();
    (void)munmap(live, sizeof *live); /* ours, mapped above */
}

/* ---- what may be left ---------------------------------------------------------- */

void live_leftovers(const struct test_case *c)
{
    char name[32], object[RUNDIR_OBJECT_MAX], dir[RUNDIR_PATH_MAX];

    (void)c;
    if (rundir_path(dir) != 0 || access(dir, F_OK) != 0)
        return;
    for (int slot = -1; slot < LIVE_CLIENTS; slot++) {
        (void)snprintf(name, sizeof name,
                       slot < 0 ? "default.mqueue" : "default.mqueue.%d", slot);
        object_name(object, name);
        harness_check(mq_unlink(object) < 0, false, __FILE__, __LINE__,
                      "left behind: queue %s", object);
    }
    object_name(object, "default.shm");
    harness_check(shm_unlink(object) < 0, false, __FILE__, __LINE__,
                  "left behind: segment %s", object);
}

/* ---- the table ----------------------------------------------------------------- */

static const struct scene strikes = {
    .ms = 1500,
    .strikes = {strike_socket, strike_fifo, strike_mqueue, strike_shm},
    .nonsense = true};
static const struct scene adapt = {
    .wait = TP_ADAPT,
    .ms = 700,
    .strikes = {strike_socket, strike_fifo, strike_mqueue, strike_shm},
    .nonsense = true};
static const struct scene other_slots = {
    .ms = 400, .strikes = {strike_all_slots}, .exempt = "shm"};
static const struct scene libc = {
    .ms = 700, .strikes = {strike_libc}, .exempt = "shm", .aborts = true};
static const struct scene everywhere = {
    .ms = 400, .strikes = {strike_everywhere}, .aborts = true, .mortal = true};
static const struct scene doorbell = {.ms = 400, .strikes = {strike_doorbell}};
static const struct scene truncated = {
    .ms = 700, .strikes = {strike_truncate}, .exempt = "shm", .alone = true};
static const struct scene reply_queue = {
    .ms = 400, .strikes = {strike_reply_queue}, .exempt = "mqueue"};

const struct test_case live_cases[LIVE_CASES] = {
    {.name = "live/strikes", .run = run_scene, .arg = &strikes},
    {.name = "live/strikes-adapt", .run = run_scene, .arg = &adapt},
    {.name = "live/doorbell", .run = run_scene, .arg = &doorbell},
    {.name = "live/other-slots", .run = run_scene, .arg = &other_slots},
    {.name = "live/libc", .run = run_scene, .arg = &libc},
    {.name = "live/everywhere", .run = run_scene, .arg = &everywhere},
    {.name = "live/truncated", .run = run_scene, .arg = &truncated},
    {.name = "live/reply-queue", .run = run_scene, .arg = &reply_queue},
};
