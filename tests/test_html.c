/*
 * test_html.c - is the page well-formed, safe and complete, whatever the
 * results are and whatever gnuplot does?
 *
 * The page is read by a small checker that knows the rules that browsers are
 * lenient about. gnuplot is the real one where it is installed; misbehaving
 * ones are shell scripts of that name, first in PATH.
 */
#include "gnuplot.h"
#include "harness.h"
#include "html.h"
#include "plot.h"
#include "svg.h"
#include "utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define RUNS     6
#define SAMPLES  1500

#define SOON_MS  20000 /* "at once", for a busy machine */
#define TWICE_MS 950   /* 500, twice, are more */

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- is it well-formed? ------------------------------------------------- */

#define NAMES_MAX 20000
#define OPEN_MAX  64

struct page {
    const char *at;
    const char *open[OPEN_MAX]; /* names of open elements, in the text */
    size_t open_len[OPEN_MAX], depth;
    const char *id[NAMES_MAX], *ref[NAMES_MAX]; /* values, in the text */
    size_t ids, refs;
    const char *error; /* NULL = none so far */
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static size_t word_len(const char *s)
{
    size_t n = 0;

    while (is_letter(s[n]))
        n++;
    return n;
}

static bool is_word(const char *s, size_t len, const char *word)
{
    return strlen(word) == len && strncmp(s, word, len) == 0;
}

/* Text and attributes: & begins an entity, < a tag. */
static void check_char(struct page *p)
{
    const char *s = p->at;

    if (*s == '&') {
        size_t len = s[1] == '#' ? 1 + word_len(s + 2) : word_len(s + 1);

        if (len == 0 || s[1 + len] != ';')
            p->error = "& is no entity";
    }
    if ((unsigned char)*s < ' ' && *s != '\n' && *s != '\t')
        p->error = "a control character";
    p->at++;
}

/* name="value" */
static void check_attribute(struct page *p)
{
    const char *name = p->at, *value;
    size_t len = word_len(name);

    if (len == 0 || strncmp(name + len, "=\"", 2) != 0) {
        p->error = "an attribute that can't be read";
        return;
    }
    p->at = value = name + len + 2;
    while (*p->at && *p->at != '"' && !p->error)
        check_char(p);
    if (*p->at != '"') {
        p->error = "an attribute without an end";
        return;
    }
    p->at++;
    if (is_word(name, len, "id") && p->ids < NAMES_MAX)
        p->id[p->ids++] = value;
    if (is_word(name, len, "href") && *value != '#')
        p->error = "a reference to elsewhere";
    if (is_word(name, len, "href") && p->refs < NAMES_MAX)
        p->ref[p->refs++] = value + 1;
    if (is_word(name, len, "aria-labelledby") && p->refs < NAMES_MAX)
        p->ref[p->refs++] = value;
    if (is_word(name, len, "src") || strncmp(name, "on", 2) == 0)
        p->error = "an attribute that loads or runs something";
}

static void close_tag(struct page *p)
{
    size_t len = word_len(p->at);

    if (p->depth == 0 || p->open_len[p->depth - 1] != len ||
        strncmp(p->open[p->depth - 1], p->at, len) != 0)
        p->error = "an end tag that doesn't match";
    else
        p->depth--;
    p->at += len;
    if (*p->at != '>')
        p->error = "an end tag without an end";
    else
        p->at++;
}

static void open_tag(struct page *p)
{
    const char *name = p->at;
    size_t len = word_len(name);
    bool empty;

    p->at += len;
    while (*p->at == ' ' && !p->error) {
        p->at++;
        check_attribute(p);
    }
    empty = *p->at == '/';
    p->at += empty;
    if (len == 0 || *p->at != '>' || p->depth == OPEN_MAX)
        p->error = p->error ? p->error : "a tag that can't be read";
    if (p->error)
        return;
    p->at++;
    if (is_word(name, len, "script") || is_word(name, len, "link") ||
        is_word(name, len, "img") || is_word(name, len, "iframe"))
        p->error = "an element that loads or runs something";
    if (empty || is_word(name, len, "meta"))
        return;
    if (is_word(name, len, "style")) { /* no HTML in there */
        p->at = strstr(p->at, "</style>");
        p->at = p->at ? p->at + 8 : "";
        return;
    }
    p->open[p->depth] = name;
    p->open_len[p->depth++] = len;
}

/* The same name twice, up to its end. */
static bool same_name(const char *a, const char *b)
{
    size_t len = word_len(a);

    return len == word_len(b) && strncmp(a, b, len) == 0;
}

static void check_names(struct page *p)
{
    for (size_t i = 0; i < p->ids && !p->error; i++)
        for (size_t k = 0; k < i; k++)
            if (same_name(p->id[i], p->id[k]))
                p->error = "an id twice";
    for (size_t i = 0; i < p->refs && !p->error; i++) {
        bool found = false;

        for (size_t k = 0; k < p->ids && !found; k++)
            found = same_name(p->ref[i], p->id[k]);
        if (!found)
            p->error = "a reference to nothing";
    }
}

/* NULL, or what is wrong; *where is near it. */
static const char *malformed(const char *html, const char **where)
{
    static struct page p;
    static const char doctype[] = "<!DOCTYPE html>\n";

    p = (struct page){.at = html};
    if (strncmp(html, doctype, strlen(doctype)) != 0)
        p.error = "no doctype";
    p.at += p.error ? 0 : strlen(doctype);
    while (*p.at && !p.error) {
        if (strncmp(p.at, "</", 2) == 0) {
            p.at += 2;
            close_tag(&p);
        } else if (*p.at == '<') {
            p.at++;
            open_tag(&p);
        } else {
            check_char(&p);
        }
    }
    if (!p.error && p.depth > 0)
        p.error = "an element without an end";
    if (!p.error)
        check_names(&p);
    *where = p.at;
    return p.error;
}

static bool is_utf8(const char *s)
{
    size_t left = strlen(s), len;
    uint32_t point;

    for (; left > 0; s += len, left -= len) {
        len = utf8_next(s, left, &point);
        if (len == 0)
            return false;
    }
    return true;
}

static void expect_good(const char *html)
{
    const char *where = "", *error = malformed(html, &where);

    harness_check(!error, false, __FILE__, __LINE__, "%s near: %.60s",
                  error ? error : "", where);
    EXPECT(is_utf8(html));
    EXPECT(strstr(html, "http:") == NULL && strstr(html, "https:") == NULL);
    EXPECT(strstr(html, "@import") == NULL);
    EXPECT(strstr(html, "<html lang=\"en\">") != NULL);
}

/* The checker itself: each of these is wrong in one way. */
static void checker(const void *arg)
{
    static const char *const bad[] = {
        "<p>no doctype</p>",
        "<!DOCTYPE html>\n<p>",
        "<!DOCTYPE html>\n<p></b></p>",
        "<!DOCTYPE html>\n<p>a & b</p>",
        "<!DOCTYPE html>\n<p title=\"a & b\"></p>",
        "<!DOCTYPE html>\n<p title='a'></p>",
        "<!DOCTYPE html>\n<p title=\"a></p>",
        "<!DOCTYPE html>\n<p>\x01</p>",
        "<!DOCTYPE html>\n<p>1 < 2</p>",
        "<!DOCTYPE html>\n<p id=\"a\"></p><p id=\"a\"></p>",
        "<!DOCTYPE html>\n<a href=\"#b\"></a>",
        "<!DOCTYPE html>\n<a href=\"x\"></a>",
        "<!DOCTYPE html>\n<p onclick=\"x\"></p>",
        "<!DOCTYPE html>\n<script></script>"};
    const char *where;

    (void)arg;
    for (size_t i = 0; i < COUNT(bad); i++)
        harness_check(malformed(bad[i], &where) != NULL, false, __FILE__,
                      __LINE__, "passed: %s", bad[i]);
    EXPECT(malformed("<!DOCTYPE html>\n<meta charset=\"a\"><style>a>b{}</style>"
                     "<p id=\"a\">&lt;&#39;<g/><a href=\"#a\">1</a></p>",
                     &where) == NULL);
}

/* ---- plans that nobody measured ----------------------------------------- */

static const struct conditions base = {.transport = "pipe",
                                       .deadline_ms = -1,
                                       .size = 128,
                                       .clients = 1,
                                       .depth = 1,
                                       .events = 1000};

static void fill_run(struct row *r, unsigned round, double ns)
{
    uint32_t sample[SAMPLES];

    for (uint32_t i = 0; i < SAMPLES; i++) /* a tail of twice as much */
        sample[i] = (uint32_t)(ns * (1 + (double)i / SAMPLES) + round);
    r->run[round] = (struct run){.requests_per_s = 1e9 / ns,
                                 .cpu_ns = ns,
                                 .voluntary = 1,
                                 .involuntary = 1,
                                 .drift = 1,
                                 .share = 1};
    for (unsigned i = 0; i < TP_CLIENTS_MAX; i++)
        r->run[round].client_p99[i] = 2 * ns;
    REQUIRE_INT(0, dist_make(&r->dist[round], sample, SAMPLES));
    r->run[round].p50 = ns; /* a round number, for the breakdown */
    if (r->c.rate > 0)
        REQUIRE_INT(0, dist_make(&r->service[round], sample, SAMPLES));
    r->good++;
}

/* Append a row with results of about `ns`. Another call may move it. */
static struct row *add(struct plan *p, const struct conditions *c,
                       enum sweep sweep, double value, double ns)
{
    struct row *r = plan_add(p, c, sweep, value, (unsigned)p->count);

