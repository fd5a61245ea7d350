/*
 * test_durability.c - what was acknowledged stays, whatever happens
 *
 *   story/...    one writer: its process is killed at every call in turn, or
 *                every call fails in turn
 *   live/...     a whole server whose disk fails, or whose file is replaced
 *   disk/...     a full file system, folders and files that can't be written
 *
 * How calls are made to fail, or to be a process's last: disk.h.
 *
 * It needs _GNU_SOURCE for unshare.
 */
#define _GNU_SOURCE
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534 /* a user without rights */

/* ---- a story: what is asked for ------------------------------------------- */

enum op { ADD, CHANGE, REMOVE };
enum { OPENING, FIRST_STEP, CLOSING = 100 }; /* phases */

/* Step by step; `of` is the step that added the event. */
static const struct step {
    enum op op;
    int of;
} story[] = {{ADD, 0},    {ADD, 1}, {CHANGE, 0}, {ADD, 3},   {REMOVE, 1},
             {CHANGE, 3}, {ADD, 6}, {REMOVE, 0}, {CHANGE, 3}};

#define STEPS  ((int)LEN(story))
#define ABSENT (1u << 31) /* beside 1u << step: what an event may look like */

enum state {
    UNASKED,
    ASKED,   /* and never answered */
    DONE,    /* acknowledged */
    UNSURE,  /* refused by the commit: it may last or not */
    REFUSED, /* by the change itself: nothing has changed */
};

/* What the writer knows. An acknowledgement is the store to `state`: who is
 * killed before it has acknowledged nothing. */
struct memory {
    struct did {
        atomic_int state;
        int err;
        uint32_t id;
        uint64_t rev;
    } did[LEN(story)];
    int open_error;
    bool closed;
};

static struct memory *memory;
static int state_of(int step)
{
    return atomic_load(&memory->did[step].state);
}

/* Ask for one step; as often as one likes. */
static int ask(struct store *st, int step, uint32_t id,
               struct store_result *res)
{
    char title[32];
    uint64_t token = 1000 + (uint64_t)step;
    int err;

    snprintf(title, sizeof title, "step %d", step);
    struct event ev = make_event(title, MONDAY + step * 3600);
    ev.id = id;
    store_lock(st);
    switch (story[step].op) {
    case ADD: err = store_add(st, token, &ev, res); break;
    case CHANGE: err = store_update(st, token, &ev, 0, res); break;
    default: err = store_remove(st, token, id, 0, res);
    }
    store_unlock(st);
    return err;
}

/* How the event that step k added may look: by the last step about it that was
 * acknowledged, or by one behind it that nobody knows about. */
static unsigned looks_of(int k)
{
    unsigned looks = ABSENT;

    for (int i = k; i < STEPS; i++) {
        unsigned here = story[i].op == REMOVE ? ABSENT : 1u << i;

        if (story[i].of != k)
            continue;
        if (state_of(i) == DONE)
            looks = here;
        else if (state_of(i) == ASKED || state_of(i) == UNSURE)
            looks |= here;
    }
    return looks;
}

/* ---- a story: telling it -------------------------------------------------- */

static void read_all(struct store *st)
{
    store_lock(st);
    for (int k = 0; k < STEPS; k++)
        if (story[k].op == ADD && !(looks_of(k) & ABSENT))
            CHECK(schedule_get(store_schedule(st), memory->did[k].id) != NULL);
    store_unlock(st);
}

static void take_step(struct store *st, int step)
{
    struct did *d = &memory->did[step];
    uint32_t id = story[step].op == ADD ? 0 : memory->did[story[step].of].id;
    struct store_result res;
    int err;

    if (story[step].op != ADD && id == 0)
        return; /* it was never added */
    atomic_store(&d->state, ASKED);
    err = d->err = ask(st, step, id, &res);
    if (err == 0) {
        d->id = res.id;
        d->rev = res.rev;
        err = d->err = store_commit(st, res.seq);
        atomic_store(&d->state, err == 0 ? DONE : UNSURE);
    } else {
        atomic_store(&d->state, REFUSED);
    }
    CHECK((store_fault(st) != NULL) == (err == -EROFS));
    read_all(st);
}

