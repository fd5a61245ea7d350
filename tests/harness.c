/*
 * harness.c - runs the cases of one test program; see harness.h
 *
 *   runner (CUnit, subreaper)
 *     \_ case process: own process group, alarm, private folders
 *          \_ whatever the case forks
 *
 * Every process below the case writes its failures into one pipe, whose write
 * end the runner closes: so what it reads up to end-of-file is every failure,
 * and the end-of-file itself says that nobody is left.
 *
 * It needs _GNU_SOURCE for strerrorname_np, pipe2 and unshare.
 */
#define _GNU_SOURCE
#include "harness.h"

#include "rundir.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX     4000 /* bytes of failure text kept for one case */
#define CASE_SECONDS 60   /* ends what hangs; a busy machine isn't that */

/* What the processes of a case count together (a shared page). */
struct shared {
    atomic_uint checks;
    atomic_uint skipped;
};

struct result {
    bool ran, ok, skipped;
    double seconds;
    char text[TEXT_MAX];
};

static struct {
    const struct test_suite *suite;
    struct result *results;
    struct shared *shared;
    int failures; /* write end of the failure pipe, in a case */
    char dir[64]; /* the case's folder */
    const char *program;
    bool verbose;
} run;

/* ---- inside a case ------------------------------------------------------ */

const char *harness_dir(void)
{
    return run.dir;
}

/* "" = it isn't there. Looked for until it is found: then it stays found, also
 * for cases that go to other folders. */
static const char *find_ipclab(void)
{
    static char path[PATH_MAX];
    const char *given = getenv("IPCLAB_BIN");

    if (!path[0] && !realpath(given ? given : "build/ipclab", path))
        path[0] = '\0';
    return path;
}

const char *harness_ipclab(void)
{
    const char *path = find_ipclab();

    if (!path[0]) {
        fputs("no 'ipclab': build it first, or set IPCLAB_BIN\n", stderr);
        exit(1);
    }
    return path;
}

/* One write: lines of several processes don't mix (pipe(7), PIPE_BUF). */
static void say(const char *file, int line, const char *text)
{
    char buf[1024];
    const char *base = strrchr(file, '/');
    int n = snprintf(buf, sizeof buf, "  %s:%d: %s\n", base ? base + 1 : file,
                     line, text);

    if (n >= (int)sizeof buf) {
        n = sizeof buf - 1;
        buf[n - 1] = '\n';
    }
    (void)!write(run.failures, buf, (size_t)n); /* nobody left to tell */
}

void harness_check(bool ok, bool fatal, const char *file, int line,
                   const char *format, ...)
{
    char text[900];
    va_list ap;

    atomic_fetch_add(&run.shared->checks, 1);
    if (ok)
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    say(file, line, text);
    if (fatal)
        _exit(1);
}

static const char *number(long long v, char *buf, size_t cap)
{
    const char *name = v < 0 && v > -4096 ? strerrorname_np((int)-v) : NULL;

    if (name)
        snprintf(buf, cap, "%lld (-%s)", v, name);
    else
        snprintf(buf, cap, "%lld", v);
    return buf;
}

void harness_int(long long expected, long long got, bool fatal,
                 const char *file, int line, const char *what)
{
    char e[64], g[64];

    harness_check(expected == got, fatal, file, line, "%s: expected %s, got %s",
                  what, number(expected, e, sizeof e),
                  number(got, g, sizeof g));
}

void harness_str(const char *expected, const char *got, const char *file,
                 int line, const char *what)
{
    bool ok = expected == got || (expected && got && !strcmp(expected, got));

    harness_check(ok, false, file, line,
                  "%s: expected \"%.300s\", got \"%.300s\"", what,
                  expected ? expected : "(null)", got ? got : "(null)");
}

void harness_bytes(const void *expected, const void *got, size_t len,
                   const char *file, int line, const char *what)
{
    const unsigned char *e = expected, *g = got;
    size_t i = 0;

    while (i < len && e[i] == g[i])
        i++;
    harness_check(i == len, false, file, line,
                  "%s: byte %zu of %zu: expected %02x, got %02x", what, i, len,
                  i < len ? e[i] : 0, i < len ? g[i] : 0);
}

void harness_skip(const char *format, ...)
{
    char text[300];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    atomic_fetch_add(&run.shared->skipped, 1);
    atomic_fetch_add(&run.shared->checks, 1);
    printf("  skipped: %s\n", text);
    fflush(stdout);
}

