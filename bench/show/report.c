/*
 * report.c - see report.h
 *
 * cJSON keeps numbers as double: exact up to 2^53 ns, 104 days.
 */
#include "report.h"

#include "html.h"
#include "table.h"
#include "text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 4

/* Of the latency curve, in hundredths of a percent. */
static const unsigned curve[] = {1,    100,  500,  1000, 2500, 5000, 7500,
                                 9000, 9500, 9900, 9950, 9990, 9995, 9999};
#define CURVE (sizeof curve / sizeof curve[0])

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

/* cJSON prints NAN as null; so is what is infinite. More than three decimals
 * would pretend. */
static void put_number(cJSON *o, const char *key, double v)
{
    (void)cJSON_AddNumberToObject(
        o, key,
        isfinite(v) ? (double)(int64_t)(v * 1000 + 0.5) / 1000 : (double)NAN);
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

/* [client's, server's]; [] where there is no such placement. */
static void put_cpus(cJSON *o, const struct machine *m, enum place place)
{
    const struct spot *spot = &m->spots[place];
    const double v[2] = {spot->client, spot->server};
    char key[40];

    (void)snprintf(key, sizeof key, "cpus_%s", place_names[place]);
    put_list(o, key, v, spot->there ? 2 : 0);
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
    put_text(o, "mitigations", m->mitigations);
    (void)cJSON_AddBoolToObject(o, "smt", m->smt);
    put_number(o, "load_after", m->load_after);
    put_number(o, "stolen_share", m->stolen);
    put_number(o, "others_share", m->others);
    for (unsigned place = 0; place < PLACE_FREE; place++)
        put_cpus(o, m, (enum place)place);
}

static void put_trust(cJSON *o, const struct plan *p, const struct machine *m)
{
    static const char *const hows[] = {NULL, "perf", "strace"};
    char text[200];

    (void)cJSON_AddBoolToObject(o, "noisy",
                                plan_noise(text, sizeof text, p, m));
    put_text(o, "noise", text);
    put_text(o, "counted_by", hows[p->how]);
    put_text(o, "counted_note", p->how_why);
}

static void put_context(cJSON *root, const struct plan *p,
                        const struct machine *m, bool partial)
{
    cJSON *o = cJSON_AddObjectToObject(root, "context");
    double percents[CURVE];
    char seed[24], now[TEXT_NOW];

    put_text(o, "date", text_now(now));
    put_text(o, "executable", "ipcbench");
    put_machine(o, m);
    put_text(o, "compiler", COMPILER);
    put_text(o, "cflags", IPCLAB_CFLAGS);
    put_text(o, "revision", IPCLAB_REV);
    put_text(o, "library_build_type", "release");
    (void)cJSON_AddNumberToObject(o, "runs", p->runs);
    put_number(o, "seconds_per_run", p->seconds);
    put_number(o, "warmup_seconds", RUN_WARMUP_S);
    put_number(o, "cooldown_seconds", RUN_COOLDOWN_S);
    /* 64 bits: a number would lose some. */
    (void)snprintf(seed, sizeof seed, "%016llx", (unsigned long long)p->seed);
    put_text(o, "order_seed", seed);
    put_trust(o, p, m);
    for (size_t i = 0; i < CURVE; i++)
        percents[i] = curve[i] / 100.0;
    put_list(o, "curve_percents", percents, CURVE);
    (void)cJSON_AddBoolToObject(o, "partial", partial);
}

static const char *op_of(const struct conditions *c)
{
    static const char *const kinds[] = {
        [KIND_BARE] = "bare", [KIND_NONE] = "none", [KIND_ALONE] = "alone"};

    return c->kind == KIND_LAB || c->kind == KIND_PEER ? op_names[c->op]
                                                       : kinds[c->kind];
}

static void put_conditions(cJSON *o, const struct conditions *c)
{
    bool waits = c->kind != KIND_NONE && c->kind != KIND_ALONE;

    put_text(o, "transport", c->transport);
    put_text(o, "wait", waits ? wait_names[c->wait] : NULL);
    put_text(o, "place", place_names[c->place]);
    put_text(o, "op", op_of(c));
    put_text(o, "request", op_names[c->op]);
    put_number(o, "deadline_ms",
               c->deadline_ms < 0 ? (double)NAN : (double)c->deadline_ms);
    put_number(o, "size_bytes", (double)c->size);
    put_number(o, "request_bytes", (double)case_request_size(c));
    put_number(o, "clients", c->clients);
    put_number(o, "depth", c->depth);
    put_number(o, "events", c->events);
    put_number(o, "think_us", c->think_us);
    put_number(o, "work_us", c->work_us);
    put_number(o, "stall_us", c->stall_us);
    put_number(o, "rate_per_s", c->rate > 0 ? c->rate : NAN);
    (void)cJSON_AddBoolToObject(o, "sync", c->sync);
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
    put_number(o, "requests_per_s", s->requests_per_s.mid);
    put_number(o, "cpu_ns_per_request", s->cpu_ns);
    put_number(o, "switches_per_request", s->switches);
    put_number(o, "voluntary_switches_per_request", s->voluntary);
    put_number(o, "involuntary_switches_per_request", s->involuntary);
    put_number(o, "drift", s->drift);
    (void)cJSON_AddBoolToObject(o, "two_modes", s->two_modes);
    put_number(o, "share_busiest_to_idlest", s->share.mid);
    put_number(o, "client_p99_best_ns", s->client_p99_best);
    put_number(o, "client_p99_worst_ns", s->client_p99_worst);
    put_number(o, "service_p50_ns", s->service_p50);
    put_number(o, "service_p99_ns", s->service_p99);
    put_number(o, "service_p999_ns", s->service_p999);
    put_number(o, "service_max_ns", s->service_max);
    put_number(o, "ratio_to_bare", s->to_bare.mid);
    put_interval(o, "ratio_to_bare_low", "ratio_to_bare_high", &s->to_bare);
}

static void put_counts(cJSON *o, const struct counts *c)
{
    cJSON *calls;

    put_number(o, "syscalls_per_request", c->calls);
    put_number(o, "copied_bytes_per_request", c->copied);
    calls = cJSON_AddObjectToObject(o, "syscalls");
    for (size_t i = 0; i < COUNT_NAMES && c->call[i].name[0]; i++)
        put_number(calls, c->call[i].name, c->call[i].calls);
}

/* null where it wasn't taken apart. */
static void put_breakdown(cJSON *o, const struct plan *p, const struct row *r)
{
    struct breakdown bd;
    cJSON *parts;

    if (!plan_breakdown(&bd, p, r)) {
        (void)cJSON_AddNullToObject(o, "breakdown_ns");
        return;
    }
    parts = cJSON_AddObjectToObject(o, "breakdown_ns");
    put_number(parts, "codec_and_store", bd.codec);
    put_number(parts, "system_calls", bd.calls);
    put_number(parts, "copies", bd.copies);
    put_number(parts, "waking_up", bd.waking);
    put_number(parts, "lab", bd.own);
    put_number(parts, "unaccounted", bd.rest);
}

static void put_curve(cJSON *o, const struct row *r)
{
    double v[CURVE];

    for (size_t i = 0; i < CURVE; i++)
        v[i] = pool_percentile(r->dist, r->error ? 0 : r->runs, curve[i]);
    put_list(o, "curve_ns", v, CURVE);
}

static void put_error(cJSON *o, const struct row *r)
{
    char text[CASE_WHY_MAX + 40];

    (void)cJSON_AddBoolToObject(o, "error_occurred", r->error || r->absent);
    if (r->absent)
        (void)snprintf(text, sizeof text, "this machine has no such place");
    else
        (void)snprintf(
            text, sizeof text, "%s%s%s", r->error ? error_name(r->error) : "",
            r->error && r->why[0] ? ": " : "", r->error ? r->why : "");
    put_text(o, "error_message", text);
}

/* What Google Benchmark's tools look for. */
static void put_google(cJSON *o, const struct row *r, const struct summary *s)
{
    char name[CASE_NAME_MAX];

    plan_name(name, r);
    put_text(o, "name", name);
    put_text(o, "run_name", name);
    put_text(o, "run_type", "aggregate");
    put_text(o, "aggregate_name", "median");
    (void)cJSON_AddNumberToObject(o, "repetitions", r->runs);
    (void)cJSON_AddNumberToObject(o, "threads", r->c.clients);
    put_number(o, "iterations", (double)s->samples);
    put_number(o, "real_time", s->p50.mid);
    put_number(o, "cpu_time", s->cpu_ns);
    put_text(o, "time_unit", "ns");
}

static cJSON *row_json(const struct plan *p, const struct row *r)
{
    cJSON *o = cJSON_CreateObject();
    double p50[PLAN_RUNS_MAX];
    struct summary s;

    plan_summary(&s, p, r);
    put_google(o, r, &s);
    put_text(o, "sweep", sweep_names[r->sweep]);
    put_conditions(o, &r->c);
    (void)cJSON_AddNumberToObject(o, "runs", s.runs);
    put_list(o, "runs_p50_ns", p50,
             r->error ? 0 : plan_values(p50, r, offsetof(struct run, p50)));
    put_summary(o, &s);
    put_counts(o, &r->counts);
    put_breakdown(o, p, r);
    put_curve(o, r);
    put_error(o, r);
    return o;
}

char *report_json(const struct plan *p, const struct machine *m, bool partial)
{
    cJSON *root = cJSON_CreateObject(), *list;
    char *text;

    put_context(root, p, m, partial);
    list = cJSON_AddArrayToObject(root, "benchmarks");
    for (size_t i = 0; i < p->count; i++)
        (void)cJSON_AddItemToArray(list, row_json(p, &p->rows[i]));
    text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

static void write_json(FILE *f, const struct plan *p, const struct machine *m,
                       bool partial)
{
    char *text = report_json(p, m, partial);

    if (text)
        (void)fprintf(f, "%s\n", text); /* errors stay in f: see finish */
    else
        (void)fputs("out of memory\n", f);
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
                      bool partial)
{
    (void)m, (void)partial;
    (void)fprintf(f, "name,runs,samples,p50_ns,p50_low_ns,p50_high_ns,p90_ns,"
                     "p99_ns,p999_ns,max_ns,requests_per_s,cpu_ns_per_request,"
                     "switches_per_request,syscalls_per_request,ratio_to_bare,"
                     "copied_bytes_per_request,drift,error\n");
    for (size_t i = 0; i < p->count; i++) {
        const struct row *r = &p->rows[i];
        char name[CASE_NAME_MAX];
        struct summary s;

        plan_name(name, r);
        plan_summary(&s, p, r);
        const double cell[] = {s.p50.mid,
                               s.p50.low,
                               s.p50.high,
                               s.p90,
                               s.p99,
                               s.p999,
                               s.max,
                               s.requests_per_s.mid,
                               s.cpu_ns,
                               s.switches,
                               r->counts.calls,
                               s.to_bare.mid,
                               r->counts.copied,
                               s.drift};

        (void)fprintf(f, "%s,%u,%llu,", name, s.runs,
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
                           const struct machine *m, bool partial)
{
    (void)fprintf(f, "# ipcbench%s\n\n```text\n",
                  partial ? " (partial: interrupted)" : "");
    table_machine(f, m);
    table_results(f, p, m, false);
    (void)fprintf(f, "```\n");
}

static void write_html(FILE *f, const struct plan *p, const struct machine *m,
                       bool partial)
{
    (void)html_write(f, p, m, partial); /* errors stay in f: see finish */
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
    rf->f = fopen(rf->temporary ? rf->temporary : rf->path, "we");
    return rf->f ? 0 : -errno;
}

/* results.json and report.html are the names that people look for. */
static char *path_of(const char *json, size_t stem, int i)
{
    static const char *const ends[FILES] = {".json", ".csv", ".md", ".html"};
    static const char results[] = "results";
    size_t name = sizeof results - 1;

    if (i == 3 && stem >= name &&
        strncmp(json + stem - name, results, name) == 0)
        return joined(json, stem - name, "report.html");
    return joined(json, stem, ends[i]);
}

int report_open(struct report *r, const char *json, const char **bad)
{
    size_t len = strlen(json);
    bool all = len > 5 && strcmp(json + len - 5, ".json") == 0;
    int err = 0;

    *r = (struct report){0};
    for (int i = 0; i < (all ? FILES : 1) && !err; i++) {
        struct report_file *rf = &r->file[i];

        rf->path = all ? path_of(json, len - 5, i) : joined(json, len, "");
        *bad = rf->path ? rf->path : json;
        err = rf->path ? open_file(rf) : -ENOMEM;
    }
    return err;
}

static int finish(struct report_file *rf)
{
    bool bad = fflush(rf->f) != 0 || ferror(rf->f);
    int err = !bad ? 0 : errno ? -errno : -EIO;

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
                 const struct machine *m, bool partial, const char **bad)
{
    void (*const write_as[FILES])(FILE *, const struct plan *,
                                  const struct machine *, bool) = {
        write_json, write_csv, write_markdown, write_html};
    int err = 0;

    for (int i = 0; i < FILES && !err; i++) {
        if (!r->file[i].f)
            continue;
        *bad = r->file[i].path;
        write_as[i](r->file[i].f, p, m, partial);
        err = finish(&r->file[i]);
    }
    return err;
}

void report_close(struct report *r)
{
    for (int i = 0; i < FILES; i++) {
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
