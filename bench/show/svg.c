/*
 * svg.c - see svg.h
 *
 * Not a parser of all XML: of what gnuplot writes. Elements and attributes are
 * taken from a list, so whatever else a future gnuplot may write (or another
 * program of that name) is refused or left out, never passed on.
 *
 *      <?xml ...?><svg ...> <title>..</title>    skipped
 *      <g ..> <path ../> <text>50 %</text> </g>   each tag: check, rewrite
 *      </svg>                                     end; nothing may be open
 *
 * Left out on purpose: what can't be seen. gnuplot begins a group for each
 * change of colour, and half of them stay empty.
 */
#include "svg.h"

#include "utf8.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_MAX 32 /* elements inside of each other */
#define WORD_MAX 32 /* bytes of an element's or attribute's name */

/* The text that is built. (text.h has one of a fixed size.) */
struct buffer {
    char *at; /* the caller's to free; always ends with a NUL */
    size_t len, cap;
    bool failed; /* no memory: what is added from then on is lost */
};

struct element {
    char name[WORD_MAX];
    size_t from, inside; /* where its tag and its content begin in out */
};

struct job {
    const char *at, *end; /* what is left to read */
    const char *prefix;   /* of ids */
    struct buffer out;
    struct element open[OPEN_MAX];
    unsigned depth;
    char *why;
    size_t cap;
};

/* ---- building text ------------------------------------------------------ */

static void add(struct buffer *t, const char *s, size_t len)
{
    if (t->len + len + 1 > t->cap) {
        size_t cap = 2 * (t->cap + len + 1);
        char *bigger = realloc(t->at, cap);

        if (!bigger) {
            t->failed = true;
            return;
        }
        t->at = bigger;
        t->cap = cap;
    }
    memcpy(t->at + t->len, s, len);
    t->len += len;
    t->at[t->len] = '\0';
}

static void put(struct buffer *t, const char *s)
{
    add(t, s, strlen(s));
}

/* Forget what was added behind `len`. */
static void cut(struct buffer *t, size_t len)
{
    if (t->len <= len)
        return; /* without memory it never was added */
    t->len = len;
    t->at[len] = '\0';
}

static bool bad(struct job *j, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Always false: what a function that failed returns. */
static bool bad(struct job *j, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(j->why, j->cap, format, ap);
    va_end(ap);
    return false;
}

/* ---- names and values --------------------------------------------------- */

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == ':' || c == '-' || c == '_';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Is it one of the words of a list that begins and ends with a space? */
static bool listed(const char *name, const char *list)
{
    char word[WORD_MAX + 2];

    (void)snprintf(word, sizeof word, " %s ", name);
    return strstr(list, word) != NULL;
}

static const char elements[] =
    " g path rect circle ellipse line polyline polygon text tspan use defs "
    "title desc filter feFlood feComposite pattern ";
static const char colours[] = " fill stroke color flood-color ";
/* Without fonts: the page has its own. */
static const char plain[] =
    " d x y x1 y1 x2 y2 cx cy r rx ry dx dy width height points transform "
    "stroke-width stroke-dasharray stroke-linecap stroke-linejoin "
    "stroke-opacity fill-opacity fill-rule opacity font-size font-weight "
    "text-anchor shape-rendering patternUnits filterUnits flood-opacity in in2 "
    "operator result ";

/* Letters, digits and what numbers, transforms and styles need: nothing that
 * ends an attribute or names another page. */
static bool is_harmless(const char *v, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_name(v[i]) && !is_space(v[i]) && !strchr("().,;+%#", v[i]))
            return false;
    return true;
}

/* The three numbers of "rgb( 11,  79, 168)", which `v` begins with: how long
 * it is, or 0 when it is something else. */
static size_t rgb_of(const char *v, size_t len, unsigned rgb[3])
{
    size_t at = 4;

    if (len < 4 || strncmp(v, "rgb(", 4) != 0)
        return 0;
    for (int i = 0; i < 3; i++) {
        rgb[i] = 0;
        while (at < len && is_space(v[at]))
            at++;
        while (at < len && v[at] >= '0' && v[at] <= '9' && rgb[i] < 256)
            rgb[i] = 10 * rgb[i] + (unsigned)(v[at++] - '0');
        if (rgb[i] > 255 || at == len || v[at++] != (i < 2 ? ',' : ')'))
            return 0;
    }
    return at;
}

