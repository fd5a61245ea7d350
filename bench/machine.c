/*
 * machine.c - see machine.h
 *
 * It needs _GNU_SOURCE for sched_getaffinity and getloadavg.
 */
#define _GNU_SOURCE
#include "machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* ---- small files of /proc and /sys -------------------------------------- */

/* The first line of a file without its newline; "" when there is none. */
static void read_line(char out[MACHINE_TEXT], const char *path)
{
    FILE *f = fopen(path, "r");

    out[0] = '\0';
    if (!f)
        return;
    if (!fgets(out, MACHINE_TEXT, f))
        out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    (void)fclose(f); /* only read */
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

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* can't fail on Linux */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* One reading. The best of some batches: a slower one was interrupted. */
static double clock_cost(void)
{
    int64_t best = INT64_MAX;

    for (int batch = 0; batch < 20; batch++) {
        int64_t start = now_ns(), took;

        for (int i = 0; i < 998; i++)
            (void)now_ns();
        took = now_ns() - start;
        best = took < best ? took : best;
    }
    return (double)best / 999;
}

/* The loop of case.c around a call that does nothing. */
static double harness_cost(void)
{
    enum { TURNS = 1000 };
    uint32_t sample[TURNS];
    volatile uint32_t *keep = sample;
    int64_t best = INT64_MAX;

    for (int batch = 0; batch < 20; batch++) {
        int64_t start = now_ns(), from, to = start;

        for (int i = 0; i < TURNS; i++) {
            from = now_ns();
            to = now_ns();
            keep[i] = (uint32_t)(to - from);
        }
        best = to - start < best ? to - start : best;
    }
    return (double)best / TURNS;
}

/* ---- CPUs --------------------------------------------------------------- */

static int allowed_cpus(cpu_set_t *set)
{
    CPU_ZERO(set);
    if (sched_getaffinity(0, sizeof *set, set) < 0)
        CPU_SET(0, set); /* more CPUs than a cpu_set_t holds */
    return CPU_COUNT(set);
}

/* Do both CPUs belong to one core? Their list of siblings is the same then. */
static bool share_core(int a, int b)
{
    static const char form[] =
        "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list";
    char path[sizeof form + 16], of_a[MACHINE_TEXT], of_b[MACHINE_TEXT];

    (void)snprintf(path, sizeof path, form, a);
    read_line(of_a, path);
    (void)snprintf(path, sizeof path, form, b);
    read_line(of_b, path);
    return of_a[0] && strcmp(of_a, of_b) == 0;
}

/* The last CPU for the client: CPU 0 often serves the devices. */
void machine_place(int cpu[PLACE_COUNT][2])
{
    int client = -1, other = -1;
    cpu_set_t set;

    (void)allowed_cpus(&set);
    for (int i = CPU_SETSIZE - 1; i >= 0; i--) {
        if (!CPU_ISSET((unsigned)i, &set))
            continue;
        if (client < 0)
            client = i;
        else if (other < 0 ||
                 (share_core(client, other) && !share_core(client, i)))
            other = i;
    }
    cpu[PLACE_SAME][0] = cpu[PLACE_SAME][1] = client;
    cpu[PLACE_CROSS][0] = other < 0 ? -1 : client;
    cpu[PLACE_CROSS][1] = other;
}

void machine_look(struct machine *m)
{
    struct utsname uts;
    cpu_set_t set;

    *m = (struct machine){0};
    look_at_cpu(m);
    look_at_hypervisor(m);
    if (uname(&uts) == 0)
        (void)snprintf(m->kernel, sizeof m->kernel, "%.30s %.60s %.30s",
                       uts.sysname, uts.release, uts.machine);
    read_line(m->governor,
              "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    read_line(m->clock_source, "/sys/devices/system/clocksource/clocksource0/"
                               "current_clocksource");
    m->cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    m->allowed = allowed_cpus(&set);
    if (getloadavg(m->load, 3) < 3)
        m->load[0] = m->load[1] = m->load[2] = 0;
    m->clock_ns = clock_cost();
    m->harness_ns = harness_cost();
}
