/*
 * report.c - see report.h
 *
 * cJSON keeps numbers as double: exact up to 2^53 ns, 104 days.
 */
#include "report.h"

#include "table.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef IPCLAB_REV
#define IPCLAB_REV NULL /* the Makefile knows it, in a git checkout */
#endif
#ifndef IPCLAB_CFLAGS
#define IPCLAB_CFLAGS NULL
#endif

#ifdef __clang__
#define COMPILER __VERSION__ /* it says its name */
#else
#define COMPILER "gcc " __VERSION__
#endif

/* ---- JSON --------------------------------------------------------------- */

/* cJSON prints NAN as null. More than three decimals would pretend. */
static void put_number(cJSON *o, const char *key, double v)
{
    (void)cJSON_AddNumberToObject(
        o, key, isnan(v) ? v : (double)(int64_t)(v * 1000 + 0.5) / 1000);
}

static void put_text(cJSON *o, const char *key, const char *text)
{
    if (text && text[0])
        (void)cJSON_AddStringToObject(o, key, text);
    else
        (void)cJSON_AddNullToObject(o, key);
}

static void put_list(cJSON *o, const char *key, const double *v, size_t n)
{
    cJSON *list = cJSON_AddArrayToObject(o, key);

    for (size_t i = 0; i < n; i++)
        (void)cJSON_AddItemToArray(list, cJSON_CreateNumber(v[i]));
}

static void put_cpus(cJSON *o, const char *key, const int cpu[2])
{
    const double v[2] = {cpu[0], cpu[1]};

    put_list(o, key, v, cpu[0] < 0 ? 0 : 2);
}

static void put_interval(cJSON *o, const char *low, const char *high,
                         const struct interval *i)
{
    put_number(o, low, i->low);
    put_number(o, high, i->high);
}

static void put_machine(cJSON *o, const struct machine *m)
{
    put_text(o, "cpu_model", m->cpu);
    (void)cJSON_AddNumberToObject(o, "num_cpus", m->cpus);
    (void)cJSON_AddNumberToObject(o, "allowed_cpus", m->allowed);
    (void)cJSON_AddNumberToObject(o, "mhz_per_cpu", m->mhz);
    put_text(o, "governor", m->governor);
    (void)cJSON_AddBoolToObject(o, "cpu_scaling_enabled",
                                m->governor[0] &&
                                    strcmp(m->governor, "performance") != 0);
    put_text(o, "hypervisor", m->hypervisor);
    (void)cJSON_AddBoolToObject(o, "container", m->container);
    put_text(o, "kernel", m->kernel);
    put_list(o, "load_avg", m->load, 3);
    put_text(o, "clock_source", m->clock_source);
    put_number(o, "clock_cost_ns", m->clock_ns);
    put_number(o, "harness_cost_ns", m->harness_ns);
}

/* RFC 3339, UTC: says nothing about where the machine stands. */
static void put_date(cJSON *o)
{
    time_t now = time(NULL);
    struct tm tm;
    char text[40] = "";

    if (gmtime_r(&now, &tm))
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    put_text(o, "date", text);
}

static void put_context(cJSON *root, const struct plan *p,
                        const struct machine *m, int cpu[PLACE_COUNT][2],
                        bool partial)
{
    cJSON *o = cJSON_AddObjectToObject(root, "context");
    char seed[24];

    put_date(o);
    put_text(o, "executable", "ipcbench");
    put_machine(o, m);
    put_text(o, "compiler", COMPILER);
    put_text(o, "cflags", IPCLAB_CFLAGS);
    put_text(o, "revision", IPCLAB_REV);
    put_text(o, "library_build_type", "release");
    put_cpus(o, "cpus_same", cpu[PLACE_SAME]);
    put_cpus(o, "cpus_cross", cpu[PLACE_CROSS]);
    (void)cJSON_AddNumberToObject(o, "runs", p->runs);
    put_number(o, "seconds_per_run", p->seconds);
    put_number(o, "warmup_seconds", RUN_WARMUP_S);
    /* 64 bits: a number would lose some. */
    (void)snprintf(seed, sizeof seed, "%016llx", (unsigned long long)p->seed);
    put_text(o, "order_seed", seed);
    (void)cJSON_AddBoolToObject(o, "partial", partial);
}

