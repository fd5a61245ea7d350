/*
 * machine.c - see machine.h
 *
 * All of it comes from small text files: /proc/cpuinfo, /proc/stat, and below
 * /sys what proc(5) and Documentation/admin-guide/cputopology.rst describe.
 * No file, no answer: a container or another processor may lack any of them.
 *
 * Left out on purpose: NUMA nodes (a package's own nodes differ less than two
 * packages do), and CPU quotas of cgroups, which stop a process for a while
 * but don't say where it runs.
 *
 * It needs _GNU_SOURCE for sched_getaffinity, cpu_set_t and getloadavg.
 */
#define _GNU_SOURCE
#include "machine.h"

#include "clock.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SYS_CPU "/sys/devices/system/cpu"

/* ---- small files of /proc and /sys -------------------------------------- */

/* The first line of a file without its newline, cut to `cap`; "" when there
 * is none. */
static void read_text(char *out, size_t cap, const char *path)
{
    FILE *f = fopen(path, "r");

    out[0] = '\0';
    if (!f)
        return;
    if (!fgets(out, (int)cap, f))
        out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    (void)fclose(f); /* only read */
}

static void read_line(char out[MACHINE_TEXT], const char *path)
{
    read_text(out, MACHINE_TEXT, path);
}

/* If `line` is "key   : value", copy the value. */
static bool take_field(char out[MACHINE_TEXT], const char *line,
                       const char *key)
{
    const char *value = strchr(line, ':');

    if (!value || strncmp(line, key, strlen(key)) != 0)
        return false;
    value += strspn(value, ": \t");
    (void)snprintf(out, MACHINE_TEXT, "%.*s", (int)strcspn(value, "\n"), value);
    return true;
}

/* x86 says "model name" and "hypervisor" among its flags; other processors
 * name themselves in other words, or not at all. */
