/*
 * demo.c - a tour of the lab in about a minute
 *
 *      this process ---- pipe, fifo, mqueue, shm, socket ---- the server
 *      a client five times over                               one data file
 *
 * The server is forked: that is the only way to give it a pipe. It and its
 * files live in a private folder, which is removed at the end, whatever
 * happened before. What a tour that was killed has left, the next one removes.
 */
#include "cmd.h"
#include "localtime.h"
#include "rundir.h"
#include "week.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 16
#define FDS_MAX     256 /* descriptors of one process that are looked at */
#define PINGS       1000

struct tour {
    struct cli cli;
    bool slow, bold;
    int step;
    char dir[TOUR_DIR_MAX];             /* private folder */
    int lock;                           /* its lock; owned, < 0 = none */
    char data[TOUR_DIR_MAX + 16];       /* the data file in it */
    bool strange[FDS_MAX];              /* descriptors that we were given */
    pid_t server;                       /* 0 = none */
    struct client clients[CLIENTS_MAX]; /* in the order of tp_all */
    size_t events;                      /* acknowledged so far */
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static bool connected(const struct tour *t, int i)
{
    return t->clients[i].conn != NULL;
}

/* ---- telling ------------------------------------------------------------ */

/* Time to read, for people only; a signal cuts it short. */
static void pause_for(const struct tour *t, int seconds)
{
    struct timespec rest = {.tv_sec = seconds};

    fflush(stdout);
    if (t->slow && !interrupted)
        (void)nanosleep(&rest, NULL);
}

static void heading(struct tour *t, const char *text)
{
    pause_for(t, 3);
    printf("\n%s%d. %s%s\n\n", t->bold ? "\033[1m" : "", ++t->step, text,
           t->bold ? "\033[0m" : "");
    pause_for(t, 1);
}

/* ---- starting and stopping ---------------------------------------------- */

static int start_server(struct tour *t, struct tp_server **pipe_ends)
{
    char why[CMD_WHY_MAX] = "";
    struct tp_opts opts = {
        .clients = 1, .wait = t->cli.wait, .why = why, .why_cap = sizeof why};
    const struct transport *unnamed = NULL;
    int code = CMD_IO, err;

    for (int i = 0; tp_all[i]; i++)
        if (!(tp_all[i]->caps & TP_NAMED))
            unnamed = tp_all[i];
    if (!unnamed)
        return cmd_error(CMD_USAGE, "no transport that is inherited");
    err = tp_srv_open(unnamed, pipe_ends, &opts);
    if (err < 0)
        return cmd_fail(err, why, "cannot make a %s", unnamed->name);
    t->server = serve_fork(&t->cli, *pipe_ends, SERVE_NAMED, &code);
    if (t->server)
        return 0;
    tp_srv_drop(*pipe_ends);
    return code;
}

static int start(struct tour *t)
{
    char why[CMD_WHY_MAX] = "";
    struct tp_opts opts = {.name = t->cli.instance,
                           .open_ms = t->cli.timeout_ms,
                           .wait = t->cli.wait,
                           .why = why,
                           .why_cap = sizeof why};
    struct tp_server *pipe_ends = NULL;
    int code = start_server(t, &pipe_ends);

    for (int i = 0; !code && tp_all[i] && i < CLIENTS_MAX; i++) {
        int err;

        why[0] = '\0';
        opts.inherited = tp_all[i]->caps & TP_NAMED ? NULL : pipe_ends;
        err = client_open(&t->clients[i], tp_all[i], &opts, t->cli.timeout_ms);
        if (err < 0)
            cmd_fail(err, why, "the tour goes on without %s", tp_all[i]->name);
    }
    return code;
}

static void stop(struct tour *t, int signal_number)
{
    for (int i = 0; i < CLIENTS_MAX; i++)
        client_close(&t->clients[i]);
    if (t->server == 0)
        return;
    (void)kill(t->server, signal_number); /* our child: it can't be gone */
    while (waitpid(t->server, NULL, 0) < 0 && errno == EINTR)
        ;
    t->server = 0;
}

/* ---- 1. processes ------------------------------------------------------- */

/* What a descriptor's link in /proc says, in words. The first that fits. */
static const struct {
    const char *part, *words;
} kinds[] = {
    {"pipe:", "anonymous pipe: no name, only inherited"},
    {"socket:", "UNIX socket"},
    {"eventpoll", "epoll: waits for many descriptors at once"},
    {".jsonl.lock", "lock of the data file: one server at a time"},
    {".jsonl", "the data file"},
    {".lock", "lock files: who is the server, who has which slot"},
    {".fifo", "FIFO: a pipe with a name in the runtime folder"},
    {".mqueue", "message queue: has a name, but lies in no folder"},
};

#define KINDS (sizeof kinds / sizeof *kinds)

static int kind_of(pid_t pid, int fd)
{
    char path[64], link[512];
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)pid, fd);
    n = readlink(path, link, sizeof link - 1);
    if (n < 0)
        return -1;
    link[n] = '\0';
    for (size_t i = 0; i < KINDS; i++)
        if (strstr(link, kinds[i].part))
            return (int)i;
    return -1;
}

