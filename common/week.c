/*
 * week.c - a week's timetable as a grid of characters
 *
 *   events -> pieces   one a day that an event touches, in rows
 *          -> lanes    pieces that share a row get lanes side by side
 *          -> canvas   a character cell each; a wide character takes two
 *          -> out
 *
 * Lanes are found in rows, not in seconds: what would be drawn over each other
 * is what must stand side by side.
 *
 * It needs _XOPEN_SOURCE for wcwidth.
 */
#define _XOPEN_SOURCE 700
#include "week.h"

#include "fnv.h"
#include "localtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#define DAYS       7
#define DAY        86400
#define ROW        1800 /* seconds a row */
#define ROWS_HOUR  (3600 / ROW)
#define HOUR_FIRST 8  /* always shown from here */
#define HOUR_LAST  18 /* up to here */
#define LABEL      6  /* columns of "08:00 " */
#define LANE_MIN   4  /* columns: an edge, two of text, one free */
#define LANES_MAX  (WEEK_WIDTH_MAX / LANE_MIN) /* no day has room for more */
#define QUIET      6  /* columns of a weekend day without events */
#define GLYPH      16 /* bytes: a character and its combining marks */

/* What stands on a piece of the terminal: text and how many columns it is. */
struct glyph {
    char text[GLYPH];
    int width; /* 1 or 2 */
};

struct cell {
    char text[GLYPH]; /* "" = the right half of a wide character */
    unsigned char style;
};

/* The part of an event that lies in one day. */
struct piece {
    const struct event *ev;
    int day;               /* 0..6 */
    int from, to;          /* seconds of the day by the clock */
    int row0, row1;        /* rows covered: row0 <= r < row1 */
    int lane, lanes;       /* its place, and how many share the column */
    bool goes_on, came_on; /* over midnight */
    bool hidden;           /* no room in this column */
};

struct grid {
    const struct week_opts *opts;
    FILE *out;
    int width;
    int x[DAYS + 1]; /* first column of a day; of its separator: x - 1 */
    int hour0, rows;
    struct piece *pieces;
    size_t count;
    struct cell *cells; /* rows * width */
};

enum { STYLE_NONE, STYLE_DIM, STYLE_EVENT /* and the palette's after it */ };

/* Light backgrounds of the 256-colour palette, for black text. */
static const unsigned char palette[] = {153, 157, 223, 183, 229, 217, 159, 187};

static const char *const day_names[DAYS] = {"Mon", "Tue", "Wed", "Thu",
                                            "Fri", "Sat", "Sun"};
static const char *const month_names[12] = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};

/* ---- characters --------------------------------------------------------- */

/* Invisible ones that change what their neighbours take: joiners, selectors
 * of an emoji's form, and those that turn the direction of writing. */
static bool upsets_columns(wchar_t c)
{
    return (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x2069) || (c >= 0xfe00 && c <= 0xfe0f);
}

/* The next glyph of *s, with the marks that combine with it. False at the
 * end. What can't be shown becomes a question mark. */
static bool next_glyph(const char **s, struct glyph *g)
{
    mbstate_t state = {0};
    size_t used = 0;

    memset(g, 0, sizeof *g);
    while (**s) {
        wchar_t c = 0;
        size_t n = mbrtowc(&c, *s, strlen(*s), &state);
        int width = n > 4 ? -1 : wcwidth(c);

        if (n > 4) { /* not UTF-8 */
            n = 1;
            memset(&state, 0, sizeof state);
        }
        if (width != 0 && g->width)
            break;
        if (width > 0) {
            g->width = width;
        } else if (width < 0) {
            g->width = 1;
            g->text[used++] = '?';
        }
        if (width >= 0 && g->width && !upsets_columns(c) && used + n < GLYPH) {
            memcpy(g->text + used, *s, n);
            used += n;
        }
        *s += n;
    }
    return g->width > 0;
}

static int text_width(const char *s)
{
    struct glyph g;
    int width = 0;

    while (next_glyph(&s, &g))
        width += g.width;
    return width;
}