static void tell(void)
{
    struct store *st = NULL;

    shim_on = true;
    atomic_store(&board->phase, OPENING);
    memory->open_error = open_store(&st);
    for (int i = 0; i < STEPS && st != NULL; i++) {
        atomic_store(&board->phase, FIRST_STEP + i);
        take_step(st, i);
    }
    atomic_store(&board->phase, CLOSING);
    store_close(st);
    memory->closed = true;
}

/* ---- a story: where it begins --------------------------------------------- */

enum { SEED_NEW, SEED_TORN, SEED_DEAD, SEEDS };

static const char *const seed_names[SEEDS] = {"new", "torn", "dead"};

/* Files that the stories begin with, each with three events of its own. */
static struct {
    char bytes[FILE_MAX];
    size_t len;
} seeds[SEEDS];

static void make_seeds(void)
{
    static const char front[] = "{\"op\":\"add\",\"id\":4,\"title\":\"unfin";
    struct store_result res;

    for (int k = SEED_TORN; k < SEEDS; k++) {
        struct store_opts opts = {.path = path};
        struct store *st = NULL;

        remove_files();
        REQUIRE_INT(0, store_open(&st, &opts));
        for (uint64_t i = 0; i < 3; i++) {
            char title[16];

            snprintf(title, sizeof title, "seed %d", (int)i);
            REQUIRE_INT(0, add(st, 1 + i, title, &res));
        }
        if (k == SEED_DEAD)
            add_dead(st);
        store_close(st);
        seeds[k].len = slurp(path, seeds[k].bytes);
    }
    memcpy(seeds[SEED_TORN].bytes + seeds[SEED_TORN].len, front,
           sizeof front - 1);
    seeds[SEED_TORN].len += sizeof front - 1;
}

static void lay_out(int seed)
{
    char before[300];
    struct stat st;

    remove_files();
    memset(memory, 0, sizeof *memory);
    atomic_store(&board->struck_at, OPENING);
    memset(board->synced, 0, sizeof board->synced);
    atomic_store(&board->renamed, false);
    atomic_store(&board->no_disk, true);
    if (seed == SEED_NEW)
        return;
    spill(path, seeds[seed].bytes, seeds[seed].len);
    REQUIRE_INT(0, link(path, beside(".before", before)));
    REQUIRE_INT(0, stat(path, &st)); /* it has been on disk for long */
    board->synced[0].ino = st.st_ino;
    board->synced[0].size = st.st_size;
}

/* The power goes: what wasn't synced is lost, a rename in the folder too. What
 * wasn't there at all is read as NULs, or isn't part of the file. */
static void lose_unsynced(bool nul)
{
    char before[300];
    struct stat st;
    off_t size = 0;

    if (atomic_load(&board->renamed))
        REQUIRE_INT(0, rename(beside(".before", before), path));
    if (stat(path, &st) != 0)
        return;
    for (int i = 0; i < FILES_MAX; i++)
        if (board->synced[i].ino == st.st_ino)
            size = board->synced[i].size;
    if (st.st_size <= size)
        return;
    REQUIRE_INT(0, truncate(path, size));
    if (nul)
        REQUIRE_INT(0, truncate(path, st.st_size));
}

/* ---- a story: what became of it -------------------------------------------- */

struct finding {
    unsigned seeds, seen[LEN(story)];
};

static bool find_event(const struct event *ev, void *arg)
{
    struct finding *f = arg;
    int step;

    if (strncmp(ev->title, "seed ", 5) == 0) {
        f->seeds++;
        return true;
    }
    if (sscanf(ev->title, "step %d", &step) != 1 || step < 0 || step >= STEPS) {
        harness_check(false, false, __FILE__, __LINE__,
                      "%s: nobody asked for '%s'", label, ev->title);
        return true;
    }
    int k = story[step].of;
    f->seen[k]++;
    CHECK(looks_of(k) & 1u << step);
    CHECK(ev->start == MONDAY + step * 3600);
    if (state_of(k) == DONE)
        CHECK(memory->did[k].id == ev->id);
    return true;
}

/* Everything acknowledged is there, once, and nothing else. */
static void verify(struct store *st, int seed)
{
    struct finding f = {0};

    schedule_walk(store_schedule(st), EVENT_TIME_MIN, EVENT_TIME_MAX, NULL,
                  find_event, &f);
    CHECK(f.seeds == (seed == SEED_NEW ? 0 : 3));
    for (int k = 0; k < STEPS; k++) {
        CHECK(f.seen[k] <= 1);
        if (story[k].op == ADD && f.seen[k] == 0)
            CHECK(looks_of(k) & ABSENT);
    }
}