static void put_conditions(cJSON *o, const struct conditions *c)
{
    static const char *const kinds[] = {"", "bare", "none"};
    bool lab = c->kind == KIND_LAB;

    put_text(o, "transport", c->transport);
    put_text(o, "wait", c->kind == KIND_NONE ? NULL : wait_name(c->wait));
    put_text(o, "place", place_name(c->place));
    put_text(o, "op", lab ? op_name(c->op) : kinds[c->kind]);
    put_text(o, "request", op_name(c->op));
    if (c->deadline_ms < 0)
        (void)cJSON_AddNullToObject(o, "deadline_ms");
    else
        (void)cJSON_AddNumberToObject(o, "deadline_ms", c->deadline_ms);
    put_number(o, "size_bytes", (double)c->size);
    put_number(o, "request_bytes", (double)case_request_size(c));
    put_number(o, "clients", c->clients);
    put_number(o, "depth", c->depth);
    put_number(o, "events", c->events);
}

static void put_summary(cJSON *o, const struct summary *s)
{
    put_number(o, "samples", (double)s->samples);
    put_number(o, "p50_ns", s->p50.mid);
    put_interval(o, "p50_low_ns", "p50_high_ns", &s->p50);
    put_number(o, "interval_coverage", s->p50.coverage);
    put_number(o, "p90_ns", s->p90);
    put_number(o, "p99_ns", s->p99);
    put_number(o, "p999_ns", s->p999);
    put_number(o, "max_ns", s->max);
    put_number(o, "mean_ns", s->mean);
    put_number(o, "requests_per_s", s->requests_per_s);
    put_number(o, "cpu_ns_per_request", s->cpu_ns);
    put_number(o, "switches_per_request", s->switches);
    put_number(o, "syscalls_per_request", s->syscalls);
    put_number(o, "ratio_to_bare", s->to_bare.mid);
    put_interval(o, "ratio_to_bare_low", "ratio_to_bare_high", &s->to_bare);
}

static void put_error(cJSON *o, const struct row *r)
{
    char text[CASE_WHY_MAX + 40];

    (void)cJSON_AddBoolToObject(o, "error_occurred", r->error || r->absent);
    if (r->absent)
        (void)snprintf(text, sizeof text, "only one CPU may be used");
    else
        (void)snprintf(
            text, sizeof text, "%s%s%s", r->error ? error_name(r->error) : "",
            r->error && r->why[0] ? ": " : "", r->error ? r->why : "");
    put_text(o, "error_message", text);
}

static cJSON *row_json(const struct plan *p, const struct row *r)
{
    cJSON *o = cJSON_CreateObject();
    char name[CASE_NAME_MAX];
    struct summary s;

    case_name(name, &r->c);
    plan_summary(&s, p, r);
    put_text(o, "name", name);
    put_text(o, "run_name", name);
    put_text(o, "run_type", "aggregate");
    put_text(o, "aggregate_name", "median");
    (void)cJSON_AddNumberToObject(o, "repetitions", p->runs);
    (void)cJSON_AddNumberToObject(o, "threads", r->c.clients);
    put_number(o, "iterations", (double)s.samples);
    put_number(o, "real_time", s.p50.mid);
    put_number(o, "cpu_time", s.cpu_ns);
    put_text(o, "time_unit", "ns");
    put_conditions(o, &r->c);
    (void)cJSON_AddNumberToObject(o, "runs", r->error ? 0 : r->runs);
    put_list(o, "runs_p50_ns", r->p50, r->error ? 0 : p->runs);
    put_summary(o, &s);
    put_error(o, r);
    return o;
}

