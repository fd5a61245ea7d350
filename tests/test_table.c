/*
 * test_table.c - does a person get to see what was measured?
 *
 * Plans made by hand, with numbers that are known: what they look like as
 * tables. Their form: no line too long, columns that line up, no escape
 * sequence without colour. And what they say: who is called faster and who
 * isn't, what has no number, what isn't accounted for.
 *
 * peer_find is replaced (the linker's --wrap): which peers are installed
 * differs from machine to machine. It needs _XOPEN_SOURCE for posix_openpt.
 */
#define _XOPEN_SOURCE 700
#include "table.h"

#include "harness.h"
#include "peer.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define RUNS     6
#define WIDTH    100

/* ---- plans by hand ------------------------------------------------------ */

const struct peer *__wrap_peer_find(const char *name, char *why, size_t cap);

const struct peer *__wrap_peer_find(const char *name, char *why, size_t cap)
{
    static const struct peer peer = {
        .name = "tcp", .blurb = "TCP over the loopback interface"};

    if (strcmp(name, "tcp") == 0)
        return &peer;
    (void)snprintf(why, cap, "skipped: no library for %s", name);
    return NULL;
}

/* The base point. */
static const struct conditions point = {.transport = "pipe",
                                        .kind = KIND_LAB,
                                        .wait = TP_BLOCK,
                                        .place = PLACE_SAME,
                                        .op = OP_GET,
                                        .deadline_ms = -1,
                                        .size = 128,
                                        .clients = 1,
                                        .depth = 1,
                                        .events = 1000};

/* What the runs' medians are to the case's. */
static const double steady[RUNS] = {1, 1, 1, 1, 1, 1};
static const double wide[RUNS] = {0.9, 0.95, 1, 1, 1.05, 1.1};
static const double split[RUNS] = {1, 2, 1, 2, 1, 2};

static void flat(struct dist *d, uint32_t ns, uint32_t n)
{
    uint32_t *samples = calloc(n, sizeof *samples);

    REQUIRE(samples != NULL);
    for (uint32_t i = 0; i < n; i++)
        samples[i] = ns;
    REQUIRE_INT(0, dist_make(d, samples, n));
    free(samples);
}

/* Good runs, all samples of each alike. */
static void fill(struct row *r, double ns, const double by_round[RUNS])
{
    for (unsigned k = 0; k < r->runs; k++) {
        struct run *run = &r->run[k];
        double p50 = ns * by_round[k];

        flat(&r->dist[k], (uint32_t)p50, 2000);
        if (r->c.rate > 0)
            flat(&r->service[k], (uint32_t)p50 / 2, 2000);
        run->p50 = (uint32_t)p50;
        run->requests_per_s =
            r->c.rate > 0 ? r->c.rate : 1e9 / p50 * r->c.clients;
        run->cpu_ns = p50 + 500;
        run->voluntary = 0.5;
        run->involuntary = 1.5;
        run->drift = 1;
        run->share = 1.25;
        for (unsigned i = 0; i < TP_CLIENTS_MAX; i++)
            run->client_p99[i] = i < r->c.clients ? p50 + 100 * i : NAN;
    }
    r->good = r->runs;
}

static void begin(struct plan *p)
{
    *p = (struct plan){.runs = RUNS, .how = COUNT_PERF};
}

/* One more row; the pointer holds until the next one. */
static struct row *put(struct plan *p, const struct conditions *c,
                       enum sweep sweep, double value, unsigned group,
                       double ns)
{
    struct row *r = plan_add(p, c, sweep, value, group);

    REQUIRE(r != NULL);
    if (ns > 0)
        fill(r, ns, steady);
    return r;
}

/* A row of the base tables. */
static struct row *put_base(struct plan *p, const char *transport,
                            enum kind kind, enum place place, unsigned group,
                            double ns)
{
    struct conditions c = point;

    c.transport = transport;
    c.kind = kind;
    c.place = place;
    return put(p, &c, SWEEP_BASE, 128, group, ns);
}

static void set_fail(struct row *r, int error, bool expected, const char *why)
{
    r->error = error;
    r->expected = expected;
    r->good = 0;
    (void)snprintf(r->why, sizeof r->why, "%s", why);
}

static const struct machine here = {.cpu = "A processor",
                                    .kernel = "Linux 6.1 x86_64",
                                    .clock_source = "tsc",
                                    .mhz = 2400,
                                    .cpus = 2,
                                    .allowed = 2,
                                    .clock_ns = 28,
                                    .harness_ns = 58,
                                    .spots = {{true, 1, 1}, {true, 1, 0}}};

/* ---- what is printed ---------------------------------------------------- */

/* All of it; the caller's to free. */
static char *shown(const struct plan *p, const struct machine *m, bool colour)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    REQUIRE(f != NULL);
    table_results(f, p, m, colour);
    REQUIRE_INT(0, fclose(f));
    return text;
}

/* Columns that a terminal can show, and not more of them. */
static void check_form(const char *text)
{
    int at = 0, lines = 0;

    for (; *text; text++) {
        EXPECT(*text == '\n' || isprint((unsigned char)*text));
        at = *text == '\n' ? 0 : at + 1;
        lines += *text == '\n';
        EXPECT(at <= WIDTH);
    }
    EXPECT_INT(0, at); /* the last line ends */
    EXPECT(lines > 0);
}

/* Print and check what all tables must keep to. */
static char *render(struct plan *p)
{
    char *text = shown(p, &here, false);

    check_form(text);
    plan_free(p);
    return text;
}