/* The writer was told that this change wasn't made, and made a later one. */
static bool is_overtaken(int step)
{
    bool later = false;

    for (int i = step + 1; i < STEPS; i++)
        later = later || (story[i].of == story[step].of && state_of(i) == DONE);
    return later && state_of(step) == REFUSED;
}

/* The writer asks again for all of it: what was done gives the first result,
 * the rest is done now. */
static void finish(struct store *st)
{
    uint32_t last = 0;
    struct store_result res;

    for (int i = 0; i < STEPS; i++) {
        struct did *d = &memory->did[i];
        uint32_t id = story[i].op == ADD ? 0 : memory->did[story[i].of].id;

        if (is_overtaken(i))
            continue;

        CHECK(ask(st, i, id, &res) == 0);
        CHECK(store_commit(st, res.seq) == 0);
        if (state_of(i) == DONE)
            CHECK(res.id == d->id && res.rev == d->rev);
        d->id = res.id;
        d->rev = res.rev;
        atomic_store(&d->state, DONE);
        if (res.id > last)
            last = res.id;
    }
    CHECK(add(st, 0, "step 3", &res) == 0); /* any known title */
    CHECK(res.id > last);                   /* never used before */
    CHECK(removal(st, 0, res.id, &res) == 0);
}

static void check_end(int seed)
{
    struct store_survey v;
    struct store *st;

    set_plan((struct plan){.how = PASS});
    shim_on = true; /* for its syncs that cost nothing */
    st = must_open();
    verify(st, seed);
    finish(st);
    verify(st, seed);
    store_close(st);
    st = must_open();
    CHECK(why[0] == '\0');
    verify(st, seed);
    store_close(st);
    CHECK(check_file(path, &v) == 0 && v.faults == 0);
    CHECK(v.events == (seed == SEED_NEW ? 2 : 5));
    CHECK(!exists(".compacting"));
    shim_on = false;
}

/* ---- story/: killed at every call ------------------------------------------ */

/* One round. False when there are fewer calls than that. */
static bool play(int seed, const struct plan *plan, int lose)
{
    bool kills = plan->how >= DIE_BEFORE && plan->how <= DIE_AFTER;
    int status, call;

    lay_out(seed);
    set_plan(*plan);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        tell();
        _exit(0);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid);
    call = atomic_load(&board->struck);
    snprintf(label, sizeof label, "call %u of '%s' (%s) %s%s%s%s", plan->nth,
             seed_names[seed], call_names[call], how_names[plan->how],
             plan->how == FAIL ? ", " : "",
             plan->how == FAIL ? strerror(plan->error) : "",
             lose > 0         ? ", then the power"
             : plan->for_ever ? ", for ever"
                              : "");
    if (WIFEXITED(status))
        CHECK(WEXITSTATUS(status) == 0 && memory->closed);
    else
        CHECK(kills && WTERMSIG(status) == SIGKILL && call != CALL_NONE);
    if (lose > 0)
        lose_unsynced(lose > 1);
    return atomic_load(&board->calls) >= plan->nth;
}

/* Is there anything new to be seen at the next call? Behind the first steps
 * every file is treated like a new one. */
static bool is_enough(int seed)
{
    return seed != SEED_NEW && atomic_load(&board->struck_at) > FIRST_STEP + 2;
}

static void kill_everywhere(int lose)
{
    make_board();
    memory = share(sizeof *memory);
    make_seeds();
    for (int seed = 0; seed < SEEDS; seed++)
        for (int how = DIE_BEFORE; how <= DIE_AFTER; how++) {
            struct plan plan = {.how = (enum how)how};

            for (plan.nth = 1; play(seed, &plan, lose) && !is_enough(seed);
                 plan.nth++)
                check_end(seed);
            check_end(seed); /* of the last round */
            EXPECT(plan.nth > (seed == SEED_NEW ? 25 : 12));
        }
}

static void test_killed(const void *arg)
{
    (void)arg;
    kill_everywhere(0);
}

/* Killed, and what wasn't synced is gone: so an acknowledgement that came
 * before its sync would show. */
