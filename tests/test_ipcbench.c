/*
 * test_ipcbench.c - the benchmark as a person and as a program meets it
 *
 * The result files: valid, with the keys that were promised, never half
 * written. And build/ipcbench itself: its exit codes, its sentences, Ctrl-C.
 */
#include "clock.h"
#include "fakes.h"
#include "harness.h"
#include "plan.h"
#include "report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- files -------------------------------------------------------------- */

static const char *const entry_keys[] = {"name",
                                         "run_name",
                                         "run_type",
                                         "aggregate_name",
                                         "repetitions",
                                         "threads",
                                         "iterations",
                                         "real_time",
                                         "cpu_time",
                                         "time_unit",
                                         "transport",
                                         "wait",
                                         "place",
                                         "sweep",
                                         "op",
                                         "request",
                                         "deadline_ms",
                                         "size_bytes",
                                         "request_bytes",
                                         "clients",
                                         "depth",
                                         "events",
                                         "think_us",
                                         "work_us",
                                         "stall_us",
                                         "rate_per_s",
                                         "sync",
                                         "runs",
                                         "runs_p50_ns",
                                         "samples",
                                         "p50_ns",
                                         "p50_low_ns",
                                         "p50_high_ns",
                                         "interval_coverage",
                                         "p90_ns",
                                         "p99_ns",
                                         "p999_ns",
                                         "max_ns",
                                         "mean_ns",
                                         "requests_per_s",
                                         "cpu_ns_per_request",
                                         "switches_per_request",
                                         "voluntary_switches_per_request",
                                         "involuntary_switches_per_request",
                                         "drift",
                                         "two_modes",
                                         "share_busiest_to_idlest",
                                         "client_p99_best_ns",
                                         "client_p99_worst_ns",
                                         "service_p50_ns",
                                         "service_p99_ns",
                                         "service_p999_ns",
                                         "service_max_ns",
                                         "syscalls_per_request",
                                         "copied_bytes_per_request",
                                         "syscalls",
                                         "breakdown_ns",
                                         "curve_ns",
                                         "ratio_to_bare",
                                         "ratio_to_bare_low",
                                         "ratio_to_bare_high",
                                         "error_occurred",
                                         "error_message"};

static const char *const context_keys[] = {"date",
                                           "executable",
                                           "cpu_model",
                                           "num_cpus",
                                           "allowed_cpus",
                                           "mhz_per_cpu",
                                           "governor",
                                           "cpu_scaling_enabled",
                                           "hypervisor",
                                           "container",
                                           "kernel",
                                           "load_avg",
                                           "clock_source",
                                           "clock_cost_ns",
                                           "harness_cost_ns",
                                           "compiler",
                                           "cflags",
                                           "revision",
                                           "library_build_type",
                                           "cpus_same",
                                           "cpus_cross",
                                           "cpus_smt",
                                           "cpus_cache",
                                           "cpus_package",
                                           "mitigations",
                                           "smt",
                                           "load_after",
                                           "stolen_share",
                                           "others_share",
                                           "noisy",
                                           "noise",
                                           "counted_by",
                                           "counted_note",
                                           "cooldown_seconds",
                                           "curve_percents",
                                           "runs",
                                           "seconds_per_run",
                                           "warmup_seconds",
                                           "order_seed",
                                           "partial"};

static void expect_keys(const cJSON *o, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        harness_check(cJSON_GetObjectItemCaseSensitive(o, keys[i]) != NULL,
                      false, __FILE__, __LINE__, "no key %s", keys[i]);
    EXPECT_INT((long long)n, cJSON_GetArraySize(o));
}