/* A value in which colours may stand: alone, or in a style. */
static void add_coloured(struct buffer *t, const char *v, size_t len)
{
    char name[48];
    unsigned c[3];
    size_t used;

    for (size_t i = 0; i < len; i += used) {
        used = rgb_of(v + i, len - i, c);
        if (used == 0) {
            used = 1;
            add(t, v + i, 1);
        } else if (c[0] + c[1] + c[2] == 0) {
            put(t, "currentColor");
        } else {
            (void)snprintf(name, sizeof name,
                           "var(--c%02x%02x%02x,#%02x%02x%02x)", c[0], c[1],
                           c[2], c[0], c[1], c[2]);
            put(t, name);
        }
    }
}

static bool is(const char *v, size_t len, const char *word)
{
    return strlen(word) == len && strncmp(v, word, len) == 0;
}

/* `color` is what currentColor stands for below it, so its black is the colour
 * outside: "inherit". */
static void add_colour(struct job *j, const char *name, const char *v,
                       size_t len)
{
    bool black = is(v, len, "black") || is(v, len, "rgb(  0,   0,   0)");

    if (black)
        put(&j->out, strcmp(name, "color") ? "currentColor" : "inherit");
    else if (is(v, len, "white"))
        put(&j->out, "var(--paper,#fff)");
    else if (is(v, len, "gray") || is(v, len, "grey"))
        put(&j->out, "var(--grid,#bbb)");
    else if (len > 6 && strncmp(v, "url(#", 5) == 0) {
        put(&j->out, "url(#");
        put(&j->out, j->prefix);
        put(&j->out, "-");
        add(&j->out, v + 5, len - 5);
    } else
        add_coloured(&j->out, v, len);
}

static void begin_attribute(struct job *j, const char *name)
{
    put(&j->out, " ");
    put(&j->out, name);
    put(&j->out, "=\"");
}

/* Anything not on a list is left out. */
static void add_attribute(struct job *j, const char *name, const char *v,
                          size_t len)
{
    if (!is_harmless(v, len))
        return;
    if (strcmp(name, "id") == 0) {
        begin_attribute(j, name);
        put(&j->out, j->prefix);
        put(&j->out, "-");
        add(&j->out, v, len);
    } else if (strcmp(name, "xlink:href") == 0 && len > 1 && v[0] == '#') {
        begin_attribute(j, "href");
        put(&j->out, "#");
        put(&j->out, j->prefix);
        put(&j->out, "-");
        add(&j->out, v + 1, len - 1);
    } else if (listed(name, colours)) {
        begin_attribute(j, name);
        add_colour(j, name, v, len);
    } else if (strcmp(name, "style") == 0) {
        begin_attribute(j, name);
        add_coloured(&j->out, v, len);
    } else if (listed(name, plain)) {
        begin_attribute(j, name);
        add(&j->out, v, len);
    } else {
        return;
    }
    put(&j->out, "\"");
}

/* ---- tags --------------------------------------------------------------- */

static void skip_space(struct job *j)
{
    while (j->at < j->end && is_space(*j->at))
        j->at++;
}

static bool take(struct job *j, char c)
{
    if (j->at == j->end || *j->at != c)
        return false;
    j->at++;
    return true;
}

static bool take_name(struct job *j, char name[WORD_MAX])
{
    size_t len = 0;

    while (j->at < j->end && is_name(*j->at) && len < WORD_MAX - 1)
        name[len++] = *j->at++;
    name[len] = '\0';
    return len > 0;
}

/* name = 'value'. */
static bool take_attribute(struct job *j, bool wanted)
{
    char name[WORD_MAX];
    const char *v;
    char quote;

    if (!take_name(j, name))
        return false;
    skip_space(j);
    if (!take(j, '='))
        return false;
    skip_space(j);
    if (j->at == j->end || (*j->at != '"' && *j->at != '\''))
        return false;
    quote = *j->at++;
    v = j->at;
    while (j->at < j->end && *j->at != quote)
        j->at++;
    if (wanted)
        add_attribute(j, name, v, (size_t)(j->at - v));
    return take(j, quote);
}

/* The attributes up to ">" or "/>". */
static bool take_attributes(struct job *j, bool wanted, bool *closed)
{
    for (;;) {
        skip_space(j);
        *closed = take(j, '/');
        if (take(j, '>'))
            return true;
        if (*closed || !take_attribute(j, wanted))
            return bad(j, "gnuplot's drawing has a tag that can't be read");
    }
}

/* Only there to be seen by a mouse: "gnuplot_plot_1". */
static bool skip_element(struct job *j, const char *name)
{
    const char *gone = strcmp(name, "title") ? "</desc>" : "</title>";
    size_t len = strlen(gone);

    while ((size_t)(j->end - j->at) >= len && strncmp(j->at, gone, len) != 0)
        j->at++;
    if ((size_t)(j->end - j->at) < len)
        return bad(j, "gnuplot's drawing ends too early");
    j->at += len;
    return true;
}

