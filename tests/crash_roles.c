/*
 * crash_roles.c - see crash_roles.h
 */
#include "crash_roles.h"
#include "bytes.h"
#include "client.h"
#include "clock.h"
#include "crash_traces.h"
#include "harness.h"
#include "server.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE 1024 /* bytes: many cells' queues have to fit side by side */

const char *const role_titles[ROLES] = {"neighbour", "stranger", MARK};

/* ---- opening ---------------------------------------------------------------- */

/* Of a server, or of a client (whose channel is `index` where there is no
 * name). Only the tested transport waits in its special way. */
static struct tp_opts options(const struct scene *s, const struct transport *t,
                              unsigned index)
{
    return (struct tp_opts){.clients = SLOTS,
                            .max_msg = MESSAGE,
                            .open_ms = CALL_MS,
                            .wait = t == s->t ? s->cell->wait : TP_BLOCK,
                            .index = index,
                            .inherited = t == s->t ? s->pipe : NULL};
}

/* This process lets go of a pipe's ends in any case: those of others hide
 * deaths. */
static int open_client(struct scene *s, struct client *cl,
                       const struct transport *t, unsigned index)
{
    struct tp_opts o = options(s, t, index);

    if (t != s->t)
        tp_srv_drop(s->pipe);
    s->pipe = NULL; /* else tp_cli_open drops it, whatever it gives */
    return client_open(cl, t, &o, CALL_MS);
}

/* ---- the server ----------------------------------------------------------- */

static atomic_bool stopped;

static void on_term(int sig)
{
    (void)sig;
    atomic_store(&stopped, true);
}

/* As `ipclab serve`: the store first, then the transports. A pipe is inherited
 * open. */
static void server_process(struct scene *s)
{
    struct sigaction term = {.sa_handler = on_term};
    struct store *store = NULL;
    char path[128];
    struct store_opts so = {.path = path, .sync = true};
    struct tp_server *set[2] = {s->pipe, NULL};
    struct tp_opts mine = options(s, s->t, 0), others = options(s, s->other, 0);

    (void)sigaction(SIGTERM, &term, NULL);
    data_path(path, "table.jsonl");
    stop_watch(s->t);
    REQUIRE_INT(0, store_open(&store, &so));
    stop_phase(OPENING);
    if (!s->pipe)
        REQUIRE_INT(0, tp_srv_open(s->t, &set[0], &mine));
    REQUIRE_INT(0, tp_srv_open(s->other, &set[1], &others));
    gate_open(UP);
    EXPECT_INT(0,
               server_run(&(struct server_opts){
                   .set = set, .count = 2, .store = store, .stop = &stopped}));
    stop_phase(CLOSING);
    tp_srv_close(set[0]);
    tp_srv_close(set[1]);
    store_close(store);
    _exit(0);
}

/* This process stops where the step says. In a sweep it is watched from
 * outside instead. */
static void arm(const struct scene *s)
{
    const struct step *step = s->cell->step;
    const char *call = step->calls ? step->calls[s->cell->transport] : NULL;

    if (s->cell->nth == 0)
        stop_arm(step, call, step->dies != step->at);
    else
        stop_count(step->phase);
    if (s->cell->nth && step->phase == OPENING)
        gate_wait(TRACED);
}

void start_server(struct scene *s, bool first)
{
    const struct step *step = s->cell->step;
    struct tp_opts o = options(s, s->t, 0);

    if (!is_named(s->t))
        REQUIRE_INT(0, tp_srv_open(s->t, &s->pipe, &o));
    while (sem_trywait(&stage->gate[UP]) == 0)
        ; /* what a server said that is dead now */
    atomic_store(&stage->raised, clock_now_ns());
    s->server = fork();
    REQUIRE(s->server >= 0);
    if (s->server > 0)
        return;
    if (first && step->at == SERVER)
        arm(s);
    server_process(s);
}

/* ---- the clients ---------------------------------------------------------- */

/* Ask for event k of a role: each time the same event with the same token. */
static int ask_for(enum role r, unsigned k, struct client *cl)
{
    uint64_t token = (uint64_t)(r + 1) << 32 | k;
    char title[32];
    struct event ev = {.title = title, .start = k, .end = k + 1};

    (void)snprintf(title, sizeof title, "%s %u", role_titles[r], k);
    return client_add(cl, token, &ev, NULL, NULL);
}

/* One event more; or the last one again, if it wasn't acknowledged. */
static int add_one(enum role r, struct client *cl)
{
    struct witness *w = &stage->who[r];
    long long begin, end, died;
    int err;

    if (r == ASKER && w->acked == 0) /* the next tag is the MARK */
        cl->tag = get64((const uint8_t *)MARK) - 1;
    w->sent = w->acked + 1;
    begin = clock_now_ns();
    err = ask_for(r, w->acked, cl);
    end = clock_now_ns();
    died = atomic_load(&stage->died);
    if (err == 0)
        w->acked++;
    else if (w->error == 0)
        w->noticed = end - (begin > died ? begin : died);
    if (err == 0 && died && end > died && end - begin > w->slowest)
        w->slowest = end - begin;
    return err;
}

