/*
 * html.c - see html.h
 *
 *      what, where, how quiet    the machine, in a list
 *      how to read it            five sentences
 *      pictures                  by sweep
 *      all numbers               a table for each sweep and placement
 *
 * All text that isn't ours (the CPU's name, error sentences, names) goes
 * through html_text, which escapes it; a picture goes through svg.c. The
 * texts of this file are HTML already.
 *
 * Left out on purpose: scripts. Sorting and folding would be nice; a page that
 * needs neither network nor trust is nicer.
 */
#include "html.h"

#include "gnuplot.h"
#include "html_parts.h"
#include "plot.h"
#include "svg.h"
#include "table_parts.h"
#include "text.h"
#include "utf8.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifndef IPCLAB_REV
#define IPCLAB_REV "" /* the Makefile knows it, in a git checkout */
#endif

struct page {
    FILE *f;
    const struct plan *p;
    const struct machine *m;
    bool partial;
    int ms; /* for one picture */
};

/* ---- text --------------------------------------------------------------- */

static void put_point(FILE *f, const char *s, size_t len, uint32_t point)
{
    if (point == '&')
        (void)fputs("&amp;", f);
    else if (point == '<')
        (void)fputs("&lt;", f);
    else if (point == '>')
        (void)fputs("&gt;", f);
    else if (point == '"')
        (void)fputs("&quot;", f);
    else if (point == '\'')
        (void)fputs("&#39;", f);
    else if ((point < 0x20 && point != '\n' && point != '\t') ||
             (point >= 0x7f && point < 0xa0))
        (void)fputs("\xef\xbf\xbd", f); /* U+FFFD: HTML has no such letter */
    else
        (void)fwrite(s, 1, len, f);
}

void html_text(FILE *f, const char *s)
{
    size_t left = strlen(s), len;
    uint32_t point;

    for (; left > 0; s += len, left -= len) {
        len = utf8_next(s, left, &point);
        if (len == 0) { /* not UTF-8 */
            len = 1;
            point = 0;
        }
        put_point(f, s, len, point);
    }
}

/* ---- the page's head ---------------------------------------------------- */

/* Colours: text 7:1 and more on its page, what is less important 4.5:1. */
static const char style[] =
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1c1e21;--soft:#555b63;"
    "--line:#d3d7dc;--grid:#c9cdd3;--box:#f4f5f7;--bad:#a3150d;--link:#0a58a8}"
    "*{box-sizing:border-box}"
    "body{margin:0 auto;max-width:80rem;padding:1rem;background:var(--paper);"
    "color:var(--ink);font:16px/1.5 system-ui,sans-serif}"
    "h1{font-size:1.6rem;line-height:1.2;margin:.5rem 0}"
    "h2{font-size:1.3rem;margin:2.2rem 0 .5rem;"
    "border-bottom:1px solid var(--line)}"
    "h3{font-size:1.05rem;margin:1.2rem 0 .3rem}"
    "a{color:var(--link)}p{max-width:44rem}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;"
    "margin:1rem 0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}"
    "ol{padding-left:1.4rem;max-width:44rem}"
    ".say{border-left:.3rem solid var(--soft);padding:.4rem .8rem;"
    "background:var(--box)}"
    ".warn{border-color:var(--bad)}.warn b,.bad{color:var(--bad)}"
    ".pictures{display:grid;gap:1.5rem;"
    "grid-template-columns:repeat(auto-fill,minmax(min(100%,27rem),1fr))}"
    "figure{margin:0;max-width:42rem;break-inside:avoid}"
    "figure h3{margin-top:0}"
    "figure svg{display:block;width:100%;height:auto;"
    "font-family:system-ui,sans-serif}"
    "figcaption,.small{font-size:.875rem}figcaption p{margin:.3rem 0}"
    ".soft{color:var(--soft)}"
    ".wide{overflow-x:auto;margin:.3rem 0 1rem}"
    "table{border-collapse:collapse;font-size:.8125rem;line-height:1.35;"
    "font-variant-numeric:tabular-nums}"
    "th,td{padding:.2rem .45rem;text-align:right;vertical-align:top;"
    "white-space:nowrap;border-bottom:1px solid var(--line)}"
    "th{font-weight:600}tbody th,.left{text-align:left}"
    "tbody th{position:sticky;left:0;background:var(--paper);"
    "white-space:normal;min-width:6.5rem;max-width:11rem}"
    "h3+p{margin:.2rem 0}"
    ".notes{white-space:normal;min-width:14rem;text-align:left}"
    "@media(min-width:60rem){tbody th{white-space:nowrap;max-width:none}}"
    "@media print{body{max-width:none;padding:0;font-size:10pt}"
    "nav{display:none}.wide{overflow:visible}"
    "figcaption,.small{font-size:8.5pt}table{font-size:7pt}th,td{padding:1pt "
    "2pt;white-space:normal}"
    "tr{break-inside:avoid}h2,h3{break-after:avoid}"
    ".notes{min-width:0}tbody th{position:static}"
    ".pictures{grid-template-columns:1fr 1fr}}";