static const cJSON *item(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static void json(const void *arg)
{
    struct plan p;
    const cJSON *list, *entry;
    char *text;
    cJSON *root;

    (void)arg;
    fake_plan(&p, 3);
    text = report_json(&p, fake_here(), true);
    REQUIRE(text != NULL);
    root = cJSON_ParseWithOpts(text, NULL, true); /* nothing behind it */
    REQUIRE(root != NULL);
    expect_keys(item(root, "context"), context_keys, COUNT(context_keys));
    EXPECT(cJSON_IsTrue(item(item(root, "context"), "partial")));
    list = item(root, "benchmarks");
    REQUIRE_INT(3, cJSON_GetArraySize(list));
    cJSON_ArrayForEach(entry, list)
        expect_keys(entry, entry_keys, COUNT(entry_keys));
    entry = cJSON_GetArrayItem(list, 0);
    EXPECT_STR("pipe/block/same/get/128", item(entry, "name")->valuestring);
    EXPECT(item(entry, "real_time")->valuedouble >= FAKE_NS);
    EXPECT(cJSON_IsNull(item(entry, "syscalls_per_request")));
    EXPECT(cJSON_IsNull(item(entry, "deadline_ms")));
    EXPECT(cJSON_IsFalse(item(entry, "error_occurred")));
    entry = cJSON_GetArrayItem(list, 1);
    EXPECT(cJSON_IsTrue(item(entry, "error_occurred")));
    EXPECT(cJSON_IsNull(item(entry, "real_time")));
    EXPECT_STR("wrong reply", item(entry, "error_message")->valuestring);
    cJSON_Delete(root);
    free(text);
    plan_free(&p);
}

static bool is_there(const char *name)
{
    char path[300];

    (void)snprintf(path, sizeof path, "%s/%s", harness_dir(), name);
    return access(path, F_OK) == 0;
}

/* Four files; nothing half-written beside them. */
static void all_files(const void *arg)
{
    char path[300];
    const char *bad = NULL;
    struct report r;
    struct plan p;

    (void)arg;
    fake_plan(&p, 3);
    (void)snprintf(path, sizeof path, "%s/results.json", harness_dir());
    REQUIRE_INT(0, report_open(&r, path, &bad));
    EXPECT(!is_there("results.json"));
    EXPECT_INT(0, report_write(&r, &p, fake_here(), false, &bad));
    report_close(&r);
    EXPECT(is_there("results.json") && is_there("results.csv"));
    EXPECT(is_there("results.md") && is_there("report.html"));
    EXPECT(!is_there("results.json.new") && !is_there("report.html.new"));
    (void)snprintf(path, sizeof path, "%s/other.json", harness_dir());
    REQUIRE_INT(0, report_open(&r, path, &bad));
    EXPECT(is_there("other.html.new"));
    report_close(&r);
    EXPECT(!is_there("other.html.new") && !is_there("other.html"));
    plan_free(&p);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    REQUIRE(f != NULL);
    EXPECT(fputs(text, f) >= 0);
    EXPECT_INT(0, fclose(f));
}

static void files(const void *arg)
{
    char path[200], line[16] = "";
    struct report r;
    const char *bad = NULL;
    FILE *f;

    (void)arg;
    EXPECT_INT(-ENOENT, report_open(&r, "/nowhere/at/all.json", &bad));
    EXPECT_STR("/nowhere/at/all.json", bad);
    report_close(&r);
    EXPECT_INT(-EISDIR, report_open(&r, harness_dir(), &bad));
    report_close(&r);
    /* Opened and given up: the old result is still there, and no other. */
    (void)snprintf(path, sizeof path, "%s/old.json", harness_dir());
    write_text(path, "old");
    EXPECT_INT(0, report_open(&r, path, &bad));
    report_close(&r);
    f = fopen(path, "r");
    REQUIRE(f != NULL);
    EXPECT(fgets(line, sizeof line, f) != NULL);
    EXPECT_STR("old", line);
    (void)fclose(f);
    (void)snprintf(path, sizeof path, "%s/old.json.new", harness_dir());
    EXPECT_INT(-1, access(path, F_OK));
}

/* ---- the program -------------------------------------------------------- */

static void usage(const void *arg)
{
    char said[500];

    (void)arg;
    if (!ipcbench_run(64, "--clients 64 --wait spin", said, sizeof said))
        return;
    EXPECT(strstr(said, "65 processes would spin") != NULL);
    /* Not the argument before it. */
    (void)ipcbench_run(64, "--wait block -xq", said, sizeof said);
    EXPECT(strstr(said, "ipcbench: -x: an unknown option") != NULL);
}

static void unwritable(const void *arg)
{
    char said[500];

    (void)arg;
    if (ipcbench_run(73, "--json /nowhere/r.json", said, sizeof said))
        EXPECT_STR("ipcbench: cannot create '/nowhere/r.json': ENOENT No such "
                   "file or directory\n",
                   said);
}

/* The plan, and nothing else: no run, no file. */
static void dry_run(const void *arg)
{
    static char said[60000];
    char line[300];

    (void)arg;
    (void)snprintf(line, sizeof line,
                   "--sweep all --runs 10 --dry-run --json %s/r.json",
                   harness_dir());
    if (!ipcbench_run(0, line, said, sizeof said))
        return;
    EXPECT(strstr(said, "plan: ") != NULL);
    EXPECT(strstr(said, "size:fifo/block/same/raw/4097 ") != NULL);
    EXPECT(strstr(said, "clients:shm/block/same/get/128/clients:64 ") != NULL);
    EXPECT(!is_there("r.json") && !is_there("r.json.new"));
}

/* Spinning, counting, sweeping: something of everything, in a second or two. */
static void a_bit_of_all(const void *arg)
{
    static char said[60000];
    char line[300];

    (void)arg;
    (void)snprintf(line, sizeof line,
                   "--transports none,pipe,shm --sweep base,depth --runs 1 "
                   "--seconds 0.02 --json %s/results.json",
                   harness_dir());
    if (!ipcbench_run(0, line, said, sizeof said))
        return;
    EXPECT(is_there("results.json") && is_there("report.html"));
    EXPECT(strchr(said, '\033') == NULL); /* no colour: not a terminal */
    (void)snprintf(line, sizeof line,
                   "--compare %s/results.json %s/results.json", harness_dir(),
                   harness_dir());
    (void)ipcbench_run(0, line, said, sizeof said);
    EXPECT(strstr(said, " no significant difference") != NULL);
}

static void no_baseline(const void *arg)
{
    char said[500];

    (void)arg;
    if (ipcbench_run(74, "--compare /nowhere/a.json /nowhere/b.json", said,
                     sizeof said))
        EXPECT(strstr(said, "/nowhere/a.json") != NULL);
}

/* What a mechanism can't carry is a result, not a failure. */
static void too_big(const void *arg)
{
    static char said[8000];

    (void)arg;
    if (ipcbench_run(
            0,
            "--transports mqueue,pipe --op echo --size 200000 --runs 1 "
            "--seconds 0.02 --wait block --place same --no-why",
            said, sizeof said))
        EXPECT(strstr(said, "not available: EMSGSIZE") != NULL);
}

/* True when the file's JSON says that it is partial. */
static bool says_partial(const char *path)
{
    static char text[4000000];
    FILE *f = fopen(path, "r");
    cJSON *root;
    bool partial;

    REQUIRE(f != NULL);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    (void)fclose(f);
    root = cJSON_Parse(text);
    REQUIRE(root != NULL);
    partial = cJSON_IsTrue(item(item(root, "context"), "partial"));
    cJSON_Delete(root);
    return partial;
}

/* The reader of its output leaves; the results are saved all the same. */
static void no_reader(const void *arg)
{
    char path[200], line[300];
    int out = -1, status = 0;
    pid_t pid;

    (void)arg;
    (void)snprintf(path, sizeof path, "%s/r.json", harness_dir());
    (void)snprintf(line, sizeof line,
                   "--transports none --seconds 0.02 --runs 1 --json %s", path);
    pid = ipcbench_start(line, &out);
    if (pid < 0)
        return;
    (void)close(out);
    REQUIRE_INT(pid, waitpid(pid, &status, 0));
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 74);
    EXPECT(!says_partial(path));
    (void)snprintf(line, sizeof line, "%s.new", path);
    EXPECT_INT(-1, access(line, F_OK));
}

