/*
 * soak.c - 64 clients come, go and die for as long as you like
 *
 *      soak [--seed N] [--durability sync|none] SECONDS
 *
 * One server over all five transports. 64 clients ask at random, check every
 * answer, and go: most leave properly, one in four is killed with kill -9 at a
 * random moment, one in six is stopped for a while, one in eight is slow to
 * read. A pipe's channel serves one client once: so eight clients get the
 * channels of each new server, and stay as long as it does; who is killed of
 * them is replaced by one over another transport.
 *
 * A server's life is some seconds long. Then it is told to end (SIGTERM), or
 * killed, and the next one starts at once, while clients of the old one are
 * still about. Every few seconds, and after each start, there is a roll call:
 * who has a name leaves, and everything that was ever acknowledged is looked
 * for. In that quiet the server must have given back what the clients cost.
 *
 * All that is random follows from the seed, but not what the scheduler does:
 * the same seed gives the same kind of run, not the same run. Where the whole
 * group of processes is stopped for a while (SIGSTOP), the time doesn't count.
 *
 * It needs _GNU_SOURCE for MAP_ANONYMOUS.
 */
#define _GNU_SOURCE
#include "soak.h"
#include "random.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define SECONDS_MAX 604800 /* a week */
#define USAGE       64     /* exit code */
#define SAID_MAX    20     /* complaints printed */

struct desk *desk;
atomic_bool soak_over;

/* ---- what all parts use -------------------------------------------------- */

void soak_check(bool ok, enum check what, const char *format, ...)
{
    char text[300];
    va_list ap;

    atomic_fetch_add(ok ? &desk->passed[what] : &desk->failed[what], 1);
    if (ok || atomic_fetch_add(&desk->said, 1) >= SAID_MAX)
        return;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap); /* may be cut off */
    va_end(ap);
    (void)fprintf(stderr, "soak: FAIL %s\n", text);
}

void *soak_share(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        soak_give_up("cannot map memory");
    return p;
}

void soak_give_up(const char *what)
{
    (void)fprintf(stderr, "soak: %s: %s\n", what, strerror(errno));
    exit(1); /* the children end with us: PR_SET_PDEATHSIG */
}

void soak_pause(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / SEC, .tv_nsec = ns % SEC};

    (void)nanosleep(&t, NULL); /* a signal only makes it shorter */
}

uint64_t soak_below(uint64_t *random, uint64_t n)
{
    return random_next(random) % n;
}

/* ---- the report ---------------------------------------------------------- */

static void print_totals(const struct totals *t)
{
    printf("%u servers: %u killed, %u told to end; slowest start %lld ms, "
           "slowest end %lld ms\n",
           t->servers, t->server_kills, t->terms,
           (long long)t->slowest_start / NS_PER_MS,
           (long long)t->slowest_end / NS_PER_MS);
    printf("%llu clients: %u killed, %u stopped for a while, %llu dropped "
           "because they didn't read, %llu refused (EBUSY)\n",
           atomic_load(&desk->clients), t->kills, t->stops,
           atomic_load(&desk->dropped), atomic_load(&desk->refused));
    printf("%llu calls, %llu changes acknowledged; longest call %lld ms; a "
           "dead server was noticed within %lld ms\n",
           atomic_load(&desk->calls), atomic_load(&desk->changes),
           atomic_load(&desk->worst) / NS_PER_MS,
           atomic_load(&desk->notice) / NS_PER_MS);
    printf("%u roll calls; all events looked at %u times\n", t->roll_calls,
           t->looks);
    if (t->paused > 0)
        printf("stopped for %lld ms, which don't count\n",
               (long long)t->paused / NS_PER_MS);
}