char *week_fit(const char *text, int columns, bool unicode, char *buf,
               size_t cap)
{
    int room = columns, left = text_width(text);
    bool cut = left > columns;
    const char *mark = unicode ? "\xe2\x80\xa6" : "~"; /* an ellipsis */
    size_t len = 0;
    struct glyph g;

    if (cut)
        room--;
    while (next_glyph(&text, &g) && g.width <= room &&
           len + strlen(g.text) + 4 < cap) {
        memcpy(buf + len, g.text, strlen(g.text));
        len += strlen(g.text);
        room -= g.width;
    }
    if (cut && columns > 0) {
        memcpy(buf + len, mark, strlen(mark));
        len += strlen(mark);
    }
    for (; room > 0 && len + 1 < cap; room--)
        buf[len++] = ' ';
    buf[len] = '\0';
    return buf;
}

/* ---- pieces ------------------------------------------------------------- */

/* Which row a time belongs to: the nearest, so that what touches, touches. */
static int row_of(const struct grid *g, int second)
{
    return (second + ROW / 2) / ROW - g->hour0 * ROWS_HOUR;
}

static void set_rows(struct grid *g)
{
    int first = HOUR_FIRST * 3600, last = HOUR_LAST * 3600;

    for (size_t i = 0; i < g->count; i++) {
        if (g->pieces[i].from < first)
            first = g->pieces[i].from;
        if (g->pieces[i].to > last)
            last = g->pieces[i].to;
    }
    g->hour0 = first / 3600;
    g->rows = ((last + 3599) / 3600 - g->hour0) * ROWS_HOUR;
    for (size_t i = 0; i < g->count; i++) {
        struct piece *p = &g->pieces[i];

        p->row0 = row_of(g, p->from);
        p->row1 = row_of(g, p->to);
        if (p->row0 == g->rows) /* the day's last minutes */
            p->row0--;
        if (p->row1 <= p->row0) /* short, or clocks went back meanwhile */
            p->row1 = p->row0 + 1;
    }
}

static void add_pieces(struct grid *g, const struct event *ev)
{
    struct local_time from = local_split(ev->start);
    struct local_time to = local_split(ev->end - 1);

    if (from.day > to.day) { /* clocks went back over midnight */
        struct local_time later = from;

        from = to;
        to = later;
    }
    for (int d = 0; d < DAYS; d++) {
        int64_t day = g->opts->monday + d;
        struct piece p = {.ev = ev, .day = d, .to = DAY};

        if (day < from.day || day > to.day)
            continue;
        p.came_on = day > from.day;
        p.goes_on = day < to.day;
        if (!p.came_on)
            p.from = from.second;
        if (!p.goes_on)
            p.to = to.second + 1;
        g->pieces[g->count++] = p;
    }
}

static int by_place(const void *a, const void *b)
{
    const struct piece *p = a, *q = b;

    if (p->day != q->day)
        return p->day - q->day;
    if (p->row0 != q->row0)
        return p->row0 - q->row0;
    if (p->row1 != q->row1)
        return q->row1 - p->row1; /* the longer one to the left */
    return p->ev->id < q->ev->id ? -1 : p->ev->id > q->ev->id;
}

/* Gives the pieces of one chain of overlaps their lanes: each the leftmost
 * that is free again. What finds none will be hidden. */
static void set_lanes(struct piece *p, size_t count)
{
    int end[LANES_MAX]; /* row from which a lane is free */
    int lanes = 0;

    for (size_t i = 0; i < count; i++) {
        int lane = 0;

        while (lane < lanes && end[lane] > p[i].row0)
            lane++;
        p[i].lane = lane;
        if (lane == LANES_MAX)
            continue;
        end[lane] = p[i].row1;
        if (lane == lanes)
            lanes++;
    }
    for (size_t i = 0; i < count; i++)
        p[i].lanes = lanes;
}