    REQUIRE(r != NULL);
    for (unsigned i = 0; i < p->runs && ns > 0; i++)
        fill_run(r, i, ns);
    return r;
}

static struct row *fail(struct plan *p, const struct conditions *c,
                        enum sweep sweep, double value, int error,
                        bool expected, const char *why)
{
    struct row *r = add(p, c, sweep, value, 0);

    r->error = error;
    r->expected = expected;
    (void)snprintf(r->why, sizeof r->why, "%s", why);
    return r;
}

/* Two rankings. */
static void plan_of_base(struct plan *p)
{
    struct conditions c = base;

    *p = (struct plan){.runs = RUNS, .seconds = 0.1, .seed = 1};
    (void)add(p, &c, SWEEP_BASE, 128, 4400);
    c.transport = "shm";
    (void)add(p, &c, SWEEP_BASE, 128, 3900);
    c.place = PLACE_CROSS;
    (void)add(p, &c, SWEEP_BASE, 128, 44000);
}

/* Everything that a sweep changes: two values, one that is too much, and a
 * mechanism that can't do it at all. */
static void add_sweeps(struct plan *p)
{
    struct conditions c;

    for (unsigned sweep = SWEEP_SIZE; sweep < SWEEP_COUNT; sweep++)
        for (unsigned k = 0; k < 4; k++) {
            c = base;
            c.transport = k == 3 ? "mqueue" : "pipe";
            c.rate = sweep == SWEEP_RATE ? 1000 * (k + 1) : 0;
            c.clients = sweep == SWEEP_CLIENTS ? 1 + k : 1;
            if (k < 2)
                (void)add(p, &c, (enum sweep)sweep, 16 * k, 5000);
            else
                (void)fail(p, &c, (enum sweep)sweep, 16 * k, -EMSGSIZE, true,
                           "too long");
        }
}

static void some_machine(struct machine *m)
{
    *m = (struct machine){.cpu = "a CPU",
                          .kernel = "Linux",
                          .cpus = 2,
                          .allowed = 2,
                          .load_after = NAN,
                          .stolen = NAN,
                          .others = NAN};
    m->spots[PLACE_SAME] = (struct spot){true, 1, 1};
    m->spots[PLACE_CROSS] = (struct spot){true, 1, 0};
}

/* The page as text: the caller's to free. */
static char *page_of(const struct plan *p, const struct machine *m,
                     bool partial, int ms)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    REQUIRE(f != NULL);
    EXPECT_INT(0, html_write_within(f, p, m, partial, ms));
    REQUIRE_INT(0, fclose(f));
    return text;
}