static const char dark[] =
    "--paper:#14171b;--ink:#e8eaed;--soft:#a4abb5;--line:#353b43;"
    "--grid:#3d444d;--box:#1d2126;--bad:#ff9388;--link:#8ec2ff";

/* On paper always the light ones. */
static void put_style(FILE *f)
{
    (void)fprintf(f,
                  "<style>%s@media screen and (prefers-color-scheme:dark)"
                  "{:root{%s",
                  style, dark);
    for (size_t i = 0; i < plot_colour_count; i++)
        (void)fprintf(f, ";--c%s:%s", plot_colours[i].light,
                      plot_colours[i].dark);
    (void)fprintf(f, "}}</style>\n");
}

static void put_head(FILE *f)
{
    (void)fprintf(f, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
                     "<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" "
                     "content=\"width=device-width,initial-scale=1\">\n"
                     "<title>IPC Lab: what a round trip costs here</title>\n");
    put_style(f);
    (void)fprintf(f, "</head>\n<body>\n<header>\n"
                     "<h1>IPC Lab: what a round trip costs here</h1>\n");
}

/* ---- what was measured where -------------------------------------------- */

/* One line of the list; nothing when there is no text. */
static void put_fact(FILE *f, const char *name, const char *text)
{
    if (!text[0])
        return;
    (void)fprintf(f, "<dt>%s</dt><dd>", name);
    html_text(f, text);
    (void)fprintf(f, "</dd>\n");
}

static void put_cpu(FILE *f, const struct machine *m)
{
    char text[TABLE_TEXT] = "";

    table_also(text, "%s", m->cpu[0] ? m->cpu : "unknown");
    if (m->mhz > 0)
        table_also(text, "%d MHz", m->mhz);
    table_also(text, "%d CPU%s", m->cpus, m->cpus == 1 ? "" : "s");
    if (m->allowed < m->cpus)
        table_also(text, "%d of them ours", m->allowed);
    table_also(text, m->smt ? "two threads a core" : "one thread a core");
    if (m->governor[0])
        table_also(text, "governor %s", m->governor);
    put_fact(f, "processor", text);
}

static void put_system(FILE *f, const struct machine *m)
{
    char text[TABLE_TEXT] = "";

    table_also(text, "%s", m->kernel[0] ? m->kernel : "unknown kernel");
    if (strcmp(m->hypervisor, "yes") == 0)
        table_also(text, "virtual machine");
    else if (m->hypervisor[0])
        table_also(text, "virtual machine (%s)", m->hypervisor);
    if (m->container)
        table_also(text, "container");
    put_fact(f, "system", text);
    put_fact(f, "mitigations", m->mitigations);
}

