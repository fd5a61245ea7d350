/*
 * test_machine.c - does the benchmark know where it is measured?
 *
 * Most machines of this world aren't at hand: they are trees of small files
 * in the case's folder, and for the files of /proc and /sys that machine.c
 * opens by their full name, fopen is wrapped (-Wl,--wrap) and looks below
 * that folder instead. So are getrusage and sched_getaffinity, which no file
 * answers for.
 *
 * It needs _GNU_SOURCE for cpu_set_t and sched_setaffinity.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "machine.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- the wrapped calls -------------------------------------------------- */

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __real_getrusage(int who, struct rusage *u);
int __wrap_getrusage(int who, struct rusage *u);
int __real_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);

static bool fake_files;         /* /proc and /sys are below harness_dir() */
static const char *used_by_us;  /* "": no time; "cs": 100 s children, 200 s
                                   ourselves; NULL: the truth */
static const int *fake_allowed; /* ended by -1; NULL: the truth */
static int affinity_error;      /* errno that sched_getaffinity gives */

/* As many CPUs as a kernel can have that needs 4 x 1,024 bits. */
#define MANY (4 * CPU_SETSIZE)

FILE *__wrap_fopen(const char *path, const char *mode)
{
    char below[300];

    if (!fake_files ||
        (strncmp(path, "/proc/", 6) != 0 && strncmp(path, "/sys/", 5) != 0))
        return __real_fopen(path, mode);
    (void)snprintf(below, sizeof below, "%s%s", harness_dir(), path);
    return __real_fopen(below, mode);
}

int __wrap_getrusage(int who, struct rusage *u)
{
    if (!used_by_us)
        return __real_getrusage(who, u);
    *u = (struct rusage){0};
    if (who == RUSAGE_CHILDREN && strchr(used_by_us, 'c'))
        u->ru_utime.tv_sec = 100;
    if (who == RUSAGE_SELF && strchr(used_by_us, 's')) {
        u->ru_utime.tv_sec = 149;
        u->ru_stime.tv_sec = 50;
        u->ru_stime.tv_usec = 1000000; /* 200 s together */
    }
    return 0;
}

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    if (affinity_error)
        errno = affinity_error;
    if (affinity_error)
        return -1;
    if (!fake_allowed)
        return __real_sched_getaffinity(pid, size, set);
    CPU_ZERO_S(size, set);
    for (const int *cpu = fake_allowed; *cpu >= 0; cpu++) {
        if ((size_t)*cpu >= size * 8 ||
            (*cpu >= CPU_SETSIZE && size * 8 < MANY)) {
            errno = EINVAL;
            return -1;
        }
        CPU_SET_S((size_t)*cpu, size, set);
    }
    return 0;
}

/* ---- files -------------------------------------------------------------- */

