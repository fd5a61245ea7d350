/*
 * crash_cell.c - the director: who comes, who dies, who comes back
 *
 * The two stories of crash_cell.h stand here as they are told there, each in a
 * function of its own: client_dies() and server_dies(). Gates (crash_stop.h)
 * keep the processes in step; a child's end is waited for, never guessed.
 *
 * It needs _GNU_SOURCE for MAP_ANONYMOUS.
 */
#define _GNU_SOURCE
#include "crash_cell.h"
#include "clock.h"
#include "crash_roles.h"
#include "crash_sweep.h"
#include "crash_traces.h"
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define DIE_S 10 /* a process that should end must do so within */

const struct transport *crash_transport(const struct scene *s, enum role r)
{
    return r == STRANGER ? s->other : s->t;
}

/* ---- waiting for ends ----------------------------------------------------- */

/* The wait status of a child that has to end. SIGCHLD is blocked: it waits for
 * us, whenever it came. */
static int reap(pid_t pid)
{
    struct timespec most = {.tv_sec = DIE_S};
    sigset_t set;
    int status = -1;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    while (waitpid(pid, &status, WNOHANG) == 0)
        if (sigtimedwait(&set, NULL, &most) < 0 && errno == EAGAIN) {
            harness_check(false, false, __FILE__, __LINE__,
                          "a process didn't end within %d s", DIE_S);
            (void)kill(pid, SIGKILL); /* ours, and not reaped yet */
        }
    return status;
}

static void join_clients(struct scene *s)
{
    for (int r = 0; r < ROLES; r++)
        if (s->client[r] > 0)
            s->innocent |= reap(s->client[r]);
    (void)memset(s->client, 0, sizeof s->client);
}

static void end_server(struct scene *s)
{
    (void)kill(s->server, SIGTERM); /* if it is gone, reap() tells */
    s->ended = reap(s->server);
}

static void let_all(enum gate g, unsigned n)
{
    while (n--)
        gate_open(g);
}

static void await_all(enum gate g, unsigned n)
{
    while (n--)
        gate_wait(g);
}

/* ---- what both stories have ------------------------------------------------- */

/* The director lets go of a pipe's ends: they would hide deaths. */
static void drop_pipe(struct scene *s)
{
    tp_srv_drop(s->pipe);
    s->pipe = NULL;
}

/* Everybody who is there from the beginning. */
static void begin(struct scene *s)
{
    start_server(s, true);
    for (int r = 0; r < ROLES; r++)
        start_client(s, (enum role)r);
    if (s->cell->step->dies == CLIENT)
        start_heir(s);
    drop_pipe(s);
}

/* The innocent are at work, and the asker may ask. */
static void let_ask(struct scene *s)
{
    gate_wait(UP);
    let_all(GO, 2);
    await_all(READY, 2);
    s->ends = pipe_ends(s->server);
    gate_open(ASK);
}

/* A sweep watches this process, and kills it at its nth system call. */
static void sweep(struct scene *s, pid_t pid)
{
    sweep_watch(pid);
    if (s->cell->step->phase == OPENING)
        gate_open(TRACED);
    if (s->cell->step->phase == CLOSING)
        (void)kill(pid, SIGTERM); /* it is stopped, and ours */
    s->outlived = !sweep_kill(pid, s->cell->nth, &s->died);
}

/* ---- a client dies ---------------------------------------------------------- */

static void kill_asker(struct scene *s)
{
    if (s->cell->step->at == SERVER) {
        gate_wait(HERE);
        atomic_store(&stage->died, clock_now_ns());
        (void)kill(s->client[ASKER], SIGKILL); /* reap() tells */
    }
    if (s->cell->nth)
        sweep(s, s->client[ASKER]);
    else
        s->died = reap(s->client[ASKER]);
    s->client[ASKER] = 0;
    if (s->cell->step->at == SERVER)
        gate_open(GO_ON);
}

static void client_dies(struct scene *s)
{
    begin(s);
    let_ask(s);
    kill_asker(s);
    await_all(WENT_ON, 2);
    gate_open(TAKE);
    gate_wait(SERVED);
    s->took = stage->who[ASKER].answered;
    s->left = atomic_load(&stage->left);
    s->ends -= pipe_ends(s->server);
    if (is_named(s->t))
        fill_slots(s, 2); /* the neighbour and the heir have one each */
    atomic_store(&stage->stop, true);
    gate_open(LEAVE);
    join_clients(s);
    s->innocent |= reap(s->heir);
    end_server(s);
}

