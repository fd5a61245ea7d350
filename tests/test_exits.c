/*
 * test_exits.c - ends, halts and clocks: what goes on when a process doesn't
 *
 *      told to end     SIGTERM, SIGINT, SIGHUP, its terminal closed
 *      parent gone     the server that was forked for it ends, too
 *      killed          and what `ipclab clean` finds of it
 *      stopped         SIGSTOP and SIGCONT: it was there all the time
 *      clock turned    CLOCK_REALTIME jumps: no wait is early
 *      PID used again  by somebody else: nobody is taken for another
 *
 * An end is clean when within a second no process of it is left, nor any file,
 * socket, queue or segment; for this the case becomes the one that orphans are
 * given to (prctl(2), PR_SET_CHILD_SUBREAPER).
 *
 * The clock isn't really turned: the calls that read or use it are wrapped,
 * and what the kernel would do is done here.
 *
 * It needs _GNU_SOURCE for unshare, sem_clockwait and usleep.
 */
#define _GNU_SOURCE
#include "wait.h"
#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LEN(a)    (sizeof(a) / sizeof *(a))
#define WITHIN_MS 1000 /* an end is over in this time */
#define TRIES     20   /* of what a busy machine may be too late for */
#define HOUR_NS   (3600 * INT64_C(1000000000))

/* ---- a running program --------------------------------------------------- */

struct program {
    const char *name; /* in the names of cases */
    const char *argv[8];
    const char *instance; /* whose queues and segments it makes; NULL = none */
    bool forks;           /* it forks a server */
};

/* The tour is run on a terminal, as a rule: then it takes its time. */
static const struct program serve = {"serve", {"serve"}, "default", false};
static const struct program over_pipe = {
    "pipe", {"-t", "pipe", "ping", "-c", "1000000"}, NULL, true};
static const struct program demo = {"demo", {"demo"}, "demo", true};
static const struct program fast_demo = {
    "demo-fast", {"demo", "--fast"}, "demo", true};
/* The same as demo; but the case goes on as soon as its server has names. */
static const struct program early_demo = {"demo-early", {"demo"}, "demo", true};
static const struct program spinning = {
    "serve-spin", {"-w", "spin", "serve"}, "default", false};
static const struct program spinning_pipe = {
    "pipe-spin",
    {"-w", "spin", "-t", "pipe", "ping", "-c", "1000000"},
    NULL,
    true};

/* One case: a program, and what is done to it. */
struct ending {
    const struct program *program;
    const char *by;
    int signal; /* that it gets */
    enum { SENT, TYPED, HUNG_UP } how;
};

static bool is_tour(const struct program *p)
{
    return p->instance && p->forks;
}

struct running {
    pid_t pid;
    int terminal;    /* the other side of its terminal; -1 = it has none */
    char text[4096]; /* what came from there first */
    char prefix[RUNDIR_OBJECT_MAX]; /* of its queues and segments; "" = none */
};

static void exec_program(const struct program *p)
{
    const char *argv[10] = {"ipclab"};

    for (size_t i = 0; p->argv[i]; i++)
        argv[i + 1] = p->argv[i];
    execv(harness_ipclab(), (char *const *)argv);
    _exit(127);
}

/* The demo makes a folder of its own: its path, or "". */
static void demo_folder(char path[300])
{
    DIR *d = opendir(harness_dir());

    path[0] = '\0';
    for (struct dirent *e; d && (e = readdir(d));)
        if (!strncmp(e->d_name, "ipclab-demo-", 12))
            snprintf(path, 300, "%.100s/%.150s", harness_dir(), e->d_name);
    if (d)
        closedir(d);
}

/* It has said so; where, depends on whether it has a terminal. (Its lock file
 * may be one that was there before.) */
static bool says_ready(const struct running *r)
{
    char path[300], line[16] = "";
    FILE *f;

    if (r->terminal >= 0)
        return strstr(r->text, "ready:") != NULL;
    snprintf(path, sizeof path, "%.100s/out", harness_dir());
    f = fopen(path, "r");
    if (f) {
        (void)!fgets(line, sizeof line, f); /* nothing yet */
        fclose(f);
    }
    return !strncmp(line, "ready:", 6);
}

/* Somebody has the first slot of a server. */
static bool has_client(const char *lock_file)
{
    struct flock l = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};
    int fd = open(lock_file, O_RDWR | O_CLOEXEC);
    bool taken = fd >= 0 && fcntl(fd, F_OFD_GETLK, &l) == 0;

    if (fd >= 0)
        close(fd);
    return taken && l.l_type != F_UNLCK;
}

/* Of a tour: it has connected over the last of its transports; of a fast one, it
 * is in the middle of a step. */
static bool is_ready(const struct running *r, const struct program *p)
{
    char path[400], folder[300];
    struct stat st;

    if (is_tour(p)) {
        demo_folder(folder);
        snprintf(path, sizeof path, "%s/ipclab/demo.socket", folder);
        if (p == &fast_demo) /* by then it may be over */
            return strstr(r->text, "added over pipe") != NULL;
        return p == &early_demo ? access(path, F_OK) == 0
                                : has_client(strcat(path, ".lock"));
    }
    if (!p->forks)
        return says_ready(r);
    /* The pipe's server holds the data file by now. */
    snprintf(path, sizeof path, "%.100s/data/ipclab/default.jsonl",
             harness_dir());
    return stat(path, &st) == 0;
}

