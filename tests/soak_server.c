/*
 * soak_server.c - the server of the soak test, and its data file
 *
 * The server is the one of `ipclab serve`, with a pipe beside the transports
 * that have names, and fewer slots. What it allocates is counted: the program
 * is linked with -Wl,--wrap for malloc, calloc, realloc and free, so a piece
 * that is lost shows to the byte, long before the process has grown by a page.
 *
 * It needs _GNU_SOURCE for malloc_usable_size.
 */
#define _GNU_SOURCE
#include "soak.h"

#include "guard.h"
#include "journal.h"
#include "server.h"
#include "store_check.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETS   8
#define MODEST 1024 /* bytes a message */
#define SMALL  1024 /* more is a buffer for messages, or a table that doubles */

/*
 * Compaction keeps 65,536 tokens of changes that are past, and each takes
 * memory. And each event that ever was has a place in the table of ids, which
 * doubles. A young server grows until both are reached; that isn't what we
 * want to see. So we begin where it has: a table of 2^20 places comes with the
 * first event, and lasts for half a million more.
 */
#define OLD_TOKENS 66000
#define OLD_IDS    (1u << 19)

char soak_data[64];

/* ---- what malloc gave ---------------------------------------------------- */

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
void *__wrap_realloc(void *old, size_t n);
void __real_free(void *p);
void __wrap_free(void *p);

static struct heap *heap; /* NULL in every process but the server */

static void count_piece(void *p, int sign)
{
    long long n =
        p != NULL && heap != NULL ? (long long)malloc_usable_size(p) : 0;

    if (n >= SMALL)
        atomic_fetch_add(&heap->large, sign);
    else if (n > 0)
        atomic_fetch_add(&heap->small, sign * n);
}

void *__wrap_malloc(size_t n)
{
    void *p = __real_malloc(n);

    count_piece(p, 1);
    return p;
}

void *__wrap_calloc(size_t n, size_t size)
{
    void *p = __real_calloc(n, size);

    count_piece(p, 1);
    return p;
}

/* Where it fails, the old piece is still there. */
void *__wrap_realloc(void *old, size_t n)
{
    void *p;

    count_piece(old, -1);
    p = __real_realloc(old, n);
    count_piece(p != NULL ? p : old, 1);
    return p;
}

void __wrap_free(void *p)
{
    count_piece(p, -1);
    __real_free(p);
}

/* ---- the data file ------------------------------------------------------- */

static int no_line(const struct journal_record *rec, void *arg)
{
    (void)rec;
    (void)arg;
    return -EBADMSG; /* a new file has none */
}

void soak_make_data(void)
{
    struct journal_opts opts = {.path = soak_data};
    struct journal_record rec = {.op = JOURNAL_DONE, .was = JOURNAL_REMOVE};
    struct journal *j;
    uint32_t next_id;
    size_t torn;

    if (journal_open(&j, &opts, no_line, NULL, &next_id, &torn) != 0 ||
        journal_compact_begin(j, OLD_IDS) != 0)
        soak_give_up("cannot make the data file");
    for (uint64_t i = 1; i <= OLD_TOKENS; i++) {
        rec.token = UINT64_C(1) << 63 | i; /* no client has it */
        rec.seq = rec.event.rev = i;
        rec.event.id = (uint32_t)i;
        journal_compact_put(j, &rec);
    }
    if (journal_compact_finish(j) != 0)
        soak_give_up("cannot write the data file");
    journal_close(j);
}

static void tell(const struct store_damage *d, void *arg)
{
    (void)arg;
    soak_check(false, KEPT, "line %zu of the data file: %s", d->line, d->what);
}

void soak_check_data(unsigned events)
{
    char why[200] = "";
    struct store_opts opts = {
        .path = soak_data, .why = why, .why_cap = sizeof why};
    struct store_survey v = {0};
    int err = store_check(&opts, tell, NULL, &v);

    soak_check(err == 0 && v.faults == 0, KEPT,
               "the data file at the end: result %d, %zu faults %s", err,
               v.faults, why);
    soak_check(v.events == events, KEPT,
               "the data file has %zu events at the end, and %u are known",
               v.events, events);
}