static void test_power(const void *arg)
{
    kill_everywhere(*(const int *)arg);
}

static const int lose_cut = 1, lose_nul = 2;

/* ---- story/: every call fails ---------------------------------------------- */

static void expect_all_done(void)
{
    CHECK(memory->open_error == 0);
    for (int i = 0; i < STEPS; i++)
        CHECK(state_of(i) == DONE);
}

/* A write that found no room: only that step is refused, and what needs it. */
static void expect_one_refused(int step)
{
    CHECK(state_of(step) == REFUSED && memory->did[step].err == -ENOSPC);
    for (int i = 0; i < STEPS; i++)
        CHECK(i == step || state_of(i) == DONE ||
              (state_of(i) == UNASKED && story[i].of == step));
}

/* A broken disk: from that step on nothing is accepted. */
static void expect_final(int step, enum call call)
{
    for (int i = 0; i < step; i++)
        CHECK(state_of(i) == DONE);
    CHECK(state_of(step) == (call == CALL_FDATASYNC ? UNSURE : REFUSED));
    for (int i = step; i < STEPS; i++)
        CHECK(state_of(i) == UNASKED || memory->did[i].err == -EROFS);
}

/* After an interruption, or half a write, one goes on. */
static bool goes_on(const struct plan *plan, enum call call)
{
    return plan->how == SHORT ||
           (plan->how == SHORT_FULL && call != CALL_WRITE) ||
           (plan->how == FAIL && plan->error == EINTR &&
            (call == CALL_READ || call == CALL_WRITE ||
             call == CALL_FDATASYNC || call == CALL_FSYNC ||
             call == CALL_FTRUNCATE));
}

static void check_reaction(int seed, const struct plan *plan)
{
    enum call call = (enum call)atomic_load(&board->struck);
    int phase = atomic_load(&board->struck_at);
    int error = plan->how == FAIL ? plan->error : ENOSPC;

    if (call == CALL_NONE || phase == CLOSING || goes_on(plan, call)) {
        expect_all_done();
    } else if (phase == OPENING && memory->open_error == 0) {
        expect_all_done(); /* no compaction, say: nobody needs to know */
    } else if (phase == OPENING) {
        CHECK(memory->open_error == -error || memory->open_error == -EIO);
        /* Before the lock is there, nobody knows whose the file is. */
        CHECK(seed != SEED_NEW || call == CALL_OPEN || call == CALL_READ ||
              !exists(""));
    } else if (error == ENOSPC && call == CALL_WRITE) {
        expect_one_refused(phase - FIRST_STEP);
    } else {
        expect_final(phase - FIRST_STEP, call);
    }
}

static void fail_everywhere(enum how how, int error, bool for_ever)
{
    for (int seed = 0; seed < SEEDS; seed++) {
        struct plan plan = {.how = how, .error = error, .for_ever = for_ever};

        for (plan.nth = 1; play(seed, &plan, 0) && !is_enough(seed);
             plan.nth++) {
            if (!for_ever)
                check_reaction(seed, &plan);
            check_end(seed);
        }
        EXPECT(plan.nth > (seed == SEED_NEW ? 25 : 12));
    }
}

static void test_errors(const void *arg)
{
    (void)arg;
    make_board();
    memory = share(sizeof *memory);
    make_seeds();
    fail_everywhere(FAIL, EIO, false);
    fail_everywhere(FAIL, ENOSPC, false);
    fail_everywhere(FAIL, EINTR, false);
    fail_everywhere(SHORT, 0, false);
    fail_everywhere(SHORT_FULL, 0, false);
}

static void test_broken_for_good(const void *arg)
{
    (void)arg;
    make_board();
    memory = share(sizeof *memory);
    make_seeds();
    fail_everywhere(FAIL, EIO, true);
    fail_everywhere(FAIL, ENOSPC, true);
}

/* From some read on, none works: a file that can't be read to its end isn't
 * taken for one that ends there, and nothing of it is cut off. */
