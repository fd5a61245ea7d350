/*
 * crash_cell.c - see crash_cell.h
 *
 * It needs _GNU_SOURCE for MAP_ANONYMOUS.
 */
#define _GNU_SOURCE
#include "crash_cell.h"
#include "bytes.h"
#include "client.h"
#include "clock.h"
#include "crash_sweep.h"
#include "harness.h"
#include "rundir.h"
#include "server.h"
#include "wait.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE 1024 /* bytes: many cells' queues have to fit side by side */
#define DIE_S   10   /* a process that should end must do so within */

static const struct step *step_of(const struct scene *s)
{
    return s->cell->step;
}

const struct transport *crash_transport(const struct scene *s, enum role r)
{
    return r == STRANGER ? s->other : s->t;
}

static bool is_named(const struct transport *t)
{
    return t->caps & TP_NAMED;
}

/* ---- options and names ---------------------------------------------------- */

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

static char folder[80]; /* of this story */

static void data_path(char path[128], const char *name)
{
    (void)snprintf(path, 128, "%s/data/%.20s", folder, name);
}

/* In the titles of a role's events. */
static const char *const names[ROLES] = {"neighbour", "stranger", MARK};

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
    const struct step *step = step_of(s);
    const char *call = step->calls ? step->calls[s->cell->transport] : NULL;

    if (s->cell->nth == 0)
        stop_arm(step, call, step->dies != step->at);
    else
        stop_count(step->phase);
    if (s->cell->nth && step->phase == OPENING)
        gate_wait(TRACED);
}

/* Starts a server; the first one stops where the step says. */
static void raise_server(struct scene *s, bool first)
{
    const struct step *step = step_of(s);
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

    (void)snprintf(title, sizeof title, "%s %u", names[r], k);
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
    const struct step *step = step_of(s);
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
    _exit(0);
}

/* A pipe's clients come back as new processes. */
static void reborn_process(struct scene *s, enum role r)
{
    struct client none = {0};

    stage->who[r].second = live_again(s, r, &none);
    _exit(0);
}

static void add_client(struct scene *s, enum role r,
                       void (*run)(struct scene *s, enum role r))
{
    s->client[r] = fork();
    REQUIRE(s->client[r] >= 0);
    if (s->client[r] == 0)
        run(s, r);
}

static bool note_marked(const struct event *ev, void *arg)
{
    if (strcmp(ev->title, MARK " 0") == 0)
        *(bool *)arg = true;
    return true;
}

/* Takes the dead asker's place: looks whether its event is there, and asks for
 * it again. A pipe's heir has a channel of its own (the number of the stranger,
 * who needs none), and must take it at once: with it it lets go of the asker's
 * ends, which would hide the asker's death. */