/* ---- what a case could leave behind ------------------------------------- */

/* Calls each() for every entry of a folder whose name doesn't begin with a
 * dot. */
static int entries(const char *path, void (*each)(const char *, const char *))
{
    DIR *d = opendir(path);
    int n = 0;

    if (!d)
        return 0;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') {
            n++;
            if (each)
                each(path, e->d_name);
        }
    closedir(d);
    return n;
}

static void leaked_file(const char *path, const char *name)
{
    harness_check(false, false, __FILE__, __LINE__, "left behind: %s/%s", path,
                  name);
}

static void check_clean(const struct test_case *c, int descriptors)
{
    char path[128];

    harness_check(entries("/proc/self/fd", NULL) == descriptors, false,
                  __FILE__, __LINE__, "descriptors: expected %d, got %d",
                  descriptors, entries("/proc/self/fd", NULL));
    snprintf(path, sizeof path, "%s/run/ipclab", run.dir);
    entries(path, leaked_file);
    if (run.suite->leftovers)
        run.suite->leftovers(c);
}

/* ---- being ended -------------------------------------------------------- */

static const int end_signals[] = {SIGTERM, SIGINT, SIGHUP};
static volatile sig_atomic_t ended_by; /* the signal; 0 = none */
static volatile sig_atomic_t running;  /* the case's process group; 0 = none */

/* The case's processes go, and run_case tidies up as after any case. */
static void on_end(int sig)
{
    ended_by = sig;
    if (running > 0)
        kill(-(pid_t)running, SIGKILL);
}

/* Of the runner. What its caller has it ignore (nohup) stays ignored. */
static void end_on_signals(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct sigaction before;

    for (size_t i = 0; i < sizeof end_signals / sizeof *end_signals; i++)
        if (!sigaction(end_signals[i], NULL, &before) &&
            before.sa_handler != SIG_IGN)
            sigaction(end_signals[i], &action, NULL);
}

/* ---- running one case --------------------------------------------------- */

/* How many times longer a case may take: under valgrind, say, which makes all
 * twenty times slower. IPCLAB_TEST_SLOW says it; 1 to 100. */
static unsigned slowness(void)
{
    const char *text = getenv("IPCLAB_TEST_SLOW");
    unsigned long times = text ? strtoul(text, NULL, 10) : 1;

    return times >= 1 && times <= 100 ? (unsigned)times : 1;
}

/* The handler is the runner's. And what the runner ignores on its caller's
 * wish (nohup; SIGINT, when a script starts it with &) would be ignored by
 * every program that a case starts, and tells to end. */
static void take_signals_back(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};

    for (size_t i = 0; i < sizeof end_signals / sizeof *end_signals; i++)
        sigaction(end_signals[i], &usual, NULL);
}

static void case_process(const struct test_case *c)
{
    char path[128];
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    int descriptors;

    setpgid(0, 0);
    take_signals_back();
    sigaction(SIGPIPE, &ignore, NULL);
    alarm((c->seconds ? c->seconds : CASE_SECONDS) * slowness());
    snprintf(path, sizeof path, "%s/run", run.dir);
    mkdir(path, 0700);
    setenv("XDG_RUNTIME_DIR", path, 1);
    snprintf(path, sizeof path, "%s/data", run.dir);
    mkdir(path, 0700);
    setenv("XDG_DATA_HOME", path, 1);
    descriptors = entries("/proc/self/fd", NULL);
    c->run(c->arg);
    if (!atomic_load(&run.shared->checks))
        harness_check(false, false, c->name, 0, "the case checked nothing");
    check_clean(c, descriptors);
    fflush(NULL);
    _exit(0);
}

/* A segment lies outside the case's folder, but is named after it. */
static void remove_segments(void)
{
    char prefix[RUNDIR_OBJECT_MAX];
    struct tp_opts opts = {0};
    int dir = rundir_open(&opts, false);
    DIR *d = opendir("/dev/shm");

    if (dir >= 0)
        rundir_object(prefix, dir, "");
    for (struct dirent *e; dir >= 0 && d && (e = readdir(d));)
        if (!strncmp(e->d_name, prefix + 1, strlen(prefix + 1))) /* no slash */
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    if (dir >= 0)
        close(dir);
}

