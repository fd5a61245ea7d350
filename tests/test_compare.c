/*
 * test_compare.c - does a worsening show, and only a worsening?
 *
 * Results made by hand, with a known verdict each; files that are no results;
 * and at last a real one against itself.
 */
#include "compare.h"
#include "fakes.h"
#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- making results ----------------------------------------------------- */

struct made {
    const char *name, *place;
    double mid, low, high, coverage; /* mid NAN: too few samples */
    const char *error;               /* NULL = none */
};

static void path_of(char path[200], const char *name)
{
    (void)snprintf(path, 200, "%s/%s", harness_dir(), name);
}

static void put_number(FILE *f, const char *key, double v)
{
    if (isnan(v))
        (void)fprintf(f, ", \"%s\": null", key);
    else
        (void)fprintf(f, ", \"%s\": %.17g", key, v);
}

static void put_case(FILE *f, const struct made *m)
{
    bool none = m->error || isnan(m->mid);

    (void)fprintf(f, "{\"name\": \"%s\"", m->name);
    if (m->place)
        (void)fprintf(f, ", \"place\": \"%s\"", m->place);
    put_number(f, "p50_ns", none ? NAN : m->mid);
    put_number(f, "p50_low_ns", none ? NAN : m->low);
    put_number(f, "p50_high_ns", none ? NAN : m->high);
    put_number(f, "interval_coverage", none ? 0 : m->coverage);
    (void)fprintf(f, ", \"error_occurred\": %s", m->error ? "true" : "false");
    if (m->error)
        (void)fprintf(f, ", \"error_message\": \"%s\"", m->error);
    (void)fprintf(f, "}");
}

/* `context`: what stands there beside the program's name; "" = nothing. */
static void make(const char *file, const char *context, const struct made *m,
                 size_t n)
{
    char path[200];
    FILE *f;

    path_of(path, file);
    f = fopen(path, "w");
    REQUIRE(f != NULL);
    (void)fprintf(f, "{\"context\": {\"executable\": \"ipcbench\"%s%s},\n",
                  context[0] ? ", " : "", context);
    (void)fprintf(f, " \"benchmarks\": [");
    for (size_t i = 0; i < n; i++) {
        (void)fprintf(f, i > 0 ? ",\n  " : "\n  ");
        put_case(f, &m[i]);
    }
    (void)fprintf(f, "\n ]}\n");
    EXPECT_INT(0, fclose(f));
}

static void put_bytes(const char *file, const char *bytes, size_t len)
{
    char path[200];
    FILE *f;

    path_of(path, file);
    f = fopen(path, "w");
    REQUIRE(f != NULL);
    EXPECT_INT((long long)len, (long long)fwrite(bytes, 1, len, f));
    EXPECT_INT(0, fclose(f));
}

/* ---- comparing ---------------------------------------------------------- */

static char *said; /* what the last comparison printed */
static size_t said_len;
static char why[300];

/* Whatever it prints fits the terminal and can't steer it. */
static void expect_tidy(void)
{
    for (const char *line = said; *line;) {
        size_t len = strcspn(line, "\n");

        harness_check(len <= 100, false, __FILE__, __LINE__,
                      "a line of %zu: %.*s", len, (int)len, line);
        harness_check(len == 0 || line[len - 1] != ' ', false, __FILE__,
                      __LINE__, "ends in a blank: %.*s", (int)len, line);
        line += len + (line[len] == '\n');
    }
    for (const char *c = said; *c; c++)
        if (*c != '\n' && (*c < ' ' || *c > '~'))
            harness_check(false, false, __FILE__, __LINE__, "byte %d printed",
                          *c);
}

static int compare_with(const char *base, const char *now, double threshold,
                        bool colour)
{
    char old_path[200], new_path[200];
    FILE *f;
    int code;

    path_of(old_path, base);
    path_of(new_path, now);
    free(said);
    f = open_memstream(&said, &said_len);
    REQUIRE(f != NULL);
    memset(why, 0, sizeof why);
    code = compare_files(f, old_path, new_path, threshold, colour, why,
                         sizeof why);
    EXPECT_INT(0, fclose(f));
    EXPECT((code == COMPARE_DATA || code == COMPARE_IO) == (why[0] != '\0'));
    EXPECT(!why[0] || said_len == 0);
    if (!colour)
        expect_tidy();
    return code;
}