static bool take_start(struct job *j, const char *name)
{
    struct element *e = &j->open[j->depth];
    bool closed;

    if (!listed(name, elements))
        return bad(j, "gnuplot's drawing has an unexpected <%s>", name);
    if (j->depth == OPEN_MAX)
        return bad(j, "gnuplot's drawing is nested too deeply");
    e->from = j->out.len;
    put(&j->out, "<");
    put(&j->out, name);
    if (!take_attributes(j, true, &closed))
        return false;
    put(&j->out, closed ? "/>" : ">");
    if (closed)
        return true;
    if (strcmp(name, "title") == 0 || strcmp(name, "desc") == 0) {
        cut(&j->out, e->from);
        return skip_element(j, name);
    }
    (void)snprintf(e->name, sizeof e->name, "%s", name);
    e->inside = j->out.len;
    j->depth++;
    return true;
}

static bool take_end(struct job *j, const char *name)
{
    struct element *e;

    if (j->depth == 0 || strcmp(j->open[j->depth - 1].name, name) != 0)
        return bad(j, "gnuplot's drawing has </%s> at a wrong place", name);
    e = &j->open[--j->depth];
    if (j->out.len == e->inside && strcmp(name, "g") == 0) {
        cut(&j->out, e->from); /* empty: as if it had never been there */
        return true;
    }
    put(&j->out, "</");
    put(&j->out, name);
    put(&j->out, ">");
    return true;
}

/* Is it "&lt;", "&#39;" or the like? */
static bool is_entity(const char *s, const char *end)
{
    const char *word = s + 1;

    word += word < end && *word == '#';
    for (s = word; s < end && is_name(*s) && !strchr(":-_", *s); s++)
        ;
    return s > word && s < end && *s == ';';
}

/* Text is seen only in <text>; elsewhere it is white space. gnuplot has
 * written &lt; and &amp; in it already. */
static void take_text(struct job *j)
{
    bool seen = j->depth > 0 && (!strcmp(j->open[j->depth - 1].name, "text") ||
                                 !strcmp(j->open[j->depth - 1].name, "tspan"));

    for (; j->at < j->end && *j->at != '<'; j->at++) {
        if (!seen)
            continue;
        add(&j->out, j->at, 1);
        if (*j->at == '&' && !is_entity(j->at, j->end))
            put(&j->out, "amp;");
    }
}

/* All up to </svg>. */
static bool take_all(struct job *j)
{
    char name[WORD_MAX];

    for (;;) {
        bool ends;

        take_text(j);
        if (!take(j, '<'))
            return bad(j, "gnuplot's drawing ends too early");
        ends = take(j, '/');
        if (!take_name(j, name))
            return bad(j, "gnuplot's drawing has a tag without a name");
        if (ends && j->depth == 0 && strcmp(name, "svg") == 0)
            return true;
        if (ends) {
            skip_space(j);
            if (!take(j, '>'))
                return bad(j, "gnuplot's drawing has a tag without an end");
            if (!take_end(j, name))
                return false;
        } else if (!take_start(j, name)) {
            return false;
        }
    }
}

/* UTF-8 without control characters. */
static bool is_text(const char *s, size_t len)
{
    uint32_t point;
    size_t n;

    for (; len > 0; s += n, len -= n) {
        n = utf8_next(s, len, &point);
        if (n == 0 || (point < ' ' && !is_space(*s)))
            return false;
    }
    return true;
}

/* Forward to what stands inside of <svg ...>. */
static bool find_svg(struct job *j)
{
    bool closed;

    while (j->end - j->at >= 4 && strncmp(j->at, "<svg", 4) != 0)
        j->at++;
    if (j->end - j->at < 4)
        return bad(j, "what gnuplot wrote is no drawing");
    j->at += 4;
    return take_attributes(j, false, &closed);
}

char *svg_content(const char *drawing, size_t len, const char *name, char *why,
                  size_t cap)
{
    struct job j = {.at = drawing,
                    .end = drawing + len,
                    .prefix = name,
                    .why = why,
                    .cap = cap};
    bool good =
        is_text(drawing, len) || bad(&j, "what gnuplot wrote is no text");

    good = good && find_svg(&j) && take_all(&j);

    if (good && j.out.failed)
        good = bad(&j, "no memory for a drawing");
    if (!good) {
        free(j.out.at);
        return NULL;
    }
    if (!j.out.at)
        put(&j.out, ""); /* nothing drawn: still a text */
    return j.out.at;
}