/* 0, or 1 when something failed. */
static int report(const struct totals *t)
{
    static const char *const names[CHECKS] = {
        [ANSWERS] = "answers are right",
        [KEPT] = "what was acknowledged is there",
        [ONCE] = "once, and nothing else",
        [WAITS] = "calls and processes end in time",
        [SERVED] = "nobody is turned away without reason",
        [SERVERS] = "servers start, end, and leave nothing",
    };
    unsigned passed = 0, failed = 0;

    if (isatty(STDOUT_FILENO))
        puts("");
    print_totals(t);
    soak_table(&passed, &failed);
    puts("");
    for (int i = 0; i < CHECKS; i++) {
        unsigned long long good = atomic_load(&desk->passed[i]);
        unsigned long long bad = atomic_load(&desk->failed[i]);

        *(good > 0 && bad == 0 ? &passed : &failed) += 1;
        printf("%-38s %10llu times, %llu times not\n", names[i], good, bad);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}

/* ---- the command line ---------------------------------------------------- */

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *v)
{
    size_t len = strlen(text);

    if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
        return false;
    *v = strtoull(text, NULL, 10);
    return *v >= least && *v <= most;
}

static int usage(const char *expected, const char *value)
{
    (void)fprintf(stderr, "soak: %s, not '%s'\n", expected, value);
    return USAGE;
}

struct settings {
    uint64_t seconds, seed;
    bool sync;
};

static int read_line(int argc, char **argv, struct settings *s)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--seed") == 0) {
            if (!number(value, 0, 999999999999999999, &s->seed))
                return usage("--seed is a number from 0 on", value);
            i++;
        } else if (strcmp(argv[i], "--durability") == 0) {
            if (strcmp(value, "sync") != 0 && strcmp(value, "none") != 0)
                return usage("--durability is sync or none", value);
            s->sync = strcmp(value, "sync") == 0;
            i++;
        } else if (s->seconds != 0 ||
                   !number(argv[i], 1, SECONDS_MAX, &s->seconds)) {
            return usage("how many seconds? A number from 1 to 604800 is "
                         "expected",
                         argv[i]);
        }
    }
    if (s->seconds == 0) {
        (void)fputs("soak: usage: soak [--seed N] [--durability sync|none] "
                    "SECONDS\n",
                    stderr);
        return USAGE;
    }
    return 0;
}

/* ---- all of it ----------------------------------------------------------- */

/* The message queues of everything that this user runs count against one limit:
 * another test that runs beside us needn't be our failure. Root may raise it. */
static void raise_limit(void)
{
    struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};

    (void)setrlimit(RLIMIT_MSGQUEUE, &none); /* who may not, has it as it is */
}

static char folder[32] = "/tmp/ipclab-soak-XXXXXX";

static void make_folder(void)
{
    if (mkdtemp(folder) == NULL)
        soak_give_up("cannot make a folder in /tmp");
    (void)snprintf(soak_data, sizeof soak_data, "%s/soak.jsonl", folder);
    if (setenv("XDG_RUNTIME_DIR", folder, 1) != 0)
        soak_give_up("cannot set XDG_RUNTIME_DIR");
}

/* Our own two files; rmdir tells if there is anything else. */
static void remove_folder(void)
{
    char lock[80];

    (void)snprintf(lock, sizeof lock, "%s.lock", soak_data);
    (void)unlink(soak_data); /* gone already is as good */
    (void)unlink(lock);
    soak_check(rmdir(folder) == 0, SERVERS, "something is left in %s", folder);
}

static void on_over(int signal_number)
{
    (void)signal_number;
    atomic_store(&soak_over, true); /* lock-free: allowed in a handler */
}

static void handle_signals(void)
{
    struct sigaction end = {.sa_handler = on_over};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGINT, &end, NULL); /* these can't fail */
    (void)sigaction(SIGTERM, &end, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL); /* transport.h, section 5 */
}

int main(int argc, char **argv)
{
    struct settings s = {.seed = (uint64_t)clock_now_ns() / NS_PER_MS % 1000000,
                         .sync = true};
    struct totals t = {0};
    int code = read_line(argc, argv, &s);

    if (code != 0)
        return code;
    printf("soak: %d clients, %u s, journal %s, seed %" PRIu64 "\n", SEATS,
           (unsigned)s.seconds, s.sync ? "synced" : "not synced", s.seed);
    (void)fflush(stdout); /* before anything is forked */
    handle_signals();
    raise_limit();
    desk = soak_share(sizeof *desk);
    desk->seed = s.seed;
    make_folder();
    soak_make_data();
    soak_watch_begin((unsigned)s.seconds);
    soak_run((unsigned)s.seconds, s.sync, &t);
    soak_check_data(soak_living());
    remove_folder();
    return report(&t);
}