static int compare(const char *base, const char *now)
{
    return compare_with(base, now, COMPARE_THRESHOLD, false);
}

static void expect_said(const char *text)
{
    harness_check(strstr(said, text) != NULL, false, __FILE__, __LINE__,
                  "\"%s\" isn't in: %.600s", text, said);
}

/* The line that begins with this name ends in this verdict. */
static void expect_verdict(const char *name, const char *verdict)
{
    size_t n = strlen(name), v = strlen(verdict);

    for (const char *line = said; *line;) {
        size_t len = strcspn(line, "\n");

        if (strncmp(line, name, n) == 0 && line[n] == ' ') {
            harness_check(len > n + v &&
                              strncmp(line + len - v, verdict, v) == 0 &&
                              line[len - v - 1] == ' ',
                          false, __FILE__, __LINE__, "expected %s: %.*s",
                          verdict, (int)len, line);
            return;
        }
        line += len + (line[len] == '\n');
    }
    harness_check(false, false, __FILE__, __LINE__, "no line for %s in: %.600s",
                  name, said);
}

/* ---- verdicts ----------------------------------------------------------- */

#define NO "No such thing"

struct judged {
    const char *verdict;
    int code;
    struct made old, now;
    double threshold; /* 0 = the default */
};

#define CASE(mid, low, high, coverage, error)                                  \
    {                                                                          \
        "pipe/block/same/get/128", "same", mid, low, high, coverage, error     \
    }
#define GOOD(mid, low, high) CASE(mid, low, high, 0.969, NULL)
#define FAILED               CASE(NAN, NAN, NAN, 0, NO)

static const struct judged judged[] = {
    {"~", 0, GOOD(100, 90, 110), GOOD(100, 90, 110), 0},
    /* Ten times as slow, says the median; the runs don't agree. */
    {"~", 0, GOOD(100, 90, 2000), GOOD(1000, 110, 1100), 0},
    {"~", 0, GOOD(100, 90, 110), GOOD(120, 110, 130), 0}, /* they touch */
    {"worse", 0, GOOD(100, 90, 110), GOOD(120, 111, 130), 0},
    {"better", 0, GOOD(100, 90, 110), GOOD(80, 75, 89), 0},
    {"~", 0, GOOD(100, 90, 110), GOOD(80, 75, 90), 0},
    /* 1.10 isn't more than 10 %. */
    {"worse", 0, GOOD(100, 90, 100), GOOD(120, 110, 130), 0},
    {"WORSE", 1, GOOD(100, 90, 100), GOOD(120, 110.2, 130), 0},
    {"WORSE", 1, GOOD(100, 90, 110), GOOD(300, 280, 350), 0},
    {"worse", 0, GOOD(100, 90, 110), GOOD(300, 280, 350), 200},
    {"WORSE", 1, GOOD(100, 90, 110), GOOD(300, 280, 350), 100},
    {"WORSE", 1, GOOD(100, 99, 100), GOOD(102, 102, 103), 1},
    /* Too few runs show nothing, on either side. */
    {"~", 0, CASE(100, 90, 110, 0.875, NULL), GOOD(300, 280, 350), 0},
    {"~", 0, GOOD(100, 90, 110), CASE(300, 280, 350, 0.875, NULL), 0},
    {"~", 0, CASE(100, 100, 100, 0, NULL), CASE(300, 300, 300, 0, NULL), 0},
    {"WORSE", 1, CASE(100, 90, 110, 0.9, NULL), GOOD(300, 280, 350), 0},
    {"FAILED NOW", 1, GOOD(100, 90, 110), FAILED, 0},
    {"FAILED NOW", 1, GOOD(100, 90, 110), FAILED, 1000},
    {"works now", 0, FAILED, GOOD(100, 90, 110), 0},
    {"failed", 0, FAILED, FAILED, 0},
    {"no median", 0, GOOD(100, 90, 110), CASE(NAN, NAN, NAN, 0, NULL), 0},
    {"no median", 0, CASE(NAN, NAN, NAN, 0, NULL), GOOD(100, 90, 110), 0},
    /* A clock that is too coarse; a number that can't be. */
    {"WORSE", 1, GOOD(0, 0, 0), GOOD(20, 10, 30), 0},
    {"~", 0, GOOD(0, 0, 0), GOOD(0, 0, 0), 0},
    {"WORSE", 1, GOOD(1e-9, 1e-9, 1e-9), GOOD(1e15, 1e15, 1e15), 0},
    {"better", 0, GOOD(1e15, 1e15, 1e15), GOOD(1e-9, 1e-9, 1e-9), 0},
};