/* How the names of its queues and segments begin, while its folder is there. */
static void learn_prefix(struct running *r, const struct program *p)
{
    char before[300], folder[300];

    r->prefix[0] = '\0';
    if (!p->instance)
        return;
    snprintf(before, sizeof before, "%s", getenv("XDG_RUNTIME_DIR"));
    demo_folder(folder);
    if (p->forks && !folder[0]) /* over already: it has no names */
        return;
    if (p->forks)
        setenv("XDG_RUNTIME_DIR", folder, 1);
    object_name(r->prefix, p->instance);
    setenv("XDG_RUNTIME_DIR", before, 1);
}

/* A terminal of its own, as when a window is opened. */
static void take_terminal(int master)
{
    int fd;

    setsid();
    fd = open(ptsname(master), O_RDWR);
    if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) < 0)
        _exit(126);
    for (int i = 0; i < 3; i++)
        dup2(fd, i);
    if (fd > 2)
        close(fd);
    close(master);
}

static void take_files(void)
{
    char path[300];

    snprintf(path, sizeof path, "%.100s/out", harness_dir());
    if (!freopen("/dev/null", "r", stdin) || !freopen(path, "w", stdout) ||
        dup2(1, 2) < 0)
        _exit(126);
}

static int open_terminal(void)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    REQUIRE(fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0);
    return fd;
}

/* Read what it writes: a full terminal would stop it. */
static void drain(struct running *r)
{
    struct pollfd p = {.fd = r->terminal, .events = POLLIN};
    size_t len = strlen(r->text);
    char rest[4096];

    while (r->terminal >= 0 && poll(&p, 1, 0) > 0) {
        bool fits = len + 1 < sizeof r->text;
        ssize_t n = read(r->terminal, fits ? r->text + len : rest,
                         fits ? sizeof r->text - 1 - len : sizeof rest);

        if (n <= 0)
            break;
        if (fits)
            len += (size_t)n;
    }
}

static struct running start(const struct program *p, bool terminal)
{
    struct running r = {.terminal = terminal ? open_terminal() : -1};
    int64_t begin = now_ms(0);
    char path[300];

    REQUIRE_INT(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
    setenv("TMPDIR", harness_dir(), 1);
    snprintf(path, sizeof path, "%.100s/out", harness_dir());
    (void)unlink(path); /* what an earlier one has said */
    r.pid = fork();
    REQUIRE(r.pid >= 0);
    if (r.pid == 0) {
        if (terminal)
            take_terminal(r.terminal);
        else
            take_files();
        exec_program(p);
    }
    while (!is_ready(&r, p)) {
        REQUIRE(now_ms(begin) < LONG_MS);
        drain(&r);
        usleep(1000);
    }
    learn_prefix(&r, p);
    return r;
}

/* A child of it, by what the kernel says; 0 when it has none. */
static pid_t child_of(pid_t pid)
{
    char path[64];
    long child = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid,
             (int)pid);
    f = fopen(path, "r");
    if (f && fscanf(f, "%ld", &child) != 1)
        child = 0;
    if (f)
        fclose(f);
    return (pid_t)child;
}

/* A process that nobody has waited for yet. */
static bool has_ended(pid_t pid)
{
    char path[64], state = '?';
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    f = fopen(path, "r");
    if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
        state = '?';
    if (f)
        fclose(f);
    return state == 'Z';
}

/* Waits until no process of it is left; how long that took. What the first
 * one ended with goes to *status. */
static int64_t await_end(struct running *r, int *status)
{
    int64_t begin = now_ms(0);
    int one;
    pid_t pid;

    for (;;) {
        pid = waitpid(-1, &one, WNOHANG);
        if (pid == r->pid)
            *status = one;
        if (pid < 0) /* ECHILD */
            return now_ms(begin);
        if (pid == 0)
            usleep(1000);
        drain(r);
        if (now_ms(begin) > LONG_MS) {
            harness_check(false, true, __FILE__, __LINE__,
                          "a process is left after %d ms", LONG_MS);
        }
    }
}

/* ---- what is left -------------------------------------------------------- */