static void test_unreadable(const void *arg)
{
    static char bytes[FILE_MAX];
    struct plan plan = {
        .how = FAIL, .error = EIO, .only = CALL_READ, .for_ever = true};
    struct store *st = NULL;
    struct store_survey v;
    int err;

    (void)arg;
    make_board();
    memory = share(sizeof *memory);
    make_seeds();
    lay_out(SEED_DEAD);
    do {
        plan.nth++;
        snprintf(label, sizeof label, "read %u", plan.nth);
        shim_on = true;
        set_plan(plan);
        err = check_file(path, &v);
        CHECK(err == (atomic_load(&board->struck) ? -EIO : 0) && v.faults == 0);
        set_plan(plan);
        err = open_store(&st);
        shim_on = false;
        if (err == 0)
            store_close(st);
        else
            CHECK(err == -EIO && slurp(path, bytes) == seeds[SEED_DEAD].len);
    } while (atomic_load(&board->struck));
    EXPECT(err == 0 && plan.nth > 4);
}

/* Another start has made the file, has failed, and removes it while this one
 * is looking at it: no reason to fail as well. */
static void test_vanished(const void *arg)
{
    struct plan plan = {
        .how = FAIL, .error = ENOENT, .nth = 1, .only = CALL_OPEN};
    struct store_result res;
    struct store *st = NULL;

    (void)arg;
    make_board();
    spill(path, "", 0);
    set_plan(plan); /* the look at its head finds nothing any more */
    shim_on = true;
    REQUIRE_INT(0, open_store(&st));
    shim_on = false;
    EXPECT_INT(CALL_OPEN, atomic_load(&board->struck));
    EXPECT_INT(0, add(st, 1, "kept", &res));
    store_close(st);
}

/* Another file gets the name between the write and its sync. */
static void test_swapped(const void *arg)
{
    struct plan plan = {.how = SWAP, .nth = 1, .only = CALL_WRITE};
    char other[300];
    struct store_result res;

    (void)arg;
    make_board();
    struct store *st = must_open();
    EXPECT_INT(0, add(st, 1, "kept", &res));
    EXPECT_INT(0, store_commit(st, res.seq));
    spill(beside(".other", other), "mine\n", 5);
    set_plan(plan);
    shim_on = true;
    EXPECT_INT(0, add(st, 2, "nobody will find it", &res));
    EXPECT_INT(-EROFS, store_commit(st, res.seq));
    shim_on = false;
    EXPECT_INT(-EROFS, add(st, 3, "nor this", &res));
    EXPECT_STR("the data file was replaced by another one", store_fault(st));
    store_close(st);
    EXPECT_INT(-EBADMSG, open_store(&st)); /* as it is: not ours */
}

/* ---- a server that this process forked, and a client over each way --------- */

#define CLIENTS_MAX 8

struct cluster {
    pid_t server;
    struct client client[CLIENTS_MAX]; /* in the order of tp_all */
};

static void start_cluster(struct cluster *c)
{
    struct tp_server *pipe_ends;

    memset(c, 0, sizeof *c);
    c->server = fork_server(&pipe_ends);
    REQUIRE(c->server > 0);
    for (int i = 0; i < CLIENTS_MAX && tp_all[i]; i++) {
        if (usable(tp_all[i]))
            REQUIRE_INT(0, connect_client(&c->client[i], tp_all[i], pipe_ends));
    }
}

static void end_cluster(struct cluster *c)
{
    for (int i = 0; i < CLIENTS_MAX; i++)
        client_close(&c->client[i]);
    (void)end_process(c->server, SIGTERM);
}

static int add_over(struct client *c, const char *title, uint32_t *id)
{
    struct event ev = make_event(title, MONDAY);

    return client_add(c, client_token(), &ev, id, NULL);
}

/* Every client can read event 1, and none can change anything. */
static void expect_read_only(struct cluster *c)
{
    struct client_event e;

    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *cl = &c->client[i];

        if (!cl->conn)
            continue;
        EXPECT_INT(WIRE_READ_ONLY, add_over(cl, "no", NULL));
        EXPECT(strstr(cl->refusal, "no more changes") != NULL);
        EXPECT_INT(WIRE_READ_ONLY,
                   client_remove(cl, client_token(), 1, 0, NULL));
        EXPECT_INT(0, client_get(cl, 1, &e));
        EXPECT_STR("kept", e.event.title);
    }
}

/* What was acknowledged is there after a restart, and it goes on. */
static void expect_restart(struct cluster *c)
{
    struct client_event e;
    uint32_t id;

    end_cluster(c);
    set_plan((struct plan){.how = PASS});
    start_cluster(c);
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (c->client[i].conn) {
            EXPECT_INT(0, client_get(&c->client[i], 1, &e));
            EXPECT_INT(0, add_over(&c->client[i], "after", &id));
        }
    end_cluster(c);
}