static char *simple_page(bool partial)
{
    struct machine m;
    struct plan p;
    char *text;

    some_machine(&m);
    plan_of_base(&p);
    text = page_of(&p, &m, partial, GNUPLOT_MS);
    plan_free(&p);
    return text;
}

static size_t times(const char *text, const char *what)
{
    size_t n = 0;

    while ((text = strstr(text, what)) != NULL) {
        n++;
        text++;
    }
    return n;
}

/* ---- another gnuplot ---------------------------------------------------- */

/* A shell script of that name, first in PATH. */
static void fake_gnuplot(const char *body)
{
    char path[300], value[400];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/gnuplot", harness_dir());
    f = fopen(path, "w");
    REQUIRE(f != NULL);
    EXPECT(fprintf(f, "#!/bin/sh\n%s\n", body) > 0);
    EXPECT_INT(0, fclose(f));
    EXPECT_INT(0, chmod(path, 0700));
    (void)snprintf(value, sizeof value, "%s:/usr/bin:/bin", harness_dir());
    EXPECT_INT(0, setenv("PATH", value, 1));
}

/* Its result; what it wrote isn't kept. */
static int run_gnuplot(const char *script, int ms, char why[GNUPLOT_WHY_MAX])
{
    char *out = NULL;
    size_t len;
    int err;

    why[0] = '\0';
    err = gnuplot_run(&out, &len, script, ms, why);
    EXPECT((err == 0) == (out != NULL));
    EXPECT((err == 0) == (why[0] == '\0'));
    free(out);
    /* No child is left: not even one that has ended. */
    EXPECT_INT(-1, waitpid(-1, NULL, WNOHANG));
    EXPECT_INT(ECHILD, errno);
    return err;
}

/* It writes what it reads, more than all pipes hold, and much to stderr. */
static void echo(const void *arg)
{
    const size_t size = 1000000;
    char why[GNUPLOT_WHY_MAX], *script = malloc(size + 1), *out;
    size_t len;

    (void)arg;
    REQUIRE(script != NULL);
    memset(script, 'x', size);
    script[size] = '\0';
    fake_gnuplot("head -c 300000 /dev/zero >&2; cat; head -c 300000 /dev/zero "
                 ">&2");
    REQUIRE_INT(0, gnuplot_run(&out, &len, script, GNUPLOT_MS, why));
    EXPECT_INT((long long)size, (long long)len);
    EXPECT_STR(script, out);
    free(out);
    free(script);
}

static void deadline(const void *arg)
{
    static const char *const slow[] = {
        "sleep 100",                    /* a child of the child */
        "exec sleep 100",               /* the child itself */
        "cat >/dev/null; sleep 100",    /* has read all */
        "exec >&- 2>&-; sleep 100",     /* says that it is done, and isn't */
        "echo drawn; sleep 100 & exit", /* ended, but somebody holds stdout */
        "trap '' TERM INT HUP; while :; do sleep 1; done"};
    char why[GNUPLOT_WHY_MAX];

    (void)arg;
    for (size_t i = 0; i < COUNT(slow); i++) {
        int64_t start = now_ms();

        fake_gnuplot(slow[i]);
        EXPECT_INT(-ETIMEDOUT, run_gnuplot("x", 200, why));
        EXPECT_STR("gnuplot took too long", why);
        EXPECT(now_ms() - start >= 190 && now_ms() - start < SOON_MS);
    }
}