static void heir_process(struct scene *s)
{
    struct witness *w = &stage->who[ASKER];
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
        w->second = add_one(ASKER, &cl);
    if (w->second == 0) /* what was acknowledged: nothing comes of it */
        w->second = ask_for(ASKER, w->acked - 1, &cl);
    gate_open(SERVED);
    gate_wait(LEAVE);
    client_close(&cl);
    _exit(0);
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

/* ---- slots ---------------------------------------------------------------- */

/* How many pipe ends a process has. */
static int pipe_ends(pid_t pid)
{
    char path[64], link[512], target[32] = "";
    struct dirent *e;
    int n = 0;
    DIR *d;

    (void)snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    d = opendir(path);
    if (!d)
        return -1;
    while ((e = readdir(d))) {
        (void)snprintf(link, sizeof link, "%s/%s", path, e->d_name);
        if (readlink(link, target, sizeof target - 1) > 5)
            n += strncmp(target, "pipe:", 5) == 0;
    }
    (void)closedir(d); /* only read */
    return n;
}

/* Opens every slot but the first `taken`, which others hold, and asks once
 * over each; then one more. */
static void fill_slots(struct scene *s, unsigned taken)
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

/* ---- what is there -------------------------------------------------------- */

unsigned crash_objects(bool serving, bool remove)
{
    char name[64], object[RUNDIR_OBJECT_MAX];
    struct tp_opts o = {0};
    int dir = rundir_open(&o, false);
    unsigned n = 0;

    for (int slot = serving ? 0 : -1; slot < TP_CLIENTS_MAX; slot++) {
        (void)snprintf(name, sizeof name,
                       slot < 0 ? "default.mqueue" : "default.mqueue.%d", slot);
        rundir_object(object, dir, name);
        mqd_t q = mq_open(object, O_RDONLY);
        n += q != (mqd_t)-1;
        if (q != (mqd_t)-1)
            (void)mq_close(q); /* only looked at */
        if (remove)
            (void)mq_unlink(object); /* as a rule there is none */
    }
    rundir_object(object, dir, "default.shm");
    int fd = serving ? -1 : shm_open(object, O_RDONLY, 0);
    n += fd >= 0;
    close_fd(&fd);
    if (remove)
        (void)shm_unlink(object); /* likewise */
    close_fd(&dir);
    return n;
}

/* Entries of a folder that aren't in this list, which ends with NULL, and
 * don't begin with a dot. */
static unsigned entries_but(const char *path, const char *const *list)
{
    struct dirent *e;
    unsigned n = 0;
    DIR *d = opendir(path);

    REQUIRE(d != NULL);
    while ((e = readdir(d))) {
        const char *const *known = list;

        while (*known && strcmp(*known, e->d_name) != 0)
            known++;
        n += !*known && e->d_name[0] != '.';
    }
    (void)closedir(d); /* only read */
    return n;
}

/* Names in the runtime folder that aren't those of the server that serves now
 * (if one does), and what else is left. */
static unsigned names_left(const struct scene *s, bool serving)
{
    static const char *const data[] = {"table.jsonl", "table.jsonl.lock", NULL};
    char own[4][40], dir[RUNDIR_PATH_MAX], path[128];
    const char *list[] = {own[0], own[1], own[2], own[3], NULL};

    REQUIRE_INT(0, rundir_path(dir));
    data_path(path, "");
    (void)snprintf(own[0], sizeof own[0], "default.%s", s->t->name);
    (void)snprintf(own[1], sizeof own[1], "default.%s.lock", s->t->name);
    (void)snprintf(own[2], sizeof own[2], "default.%s", s->other->name);
    (void)snprintf(own[3], sizeof own[3], "default.%s.lock", s->other->name);
    return entries_but(dir, serving ? list : list + 4) +
           entries_but(path, data) + crash_objects(serving, false);
}

/* ---- what is in the store -------------------------------------------------- */

struct found {
    struct tally *tally;
    uint8_t seen[ROLES][EVENTS_MAX];
};

static bool find_event(const struct event *ev, void *arg)
{
    struct found *f = arg;
    char name[16] = "";
    unsigned k = 0;
    int r = 0;

    if (sscanf(ev->title, "%15s %u", name, &k) != 2 || k >= EVENTS_MAX)
        r = ROLES;
    while (r < ROLES && strcmp(names[r], name) != 0)
        r++;
    if (r == ROLES || k >= stage->who[r].sent)
        f->tally->unsent++;
    else if (++f->seen[r][k] > 1)
        f->tally->twice++;
    return true;
}

/* Reads the store in `path` as its next start would. */
static struct tally take_stock(const char *path)
{
    struct store_opts so = {.path = path, .sync = true};
    struct tally tally = {0};
    struct found *f = calloc(1, sizeof *f);
    struct store *store = NULL;

    REQUIRE(f != NULL);
    f->tally = &tally;
    tally.opened = store_open(&store, &so);
    if (tally.opened == 0)
        schedule_walk(store_schedule(store), EVENT_TIME_MIN, EVENT_TIME_MAX,
                      NULL, find_event, f);
    store_close(store);
    for (int r = 0; r < ROLES; r++)
        for (unsigned k = 0; k < stage->who[r].acked; k++)
            tally.lost += !f->seen[r][k];
    tally.marked = f->seen[ASKER][0];
    free(f);
    return tally;
}

/* The same for a copy of the journal's first `size` bytes (< 0: all). */
static struct tally take_stock_of_copy(long long size)
{
    char from[128], to[128], lock[128];
    struct tally tally;
    FILE *in, *out;
    int c = 0;

    data_path(from, "table.jsonl");
    data_path(to, "copy.jsonl");
    data_path(lock, "copy.jsonl.lock");
    in = fopen(from, "r");
    out = fopen(to, "w");
    REQUIRE(in && out);
    for (long long i = 0; i != size && (c = getc(in)) != EOF; i++)
        REQUIRE(putc(c, out) == c);
    (void)fclose(in); /* only read */
    REQUIRE(fclose(out) == 0);
    tally = take_stock(to);
    EXPECT_INT(0, unlink(to));
    EXPECT_INT(0, unlink(lock));
    return tally;
}

/* ---- the two stories ------------------------------------------------------- */

/* Everybody who is there from the beginning; then the director lets go of the
 * pipe's ends. */
static void begin(struct scene *s)
{
    raise_server(s, true);
    for (int r = 0; r < ROLES; r++)
        add_client(s, (enum role)r, client_process);
    if (step_of(s)->dies == CLIENT) {
        s->heir = fork();
        REQUIRE(s->heir >= 0);
        if (s->heir == 0)
            heir_process(s);
    }
    tp_srv_drop(s->pipe);
    s->pipe = NULL;
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
    if (step_of(s)->phase == OPENING)
        gate_open(TRACED);
    if (step_of(s)->phase == CLOSING)
        (void)kill(pid, SIGTERM); /* it is stopped, and ours */
    s->outlived = !sweep_kill(pid, s->cell->nth, &s->died);
}

static void kill_asker(struct scene *s)
{
    if (step_of(s)->at == SERVER) {
        gate_wait(HERE);
        atomic_store(&stage->died, clock_now_ns());
        (void)kill(s->client[ASKER], SIGKILL); /* reap() tells */
    }
    if (s->cell->nth)
        sweep(s, s->client[ASKER]);
    else
        s->died = reap(s->client[ASKER]);
    s->client[ASKER] = 0;
    if (step_of(s)->at == SERVER)
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

/* Brings the server to its end: most do it themselves, at their stop point. */
static void kill_server(struct scene *s)
{
    const struct step *step = step_of(s);

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
    raise_server(s, false);
    gate_wait(UP);
    (void)kill(s->server, SIGKILL); /* reap() tells */
    (void)reap(s->server);
    tp_srv_drop(s->pipe);
    s->pipe = NULL;
}

static void server_dies(struct scene *s)
{
    if (step_never_serves(step_of(s)))
        leave_names(s);
    begin(s);
    kill_server(s);
    s->killed = take_stock_of_copy(-1);
    s->power = take_stock_of_copy(atomic_load(&stage->synced));
    s->cell->result->kept = s->killed.marked;

    raise_server(s, false);
    if (!is_named(s->t)) {
        s->innocent |= reap(s->client[NEIGHBOUR]) | reap(s->client[ASKER]);
        add_client(s, NEIGHBOUR, reborn_process);
        add_client(s, ASKER, reborn_process);
        tp_srv_drop(s->pipe);
        s->pipe = NULL;
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
    bool client = step_of(s)->dies == CLIENT;
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

static void make_folder(const char *name)
{
    char path[100];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    REQUIRE(mkdir(path, 0700) == 0 || errno == EEXIST);
    if (strcmp(name, "run") == 0)
        REQUIRE_INT(0, setenv("XDG_RUNTIME_DIR", path, 1));
}

/* Folders for names and data. That of the names stays the same one, whoever
 * closes last: the names of queues and segments depend on it. */
static void make_folders(const char *home)
{
    char dir[RUNDIR_PATH_MAX], path[RUNDIR_PATH_MAX + 8];
    struct tp_opts o = {0};
    int fd;

    (void)snprintf(folder, sizeof folder, "%s", home);
    make_folder("");
    make_folder("run");
    make_folder("data");
    fd = rundir_open(&o, true);
    close_fd(&fd);
    REQUIRE_INT(0, rundir_path(dir));
    (void)snprintf(path, sizeof path, "%s/.keep", dir);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    REQUIRE(fd >= 0);
    close_fd(&fd);
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
    char path[128];

    make_folders(home);
    make_stage();
    if (cell->step->dies == CLIENT)
        client_dies(&s);
    else
        server_dies(&s);
    data_path(path, "table.jsonl");
    s.end = take_stock(path);
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
    const char *not = step_why_not(cell->step, cell->transport);
    char why[200];

    if (not )
        harness_skip("%s", not );
    else if (tp_probe(t, why, sizeof why) < 0 ||
             tp_probe(other_than(t), why, sizeof why) < 0)
        harness_skip("%s", why);
    else
        (void)crash_play(cell, harness_dir());
}