static void verdicts(const void *arg)
{
    (void)arg;
    for (size_t i = 0; i < COUNT(judged); i++) {
        const struct judged *j = &judged[i];
        int code;

        make("old.json", "", &j->old, 1);
        make("new.json", "", &j->now, 1);
        code = compare_with("old.json", "new.json",
                            j->threshold > 0 ? j->threshold : COMPARE_THRESHOLD,
                            false);
        harness_check(code == j->code, false, __FILE__, __LINE__,
                      "number %zu: expected %d, got %d: %.600s", i, j->code,
                      code, said);
        expect_verdict(j->old.name, j->verdict);
    }
    free(said);
    said = NULL;
}

static void numbers(const void *arg)
{
    const struct made old = GOOD(100, 80, 125), now = GOOD(300e3, 200e3, 320e3);
    const struct made zero = GOOD(0, 0, 0);

    (void)arg;
    make("old.json", "", &old, 1);
    make("new.json", "", &now, 1);
    EXPECT_INT(1, compare("old.json", "new.json"));
    expect_said("pipe/block/same/get/128     100 ns    300 us  3000 "
                "(1600-4000)    WORSE\n");
    expect_said("The median of all ratios is 3000.");
    EXPECT_INT(0, compare("new.json", "old.json"));
    expect_said("300 us    100 ns  3e-04 (3e-04-6e-04) better\n");
    make("zero.json", "", &zero, 1);
    EXPECT_INT(0, compare("zero.json", "zero.json"));
    expect_said("0 ns      0 ns  1.00 (1.00-1.00)    ~\n");
    free(said);
}

/* What is only in one file, the order of the others, and the sums. */
static void sums(const void *arg)
{
    const struct made old[] = {
        {"gone/1", "same", 1, 1, 1, 1, NULL},
        {"b", "same", 100, 90, 110, 0.97, NULL},
        {"a", "same", 100, 90, 110, 0.97, NULL},
        {"c", "same", 100, 90, 110, 0.97, NULL},
        {"d", "same", 100, 90, 110, 0.97, NO},
        {"e", "same", 100, 90, 110, 0.97, NULL},
        {"gone/2", "same", 1, 1, 1, 1, NULL},
    };
    const struct made now[] = {
        {"new", "same", 1, 1, 1, 1, NULL},
        {"a", "same", 50, 40, 60, 0.97, NULL},
        {"b", "same", 200, 190, 210, 0.97, NULL},
        {"c", "same", 100, 90, 110, 0.97, NULL},
        {"d", "same", 100, 90, 110, 0.97, NO},
        {"e", "same", 119, 111, 121, 0.97, NULL},
    };

    (void)arg;
    make("old.json", "", old, COUNT(old));
    make("new.json", "", now, COUNT(now));
    EXPECT_INT(1, compare("old.json", "new.json"));
    expect_verdict("a", "better");
    expect_verdict("b", "WORSE");
    expect_verdict("c", "~");
    expect_verdict("d", "failed");
    expect_verdict("e", "worse");
    expect_verdict("new", "only in new");
    expect_verdict("gone/1", "only in old");
    expect_said(
        "\n5 cases: 1 better, 2 worse, 1 no significant difference, "
        "1 not comparable\nNot counted: 2 only in old, 1 only in new\n");
    expect_said("WORSE (1)");
    EXPECT(strstr(said, "\nnew ") < strstr(said, "\na "));
    EXPECT(strstr(said, "\na ") < strstr(said, "\nb "));
    EXPECT(strstr(said, "\ne ") < strstr(said, "\ngone/1 "));
    EXPECT(strstr(said, "\ngone/1 ") < strstr(said, "\ngone/2 "));
    free(said);
}