/* ---- live/: the disk fails ------------------------------------------------- */

static const struct plan plan_write_eio = {
    .how = FAIL, .nth = 1, .error = EIO, .only = CALL_WRITE};
static const struct plan plan_sync_eio = {
    .how = FAIL, .nth = 1, .error = EIO, .only = CALL_FDATASYNC};
static const struct plan plan_full = {
    .how = FAIL, .nth = 1, .error = ENOSPC, .only = CALL_WRITE};

/* The first failure is told only once by the kernel; it counts for ever. */
static void test_live_error(const void *arg)
{
    struct cluster c;

    make_board();
    start_cluster(&c);
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (c.client[i].conn)
            EXPECT_INT(0, add_over(&c.client[i], "kept", NULL));
    set_plan(*(const struct plan *)arg);
    expect_read_only(&c);
    EXPECT(atomic_load(&board->struck) == (int)board->plan.only);
    expect_restart(&c);
}

/* A full disk is for the moment: one change is refused, the next one isn't. */
static void test_live_full(const void *arg)
{
    struct cluster c;

    make_board();
    start_cluster(&c);
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (c.client[i].conn) {
            set_plan(*(const struct plan *)arg);
            EXPECT_INT(WIRE_NO_SPACE, add_over(&c.client[i], "no", NULL));
            EXPECT_INT(0, add_over(&c.client[i], "kept", NULL));
        }
    expect_restart(&c);
}

/* ---- live/: somebody meddles with the file ----------------------------------- */

static void replace_file(void)
{
    char other[300];

    spill(beside(".other", other), "mine\n", 5);
    REQUIRE_INT(0, rename(other, path));
}

static void move_file(void)
{
    char other[300];

    REQUIRE_INT(0, rename(path, beside(".other", other)));
}

static void remove_file(void)
{
    REQUIRE_INT(0, unlink(path));
}

static void empty_file(void)
{
    REQUIRE_INT(0, truncate(path, 0));
}

static void cut_file(void)
{
    struct stat st;

    REQUIRE_INT(0, stat(path, &st));
    REQUIRE_INT(0, truncate(path, st.st_size - 1));
}

static void grow_file(void)
{
    FILE *f = fopen(path, "a");

    REQUIRE(f != NULL && fputs("mine\n", f) >= 0 && fclose(f) == 0);
}

/* A copy with the same bytes is another file all the same. */
static void copy_file(void)
{
    static char bytes[FILE_MAX];
    char other[300];
    size_t len = slurp(path, bytes);

    spill(beside(".other", other), bytes, len);
    REQUIRE_INT(0, rename(other, path));
}

static const struct meddler {
    void (*meddle)(void);
    const char *sentence; /* the store's */
    int again;            /* what the next opening says */
} meddlers[] = {
    {replace_file, "the data file was replaced by another one", -EBADMSG},
    {copy_file, "the data file was replaced by another one", 0},
    {move_file, "the data file isn't there any more", 0},
    {remove_file, "the data file isn't there any more", 0},
    {empty_file, "somebody has cut the data file short", 0},
    {cut_file, "somebody has cut the data file short", 0},
    {grow_file, "somebody else has written to the data file", -EBADMSG},
};

/* Each of them is noticed at the next change, and nothing of it is harmed. */
static void test_meddlers(const void *arg)
{
    static char before[FILE_MAX], behind[FILE_MAX];

    (void)arg;
    make_board();
    for (size_t i = 0; i < LEN(meddlers); i++) {
        const struct meddler *m = &meddlers[i];
        struct store_result res;
        size_t len = 0;

        remove_files();
        struct store *st = must_open();
        EXPECT_INT(0, add(st, 1, "kept", &res));
        EXPECT_INT(0, store_commit(st, res.seq));
        m->meddle();
        if (exists(""))
            len = slurp(path, before);
        EXPECT_INT(-EROFS, add(st, 2, "nobody will find it", &res));
        EXPECT_STR(m->sentence, store_fault(st));
        EXPECT_INT(-EROFS, removal(st, 3, 1, &res));
        EXPECT_STR("kept", schedule_get(store_schedule(st), 1)->title);
        store_close(st);
        EXPECT(exists("") == (len > 0 || m->meddle == empty_file));
        if (len > 0) {
            EXPECT_INT((int)len, (int)slurp(path, behind));
            EXPECT_BYTES(before, behind, len);
        }
        EXPECT_INT(m->again, open_store(&st));
        if (m->again == 0)
            store_close(st);
    }
}