static size_t times_in(const char *text, const char *part)
{
    size_t n = 0;

    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        n++;
    return n;
}

/* Is there a line with exactly this text? */
static bool has_line(const char *text, const char *line)
{
    size_t len = strlen(line);

    for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
        if ((at == text || at[-1] == '\n') && at[len] == '\n')
            return true;
    return false;
}

/* The first line of `text` that begins with `start`. */
static const char *line_of(const char *text, const char *start)
{
    for (const char *at = text; (at = strstr(at, start)) != NULL; at++)
        if (at == text || at[-1] == '\n')
            return at;
    harness_check(false, true, __FILE__, __LINE__, "no line '%s'", start);
    return NULL;
}

/* The first line with `part` in it. */
static const char *line_with(const char *text, const char *part)
{
    const char *at = strstr(text, part);

    if (!at)
        harness_check(false, true, __FILE__, __LINE__, "no '%s'", part);
    while (at > text && at[-1] != '\n')
        at--;
    return at;
}

/* Does each of these heads (right-aligned, a space between) have a cell that
 * ends below it? The cells in `line` are separated by spaces as well. */
static void check_aligned(const char *head, const char *line, const char *heads)
{
    size_t from = 0;

    while (*heads) {
        size_t len = strcspn(heads, " ");
        size_t head_len = strcspn(head, "\n"), end = from;

        while (end + len <= head_len && strncmp(head + end, heads, len) != 0)
            end++;
        end += len;
        REQUIRE(end <= head_len);
        harness_check(strcspn(line, "\n") >= end && line[end - 1] != ' ' &&
                          (line[end] == ' ' || line[end] == '\n'),
                      false, __FILE__, __LINE__,
                      "no cell ends below '%.*s' in '%.*s'", (int)len, heads,
                      (int)strcspn(line, "\n"), line);
        from = end;
        heads += len;
        heads += strspn(heads, " ");
    }
}

#define BASE_HEADS "p50 +- p90 p99 p99.9 max req/s CPU/req switch calls"

/* ---- rankings ----------------------------------------------------------- */

/* shm 4 us, pipe 8 us, each with its floor, in one ranking. */
static void two_transports(struct plan *p, enum place place)
{
    struct row *r;

    begin(p);
    put_base(p, "none", KIND_NONE, PLACE_SAME, 1, 200);
    r = put_base(p, "pipe", KIND_LAB, place, 2, 8000);
    r->counts.how = COUNT_PERF;
    r->counts.calls = 4;
    put_base(p, "pipe", KIND_BARE, place, 2, 5000);
    put_base(p, "shm", KIND_LAB, place, 3, 4000);
    put_base(p, "shm", KIND_BARE, place, 3, 2000);
}

static void ranking(const void *arg)
{
    struct plan p;
    char *text;
    const char *head, *pipe, *shm;

    (void)arg;
    two_transports(&p, PLACE_SAME);
    text = render(&p);
    head = line_of(line_of(text, "Blocking, same CPU"), "               p50");
    shm = line_of(head, "  shm ");
    pipe = line_of(head, "  pipe ");
    EXPECT(line_of(head, "  none ") < shm);
    EXPECT(shm < pipe); /* the fastest first */
    check_aligned(head, shm, BASE_HEADS);
    check_aligned(head, pipe, BASE_HEADS);
    check_aligned(head, line_of(pipe, "    bare "), BASE_HEADS);
    EXPECT(has_line(text,
                    "  pipe     8.00 us   0% 8.00 us 8.00 us 8.00 us 8.00 "
                    "us  125 k 8.50 us    2.0   4.0 1.60 (1.60-1.60)"));
    EXPECT(has_line(text, "  shm is 2.00 +- 0.00 times faster than pipe "
                          "(blocking, same CPU)"));
    EXPECT(strstr(text, "16 bytes there, 128 bytes back") != NULL);
    EXPECT(strstr(text, "Spinning") == NULL);
    free(text);
}

/* +- is half of the interval of the ratios; who overlaps isn't faster. */
static void comparison(const void *arg)
{
    struct plan p;
    char *text;

    (void)arg;
    begin(&p);
    put_base(&p, "pipe", KIND_LAB, PLACE_SAME, 1, 1000);
    fill(put_base(&p, "fifo", KIND_LAB, PLACE_SAME, 2, 0), 3000, wide);
    fill(put_base(&p, "mqueue", KIND_LAB, PLACE_SAME, 3, 0), 3100, wide);
    put_base(&p, "shm", KIND_LAB, PLACE_SAME, 4, 20000);
    put_base(&p, "socket", KIND_LAB, PLACE_CROSS, 5, 900);
    text = render(&p);
    EXPECT(has_line(text, "  pipe is 3.00 +- 0.30 times faster than fifo "
                          "(blocking, same CPU)"));
    EXPECT(has_line(text, "  pipe is 20.0 +- 0.0 times faster than shm "
                          "(blocking, same CPU)"));
    EXPECT(has_line(text, "  no significant difference between fifo and "
                          "mqueue (blocking, same CPU)"));
    EXPECT_INT(1,
               (long long)times_in(text, "no significant difference between"));
    EXPECT(strncmp(line_with(text, " mqueue   3.10 us"), "~ ", 2) == 0);
    EXPECT(strncmp(line_with(text, " fifo     3.00 us  10%"), "  ", 2) == 0);
    EXPECT(strncmp(line_with(text, " shm      20.0 us"), "  ", 2) == 0);
    /* Alone in its placement: nothing to compare with. */
    EXPECT(strstr(text, "socket is") == NULL);
    EXPECT(strstr(text, "than socket") == NULL);
    free(text);
}