static void failures(const void *arg)
{
    static const struct {
        const char *body;
        int err;
        const char *why;
    } f[] = {{"exit 3", -ECHILD, "gnuplot ended with status 3"},
             {"kill -9 $$", -ECHILD, "gnuplot died by signal 9"},
             {"printf '\\ngnuplot> x\\n  ^\\n line 0: bad\\n\\n' >&2; exit 1",
              -ECHILD, "gnuplot: line 0: bad"},
             {"printf 'bad\\n  ^\\n' >&2; exit 1", -ECHILD, "gnuplot: bad"},
             {"yes", -EFBIG, "gnuplot wrote too much"}};
    static char script[300000]; /* nobody reads it: EPIPE, not a full pipe */
    char why[GNUPLOT_WHY_MAX];

    (void)arg;
    memset(script, 'x', sizeof script - 1);
    for (size_t i = 0; i < COUNT(f); i++) {
        fake_gnuplot(f[i].body);
        EXPECT_INT(f[i].err, run_gnuplot(script, GNUPLOT_MS, why));
        EXPECT_STR(f[i].why, why);
    }
    EXPECT_INT(0, setenv("PATH", "", 1));
    EXPECT(!gnuplot_there());
    EXPECT_INT(-ENOENT, run_gnuplot("x", GNUPLOT_MS, why));
}

/* What lies in the current folder isn't run, whatever PATH says. */
static void not_from_here(const void *arg)
{
    (void)arg;
    fake_gnuplot("true");
    EXPECT(gnuplot_there());
    EXPECT_INT(0, chdir(harness_dir()));
    EXPECT_INT(0, setenv("PATH", ":.:/nowhere", 1));
    EXPECT(!gnuplot_there());
    EXPECT_INT(0, unsetenv("PATH"));
    EXPECT(!gnuplot_there());
}

/* As ipcbench does while it measures: signals are held back. */
static void interrupted(const void *arg)
{
    char why[GNUPLOT_WHY_MAX];
    int64_t start;
    sigset_t set;
    int sig = 0;

    (void)arg;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    EXPECT_INT(0, sigprocmask(SIG_BLOCK, &set, NULL));
    fake_gnuplot("sleep 100");
    EXPECT_INT(0, raise(SIGINT));
    start = now_ms();
    EXPECT_INT(-EINTR, run_gnuplot("x", 10 * SOON_MS, why));
    EXPECT(now_ms() - start < SOON_MS);
    EXPECT_INT(0, sigwait(&set, &sig)); /* still there for its owner */
    EXPECT_INT(SIGINT, sig);
}

/* gnuplot itself isn't hard to end: no signal is blocked, and SIGPIPE isn't
 * ignored (others may be: whoever started this test may have said so). */
static void clean_start(const void *arg)
{
    char why[GNUPLOT_WHY_MAX], *out = NULL;
    unsigned long long blocked = 1, ignored = 1;
    size_t len;
    sigset_t set;

    (void)arg;
    (void)sigfillset(&set);
    EXPECT_INT(0, sigprocmask(SIG_BLOCK, &set, NULL));
    fake_gnuplot("exec grep -E '^Sig(Blk|Ign)' /proc/self/status");
    REQUIRE_INT(0, gnuplot_run(&out, &len, "", GNUPLOT_MS, why));
    EXPECT_INT(2, sscanf(out, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored));
    EXPECT_INT(0, (long long)blocked);
    EXPECT_INT(0, (long long)(ignored >> (SIGPIPE - 1) & 1));
    free(out);
}

/* The number that a fake gnuplot writes to `path`, by renaming: or 0. */
static long written_pid(const char *path)
{
    FILE *f = fopen(path, "r");
    long pid = 0;

    if (f && fscanf(f, "%ld", &pid) != 1)
        pid = 0;
    if (f)
        (void)fclose(f);
    return pid;
}

/* Gone soon, or a zombie that the runner will reap: a process
 * in a group of its own isn't seen by the runner. */
static void expect_gone(long pid)
{
    int64_t until = now_ms() + SOON_MS;
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%ld/fd/0", pid);
    while (access(path, F_OK) == 0 && now_ms() < until)
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    EXPECT(pid > 0);
    EXPECT_INT(-1, access(path, F_OK));
}

/* What gnuplot has started goes with it. */
static void grandchild(const void *arg)
{
    char body[1000], path[300], why[GNUPLOT_WHY_MAX];

    (void)arg;
    (void)snprintf(path, sizeof path, "%s/pid", harness_dir());
    (void)snprintf(body, sizeof body, "sleep 100 & echo $! >%s; wait", path);
    fake_gnuplot(body);
    for (int ms = 300; ms < SOON_MS && written_pid(path) == 0; ms *= 2)
        EXPECT_INT(-ETIMEDOUT, run_gnuplot("x", ms, why)); /* time to begin */
    expect_gone(written_pid(path));
    (void)snprintf(body, sizeof body, "sleep 100 >/dev/null 2>&1 & echo $! >%s",
                   path);
    fake_gnuplot(body); /* it ends well itself */
    EXPECT_INT(0, run_gnuplot("x", GNUPLOT_MS, why));
    expect_gone(written_pid(path));
}

/* kill -9 of ipcbench takes gnuplot along. */
static void orphaned(const void *arg)
{
    char body[1000], path[300], why[GNUPLOT_WHY_MAX];
    int64_t until = now_ms() + SOON_MS;
    long child = 0;
    pid_t pid;

    (void)arg;
    (void)snprintf(path, sizeof path, "%s/pid", harness_dir());
    (void)snprintf(body, sizeof body,
                   "echo $$ >%s.new; mv %s.new %s; exec sleep 100", path, path,
                   path);
    fake_gnuplot(body);
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0)
        _exit(run_gnuplot("x", GNUPLOT_MS, why) != 0);
    while (child == 0 && now_ms() < until)
        child = written_pid(path);
    EXPECT_INT(0, kill(pid, SIGKILL));
    REQUIRE_INT(pid, waitpid(pid, NULL, 0));
    expect_gone(child);
}