/* Nothing in common: nothing became worse. */
static void strangers(const void *arg)
{
    const struct made old = {"a", "same", 1, 1, 1, 1, NULL};
    const struct made now = {"b", "same", 1, 1, 1, 1, NULL};

    (void)arg;
    make("old.json", "", &old, 1);
    make("new.json", "", &now, 1);
    EXPECT_INT(0, compare("old.json", "new.json"));
    expect_said("\n0 cases: 0 better, 0 worse, 0 no significant difference\n"
                "Not counted: 1 only in old, 1 only in new\n");
    free(said);
}

/* It failed because there is no second CPU here: another machine, and no
 * worsening. And where the scheduler places the pair, luck is compared. */
static void places(const void *arg)
{
    const struct made old[] = {{"a", "cross", 100, 90, 110, 0.97, NULL},
                               {"b", "free", 100, 90, 110, 0.97, NULL}};
    const struct made now[] = {{"a", "cross", NAN, NAN, NAN, 0, NO},
                               {"b", "free", 900, 890, 910, 0.97, NULL}};
    const char *two = "\"cpus_cross\": [1, 0]", *one = "\"cpus_cross\": []";

    (void)arg;
    make("old.json", two, old, 2);
    make("new.json", one, now, 2);
    EXPECT_INT(0, compare("old.json", "new.json"));
    expect_verdict("a", "no such CPU");
    expect_verdict("b", "not ranked");
    expect_said("  cpus_cross       [1,0] -> []\n");
    EXPECT_INT(0, compare("new.json", "old.json"));
    expect_verdict("a", "no such CPU");
    /* With the CPUs there it is a failure like others. */
    make("new.json", two, now, 2);
    EXPECT_INT(1, compare("old.json", "new.json"));
    expect_verdict("a", "FAILED NOW");
    expect_said("\n    " NO "\n");
    free(said);
}

/* ---- what stands above the table ---------------------------------------- */

static const struct made usual = GOOD(100, 90, 110);

static void conditions(const void *arg)
{
    (void)arg;
    make("old.json",
         "\"cpu_model\": \"A\", \"num_cpus\": 2, \"kernel\": \"Linux 6.1\", "
         "\"governor\": null, \"runs\": 6, \"load_avg\": [1], \"smt\": true",
         &usual, 1);
    make("new.json",
         "\"cpu_model\": \"B\", \"num_cpus\": 2, \"kernel\": \"Linux 6.18\", "
         "\"governor\": \"powersave\", \"runs\": 6, \"load_avg\": [2]",
         &usual, 1);
    EXPECT_INT(0, compare("old.json", "new.json"));
    expect_said("\nwarning: not measured under the same conditions; what "
                "differs below may be due to:\n"
                "  cpu_model        \"A\" -> \"B\"\n"
                "  governor         none -> \"powersave\"\n"
                "  kernel           \"Linux 6.1\" -> \"Linux 6.18\"\n\n");
    EXPECT_INT(0, compare("old.json", "old.json"));
    EXPECT(strstr(said, "warning") == NULL);
    free(said);
}

static void notes(const void *arg)
{
    (void)arg;
    make("old.json",
         "\"date\": \"2026-11-22T10:42:27Z\", \"revision\": \"b69b63b\", "
         "\"partial\": true, \"noisy\": false, \"noise\": \"quiet\"",
         &usual, 1);
    make("new.json", "\"noisy\": true, \"noise\": \"noisy: load 3.1\"", &usual,
         1);
    EXPECT_INT(0, compare("old.json", "new.json"));
    expect_said("2026-11-22T10:42:27Z, revision b69b63b\n"
                "note: the old result is partial");
    expect_said("no date, revision unknown\n"
                "note: new: noisy: load 3.1\n");
    EXPECT(strstr(said, "note: old:") == NULL);
    make("result_of_a_long_name_and_a_long_date_2026-11-22.json", "", &usual,
         1);
    EXPECT_INT(0,
               compare("result_of_a_long_name_and_a_long_date_2026-11-22.json",
                       "new.json"));
    expect_said("old: ...e_and_a_long_date_2026-11-22.json, no date");
    free(said);
}

