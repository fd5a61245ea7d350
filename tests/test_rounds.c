/*
 * test_rounds.c - many writers, and in each round one process is killed
 *
 *      this process --- forks --> the server (five transports, one data file)
 *           |                       ^   ^   ^
 *           +---------- forks --> writers, each over its own transport
 *
 * A writer adds, changes and removes events of its own. What it is told is
 * done it notes in memory that all share; what it asked for and has no answer
 * to, it asks again in its next life, with the same token. A round: start the
 * server, look whether all that is noted is there and nothing else, let them
 * write, kill the server or a writer, either at a random moment or at a random
 * call (disk.h). 0 acknowledged changes may be lost, 0 made twice.
 *
 * Every fourth server is the real `ipclab serve` (IPCLAB_BIN, or
 * build/ipclab), which has no pipe. Two more settings in the environment are
 * for the long form (make kill-rounds): IPCLAB_ROUNDS says how many, and has
 * it print what it counted; IPCLAB_SEED is a number from which all that is
 * random follows.
 */
#include "clock.h"
#include "disk.h"
#include "random.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000
#define ROUNDS    40    /* of the short form */
#define WRITERS   7     /* over five transports: two of them have two */
#define NOTES     8192  /* events that one writer may add to one file */
#define A_FILE    50    /* rounds with one data file: then a new one */
#define SOON_MS   20000 /* "at once", for a loaded machine */

/* ---- what the writers know ------------------------------------------------ */

enum op { NONE, ADD, CHANGE, REMOVE };
enum state { NOBODY, ALIVE, GONE };

/* A change: the writer's nth event, as its version says. */
struct change {
    enum op op;
    uint32_t n, version;
    uint64_t token;
};

struct note {
    enum state state;
    uint32_t id, version;
};

struct writer {
    const struct transport *t;
    unsigned index;
    uint64_t random;
    uint64_t tokens;   /* given so far */
    atomic_bool asked; /* `now` was asked for, and isn't answered */
    struct change now;
    struct change last; /* the last one acknowledged, and its result: */
    uint32_t last_id;
    uint64_t last_rev;
    uint32_t count; /* events added to this file */
    struct note note[NOTES];
    atomic_uint acked, acked_now; /* changes: in all, in this life */
};

/* Shared by all. */
struct desk {
    atomic_bool stop;    /* writers: finish what you asked for, and leave */
    atomic_bool no_more; /* the same, and ask for nothing new */
    atomic_llong first;  /* when the first change of this server was acked */
    struct writer writer[WRITERS];
};

static struct desk *desk;

static uint64_t below(uint64_t *state, uint64_t n)
{
    return random_next(state) % n;
}

/* ---- a writer ------------------------------------------------------------- */

static struct event event_of(const struct writer *w, const struct change *ch,
                             char title[64])
{
    snprintf(title, 64, "w%u-%" PRIu32 " v%" PRIu32, w->index, ch->n,
             ch->version);
    return make_event(title, MONDAY + (int64_t)ch->n * 60);
}

/* Ask for a change: the client's result, and what it gave. */
static int ask(struct writer *w, struct client *c, const struct change *ch,
               uint32_t *id, uint64_t *rev)
{
    char title[64];
    struct event ev = event_of(w, ch, title);

    ev.id = *id = w->note[ch->n].id;
    switch (ch->op) {
    case ADD: return client_add(c, ch->token, &ev, id, rev);
    case CHANGE: return client_update(c, ch->token, &ev, 0, rev);
    default: return client_remove(c, ch->token, ev.id, 0, rev);
    }
}

/* A living event of its own, or a new one. */
static void choose(struct writer *w)
{
    uint32_t n = w->count > 0 ? (uint32_t)below(&w->random, w->count) : 0;
    uint64_t dice = below(&w->random, 10);
    struct change *ch = &w->now;

    ch->token = ((uint64_t)w->index + 1) << 48 | ++w->tokens;
    ch->n = n;
    ch->version = w->note[n].version + 1;
    if (w->note[n].state == ALIVE && (dice < 4 || w->count == NOTES)) {
        ch->op = dice < 2 ? REMOVE : CHANGE;
    } else {
        ch->op = ADD;
        ch->n = w->count;
        ch->version = 0;
    }
    atomic_store(&w->asked, true);
}

/* It is done, and we were told so: a kill between two of these lines leaves it
 * asked for, and so asked for again. */