/* With too few runs no order is certain, however far apart they are. */
static void too_few(const void *arg)
{
    struct plan p;
    char *text;

    (void)arg;
    two_transports(&p, PLACE_SAME);
    for (size_t i = 0; i < p.count; i++)
        for (unsigned k = 4; k < RUNS; k++) {
            dist_free(&p.rows[i].dist[k]);
            p.rows[i].good = 4;
        }
    text = render(&p);
    EXPECT(strstr(text, "times faster") == NULL);
    EXPECT(strstr(text, "too few runs to say which is faster") != NULL);
    EXPECT(has_line(text, "  Runs instead of 6: shm 4, pipe 4"));
    free(text);
}

/* Left to the scheduler: in the order of the plan, and no word about who is
 * faster. */
static void not_ranked(const void *arg)
{
    struct plan p;
    char *text;
    const char *head;

    (void)arg;
    two_transports(&p, PLACE_FREE);
    text = render(&p);
    head = line_of(text, "Blocking, left to the scheduler");
    EXPECT(line_of(head, "  pipe ") < line_of(head, "  shm "));
    EXPECT(strstr(text, "times faster") == NULL);
    EXPECT(strstr(text, "no significant difference between") == NULL);
    EXPECT(strstr(text, "factor of 15 to 30") != NULL);
    free(text);
}

/* Blocking and spinning are never compared. */
static void waits_apart(const void *arg)
{
    struct conditions c = point;
    struct plan p;
    char *text;

    (void)arg;
    begin(&p);
    put_base(&p, "pipe", KIND_LAB, PLACE_CROSS, 1, 50000);
    c.place = PLACE_CROSS;
    c.wait = TP_SPIN;
    put(&p, &c, SWEEP_BASE, 128, 2, 2000);
    c.place = PLACE_SAME;
    c.transport = "shm";
    put(&p, &c, SWEEP_BASE, 128, 3, 8e6);
    c.wait = TP_ADAPT;
    put(&p, &c, SWEEP_BASE, 128, 4, 3000);
    text = render(&p);
    EXPECT(strstr(text, "Blocking, other CPU") <
           strstr(text, "Spinning, other"));
    EXPECT(strstr(text, "Adaptive, same CPU") != NULL);
    EXPECT(strstr(text, "times faster") == NULL);
    EXPECT(strstr(text, "counter-example") != NULL);
    EXPECT(strstr(text, "in 6 runs: 12000,") != NULL);
    free(text);
}

static void absent(const void *arg)
{
    struct plan p;
    char *text;

    (void)arg;
    two_transports(&p, PLACE_SAME);
    put_base(&p, "pipe", KIND_LAB, PLACE_SMT, 4, 0)->absent = true;
    put_base(&p, "shm", KIND_LAB, PLACE_SMT, 5, 0)->absent = true;
    put_base(&p, "pipe", KIND_LAB, PLACE_PACKAGE, 6, 0)->absent = true;
    text = render(&p);
    EXPECT(has_line(text,
                    "Blocking: not measured, there are no such CPUs here: "
                    "smt, package"));
    EXPECT_INT(1, (long long)times_in(text, "no such CPUs"));
    EXPECT(strstr(text, "two threads of one core") == NULL);
    free(text);
}

static void failures(const void *arg)
{
    static const char long_word[] =
        "a-sentence-without-any-space-that-is-longer-than-a-line-of-the-tables-"
        "can-be-so-that-it-has-to-be-cut-somewhere-in-its-middle-or-it-would-"
        "run-over-the-edge";
    struct plan p;
    char *text;

    (void)arg;
    two_transports(&p, PLACE_SAME);
    set_fail(put_base(&p, "fifo", KIND_LAB, PLACE_SAME, 4, 0), -EBADMSG, false,
             "the reply is another client's");
    set_fail(put_base(&p, "mqueue", KIND_LAB, PLACE_SAME, 5, 0), -ENOSPC, true,
             long_word);
    put_base(&p, "socket", KIND_LAB, PLACE_SAME, 6, 0); /* Ctrl-C came first */
    text = render(&p);
    EXPECT(has_line(text, "  fifo      FAILED: wrong reply, the reply is "
                          "another client's"));
    EXPECT(strstr(text, "  mqueue    not available: ENOSPC,") != NULL);
    EXPECT(has_line(text, "  socket    not measured"));
    EXPECT(line_of(text, "  pipe ") < line_of(text, "  fifo "));
    /* Who has no number isn't compared. */
    EXPECT_INT(1, (long long)times_in(text, "times faster"));
    free(text);
}

static void prices(const void *arg)
{
    struct conditions c = point;
    struct plan p;
    char *text;
    const char *head;

    (void)arg;
    two_transports(&p, PLACE_SAME);
    c.deadline_ms = 1000;
    put(&p, &c, SWEEP_BASE, 128, 2, 10000);
    c.transport = "shm";
    fill(put(&p, &c, SWEEP_BASE, 128, 3, 0), 4040, wide);
    text = render(&p);
    head = line_of(text, "The price of a deadline (blocking, p50)\n");
    head = line_of(head, "                     without");
    check_aligned(head, line_of(head, "  pipe "), "without with more");
    check_aligned(head, line_of(head, "~ shm "), "without with more");
    EXPECT(has_line(text,
                    "  pipe    same       8.00 us   10.0 us   2.00 us   1.25 "
                    "(1.25-1.25)   2.00 (2.00-2.00)"));
    /* In the rankings there are plain calls only. */
    EXPECT_INT(1, (long long)times_in(text, "Blocking, same CPU"));
    EXPECT_INT(1, (long long)times_in(text, "\n  pipe     8.00 us"));
    EXPECT(strstr(text, "\n  pipe     10.0 us") == NULL);
    free(text);
}