/* A segment is mapped and needs no descriptor: it is found in the map. */
static bool has_segment(pid_t pid)
{
    char line[512];
    bool found = false;
    FILE *maps;

    snprintf(line, sizeof line, "/proc/%ld/maps", (long)pid);
    maps = fopen(line, "r");
    while (maps && fgets(line, sizeof line, maps))
        found = found || strstr(line, "/dev/shm/ipclab");
    if (maps)
        fclose(maps);
    return found;
}

/* `strange` are descriptors that have nothing to do with the lab. */
static void show_process(pid_t pid, pid_t parent, const char *who,
                         const bool *strange)
{
    printf("  %7ld %7ld  %s\n", (long)pid, (long)parent, who);
    for (size_t k = 0; k < KINDS; k++) {
        char list[64] = "";
        int count = 0;

        for (int fd = 3; fd < FDS_MAX; fd++) {
            size_t len = strlen(list);

            if (strange[fd] || kind_of(pid, fd) != (int)k)
                continue;
            snprintf(list + len, sizeof list - len, "%s%d", len ? "," : "", fd);
            count++;
        }
        if (count)
            printf("  %15s  fd %-11s %s\n", "", list, kinds[k].words);
    }
    if (has_segment(pid))
        printf("  %15s  %-14s %s\n", "", "memory",
               "shared memory: the same bytes in both");
}

static void show_processes(struct tour *t)
{
    heading(t, "Two processes, and what each of them holds");
    printf("  %7s %7s\n", "PID", "PPID");
    show_process(getpid(), getppid(), "this tour: a client", t->strange);
    pause_for(t, 5);
    show_process(t->server, getpid(), "the server: it alone has the timetable",
                 t->strange);
    puts("\n  The client can't read the server's memory, and doesn't open the "
         "data file.\n  It must ask.");
    pause_for(t, 6);
}

/* ---- 2. one timetable over all transports ------------------------------- */

static bool count_event(const struct event *ev, void *arg)
{
    (void)ev;
    ++*(size_t *)arg;
    return true;
}

static int count_over(struct tour *t, int i, size_t *count)
{
    *count = 0;
    return client_list(&t->clients[i], EVENT_TIME_MIN, EVENT_TIME_MAX,
                       count_event, count);
}

static int64_t this_monday(void)
{
    int64_t day = local_split((int64_t)time(NULL)).day;

    return day - local_weekday(day) + 1;
}

static int add_over(struct tour *t, int i, int day, int hour, int hours,
                    const char *title)
{
    int64_t start = local_day_start(this_monday() + day) + hour * 3600;
    struct event ev = {
        .title = title, .start = start, .end = start + hours * 3600};
    int err = client_add(&t->clients[i], client_token(), &ev, NULL, NULL);

    if (err == 0)
        t->events++;
    return err;
}

/* How many events each transport shows. They must agree. */
static int compare(struct tour *t)
{
    size_t count;

    for (int i = 0; i < CLIENTS_MAX; i++) {
        int err;

        if (!connected(t, i))
            continue;
        err = count_over(t, i, &count);
        if (err)
            return err;
        printf(" %s %zu", tp_all[i]->name, count);
        if (count != t->events)
            return -EPROTO;
    }
    putchar('\n');
    return 0;
}