/* The result: how long it took, ns. */
static int64_t interrupt(int sig)
{
    char path[200], line[300];
    static char said[20000];
    int out = -1;
    int64_t asked, took;
    pid_t pid;
    ssize_t n;

    said[0] = '\0';

    (void)snprintf(path, sizeof path, "%s/r.json", harness_dir());
    (void)snprintf(line, sizeof line, "--seconds 1 --runs 30 --json %s", path);
    pid = ipcbench_start(line, &out);
    if (pid < 0)
        return 0;
    while (!strstr(said, "plan:")) { /* said just before the first run */
        n = read(out, said + strlen(said), 1000);
        REQUIRE(n > 0);
    }
    asked = clock_now_ns();
    EXPECT_INT(0, kill(pid, sig));
    EXPECT_INT(130, ipcbench_finish(pid, out, said, sizeof said));
    took = clock_now_ns() - asked;
    EXPECT(says_partial(path));
    return took;
}

/* Ctrl-C while it measures something long; or its terminal goes: it is over
 * within a second, though perhaps not each time on a busy machine. The harness
 * then looks whether a process or a name was left. */
static void interrupted(const void *arg)
{
    int64_t end = clock_now_ns() + 30000000000, took;

    do
        took = interrupt(*(const int *)arg);
    while (took >= 1000000000 && clock_now_ns() < end);
    EXPECT(took < 1000000000);
}

/* ---- the suite ---------------------------------------------------------- */

static const int ctrl_c = SIGINT, hang_up = SIGHUP;

static const struct test_case cases[] = {
    {.name = "report/json", .run = json},
    {.name = "report/files", .run = files},
    {.name = "report/all-files", .run = all_files},
    {.name = "program/usage", .run = usage},
    {.name = "program/unwritable", .run = unwritable},
    {.name = "program/dry-run", .run = dry_run},
    {.name = "program/a-bit-of-all", .run = a_bit_of_all},
    {.name = "program/no-baseline", .run = no_baseline},
    {.name = "program/too-big", .run = too_big},
    {.name = "program/no-reader", .run = no_reader},
    {.name = "program/interrupted", .run = interrupted, .arg = &ctrl_c},
    {.name = "program/hung-up", .run = interrupted, .arg = &hang_up},
};

static const struct test_suite suite = {
    .name = "ipcbench", .cases = cases, .count = COUNT(cases)};

int main(int argc, char **argv)
{
    return harness_main(argc, argv, &suite);
}