static void look_at_cpu(struct machine *m)
{
    char line[8192], mhz[MACHINE_TEXT] = "";
    FILE *f = fopen("/proc/cpuinfo", "r");

    if (!f)
        return;
    while (fgets(line, sizeof line, f)) {
        (void)(take_field(m->cpu, line, "model name") ||
               take_field(m->cpu, line, "Model") ||
               take_field(m->cpu, line, "uarch") ||
               take_field(mhz, line, "cpu MHz"));
        if (strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor"))
            (void)snprintf(m->hypervisor, MACHINE_TEXT, "yes");
    }
    (void)fclose(f); /* only read */
    m->mhz = (int)strtol(mhz, NULL, 10);
}

static void look_at_hypervisor(struct machine *m)
{
    char text[MACHINE_TEXT];

    read_line(text, "/sys/hypervisor/type");
    if (!text[0] && m->hypervisor[0])
        read_line(text, "/sys/class/dmi/id/sys_vendor");
    if (text[0])
        memcpy(m->hypervisor, text, sizeof text);
    m->container = access("/.dockerenv", F_OK) == 0 ||
                   access("/run/.containerenv", F_OK) == 0;
}

/* ---- what measuring costs ----------------------------------------------- */

/* One reading. The best of some batches: a slower one was interrupted. */
static double clock_cost(void)
{
    int64_t best = INT64_MAX;

    for (int batch = 0; batch < 20; batch++) {
        int64_t start = clock_now_ns(), took;

        for (int i = 0; i < 998; i++)
            (void)clock_now_ns();
        took = clock_now_ns() - start;
        best = took < best ? took : best;
    }
    return (double)best / 999;
}

/* What the loops of measure.c add to each request. */
static double harness_cost(void)
{
    enum { TURNS = 1000 };
    uint32_t sample[TURNS];
    volatile uint32_t *keep = sample;
    int64_t best = INT64_MAX;

    for (int batch = 0; batch < 20; batch++) {
        int64_t start = clock_now_ns(), from, to = start;

        for (int i = 0; i < TURNS; i++) {
            from = clock_now_ns();
            to = clock_now_ns();
            keep[i] = (uint32_t)(to - from);
        }
        best = to - start < best ? to - start : best;
    }
    return (double)best / TURNS;
}

/* ---- mitigations -------------------------------------------------------- */

/*
 * What a processor's leak is answered with is one line a file, and the parts
 * of the line that cost something at each system call or switch are these
 * (Documentation/admin-guide/hw-vuln). Enhanced IBRS, RSB filling and IBPB
 * "conditional" aren't here: they cost nothing at these places, or only the
 * processes that asked for them.
 */
static const struct costly {
    const char *file, *part, *word;
} costly[] = {
    /* Page tables are changed on each way into the kernel and out of it. */
    {"meltdown", "PTI", "pti"},
    /* A slow register is written on each way in. */
    {"spectre_v2", "IBRS", "ibrs"},
    {"retbleed", "IBRS", "ibrs"},
    /* Indirect calls and returns within the kernel take a detour. */
    {"spectre_v2", "Retpolines", "retpolines"},
    {"spectre_v2", "Full generic retpoline", "retpolines"}, /* before 5.17 */
    {"retbleed", "untrained return thunk", "unret"},
    {"retbleed", "Stuffing", "call depth"},
    {"spec_rstack_overflow", "Safe RET", "safe ret"},
    {"indirect_target_selection", "Aligned branch/return thunks",
     "aligned thunks"},
    /* What the branch predictor learned is thrown away: on each way in, or at
     * each switch to another process. */
    {"retbleed", "IBPB", "ibpb"},
    {"spec_rstack_overflow", "IBPB", "ibpb"},
    {"spectre_v2", "IBPB: always-on", "ibpb"},
    {"spectre_v2", "BHI: SW loop", "bhb loop"},
    {"spectre_v2", "BHB", "bhb loop"}, /* 64-bit ARM */
    /* Buffers are cleared on each way out, by the instruction VERW. */
    {"mds", "Clear CPU buffers", "verw"},
    {"tsx_async_abort", "Clear CPU buffers", "verw"},
    {"mmio_stale_data", "Clear CPU buffers", "verw"},
    {"tsa", "Clear CPU buffers", "verw"},
    {"reg_file_data_sampling", "Clear Register File", "verw"},
};

/* Is `part` one of the parts of "Mitigation: part; part, part"? A whole one:
 * "no safe RET" isn't "Safe RET", nor "IBPB on VMEXIT only" "IBPB". Behind
 * "Vulnerable:" stands what is done all the same. Kernels differ in case. */
static bool has_part(const char *line, const char *part)
{
    const char *at = strchr(line, ':');
    size_t len = strlen(part);

    while (at) {
        at++;
        at += strspn(at, " ");
        if (strcspn(at, ";,") == len && strncasecmp(at, part, len) == 0)
            return true;
        at = strpbrk(at, ";,");
    }
    return false;
}

static void look_at_mitigations(struct machine *m)
{
    char path[128], line[512];
    size_t len = 0;

    for (size_t i = 0; i < sizeof costly / sizeof costly[0]; i++) {
        const struct costly *c = &costly[i];

        (void)snprintf(path, sizeof path, SYS_CPU "/vulnerabilities/%s",
                       c->file);
        read_text(line, sizeof line, path);
        /* No word here is a part of another one. */
        if (!has_part(line, c->part) || strstr(m->mitigations, c->word))
            continue;
        (void)snprintf(m->mitigations + len, sizeof m->mitigations - len,
                       "%s%s", len ? ", " : "", c->word);
        len = strlen(m->mitigations);
    }
}

/* ---- which CPUs we may use ---------------------------------------------- */

struct ours {
    int list[CPU_SETSIZE]; /* rising: what processes can be placed on */
    size_t count;
    int all; /* and those that a cpu_set_t can't name */
};

/* False: this set is too small for this machine, or it can't be found out. */
static bool get_affinity(struct ours *o, size_t size, bool *bigger)
{
    size_t bytes = CPU_ALLOC_SIZE(size);
    cpu_set_t *set = CPU_ALLOC(size);
    bool good;

    *bigger = false;
    if (!set)
        return false;
    CPU_ZERO_S(bytes, set);
    good = sched_getaffinity(0, bytes, set) == 0;
    if (good) {
        o->all = CPU_COUNT_S(bytes, set);
        for (int i = 0; i < CPU_SETSIZE; i++)
            if (CPU_ISSET_S((size_t)i, bytes, set))
                o->list[o->count++] = i;
    } else {
        *bigger = errno == EINVAL;
    }
    CPU_FREE(set);
    return good;
}

/* sched_getaffinity(2) says EINVAL when the kernel can have more CPUs than
 * the set can hold: then try a larger one. An offline CPU is never in it. */
static void look_at_ours(struct ours *o)
{
    bool bigger = true;

    *o = (struct ours){.count = 0};
    for (size_t size = CPU_SETSIZE; bigger && size <= 1 << 20; size *= 2)
        if (get_affinity(o, size, &bigger))
            return;
}

/* ---- placements --------------------------------------------------------- */

/* Of a core or a cache we know which CPUs share it, as a list ("0-3,8"). All
 * who share it have the same list, and it is rising: so its first number is
 * as good a name as any. -1 = not known. */
struct cpu {
    int number, core, cache, package;
};

/* The number at which the file begins, or -1. */
static int sys_number(const char *sys, int cpu, const char *file)
{
    char path[400], text[MACHINE_TEXT], *end;
    long v;

    if (snprintf(path, sizeof path, "%s/cpu%d/%s", sys, cpu, file) >=
        (int)sizeof path)
        return -1;
    read_line(text, path);
    v = strtol(text, &end, 10);
    return end == text || v < 0 || v > INT_MAX ? -1 : (int)v;
}

/* The cache of the highest level. */
static int last_cache(const char *sys, int cpu)
{
    int highest = -1, shared = -1;

    for (int i = 0;; i++) {
        char file[64];
        int level;

        (void)snprintf(file, sizeof file, "cache/index%d/level", i);
        level = sys_number(sys, cpu, file);
        if (level < 0)
            return shared;
        (void)snprintf(file, sizeof file, "cache/index%d/shared_cpu_list", i);
        if (level > highest) {
            highest = level;
            shared = sys_number(sys, cpu, file);
        }
    }
}

static void look_at_topology(struct cpu *c, int number, const char *sys)
{
    c->number = number;
    c->core = sys_number(sys, number, "topology/thread_siblings_list");
    if (c->core < 0) /* its newer name, should the old one go one day */
        c->core = sys_number(sys, number, "topology/core_cpus_list");
    c->cache = last_cache(sys, number);
    c->package = sys_number(sys, number, "topology/physical_package_id");
}

/* How well two CPUs fit a placement: 0 = not at all. */
typedef int fit(const struct cpu *a, const struct cpu *b);

static int fits_cross(const struct cpu *a, const struct cpu *b)
{
    if (a->core >= 0 && a->core == b->core)
        return 1; /* better than none */
    return a->cache >= 0 && a->cache == b->cache ? 3 : 2;
}

static int fits_smt(const struct cpu *a, const struct cpu *b)
{
    return a->core >= 0 && a->core == b->core;
}

static int fits_cache(const struct cpu *a, const struct cpu *b)
{
    return a->core >= 0 && b->core >= 0 && a->core != b->core &&
           a->cache >= 0 && a->cache == b->cache;
}

static int fits_package(const struct cpu *a, const struct cpu *b)
{
    return a->package >= 0 && b->package >= 0 && a->package != b->package;
}

/* The pair that fits best; of equals the one with the highest numbers. One of
 * the last `clients` CPUs is the client. */
static struct spot best_pair(const struct cpu *cpu, size_t count,
                             size_t clients, fit *fits)
{
    struct spot best = {false, -1, -1};
    int best_fit = 0;

    for (size_t c = count; c > count - clients; c--)
        for (size_t s = count; s > 0; s--) {
            int how = c == s ? 0 : fits(&cpu[c - 1], &cpu[s - 1]);

            if (how > best_fit) {
                best_fit = how;
                best =
                    (struct spot){true, cpu[c - 1].number, cpu[s - 1].number};
            }
        }
    return best;
}

void machine_place(struct spot spots[PLACE_COUNT], const int *allowed,
                   size_t count, const char *sys)
{
    struct cpu cpu[CPU_SETSIZE];

    count = count < CPU_SETSIZE ? count : CPU_SETSIZE;
    for (size_t i = 0; i < count; i++)
        look_at_topology(&cpu[i], allowed[i], sys);
    for (int i = 0; i < PLACE_COUNT; i++)
        spots[i] = (struct spot){i == PLACE_FREE, -1, -1};
    if (count == 0)
        return; /* not known which: nothing can be placed */
    spots[PLACE_SAME] =
        (struct spot){true, allowed[count - 1], allowed[count - 1]};
    spots[PLACE_CROSS] = best_pair(cpu, count, 1, fits_cross);
    spots[PLACE_SMT] = best_pair(cpu, count, count, fits_smt);
    spots[PLACE_CACHE] = best_pair(cpu, count, count, fits_cache);
    spots[PLACE_PACKAGE] = best_pair(cpu, count, count, fits_package);
}

/* ---- how busy it is ----------------------------------------------------- */

/* What stands in machine.before: seconds since some moment, of all CPUs we
 * may use together. NAN = /proc/stat doesn't say. */
enum { TOTAL, BUSY, STOLEN, OWN };

static double seconds_of(int who)
{
    struct rusage u;

    if (getrusage(who, &u) < 0)
        return NAN;
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* A line of proc_stat(5): "cpu3 user nice system idle iowait irq softirq
 * steal ...", in ticks. Guests, which follow, are part of user. */
static void add_cpu(double sum[4], const char *line)
{
    enum { IDLE = 3, IOWAIT, STEAL = 7, FIELDS };
    const double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    char *at = NULL;

    (void)strtoul(line + strlen("cpu"), &at, 10); /* the CPU's number */
    for (int i = 0; i < FIELDS; i++) {
        double s = (double)strtoull(at, &at, 10) * tick;

        sum[TOTAL] += s;
        if (i == STEAL)
            sum[STOLEN] += s;
        else if (i != IDLE && i != IOWAIT)
            sum[BUSY] += s;
    }
}

static bool is_ours(const struct ours *o, const char *line)
{
    long number = -1;

    if (line[3] >= '0' && line[3] <= '9') /* else: the sum of all */
        number = strtol(line + 3, NULL, 10);
    for (size_t i = 0; i < o->count; i++)
        if (o->list[i] == number)
            return true;
    return false;
}

static void read_counters(double now[4])
{
    struct ours ours;
    size_t found = 0;
    char line[512];
    FILE *f = fopen("/proc/stat", "r");

    look_at_ours(&ours);
    for (int i = TOTAL; i <= STOLEN; i++)
        now[i] = 0;
    now[OWN] = seconds_of(RUSAGE_SELF) + seconds_of(RUSAGE_CHILDREN);
    while (f && fgets(line, sizeof line, f) && strncmp(line, "cpu", 3) == 0)
        if (is_ours(&ours, line)) {
            add_cpu(now, line);
            found++;
        }
    if (f)
        (void)fclose(f); /* only read */
    if (found == 0 || found < ours.count)
        now[TOTAL] = NAN; /* and with it all that is divided by it */
}

/* The two clocks (ticks there, nanoseconds here) may differ by a little. */
static double share(double part, double all)
{
    if (!(all > 0) || isnan(part))
        return NAN;
    return part < 0 ? 0 : part < all ? part / all : 1;
}

void machine_after(struct machine *m)
{
    double now[4], load;

    read_counters(now);
    for (int i = TOTAL; i <= OWN; i++)
        now[i] -= m->before[i];
    m->stolen = share(now[STOLEN], now[TOTAL]);
    m->others = share(now[BUSY] - now[OWN], now[TOTAL]);
    m->load_after = getloadavg(&load, 1) == 1 ? load : NAN;
}

/* ---- all of it ---------------------------------------------------------- */

static void look_at_kernel(struct machine *m)
{
    struct utsname uts;
    char text[MACHINE_TEXT];

    if (uname(&uts) == 0)
        (void)snprintf(m->kernel, sizeof m->kernel, "%.30s %.60s %.30s",
                       uts.sysname, uts.release, uts.machine);
    read_line(m->governor, SYS_CPU "/cpu0/cpufreq/scaling_governor");
    read_line(m->clock_source, "/sys/devices/system/clocksource/clocksource0/"
                               "current_clocksource");
    read_line(text, SYS_CPU "/smt/active");
    m->smt = strcmp(text, "1") == 0;
}

void machine_look(struct machine *m)
{
    struct ours ours;

    *m = (struct machine){.load_after = NAN, .stolen = NAN, .others = NAN};
    look_at_cpu(m);
    look_at_hypervisor(m);
    look_at_kernel(m);
    look_at_mitigations(m);
    look_at_ours(&ours);
    m->cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    m->allowed = ours.all;
    machine_place(m->spots, ours.list, ours.count, SYS_CPU);
    if (getloadavg(m->load, 3) < 3)
        m->load[0] = m->load[1] = m->load[2] = 0;
    m->clock_ns = clock_cost();
    m->harness_ns = harness_cost();
    read_counters(m->before); /* last: what looking cost isn't measured */
}
