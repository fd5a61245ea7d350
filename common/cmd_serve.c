/*
 * cmd_serve.c - transports, serve, ping, stats, clean
 *
 * serve and the forked server are the same in all but how they are started
 * and ended: open the store, open transports, server_run, close.
 *
 * clean takes over and closes what it finds; what is locked lives.
 */
#include "cmd.h"
#include "exchange.h"
#include "journal_lock.h"
#include "rundir.h"
#include "server.h"
#include "slots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SET_MAX 16   /* transports that one server serves */
#define HELD_MS 1000 /* serve: wait for a server that is just ending */

/* Is tp_all[i] one of those that -t lists? */
static bool is_listed(unsigned listed, int i)
{
    return listed == 0 || (listed >> i & 1);
}

/* ---- transports --------------------------------------------------------- */

static const char *yes(unsigned flag)
{
    return flag ? "yes" : "-";
}

static void transport_json(const struct transport *t, int err, const char *why)
{
    printf("%s\n  {\"name\": \"%s\", \"usable\": %s, \"why_not\": ",
           t == tp_all[0] ? "[" : ",", t->name, err ? "false" : "true");
    if (err)
        exchange_string(stdout, *why ? why : strerror(-err));
    else
        printf("null");
    printf(", \"named\": %s, \"framed\": %s, \"hangup\": %s, "
           "\"max_msg\": %zu, \"blurb\": ",
           t->caps & TP_NAMED ? "true" : "false",
           t->caps & TP_FRAMED ? "true" : "false",
           t->caps & TP_HANGUP ? "true" : "false", t->max_msg);
    exchange_string(stdout, t->blurb);
    putchar('}');
}

int cmd_transports(const struct cli *cli)
{
    if (!cli->json)
        printf("%-8s %-7s %-6s %-7s %-8s %9s  %s\n", "name", "usable", "named",
               "framed", "hang-up", "largest", "what it is");
    for (int i = 0; tp_all[i]; i++) {
        const struct transport *t = tp_all[i];
        char why[CMD_WHY_MAX] = "";
        int err = tp_probe(t, why, sizeof why);

        if (cli->json) {
            transport_json(t, err, why);
            continue;
        }
        printf("%-8s %-7s %-6s %-7s %-8s %9zu  %s\n", t->name,
               err ? "no" : "yes", yes(t->caps & TP_NAMED),
               yes(t->caps & TP_FRAMED), yes(t->caps & TP_HANGUP), t->max_msg,
               t->blurb);
        if (err)
            printf("         not usable here: %s %s\n", cmd_errno_name(err),
                   *why ? why : strerror(-err));
    }
    if (cli->json)
        puts("\n]");
    return CMD_OK;
}

/* ---- one server --------------------------------------------------------- */

struct serving {
    struct store *store;
    struct tp_server *set[SET_MAX];
    unsigned count;
    char path[CMD_PATH_MAX]; /* of the data file */
};

static atomic_bool stop;

static void on_stop(int signal_number)
{
    (void)signal_number;
    atomic_store(&stop, true); /* lock-free: allowed in a handler */
}

/* Another process has the data file: if it is the server of this instance, why
 * not talk to it? */
static int in_use(const struct cli *cli, const char *path, const char *why)
{
    int code = cmd_fail(-EBUSY, why, "cannot open the data file '%s'", path);
    char list[CMD_LIST_MAX];
    long pid = cmd_find_server(cli->instance, NULL, list);

    if (pid && pid == journal_lock_holder(path))
        cmd_error(0,
                  "it is the server of '%s'; use it with -t and one of: %s; "
                  "or end it with: kill %ld",
                  cli->instance, list, pid);
    else
        cmd_error(0, "only one process at a time can have a data file; wait "
                     "for its end, or name another file with --data");
    return code;
}

static int open_store(struct serving *s, const struct cli *cli, int wait_ms)
{
    char why[CMD_WHY_MAX] = "", quoted[CMD_QUOTED_MAX];
    struct store_opts opts = {.path = s->path,
                              .sync = !cli->no_sync,
                              .wait_ms = wait_ms,
                              .why = why,
                              .why_cap = sizeof why};
    int err, code = cmd_data_path(cli, s->path);

    if (code)
        return code;
    err = store_open(&s->store, &opts);
    if (err == -ENOENT) /* not a missing server, but a missing folder */
        return cmd_error(CMD_CREATE,
                         "cannot open the data file '%s': ENOENT its folder "
                         "doesn't exist",
                         s->path);
    if (err == -EBUSY)
        return in_use(cli, s->path, why);
    if (err == -EBADMSG)
        return cmd_error(CMD_DATA,
                         "cannot open the data file '%s': EBADMSG %s; to see "
                         "all damage: ipclab check %s",
                         s->path, why, cmd_quoted(s->path, quoted));
    if (err < 0)
        return cmd_fail(err, why, "cannot open the data file '%s'", s->path);
    if (*why)
        cmd_error(0, "note: '%s': %s", s->path, why);
    return 0;
}