/* Asked for by itself, a deadline has rankings of its own. */
static void deadline_only(const void *arg)
{
    struct conditions c = point;
    struct plan p;
    char *text;

    (void)arg;
    begin(&p);
    c.deadline_ms = 250;
    put(&p, &c, SWEEP_BASE, 128, 2, 10000);
    text = render(&p);
    EXPECT(strstr(text, "\nBlocking, with a deadline of 250 ms, same CPU") !=
           NULL);
    EXPECT(strstr(text, "\n  pipe     10.0 us") != NULL);
    EXPECT(strstr(text, "The price of a deadline") == NULL);
    free(text);
}

/* ---- why ---------------------------------------------------------------- */

static void set_call(struct row *r, unsigned i, const char *name, double calls,
                     double failed)
{
    (void)snprintf(r->counts.call[i].name, COUNT_NAME_MAX, "%s", name);
    r->counts.call[i].calls = calls;
    r->counts.call[i].failed = failed;
}

/* Two counted rows and one that isn't. */
static void counted(struct plan *p, enum count_how how)
{
    struct row *r;

    begin(p);
    p->how = how;
    r = put_base(p, "pipe", KIND_LAB, PLACE_SAME, 1, 8000);
    r->counts = (struct counts){.how = how, .calls = 4, .copied = 288};
    set_call(r, 0, "write", 2, 0);
    set_call(r, 1, "read", 2, 0);
    r = put_base(p, "socket", KIND_LAB, PLACE_SAME, 2, 9000);
    r->counts = (struct counts){.how = how, .calls = 9.5, .copied = 3000};
    set_call(r, 0, "recvfrom", 3, 1);
    set_call(r, 1, "epoll_wait", 2.5, 0);
    set_call(r, 2, "sendmsg", 2, 0);
    set_call(r, 3, "clock_gettime", 2, 0);
    set_call(r, 4, "getpid", 0.01, 0);
    put_base(p, "shm", KIND_LAB, PLACE_SAME, 3, 7000);
}

#define WHY_HEADS "calls copied voluntary involuntary CPU/req"

static void counts(const void *arg)
{
    struct plan p;
    char *text;
    const char *head;

    (void)arg;
    counted(&p, COUNT_PERF);
    text = render(&p);
    head = line_of(text, "Why it costs that: blocking, same CPU\n");
    head = line_of(head, "           calls");
    check_aligned(head, line_of(head, "  pipe "), WHY_HEADS);
    check_aligned(head, line_of(head, "  socket "), WHY_HEADS);
    check_aligned(head, line_of(head, "  shm "), WHY_HEADS);
    EXPECT(strstr(head, "  4.0  write 2.0, read 2.0  ") != NULL);
    EXPECT(strstr(head, "  9.5  recvfrom 3.0 (1.0 failed),  ") != NULL);
    EXPECT(strstr(head, "\n                  epoll_wait 2.5, sendmsg 2.0, "
                        "clock_gettime 2.0\n") != NULL);
    EXPECT(strstr(head, "getpid") == NULL); /* it would be 0.0 */
    EXPECT(strstr(head, "  288 B") && strstr(head, "2.93 KiB"));
    EXPECT(strstr(text, "perf tracepoints") != NULL);
    EXPECT(strstr(text, "strace") == NULL);
    /* The parts of the time weren't measured. */
    EXPECT(strstr(text, "Where the time goes can't be said") != NULL);
    free(text);
}

static void counted_how(const void *arg)
{
    struct plan p;
    char *text;

    (void)arg;
    counted(&p, COUNT_STRACE);
    (void)snprintf(p.how_why, sizeof p.how_why, "no CAP_PERFMON");
    text = render(&p);
    EXPECT(strstr(text, "counted by strace") != NULL);
    EXPECT(strstr(text, "disturbs") != NULL);
    EXPECT(strstr(text, "Not by perf: no CAP_PERFMON") != NULL);
    free(text);
    counted(&p, COUNT_NOT);
    (void)snprintf(p.how_why, sizeof p.how_why, "strace isn't installed");
    text = render(&p);
    EXPECT(strstr(text, "not counted: strace isn't installed") != NULL);
    EXPECT(strstr(text, "write 2.0") == NULL);
    free(text);
}

static void put_part(struct plan *p, const char *transport, enum kind kind,
                     double size, enum place place, unsigned group, double ns)
{
    struct conditions c = point;

    c.transport = transport;
    c.kind = kind;
    c.place = place;
    c.op = OP_RAW;
    c.size = (size_t)size;
    put(p, &c, SWEEP_BASE, size, group, ns);
}

/* pipe: 200 + 2000 + 300 + 3000 + 1800 + 700 = 8000 ns. shm: the parts are
 * 1000 ns more than the whole. */