static int one_timetable(struct tour *t)
{
    int err = 0;

    heading(t, "One timetable, reached over each transport");
    for (int i = 0; i < CLIENTS_MAX && err == 0; i++) {
        char title[64];

        if (!connected(t, i))
            continue;
        snprintf(title, sizeof title, "IPC: %s", tp_all[i]->name);
        err = add_over(t, i, i % 5, 9 + i % 4, 2, title);
        if (err == 0) {
            printf("  added over %-7s -> events seen over", tp_all[i]->name);
            err = compare(t);
        }
        pause_for(t, 1);
    }
    for (int i = 0; i < CLIENTS_MAX && err == 0; i++)
        if (connected(t, i)) { /* overlaps the third lecture */
            err = add_over(t, i, 2, 12, 3,
                           "\xec\x8b\xa4\xec\x8a\xb5: "
                           "\xed\x94\x84\xeb\xa1\x9c\xec\x84\xb8"
                           "\xec\x8a\xa4");
            break;
        }
    return err;
}

/* ---- 3. the week -------------------------------------------------------- */

static int show_week(struct tour *t)
{
    struct session s = {.cli = &t->cli};
    int code = CMD_OK;

    heading(t, "The week, as 'ipclab week' shows it");
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (connected(t, i)) {
            s.client = t->clients[i]; /* lent: not closed here */
            code = week_show(&s, this_monday());
            t->clients[i] = s.client;
            break;
        }
    pause_for(t, 6);
    return code;
}

/* ---- 4. kill -9 --------------------------------------------------------- */

static double ms_since(const struct timespec *a)
{
    struct timespec b;

    (void)clock_gettime(CLOCK_MONOTONIC, &b); /* can't fail on Linux */
    return (double)(b.tv_sec - a->tv_sec) * 1e3 +
           (double)(b.tv_nsec - a->tv_nsec) / 1e6;
}

static int is_name(const struct dirent *e)
{
    return e->d_name[0] != '.' && !strstr(e->d_name, ".lock");
}

static void show_deaths(struct tour *t)
{
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct timespec begin;
        int err;

        if (!connected(t, i))
            continue;
        (void)clock_gettime(CLOCK_MONOTONIC, &begin); /* can't fail */
        err = client_ping(&t->clients[i]);
        printf("  %-7s tells its client: %s, after %.1f ms\n", tp_all[i]->name,
               err < 0 ? cmd_errno_name(err) : "nothing", ms_since(&begin));
    }
}

/* What a process that dies like that can't remove. */
static void show_names(void)
{
    char path[RUNDIR_PATH_MAX];
    struct dirent **names = NULL;
    int n =
        rundir_path(path) < 0 ? -1 : scandir(path, &names, is_name, alphasort);

    printf("\n  Names it leaves in the runtime folder:\n   ");
    for (int i = 0; i < n; i++) {
        printf(" %s", names[i]->d_name);
        free(names[i]);
    }
    free(names);
    putchar('\n');
}

static void show_file(const struct tour *t)
{
    char line[1024], cut[256];
    FILE *f = fopen(t->data, "r");

    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        printf("  %s\n", week_fit(line, 76, false, cut, sizeof cut));
    }
    if (f)
        fclose(f);
}

static int kill_and_restart(struct tour *t)
{
    int code;

    heading(t, "kill -9, restart, and nothing is lost");
    printf("  kill -9 %ld\n", (long)t->server);
    if (kill(t->server, SIGKILL) < 0)
        return -errno;
    while (waitpid(t->server, NULL, 0) < 0 && errno == EINTR)
        ;
    t->server = 0;
    show_deaths(t);
    pause_for(t, 5);
    stop(t, 0);
    show_names();
    puts("\n  The data file, a line for each change, written and synced before "
         "the\n  client heard \"done\":\n");
    show_file(t);
    pause_for(t, 5);
    code = start(t); /* takes over the names that the dead one left */
    if (code)
        return -EIO; /* it has said why */
    printf("\n  A new server, PID %ld, takes the names over. Events seen over\n"
           "   ",
           (long)t->server);
    return compare(t);
}

/* ---- 5. latency --------------------------------------------------------- */

static int show_latency(struct tour *t)
{
    uint64_t ns[PINGS];

    heading(t, "What a round trip costs here");
    printf("  %-8s %10s %10s   %d pings each\n", "", "p50", "p99", PINGS);
    for (int i = 0; i < CLIENTS_MAX; i++) {
        int err;

        if (!connected(t, i))
            continue;
        err = cmd_ping_times(&t->clients[i], ns, PINGS);
        if (err)
            return err;
        printf("  %-8s %7.1f us %7.1f us\n", tp_all[i]->name,
               (double)cmd_percentile(ns, PINGS, 50) / 1000,
               (double)cmd_percentile(ns, PINGS, 99) / 1000);
    }
    puts("\n  Where the scheduler puts the two processes matters more than the "
         "mechanism:\n  'make bench' controls it, and says why each costs what "
         "it costs.");
    pause_for(t, 6);
    return 0;
}