static int open_transport(struct serving *s, const struct cli *cli,
                          const struct transport *t, char *why, size_t cap)
{
    struct tp_opts opts = {.name = cli->instance,
                           .clients = TP_CLIENTS_MAX,
                           .depth = 1,
                           .wait = cli->wait,
                           .why = why,
                           .why_cap = cap};
    int err = tp_probe(t, why, cap);

    if (err < 0)
        return err;
    *why = '\0';
    err = tp_srv_open(t, &s->set[s->count], &opts);
    if (err == 0)
        s->count++;
    return err;
}

/* Why this one can't be served. */
static int serve_failed(const struct cli *cli, const struct transport *t,
                        int err, const char *why)
{
    long pid = err == -EADDRINUSE ? cmd_server_over(cli->instance, t) : 0;

    if (pid)
        return cmd_error(CMD_CREATE,
                         "cannot serve over %s '%s': EADDRINUSE pid %ld serves "
                         "under this name; choose another one with -n, or end "
                         "that server with: kill %ld",
                         t->name, cli->instance, pid, pid);
    return cmd_fail(err, why, "cannot serve over %s '%s'", t->name,
                    cli->instance);
}

/* Open the listed transports that have names. When that is all of them, one
 * that can't be used here is named and left out; but a name that is taken, or
 * a runtime folder that may not be used, always ends it. */
static int open_named(struct serving *s, const struct cli *cli, unsigned listed)
{
    int code = CMD_NO_SERVER;

    for (int i = 0; tp_all[i] && s->count < SET_MAX; i++) {
        const struct transport *t = tp_all[i];
        char why[CMD_WHY_MAX] = "";
        int err;

        if (!(t->caps & TP_NAMED) || !is_listed(listed, i))
            continue;
        err = open_transport(s, cli, t, why, sizeof why);
        if (err == 0)
            continue;
        code = serve_failed(cli, t, err, why);
        if (listed || err == -EADDRINUSE || err == -EACCES)
            return code;
    }
    return s->count ? 0 : code;
}

static int run(const struct serving *s)
{
    struct server_opts opts = {.set = (struct tp_server **)s->set,
                               .count = s->count,
                               .store = s->store,
                               .stop = &stop};
    int err = server_run(&opts);
    const char *fault = store_fault(s->store);

    if (err < 0)
        return cmd_fail(err, NULL, "the server has failed");
    return fault ? cmd_error(CMD_IO, "the server refused changes: %s", fault)
                 : CMD_OK;
}

/* A data file that was only made for a start that failed goes again. */
static void close_all(struct serving *s, bool served)
{
    while (s->count)
        tp_srv_close(s->set[--s->count]);
    (served ? store_close : store_abandon)(s->store);
}

/* ---- serve -------------------------------------------------------------- */

static int say_ready(const struct serving *s, const struct cli *cli)
{
    printf("ready:");
    for (unsigned i = 0; i < s->count; i++)
        printf(" %s", s->set[i]->t->name);
    printf(" (instance %s, data %s, pid %ld)\n", cli->instance, s->path,
           (long)getpid());
    return fflush(stdout) ? cmd_fail(-errno, NULL, "cannot write to stdout")
                          : 0;
}

int cmd_serve(const struct cli *cli)
{
    struct serving s = {0};
    bool served;
    int code;

    for (int i = 0; tp_all[i] && cli->listed; i++)
        if (!(tp_all[i]->caps & TP_NAMED) && is_listed(cli->listed, i))
            return cmd_error(
                CMD_USAGE,
                "cannot serve over %s: a %s has no name; a command "
                "with -t %s starts a server of its own",
                tp_all[i]->name, tp_all[i]->name, tp_all[i]->name);
    cmd_on_stop(on_stop);
    code = open_store(&s, cli,
                      cli->timeout_ms < HELD_MS ? cli->timeout_ms : HELD_MS);
    if (!code)
        code = open_named(&s, cli, cli->listed);
    if (!code)
        code = say_ready(&s, cli);
    served = !code;
    if (served)
        code = run(&s);
    close_all(&s, served);
    return code;
}

/* ---- a forked server ---------------------------------------------------- */