/* ---- drawings ----------------------------------------------------------- */

static void expect_svg(const char *wanted, const char *drawing)
{
    char why[100] = "", *got;

    got = svg_content(drawing, strlen(drawing), "p7", why, sizeof why);
    EXPECT_STR(wanted, got);
    EXPECT_STR("", why);
    free(got);
}

static void svg_good(const void *arg)
{
    static const char drawing[] =
        "<?xml version=\"1.0\"?>\n<svg \n width=\"4\" viewBox=\"0 0 4 4\"\n "
        "xmlns=\"http://www.w3.org/2000/svg\"\n>\n<title>x</title>\n"
        "<desc>Produced <b></desc>\n<g id=\"c\" font-family=\"a\">\n"
        "<g color=\"black\">\n</g><defs><path id='gpPt1' d='M1,2 h3'/></defs>"
        "<g color=\"black\" stroke=\"currentColor\" onclick=\"x()\">"
        "<path stroke='rgb( 11,  79, 168)' d='M0,0 L1,1'/>"
        "<polygon fill = 'url(#gpPat1)' style='fill:none; "
        "stroke:rgb(198,70,0)' points = '0,0 1,1 '/>"
        "<use xlink:href='#gpPt1' color='white'/>"
        "<use xlink:href='http://x/y'/>"
        "<path style='fill:url(http://x/y)' fill='rgb(0,0,0)'/></g>"
        "<text> a&lt;b </text></g></svg>\n";
    static const char wanted[] =
        "<g id=\"p7-c\"><defs><path id=\"p7-gpPt1\" d=\"M1,2 h3\"/></defs>"
        "<g color=\"inherit\" stroke=\"currentColor\">"
        "<path stroke=\"var(--c0b4fa8,#0b4fa8)\" d=\"M0,0 L1,1\"/>"
        "<polygon fill=\"url(#p7-gpPat1)\" style=\"fill:none; "
        "stroke:var(--cc64600,#c64600)\" points=\"0,0 1,1 \"/>"
        "<use href=\"#p7-gpPt1\" color=\"var(--paper,#fff)\"/><use/>"
        "<path fill=\"currentColor\"/></g><text> a&lt;b </text></g>";

    (void)arg;
    expect_svg(wanted, drawing);
    expect_svg("", "<svg><g>\n</g></svg>");
    expect_svg("<text>&amp;&#38;&amp;x &amp;;&amp;</text>",
               "<svg><text>&amp;&#38;&x &;&</text></svg>");
}

static void svg_bad(const void *arg)
{
    static const char *const bad[] = {"",
                                      "hello",
                                      "<svg",
                                      "<svg>",
                                      "<svg><g>",
                                      "<svg></g></svg>",
                                      "<svg><g></svg>",
                                      "<svg><g></path></svg>",
                                      "<svg><script>x</script></svg>",
                                      "<svg><foreignObject/></svg>",
                                      "<svg><g a=b></g></svg>",
                                      "<svg><g a='b></g></svg>",
                                      "<svg><title>x</svg>",
                                      "<svg><!-- x --></svg>",
                                      "<svg><g></g",
                                      "<svg>< g></svg>",
                                      "<svg>\x01</svg>",
                                      "<svg>\xff</svg>"};
    char deep[40 * 3 + 20] = "<svg>", why[100], *got;

    (void)arg;
    for (size_t i = 0; i < COUNT(bad); i++) {
        why[0] = '\0';
        got = svg_content(bad[i], strlen(bad[i]), "p", why, sizeof why);
        harness_check(!got && why[0], false, __FILE__, __LINE__, "passed: %s",
                      bad[i]);
        free(got);
    }
    EXPECT(!svg_content("<svg>\0</svg>", 12, "p", why, sizeof why));
    EXPECT_STR("what gnuplot wrote is no text", why);
    for (int i = 0; i < 40; i++)
        (void)snprintf(deep + 5 + 3 * i, sizeof deep - 5 - 3 * (size_t)i,
                       "<g>");
    EXPECT(svg_content(deep, strlen(deep), "p", why, sizeof why) == NULL);
    EXPECT_STR("gnuplot's drawing is nested too deeply", why);
}

/* ---- pictures ----------------------------------------------------------- */

static bool has_picture(const struct picture *list, size_t n, const char *title)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(list[i].title, title, strlen(title)) == 0)
            return true;
    return false;
}

static void which_pictures(const void *arg)
{
    static const char *const titles[] = {"Size of a message",
                                         "More clients: throughput",
                                         "More clients: who waits longest",
                                         "More requests in flight",
                                         "After a pause",
                                         "Open loop",
                                         "A change, on disk or not",
                                         "Size of the store",
                                         "What people would use instead"};
    struct picture *list;
    struct plan p;
    size_t n;

    (void)arg;
    plan_of_base(&p);
    list = plot_pictures(&p, &n);
    REQUIRE_INT(2, (long long)n);
    EXPECT_STR("Rare requests (blocking, same CPU)", list[0].title);
    EXPECT_STR("Rare requests (blocking, other CPU)", list[1].title);
    plot_free(list, n);
    add_sweeps(&p);
    list = plot_pictures(&p, &n);
    for (size_t i = 0; i < COUNT(titles); i++)
        harness_check(has_picture(list, n, titles[i]), false, __FILE__,
                      __LINE__, "no picture: %s", titles[i]);
    EXPECT_INT(2 + COUNT(titles), (long long)n);
    EXPECT(strstr(list[2].notes, "pipe stops at 32 bytes: EMSGSIZE, too "
                                 "long\n") != NULL);
    EXPECT(strstr(list[2].notes, "mqueue stops at 48 bytes: EMSGSIZE, too "
                                 "long\n") != NULL);
    EXPECT(strstr(list[2].script, "with points pt 2") != NULL); /* a cross */
    plot_free(list, n);
    plan_free(&p);
}