/* The same over all transports, of a running server. */
static void test_live_replaced(const void *arg)
{
    struct cluster c;

    (void)arg;
    make_board();
    start_cluster(&c);
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (c.client[i].conn)
            EXPECT_INT(0, add_over(&c.client[i], "kept", NULL));
    copy_file();
    expect_read_only(&c);
    expect_restart(&c);
}

/* ---- disk/ ------------------------------------------------------------------- */

/* A real file system of a few pages. */
static bool mount_small(char dir[256])
{
    snprintf(dir, 256, "%s/small", harness_dir());
    REQUIRE_INT(0, mkdir(dir, 0700));
    if (unshare(CLONE_NEWNS) == 0 &&
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("none", dir, "tmpfs", 0, "size=48k") == 0)
        return true;
    harness_skip("no right to mount a small file system");
    return false;
}

static void fill_disk(const char *name)
{
    static const char page[4096];
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    REQUIRE(fd >= 0);
    while (write(fd, page, sizeof page) == sizeof page)
        ;
    EXPECT_INT(ENOSPC, errno);
    close(fd);
}

static void test_full_disk(const void *arg)
{
    char dir[256], ballast[300];
    struct store_survey v;
    struct store_result res;
    struct store *st = NULL;
    int err, added = 0;

    (void)arg;
    make_board();
    if (!mount_small(dir))
        return;
    snprintf(path, sizeof path, "%.200s/j", dir);
    snprintf(ballast, sizeof ballast, "%s/ballast", dir);
    fill_disk(ballast);
    EXPECT(open_store(&st) == -ENOSPC && !exists("")); /* not even begun */
    REQUIRE_INT(0, truncate(ballast, 8192));
    st = must_open();
    while ((err = add(st, 0, "lesson", &res)) == 0 && added < 1000)
        added += store_commit(st, res.seq) == 0;
    EXPECT_INT(-ENOSPC, err);
    EXPECT(added > 20);
    EXPECT_INT(added, (int)schedule_count(store_schedule(st)));
    EXPECT(check_file(path, &v) == 0 && v.faults == 0); /* cut back */
    REQUIRE_INT(0, unlink(ballast));
    EXPECT_INT(0, add(st, 0, "there is room again", &res));
    EXPECT_INT(0, store_commit(st, res.seq));
    store_close(st);
    st = must_open();
    EXPECT_INT(added + 1, (int)schedule_count(store_schedule(st)));
    store_close(st);
    REQUIRE_INT(0, umount(dir));
}

/* In a process without root's rights, in folder `dir`. */
static void as_nobody(void (*run)(const char *dir), const char *dir)
{
    int status;
    pid_t pid = fork();

    REQUIRE(pid >= 0);
    if (pid == 0) {
        if (geteuid() == 0) {
            REQUIRE_INT(0, setgid(NOBODY));
            REQUIRE_INT(0, setuid(NOBODY));
        }
        run(dir);
        _exit(0);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid);
    EXPECT_INT(0, status);
}

static void make_file_here(const char *dir)
{
    struct store_result res;

    snprintf(path, sizeof path, "%.200s/j", dir);
    struct store *st = must_open();
    EXPECT_INT(0, add(st, 1, "kept", &res));
    add_dead(st); /* the next opening would compact */
    store_close(st);
    REQUIRE_INT(0, chmod(dir, 0500));
}

/* The folder is read-only, the file and its lock aren't: all but compaction. */
static void use_file_here(const char *dir)
{
    struct store_result res;

    snprintf(path, sizeof path, "%.200s/j", dir);
    for (int round = 0; round < 2; round++) {
        struct store *st = must_open();
        EXPECT_INT(0, add(st, 2, "more", &res));
        EXPECT_INT(0, store_commit(st, res.seq));
        EXPECT_INT(2, (int)schedule_count(store_schedule(st)));
        store_close(st);
    }
    EXPECT(!exists(".compacting"));
}

