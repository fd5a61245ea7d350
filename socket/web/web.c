/*
 * web.c - `ipclab web`: a server if there is none, and the gateway before it
 *
 *      ipclab web ---- forks --> the server (all five transports, one store)
 *          |                          ^  ^  ^  ^  ^
 *          '-- threads: gateway ------'--'--'--'--'   one way over each
 *
 * The pipe is made, and the server forked, before any thread: a child of a
 * process with threads could be born with somebody else's lock held. Beside a
 * server that runs already there is no pipe to it: it wasn't forked by us.
 *
 * This file and the others here become gateway.so, which `ipclab` loads when
 * it is asked for: so nobody needs the HTTP library for anything else.
 */
#include "web.h"

#include "gateway.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALL_MS 2000 /* a page waits no longer, whatever --timeout says */
#define END_S   1    /* SIGTERM is obeyed within */

struct web {
    const struct cli *cli;
    struct api api;
    struct shelf shelf;
    struct door door;
    struct gateway *gateway;
    pid_t server;          /* that we forked; 0 = none */
    char lab[CMD_LAB_MAX]; /* cmd_lab */
};

/* ---- ways to the store -------------------------------------------------- */

static bool is_named(const struct transport *t)
{
    return t->caps & TP_NAMED;
}

/* Backwards: the last in the table is the socket, which tells at once when its
 * server has gone; the watch asks the first one that works. */
static void make_ways(struct web *w)
{
    const struct cli *cli = w->cli;
    size_t n = 0;

    while (tp_all[n])
        n++;
    while (n > 0 && w->api.count < WAYS_MAX)
        way_init(&w->api.ways[w->api.count++], tp_all[--n], cli->instance,
                 cli->wait,
                 cli->timeout_ms < CALL_MS ? cli->timeout_ms : CALL_MS);
}

/* Is there a server? Then a way to it is open, over *t. 0, -ENOENT, or what's
 * wrong. */
static int join(struct web *w, const struct transport **t)
{
    int err = -ENOENT;

    for (size_t i = 0; i < w->api.count && err == -ENOENT; i++) {
        *t = w->api.ways[i].t;
        if (is_named(*t))
            err = way_open(&w->api.ways[i], NULL);
    }
    return err;
}

static struct way *unnamed_way(struct web *w)
{
    for (size_t i = 0; i < w->api.count; i++)
        if (!is_named(w->api.ways[i].t))
            return &w->api.ways[i];
    return NULL;
}

static int fork_server(struct web *w)
{
    char why[CMD_WHY_MAX] = "";
    struct tp_opts opts = {
        .clients = 1, .wait = w->cli->wait, .why = why, .why_cap = sizeof why};
    struct way *way = unnamed_way(w);
    struct tp_server *ends;
    int code, err;

    if (!way)
        return cmd_error(CMD_USAGE, "no transport that is inherited");
    err = tp_srv_open(way->t, &ends, &opts);
    if (err < 0)
        return cmd_fail(err, why, "cannot make a %s", way->t->name);
    w->server = serve_fork(w->cli, ends, SERVE_NAMED, &code);
    if (w->server == 0) {
        tp_srv_drop(ends);
        return code;
    }
    (void)way_open(way, ends); /* if not, the page shows why */
    return 0;
}

static int reach_store(struct web *w)
{
    static const char why[] = "the server was there before this gateway, and a "
                              "pipe comes only by fork";
    const struct transport *t = NULL;
    struct way *way;
    int err;

    make_ways(w);
    err = join(w, &t);
    if (err == -ENOENT)
        return fork_server(w);
    if (err < 0)
        return cmd_fail(err, NULL, "cannot open '%s'", w->cli->instance);
    way = unnamed_way(w);
    if (way && way->t == w->cli->transport)
        return cmd_error(CMD_USAGE, "%s", why);
    if (way)
        way_refuse(way, why);
    return cmd_check_data(w->cli, t);
}

/* Which one carries the requests, at first. */
static void choose_way(struct web *w)
{
    for (size_t i = 0; i < w->api.count; i++)
        if (w->api.ways[i].t == w->cli->transport)
            atomic_store(&w->api.current, i);
}

/* ---- the gateway -------------------------------------------------------- */