static void parts_of_two(struct plan *p)
{
    begin(p);
    put_base(p, "none", KIND_NONE, PLACE_SAME, 1, 200);
    put_part(p, "eventfd", KIND_ALONE, 8, PLACE_SAME, 2, 1000);
    put_part(p, "eventfd", KIND_BARE, 8, PLACE_SAME, 2, 4000);
    put_base(p, "pipe", KIND_LAB, PLACE_SAME, 3, 8000);
    put_base(p, "pipe", KIND_BARE, PLACE_SAME, 3, 6000);
    put_part(p, "pipe", KIND_ALONE, 128, PLACE_SAME, 3, 2300);
    put_part(p, "pipe", KIND_ALONE, 1, PLACE_SAME, 3, 2000);
    put_base(p, "shm", KIND_LAB, PLACE_SAME, 4, 4000);
    put_base(p, "shm", KIND_BARE, PLACE_SAME, 4, 3000);
    put_part(p, "shm", KIND_ALONE, 128, PLACE_SAME, 4, 1000);
    put_part(p, "shm", KIND_ALONE, 1, PLACE_SAME, 4, 1000);
}

static size_t letters(const char *line, char letter)
{
    size_t n = 0;

    for (; *line != '\n'; line++)
        n += *line == letter;
    return n;
}

static void breakdown(const void *arg)
{
    struct plan p;
    char *text;
    const char *head, *pipe, *shm;

    (void)arg;
    parts_of_two(&p);
    text = render(&p);
    head = line_with(text, "Where the time goes: a letter is 133 ns");
    pipe = line_of(head, "  pipe ");
    shm = line_of(head, "  shm ");
    /* 8000 ns are 60 letters, so 2000 ns are 15, and so on. */
    EXPECT(labs((long)letters(pipe, 'C') - 2) <= 1);
    EXPECT(labs((long)letters(pipe, 'S') - 15) <= 1);
    EXPECT(labs((long)letters(pipe, 'B') - 2) <= 1);
    EXPECT(labs((long)letters(pipe, 'W') - 22) <= 1);
    EXPECT(labs((long)letters(pipe, 'L') - 13) <= 1);
    EXPECT(labs((long)letters(pipe, '.') - 5) <= 1);
    EXPECT_INT(11 + 60 + 1, (long long)strcspn(pipe, "\n"));
    EXPECT_INT('|', pipe[11 + 60]);
    /* p50 stands in the middle of the parts, 30 letters from the left. */
    EXPECT_INT('|', shm[11 + 30]);
    EXPECT(shm[11 + 31] != '\n');
    EXPECT(has_line(text,
                    "  pipe        200 ns +   2.00 us +    300 ns +   3.00 us +"
                    "   1.80 us +    700 ns =     8.00 us"));
    EXPECT(has_line(text,
                    "  shm         200 ns +   1.00 us +      0 ns +   3.00 us +"
                    "    800 ns +  -1.00 us =     4.00 us"));
    free(text);
}

/* ---- sweeps ------------------------------------------------------------- */

static void put_size(struct plan *p, const char *transport, size_t size,
                     double ns, const char *why)
{
    struct conditions c = point;

    c.transport = transport;
    c.op = OP_RAW;
    c.size = size;
    for (c.kind = KIND_LAB; c.kind <= KIND_BARE; c.kind++) {
        struct row *r = put(p, &c, SWEEP_SIZE, (double)size,
                            (unsigned)(10 + p->count / 2), why ? 0 : ns);

        if (why)
            set_fail(r, -EMSGSIZE, true, why);
    }
}

static void sizes(const void *arg)
{
    static const size_t size[] = {1048576, 1, 8193};
    struct plan p;
    char *text;
    const char *head;

    (void)arg;
    begin(&p);
    for (size_t i = 0; i < COUNT(size); i++) {
        put_size(&p, "pipe", size[i], 2000, NULL);
        put_size(&p, "mqueue", size[i], 3000,
                 size[i] > 8192 ? "a message has at most 8192 bytes" : NULL);
    }
    text = render(&p);
    head = line_of(text, "                lab     bare");
    check_aligned(head, line_of(head, "         1 "), "lab bare lab bare");
    check_aligned(head, line_of(head, "     8,193 "), "lab bare lab bare");
    check_aligned(head, line_of(head, " 1,048,576 "), "lab bare lab bare");
    EXPECT(line_of(head, "     8,193 ") < line_of(head, " 1,048,576 "));
    EXPECT(has_line(text, "     8,193  2.00 us  2.00 us EMSGSIZE EMSGSIZE"));
    EXPECT(
        has_line(text, "  mqueue: EMSGSIZE, a message has at most 8192 bytes"));
    EXPECT_INT(1, (long long)times_in(text, "at most 8192"));
    EXPECT(strstr(text, "Base point: blocking, same CPU, raw, 1 client, 1 in "
                        "flight.") != NULL);
    EXPECT(strstr(text, "FAILED") == NULL);
    free(text);
}

static void clients(const void *arg)
{
    struct conditions c = point;
    struct plan p;
    char *text;
    const char *head, *p99;

    (void)arg;
    begin(&p);
    for (c.clients = 1; c.clients <= 64; c.clients *= 8) {
        struct row *r = plan_add(&p, &c, SWEEP_CLIENTS, c.clients, c.clients);

        REQUIRE(r != NULL);
        r->runs = c.clients == 8 ? 3 : RUNS;
        fill(r, 10000, steady);
        if (c.clients == 64)
            set_fail(r, -ETIMEDOUT, false, "the client got no answer");
    }
    text = render(&p);
    head = line_with(text, "   clients ");
    check_aligned(head, line_of(head, "         8 "), "clients pipe");
    p99 = line_of(text, "  p99 of the best client and of the worst");
    EXPECT(has_line(p99, "         1  10.0 us  10.0 us"));
    EXPECT(has_line(p99, "         8  10.0 us  10.7 us"));
    EXPECT(has_line(text, "         8              1.25"));
    EXPECT(has_line(text, "         8             800 k"));
    EXPECT(has_line(text, "        64            FAILED"));
    EXPECT(strstr(text,
                  "pipe/block/same/get/128/clients:64: FAILED, ETIMEDOUT, "
                  "the client got no answer") != NULL);
    EXPECT(has_line(text, "  Runs: 6 a case, but 3 at 8."));
    free(text);
}