static void refuse_here(const char *dir)
{
    struct store *st;

    snprintf(path, sizeof path, "%.200s/j", dir);
    EXPECT_INT(-EACCES, open_store(&st));
}

static void test_read_only(const void *arg)
{
    char dir[256], file[300];

    (void)arg;
    make_board();
    REQUIRE_INT(0, chmod(harness_dir(), 0755));
    snprintf(dir, sizeof dir, "%s/folder", harness_dir());
    REQUIRE_INT(0, mkdir(dir, 0700));
    if (geteuid() == 0)
        REQUIRE_INT(0, chown(dir, NOBODY, NOBODY));
    REQUIRE_INT(0, chmod(dir, 0500));
    as_nobody(refuse_here, dir);                   /* it can't make a file */
    REQUIRE_INT(0, rmdir(dir) | mkdir(dir, 0700)); /* nothing was left */
    if (geteuid() == 0)
        REQUIRE_INT(0, chown(dir, NOBODY, NOBODY));
    as_nobody(make_file_here, dir);
    as_nobody(use_file_here, dir);
    snprintf(file, sizeof file, "%s/j", dir);
    REQUIRE_INT(0, chmod(file, 0400));
    as_nobody(refuse_here, dir);
    REQUIRE_INT(0, chmod(file, 0600));
    snprintf(file, sizeof file, "%s/j.lock", dir);
    REQUIRE_INT(0, chmod(dir, 0700) | unlink(file) | chmod(dir, 0500));
    as_nobody(refuse_here, dir); /* it can't make the lock */
    REQUIRE_INT(0, chmod(dir, 0700));
}

/* A file system that is mounted read-only: looked at, never opened. */
static void test_read_only_mount(const void *arg)
{
    char dir[256], copy[300];
    struct store_survey v;
    struct store_result res;

    (void)arg;
    make_board();
    if (!mount_small(dir))
        return;
    snprintf(copy, sizeof copy, "%s/copy", harness_dir());
    snprintf(path, sizeof path, "%.200s/j", dir);
    struct store *st = must_open();
    EXPECT_INT(0, add(st, 1, "kept", &res));
    store_close(st);
    REQUIRE_INT(0, mount("none", dir, NULL, MS_REMOUNT | MS_RDONLY, NULL));
    EXPECT_INT(-EROFS, open_store(&st));
    EXPECT(check_file(path, &v) == 0 && v.events == 1 && v.faults == 0);
    struct store_opts opts = {.path = path};
    EXPECT_INT(0, store_repair(&opts, copy, NULL, NULL, &v));
    EXPECT(check_file(copy, &v) == 0 && v.events == 1);
    snprintf(copy, sizeof copy, "%s/other", dir);
    EXPECT_INT(-EROFS, store_repair(&opts, copy, NULL, NULL, &v));
    REQUIRE_INT(0, umount(dir));
}

static const struct test_case cases[] = {
    {.name = "story/killed", .run = test_killed, .seconds = 60},
    {.name = "story/power", .run = test_power, .arg = &lose_cut, .seconds = 60},
    {.name = "story/power-nul",
     .run = test_power,
     .arg = &lose_nul,
     .seconds = 60},
    {.name = "story/errors", .run = test_errors, .seconds = 60},
    {.name = "story/broken-for-good",
     .run = test_broken_for_good,
     .seconds = 60},
    {.name = "story/unreadable", .run = test_unreadable},
    {.name = "story/vanished", .run = test_vanished},
    {.name = "story/swapped", .run = test_swapped},
    {.name = "live/write-error",
     .run = test_live_error,
     .arg = &plan_write_eio},
    {.name = "live/sync-error", .run = test_live_error, .arg = &plan_sync_eio},
    {.name = "live/full", .run = test_live_full, .arg = &plan_full},
    {.name = "live/meddlers", .run = test_meddlers},
    {.name = "live/replaced", .run = test_live_replaced},
    {.name = "disk/full", .run = test_full_disk},
    {.name = "disk/read-only", .run = test_read_only},
    {.name = "disk/read-only-mount", .run = test_read_only_mount},
};

int main(int argc, char **argv)
{
    const struct test_suite suite = {
        .name = "durability", .cases = cases, .count = LEN(cases)};

    return harness_main(argc, argv, &suite);
}