static void place_pieces(struct grid *g)
{
    size_t first = 0;
    int reach = 0;

    qsort(g->pieces, g->count, sizeof *g->pieces, by_place);
    for (size_t i = 0; i < g->count; i++) {
        struct piece *p = &g->pieces[i];

        if (i > first && (p->day != p[-1].day || p->row0 >= reach)) {
            set_lanes(g->pieces + first, i - first);
            first = i;
            reach = 0;
        }
        if (p->row1 > reach)
            reach = p->row1;
    }
    if (g->count)
        set_lanes(g->pieces + first, g->count - first);
}

/* ---- columns ------------------------------------------------------------ */

/* Weekend days without events lend their columns to the others. */
static void set_columns(struct grid *g)
{
    int quiet[DAYS] = {[5] = 1, [6] = 1};
    int busy = DAYS, room = g->width - LABEL - DAYS, share;

    for (size_t i = 0; i < g->count; i++)
        quiet[g->pieces[i].day] = 0;
    for (int d = 0; d < DAYS && room / DAYS > QUIET; d++)
        if (quiet[d]) {
            busy--;
            room -= QUIET;
        } else {
            quiet[d] = 0;
        }
    share = room / busy;
    g->x[0] = LABEL + 1;
    for (int d = 0; d < DAYS; d++) {
        bool narrow = quiet[d] && busy < DAYS;
        bool more = !narrow && room % busy > 0;

        g->x[d + 1] = g->x[d] + 1 + (narrow ? QUIET : share + more);
        if (more)
            room--; /* what division left over goes to the first days */
    }
}

/* ---- canvas ------------------------------------------------------------- */

/* Puts text from column x on, at most `width` columns. */
static void put(struct grid *g, int row, int x, int width, const char *text,
                unsigned char style)
{
    struct glyph gl;

    while (next_glyph(&text, &gl) && gl.width <= width) {
        struct cell *c = &g->cells[row * g->width + x];

        memcpy(c->text, gl.text, GLYPH);
        c->style = style;
        if (gl.width == 2)
            memset(&c[1], 0, sizeof c[1]);
        x += gl.width;
        width -= gl.width;
    }
}

static void draw_empty(struct grid *g)
{
    static const char *const line[2][2] = {
        {"|", "+"}, {"\xe2\x94\x82", "\xe2\x94\xbc"}}; /* light lines */

    for (int r = 0; r < g->rows; r++) {
        bool hour = r % ROWS_HOUR == 0;

        for (int x = 0; x < g->width; x++)
            put(g, r, x, 1, " ", STYLE_NONE);
        if (hour) {
            char label[LABEL + 1];

            snprintf(label, sizeof label, "%02d:00",
                     (g->hour0 + r / ROWS_HOUR) % 100);
            put(g, r, 0, LABEL, label, STYLE_DIM);
        }
        for (int d = 0; d < DAYS; d++)
            put(g, r, g->x[d] - 1, 1, line[g->opts->unicode][hour], STYLE_DIM);
    }
}

/* The same title always has the same colour. */
static unsigned char colour_of(const char *title)
{
    uint64_t hash = fnv(FNV_START, title, strlen(title));

    return (unsigned char)(STYLE_EVENT + (hash ^ hash >> 32) % sizeof palette);
}

/* The left edge says where a piece begins, goes on and ends. */
static const char *edge(const struct grid *g, const struct piece *p, int row)
{
    static const char *const ascii[] = {"[", "/", "\\", "["};
    static const char *const heavy[] = {"\xe2\x94\x83", "\xe2\x94\x8f",
                                        "\xe2\x94\x97", "\xe2\x95\xba"};
    bool top = row == p->row0 && !p->came_on;
    bool bottom = row == p->row1 - 1 && !p->goes_on;

    return (g->opts->unicode ? heavy : ascii)[top + 2 * bottom];
}

/* Copies of *text what fits into one line, ending behind a word when one
 * ends in its second half, and moves *text on to the next line. */