static void put_places(FILE *f, const struct machine *m)
{
    char text[TABLE_TEXT] = "";

    for (unsigned i = 0; i < PLACE_FREE; i++) {
        const struct spot *s = &m->spots[i];

        if (s->there && s->client == s->server)
            table_also(text, "%s = %d", table_place((enum place)i), s->client);
        else if (s->there)
            table_also(text, "%s = client %d, server %d",
                       table_place((enum place)i), s->client, s->server);
    }
    put_fact(f, "CPUs used", text);
}

static void put_clock(FILE *f, const struct machine *m)
{
    char text[TABLE_TEXT];

    (void)snprintf(text, sizeof text,
                   "%s, %.0f ns a reading; measuring costs %.0f ns a request, "
                   "one reading of it inside p50, not subtracted",
                   m->clock_source[0] ? m->clock_source : "unknown",
                   m->clock_ns, m->harness_ns);
    put_fact(f, "clock", text);
}

static void put_load(FILE *f, const struct machine *m)
{
    char text[TABLE_TEXT];

    (void)snprintf(text, sizeof text,
                   "%.2f, %.2f, %.2f before (averages of 1, 5, 15 minutes)",
                   m->load[0], m->load[1], m->load[2]);
    if (!isnan(m->load_after))
        table_also(text, "%.2f after", m->load_after);
    put_fact(f, "load", text);
}

static const char *how_counted(const struct plan *p)
{
    switch (p->how) {
    case COUNT_PERF: return "counted by perf tracepoints";
    case COUNT_STRACE:
        return "counted by strace, which changes who sleeps when: futex calls "
               "come out wrong";
    case COUNT_NOT: break;
    }
    return "not counted";
}

static void put_plan(FILE *f, const struct plan *p)
{
    char text[TABLE_TEXT + CASE_WHY_MAX];

    (void)snprintf(text, sizeof text,
                   "%zu cases, up to %u runs each of %g s, every run in fresh "
                   "processes, in shuffled order (seed %016llx)",
                   p->count, p->runs, p->seconds, (unsigned long long)p->seed);
    put_fact(f, "measured", text);
    (void)snprintf(text, sizeof text, "%s%s%s", how_counted(p),
                   p->how_why[0] ? "; " : "", p->how_why);
    put_fact(f, "system calls", text);
}

static void put_verdict(const struct page *pg)
{
    char text[TABLE_TEXT];
    bool noisy = plan_noise(text, sizeof text, pg->p, pg->m);

    if (pg->partial)
        (void)fprintf(pg->f,
                      "<p class=\"say warn\"><b>Partial:</b> the measurement "
                      "was interrupted. What is missing was not measured, and "
                      "what is here has fewer runs than planned.</p>\n");
    if (plan_failed(pg->p))
        (void)fprintf(pg->f,
                      "<p class=\"say warn\"><b>Failed:</b> some cases that "
                      "should work did not. The tables say which.</p>\n");
    (void)fprintf(pg->f, "<p class=\"say%s\">%s", noisy ? " warn" : "",
                  noisy ? "<b>Careful.</b> " : "");
    (void)fprintf(pg->f, "This machine was ");
    html_text(pg->f, text);
    (void)fprintf(pg->f, ".</p>\n");
}

static void put_facts(const struct page *pg)
{
    char now[TEXT_NOW];

    put_verdict(pg);
    (void)fprintf(pg->f, "<dl>\n");
    put_cpu(pg->f, pg->m);
    put_system(pg->f, pg->m);
    put_places(pg->f, pg->m);
    put_clock(pg->f, pg->m);
    put_load(pg->f, pg->m);
    put_plan(pg->f, pg->p);
    put_fact(pg->f, "finished", text_now(now));
    put_fact(pg->f, "revision", IPCLAB_REV);
    (void)fprintf(pg->f, "</dl>\n</header>\n");
}