/* A case that ended too early may have left names. Failures were reported
 * already; this cleans up, for the next case's sake. */
static void clean_after(const struct test_case *c)
{
    pid_t pid = fork();

    if (pid == 0) {
        char path[128];

        snprintf(path, sizeof path, "%s/run", run.dir);
        setenv("XDG_RUNTIME_DIR", path, 1);
        run.failures = -1;
        if (run.suite->leftovers)
            run.suite->leftovers(c);
        remove_segments();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static int remove_entry(const char *path, const struct stat *st, int flag,
                        struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    remove(path);
    return 0;
}

/* Reads failures until every writer has gone, or the case's leader has and
 * only strays are left holding the pipe. */
static void collect(int fd, pid_t pid, struct result *r, int *status)
{
    size_t len = 0;
    bool dead = false;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, dead ? 0 : 20);
        ssize_t n;

        if (ready > 0) {
            char buf[1024];

            n = read(fd, buf, sizeof buf);
            if (n <= 0)
                break;
            if ((size_t)n > sizeof r->text - 1 - len)
                n = (ssize_t)(sizeof r->text - 1 - len);
            memcpy(r->text + len, buf, (size_t)n);
            len += (size_t)n;
        } else if (dead) {
            break;
        }
        if (!dead && waitpid(pid, status, WNOHANG) == pid)
            dead = true;
    }
    if (!dead)
        waitpid(pid, status, 0);
    r->text[len] = '\0';
}