static int serve_child(const struct cli *cli, struct tp_server *inherited,
                       enum serve_also also, int ready)
{
    struct serving s = {.set = {inherited}, .count = 1};
    int code = open_store(&s, cli, cli->timeout_ms);

    if (!code && also == SERVE_NAMED)
        code = open_named(&s, cli, 0);
    if (!code && write(ready, "+", 1) != 1)
        code = CMD_IO; /* the parent is gone */
    close(ready);
    if (!code)
        code = run(&s);
    close_all(&s, true); /* its command wants the data file, not the server */
    return code;
}

/* A server with names doesn't end with its clients: it needs another way to
 * learn that its parent is gone. */
static void end_with_parent(pid_t parent)
{
    cmd_on_stop(on_stop);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* can't fail for a good signal */
    if (getppid() != parent)                /* it died before that */
        atomic_store(&stop, true);
}

pid_t serve_fork(const struct cli *cli, struct tp_server *inherited,
                 enum serve_also also, int *code)
{
    int ready[2], status = 0;
    pid_t parent = getpid(), pid;
    char byte;
    ssize_t n;

    if (pipe(ready) < 0) {
        *code = cmd_fail(-errno, NULL, "cannot make a pipe");
        return 0;
    }
    fflush(NULL); /* or the child would write our output once more */
    pid = fork();
    if (pid == 0) {
        close(ready[0]);
        if (also == SERVE_NAMED)
            end_with_parent(parent);
        _exit(serve_child(cli, inherited, also, ready[1]));
    }
    close(ready[1]);
    if (pid < 0) {
        *code = cmd_fail(-errno, NULL, "cannot fork a server");
        close(ready[0]);
        return 0;
    }
    while ((n = read(ready[0], &byte, 1)) < 0 && errno == EINTR)
        ;
    close(ready[0]);
    if (n == 1)
        return pid;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    *code =
        WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : CMD_IO;
    return 0;
}

/* ---- ping --------------------------------------------------------------- */

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* can't fail on Linux */
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

uint64_t cmd_percentile(const uint64_t *sorted, size_t n, unsigned percent)
{
    size_t rank = (n * percent + 99) / 100; /* nearest rank, from 1 */

    return sorted[rank ? rank - 1 : 0];
}

int cmd_ping_times(struct client *c, uint64_t *ns, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t begin = now_ns();
        int err = client_ping(c);

        if (err)
            return err;
        ns[i] = now_ns() - begin;
    }
    qsort(ns, n, sizeof *ns, by_size);
    return 0;
}

static void print_ping(const struct cli *cli, const uint64_t *ns, size_t n)
{
    bool enough = n >= 100; /* else the p99 is just the maximum */
    double p50 = (double)cmd_percentile(ns, n, 50) / 1000;
    double p99 = (double)cmd_percentile(ns, n, 99) / 1000;

    if (cli->json) {
        printf("{\"transport\": \"%s\", \"count\": %zu, \"min_us\": %.1f, "
               "\"p50_us\": %.1f, \"p99_us\": ",
               cli->transport->name, n, (double)ns[0] / 1000, p50);
        printf(enough ? "%.1f" : "null", p99);
        printf(", \"max_us\": %.1f}\n", (double)ns[n - 1] / 1000);
        return;
    }
    printf("%zu round trips over %s: min %.1f us, p50 %.1f us, ", n,
           cli->transport->name, (double)ns[0] / 1000, p50);
    if (enough)
        printf("p99 %.1f us, ", p99);
    printf("max %.1f us\n", (double)ns[n - 1] / 1000);
}

int cmd_ping(const struct cli *cli)
{
    size_t n = cli->count ? cli->count : 1000;
    uint64_t *ns = calloc(n, sizeof *ns);
    struct session s;
    int code;

    if (!ns)
        return cmd_fail(-ENOMEM, NULL, "cannot time %zu round trips", n);
    code = session_open(&s, cli);
    if (!code) {
        code = session_result(&s, cmd_ping_times(&s.client, ns, n), "ping");
        session_close(&s);
    }
    if (!code)
        print_ping(cli, ns, n);
    free(ns);
    return code;
}

/* ---- stats -------------------------------------------------------------- */