/* Interrupted in the middle: what had how many runs. */
static void few_runs(const void *arg)
{
    static const unsigned runs[] = {2, 2, 3, RUNS};
    struct conditions c = point;
    struct plan p;
    char *text;

    (void)arg;
    begin(&p);
    for (unsigned i = 0; i < 4; i++) {
        c.events = i % 2 ? 1000 : 1; /* 1,000 begins like 1 */
        c.transport = i < 2 ? "pipe" : "shm";
        put(&p, &c, SWEEP_EVENTS, c.events, i, 1000)->good = runs[i];
    }
    text = render(&p);
    EXPECT(has_line(text, "  Runs: 6 a case, but 2 at 1, 2 at 1,000, 3 at 1."));
    free(text);
    begin(&p);
    for (c.depth = 1; c.depth <= 64; c.depth++)
        put(&p, &c, SWEEP_DEPTH, c.depth, c.depth, 1000)->good =
            1 + c.depth % 2;
    text = render(&p);
    EXPECT(strstr(text, "1 at 2,") && strstr(text, ", ....\n"));
    free(text);
    begin(&p);
    put(&p, &point, SWEEP_EVENTS, 1000, 1, 1000)->good = 4;
    text = render(&p);
    EXPECT(has_line(text, "  Runs: 4 a case instead of 6."));
    free(text);
}

static void put_rate(struct plan *p, double rate, unsigned stall_us,
                     double done)
{
    struct conditions c = point;
    struct row *r;

    c.rate = rate;
    c.stall_us = stall_us;
    r = put(p, &c, SWEEP_RATE, rate, (unsigned)p->count, 10000);
    for (unsigned k = 0; k < RUNS && done > 0; k++)
        r->run[k].requests_per_s = done;
}

static void rates(const void *arg)
{
    struct plan p;
    char *text;
    const char *head;

    (void)arg;
    begin(&p);
    put_rate(&p, 5000, 0, 4999);
    put_rate(&p, 0, 0, 0);
    put_rate(&p, 50000, 0, 30000);
    put_rate(&p, 60000, 0, 0);
    set_fail(&p.rows[3], -EOVERFLOW, true, "too fast for it");
    put_rate(&p, 1000, 10000, 0);
    text = render(&p);
    head = line_of(text, "    rate/s");
    check_aligned(head, line_of(head, "     5,000 "),
                  "rate/s done/s p50 p99 p99.9 max p50 p99 p99.9 max");
    check_aligned(head, line_of(head, "    closed "),
                  "rate/s done/s p50 p99 p99.9 max p50 p99 p99.9 max");
    /* From when it was due beside from when it was sent. */
    EXPECT(has_line(text,
                    "     5,000  5.00 k   10.0 us  10.0 us  10.0 us  10.0 us"
                    "     5.00 us  5.00 us  5.00 us  5.00 us"));
    EXPECT(has_line(text,
                    "    closed   100 k         -        -        -        -"
                    "     10.0 us  10.0 us  10.0 us  10.0 us"));
    EXPECT(strstr(text, "    50,000  30.0 k!") != NULL);
    EXPECT(strstr(text, "  ! fewer than asked for") != NULL);
    EXPECT(has_line(text, "    60,000  EOVERFLOW, too fast for it"));
    EXPECT(line_of(head, "    closed ") < line_of(head, "     5,000 "));
    EXPECT_INT(2, (long long)times_in(text, "Base point: "));
    EXPECT(strstr(text, "the server stops for 10.0 ms") != NULL);
    free(text);
}

/* One value of a sweep for pipe and shm. */
static void put_two(struct plan *p, const struct conditions *base,
                    enum sweep sweep, double value, double pipe, double shm)
{
    struct conditions c = *base;

    put(p, &c, sweep, value, (unsigned)p->count, pipe);
    c.transport = "shm";
    put(p, &c, sweep, value, (unsigned)p->count, shm);
}

static void other_sweeps(const void *arg)
{
    struct conditions c = point, none = point;
    struct plan p;
    char *text;

    (void)arg;
    begin(&p);
    c.depth = 4;
    put_two(&p, &c, SWEEP_DEPTH, 4, 8000, 4000);
    c = point;
    c.think_us = 100;
    put_two(&p, &c, SWEEP_THINK, 100, 20000, 15000);
    c.think_us = 10000;
    put_two(&p, &c, SWEEP_THINK, 10000, 40000, 35000);
    c = point;
    put_two(&p, &c, SWEEP_WORK, 0, 8000, 4000);
    c.work_us = 1000;
    put_two(&p, &c, SWEEP_WORK, 1000, 1008000, 1004000);
    c = point;
    c.op = OP_ADD;
    put_two(&p, &c, SWEEP_SYNC, 0, 9000, 5000);
    c.sync = true;
    put_two(&p, &c, SWEEP_SYNC, 1, 159000, 155000);
    c = none = point;
    none.kind = KIND_NONE;
    none.transport = "none";
    c.events = none.events = 1000000;
    put(&p, &none, SWEEP_EVENTS, 1e6, 99, 400);
    put_two(&p, &c, SWEEP_EVENTS, 1e6, 8000, 4000);
    text = render(&p);
    EXPECT(has_line(text, "         4      125 k      250 k"));
    EXPECT(has_line(text, "    100 us    20.0 us    15.0 us"));
    EXPECT(has_line(text, "     10 ms    40.0 us    35.0 us"));
    EXPECT(has_line(text, "      none    8.00 us    4.00 us      2.00"));
    EXPECT(has_line(text, "      1 ms    1.01 ms    1.00 ms      1.00"));
    EXPECT(has_line(text, "    memory    9.00 us    5.00 us"));
    EXPECT(has_line(text, "   on disk     159 us     155 us"));
    EXPECT(has_line(text, "    events       none       pipe        shm"));
    EXPECT(has_line(text, " 1,000,000     400 ns    8.00 us    4.00 us"));
    EXPECT_INT(5, (long long)times_in(text, "Base point: "));
    free(text);
}