static void take_line(const char **text, int width, char *buf, size_t cap)
{
    const char *s = *text, *end = *text, *word = NULL;
    struct glyph g;
    int used = 0;
    size_t len;

    while (next_glyph(&s, &g) && used + g.width <= width) {
        used += g.width;
        end = s;
        if ((*g.text == ' ' || *g.text == '-') && used > width / 2)
            word = s;
    }
    if (*end && *end != ' ' && word)
        end = word;
    len = (size_t)(end - *text) < cap ? (size_t)(end - *text) : cap - 1;
    memcpy(buf, *text, len);
    buf[len] = '\0';
    while (*end == ' ')
        end++;
    *text = end;
}

static void draw_text(struct grid *g, const struct piece *p, int x, int width,
                      unsigned char style)
{
    const char *rest = p->ev->title;
    char line[EVENT_TITLE_MAX + 8], from[LOCAL_TIME_SIZE], to[LOCAL_TIME_SIZE];
    int row = p->row0;

    for (; row < p->row1 && *rest; row++) {
        if (row == p->row1 - 1) { /* all that remains, cut */
            week_fit(rest, width, g->opts->unicode, line, sizeof line);
            rest = "";
        } else {
            take_line(&rest, width, line, sizeof line);
        }
        put(g, row, x, width, line, style);
    }
    if (row == p->row1)
        return;
    snprintf(line, sizeof line, "%.5s-%.5s",
             local_format(p->ev->start, from) + 11,
             local_format(p->ev->end, to) + 11);
    if (width >= (int)strlen(line))
        put(g, row, x, width, line, style);
}

/* A lane is an edge, text, and one column free. The leftmost lane's edge
 * takes the place of the line between the days. */
static void draw_piece(struct grid *g, struct piece *p)
{
    int left = g->x[p->day] - 1, room = g->x[p->day + 1] - 1 - left;
    int fit = room / LANE_MIN, lanes = p->lanes < fit ? p->lanes : fit;
    unsigned char style = colour_of(p->ev->title);
    int x, end;

    p->hidden = p->lane >= lanes;
    if (p->hidden)
        return;
    x = left + room * p->lane / lanes;
    end = left + room * (p->lane + 1) / lanes - 1;
    for (int r = p->row0; r < p->row1; r++) {
        for (int i = x; i < end; i++)
            put(g, r, i, 1, " ", style);
        put(g, r, x, 1, edge(g, p, r), style);
    }
    draw_text(g, p, x + 1, end - x - 1, style);
}

/* ---- output ------------------------------------------------------------- */

static void set_style(const struct grid *g, unsigned char style)
{
    if (!g->opts->colour)
        return;
    if (style == STYLE_NONE)
        fputs("\033[0m", g->out);
    else if (style == STYLE_DIM)
        fputs("\033[0;2m", g->out);
    else
        fprintf(g->out, "\033[0;38;5;16;48;5;%um",
                palette[style - STYLE_EVENT]);
}

static void print_row(const struct grid *g, const struct cell *row)
{
    unsigned char style = STYLE_NONE;
    int end = g->width;

    while (end > 0 && row[end - 1].style == STYLE_NONE &&
           !strcmp(row[end - 1].text, " "))
        end--; /* no spaces at the end of a line */
    for (int x = 0; x < end; x++) {
        if (row[x].text[0] && row[x].style != style) {
            style = row[x].style;
            set_style(g, style);
        }
        fputs(row[x].text, g->out);
    }
    if (style != STYLE_NONE)
        set_style(g, STYLE_NONE);
    putc('\n', g->out);
}

/* Outside working hours only those matter in which something happens. */
static bool hour_matters(const struct grid *g, int row)
{
    int hour = g->hour0 + row / ROWS_HOUR;
    int first = row / ROWS_HOUR * ROWS_HOUR, end = first + ROWS_HOUR;

    for (size_t i = 0; i < g->count; i++)
        if (g->pieces[i].row0 < end && g->pieces[i].row1 > first)
            return true;
    return hour >= HOUR_FIRST && hour < HOUR_LAST;
}