static void note(struct writer *w, uint32_t id, uint64_t rev)
{
    struct note *n = &w->note[w->now.n];
    long long none = 0;

    w->last = w->now;
    w->last_id = n->id = id;
    w->last_rev = rev;
    n->version = w->now.version;
    n->state = w->now.op == REMOVE ? GONE : ALIVE;
    if (w->now.op == ADD)
        w->count = w->now.n + 1;
    atomic_store(&w->asked, false);
    atomic_fetch_add(&w->acked, 1);
    atomic_fetch_add(&w->acked_now, 1);
    (void)atomic_compare_exchange_strong(&desk->first, &none, clock_now_ns());
}

/* What was done before is answered as it was then. */
static int ask_again(struct writer *w, struct client *c)
{
    uint32_t id;
    uint64_t rev;
    int err = ask(w, c, &w->last, &id, &rev);

    if (err == 0)
        CHECK(id == w->last_id && rev == w->last_rev);
    return err;
}

static int write_on(struct writer *w, struct client *c)
{
    int err = w->last.op != NONE && !w->asked ? ask_again(w, c) : 0;

    while (err == 0 && !atomic_load(&desk->stop)) {
        uint32_t id;
        uint64_t rev;

        if (!w->asked && (w->count == NOTES || atomic_load(&desk->no_more)))
            break;
        if (!w->asked)
            choose(w);
        err = ask(w, c, &w->now, &id, &rev);
        if (err == 0)
            note(w, id, rev);
    }
    return err;
}

/* A writer's life. It ends with the server: that is no failure. */
static pid_t start_writer(struct writer *w, struct tp_server *pipe_ends)
{
    pid_t pid = fork();
    struct client c;
    int err;

    REQUIRE(pid >= 0);
    if (pid > 0)
        return pid;
    do { /* who was too slow for the server is dropped, and comes back */
        err = connect_client(&c, w->t, pipe_ends);
        if (err == 0)
            err = write_on(w, &c);
        if (err != 0)
            client_close(&c);
    } while (err == -EPIPE && (w->t->caps & TP_NAMED));
    harness_check(err == 0 || err == -EPIPE || err == -ENOENT, false, __FILE__,
                  __LINE__, "%s: writer %u over %s: result %d %s", label,
                  w->index, w->t->name, err, err > 0 ? c.refusal : "");
    client_close(&c);
    _exit(0);
}

/* ---- is everything there? -------------------------------------------------- */

struct tally {
    unsigned rounds, by_moment, by_call[CALLS], starting, everybody, clients;
    unsigned real, lost, twice, looks;
    uint64_t acked;
    struct times {
        int64_t worst, sum; /* ns */
        unsigned count;
    } ready, back, notice;
};

static void take_time(struct times *t, int64_t since)
{
    int64_t took = clock_now_ns() - since;

    t->count++;
    t->sum += took;
    if (took > t->worst)
        t->worst = took;
}

struct look {
    uint8_t seen[WRITERS][NOTES + 1];
};

static struct look look;

/* Is this what the change that nobody knows of would have left? */
static bool may_be(const struct writer *w, uint32_t n, uint32_t version)
{
    return atomic_load(&w->asked) && w->now.n == n && w->now.op != REMOVE &&
           w->now.version == version;
}

static void wrong(unsigned *count, const char *what, unsigned w, uint32_t n)
{
    ++*count;
    harness_check(false, false, __FILE__, __LINE__, "%s: w%u-%" PRIu32 ": %s",
                  label, w, n, what);
}

static bool see(const struct event *ev, void *arg)
{
    struct tally *t = arg;
    uint32_t n, version;
    unsigned i;

    if (sscanf(ev->title, "w%u-%" SCNu32 " v%" SCNu32, &i, &n, &version) != 3 ||
        i >= WRITERS || n > NOTES) {
        wrong(&t->twice, "nobody asked for it", WRITERS, 0);
        return true;
    }
    const struct writer *w = &desk->writer[i];
    const struct note *note = n < NOTES ? &w->note[n] : NULL;
    if (look.seen[i][n]++)
        wrong(&t->twice, "there twice", i, n);
    if (may_be(w, n, version))
        return true;
    if (note == NULL || note->state == NOBODY)
        wrong(&t->twice, "nobody asked for it", i, n);
    else if (note->state == GONE)
        wrong(&t->lost, "there though it was removed", i, n);
    else if (note->version != version || note->id != ev->id)
        wrong(&t->lost, "not as it was acknowledged", i, n);
    return true;
}