/* Texts that are long, or would steer the terminal. */
static void rude_texts(const void *arg)
{
    char name[120], message[400], context[900];
    const struct made old = {name, "same", 100, 90, 110, 0.97, NULL};
    const struct made now = {name, "same", NAN, NAN, NAN, 0, message};

    (void)arg;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memset(message, 'm', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    memcpy(message, "\\u001b[2J\\n", strlen("\\u001b[2J\\n"));
    (void)snprintf(context, sizeof context,
                   "\"kernel\": \"\\u001b[2J\\u0007%s\xff\xc3\xa9\", "
                   "\"date\": \"\\u001b%s\", \"revision\": \"\\n%s\", "
                   "\"noisy\": true, \"noise\": \"\\t%s\"",
                   name, name, name, name);
    make("old.json", context, &old, 1);
    make("new.json", "\"kernel\": \"\"", &now, 1);
    EXPECT_INT(1, compare("old.json", "new.json")); /* looks at every byte */
    expect_said("FAILED NOW");
    expect_said("?[2J?mmm");
    expect_said("mmm...\n");
    free(said);
}

static void colours(const void *arg)
{
    const struct made now = GOOD(300, 280, 350);

    (void)arg;
    make("old.json", "", &usual, 1);
    make("new.json", "", &now, 1);
    EXPECT_INT(1, compare_with("old.json", "new.json", 10, true));
    expect_said("\033[1;31mpipe/block/same/get/128 ");
    expect_said("WORSE\033[0m\n");
    free(said);
}

/* ---- files that are no results ------------------------------------------ */

struct bad {
    const char *text, *why; /* a part of the sentence */
};

#define HEAD "{\"context\": {\"executable\": \"ipcbench\"}, \"benchmarks\": ["
#define ENTRY(name, numbers)                                                   \
    "{\"name\": \"" name "\", \"error_occurred\": false, " numbers "}"
#define P50(mid, low, high, coverage)                                          \
    "\"p50_ns\": " mid ", \"p50_low_ns\": " low ", \"p50_high_ns\": " high     \
    ", \"interval_coverage\": " coverage
#define WITH(mid, low, high, coverage)                                         \
    HEAD ENTRY("x", P50(mid, low, high, coverage)) "]}"
#define FINE ENTRY("fine", P50("2", "1", "3", "0.97"))

static const struct bad bad[] = {
    {"", "line 1: this is not JSON"},
    {"\n\n{\"context\": {},\n oops", "line 4: this is not JSON"},
    {"name,p50_ns\npipe,3\n", "not JSON"},
    {HEAD FINE, "was cut off"},
    {HEAD FINE "]} and more", "not JSON"},
    {HEAD FINE "]}" HEAD FINE "]}", "not JSON"},
    {"42", "of another program"},
    {"null", "of another program"},
    {"[]", "of another program"},
    {"{}", "of another program"},
    {"{\"context\": [], \"benchmarks\": []}", "of another program"},
    {"{\"context\": {\"executable\": 7}}", "of another program"},
    /* What two well-known programs write. */
    {"{\"context\": {\"date\": \"2026-11-22\", \"executable\": \"./my_bench\", "
     "\"num_cpus\": 2, \"caches\": []}, \"benchmarks\": [{\"name\": "
     "\"BM_pipe\", \"run_name\": \"BM_pipe\", \"run_type\": \"iteration\", "
     "\"iterations\": 100, \"real_time\": 1.5, \"cpu_time\": 1.5, "
     "\"time_unit\": \"ns\"}]}",
     "of another program"},
    {"{\"results\": [{\"command\": \"sleep 1\", \"mean\": 1.002, \"stddev\": "
     "0.001, \"median\": 1.002, \"times\": [1.001, 1.003]}]}",
     "of another program"},
    {"{\"context\": {\"executable\": \"ipcbench\"}}", "no benchmarks"},
    {HEAD "]}", "no benchmarks"},
    {"{\"context\": {\"executable\": \"ipcbench\"}, \"benchmarks\": {\"a\": "
     "1}}",
     "no benchmarks"},
    {HEAD "7]}", "case 1: it has no proper name"},
    {HEAD FINE ", {}]}", "case 2: it has no proper name"},
    {HEAD FINE ", {\"name\": 5, \"error_occurred\": false}]}", "case 2"},
    {HEAD ENTRY("", "\"p50_ns\": null") "]}", "no proper name"},
    {HEAD ENTRY("a b", "\"p50_ns\": null") "]}", "no proper name"},
    {HEAD ENTRY("\\u001b[2J", "\"p50_ns\": null") "]}", "no proper name"},
    {HEAD ENTRY("\xc3\xa9", "\"p50_ns\": null") "]}", "no proper name"},
    {HEAD ENTRY("\x7f", "\"p50_ns\": null") "]}", "no proper name"},
    {HEAD FINE ", " FINE "]}", "case fine is there twice"},
    {HEAD "{\"name\": \"x\", \"p50_ns\": 1}]}",
     "case x: error_occurred is missing"},
    {HEAD "{\"name\": \"x\", \"error_occurred\": \"no\"}]}",
     "case x: error_occurred is missing"},
    {HEAD ENTRY("x", "\"real_time\": 5") "]}", "case x: p50_ns"},
    {WITH("-2", "1", "3", "0.97"), "case x: p50_ns is missing or impossible"},
    {WITH("\"2\"", "1", "3", "0.97"), "p50_ns"},
    {WITH("true", "1", "3", "0.97"), "p50_ns"},
    {WITH("[2]", "1", "3", "0.97"), "p50_ns"},
    {WITH("NaN", "1", "3", "0.97"), "not JSON"},
    {WITH("Infinity", "1", "3", "0.97"), "not JSON"},
    {WITH("1e999", "1", "3", "0.97"), "p50_ns"},
    {WITH("2e15", "1", "3e15", "0.97"), "p50_ns"},
    {WITH("2", "2.5", "3", "0.97"), "p50_low_ns"},
    {WITH("2", "-1", "3", "0.97"), "p50_low_ns"},
    {WITH("2", "null", "3", "0.97"), "p50_low_ns"},
    {WITH("2", "1", "1.5", "0.97"), "p50_high_ns"},
    {WITH("2", "1", "1e999", "0.97"), "p50_high_ns"},
    {WITH("2", "1", "\"3\"", "0.97"), "p50_high_ns"},
    {WITH("2", "1", "3", "1.5"), "interval_coverage"},
    {WITH("2", "1", "3", "null"), "interval_coverage"},
};

/* Each as the old result, and as the new one. */
static void expect_bad(const char *what, const char *part)
{
    for (int second = 0; second < 2; second++) {
        int code = second ? compare("good.json", "bad.json")
                          : compare("bad.json", "good.json");

        harness_check(
            code == 65 && strstr(why, part) && strstr(why, "bad.json"), false,
            __FILE__, __LINE__, "%.200s: %d, %s", what, code, why);
    }
}

static void damaged(const void *arg)
{
    (void)arg;
    make("good.json", "", &usual, 1);
    for (size_t i = 0; i < COUNT(bad); i++) {
        put_bytes("bad.json", bad[i].text, strlen(bad[i].text));
        expect_bad(bad[i].text, bad[i].why);
    }
    free(said);
}

/* A NUL would end the name before its end. */
static void hidden(const void *arg)
{
    const char text[] = HEAD ENTRY("x\0y", "\"p50_ns\": null") "]}";

    (void)arg;
    make("good.json", "", &usual, 1);
    put_bytes("bad.json", text, sizeof text - 1);
    expect_bad("a NUL", "not JSON");
    free(said);
}

static void deep(const void *arg)
{
    static char text[200000];

    (void)arg;
    make("good.json", "", &usual, 1);
    memset(text, '[', sizeof text);
    put_bytes("bad.json", text, sizeof text);
    expect_bad("200,000 brackets", "not JSON");
    free(said);
}

static void huge(const void *arg)
{
    char path[200];

    (void)arg;
    make("good.json", "", &usual, 1);
    put_bytes("bad.json", "", 0);
    path_of(path, "bad.json");
    EXPECT_INT(0, truncate(path, 100 << 20)); /* a hole: takes no disk */
    expect_bad("100 MB", "more than 8 MiB");
    free(said);
}

static void unreadable(const void *arg)
{
    (void)arg;
    make("good.json", "", &usual, 1);
    EXPECT_INT(74, compare("nothing.json", "good.json"));
    EXPECT(strstr(why, "cannot open '") != NULL);
    EXPECT(strstr(why, "/nothing.json': ENOENT No such file") != NULL);
    EXPECT_INT(74, compare("good.json", "nothing.json"));
    EXPECT_INT(74, compare("good.json", "."));
    EXPECT(strstr(why, "/.': EISDIR Is a directory") != NULL);
    free(said);
}

/* Results come through a pipe as well: bash's <(...). */
static void piped(const void *arg)
{
    char path[200], text[2000];
    FILE *from, *to;
    size_t len;
    pid_t pid;

    (void)arg;
    make("old.json", "", &usual, 1);
    path_of(path, "old.json");
    from = fopen(path, "r");
    REQUIRE(from != NULL);
    len = fread(text, 1, sizeof text, from);
    EXPECT_INT(0, fclose(from));
    path_of(path, "pipe.json");
    REQUIRE_INT(0, mkfifo(path, 0600));
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        to = fopen(path, "w");
        for (size_t i = 0; to && i < len; i += 100) { /* in pieces */
            (void)fwrite(text + i, 1, len - i < 100 ? len - i : 100, to);
            (void)fflush(to);
        }
        _exit(0);
    }
    EXPECT_INT(0, compare("old.json", "pipe.json"));
    REQUIRE_INT(pid, waitpid(pid, NULL, 0));
    free(said);
}