static void peers(const void *arg)
{
    struct conditions c = point;
    struct plan p;
    char *text;

    (void)arg;
    begin(&p);
    for (c.place = PLACE_SAME; c.place <= PLACE_CROSS; c.place++) {
        c.kind = KIND_LAB;
        c.transport = "socket";
        put(&p, &c, SWEEP_PEERS, 0, 1 + c.place, 10000);
        c.kind = KIND_PEER;
        c.transport = "tcp";
        put(&p, &c, SWEEP_PEERS, 1, 1 + c.place, 15000);
        c.transport = "zmq";
        set_fail(put(&p, &c, SWEEP_PEERS, 2, 1 + c.place, 0), -ENOSYS, true,
                 "skipped: no libzmq; make deps-peers installs it");
    }
    text = render(&p);
    EXPECT(has_line(text, "  tcp          TCP over the loopback interface"));
    EXPECT(has_line(text, "  zmq          skipped: no libzmq; make deps-peers "
                          "installs it"));
    /* Said once, though there are two placements. */
    EXPECT_INT(1, (long long)times_in(text, "skipped: "));
    EXPECT_INT(2, (long long)times_in(text, "  1.50 (1.50-1.50)\n"));
    EXPECT_INT(2, (long long)times_in(text, "\n  socket        10.0 us"));
    free(text);
}

/* ---- noise, machine ----------------------------------------------------- */

static void noise(const void *arg)
{
    struct machine m = here;
    struct plan p;
    char *text;

    (void)arg;
    two_transports(&p, PLACE_SAME);
    text = shown(&p, &m, false);
    EXPECT(strstr(text, "\nquiet: ") != NULL);
    EXPECT(strstr(text, "What helps") == NULL);
    EXPECT(strstr(text, "Drifted") == NULL);
    free(text);
    for (unsigned k = 0; k < RUNS; k++) {
        p.rows[1].run[k].drift = 1.25;
        p.rows[3].run[k].p50 *= split[k];
    }
    m.load[0] = 3.1;
    m.stolen = 0.12;
    text = shown(&p, &m, false);
    check_form(text);
    EXPECT(strstr(text, "\nnoisy: load 3.1") != NULL);
    EXPECT(strstr(strstr(text, "\nnoisy"), "pipe/block/same/get/128") != NULL);
    EXPECT(strstr(text, "(+25%)") != NULL);
    EXPECT(strstr(text, "Two modes") != NULL);
    EXPECT(strstr(text, "shm/block/same/get/128\n") != NULL);
    EXPECT(strstr(text, "What helps") != NULL);
    free(text);
    text = shown(&p, &m, true);
    EXPECT(strstr(text, "\033[1mnoisy: load 3.1") != NULL);
    free(text);
    plan_free(&p);
}

static char *head_of(const struct machine *m)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    REQUIRE(f != NULL);
    table_machine(f, m);
    REQUIRE_INT(0, fclose(f));
    check_form(text);
    return text;
}

static void machine(const void *arg)
{
    struct machine m = here;
    char *text = head_of(&m);

    (void)arg;
    EXPECT(strstr(text, "A processor, 2400 MHz, 2 CPUs, SMT off\n") != NULL);
    EXPECT(
        strstr(text, "same = CPU 1, cross = client CPU 1 + server CPU 0\n") !=
        NULL);
    EXPECT(strstr(text, "not here: smt, cache, package\n") != NULL);
    EXPECT(strstr(text, "tsc, 28 ns a reading") != NULL);
    EXPECT(strstr(text, "58 ns a request") != NULL);
    EXPECT(strstr(text, "mitigations") == NULL);
    EXPECT(strstr(text, "virtual") == NULL &&
           strstr(text, "container") == NULL);
    free(text);
    /* Everything there is, and as long as it can be. */
    memset(m.cpu, 'c', sizeof m.cpu - 1);
    memset(m.kernel, 'k', sizeof m.kernel - 1);
    memset(m.hypervisor, 'h', sizeof m.hypervisor - 1);
    memset(m.clock_source, 's', sizeof m.clock_source - 1);
    (void)snprintf(m.mitigations, sizeof m.mitigations, "pti, ibrs");
    (void)snprintf(m.governor, sizeof m.governor, "powersave");
    m.container = m.smt = true;
    m.allowed = 1;
    m.spots[PLACE_CACHE] = m.spots[PLACE_CROSS];
    text = head_of(&m);
    EXPECT(strstr(text, "\nmitigations: pti, ibrs\n") != NULL);
    EXPECT(strstr(text, "governor powersave") != NULL);
    EXPECT(strstr(text, "1 of them ours") != NULL);
    EXPECT(strstr(text, "cache = cross") != NULL);
    free(text);
}