/* ---- a server ------------------------------------------------------------ */

static atomic_bool stop;

static void on_term(int signal_number)
{
    (void)signal_number;
    atomic_store(&stop, true); /* lock-free: allowed in a handler */
}

static void handle_signals(pid_t parent)
{
    struct sigaction term = {.sa_handler = on_term};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGTERM, &term, NULL);  /* these can't fail */
    (void)sigaction(SIGINT, &ignore, NULL); /* Ctrl-C is our parent's matter */
    (void)sigaction(SIGHUP, &ignore, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        atomic_store(&stop, true); /* it died before that */
    guard_install();
}

/* Message queues count against a limit that everything shares which this user
 * runs. Left to itself, their chapter takes all of it. */
static size_t wanted(const struct transport *t)
{
    return t->usual_msg == 0 ? MODEST : 0;
}

static int open_one(struct server_opts *so, struct tp_server **set,
                    const struct transport *t)
{
    char why[200] = "";
    struct tp_opts o = {.clients = SLOTS,
                        .max_msg = wanted(t),
                        .why = why,
                        .why_cap = sizeof why};
    int err = 0;

    if ((t->caps & TP_NAMED) && tp_probe(t, why, sizeof why) == 0) {
        err = tp_srv_open(t, &set[so->count], &o);
        so->count += err == 0;
    }
    if (err < 0)
        (void)fprintf(stderr, "soak: cannot serve over %s: %s %s\n", t->name,
                      strerror(-err), why);
    return err;
}

static int open_set(struct server_opts *so, struct tp_server **set)
{
    int err = 0;

    for (int i = 0; tp_all[i] != NULL && so->count < SETS && err == 0; i++)
        err = open_one(so, set, tp_all[i]);
    return err;
}

static int open_store(struct store **st, bool sync)
{
    char why[200] = "";
    struct store_opts opts = {.path = soak_data,
                              .sync = sync,
                              .wait_ms = 1000,
                              .why = why,
                              .why_cap = sizeof why};
    int err = store_open(st, &opts);

    if (err < 0) /* a torn last line is no fault here: kill -9 leaves it */
        (void)fprintf(stderr, "soak: cannot open the data file: %s %s\n",
                      strerror(-err), why);
    return err;
}

/* 0; 1 when it couldn't start, 2 when it has failed. */
static int serve(struct tp_server *pipe_ends, bool sync, int ready)
{
    struct tp_server *set[SETS] = {pipe_ends};
    struct server_opts so = {.set = set, .count = 1, .stop = &stop};
    struct store *st = NULL;
    int err = open_store(&st, sync);

    if (err == 0)
        err = open_set(&so, set);
    so.store = st;
    if (err == 0 && write(ready, "+", 1) == 1) {
        (void)close(ready); /* it was written to */
        err = server_run(&so) == 0 && store_fault(st) == NULL ? 0 : 2;
    } else {
        err = 1;
    }
    while (so.count > 0)
        tp_srv_close(set[--so.count]);
    store_close(st);
    return err;
}

pid_t soak_serve(struct tp_server **pipe_ends, bool sync)
{
    struct tp_opts o = {.clients = PIPE_SEATS};
    pid_t parent = getpid(), pid;
    int ready[2];
    char byte;
    ssize_t n;

    if (tp_srv_open(tp_find("pipe"), pipe_ends, &o) != 0 || pipe(ready) != 0)
        soak_give_up("cannot make pipes");
    pid = fork();
    if (pid < 0)
        soak_give_up("cannot fork a server");
    if (pid == 0) {
        (void)close(ready[0]);
        handle_signals(parent);
        atomic_store(&desk->heap.small, 0);
        atomic_store(&desk->heap.large, 0);
        heap = &desk->heap;
        _exit(serve(*pipe_ends, sync, ready[1]));
    }
    (void)close(ready[1]);
    while ((n = read(ready[0], &byte, 1)) < 0 && errno == EINTR)
        continue;
    (void)close(ready[0]);
    if (n != 1) {
        (void)waitpid(pid, NULL, 0); /* it has ended, or is about to */
        return 0;
    }
    return pid;
}