/* ---- a real result ------------------------------------------------------ */

static void itself(const void *arg)
{
    char line[300], path[200], measured[4000];

    (void)arg;
    path_of(path, "real.json");
    (void)snprintf(line, sizeof line,
                   "--transports none,pipe --wait block --place same "
                   "--seconds 0.02 --runs 6 --json %s",
                   path);
    if (!ipcbench_run(0, line, measured, sizeof measured))
        return;
    EXPECT_INT(0, compare("real.json", "real.json"));
    expect_verdict("pipe/block/same/get/128", "~");
    expect_verdict("pipe/block/same/bare/128", "~");
    expect_said(" cases: 0 better, 0 worse, ");
    expect_said("The median of all ratios is 1.00.");
    EXPECT(strstr(said, "warning") == NULL);
    free(said);
}

/* ---- the suite ---------------------------------------------------------- */

static const struct test_case cases[] = {
    {.name = "verdicts", .run = verdicts},
    {.name = "numbers", .run = numbers},
    {.name = "sums", .run = sums},
    {.name = "strangers", .run = strangers},
    {.name = "places", .run = places},
    {.name = "above/conditions", .run = conditions},
    {.name = "above/notes", .run = notes},
    {.name = "above/rude-texts", .run = rude_texts},
    {.name = "colours", .run = colours},
    {.name = "files/damaged", .run = damaged},
    {.name = "files/hidden", .run = hidden},
    {.name = "files/deep", .run = deep},
    {.name = "files/huge", .run = huge},
    {.name = "files/unreadable", .run = unreadable},
    {.name = "files/piped", .run = piped},
    {.name = "real/itself", .run = itself, .seconds = 60},
};

static const struct test_suite suite = {
    .name = "compare", .cases = cases, .count = COUNT(cases)};

int main(int argc, char **argv)
{
    return harness_main(argc, argv, &suite);
}