static void look_for_lost(struct tally *t)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        const struct writer *w = &desk->writer[i];

        for (uint32_t n = 0; n < w->count; n++) {
            bool removing =
                atomic_load(&w->asked) && w->now.n == n && w->now.op == REMOVE;

            if (w->note[n].state == ALIVE && !look.seen[i][n] && !removing)
                wrong(&t->lost, "lost", i, n);
        }
    }
}

/* Over any transport with a name; no writer is running. False: the server died
 * before it had answered. */
static bool look_at_all(struct tally *t, const struct transport *over)
{
    struct client c;
    int err = connect_client(&c, over, NULL);

    memset(&look, 0, sizeof look);
    if (err == 0)
        err = client_list(&c, EVENT_TIME_MIN, EVENT_TIME_MAX, see, t);
    client_close(&c);
    if (err == -EPIPE || err == -ENOENT)
        return false;
    EXPECT_INT(0, err);
    if (err != 0)
        return true; /* what wasn't seen isn't lost */
    look_for_lost(t);
    t->looks++;
    return true;
}

/* ---- a server -------------------------------------------------------------- */

struct round {
    pid_t server;
    struct tp_server *pipe_ends; /* NULL: no pipe in this round */
    pid_t writer[WRITERS];       /* 0 = not running */
    int64_t killed;              /* when the one before was; 0 = it ended */
};

/* The real one. Its first line says that it is ready. */
static pid_t start_real(void)
{
    int out[2];
    char line[300];
    pid_t pid;

    REQUIRE_INT(0, pipe(out));
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (dup2(out[1], 1) == 1 && dup2(null, 2) == 2) {
            close(out[0]);
            close(out[1]);
            execl(harness_ipclab(), "ipclab", "serve", "--data", path,
                  (char *)NULL);
        }
        _exit(127);
    }
    close(out[1]);
    ssize_t n = read(out[0], line, sizeof line);
    harness_check(n > 6 && memcmp(line, "ready:", 6) == 0, true, __FILE__,
                  __LINE__, "'%s serve' starts", harness_ipclab());
    close(out[0]);
    return pid;
}

/* A server, ready; `at` > 0: it may be killed at that call already. */
static void start_server(struct round *r, struct tally *t, bool real,
                         struct plan plan)
{
    int64_t begin = clock_now_ns();

    atomic_store(&desk->first, 0);
    r->pipe_ends = NULL;
    set_plan(plan);
    r->server = real ? start_real() : fork_server(&r->pipe_ends);
    t->real += real;
    if (r->server == 0) {
        t->starting++;
        t->by_call[atomic_load(&board->struck)]++;
        r->killed = begin = clock_now_ns();
        set_plan((struct plan){.how = PASS});
        r->server = fork_server(&r->pipe_ends);
        REQUIRE(r->server > 0);
    }
    if (r->killed > 0)
        take_time(&t->ready, begin);
}

/* The pipe's writer first: who is forked while we have its ends has them too,
 * and would hide a death. */
static void start_writers(struct round *r)
{
    for (int named = 0; named < 2; named++) {
        for (unsigned i = 0; i < WRITERS; i++) {
            struct writer *w = &desk->writer[i];
            bool has_name = w->t->caps & TP_NAMED;

            atomic_store(&w->acked_now, 0);
            if (has_name == named && (has_name || r->pipe_ends != NULL))
                r->writer[i] = start_writer(w, r->pipe_ends);
        }
        tp_srv_drop(r->pipe_ends);
        r->pipe_ends = NULL;
    }
}

static void pause_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * NS_PER_MS};

    (void)nanosleep(&t, NULL);
}

/* They see by themselves that the server has gone, or that they may stop. */
static void reap_writers(struct round *r)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        int status;

        if (r->writer[i] == 0)
            continue;
        REQUIRE(waitpid(r->writer[i], &status, 0) == r->writer[i]);
        CHECK(status == 0);
        r->writer[i] = 0;
    }
}

/* ---- one round -------------------------------------------------------------- */

static uint64_t dice; /* all that is random here */

/* Wait for so many milliseconds, or until the server has been killed by a
 * call. */