static const char how_to_read[] =
    "<section aria-labelledby=\"read\">\n<h2 id=\"read\">How to read it</h2>\n"
    "<ol>\n"
    "<li>A <b>round trip</b> is one request to the server and its reply; "
    "<b>p50</b> is what half of them took at most, p99 what 99 of 100 "
    "did.</li>\n"
    "<li>Compare only what waits in the same way and runs in the same place: "
    "<b>blocking</b> sleeps until it is woken, <b>spinning</b> asks again and "
    "again and burns a CPU; on the <b>same CPU</b> the two take turns, on the "
    "<b>other CPU</b> one has to wake the other.</li>\n"
    "<li>Behind p50 stands the interval in which it lies, with 95&nbsp;% "
    "certainty from six runs on: where two intervals overlap, nobody knows "
    "which is faster.</li>\n"
    "<li><b>bare</b> is the mechanism's own smallest exchange of the same "
    "bytes and <b>none</b> a direct call without any: between them and the "
    "lab's row lies what the lab adds.</li>\n"
    "<li>These numbers are true for this machine; the order of the mechanisms "
    "may be another one on yours, above all across CPUs and in a virtual "
    "machine.</li>\n"
    "</ol>\n</section>\n";

/* ---- pictures ----------------------------------------------------------- */

/* The drawing as it goes into the page, or NULL with the reason. */
static char *drawing_of(const struct page *pg, const struct picture *pic,
                        size_t number, int *err, char why[GNUPLOT_WHY_MAX])
{
    char *script = plot_svg_script(pic), *raw = NULL, *svg = NULL;
    char name[24];
    size_t len;

    (void)snprintf(name, sizeof name, "p%zu", number);
    (void)snprintf(why, GNUPLOT_WHY_MAX, "no memory");
    *err = script ? gnuplot_run(&raw, &len, script, pg->ms, why) : -ENOMEM;
    if (*err == 0)
        svg = svg_content(raw, len, name, why, GNUPLOT_WHY_MAX);
    free(raw);
    free(script);
    return svg;
}

static void put_drawing(FILE *f, const struct picture *pic, size_t number,
                        const char *svg)
{
    (void)fprintf(f,
                  "<svg viewBox=\"0 0 %u %u\" role=\"img\" "
                  "aria-labelledby=\"t%zu d%zu\">\n<title id=\"t%zu\">",
                  pic->width, pic->height, number, number, number);
    html_text(f, pic->title);
    (void)fprintf(f, "</title><desc id=\"d%zu\">", number);
    html_text(f, pic->see);
    (void)fprintf(f,
                  " The numbers are in the tables below.</desc>\n%s\n"
                  "</svg>\n",
                  svg);
}

/* Each line of the notes is an item. */
static void put_notes(FILE *f, const char *notes)
{
    char line[PLOT_TITLE + 2 * CASE_WHY_MAX];

    if (!notes[0])
        return;
    (void)fprintf(f, "<ul class=\"soft\">\n");
    while (*notes) {
        size_t len = strcspn(notes, "\n");

        (void)snprintf(line, sizeof line, "%.*s", (int)len, notes);
        (void)fprintf(f, "<li>");
        html_text(f, line);
        (void)fprintf(f, "</li>\n");
        notes += len + (notes[len] == '\n');
    }
    (void)fprintf(f, "</ul>\n");
}

/* svg NULL: why there is no drawing. */
static void put_picture(FILE *f, const struct picture *pic, size_t number,
                        const char *svg, const char *why)
{
    (void)fprintf(f, "<figure>\n<h3>");
    html_text(f, pic->title);
    (void)fprintf(f, "</h3>\n");
    if (svg) {
        put_drawing(f, pic, number, svg);
    } else {
        (void)fprintf(f, "<p class=\"say warn\"><b>No picture:</b> ");
        html_text(f, why);
        (void)fprintf(f, "</p>\n");
    }
    (void)fprintf(f, "<figcaption>\n<p>");
    html_text(f, pic->see);
    (void)fprintf(f, "</p>\n<p class=\"soft\">");
    html_text(f, pic->conditions);
    (void)fprintf(f, "</p>\n");
    put_notes(f, pic->notes);
    (void)fprintf(f, "</figcaption>\n</figure>\n");
}