static int entries(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;

    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

/* Queues have no listing: ask for every name that may have been made. */
static void expect_no_objects(const struct running *r)
{
    char name[RUNDIR_OBJECT_MAX + 32];

    if (!r->prefix[0])
        return;
    snprintf(name, sizeof name, "%s.shm", r->prefix);
    EXPECT(shm_unlink(name) < 0 && errno == ENOENT);
    for (int slot = -1; slot < TP_CLIENTS_MAX; slot++) {
        if (slot < 0)
            snprintf(name, sizeof name, "%s.mqueue", r->prefix);
        else
            snprintf(name, sizeof name, "%s.mqueue.%d", r->prefix, slot);
        EXPECT(mq_unlink(name) < 0 && errno == ENOENT);
    }
}

static void expect_nothing(const struct running *r)
{
    char path[300];

    snprintf(path, sizeof path, "%.100s/run/ipclab", harness_dir());
    EXPECT_INT(0, entries(path));
    demo_folder(path);
    EXPECT_STR("", path);
    expect_no_objects(r);
}

/* A command that goes on while the case does. */
static pid_t command(const struct program *p)
{
    pid_t pid = fork();

    REQUIRE(pid >= 0);
    if (pid == 0) {
        take_files();
        exec_program(p);
    }
    return pid;
}

/* Its exit code; -1 = it was killed. */
static int result_of(pid_t pid)
{
    int status = -1;

    REQUIRE(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Nobody has the data file any more: the next command gets it. */
static void expect_data_free(void)
{
    static const struct program list = {
        "list", {"-t", "pipe", "--timeout", "20000", "list"}, NULL, false};

    EXPECT_INT(0, result_of(command(&list)));
}

/* ---- told to end --------------------------------------------------------- */

/*
 * A server ends with 0. The tour says 1, it was interrupted. A command over a
 * pipe has nothing to clean up and dies of the signal; its server sees that
 * the pipe's other end is closed.
 */
static bool good_status(const struct ending *e, int status)
{
    int sig = e->signal;

    if (!e->program->forks)
        return status == 0;
    if (is_tour(e->program) && sig != SIGKILL)
        return WIFEXITED(status) && WEXITSTATUS(status) == 1;
    return WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

/* All that is promised of an end; the result is how long it took. */
static int64_t end_once(const void *arg)
{
    const struct ending *e = arg;
    /* The demo takes its time only on a terminal. */
    struct running r = start(e->program, e->how != SENT || is_tour(e->program));
    int64_t took;
    int status = -1;

    if (e->program->forks)
        for (int64_t begin = now_ms(0); !child_of(r.pid);)
            REQUIRE(now_ms(begin) < LONG_MS);
    if (e->how == SENT)
        kill(r.pid, e->signal);
    else if (e->how == TYPED) /* Ctrl-C: to all that are on the terminal */
        REQUIRE(write(r.terminal, "\003", 1) == 1);
    else
        close_fd(&r.terminal);
    took = await_end(&r, &status);
    harness_check(good_status(e, status), false, __FILE__, __LINE__,
                  "wait status %#x", (unsigned)status);
    close_fd(&r.terminal);
    expect_nothing(&r);
    if (!e->program->instance)
        expect_data_free();
    return took;
}

static void ends(const void *arg)
{
    world_in_time(end_once, arg, WITHIN_MS);
}

/* False when the tour was over before anybody could type. */
static bool typed_midway(void)
{
    struct running r = start(&fast_demo, true);
    int64_t begin = now_ms(0);
    pid_t server;
    int status = -1;

    kill(r.pid, SIGSTOP);
    REQUIRE(waitpid(r.pid, &status, WUNTRACED) == r.pid);
    if (WIFSTOPPED(status)) {
        REQUIRE(write(r.terminal, "\003", 1) == 1);
        server = child_of(r.pid); /* 0: it is just killing one */
        while (server && !has_ended(server) && now_ms(begin) < WITHIN_MS)
            usleep(1000);
        kill(r.pid, SIGCONT);
        (void)await_end(&r, &status); /* fails if it is never over */
    }
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    close_fd(&r.terminal);
    expect_nothing(&r);
    return status != 0;
}

/* In the middle of a step: Ctrl-C is the server's too, so the tour's next call
 * fails. That isn't a failure. */
static void demo_typed_midway(const void *arg)
{
    int tries = TRIES;

    (void)arg;
    while (tries > 0 && !typed_midway())
        tries--;
    EXPECT(tries > 0); /* it says that it was interrupted */
}

/* As `nohup` starts it: the terminal goes, and it serves on. */
static void hangup_ignored(const void *arg)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct running r;
    int status = -1;

    (void)arg;
    sigaction(SIGHUP, &ignore, NULL); /* it is inherited */
    r = start(&serve, true);
    close_fd(&r.terminal);
    for (int i = 0; i < 3; i++) { /* longer than a slice of its waits */
        usleep(100000);
        EXPECT_INT(0, waitpid(r.pid, &status, WNOHANG));
    }
    kill(r.pid, SIGTERM);
    (void)await_end(&r, &status); /* fails if it is never over */
    EXPECT_INT(0, status);
    expect_nothing(&r);
}

/* ---- killed -------------------------------------------------------------- */

static int64_t kill_once(const void *arg)
{
    struct running r = start(&demo, false); /* no SIGHUP from a terminal */
    char path[300], names[400];
    int64_t took;
    int status = -1;

    (void)arg;
    kill(r.pid, SIGKILL);
    took = await_end(&r, &status);
    expect_no_objects(&r);
    demo_folder(path);
    EXPECT(path[0]);
    snprintf(names, sizeof names, "%s/ipclab", path);
    EXPECT_INT(0, entries(names));
    return took;
}

/* The tour is killed: its server ends and removes its names, all within a
 * second. The folder and the data file in it are left to `ipclab clean`. */
static void demo_killed(const void *arg)
{
    world_in_time(kill_once, arg, WITHIN_MS);
}

/* `ipclab clean` says just this. */
static void expect_clean(const char *says)
{
    static const struct program clean = {"clean", {"clean"}, NULL, false};
    char path[300], text[1000] = "";
    FILE *f;

    EXPECT_INT(0, result_of(command(&clean)));
    snprintf(path, sizeof path, "%.100s/out", harness_dir());
    f = fopen(path, "r");
    REQUIRE(f != NULL);
    (void)!fread(text, 1, sizeof text - 1, f); /* nothing is "" */
    fclose(f);
    EXPECT_STR(says, text);
}

/* A tour is killed, and its server with it, so that nothing is removed.
 * Stopped first: else it would see its server die, and end. */
static struct running dead_tour(char folder[300])
{
    struct running r = start(&demo, true);
    pid_t server = child_of(r.pid);
    int status = -1;

    REQUIRE(server > 0);
    kill(r.pid, SIGSTOP);
    kill(server, SIGKILL);
    kill(r.pid, SIGKILL);
    await_end(&r, &status);
    close_fd(&r.terminal);
    demo_folder(folder);
    EXPECT(folder[0]); /* here it is */
    return r;
}

/* `clean` finds the private folder, and takes away all that belongs to it. */
static void demo_killed_twice(const void *arg)
{
    char folder[300], says[400];
    struct running r = dead_tour(folder);

    (void)arg;
    snprintf(says, sizeof says, "removed  demo    '%s'\n", folder);
    expect_clean(says);
    expect_nothing(&r);
    expect_clean("nothing to clean\n");
}

/* And so does the next tour, before it begins. */
static void demo_after_demo(const void *arg)
{
    char folder[300];
    struct running r = dead_tour(folder), next = start(&demo, true);
    int status = -1;

    (void)arg;
    EXPECT(access(folder, F_OK) < 0);
    kill(next.pid, SIGTERM);
    (void)await_end(&next, &status); /* fails if it is never over */
    close_fd(&next.terminal);
    expect_nothing(&next);
    expect_no_objects(&r); /* only now: both may have the same inode */
}

/* But not from a tour that goes on, nor from its server, which may outlive it
 * a little, nor what is none of ours. */
static void demo_not_cleaned(const void *arg)
{
    struct running r = start(&demo, true);
    char folder[300], says[400], other[300];
    int status = -1;
    pid_t server = child_of(r.pid);

    (void)arg;
    demo_folder(folder);
    snprintf(says, sizeof says, "in use   demo    '%s': left alone\n", folder);
    expect_clean(says);
    REQUIRE(server > 0 && kill(server, SIGSTOP) == 0);
    kill(r.pid, SIGKILL);
    REQUIRE(waitpid(r.pid, NULL, 0) == r.pid);
    expect_clean(says);
    kill(server, SIGCONT);
    (void)await_end(&r, &status); /* fails if it is never over */
    close_fd(&r.terminal);

    snprintf(other, sizeof other, "%.200s/mine", folder);
    REQUIRE_INT(0, mkdir(other, 0700));
    EXPECT_INT(74, result_of(command(&(struct program){.argv = {"clean"}})));
    EXPECT_INT(0, access(other, F_OK));
    REQUIRE_INT(0, rmdir(other));
    REQUIRE_INT(0, chmod(folder, 0750));
    expect_clean("nothing to clean\n");
    EXPECT_INT(0, access(folder, F_OK));
}

/* ---- stopped ------------------------------------------------------------- */

/* Who has been stopped may find its wait interrupted: signal(7) has a list of
 * the calls for which SIGCONT does that without a handler. client.c goes on. */
static void echo_anyway(struct tp_client *c, unsigned k)
{
    unsigned in = ~k;
    ssize_t n;

    do {
        n = tp_cli_send(c, &k, sizeof k, LONG_MS);
    } while (n == -EINTR);
    EXPECT_INT(0, n);
    do {
        n = tp_cli_recv(c, &in, sizeof in, LONG_MS);
    } while (n == -EINTR);
    REQUIRE_INT(sizeof in, n);
    EXPECT_INT(k, in);
}

static void halting_client(struct world *w, struct tp_client *c, unsigned i)
{
    char buf[16];
    ssize_t n;

    echo_anyway(c, i);
    gate_open(w, 0);
    /* It is stopped in this wait, or before or after it: all the same. */
    n = tp_cli_recv(c, buf, sizeof buf, 50);
    EXPECT(n == -ETIMEDOUT || n == -EINTR);
    for (unsigned k = 0; !atomic_load(&w->board->value[0]) || k < 10; k++)
        echo_anyway(c, k);
}

/* So quiet that the server has time to look about. */
static void quiet_client(struct world *w, struct tp_client *c, unsigned i)
{
    echo_once(c, 10, i);
    gate_open(w, 0);
    gate_wait(w, 1);
    for (unsigned k = 0; k < 20; k++)
        echo_once(c, 10, k);
    gate_open(w, 0);
}

/* A pause of either side in which the other one looks about several times. */
static void pause_both(void)
{
    int64_t begin = now_ms(0);

    while (now_ms(begin) < 2 * TP_NOTICE_MS)
        usleep(10000);
}

/* A client is stopped for longer than the server takes to notice a death: it
 * keeps its slot, isn't reported as gone, costs the other one nothing, and
 * goes on where it was. */
static void stopped_client(const void *arg)
{
    const struct param *p = arg;
    struct world w = {0};
    struct tp_client *c = NULL;

    world_open(&w, p, clients(2));
    world_serve(&w, world_tally);
    world_add(&w, halting_client);
    world_add(&w, quiet_client);
    world_drop(&w);
    gate_wait(&w, 0);
    gate_wait(&w, 0);
    kill(w.client[0], SIGSTOP);
    REQUIRE(waitpid(w.client[0], NULL, WUNTRACED) == w.client[0]);
    pause_both();
    if (is_named(p)) {
        w.opts.inherited = NULL;
        EXPECT_INT(-EBUSY, tp_cli_open(p->t, &c, &w.opts));
    }
    EXPECT_INT(0, atomic_load(&w.board->value[1]));
    gate_open(&w, 1);
    gate_wait(&w, 0); /* the other one has been served meanwhile */
    kill(w.client[0], SIGCONT);
    atomic_store(&w.board->value[0], 1);
    world_join_clients(&w);
    world_await_left(&w, 2, 0);
    EXPECT_INT(0, atomic_load(&w.board->value[2]));
    world_stop_server(&w);
}

/* Commands wait for a server that is stopped; then they are stopped, too, and
 * it goes on; then so do they. */
static void programs_stopped(const void *arg)
{
    struct running r = start(&serve, false);
    pid_t pids[8];
    int status = -1, n = 0;

    (void)arg;
    kill(r.pid, SIGSTOP);
    REQUIRE(waitpid(r.pid, NULL, WUNTRACED) == r.pid);
    for (int t = 0; tp_all[t]; t++)
        if (tp_all[t]->caps & TP_NAMED)
            pids[n++] = command(&(struct program){
                .argv = {"-t", tp_all[t]->name, "ping", "-c", "100"}});
    pause_both();
    for (int i = 0; i < n; i++) {
        EXPECT_INT(0, waitpid(pids[i], NULL, WNOHANG)); /* it waits */
        kill(pids[i], SIGSTOP);
        REQUIRE(waitpid(pids[i], NULL, WUNTRACED) == pids[i]);
    }
    kill(r.pid, SIGCONT);
    pause_both();
    for (int i = 0; i < n; i++)
        kill(pids[i], SIGCONT);
    for (int i = 0; i < n; i++)
        EXPECT_INT(0, result_of(pids[i]));
    kill(r.pid, SIGTERM);
    (void)await_end(&r, &status); /* fails if it is never over */
    EXPECT_INT(0, status);
    expect_nothing(&r);
}

/* ---- the clock is turned ------------------------------------------------- */

/* CLOCK_REALTIME as the library sees it: the machine's, and so much more. */
static int64_t turned_ns;
static int64_t turn_ns;         /* to turn it by in the next wait; 0 = don't */
static unsigned realtime_reads; /* how often somebody asked for it */
static unsigned realtime_waits; /* waits that end at a time of day */

#define TURN_AFTER_NS 10000000 /* this long after such a wait has begun */

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
ssize_t __real_mq_timedreceive(mqd_t q, char *buf, size_t n, unsigned *prio,
                               const struct timespec *at);
ssize_t __wrap_mq_timedreceive(mqd_t q, char *buf, size_t n, unsigned *prio,
                               const struct timespec *at);
int __real_mq_timedsend(mqd_t q, const char *buf, size_t n, unsigned prio,
                        const struct timespec *at);
int __wrap_mq_timedsend(mqd_t q, const char *buf, size_t n, unsigned prio,
                        const struct timespec *at);
int __real_sem_clockwait(sem_t *s, clockid_t clock, const struct timespec *at);
int __wrap_sem_clockwait(sem_t *s, clockid_t clock, const struct timespec *at);
int __real_sem_timedwait(sem_t *s, const struct timespec *at);
int __wrap_sem_timedwait(sem_t *s, const struct timespec *at);

static int64_t ns_of(const struct timespec *t)
{
    return t->tv_sec * INT64_C(1000000000) + t->tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
    if (ns < 0) /* mq_timedreceive(3) has no times before 1970 */
        ns = 0;
    return (struct timespec){.tv_sec = ns / 1000000000,
                             .tv_nsec = ns % 1000000000};
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    int r = __real_clock_gettime(clock, t);

    if (clock == CLOCK_REALTIME) {
        realtime_reads++;
        *t = timespec_of(ns_of(t) + turned_ns);
    }
    return r;
}

/* The time of day `at`, as the machine's own clock has it. */
static struct timespec on_machine(const struct timespec *at)
{
    return timespec_of(ns_of(at) - turned_ns);
}

/*
 * A wait until the time of day `at` begins. If the clock is to be turned
 * meanwhile: *first is when that happens, for the first part of the wait. (The
 * kernel's timer looks at the new time then, and ends at once if `at` is past
 * by it.)
 */
static bool turn_within(struct timespec *first, const struct timespec *at)
{
    struct timespec now;
    int64_t then;

    realtime_waits++;
    __real_clock_gettime(CLOCK_REALTIME, &now);
    then = ns_of(&now) + TURN_AFTER_NS;
    if (!turn_ns || ns_of(at) - turned_ns <= then)
        return false;
    *first = timespec_of(then);
    return true;
}

static void turn(void)
{
    turned_ns += turn_ns;
    turn_ns = 0;
}

ssize_t __wrap_mq_timedreceive(mqd_t q, char *buf, size_t n, unsigned *prio,
                               const struct timespec *at)
{
    struct timespec t;
    ssize_t r;

    if (turn_within(&t, at)) {
        r = __real_mq_timedreceive(q, buf, n, prio, &t);
        if (r >= 0 || errno != ETIMEDOUT)
            return r;
        turn();
    }
    t = on_machine(at);
    return __real_mq_timedreceive(q, buf, n, prio, &t);
}

int __wrap_mq_timedsend(mqd_t q, const char *buf, size_t n, unsigned prio,
                        const struct timespec *at)
{
    struct timespec t;
    int r;

    if (turn_within(&t, at)) {
        r = __real_mq_timedsend(q, buf, n, prio, &t);
        if (r == 0 || errno != ETIMEDOUT)
            return r;
        turn();
    }
    t = on_machine(at);
    return __real_mq_timedsend(q, buf, n, prio, &t);
}

int __wrap_sem_clockwait(sem_t *s, clockid_t clock, const struct timespec *at)
{
    realtime_waits += clock != CLOCK_MONOTONIC;
    return __real_sem_clockwait(s, clock, at);
}

int __wrap_sem_timedwait(sem_t *s, const struct timespec *at)
{
    realtime_waits++;
    return __real_sem_timedwait(s, at);
}

#define WAIT_MS 250 /* longer than a slice of TP_NOTICE_MS */

/* What a wait is called, and how it is done; -ETIMEDOUT is right. */
static ssize_t wait_for_reply(struct world *w, struct tp_client *c)
{
    char buf[16];

    (void)w;
    return tp_cli_recv(c, buf, sizeof buf, WAIT_MS);
}

static ssize_t wait_for_request(struct world *w, struct tp_client *c)
{
    char buf[16];
    tp_peer from;

    (void)c;
    return tp_srv_recv(w->srv, &from, buf, sizeof buf, WAIT_MS);
}

static ssize_t wait_for_room_in_queue(struct world *w, struct tp_client *c)
{
    int err = 0;

    (void)w;
    for (int k = 0; k < 10; k++) /* past the wrapper's depth; it may be full */
        (void)c->t->cli_send(c, "x", 1, 0);
    for (int k = 0; !err && k < 100; k++)
        err = c->t->cli_send(c, "x", 1, WAIT_MS);
    return err;
}

static bool is_queue(const struct param *p)
{
    return !strcmp(p->t->name, "mqueue");
}

/* One wait in which the clock is turned by so many ns. It may be `longer_ms`
 * late by that, but never early. */
static void turned_wait_once(struct world *w, struct tp_client *c,
                             ssize_t (*wait)(struct world *,
                                             struct tp_client *),
                             int64_t ns, int longer_ms)
{
    struct timespec a, b;
    int64_t took;

    clock_gettime(CLOCK_MONOTONIC, &a);
    EXPECT_INT(-ETIMEDOUT, wait(w, c));
    clock_gettime(CLOCK_MONOTONIC, &b);
    took = ns_of(&b) - ns_of(&a);
    harness_check(took >= WAIT_MS * INT64_C(1000000), false, __FILE__, __LINE__,
                  "turned by %lld ns, %d ms ended after %lld ns", (long long)ns,
                  WAIT_MS, (long long)took);
    EXPECT(took < (WAIT_MS + longer_ms + LONG_MS) * INT64_C(1000000));
}

/* On a busy machine a wait may be over before the clock can be turned in it:
 * then another one is needed. */
static void turned_wait(struct world *w, struct tp_client *c,
                        ssize_t (*wait)(struct world *, struct tp_client *),
                        int64_t ns, int longer_ms)
{
    turn_ns = ns;
    for (int k = 0; turn_ns && k < (is_queue(w->p) ? TRIES : 1); k++)
        turned_wait_once(w, c, wait, ns, longer_ms);
}

/* What only a queue does: a wait for a time of day. The others never ask what
 * time it is. */
static void check_waits(const struct param *p)
{
    if (is_queue(p)) {
        EXPECT(realtime_waits > 0);
        EXPECT_INT(0, turn_ns); /* the clock was turned */
    } else {
        EXPECT_INT(0, realtime_waits);
        EXPECT_INT(0, realtime_reads);
    }
}

/* A third of a second back: a wait for a time of day lasts as much longer. */
#define BACK_NS (-300 * INT64_C(1000000))

static void turned_client(struct world *w, struct tp_client *c, unsigned i)
{
    (void)i;
    turned_wait(w, c, wait_for_reply, HOUR_NS, 0);
    check_waits(w->p);
    if (is_queue(w->p)) {
        turned_wait(w, c, wait_for_reply, BACK_NS, 300);
        turned_wait(w, c, wait_for_room_in_queue, HOUR_NS, 0);
        check_waits(w->p);
    }
    gate_wait(w, 0); /* the server would be told that we left */
}

/* Each side has a clock of its own here, which is turned while it waits. */
static void turned(const void *arg)
{
    const struct param *p = arg;
    struct world w = {0};

    world_open(&w, p, clients(1));
    world_add(&w, turned_client);
    turned_wait(&w, NULL, wait_for_request, HOUR_NS, 0);
    check_waits(p);
    gate_open(&w, 0);
    world_join_clients(&w);
    tp_srv_close(w.srv);
}

/* ---- a PID is used again ------------------------------------------------- */

/* Runs a part of a case as the first process of a PID name space; false, and
 * skipped, when that isn't allowed. */
static bool in_pid_space(const struct param *p,
                         void (*run)(const struct param *p))
{
    int status = -1;
    pid_t outer = fork();

    if (outer == 0) { /* unshare is for children: and this one has one only */
        pid_t inner;

        if (unshare(CLONE_NEWPID) < 0)
            _exit(99);
        inner = fork();
        if (inner == 0) {
            run(p);
            _exit(0);
        }
        REQUIRE(inner > 0 && waitpid(inner, &status, 0) == inner);
        _exit(status != 0);
    }
    REQUIRE(outer > 0 && waitpid(outer, &status, 0) == outer);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 99) {
        harness_skip("no right to a PID name space");
        return false;
    }
    EXPECT_INT(0, status);
    return true;
}

static void idle_client(struct world *w, struct tp_client *c, unsigned i)
{
    echo_once(c, 10, i);
    gate_open(w, 0);
    pause();
}

/* A process with just this PID, which somebody had; it runs a client, or (w
 * is NULL) does nothing. */
static pid_t take_pid(pid_t pid, struct world *w)
{
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
    char text[16];
    pid_t heir;

    snprintf(text, sizeof text, "%d", (int)pid - 1);
    REQUIRE(fd >= 0);
    REQUIRE_INT((long long)strlen(text), write(fd, text, strlen(text)));
    close(fd);
    heir = fork();
    if (heir == 0) {
        if (w)
            idle_client(w, world_connect(w), 2);
        pause();
        _exit(0);
    }
    REQUIRE_INT(pid, heir);
    return heir;
}

/* A client is killed, and its PID lives on in somebody else: it has left all
 * the same, and its slot is free. Also when it is that one who takes it. */
static void heir_of_client(const struct param *p)
{
    struct world w = {0};
    pid_t dead, heir;

    world_open(&w, p, clients(1));
    world_serve(&w, world_tally);
    dead = world_add(&w, idle_client);
    w.client[0] = 0;
    world_drop(&w);
    gate_wait(&w, 0);
    world_kill(dead);
    heir = take_pid(dead, NULL);
    world_await_left(&w, 1, 0);
    if (is_named(p)) {
        struct tp_client *c = world_connect(&w);

        echo_once(c, 10, 1);
        tp_cli_close(c);
        world_await_left(&w, 2, 0);
        world_kill(heir);
        heir = take_pid(dead, &w);
        gate_wait(&w, 0);
        world_kill(heir);
        heir = take_pid(dead, &w);
        gate_wait(&w, 0);
        world_await_left(&w, 3, 0);
    }
    world_kill(heir);
    world_stop_server(&w);
}

/* The same of a server: the next one isn't refused. */
static void heir_of_server(const struct param *p)
{
    struct world w = {0};
    struct tp_client *c = NULL;
    pid_t dead, heir;

    world_open(&w, p, clients(1));
    dead = fork();
    if (dead == 0) {
        pause();
        _exit(0);
    }
    world_drop(&w);
    world_kill(dead);
    heir = take_pid(dead, NULL);
    EXPECT_INT(-ENOENT, tp_cli_open(p->t, &c, &w.opts));
    world_sweep(&w); /* serves under this name, and stops */
    world_kill(heir);
}

/* And of `ipclab serve`, which locks the data file, too. */
static void heir_of_program(const struct param *p)
{
    struct running r = start(&serve, false);
    int status = -1;
    pid_t heir;

    (void)p;
    world_kill(r.pid);
    heir = take_pid(r.pid, NULL);
    r = start(&serve, false);
    kill(r.pid, SIGTERM);
    REQUIRE(waitpid(r.pid, &status, 0) == r.pid);
    EXPECT_INT(0, status);
    expect_nothing(&r);
    world_kill(heir);
}

static void program_pid_again(const void *arg)
{
    (void)in_pid_space(arg, heir_of_program);
}

static void client_pid_again(const void *arg)
{
    (void)in_pid_space(arg, heir_of_client);
}

static void server_pid_again(const void *arg)
{
    (void)in_pid_space(arg, heir_of_server);
}

/* Two clients that both are process 1, each in a PID name space of its own,
 * where the server's own PID means nothing. */
static struct world *shared; /* the world that they meet in */

static void first_process(const struct param *p)
{
    struct tp_client *c = NULL;

    REQUIRE_INT(1, getpid());
    REQUIRE_INT(0, tp_cli_open(p->t, &c, &shared->opts));
    echo_once(c, 10, 1);
    gate_open(shared, 0);
    gate_wait(shared, 1);
    echo_once(c, 10, 2);
    gate_open(shared, 2);
    gate_wait(shared, 3);
    tp_cli_close(c);
    gate_open(shared, 0);
}

static void another_space(void)
{
    if (fork() == 0) {
        bool done = in_pid_space(shared->p, first_process);

        if (!done)
            gate_open(shared, 0);
        _exit(!done);
    }
}

/* A client leaves, and another one with the same PID lives: it keeps its slot,
 * and only one of them has left. */
static void same_pid_twice(const void *arg)
{
    const struct param *p = arg;
    struct world w = {0};
    struct tp_client *c = NULL;

    if (geteuid() != 0) {
        harness_skip("only root can make a PID name space");
        return;
    }
    world_open(&w, p, clients(2));
    world_serve(&w, world_tally);
    world_drop(&w);
    shared = &w;
    for (int i = 0; i < 2; i++) {
        another_space();
        gate_wait(&w, 0);
    }
    EXPECT_INT(-EBUSY, tp_cli_open(p->t, &c, &w.opts));
    for (int i = 0; i < 2; i++)
        gate_open(&w, 1);
    for (int i = 0; i < 2; i++)
        gate_wait(&w, 2);
    gate_open(&w, 3); /* one of them, whichever, leaves */
    gate_wait(&w, 0);
    world_await_left(&w, 1, 0);
    c = world_connect(&w);
    echo_once(c, 10, 3);
    {
        struct tp_client *third = NULL;

        EXPECT_INT(-EBUSY, tp_cli_open(p->t, &third, &w.opts));
    }
    EXPECT_INT(1, atomic_load(&w.board->value[1]));
    gate_open(&w, 3);
    tp_cli_close(c);
    world_await_left(&w, 3, 0);
    world_stop_server(&w);
    while (wait(NULL) > 0)
        ;
}

/* ---- the list ------------------------------------------------------------ */

static const struct ending endings[] = {
    {&serve, "term", SIGTERM, SENT},
    {&serve, "hup", SIGHUP, SENT},
    {&serve, "ctrl-c", SIGINT, TYPED},
    {&serve, "terminal-closed", SIGHUP, HUNG_UP},
    {&over_pipe, "term", SIGTERM, SENT},
    {&over_pipe, "hup", SIGHUP, SENT},
    {&over_pipe, "kill", SIGKILL, SENT},
    {&over_pipe, "ctrl-c", SIGINT, TYPED},
    {&over_pipe, "terminal-closed", SIGHUP, HUNG_UP},
    {&demo, "term", SIGTERM, SENT},
    {&demo, "hup", SIGHUP, SENT},
    {&demo, "ctrl-c", SIGINT, TYPED},
    {&demo, "terminal-closed", SIGHUP, HUNG_UP},
    {&early_demo, "term", SIGTERM, SENT},
    {&early_demo, "ctrl-c", SIGINT, TYPED},
    {&spinning, "term", SIGTERM, SENT},
    {&spinning_pipe, "kill", SIGKILL, SENT},
};

static const struct {
    const char *name;
    void (*run)(const void *param);
    bool named; /* not for a pipe, whose clients are always forked */
} each[] = {
    {"stopped-client", stopped_client, false},
    {"clock-turned", turned, false},
    {"client-pid-again", client_pid_again, false},
    {"server-pid-again", server_pid_again, true},
    {"same-pid-twice", same_pid_twice, true},
};

#define CASES 100 /* more than there are */

static struct param params[8];
static struct test_case cases[CASES];
static char names[CASES][48];

static void add(struct test_suite *suite, const char *of, const char *name,
                void (*run)(const void *), const void *arg)
{
    size_t n = suite->count++;

    snprintf(names[n], sizeof names[n], "%s/%s", of, name);
    cases[n] = (struct test_case){.name = names[n], .run = run, .arg = arg};
}

/* A case that failed half-way may have left queues and segments. */
static void sweep(const struct test_case *c)
{
    static const struct program clean = {"clean", {"clean"}, NULL, false};

    (void)c;
    setenv("TMPDIR", harness_dir(), 1);
    (void)result_of(command(&clean));
}

int main(int argc, char **argv)
{
    struct test_suite suite = {"exits", cases, 0, sweep};

    for (size_t i = 0; i < LEN(endings); i++) {
        const struct ending *e = &endings[i];

        add(&suite, e->program->name, e->by, ends, e);
    }
    add(&suite, "serve", "hup-ignored", hangup_ignored, NULL);
    add(&suite, "serve", "pid-again", program_pid_again, NULL);
    add(&suite, "demo", "ctrl-c-midway", demo_typed_midway, NULL);
    add(&suite, "demo", "kill", demo_killed, NULL);
    add(&suite, "demo", "kill-twice", demo_killed_twice, NULL);
    add(&suite, "demo", "after-demo", demo_after_demo, NULL);
    add(&suite, "demo", "not-cleaned", demo_not_cleaned, NULL);
    add(&suite, "serve", "stopped", programs_stopped, NULL);
    for (size_t t = 0; tp_all[t]; t++) {
        params[t] = (struct param){tp_all[t], TP_BLOCK, NULL};
        for (size_t k = 0; k < LEN(each); k++)
            if (!each[k].named || tp_all[t]->caps & TP_NAMED)
                add(&suite, tp_all[t]->name, each[k].name, each[k].run,
                    &params[t]);
    }
    return harness_main(argc, argv, &suite);
}