static bool died_within(struct round *r, int64_t ms)
{
    int64_t end = clock_now_ns() + ms * NS_PER_MS;

    while (clock_now_ns() < end) {
        if (waitpid(r->server, NULL, WNOHANG) == r->server)
            return true;
        pause_ms(1);
    }
    return false;
}

/* Somebody was told that a change is made: since the last kill it took ... */
static void await_first(struct round *r, struct tally *t)
{
    int64_t begin = clock_now_ns();

    while (atomic_load(&desk->first) == 0 &&
           atomic_load(&board->struck) == CALL_NONE) {
        if (clock_now_ns() - begin > (int64_t)SOON_MS * NS_PER_MS) {
            CHECK(atomic_load(&desk->first) != 0);
            return;
        }
        pause_ms(1);
    }
    if (atomic_load(&desk->first) != 0 && r->killed > 0)
        take_time(&t->back, r->killed);
}

/* With it, every second time, all its writers die: the machine itself. */
static void kill_server(struct round *r, struct tally *t, struct plan plan)
{
    bool died, everybody = below(&dice, 2) == 0;

    if (plan.nth > 0)
        set_plan(plan);
    died = died_within(r, plan.nth > 0 ? 100 : 1 + (int64_t)below(&dice, 30));
    if (died) {
        t->by_call[atomic_load(&board->struck)]++;
    } else {
        t->by_moment++;
        CHECK(end_process(r->server, SIGKILL) == -1);
    }
    r->killed = clock_now_ns();
    set_plan((struct plan){.how = PASS});
    for (unsigned i = 0; i < WRITERS && everybody; i++)
        if (r->writer[i] > 0) {
            (void)end_process(r->writer[i], SIGKILL); /* or it has left */
            r->writer[i] = 0;
        }
    t->everybody += everybody;
    reap_writers(r);
    if (!everybody)
        take_time(&t->notice, r->killed);
}

/* SIGTERM; who is writing is told that the server left. */
static void stop_server(struct round *r)
{
    int64_t begin = clock_now_ns();

    CHECK(end_process(r->server, SIGTERM) == 0);
    CHECK(clock_now_ns() - begin < (int64_t)SOON_MS * NS_PER_MS);
    reap_writers(r);
    r->killed = 0;
}

/* The others go on; one with a name comes back, and is served. */
static void kill_writer(struct round *r, struct tally *t)
{
    unsigned i = (unsigned)below(&dice, WRITERS);
    struct writer *w = &desk->writer[i];
    int64_t begin;

    while (r->writer[i] == 0) /* the pipe's, when there is no pipe */
        w = &desk->writer[i = (i + 1) % WRITERS];
    pause_ms(1 + (int64_t)below(&dice, 30));
    CHECK(end_process(r->writer[i], SIGKILL) == -1);
    r->writer[i] = 0;
    t->clients++;
    begin = clock_now_ns();
    if (w->t->caps & TP_NAMED) {
        atomic_store(&w->acked_now, 0);
        r->writer[i] = start_writer(w, NULL);
        while (atomic_load(&w->acked_now) == 0 &&
               clock_now_ns() - begin < (int64_t)SOON_MS * NS_PER_MS)
            pause_ms(1);
        CHECK(atomic_load(&w->acked_now) > 0 || w->count == NOTES);
    }
    stop_server(r);
}

static struct plan random_plan(unsigned most)
{
    return (struct plan){.how = (enum how)(DIE_BEFORE + (int)below(&dice, 3)),
                         .nth = 1 + (unsigned)below(&dice, most)};
}

static void play(struct round *r, struct tally *t)
{
    static const struct plan none = {.how = PASS};
    uint64_t kind = below(&dice, 6);
    bool real = t->rounds % 4 == 3, looked = false;
    const struct transport *over = desk->writer[below(&dice, 3) + 1].t;

    snprintf(label, sizeof label, "round %u", t->rounds);
    /* 0: killed while it starts; 1, 2: at a call; 3: at a moment; 4, 5: a
     * writer is. */
    start_server(r, t, real, kind == 0 && !real ? random_plan(60) : none);
    /* On a loaded machine the server may drop one who reads too slowly. */
    for (int i = 0; i < 5 && !looked; i++)
        looked = look_at_all(t, over);
    CHECK(looked || atomic_load(&board->struck) != CALL_NONE);
    start_writers(r);
    await_first(r, t);
    if (kind < 4)
        kill_server(r, t,
                    real || kind == 0 || kind == 3 ? none : random_plan(200));
    else
        kill_writer(r, t);
    t->rounds++;
}