static int start(struct web *w, const char *dir)
{
    int fd, err = shelf_fill(&w->shelf, dir);

    if (err < 0)
        return cmd_fail(err, NULL, "cannot read the page's files in '%s'", dir);
    err = door_make_key(w->door.key);
    if (err < 0)
        return cmd_fail(err, NULL, "cannot make a key");
    w->door.port = w->cli->port;
    fd = gateway_listen(&w->door.port);
    if (fd < 0)
        return cmd_fail(fd, NULL, "cannot listen on port %u", w->cli->port);
    err = watch_start(&w->api.watch, w->api.ways, w->api.count);
    if (err < 0)
        (void)close(fd); /* nobody has been accepted */
    else
        err = gateway_start(&w->gateway,
                            &(struct gateway_opts){.api = &w->api,
                                                   .shelf = &w->shelf,
                                                   .door = &w->door,
                                                   .listener = fd});
    return err < 0 ? cmd_fail(err, NULL, "cannot start the gateway") : 0;
}

static int say_ready(struct web *w)
{
    struct sight sight;

    watch_see(&w->api.watch, &sight);
    printf("ready: http://127.0.0.1:%u/#t=%s\n", w->door.port, w->door.key);
    printf("       (gateway pid %ld, store pid %ld, over %s; who has this link "
           "may change the timetable)\n",
           (long)getpid(), sight.pid,
           w->api.ways[atomic_load(&w->api.current)].t->name);
    return fflush(stdout) ? cmd_fail(-errno, NULL, "cannot write to stdout")
                          : 0;
}

/* Our server has ended: the page says so, and comes back with the next one. */
static void note_death(struct web *w)
{
    if (w->server == 0 || waitpid(w->server, NULL, WNOHANG) != w->server)
        return;
    cmd_error(0,
              "the server, pid %ld, has ended; the page waits for the next "
              "one: %s serve",
              (long)w->server, w->lab);
    w->server = 0;
}

/* What we wait for: none of those that were ignored when we were started, as
 * nohup(1) does it, or a shell for what runs in the background. */
static void choose_signals(sigset_t *signals)
{
    static const int ends[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction before;

    sigemptyset(signals);
    sigaddset(signals, SIGCHLD);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (sigaction(ends[i], NULL, &before) == 0 &&
            before.sa_handler != SIG_IGN)
            sigaddset(signals, ends[i]);
}

static void wait_for_end(struct web *w, const sigset_t *signals)
{
    int sig;

    while (sigwait(signals, &sig) == 0 && sig == SIGCHLD)
        note_death(w);
}

/* What the process ends with, also when it has to be cut short. */
static volatile sig_atomic_t exit_code;

/* A request that waits for a stopped server isn't waited for: all that is ours
 * goes with the process. */
static void on_alarm(int sig)
{
    (void)sig;
    _exit((int)exit_code);
}

static void stop(struct web *w, int code)
{
    struct sigaction action = {.sa_handler = on_alarm};

    exit_code = code;
    if (w->server)
        (void)kill(w->server, SIGTERM);      /* it may just have ended */
    (void)sigaction(SIGALRM, &action, NULL); /* can't fail */
    (void)alarm(END_S);
    watch_stop(&w->api.watch);
    gateway_stop(w->gateway);
    watch_end(&w->api.watch);
    for (size_t i = 0; i < w->api.count; i++)
        way_close(&w->api.ways[i]);
    shelf_empty(&w->shelf);
    while (w->server && waitpid(w->server, NULL, 0) < 0 && errno == EINTR)
        ;
    (void)alarm(0);
}

int web_main(const struct cli *cli, const char *dir)
{
    struct web w = {.cli = cli};
    sigset_t signals;
    int code;

    choose_signals(&signals);
    w.api.command = cmd_lab(cli, w.lab);
    code = reach_store(&w);
    choose_way(&w);
    /* After the fork: the server has signals of its own. Before any thread:
     * all of them leave these to us. */
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* can't fail */
    if (!code)
        code = start(&w, dir);
    if (!code)
        code = say_ready(&w);
    if (!code)
        wait_for_end(&w, &signals);
    stop(&w, code);
    return code;
}