/* The parts of a round trip, one of which is negative. */
static void breakdown(const void *arg)
{
    struct conditions c = base;
    struct picture *list;
    struct row *bare;
    struct plan p;
    size_t n;

    (void)arg;
    plan_of_base(&p);
    c.kind = KIND_BARE;
    bare = add(&p, &c, SWEEP_BASE, 128, 3700);
    bare->group = p.rows[0].group;
    c.kind = KIND_ALONE;
    (void)add(&p, &c, SWEEP_BASE, 128, 3000);
    c.size = 1;
    (void)add(&p, &c, SWEEP_BASE, 1, 2800);
    c = base;
    c.kind = KIND_NONE;
    c.transport = "none";
    (void)add(&p, &c, SWEEP_BASE, 128, 200);
    c.transport = "eventfd";
    c.kind = KIND_BARE;
    (void)add(&p, &c, SWEEP_BASE, 8, 2400);
    c.kind = KIND_ALONE;
    (void)add(&p, &c, SWEEP_BASE, 8, 600);
    list = plot_pictures(&p, &n);
    REQUIRE(has_picture(list, n, "Where the time goes (blocking, same CPU)"));
    /* In ns: codec 200, calls 2,800, copies 200, waking 1,800, own 500, and a
     * rest of 3,700 - 4,800. What is negative goes left from 0. */
    EXPECT(strstr(list[1].script, "\n200 0 0 200 ") != NULL);
    EXPECT(strstr(list[1].script, "\n3000 0 200 3000 ") != NULL);
    EXPECT(strstr(list[1].script, "\n3200 0 3000 3200 ") != NULL);
    EXPECT(strstr(list[1].script, "\n5000 0 3200 5000 ") != NULL);
    EXPECT(strstr(list[1].script, "\n5500 0 5000 5500 ") != NULL);
    EXPECT(strstr(list[1].script, "\n-1100 0 -1100 0 ") != NULL);
    EXPECT(strstr(list[1].script, "\n5500 0 4.40 us\n") != NULL);
    plot_free(list, n);
    plan_free(&p);
}

/* Every script is one that the real gnuplot draws. */
static void real_pictures(const void *arg)
{
    struct picture *list;
    char why[GNUPLOT_WHY_MAX] = "", *out, *svg, *script;
    struct plan p;
    size_t n, len;

    (void)arg;
    if (!gnuplot_there()) {
        harness_skip("no gnuplot");
        return;
    }
    plan_of_base(&p);
    add_sweeps(&p);
    list = plot_pictures(&p, &n);
    for (size_t i = 0; i < n; i++) {
        script = plot_svg_script(&list[i]);
        REQUIRE(script != NULL);
        EXPECT_INT(0, gnuplot_run(&out, &len, script, GNUPLOT_MS, why));
        svg = out ? svg_content(out, len, "p", why, sizeof why) : NULL;
        harness_check(svg != NULL, false, __FILE__, __LINE__, "%s: %s",
                      list[i].title, why);
        harness_check(svg && strstr(svg, "<path ") &&
                          (strstr(svg, ">pipe<") || strstr(svg, ">shm<")),
                      false, __FILE__, __LINE__, "%s: nothing is drawn",
                      list[i].title);
        free(svg);
        free(out);
        free(script);
    }
    plot_free(list, n);
    plan_free(&p);
}

/* A name can't become a command of gnuplot's, nor of its shell's. */
static void script_injection(const void *arg)
{
    static const char name[] = "a'`touch injected`\"\\\n$x;!y";
    struct conditions c = base;
    struct picture *list;
    struct plan p;
    size_t n;

    (void)arg;
    p = (struct plan){.runs = RUNS};
    c.transport = name;
    (void)add(&p, &c, SWEEP_BASE, 128, 4400);
    (void)add(&p, &c, SWEEP_PEERS, 0, 4400);
    list = plot_pictures(&p, &n);
    REQUIRE_INT(2, (long long)n);
    for (size_t i = 0; i < n; i++) {
        EXPECT(strpbrk(list[i].script, "`!\";") == NULL);
        EXPECT(strstr(list[i].script, "touch injected") != NULL);
        EXPECT(strstr(list[i].script, "a?") != NULL);
    }
    plot_free(list, n);
    plan_free(&p);
}

/* ---- for a terminal ----------------------------------------------------- */

/* The drawing itself, up to the sentence below it. */
static void expect_lines(const char *text, size_t most)
{
    const char *end = strstr(text, "The further right");

    REQUIRE(end != NULL);
    while (text < end) {
        size_t len = strcspn(text, "\n");

        harness_check(len <= most, false, __FILE__, __LINE__, "%zu columns",
                      len);
        for (size_t i = 0; i < len; i++)
            EXPECT(text[i] >= ' ' && text[i] <= '~');
        text += len + (text[len] == '\n');
    }
}