/* ---- all of it, colours ------------------------------------------------- */

static void without_escapes(char *text)
{
    char *to = text;

    for (const char *at = text; *at;)
        if (*at == '\033')
            at += strcspn(at, "m") + 1;
        else
            *to++ = *at++;
    *to = '\0';
}

/* Every case that the program can plan, with any numbers. */
static void whole(const void *arg)
{
    struct choice ch = {.waits = 7,
                        .places = (1u << PLACE_COUNT) - 1,
                        .sweeps = (1u << SWEEP_COUNT) - 1,
                        .plain = true,
                        .deadline_ms = 1000,
                        .size = 128,
                        .clients = 1,
                        .depth = 1,
                        .events = 1000,
                        .runs = RUNS,
                        .seconds = 0.1,
                        .count = true};
    struct machine m = here;
    struct plan p;
    char *plain, *coloured;

    (void)arg;
    ch.transports[ch.transport_count++] = "none";
    for (size_t i = 0; tp_all[i]; i++)
        ch.transports[ch.transport_count++] = tp_all[i]->name;
    for (unsigned i = 0; i < PLACE_COUNT; i++)
        m.spots[i] = (struct spot){true, 1, i % 2 == 0};
    REQUIRE_INT(0, plan_make(&p, &ch, &m));
    for (size_t i = 0; i < p.count; i++) {
        struct row *r = &p.rows[i];

        if (i % 11 == 0)
            set_fail(r, -EMSGSIZE, true, "it is too long for this");
        else if (i % 17 == 0)
            set_fail(r, -ECONNREFUSED, false, "nobody was there");
        else if (!r->error && !r->absent)
            fill(r, 100.0 * (double)(1 + i * i % 10007), i % 2 ? wide : split);
    }
    plain = shown(&p, &m, false);
    check_form(plain);
    EXPECT(strstr(plain, "FAILED") && strstr(plain, "EMSGSIZE"));
    coloured = shown(&p, &m, true);
    EXPECT(strstr(coloured, "\033[1m") != NULL);
    without_escapes(coloured);
    EXPECT(strcmp(plain, coloured) == 0); /* colour moves nothing */
    free(plain);
    free(coloured);
    plan_free(&p);
}

static void times(const void *arg)
{
    char cell[TABLE_CELL];

    (void)arg;
    EXPECT_STR("-1.20 us", table_time(cell, -1200));
    EXPECT_STR("0 ns", table_time(cell, -0.3));
    EXPECT_STR("-", table_time(cell, NAN));
    EXPECT_STR("1.00 s", table_time(cell, 999.9e6));
}

/* A terminal of our own. */
static FILE *open_terminal(int *master)
{
    const char *name;
    int fd;

    *master = posix_openpt(O_RDWR | O_NOCTTY);
    REQUIRE(*master >= 0);
    REQUIRE_INT(0, grantpt(*master));
    REQUIRE_INT(0, unlockpt(*master));
    name = ptsname(*master);
    REQUIRE(name != NULL);
    fd = open(name, O_RDWR | O_NOCTTY);
    REQUIRE(fd >= 0);
    return fdopen(fd, "w");
}

static void colour(const void *arg)
{
    int master;
    FILE *terminal = open_terminal(&master), *file = tmpfile();

    (void)arg;
    REQUIRE(terminal && file);
    REQUIRE_INT(0, unsetenv("NO_COLOR"));
    REQUIRE_INT(0, setenv("TERM", "xterm", 1));
    EXPECT(table_colour(terminal));
    EXPECT(!table_colour(file));
    REQUIRE_INT(0, setenv("NO_COLOR", "", 1)); /* empty: as if it weren't set */
    EXPECT(table_colour(terminal));
    REQUIRE_INT(0, setenv("NO_COLOR", "1", 1));
    EXPECT(!table_colour(terminal));
    REQUIRE_INT(0, unsetenv("NO_COLOR"));
    REQUIRE_INT(0, setenv("TERM", "dumb", 1));
    EXPECT(!table_colour(terminal));
    (void)fclose(terminal);
    (void)fclose(file);
    (void)close(master);
}

/* ---- the suite ---------------------------------------------------------- */

static const struct test_case cases[] = {
    {.name = "base/ranking", .run = ranking},
    {.name = "base/comparison", .run = comparison},
    {.name = "base/too-few-runs", .run = too_few},
    {.name = "base/free-is-not-ranked", .run = not_ranked},
    {.name = "base/waits-apart", .run = waits_apart},
    {.name = "base/absent", .run = absent},
    {.name = "base/failures", .run = failures},
    {.name = "base/prices", .run = prices},
    {.name = "base/deadline-only", .run = deadline_only},
    {.name = "why/counts", .run = counts},
    {.name = "why/how", .run = counted_how},
    {.name = "why/breakdown", .run = breakdown},
    {.name = "sweep/size", .run = sizes},
    {.name = "sweep/clients", .run = clients},
    {.name = "sweep/few-runs", .run = few_runs},
    {.name = "sweep/rate", .run = rates},
    {.name = "sweep/others", .run = other_sweeps},
    {.name = "sweep/peers", .run = peers},
    {.name = "noise", .run = noise},
    {.name = "machine", .run = machine},
    {.name = "whole", .run = whole},
    {.name = "times", .run = times},
    {.name = "colour", .run = colour},
};

static const struct test_suite suite = {
    .name = "table", .cases = cases, .count = COUNT(cases)};

int main(int argc, char **argv)
{
    return harness_main(argc, argv, &suite);
}