/* Write a file below the case's folder, with all folders on the way. */
static void put(const char *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(const char *text, const char *format, ...)
{
    char path[300];
    int len = snprintf(path, sizeof path, "%s/", harness_dir());
    va_list ap;
    FILE *f;

    va_start(ap, format);
    (void)vsnprintf(path + len, sizeof path - (size_t)len, format, ap);
    va_end(ap);
    for (char *p = strchr(path + len, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        (void)mkdir(path, 0700); /* there already: fine; else fopen says it */
        *p = '/';
    }
    f = __real_fopen(path, "w");
    REQUIRE(f != NULL);
    EXPECT(fputs(text, f) >= 0);
    EXPECT_INT(0, fclose(f));
}

/* ---- placements --------------------------------------------------------- */

#define CPUS_MAX 9

/* What the files of each CPU say; NULL = there is no such file. The third
 * level of cache stands behind two that every CPU has alone, as in life. */
struct tree {
    int cpus;
    const char *core[CPUS_MAX], *package[CPUS_MAX], *cache[CPUS_MAX];
    int allowed[CPUS_MAX];
    size_t count; /* of them; 0 = all */
    struct spot expected[PLACE_COUNT];
};

static void put_if(const char *text, int cpu, const char *file)
{
    if (text)
        put(text, "sys/cpu%d/%s", cpu, file);
}

static void plant(const struct tree *t)
{
    for (int i = 0; i < t->cpus; i++) {
        char alone[16];

        (void)snprintf(alone, sizeof alone, "%d\n", i);
        put_if(t->core[i], i, "topology/thread_siblings_list");
        put_if(t->package[i], i, "topology/physical_package_id");
        if (!t->cache[i])
            continue;
        for (int level = 1; level <= 3; level++) {
            char text[16];

            (void)snprintf(text, sizeof text, "%d\n", level);
            put(text, "sys/cpu%d/cache/index%d/level", i, level - 1);
            put(level == 3 ? t->cache[i] : alone,
                "sys/cpu%d/cache/index%d/shared_cpu_list", i, level - 1);
        }
    }
}

static void expect_spots(const struct spot *expected, const struct spot *got)
{
    for (int i = 0; i < PLACE_COUNT; i++)
        harness_check(
            expected[i].there == got[i].there &&
                (!got[i].there || (expected[i].client == got[i].client &&
                                   expected[i].server == got[i].server)),
            false, __FILE__, __LINE__,
            "placement %d: expected %d %d %d, got %d %d %d", i,
            expected[i].there, expected[i].client, expected[i].server,
            got[i].there, got[i].client, got[i].server);
}

static void placements(const void *arg)
{
    const struct tree *t = arg;
    struct spot spots[PLACE_COUNT];
    char sys[200];
    int all[CPUS_MAX];

    for (int i = 0; i < t->cpus; i++)
        all[i] = i;
    plant(t);
    (void)snprintf(sys, sizeof sys, "%s/sys", harness_dir());
    machine_place(spots, t->count ? t->allowed : all,
                  t->count ? t->count : (size_t)t->cpus, sys);
    expect_spots(t->expected, spots);
}

#define SPOT(client, server)                                                   \
    {                                                                          \
        true, client, server                                                   \
    }
#define ANYWHERE                                                               \
    {                                                                          \
        true, -1, -1                                                           \
    }

static const struct tree one_cpu = {
    .cpus = 1,
    .core = {"0\n"},
    .package = {"0\n"},
    .cache = {"0\n"},
    .expected = {[PLACE_SAME] = SPOT(0, 0), [PLACE_FREE] = ANYWHERE}};

static const struct tree one_core = {
    .cpus = 2,
    .core = {"0-1\n", "0-1\n"},
    .package = {"0\n", "0\n"},
    .cache = {"0-1\n", "0-1\n"},
    .expected = {[PLACE_SAME] = SPOT(1, 1),
                 [PLACE_CROSS] = SPOT(1, 0), /* there is no other core */
                 [PLACE_SMT] = SPOT(1, 0),
                 [PLACE_FREE] = ANYWHERE}};

static const struct tree two_caches = {
    .cpus = 4,
    .core = {"0\n", "1\n", "2\n", "3\n"},
    .package = {"0\n", "0\n", "0\n", "0\n"},
    .cache = {"0-1\n", "0-1\n", "2-3\n", "2-3\n"},
    .expected = {[PLACE_SAME] = SPOT(3, 3),
                 [PLACE_CROSS] = SPOT(3, 2),
                 [PLACE_CACHE] = SPOT(3, 2),
                 [PLACE_FREE] = ANYWHERE}};

/* The neighbour's number is next, its cache isn't. */
static const struct tree caches_in_turn = {
    .cpus = 4,
    .core = {"0\n", "1\n", "2\n", "3\n"},
    .package = {"0\n", "0\n", "0\n", "0\n"},
    .cache = {"0,2\n", "1,3\n", "0,2\n", "1,3\n"},
    .expected = {[PLACE_SAME] = SPOT(3, 3),
                 [PLACE_CROSS] = SPOT(3, 1),
                 [PLACE_CACHE] = SPOT(3, 1),
                 [PLACE_FREE] = ANYWHERE}};

/* Only one of the second cache's cores is ours: a pair is found elsewhere. */
static const struct tree some_allowed = {
    .cpus = 4,
    .core = {"0\n", "1\n", "2\n", "3\n"},
    .package = {"0\n", "0\n", "0\n", "0\n"},
    .cache = {"0-1\n", "0-1\n", "2-3\n", "2-3\n"},
    .allowed = {0, 1, 3},
    .count = 3,
    .expected = {[PLACE_SAME] = SPOT(3, 3),
                 [PLACE_CROSS] = SPOT(3, 1),
                 [PLACE_CACHE] = SPOT(1, 0),
                 [PLACE_FREE] = ANYWHERE}};

/* 2 packages of 2 cores of 2 threads, numbered as Linux mostly does: first
 * one thread of every core, then the other. */
#define BIG                                                                    \
    .cpus = 8, .core = {"0,4\n", "1,5\n", "2,6\n", "3,7\n",                    \
                        "0,4\n", "1,5\n", "2,6\n", "3,7\n"},                   \
    .package = {"0\n", "0\n", "1\n", "1\n", "0\n", "0\n", "1\n", "1\n"},       \
    .cache = {"0-1,4-5\n", "0-1,4-5\n", "2-3,6-7\n", "2-3,6-7\n",              \
              "0-1,4-5\n", "0-1,4-5\n", "2-3,6-7\n", "2-3,6-7\n"}

static const struct tree packages = {BIG,
                                     .expected = {[PLACE_SAME] = SPOT(7, 7),
                                                  [PLACE_CROSS] = SPOT(7, 6),
                                                  [PLACE_SMT] = SPOT(7, 3),
                                                  [PLACE_CACHE] = SPOT(7, 6),
                                                  [PLACE_PACKAGE] = SPOT(7, 5),
                                                  [PLACE_FREE] = ANYWHERE}};

/* Another package is better than a thread of the same core. */
static const struct tree package_or_thread = {
    BIG, .allowed = {1, 3, 7}, .count = 3,
    .expected = {[PLACE_SAME] = SPOT(7, 7),
                 [PLACE_CROSS] = SPOT(7, 1),
                 [PLACE_SMT] = SPOT(7, 3),
                 [PLACE_PACKAGE] = SPOT(7, 1),
                 [PLACE_FREE] = ANYWHERE}};

static const struct tree ranges = {
    .cpus = 9,
    .core = {"0-1\n", "0-1\n", "2-3\n", "2-3\n", "4-5\n", "4-5\n", "6-7\n",
             "6-7\n", "8\n"},
    .package = {"0\n", "0\n", "0\n", "0\n", "0\n", "0\n", "0\n", "0\n", "0\n"},
    .cache = {"0-3,8\n", "0-3,8\n", "0-3,8\n", "0-3,8\n", "4-7\n", "4-7\n",
              "4-7\n", "4-7\n", "0-3,8\n"},
    .expected = {[PLACE_SAME] = SPOT(8, 8),
                 [PLACE_CROSS] = SPOT(8, 3),
                 [PLACE_SMT] = SPOT(7, 6),
                 [PLACE_CACHE] = SPOT(8, 3),
                 [PLACE_FREE] = ANYWHERE}};

static const struct tree no_files = {.cpus = 3,
                                     .expected = {[PLACE_SAME] = SPOT(2, 2),
                                                  [PLACE_CROSS] = SPOT(2, 1),
                                                  [PLACE_FREE] = ANYWHERE}};

/* Empty, no number, below zero (an id that isn't known), too large. */
static const struct tree nonsense = {
    .cpus = 4,
    .core = {"", "none\n", "-1\n", "99999999999999999999\n"},
    .package = {"-1\n", "", "4294967297\n", "4294967296\n"},
    .cache = {"", "x\n", "-1\n", "99999999999999999999\n"},
    .expected = {[PLACE_SAME] = SPOT(3, 3),
                 [PLACE_CROSS] = SPOT(3, 2),
                 [PLACE_FREE] = ANYWHERE}};

/* The cores are known; of caches nothing is, of packages one. */
static const struct tree only_cores = {.cpus = 3,
                                       .core = {"0\n", "1\n", "2\n"},
                                       .package = {"0\n"},
                                       .expected = {[PLACE_SAME] = SPOT(2, 2),
                                                    [PLACE_CROSS] = SPOT(2, 1),
                                                    [PLACE_FREE] = ANYWHERE}};

/* No CPU is known to be ours. */
static void nowhere(const void *arg)
{
    const struct spot expected[PLACE_COUNT] = {[PLACE_FREE] = ANYWHERE};
    struct spot spots[PLACE_COUNT];

    (void)arg;
    machine_place(spots, NULL, 0, "/nowhere/at/all");
    expect_spots(expected, spots);
}

/* The list of threads under its newer name. */
static void newer_name(const void *arg)
{
    const int allowed[] = {0, 1, 2};
    struct spot spots[PLACE_COUNT];
    char sys[200];

    (void)arg;
    put("0\n", "sys/cpu0/topology/core_cpus_list");
    put("1-2\n", "sys/cpu1/topology/core_cpus_list");
    put("1-2\n", "sys/cpu2/topology/core_cpus_list");
    (void)snprintf(sys, sizeof sys, "%s/sys", harness_dir());
    machine_place(spots, allowed, COUNT(allowed), sys);
    EXPECT(spots[PLACE_SMT].there);
    EXPECT_INT(0, spots[PLACE_CROSS].server);
}

/* ---- a machine made of files -------------------------------------------- */

/* More CPUs than a cpu_set_t can name, a few of them ours. */
static void many_cpus(const void *arg)
{
    static const int allowed[] = {2, 5, CPU_SETSIZE, MANY - 1, -1};
    struct machine m;

    (void)arg;
    fake_files = true;
    fake_allowed = allowed;
    machine_look(&m);
    EXPECT_INT(4, m.allowed);
    EXPECT_INT(5, m.spots[PLACE_SAME].client);
    EXPECT_INT(2, m.spots[PLACE_CROSS].server);
    affinity_error = ENOSYS;
    machine_look(&m);
    EXPECT_INT(0, m.allowed);
    EXPECT(!m.spots[PLACE_SAME].there && m.spots[PLACE_FREE].there);
    affinity_error = EINVAL; /* for ever: it must give up one day */
    machine_look(&m);
    EXPECT_INT(0, m.allowed);
}

/* An empty machine: nothing is known, and nothing is made up. */
static void empty(const void *arg)
{
    struct machine m;

    (void)arg;
    fake_files = true;
    machine_look(&m);
    EXPECT_STR("", m.cpu);
    EXPECT_STR("", m.governor);
    EXPECT_STR("", m.mitigations);
    EXPECT(!m.smt);
    EXPECT_INT(0, m.mhz);
    EXPECT(m.spots[PLACE_SAME].there);
    machine_after(&m);
    EXPECT(isnan(m.stolen) && isnan(m.others));
}

struct vulnerabilities {
    struct {
        const char *file, *line;
    } says[5];
    const char *expected;
};

static const struct vulnerabilities some_cpus[] = {
    /* Before the processors were mended; page tables and a slow register. */
    {{{"meltdown", "Mitigation: PTI"},
      {"spectre_v2", "Mitigation: IBRS; IBPB: conditional; STIBP: conditional; "
                     "RSB filling; PBRSB-eIBRS: Not affected; BHI: Not "
                     "affected"},
      {"retbleed", "Mitigation: IBRS"},
      {"mds", "Mitigation: Clear CPU buffers; SMT vulnerable"},
      {"mmio_stale_data", "Mitigation: Clear CPU buffers; SMT vulnerable"}},
     "pti, ibrs, verw"},
    {{{"meltdown", "Not affected"},
      {"spectre_v2", "Mitigation: Retpolines; IBPB: conditional; STIBP: "
                     "always-on; RSB filling; PBRSB-eIBRS: Not affected"},
      {"retbleed", "Mitigation: untrained return thunk; SMT enabled with STIBP "
                   "protection"},
      {"spec_rstack_overflow", "Mitigation: safe RET"}},
     "retpolines, unret, safe ret"},
    {{{"spectre_v2", "Mitigation: Full generic retpoline, IBPB: always-on, "
                     "IBRS_FW, RSB filling"},
      {"spec_rstack_overflow", "Vulnerable: Safe RET, no microcode"}},
     "retpolines, safe ret, ibpb"},
    {{{"spectre_v2", "Mitigation: Enhanced / Automatic IBRS; IBPB: "
                     "conditional; PBRSB-eIBRS: SW sequence; BHI: SW loop, "
                     "KVM: SW loop"},
      {"reg_file_data_sampling", "Mitigation: Clear Register File"},
      {"indirect_target_selection",
       "Mitigation: Aligned branch/return thunks"}},
     "aligned thunks, bhb loop, verw"},
    {{{"retbleed", "Mitigation: IBPB; SMT disabled"},
      {"tsa", "Mitigation: Clear CPU buffers"}},
     "ibpb, verw"},
    /* Much is said here, and none of it is done at each call. */
    {{{"spec_rstack_overflow", "Vulnerable: Microcode, no safe RET"},
      {"mds", "Vulnerable: Clear CPU buffers attempted, no microcode; SMT "
              "vulnerable"},
      {"retbleed", "Mitigation: Enhanced IBRS"},
      {"meltdown", "Vulnerable"},
      {"spectre_v2", "Mitigation: Enhanced / Automatic IBRS; IBPB: "
                     "conditional; RSB filling; PBRSB-eIBRS: Not affected; "
                     "BHI: BHI_DIS_S"}},
     ""},
    {{{"spec_rstack_overflow", "Mitigation: IBPB on VMEXIT only"},
      {"meltdown", ""}},
     ""},
};

static void mitigations(const void *arg)
{
    const struct vulnerabilities *v = arg;
    struct machine m;

    fake_files = true;
    put("1\n", "sys/devices/system/cpu/smt/active");
    for (size_t i = 0; i < COUNT(v->says) && v->says[i].file; i++)
        put(v->says[i].line, "sys/devices/system/cpu/vulnerabilities/%s",
            v->says[i].file);
    machine_look(&m);
    EXPECT_STR(v->expected, m.mitigations);
    EXPECT(m.smt);
}

/* Two CPUs of three are ours, 1,000,000 ticks pass on each. */
static const char *const stat_before = "cpu  9 9 9 9 9 9 9 9 9 9\n"
                                       "cpu0 5 5 5 5 5 5 5 5 5 5\n"
                                       "cpu1 10 10 10 10 10 10 10 10 10 10\n"
                                       "cpu2 7 7 7 7 7 7 7 7 7 7\n"
                                       "intr 1 2 3\n";

struct activity {
    const char *after; /* cpu1's and cpu2's lines */
    const char *us;
    double stolen, others; /* NAN = can't be said */
};

/* Fields: user nice system idle iowait irq softirq steal guest guest_nice. */
static const struct activity activities[] = {
    {"cpu1 10 10 10 1000010 10 10 10 10 10 10\n"
     "cpu2 7 7 7 500007 500007 7 7 7 7 7\n",
     "", 0, 0},
    {"cpu1 100010 10 10 700010 10 10 10 200010 10 10\n"
     "cpu2 7 7 7 1000007 7 7 7 7 7 7\n",
     "", 0.1, 0.05},
    /* Each busy field counts once; guests are part of user. */
    {"cpu1 100010 50010 50010 600010 10 100010 100010 10 90010 40010\n"
     "cpu2 7 7 7 1000007 7 7 7 7 7 7\n",
     "", 0, 0.2},
    /* 1,000 s pass on both together at 100 ticks a second. */
    {"cpu1 40010 10 10 10010 10 10 10 10 10 10\n"
     "cpu2 7 7 10007 40007 7 7 7 7 7 7\n",
     "cs", 0, 0.2},
    {"cpu1 40010 10 10 10010 10 10 10 10 10 10\n"
     "cpu2 7 7 10007 40007 7 7 7 7 7 7\n",
     "s", 0, 0.3},
    /* The clocks differ a little: never below nothing, never above all. */
    {"cpu1 20010 10 10 30010 10 10 10 10 10 10\n"
     "cpu2 7 7 7 50007 7 7 7 7 7 7\n",
     "cs", 0, 0},
    /* A kernel that doesn't know stealing. */
    {"cpu1 1000010 10 10 10 10 10 10\n"
     "cpu2 7 7 7 1000007 7 7 7\n",
     "", 0, 0.5},
    /* One of ours isn't listed; no time passed; time ran backwards. */
    {"cpu1 100010 10 10 700010 10 10 10 200010 10 10\n", "", NAN, NAN},
    {"cpu1 10 10 10 10 10 10 10 10 10 10\n"
     "cpu2 7 7 7 7 7 7 7 7 7 7\n",
     "", NAN, NAN},
    {"cpu1 10 10 10 10 10 10 10 10 10 10\n"
     "cpu2 7 7 7 0 7 7 7 7 7 7\n",
     "", NAN, NAN},
};

static bool near(double expected, double got)
{
    return isnan(expected) ? isnan(got) : fabs(expected - got) < 1e-4;
}

static void busy(const void *arg)
{
    static const int allowed[] = {1, 2, -1};
    const struct activity *a = arg;
    struct machine m;
    char text[600];

    if (a->us[0] && sysconf(_SC_CLK_TCK) != 100) {
        EXPECT(sysconf(_SC_CLK_TCK) > 0);
        harness_skip("its numbers suppose 100 ticks a second");
        return;
    }
    fake_files = true;
    fake_allowed = allowed;
    used_by_us = "";
    put(stat_before, "proc/stat");
    machine_look(&m);
    EXPECT(isnan(m.stolen) && isnan(m.others) && isnan(m.load_after));
    (void)snprintf(text, sizeof text,
                   "cpu  1 1 1 1 1 1 1 1 1 1\n"
                   "cpu0 900000 0 0 0 0 0 0 900000 0 0\n%s"
                   "intr 1 2 3\n",
                   a->after);
    put(text, "proc/stat");
    used_by_us = a->us;
    machine_after(&m);
    harness_check(near(a->stolen, m.stolen) && near(a->others, m.others), false,
                  __FILE__, __LINE__,
                  "expected stolen %g, others %g; got %g, %g", a->stolen,
                  a->others, m.stolen, m.others);
    EXPECT(m.load_after >= 0);
}

/* ---- this machine ------------------------------------------------------- */

static void real(const void *arg)
{
    const struct spot *s;
    struct machine m;
    cpu_set_t set;

    (void)arg;
    machine_look(&m);
    s = m.spots;
    EXPECT_INT(0, strncmp(m.kernel, "Linux ", 6));
    EXPECT(m.clock_ns > 0 && m.clock_ns < 1e5 && m.harness_ns >= m.clock_ns);
    EXPECT(m.allowed >= 1);
    REQUIRE(s[PLACE_SAME].there && s[PLACE_FREE].there);
    EXPECT_INT(s[PLACE_SAME].client, s[PLACE_SAME].server);
    EXPECT(s[PLACE_CROSS].there == (m.allowed > 1));
    CPU_ZERO(&set);
    REQUIRE_INT(0, sched_getaffinity(0, sizeof set, &set));
    for (int i = 0; i < PLACE_COUNT; i++)
        if (s[i].there && i != PLACE_FREE) {
            EXPECT(CPU_ISSET((size_t)s[i].client, &set));
            EXPECT(CPU_ISSET((size_t)s[i].server, &set));
            EXPECT((s[i].client == s[i].server) == (i == PLACE_SAME));
        }
    machine_after(&m);
    EXPECT(m.load_after >= 0);
    EXPECT(isnan(m.stolen) || (m.stolen >= 0 && m.stolen <= 1));
    EXPECT(isnan(m.others) || (m.others >= 0 && m.others <= 1));
}

#define BURN_S 0.4
#define SLACK  0.1 /* ticks of 10 ms, in 0.4 s, at both ends; and some more */

static double seconds(clockid_t clock)
{
    struct timespec t;

    REQUIRE_INT(0, clock_gettime(clock, &t));
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void burn(double for_s)
{
    double until = seconds(CLOCK_MONOTONIC) + for_s;

    while (seconds(CLOCK_MONOTONIC) < until)
        ;
}

/* Look, on one CPU alone: there whatever one has, the others haven't. */
static double look_on_one(struct machine *m)
{
    struct spot same;
    cpu_set_t set;

    machine_look(m);
    same = m->spots[PLACE_SAME];
    REQUIRE(same.there);
    CPU_ZERO(&set);
    CPU_SET((size_t)same.client, &set);
    REQUIRE_INT(0, sched_setaffinity(0, sizeof set, &set));
    machine_look(m);
    EXPECT_INT(1, m->allowed);
    return seconds(CLOCK_MONOTONIC);
}

static bool no_proc_stat(const struct machine *m)
{
    if (!isnan(m->others))
        return false;
    harness_skip("no /proc/stat here");
    return true;
}

static void wait_for(pid_t pid)
{
    int status;

    REQUIRE_INT(pid, waitpid(pid, &status, 0));
}

/* What we compute is ours, and so is what a child did that we waited for:
 * whatever `others` is, there isn't more of the CPU left for it. */
static bool own_is_ours(bool in_child)
{
    struct machine m;
    double start = look_on_one(&m), own = seconds(CLOCK_PROCESS_CPUTIME_ID);
    struct rusage u;
    pid_t pid = in_child ? fork() : -1;

    if (pid == 0) {
        burn(BURN_S);
        _exit(0);
    }
    if (in_child)
        wait_for(pid);
    else
        burn(BURN_S);
    REQUIRE_INT(0, getrusage(RUSAGE_CHILDREN, &u));
    own = seconds(CLOCK_PROCESS_CPUTIME_ID) - own + (double)u.ru_utime.tv_sec +
          (double)u.ru_utime.tv_usec / 1e6;
    machine_after(&m);
    own /= seconds(CLOCK_MONOTONIC) - start;
    if (no_proc_stat(&m))
        return true;
    if (m.others > 1 - own + SLACK) {
        printf("  others had %.2f of a CPU of which %.2f was ours\n", m.others,
               own);
        return false;
    }
    if (own < 0.5 + SLACK)
        harness_skip("this CPU is too busy to tell");
    return true;
}

static pid_t start_burner(clockid_t *clock)
{
    pid_t pid = fork();

    if (pid == 0)
        for (;;)
            ;
    REQUIRE(pid > 0);
    REQUIRE_INT(0, clock_getcpuclockid(pid, clock));
    return pid;
}

/* A process that we haven't waited for is in nobody's account: to us it looks
 * like another program. Once it has ended it is a child like others. */
static bool others_are_others(bool unused)
{
    const struct timespec nap = {.tv_nsec = (long)(BURN_S * 1e9)};
    struct machine m;
    double start = look_on_one(&m), burnt;
    clockid_t clock;
    pid_t pid = start_burner(&clock);
    bool ok;

    (void)unused;
    EXPECT_INT(0, nanosleep(&nap, NULL));
    burnt = seconds(clock) / (seconds(CLOCK_MONOTONIC) - start);
    machine_after(&m);
    /* What is stolen meanwhile some kernels book on the process as well. */
    ok = isnan(m.others) || m.others + m.stolen >= burnt - SLACK;
    if (!ok)
        printf("  a process burnt %.2f, others had %.2f, stolen %.2f\n", burnt,
               m.others, m.stolen);
    EXPECT_INT(0, kill(pid, SIGKILL));
    wait_for(pid);
    machine_after(&m);
    if (no_proc_stat(&m) || m.others <= 1 - burnt + SLACK)
        return ok;
    printf("  a child burnt %.2f, and others had %.2f as well\n", burnt,
           m.others);
    return false;
}

/* The kernel may count by looking who has the CPU at each tick: where many want
 * it, that is a guess. A good one is enough. */
static void guessed(bool (*good)(bool), bool in_child)
{
    int tries = 10;

    while (tries > 0 && !good(in_child))
        tries--;
    EXPECT(tries > 0);
}

static void own_work(const void *arg)
{
    guessed(own_is_ours, *(const bool *)arg);
}

static void others_work(const void *arg)
{
    (void)arg;
    guessed(others_are_others, false);
}

/* ---- the suite ---------------------------------------------------------- */

static const bool by_child = true, by_ourselves = false;

static const struct test_case cases[] = {
    {.name = "place/one-cpu", .run = placements, .arg = &one_cpu},
    {.name = "place/one-core", .run = placements, .arg = &one_core},
    {.name = "place/two-caches", .run = placements, .arg = &two_caches},
    {.name = "place/caches-in-turn", .run = placements, .arg = &caches_in_turn},
    {.name = "place/some-allowed", .run = placements, .arg = &some_allowed},
    {.name = "place/packages", .run = placements, .arg = &packages},
    {.name = "place/package-or-thread",
     .run = placements,
     .arg = &package_or_thread},
    {.name = "place/ranges", .run = placements, .arg = &ranges},
    {.name = "place/no-files", .run = placements, .arg = &no_files},
    {.name = "place/nonsense", .run = placements, .arg = &nonsense},
    {.name = "place/only-cores", .run = placements, .arg = &only_cores},
    {.name = "place/nowhere", .run = nowhere},
    {.name = "place/newer-name", .run = newer_name},
    {.name = "look/many-cpus", .run = many_cpus},
    {.name = "look/empty", .run = empty},
    {.name = "look/pti", .run = mitigations, .arg = &some_cpus[0]},
    {.name = "look/retpolines", .run = mitigations, .arg = &some_cpus[1]},
    {.name = "look/older-kernel", .run = mitigations, .arg = &some_cpus[2]},
    {.name = "look/bhb-loop", .run = mitigations, .arg = &some_cpus[3]},
    {.name = "look/ibpb", .run = mitigations, .arg = &some_cpus[4]},
    {.name = "look/nothing-done", .run = mitigations, .arg = &some_cpus[5]},
    {.name = "look/only-for-guests", .run = mitigations, .arg = &some_cpus[6]},
    {.name = "after/idle", .run = busy, .arg = &activities[0]},
    {.name = "after/stolen", .run = busy, .arg = &activities[1]},
    {.name = "after/all-fields", .run = busy, .arg = &activities[2]},
    {.name = "after/less-all-ours", .run = busy, .arg = &activities[3]},
    {.name = "after/less-our-own", .run = busy, .arg = &activities[4]},
    {.name = "after/not-negative", .run = busy, .arg = &activities[5]},
    {.name = "after/no-stealing", .run = busy, .arg = &activities[6]},
    {.name = "after/cpu-missing", .run = busy, .arg = &activities[7]},
    {.name = "after/no-time", .run = busy, .arg = &activities[8]},
    {.name = "after/backwards", .run = busy, .arg = &activities[9]},
    {.name = "real/look", .run = real},
    {.name = "real/own-work", .run = own_work, .arg = &by_ourselves},
    {.name = "real/childs-work", .run = own_work, .arg = &by_child},
    {.name = "real/others-work", .run = others_work},
};

static const struct test_suite suite = {
    .name = "machine", .cases = cases, .count = COUNT(cases)};

int main(int argc, char **argv)
{
    return harness_main(argc, argv, &suite);
}