static void terminal(const void *arg)
{
    static const int columns[] = {80, 100, 500};
    struct plan p;

    (void)arg;
    if (!gnuplot_there()) {
        harness_skip("no gnuplot");
        return;
    }
    plan_of_base(&p);
    for (size_t i = 0; i < COUNT(columns); i++) {
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        REQUIRE(f != NULL);
        plot_terminal(f, &p, columns[i]);
        REQUIRE_INT(0, fclose(f));
        EXPECT(strstr(text, "Rare requests (blocking, same CPU)") != NULL);
        EXPECT(times(text, "\n") > 20 && strstr(text, "99") != NULL);
        expect_lines(text, columns[i] < 100 ? (size_t)columns[i] : 100);
        free(text);
    }
    plan_free(&p);
}

/* ---- the page ----------------------------------------------------------- */

static void complete(const void *arg)
{
    char *text;

    (void)arg;
    if (!gnuplot_there()) {
        harness_skip("no gnuplot");
        return;
    }
    text = simple_page(false);
    expect_good(text);
    EXPECT_INT(2, (long long)times(text, "<svg "));
    EXPECT_INT(2, (long long)times(text, "role=\"img\""));
    EXPECT_INT(3, (long long)times(text, "<title")); /* the page's as well */
    EXPECT_INT(2, (long long)times(text, "<desc"));
    EXPECT(times(text, "<th scope=\"row\">") >= 3);
    EXPECT(strstr(text, "make deps-plots") == NULL);
    EXPECT(strstr(text, "Partial") == NULL);
    free(text);
}

static void without_gnuplot(const void *arg)
{
    char *text;

    (void)arg;
    EXPECT_INT(0, setenv("PATH", "", 1));
    text = simple_page(false);
    expect_good(text);
    EXPECT(strstr(text, "pictures need gnuplot: make deps-plots") != NULL);
    EXPECT_INT(0, (long long)times(text, "<svg"));
    EXPECT_INT(0, (long long)times(text, "<figure"));
    EXPECT_INT(3, (long long)times(text, "<th scope=\"row\">"));
    free(text);
}

static void partial_page(const void *arg)
{
    char *text;

    (void)arg;
    EXPECT_INT(0, setenv("PATH", "", 1));
    text = simple_page(true);
    expect_good(text);
    EXPECT(strstr(text, "<b>Partial:</b>") != NULL);
    free(text);
}

/* Everything that comes from outside, with the worst in it. */
static void hostile(const void *arg)
{
    static const char evil[] = "<i>&\"'</td>\x01\x1b[31m\xff\xc0\xaf\xc2\x85";
    static const char safe[] =
        "&lt;i&gt;&amp;&quot;&#39;&lt;/td&gt;\xef\xbf\xbd\xef\xbf\xbd[31m"
        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd";
    struct conditions c = base;
    struct machine m;
    struct plan p;
    char *text;

    some_machine(&m);
    (void)snprintf(m.cpu, sizeof m.cpu, "%s", evil);
    (void)snprintf(m.kernel, sizeof m.kernel, "%s", evil);
    (void)snprintf(m.governor, sizeof m.governor, "%s", evil);
    (void)snprintf(m.hypervisor, sizeof m.hypervisor, "%s", evil);
    (void)snprintf(m.mitigations, sizeof m.mitigations, "%s", evil);
    (void)snprintf(m.clock_source, sizeof m.clock_source, "%s", evil);
    plan_of_base(&p);
    (void)snprintf(p.how_why, sizeof p.how_why, "%s", evil);
    c.transport = evil;
    (void)add(&p, &c, SWEEP_BASE, 128, 4000);
    (void)fail(&p, &c, SWEEP_BASE, 128, -ENOSPC, true, evil);
    (void)fail(&p, &c, SWEEP_SIZE, 128, -EIO, false, evil);
    p.rows[0].counts.how = COUNT_PERF;
    (void)snprintf(p.rows[0].counts.call[0].name, COUNT_NAME_MAX, "<i>&\"'");
    p.rows[0].counts.call[0].calls = 1;
    if (arg) /* with a picture that says it, and one that can't be drawn */
        fake_gnuplot("printf '<i>&\"\\x01' >&2; exit 1");
    text = page_of(&p, &m, false, GNUPLOT_MS);
    expect_good(text);
    EXPECT(strstr(text, "<i>") == NULL);
    /* 6 of the machine, how_why, 3 names, 2 sentences; again below a picture */
    EXPECT(times(text, safe) >= 12);
    EXPECT(times(text, "&lt;i&gt;&amp;&quot;") > times(text, safe));
    free(text);
    plan_free(&p);
}