/* The pictures before list[i] are about something else. */
static bool begins_section(const struct picture *list, size_t i)
{
    return i == 0 ||
           (list[i].sweep == SWEEP_BASE) != (list[i - 1].sweep == SWEEP_BASE);
}

static const char *section_id(const struct picture *pic)
{
    return pic->sweep == SWEEP_BASE ? "base" : "sweeps";
}

static const char *section_title(const struct picture *pic)
{
    return pic->sweep == SWEEP_BASE ? "Round trips" : "One thing changed";
}

/* A gnuplot that hung once isn't asked again: the reader waits. */
static void put_list(const struct page *pg, const struct picture *list,
                     size_t n)
{
    char why[GNUPLOT_WHY_MAX];
    int err = 0;

    for (size_t i = 0; i < n; i++) {
        bool give_up = err == -ETIMEDOUT || err == -EINTR;
        char *svg = NULL;

        if (begins_section(list, i))
            (void)fprintf(pg->f,
                          "<section aria-labelledby=\"%s\">\n"
                          "<h2 id=\"%s\">%s</h2>\n<div class=\"pictures\">\n",
                          section_id(&list[i]), section_id(&list[i]),
                          section_title(&list[i]));
        if (!give_up)
            svg = drawing_of(pg, &list[i], i + 1, &err, why);
        put_picture(pg->f, &list[i], i + 1, svg, why);
        free(svg);
        if (i + 1 == n || begins_section(list, i + 1))
            (void)fprintf(pg->f, "</div>\n</section>\n");
    }
}

static void put_pictures(const struct page *pg, const struct picture *list,
                         size_t n)
{
    if (n == 0)
        (void)fprintf(pg->f, "<p>There are no pictures: nothing that they "
                             "could show was measured.</p>\n");
    else if (!gnuplot_there())
        (void)fprintf(pg->f,
                      "<p class=\"say\">%zu picture%s left out: "
                      "pictures need gnuplot: make deps-plots</p>\n",
                      n, n == 1 ? " was" : "s were");
    else
        put_list(pg, list, n);
}

/* ---- the page ----------------------------------------------------------- */

static void put_contents(const struct page *pg, const struct picture *list,
                         size_t n)
{
    (void)fprintf(pg->f, "<nav aria-label=\"On this page\"><p>");
    for (size_t i = 0; i < n && gnuplot_there(); i++)
        if (begins_section(list, i))
            (void)fprintf(pg->f, "<a href=\"#%s\">%s</a> &middot; ",
                          section_id(&list[i]), section_title(&list[i]));
    (void)fprintf(pg->f, "<a href=\"#numbers\">All numbers</a></p></nav>\n");
}

int html_write_within(FILE *f, const struct plan *p, const struct machine *m,
                      bool partial, int ms)
{
    const struct page pg = {f, p, m, partial, ms};
    size_t n;
    struct picture *list = plot_pictures(p, &n);

    put_head(f);
    put_facts(&pg);
    put_contents(&pg, list, n);
    (void)fprintf(f, "<main>\n%s", how_to_read);
    put_pictures(&pg, list, n);
    html_tables(f, p);
    (void)fprintf(f, "</main>\n</body>\n</html>\n");
    plot_free(list, n);
    if (fflush(f) != 0 || ferror(f))
        return errno ? -errno : -EIO;
    return 0;
}

int html_write(FILE *f, const struct plan *p, const struct machine *m,
               bool partial)
{
    return html_write_within(f, p, m, partial, GNUPLOT_MS);
}