static void add_text(struct result *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_text(struct result *r, const char *format, ...)
{
    size_t len = strlen(r->text);
    va_list ap;

    va_start(ap, format);
    vsnprintf(r->text + len, sizeof r->text - len, format, ap);
    va_end(ap);
}

/* Ends what the case left running, and says so when there was something. */
static void reap_strays(pid_t group, struct result *r)
{
    int strays = 0;

    for (int i = 0; i < 20; i++) { /* let those already dying finish */
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (kill(-group, 0) < 0)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    kill(-group, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        strays++;
    add_text(r, "  left %d process(es) running\n", strays);
}

static void run_case(const struct test_case *c, struct result *r)
{
    struct timespec a, b;
    int fds[2], status = 0;
    pid_t pid;

    snprintf(run.dir, sizeof run.dir, "/tmp/ipclab-test-XXXXXX");
    if (!mkdtemp(run.dir) || pipe2(fds, O_CLOEXEC) < 0) {
        add_text(r, "  cannot prepare: %s\n", strerror(errno));
        return;
    }
    memset(run.shared, 0, sizeof *run.shared);
    clock_gettime(CLOCK_MONOTONIC, &a);
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        run.failures = fds[1];
        case_process(c);
    }
    setpgid(pid, pid); /* both do it: whoever comes first */
    running = pid;
    if (ended_by)
        on_end(ended_by); /* it came before there was a group */
    close(fds[1]);
    collect(fds[0], pid, r, &status);
    close(fds[0]);
    reap_strays(pid, r);
    running = 0;
    clock_gettime(CLOCK_MONOTONIC, &b);
    if (WIFSIGNALED(status) || WEXITSTATUS(status) || r->text[0])
        clean_after(c);
    nftw(run.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    r->seconds =
        (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
    if (WIFSIGNALED(status))
        add_text(r, "  killed by signal %d%s\n", WTERMSIG(status),
                 WTERMSIG(status) == SIGALRM ? ": not done in time" : "");
    else if (WEXITSTATUS(status) && !r->text[0])
        add_text(r, "  exit code %d\n", WEXITSTATUS(status));
    r->ran = true;
    r->ok = !r->text[0];
    r->skipped = atomic_load(&run.shared->skipped) > 0;
}

/* What CUnit calls for every test: the name says which case. */
static void cunit_case(void)
{
    const char *name = CU_get_current_test()->pName;

    for (size_t i = 0; i < run.suite->count; i++) {
        const struct test_case *c = &run.suite->cases[i];
        struct result *r = &run.results[i];

        if (strcmp(c->name, name) || ended_by)
            continue;
        run_case(c, r);
        if (!r->ok)
            printf("FAIL %s/%s\n%s  again: %s -k %s\n", run.suite->name,
                   c->name, r->text, run.program, c->name);
        else if (run.verbose)
            printf("%s %s/%s (%.2f s)\n", r->skipped ? "skip" : "ok  ",
                   run.suite->name, c->name, r->seconds);
        fflush(stdout);
        CU_assertImplementation(r->ok, 0, c->name, __FILE__, "", CU_FALSE);
    }
}

/* ---- results ------------------------------------------------------------ */

static void xml_text(FILE *f, const char *s)
{
    for (; *s; s++)
        if (*s == '<' || *s == '>' || *s == '&' || *s == '"')
            fprintf(f, "&#%d;", *s);
        else if ((unsigned char)*s >= ' ' || *s == '\n')
            putc(*s, f);
}

static int write_junit(const char *path, unsigned ran, unsigned failed)
{
    FILE *f = fopen(path, "w");

    if (!f) {
        fprintf(stderr, "cannot write '%s': %s\n", path, strerror(errno));
        return -1;
    }
    fprintf(f,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuite name=\"%s\" tests=\"%u\" failures=\"%u\">\n",
            run.suite->name, ran, failed);
    for (size_t i = 0; i < run.suite->count; i++) {
        const struct result *r = &run.results[i];

        if (!r->ran)
            continue;
        fprintf(f, "  <testcase classname=\"%s\" name=\"", run.suite->name);
        xml_text(f, run.suite->cases[i].name);
        fprintf(f, "\" time=\"%.3f\">", r->seconds);
        if (r->skipped)
            fprintf(f, "<skipped/>");
        if (!r->ok) {
            fprintf(f, "<failure message=\"failed\">");
            xml_text(f, r->text);
            fprintf(f, "</failure>");
        }
        fprintf(f, "</testcase>\n");
    }
    fprintf(f, "</testsuite>\n");
    return fclose(f);
}

/* ---- main --------------------------------------------------------------- */

static bool selected(const char *name, char **keys, int n)
{
    for (int i = 0; i < n; i++)
        if (strstr(name, keys[i]))
            return true;
    return n == 0;
}

static int register_cases(char **keys, int n)
{
    CU_pSuite suite;
    int count = 0;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return -1;
    suite = CU_add_suite(run.suite->name, NULL, NULL);
    for (size_t i = 0; suite && i < run.suite->count; i++)
        if (selected(run.suite->cases[i].name, keys, n)) {
            if (!CU_add_test(suite, run.suite->cases[i].name, cunit_case))
                return -1;
            count++;
        }
    return count;
}

static int usage(void)
{
    fprintf(stderr, "usage: %s [-l] [-v] [-k TEXT]... [-x FILE]\n",
            run.program);
    return 64;
}

int harness_main(int argc, char **argv, const struct test_suite *suite)
{
    char *keys[16];
    const char *xml = NULL;
    int opt, n = 0, count;
    unsigned failed;

    run.suite = suite;
    run.program = argv[0];
    (void)find_ipclab();
    while ((opt = getopt(argc, argv, "lvk:x:")) != -1) {
        if (opt == 'l') {
            for (size_t i = 0; i < suite->count; i++)
                puts(suite->cases[i].name);
            return 0;
        } else if (opt == 'v')
            run.verbose = true;
        else if (opt == 'k' && n < 16)
            keys[n++] = optarg;
        else if (opt == 'x')
            xml = optarg;
        else
            return usage();
    }
    if (optind < argc)
        return usage();
    run.results = calloc(suite->count, sizeof *run.results);
    run.shared = mmap(NULL, sizeof *run.shared, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* As root, message queues of our own, which end with us: those that a
     * killed test left would use up the user's limit until the next boot. */
    (void)unshare(CLONE_NEWIPC);
    count = register_cases(keys, n);
    if (!run.results || run.shared == MAP_FAILED || count < 0) {
        fprintf(stderr, "%s: cannot start\n", run.program);
        return 1;
    }
    if (count == 0) {
        fprintf(stderr, "%s: no such case\n", run.program);
        return 64;
    }
    end_on_signals(on_end);
    CU_run_all_tests();
    if (ended_by) {
        end_on_signals(SIG_DFL);
        raise(ended_by); /* so that the caller sees it */
    }
    failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    if (xml && write_junit(xml, (unsigned)count, failed) < 0)
        failed++;
    printf("%s: %u passed, %u failed\n", suite->name, (unsigned)count - failed,
           failed);
    free(run.results);
    return failed ? 1 : 0;
}