static void print_stats(const struct wire_stats *st, bool json)
{
    const struct {
        const char *name;
        uint64_t value;
        const char *what;
    } rows[] = {
        {"pid", st->pid, "the server's process"},
        {"uptime_ms", st->uptime_ms, "since it started"},
        {"events", st->events, "in the timetable"},
        {"rev", st->rev, "changes since the data file began"},
        {"requests", st->requests, "handled, over all transports"},
        {"changes", st->changes, "of these, add, update and remove"},
        {"errors", st->errors, "of these, that were refused"},
        {"journal_bytes", st->journal_bytes, "in the data file"},
        {"syncs", st->syncs, "times the data file was synced"},
    };
    size_t count = sizeof rows / sizeof *rows;

    for (size_t i = 0; i < count; i++)
        if (json)
            printf("%s\"%s\": %" PRIu64 "%s", i ? ", " : "{", rows[i].name,
                   rows[i].value, i + 1 < count ? "" : "}\n");
        else
            printf("%-13s %12" PRIu64 "  %s\n", rows[i].name, rows[i].value,
                   rows[i].what);
}

int cmd_stats(const struct cli *cli)
{
    struct wire_stats st;
    struct session s;
    int code = session_open(&s, cli);

    if (code)
        return code;
    code =
        session_result(&s, client_stats(&s.client, &st), "read the counters");
    session_close(&s);
    if (!code)
        print_stats(&st, cli->json);
    return code;
}

/* ---- clean -------------------------------------------------------------- */

/* It may have come after we looked, and not be ready; or be about to end. */
static void print_in_use(const struct transport *t, const char *instance,
                         const char *file, int dir)
{
    struct slots_info info = {0};

    if (slots_look(dir, file, &info) == 1 && info.pid > 0)
        printf("in use   %-7s '%s' by pid %ld: left alone\n", t->name, instance,
               info.pid);
    else
        printf("in use   %-7s '%s' by a server that just starts or ends: left "
               "alone\n",
               t->name, instance);
}

/* To serve under a name takes over what a dead server left; to stop serving
 * removes it. A live server refuses the name, so nothing of it is touched. */
static int clean_one(const struct transport *t, const char *instance,
                     const char *file, int dir, bool quiet)
{
    char why[CMD_WHY_MAX] = "";
    struct tp_opts opts = {
        .name = instance, .clients = 1, .why = why, .why_cap = sizeof why};
    struct slots_info info = {0};
    struct tp_server *srv;
    int err;

    if (slots_look(dir, file, &info) == 1)
        err = -EADDRINUSE;
    else
        err = tp_srv_open(t, &srv, &opts);
    if (err == -EADDRINUSE) {
        if (!quiet)
            print_in_use(t, instance, file, dir);
        return CMD_OK;
    }
    if (err < 0)
        return cmd_fail(err, why, "cannot clean %s '%s'", t->name, instance);
    tp_srv_close(srv);
    if (!quiet)
        printf("removed  %-7s '%s'\n", t->name, instance);
    return CMD_OK;
}

/* What a clean is about. */
struct cleaning {
    unsigned listed;  /* transports, as in struct cli */
    const char *only; /* this instance; NULL = all */
    bool quiet;
    int *found; /* counts what there is */
};

static int clean_files(const struct cleaning *c, struct dirent **files, int n,
                       int dir)
{
    char instance[TP_NAME_MAX + 1];
    int code = CMD_OK;

    for (int i = 0; i < n; i++) {
        const char *file = files[i]->d_name;
        int t = cmd_lock_owner(file, instance), one;

        if (t < 0 || !is_listed(c->listed, t) ||
            (c->only && strcmp(c->only, instance) != 0))
            continue;
        ++*c->found;
        one = clean_one(tp_all[t], instance, file, dir, c->quiet);
        if (one)
            code = one;
    }
    return code;
}

/* The runtime folder's names. */
static int clean_names(const struct cleaning *c)
{
    char why[CMD_WHY_MAX] = "", path[RUNDIR_PATH_MAX];
    struct tp_opts opts = {.why = why, .why_cap = sizeof why};
    struct dirent **files = NULL;
    int dir = rundir_open(&opts, false), n, code;

    if (dir == -ENOENT)
        return CMD_OK;
    if (dir < 0)
        return cmd_fail(dir, why, "cannot open the runtime folder");
    /* All names first: cleaning makes and removes some of them. */
    n = rundir_path(path) < 0 ? -1 : scandir(path, &files, NULL, alphasort);
    if (n < 0)
        code = cmd_fail(-errno, NULL, "cannot read the runtime folder");
    else
        code = clean_files(c, files, n, dir);
    while (n > 0)
        free(files[--n]);
    free(files);
    close(dir);
    return code;
}

int cmd_clean(const struct cli *cli)
{
    int found = 0, tours = CMD_OK;
    struct cleaning c = {.listed = cli->listed,
                         .only = cli->named ? cli->instance : NULL,
                         .found = &found};
    int code = clean_names(&c);

    if (!cli->listed && !cli->named)
        tours = tours_clean(false, &found);
    if (!found && !code && !tours)
        puts("nothing to clean");
    return code ? code : tours;
}