/* ---- 6. gone again ------------------------------------------------------ */

/* Entries of a folder whose name begins with `prefix`. */
static int entries(const char *path, const char *prefix)
{
    DIR *d = opendir(path);
    int n = 0;

    if (!d)
        return 0;
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.' && !strncmp(e->d_name, prefix, strlen(prefix));
    closedir(d);
    return n;
}

/* How the names of this folder's queues and segments begin; "" when there is
 * no folder. To be asked while it is there: the next one has other names. */
static void object_prefix(char prefix[RUNDIR_OBJECT_MAX])
{
    struct tp_opts opts = {0};
    int dir = rundir_open(&opts, false);

    prefix[0] = '\0';
    if (dir < 0)
        return;
    rundir_object(prefix, dir, "");
    close(dir);
}

/* How many names are left in the runtime folder and with this prefix. */
static int leftovers(const char *prefix)
{
    char path[RUNDIR_PATH_MAX];

    if (!prefix[0] || rundir_path(path) < 0)
        return 0;
    prefix++; /* without its slash */
    return entries(path, "") + entries("/dev/shm", prefix) +
           entries("/dev/mqueue", prefix);
}

static int clean_up(struct tour *t)
{
    char prefix[RUNDIR_OBJECT_MAX];
    pid_t server = t->server;
    int left, code;

    object_prefix(prefix);
    stop(t, SIGTERM);
    left = leftovers(prefix);
    code = tour_remove(t->dir);
    close(t->lock);
    if (code)
        return code;
    if (left)
        return cmd_error(CMD_IO, "%d names are left", left);
    if (server)
        printf("  SIGTERM to %ld: it has ended and removed its names. No "
               "process, no FIFO,\n  no queue, no segment, no socket, no file "
               "is left.\n",
               (long)server);
    return CMD_OK;
}

/* ---- the tour ----------------------------------------------------------- */

/* Whoever started us may have left us descriptors: they aren't a part of the
 * picture, and the server inherits them as well. */
static void note_strange(struct tour *t)
{
    for (int fd = 0; fd < FDS_MAX; fd++)
        t->strange[fd] = fcntl(fd, F_GETFD) >= 0;
}

static int prepare(struct tour *t)
{
    int found = 0;

    note_strange(t);
    cmd_on_stop(on_interrupt);
    (void)tours_clean(true, &found); /* if not, it has said why */
    t->lock = tour_make(t->dir);
    if (t->lock < 0)
        return cmd_fail(t->lock, NULL, "cannot make a folder '%s'", t->dir);
    snprintf(t->data, sizeof t->data, "%s/" TOUR_DATA, t->dir);
    t->cli.data = t->data;
    t->cli.instance = "demo";
    t->cli.transport = tp_all[0];
    if (setenv("XDG_RUNTIME_DIR", t->dir, 1) < 0)
        return cmd_fail(-ENOMEM, NULL, "cannot start");
    return 0;
}

/* Each step returns 0, or what a client call gave. */
static int steps(struct tour *t)
{
    static int (*const all[])(struct tour *) = {one_timetable, show_week,
                                                kill_and_restart, show_latency};
    int code = start(t);

    if (code)
        return code;
    show_processes(t);
    for (size_t i = 0; i < sizeof all / sizeof *all && !interrupted; i++) {
        int err = all[i](t);

        if (err && interrupted) /* a Ctrl-C is the server's, too */
            break;
        if (err < 0)
            return cmd_fail(err, NULL, "step %d of the tour failed", t->step);
        if (err > 0)
            return cmd_error(CMD_IO, "step %d of the tour failed", t->step);
    }
    return interrupted ? cmd_error(CMD_NO, "the tour was interrupted") : CMD_OK;
}

int cmd_demo(const struct cli *cli)
{
    struct tour t = {.cli = *cli};
    int code, cleaned;

    t.bold = isatty(STDOUT_FILENO) == 1;
    t.slow = t.bold && !cli->fast;
    puts("IPC Lab: one timetable in one process, five ways to talk to it");
    code = prepare(&t);
    if (!code)
        code = steps(&t);
    if (t.lock < 0)
        return code;
    heading(&t, "And everything is gone again");
    cleaned = clean_up(&t);
    return code ? code : cleaned;
}