static void print_rows(const struct grid *g)
{
    bool before = true;

    for (int r = 0; r < g->rows; r++) {
        bool matters = hour_matters(g, r);

        if (matters)
            print_row(g, &g->cells[r * g->width]);
        else if (before)
            fputs("  ...\n", g->out);
        before = matters;
    }
}

static void print_title(const struct grid *g)
{
    struct local_time a = local_date(g->opts->monday);
    struct local_time b = local_date(g->opts->monday + 6);
    time_t noon = (time_t)local_day_start(g->opts->monday) + DAY / 2;
    char zone[16] = "";
    struct tm tm;
    int year, week = local_iso_week(g->opts->monday, &year);

    if (localtime_r(&noon, &tm))
        strftime(zone, sizeof zone, "%Z", &tm);
    fprintf(g->out, "%sWeek %d%s: %d ", g->opts->colour ? "\033[1m" : "", week,
            g->opts->colour ? "\033[0m" : "", a.mday);
    if (a.month != b.month)
        fprintf(g->out, "%s ", month_names[(a.month + 11) % 12]);
    if (a.year != b.year)
        fprintf(g->out, "%d ", a.year);
    fprintf(g->out, "to %d %s %d, %s\n", b.mday,
            month_names[(b.month + 11) % 12], b.year, zone);
}

static void print_days(const struct grid *g)
{
    fprintf(g->out, "%*s", LABEL, "");
    for (int d = 0; d < DAYS; d++) {
        int64_t day = g->opts->monday + d;
        int width = g->x[d + 1] - g->x[d] - 1;
        bool today = day == g->opts->today;
        char name[24], text[24 + WEEK_WIDTH_MAX];

        snprintf(name, sizeof name, "%s%.*s%s%d",
                 today && !g->opts->colour ? "*" : "", width < 7 ? 2 : 3,
                 day_names[d], width < 5 ? "" : " ", local_date(day).mday);
        week_fit(name, width, g->opts->unicode, text, sizeof text);
        if (d == DAYS - 1) /* no spaces at the end of a line */
            text[strlen(name) < strlen(text) ? strlen(name) : strlen(text)] =
                '\0';
        fprintf(g->out,
                today && g->opts->colour ? " \033[1;7m%s\033[0m" : " %s", text);
    }
    putc('\n', g->out);
}

/* Nothing is left out in silence. */
static void print_hidden(const struct grid *g)
{
    size_t hidden = 0;

    for (size_t i = 0; i < g->count; i++) {
        const struct piece *p = &g->pieces[i];
        char from[LOCAL_TIME_SIZE], to[LOCAL_TIME_SIZE];

        if (!p->hidden)
            continue;
        if (!hidden++)
            fputs("No room in the grid for:\n", g->out);
        fprintf(g->out, "  %s to %s  %s\n", local_format(p->ev->start, from),
                local_format(p->ev->end, to), p->ev->title);
    }
}

int week_print(FILE *out, const struct event *events, size_t count,
               const struct week_opts *opts)
{
    struct grid g = {.opts = opts, .out = out, .width = opts->width};

    if (g.width < WEEK_WIDTH_MIN)
        g.width = WEEK_WIDTH_MIN;
    if (g.width > WEEK_WIDTH_MAX)
        g.width = WEEK_WIDTH_MAX;
    g.pieces = calloc(count * DAYS + 1, sizeof *g.pieces);
    if (!g.pieces)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        add_pieces(&g, &events[i]);
    set_rows(&g);
    place_pieces(&g);
    set_columns(&g);
    g.cells = calloc((size_t)g.rows * (size_t)g.width, sizeof *g.cells);
    if (g.cells) {
        draw_empty(&g);
        for (size_t i = 0; i < g.count; i++)
            draw_piece(&g, &g.pieces[i]);
        print_title(&g);
        print_days(&g);
        print_rows(&g);
        print_hidden(&g);
    }
    free(g.pieces);
    if (!g.cells)
        return -ENOMEM;
    free(g.cells);
    return 0;
}