/* ---- a tour's folder ---------------------------------------------------- */

#define TOUR_FOLDER "ipclab-demo-"

/* Where the folders are. Socket paths have 108 bytes: a long one won't do. */
static const char *tours_in(void)
{
    const char *tmp = getenv("TMPDIR");

    return tmp && *tmp == '/' && strlen(tmp) <= 60 ? tmp : "/tmp";
}

/* Open and lock a tour's folder: a descriptor; -EWOULDBLOCK when somebody has
 * it; -ENOENT when it is gone; or why it can't be one. */
static int lock_tour(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st, now;
    int err = 0;

    if (fd < 0)
        return -errno;
    /* A tour lets nobody else in: another's folder isn't looked at. */
    if (fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
        (st.st_mode & 0777) != 0700)
        err = -EPERM;
    else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        err = -errno;
    else if (lstat(dir, &now) < 0 || now.st_ino != st.st_ino ||
             now.st_dev != st.st_dev)
        err = -ENOENT; /* removed by whoever had the lock before us */
    if (!err)
        return fd;
    close(fd);
    return err;
}

int tour_make(char dir[TOUR_DIR_MAX])
{
    int fd = -EWOULDBLOCK;

    /* Each further attempt needs a `clean` that saw a folder without a lock
     * and was faster. */
    for (int i = 0; i < 100 && (fd == -EWOULDBLOCK || fd == -ENOENT); i++) {
        snprintf(dir, TOUR_DIR_MAX, "%s/" TOUR_FOLDER "XXXXXX", tours_in());
        if (!mkdtemp(dir))
            return -errno;
        fd = lock_tour(dir);
    }
    if (fd < 0)
        (void)rmdir(dir); /* it is empty, or gone */
    return fd;
}

/* The data file, and what lies beside it while it is written anew. */
static int is_data(const struct dirent *e)
{
    return !strncmp(e->d_name, TOUR_DATA, strlen(TOUR_DATA));
}

/* Only what a tour makes: a folder with anything else in it stays. */
int tour_remove(const char *dir)
{
    char path[RUNDIR_PATH_MAX];
    struct dirent **files = NULL;
    int n, found = 0, code;

    if (setenv("XDG_RUNTIME_DIR", dir, 1) < 0)
        return cmd_fail(-ENOMEM, NULL, "cannot remove '%s'", dir);
    code = clean_names(&(struct cleaning){.quiet = true, .found = &found});
    rundir_remove();
    n = scandir(dir, &files, is_data, NULL);
    while (n > 0) {
        snprintf(path, sizeof path, "%s/%.100s", dir, files[--n]->d_name);
        (void)unlink(path); /* if it is still there, rmdir fails */
        free(files[n]);
    }
    free(files);
    if (!code && rmdir(dir) < 0)
        code = cmd_fail(-errno, NULL, "cannot remove '%s'", dir);
    return code;
}

static int is_tour(const struct dirent *e)
{
    size_t prefix = strlen(TOUR_FOLDER);

    return !strncmp(e->d_name, TOUR_FOLDER, prefix) &&
           strlen(e->d_name) == prefix + 6;
}

/* One folder that may be a tour's; *found when it is one. */
static int clean_tour(const char *name, bool quiet, int *found)
{
    char dir[TOUR_DIR_MAX];
    int fd, code;

    snprintf(dir, sizeof dir, "%s/%.18s", tours_in(), name);
    fd = lock_tour(dir);
    if (fd < 0 && fd != -EWOULDBLOCK)
        return CMD_OK;
    ++*found;
    code = fd < 0 ? CMD_OK : tour_remove(dir);
    if (!quiet && !code)
        printf(fd < 0 ? "in use   demo    '%s': left alone\n"
                      : "removed  demo    '%s'\n",
               dir);
    if (fd >= 0)
        close(fd);
    return code;
}

int tours_clean(bool quiet, int *found)
{
    struct dirent **folders = NULL;
    int n = scandir(tours_in(), &folders, is_tour, alphasort);
    int code = CMD_OK;

    if (n < 0 && errno != ENOENT)
        code = cmd_fail(-errno, NULL, "cannot read '%s'", tours_in());
    for (int i = 0; i < n; i++) {
        int one = clean_tour(folders[i]->d_name, quiet, found);

        if (one)
            code = one;
        free(folders[i]);
    }
    free(folders);
    return code;
}