char *report_json(const struct plan *p, const struct machine *m,
                  int cpu[PLACE_COUNT][2], bool partial)
{
    cJSON *root = cJSON_CreateObject(), *list;
    char *text;

    put_context(root, p, m, cpu, partial);
    list = cJSON_AddArrayToObject(root, "benchmarks");
    for (size_t i = 0; i < p->count; i++)
        (void)cJSON_AddItemToArray(list, row_json(p, &p->rows[i]));
    text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

static void write_json(FILE *f, const struct plan *p, const struct machine *m,
                       int cpu[PLACE_COUNT][2], bool partial)
{
    char *text = report_json(p, m, cpu, partial);

    if (text)
        (void)fprintf(f, "%s\n", text); /* errors stay in f: see finish */
    cJSON_free(text);
}

/* ---- CSV and Markdown --------------------------------------------------- */

static void csv_cell(FILE *f, double v, char end)
{
    if (!isnan(v))
        (void)fprintf(f, "%.3f", v);
    (void)fputc(end, f);
}

static void write_csv(FILE *f, const struct plan *p, const struct machine *m,
                      int cpu[PLACE_COUNT][2], bool partial)
{
    (void)m, (void)cpu, (void)partial;
    (void)fprintf(f, "name,runs,samples,p50_ns,p50_low_ns,p50_high_ns,p90_ns,"
                     "p99_ns,p999_ns,max_ns,requests_per_s,cpu_ns_per_request,"
                     "switches_per_request,syscalls_per_request,ratio_to_bare,"
                     "error\n");
    for (size_t i = 0; i < p->count; i++) {
        const struct row *r = &p->rows[i];
        char name[CASE_NAME_MAX];
        struct summary s;

        case_name(name, &r->c);
        plan_summary(&s, p, r);
        const double cell[] = {
            s.p50.mid, s.p50.low,  s.p50.high, s.p90,
            s.p99,     s.p999,     s.max,      s.requests_per_s,
            s.cpu_ns,  s.switches, s.syscalls, s.to_bare.mid};

        (void)fprintf(f, "%s,%u,%llu,", name, r->error ? 0 : r->runs,
                      (unsigned long long)s.samples);
        for (size_t k = 0; k < sizeof cell / sizeof cell[0]; k++)
            csv_cell(f, cell[k], ',');
        (void)fprintf(f, "%s\n",
                      r->absent  ? "absent"
                      : r->error ? error_name(r->error)
                                 : "");
    }
}

static void write_markdown(FILE *f, const struct plan *p,
                           const struct machine *m, int cpu[PLACE_COUNT][2],
                           bool partial)
{
    (void)fprintf(f, "# ipcbench%s\n\n```text\n",
                  partial ? " (partial: interrupted)" : "");
    table_machine(f, m, cpu);
    table_results(f, p, false);
    (void)fprintf(f, "```\n");
}

/* ---- files -------------------------------------------------------------- */

static char *joined(const char *a, size_t len, const char *b)
{
    size_t cap = len + strlen(b) + 1;
    char *text = malloc(cap);

    if (text)
        (void)snprintf(text, cap, "%.*s%s", (int)len, a, b);
    return text;
}

/*
 * Written beside its place and renamed: an old result isn't lost when the disk
 * is full. What isn't a regular file (/dev/stdout) is written as it is.
 */
static int open_file(struct report_file *rf)
{
    struct stat st;

    if (stat(rf->path, &st) == 0 && S_ISDIR(st.st_mode))
        return -EISDIR;
    if (stat(rf->path, &st) < 0 || S_ISREG(st.st_mode)) {
        rf->temporary = joined(rf->path, strlen(rf->path), ".new");
        if (!rf->temporary)
            return -ENOMEM;
    }
    rf->f = fopen(rf->temporary ? rf->temporary : rf->path, "w");
    return rf->f ? 0 : -errno;
}

int report_open(struct report *r, const char *json, const char **bad)
{
    static const char *const ends[] = {".json", ".csv", ".md"};
    size_t len = strlen(json);
    bool all = len > 5 && strcmp(json + len - 5, ".json") == 0;
    int err = 0;

    *r = (struct report){0};
    for (int i = 0; i < (all ? 3 : 1) && !err; i++) {
        struct report_file *rf = &r->file[i];

        rf->path = all ? joined(json, len - 5, ends[i]) : joined(json, len, "");
        *bad = rf->path ? rf->path : json;
        err = rf->path ? open_file(rf) : -ENOMEM;
    }
    return err;
}

static int finish(struct report_file *rf)
{
    bool bad = fflush(rf->f) != 0 || ferror(rf->f);
    int err = bad ? -errno : 0;

    if (fclose(rf->f) != 0 && !err)
        err = -errno;
    rf->f = NULL;
    if (!err && rf->temporary && rename(rf->temporary, rf->path) < 0)
        err = -errno;
    if (!err) {
        free(rf->temporary); /* it has become the result */
        rf->temporary = NULL;
    }
    return err;
}

int report_write(struct report *r, const struct plan *p,
                 const struct machine *m, int cpu[PLACE_COUNT][2], bool partial,
                 const char **bad)
{
    void (*const write_as[3])(FILE *, const struct plan *,
                              const struct machine *, int[PLACE_COUNT][2],
                              bool) = {write_json, write_csv, write_markdown};
    int err = 0;

    for (int i = 0; i < 3 && !err; i++) {
        if (!r->file[i].f)
            continue;
        *bad = r->file[i].path;
        write_as[i](r->file[i].f, p, m, cpu, partial);
        err = finish(&r->file[i]);
    }
    return err;
}

void report_close(struct report *r)
{
    for (int i = 0; i < 3; i++) {
        struct report_file *rf = &r->file[i];

        if (rf->f)
            (void)fclose(rf->f); /* given up */
        if (rf->temporary)
            (void)unlink(rf->temporary);
        free(rf->temporary);
        free(rf->path);
    }
    *r = (struct report){0};
}