/* The innocent ones never stop to ask. (1 ms: users, not a load.) */
static int work(enum role r, struct client *cl)
{
    unsigned since = 0;
    int err = 0;

    while (!atomic_load(&stage->stop) && stage->who[r].acked < EVENTS_MAX) {
        bool after = atomic_load(&stage->died) != 0;

        err = add_one(r, cl);
        if (err)
            break;
        if (stage->who[r].acked == 1)
            gate_open(r == ASKER ? ASKED : READY);
        if (after && ++since == 3)
            gate_open(WENT_ON);
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return err;
}

/* Nobody answers any more: what do this connection and a new one say? */
static void bury(struct scene *s, enum role r, struct client *cl)
{
    struct witness *w = &stage->who[r];
    struct client new = {0};

    gate_wait(REAPED);
    if (w->opened == 0)
        w->again = add_one(r, cl);
    if (is_named(crash_transport(s, r))) {
        w->reopened = open_client(s, &new, crash_transport(s, r), r);
        client_close(&new);
    }
    gate_open(SAW);
}

/* Back at the next server: ask again, and go on. The old connection is let go
 * of when the new one hasn't been heard yet: that must not harm it. */
static int live_again(struct scene *s, enum role r, struct client *old)
{
    struct client cl = {0};
    int err = open_client(s, &cl, crash_transport(s, r), r);

    client_close(old);
    for (int i = 0; i < 3 && err == 0; i++) {
        err = add_one(r, &cl);
        if (i == 0)
            stage->who[r].answered =
                clock_now_ns() - atomic_load(&stage->raised);
    }
    if (err == 0) /* what was acknowledged, once more: nothing comes of it */
        err = ask_for(r, stage->who[r].acked - 1, &cl);
    client_close(&cl);
    return err;
}

/* Neighbour, stranger and asker. */
static void client_process(struct scene *s, enum role r)
{
    const struct step *step = s->cell->step;
    struct witness *w = &stage->who[r];
    struct client cl = {0};

    gate_wait(r == ASKER ? ASK : GO);
    if (r == ASKER && step->at == CLIENT)
        arm(s);
    stop_phase(OPENING);
    w->noticed = -clock_now_ns();
    w->opened = open_client(s, &cl, crash_transport(s, r), r);
    w->noticed += clock_now_ns();
    stop_phase(WORKING);
    w->error = w->opened;
    if (w->opened == 0 && r == ASKER && step->dies == CLIENT)
        w->error = add_one(r, &cl); /* its only one */
    else if (w->opened == 0)
        w->error = work(r, &cl);
    stop_phase(CLOSING);
    if (step->dies == SERVER) {
        bury(s, r, &cl);
        if (is_named(crash_transport(s, r))) {
            gate_wait(AGAIN);
            w->second = live_again(s, r, &cl);
        }
    }
    client_close(&cl);
}

static void reborn_process(struct scene *s, enum role r)
{
    struct client none = {0};

    stage->who[r].second = live_again(s, r, &none);
}

static bool note_marked(const struct event *ev, void *arg)
{
    if (strcmp(ev->title, MARK " 0") == 0)
        *(bool *)arg = true;
    return true;
}

/* Looks whether the dead asker's event is there, and asks for it again. A
 * pipe's heir has a channel of its own (the number of the stranger, who needs
 * none), and must take it at once: with it it lets go of the asker's ends,
 * which would hide the asker's death. */
static void heir_process(struct scene *s, enum role r)
{
    struct witness *w = &stage->who[r];
    struct client cl = {0};
    long long begin;

    if (!is_named(s->t))
        w->second = open_client(s, &cl, s->t, STRANGER);
    gate_wait(TAKE);
    begin = clock_now_ns();
    if (is_named(s->t))
        w->second = open_client(s, &cl, s->t, 0);
    if (w->second == 0)
        w->second = client_list(&cl, EVENT_TIME_MIN, EVENT_TIME_MAX,
                                note_marked, &s->cell->result->kept);
    w->answered = clock_now_ns() - begin;
    for (int i = 0; i < 2 && w->second == 0; i++)
        w->second = add_one(r, &cl);
    if (w->second == 0) /* what was acknowledged: nothing comes of it */
        w->second = ask_for(r, w->acked - 1, &cl);
    gate_open(SERVED);
    gate_wait(LEAVE);
    client_close(&cl);
}

static pid_t start(struct scene *s, enum role r,
                   void (*run)(struct scene *s, enum role r))
{
    pid_t pid = fork();

    REQUIRE(pid >= 0);
    if (pid > 0)
        return pid;
    run(s, r);
    _exit(0);
}

void start_client(struct scene *s, enum role r)
{
    s->client[r] = start(s, r, client_process);
}

void start_again(struct scene *s, enum role r)
{
    s->client[r] = start(s, r, reborn_process);
}

void start_heir(struct scene *s)
{
    s->heir = start(s, ASKER, heir_process);
}

/* ---- a client in every slot -------------------------------------------------- */

void fill_slots(struct scene *s, unsigned taken)
{
    struct client cl[SLOTS + 1] = {0};

    for (unsigned i = taken; i < SLOTS && s->filled == 0; i++) {
        long long begin = clock_now_ns();

        s->filled = open_client(s, &cl[i], s->t, 0);
        if (s->filled == 0)
            s->filled = client_ping(&cl[i]);
        if (clock_now_ns() - begin > s->took)
            s->took = clock_now_ns() - begin;
    }
    s->one_more = open_client(s, &cl[SLOTS], s->t, 0);
    s->left = atomic_load(&stage->left);
    for (unsigned i = 0; i <= SLOTS; i++)
        client_close(&cl[i]);
}