static void errors(const void *arg)
{
    struct conditions c = base;
    struct machine m;
    struct plan p;
    char *text;

    (void)arg;
    EXPECT_INT(0, setenv("PATH", "", 1));
    some_machine(&m);
    plan_of_base(&p);
    (void)fail(&p, &c, SWEEP_BASE, 128, -EMSGSIZE, true, "too long");
    text = page_of(&p, &m, false, GNUPLOT_MS);
    EXPECT(strstr(text, "not available: EMSGSIZE, too long</td>") != NULL);
    EXPECT(strstr(text, "FAILED") == NULL && strstr(text, "Failed") == NULL);
    free(text);
    (void)fail(&p, &c, SWEEP_BASE, 128, -EBADMSG, false, "");
    add(&p, &c, SWEEP_BASE, 128, 0)->absent = true;
    (void)add(&p, &c, SWEEP_BASE, 128, 0); /* Ctrl-C came before */
    text = page_of(&p, &m, true, GNUPLOT_MS);
    expect_good(text);
    EXPECT(strstr(text, "<b>FAILED:</b> wrong reply</td>") != NULL);
    EXPECT(strstr(text, "<b>Failed:</b>") != NULL);
    EXPECT(strstr(text, "this machine has no such CPUs</td>") != NULL);
    EXPECT(strstr(text, ">not measured</td>") != NULL);
    free(text);
    plan_free(&p);
}

static void nothing_measured(const void *arg)
{
    struct machine m;
    struct plan p = {.runs = RUNS};
    char *text;

    (void)arg;
    some_machine(&m);
    text = page_of(&p, &m, true, GNUPLOT_MS);
    expect_good(text);
    EXPECT(strstr(text, "There are no pictures") != NULL);
    free(text);
}

/* What gnuplot did wrong is said where the picture would be, and the tables
 * are there all the same. */
static void bad_pictures(const void *arg)
{
    static const struct {
        const char *body, *said;
    } bad[] = {{"echo hello", "what gnuplot wrote is no drawing"},
               {"exit 3", "gnuplot ended with status 3"},
               {"echo '<svg><g><script>alert(1)</script></g></svg>'",
                "gnuplot&#39;s drawing has an unexpected &lt;script&gt;"},
               {"echo '<svg><g>'", "gnuplot&#39;s drawing ends too early"}};

    (void)arg;
    for (size_t i = 0; i < COUNT(bad); i++) {
        char *text;

        fake_gnuplot(bad[i].body);
        text = simple_page(false);
        expect_good(text);
        EXPECT_INT(2, (long long)times(text, "<b>No picture:</b>"));
        EXPECT_INT(2, (long long)times(text, bad[i].said));
        EXPECT_INT(3, (long long)times(text, "<th scope=\"row\">"));
        EXPECT_INT(0, (long long)times(text, "<svg"));
        free(text);
    }
}

/* Two pictures that take for ever don't take twice as long; but a busy machine
 * adds what it likes, so not each time. */
static void hanging(const void *arg)
{
    int64_t took = TWICE_MS;
    struct machine m;
    struct plan p;
    char *text = NULL;

    (void)arg;
    fake_gnuplot("sleep 100");
    some_machine(&m);
    plan_of_base(&p);
    for (int k = 0; k < 20 && took >= TWICE_MS; k++) {
        int64_t start = now_ms();

        free(text);
        text = page_of(&p, &m, false, 500);
        took = now_ms() - start;
    }
    EXPECT(took >= 490 && took < TWICE_MS);
    expect_good(text);
    EXPECT_INT(2, (long long)times(text, "gnuplot took too long"));
    free(text);
    plan_free(&p);
}

static void disk_full(const void *arg)
{
    FILE *f = fopen("/dev/full", "w");
    struct machine m;
    struct plan p;

    (void)arg;
    REQUIRE(f != NULL);
    EXPECT_INT(0, setenv("PATH", "", 1));
    some_machine(&m);
    plan_of_base(&p);
    EXPECT_INT(-ENOSPC, html_write(f, &p, &m, false));
    (void)fclose(f); /* says so again */
    plan_free(&p);
}

/* ---- the suite ---------------------------------------------------------- */

static const bool with_pictures = true;

static const struct test_case cases[] = {
    {.name = "checker", .run = checker},
    {.name = "gnuplot/echo", .run = echo},
    {.name = "gnuplot/deadline", .run = deadline},
    {.name = "gnuplot/failures", .run = failures},
    {.name = "gnuplot/not-from-here", .run = not_from_here},
    {.name = "gnuplot/interrupted", .run = interrupted},
    {.name = "gnuplot/clean-start", .run = clean_start},
    {.name = "gnuplot/grandchild", .run = grandchild},
    {.name = "gnuplot/orphaned", .run = orphaned},
    {.name = "svg/good", .run = svg_good},
    {.name = "svg/bad", .run = svg_bad},
    {.name = "plot/which", .run = which_pictures},
    {.name = "plot/breakdown", .run = breakdown},
    {.name = "plot/real", .run = real_pictures, .seconds = 60},
    {.name = "plot/injection", .run = script_injection},
    {.name = "plot/terminal", .run = terminal},
    {.name = "html/complete", .run = complete},
    {.name = "html/without-gnuplot", .run = without_gnuplot},
    {.name = "html/partial", .run = partial_page},
    {.name = "html/hostile", .run = hostile},
    {.name = "html/hostile-pictures", .run = hostile, .arg = &with_pictures},
    {.name = "html/errors", .run = errors},
    {.name = "html/nothing-measured", .run = nothing_measured},
    {.name = "html/bad-pictures", .run = bad_pictures},
    {.name = "html/hanging", .run = hanging},
    {.name = "html/disk-full", .run = disk_full},
};

static const struct test_suite suite = {
    .name = "html", .cases = cases, .count = COUNT(cases)};

int main(int argc, char **argv)
{
    return harness_main(argc, argv, &suite);
}