/* ---- a server dies ---------------------------------------------------------- */

/* Brings the server to its end: most do it themselves, at their stop point. */
static void kill_server(struct scene *s)
{
    const struct step *step = s->cell->step;

    if (!step_never_serves(step)) {
        let_ask(s);
        if (step->request == ANSWERED)
            gate_wait(ASKED);
        if (step->phase == CLOSING && s->cell->nth == 0)
            (void)kill(s->server, SIGTERM); /* reap() tells */
        atomic_store(&stage->idle, true);
    }
    if (s->cell->nth)
        sweep(s, s->server);
    else
        s->died = reap(s->server);
    if (step_never_serves(step)) {
        let_all(GO, 2);
        gate_open(ASK);
    }
    let_all(REAPED, ROLES);
    await_all(SAW, ROLES);
}

/* A server was killed here before: the next one finds its names. */
static void leave_names(struct scene *s)
{
    start_server(s, false);
    gate_wait(UP);
    (void)kill(s->server, SIGKILL); /* reap() tells */
    (void)reap(s->server);
    drop_pipe(s);
}

static void server_dies(struct scene *s)
{
    if (step_never_serves(s->cell->step))
        leave_names(s);
    begin(s);
    kill_server(s);
    s->killed = take_stock_of_copy(-1);
    s->power = take_stock_of_copy(atomic_load(&stage->synced));
    s->cell->result->kept = s->killed.marked;

    start_server(s, false);
    if (!is_named(s->t)) {
        s->innocent |= reap(s->client[NEIGHBOUR]) | reap(s->client[ASKER]);
        start_again(s, NEIGHBOUR);
        start_again(s, ASKER);
        drop_pipe(s);
    }
    gate_wait(UP);
    s->old_names = names_left(s, true);
    let_all(AGAIN, ROLES);
    join_clients(s);
    if (is_named(s->t))
        fill_slots(s, 0);
    end_server(s);
}

/* ---- one cell --------------------------------------------------------------- */

static double ms(long long ns)
{
    return (double)ns / 1e6;
}

static void note_times(const struct scene *s)
{
    struct result *result = s->cell->result;
    bool client = s->cell->step->dies == CLIENT;
    long long others = 0, back = client ? s->took : 0;

    for (int r = 0; r < ROLES; r++) {
        const struct witness *w = &stage->who[r];
        long long wait = client ? w->slowest : w->noticed;

        /* The stranger is told by its own transport, not by the tested one. */
        if (wait > others && r != (client ? ASKER : STRANGER))
            others = wait;
        if (!client && w->answered > back)
            back = w->answered;
    }
    result->others_ms = ms(others);
    result->back_ms = ms(back);
    result->ran = true;
}

static void make_stage(void)
{
    sigset_t set;

    stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(stage != MAP_FAILED);
    for (int g = 0; g < GATES; g++)
        REQUIRE_INT(0, sem_init(&stage->gate[g], 1, 0));
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, NULL); /* see reap() */
}

/* No call of the one is among the calls of the other. */
static const struct transport *other_than(const struct transport *t)
{
    return tp_find(strcmp(t->name, "shm") == 0 ? "socket" : "shm");
}

bool crash_play(const struct cell *cell, const char *home)
{
    const struct transport *t = tp_all[cell->transport];
    struct scene s = {.cell = cell, .t = t, .other = other_than(t)};

    make_folders(home);
    make_stage();
    if (cell->step->dies == CLIENT)
        client_dies(&s);
    else
        server_dies(&s);
    s.end = take_stock("table.jsonl");
    s.left_names = names_left(&s, false);
    (void)crash_objects(false, true); /* what is left has been counted */
    note_times(&s);
    crash_check(&s);
    return !s.outlived;
}

void crash_cell(const void *arg)
{
    const struct cell *cell = arg;
    const struct transport *t = tp_all[cell->transport];
    const char *no_step = step_why_not(cell->step, cell->transport);
    char why[200];

    if (no_step)
        harness_skip("%s", no_step);
    else if (tp_probe(t, why, sizeof why) < 0 ||
             tp_probe(other_than(t), why, sizeof why) < 0)
        harness_skip("%s", why);
    else
        (void)crash_play(cell, harness_dir());
}