/* ---- all rounds -------------------------------------------------------------- */

/* With a new file nobody knows anything. */
static void new_file(void)
{
    remove_files();
    for (unsigned i = 0; i < WRITERS; i++) {
        struct writer *w = &desk->writer[i];

        atomic_store(&w->asked, false);
        w->last.op = NONE;
        w->count = 0;
        memset(w->note, 0, sizeof w->note);
    }
}

/* Every change that was asked for is done: then it is there exactly. */
static void end_file(struct round *r, struct tally *t)
{
    struct store_survey v;

    snprintf(label, sizeof label, "after round %u", t->rounds);
    atomic_store(&desk->no_more, true);
    start_server(r, t, false, (struct plan){.how = PASS});
    start_writers(r);
    reap_writers(r);
    for (unsigned i = 0; i < WRITERS; i++)
        CHECK(!atomic_load(&desk->writer[i].asked) ||
              !usable(desk->writer[i].t));
    CHECK(look_at_all(t, tp_find("socket")));
    stop_server(r);
    CHECK(check_file(path, &v) == 0 && v.faults == 0);
    atomic_store(&desk->no_more, false);
}

/* In the order of tp_all, and then the first ones with names again. */
static void make_desk(void)
{
    unsigned n = 0;

    desk = share(sizeof *desk);
    while (n < WRITERS)
        for (int i = 0; tp_all[i] && n < WRITERS; i++) {
            struct writer *w = &desk->writer[n];

            if (n >= 5 && !(tp_all[i]->caps & TP_NAMED))
                continue;
            w->t = usable(tp_all[i]) ? tp_all[i] : tp_find("socket");
            w->index = n++;
            w->random = dice + n;
        }
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    unsigned long v = text != NULL ? strtoul(text, NULL, 10) : 0;

    return v > 0 ? v : otherwise;
}

static void print_times(const char *what, const struct times *t)
{
    printf("  %s: %.1f ms on average, %.1f ms at worst, %u times\n", what,
           t->count > 0 ? (double)t->sum / t->count / NS_PER_MS : 0.0,
           (double)t->worst / NS_PER_MS, t->count);
}

static void report(const struct tally *t)
{
    unsigned calls = 0;

    for (int i = 0; i < CALLS; i++)
        calls += t->by_call[i];
    printf("%u rounds: the server killed %u times at a moment, %u at a call "
           "(%u while starting),\n  %u times with all writers; a writer alone "
           "%u times; %u servers were ipclab serve\n  calls:",
           t->rounds, t->by_moment, calls, t->starting, t->everybody,
           t->clients, t->real);
    for (int i = 0; i < CALLS; i++)
        if (t->by_call[i] > 0)
            printf(" %s %u", call_names[i], t->by_call[i]);
    printf("\n  changes acknowledged %" PRIu64 ", lost %u, made twice %u (all "
           "looked at %u times)\n",
           t->acked, t->lost, t->twice, t->looks);
    print_times("start until ready", &t->ready);
    print_times("kill until the next acknowledged change", &t->back);
    print_times("kill until all writers have noticed", &t->notice);
}

static void test_rounds(const void *arg)
{
    unsigned long rounds = setting("IPCLAB_ROUNDS", ROUNDS);
    struct round r = {0};
    struct tally t = {0};

    (void)arg;
    dice = setting("IPCLAB_SEED", 1) * 0x9e3779b97f4a7c15u;
    make_board();
    make_desk();
    while (t.rounds < rounds) {
        if (t.rounds % A_FILE == 0)
            new_file();
        play(&r, &t);
        if (t.rounds % A_FILE == 0 || t.rounds == rounds)
            end_file(&r, &t);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        t.acked += atomic_load(&desk->writer[i].acked);
    EXPECT(t.lost == 0 && t.twice == 0);
    EXPECT(t.acked > rounds);
    if (getenv("IPCLAB_ROUNDS") != NULL)
        report(&t);
}

int main(int argc, char **argv)
{
    const struct test_case cases[] = {
        {.name = "rounds",
         .run = test_rounds,
         .seconds = 60 + 2 * (unsigned)setting("IPCLAB_ROUNDS", ROUNDS)}};
    const struct test_suite suite = {
        .name = "rounds", .cases = cases, .count = LEN(cases)};

    return harness_main(argc, argv, &suite);
}
