/*
 * exchange.c - timetables as JSON, to and from other programs
 */
#include "exchange.h"

#include "fnv.h"
#include "journal_line.h"
#include "json.h"
#include "localtime.h"
#include "timestamp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- checks ------------------------------------------------------------- */

const char *exchange_title_fault(const char *title)
{
    size_t len = strlen(title);

    if (len == 0)
        return "the title is empty";
    if (len > EVENT_TITLE_MAX)
        return "the title is longer than 255 bytes";
    if (event_title_check(title, len) < 0)
        return "the title isn't valid UTF-8, or has a control character";
    if (event_title_blank(title, len))
        return "the title has nothing but spaces";
    return NULL;
}

const char *exchange_times_fault(int64_t start, int64_t end)
{
    if (start < EVENT_TIME_MIN || end > EVENT_TIME_MAX)
        return "years are 0001 to 9999 (UTC)";
    if (end <= start)
        return "the end isn't after the start";
    return NULL;
}

/* ---- tokens ------------------------------------------------------------- */

static uint64_t hash_number(uint64_t h, uint64_t v)
{
    for (int shift = 0; shift < 64; shift += 8) {
        unsigned char byte = (unsigned char)(v >> shift);

        h = fnv(h, &byte, 1);
    }
    return h;
}

static uint64_t token_of(const struct event *ev, uint64_t occurrence)
{
    static const char salt[] = "ipclab import 1"; /* never change it: files
                                                     would come in twice */
    uint64_t h = fnv(FNV_START, salt, sizeof salt);

    h = fnv(h, ev->title, strlen(ev->title) + 1);
    h = hash_number(h, (uint64_t)ev->start);
    h = hash_number(h, (uint64_t)ev->end);
    h = hash_number(h, occurrence);
    return h ? h : 1;
}

static int by_content(const void *a, const void *b)
{
    const struct event *e = *(const struct event *const *)a;
    const struct event *f = *(const struct event *const *)b;
    int order = strcmp(e->title, f->title);

    if (order)
        return order;
    if (e->start != f->start)
        return e->start < f->start ? -1 : 1;
    return e->end < f->end ? -1 : e->end > f->end;
}

int exchange_give_tokens(struct exchange *x)
{
    const struct event **sorted = calloc(x->count + 1, sizeof *sorted);
    uint64_t occurrence = 0;

    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < x->count; i++)
        sorted[i] = &x->events[i];
    qsort(sorted, x->count, sizeof *sorted, by_content);
    for (size_t i = 0; i < x->count; i++) {
        bool again = i > 0 && by_content(&sorted[i - 1], &sorted[i]) == 0;

        occurrence = again ? occurrence + 1 : 0;
        x->tokens[sorted[i] - x->events] = token_of(sorted[i], occurrence);
    }
    free(sorted);
    return 0;
}

/* ---- reading ------------------------------------------------------------ */

static int bad(char *why, size_t cap, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int bad(char *why, size_t cap, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(why, cap, format, ap);
    va_end(ap);
    return -EBADMSG;
}

int exchange_load(FILE *in, char **text, size_t *len)
{
    size_t cap = 0;

    *text = NULL;
    *len = 0;
    while (!feof(in)) {
        if (*len == cap) {
            char *more = realloc(*text, cap = cap ? 2 * cap : 65536);

            if (!more)
                return -ENOMEM;
            *text = more;
        }
        errno = 0;
        *len += fread(*text + *len, 1, cap - *len, in);
        if (ferror(in))
            return errno ? -errno : -EIO;
        if (*len > EXCHANGE_FILE_MAX)
            return -EFBIG;
    }
    return 0;
}

static int read_time(const cJSON *object, const char *key, int64_t *t,
                     const char **fault)
{
    const char *text = json_string(object, key);

    *fault = "missing, or not a string";
    return text ? local_parse(text, t, fault) : -EINVAL;
}

static int read_event(struct event *ev, const cJSON *object, size_t number,
                      char *why, size_t cap)
{
    const char *fault;

    if (!cJSON_IsObject(object))
        return bad(why, cap, "event %zu: not an object", number);
    ev->title = json_string(object, "title");
    fault = ev->title ? exchange_title_fault(ev->title)
                      : "its title is missing, or not a string";
    if (fault)
        return bad(why, cap, "event %zu: %s", number, fault);
    ev->title_len = (uint8_t)strlen(ev->title);
    if (read_time(object, "start", &ev->start, &fault) < 0)
        return bad(why, cap, "event %zu: start: %s", number, fault);
    if (read_time(object, "end", &ev->end, &fault) < 0)
        return bad(why, cap, "event %zu: end: %s", number, fault);
    if ((fault = exchange_times_fault(ev->start, ev->end)))
        return bad(why, cap, "event %zu: %s", number, fault);
    return 0;
}

/* Remembers the first key that we have no place for. */
static void note_extras(struct exchange *x, const cJSON *object, size_t number)
{
    static const char *const known[] = {"title", "start", "end", "id", "rev"};
    const cJSON *item;

    cJSON_ArrayForEach(item, object)
    {
        bool ours = false;

        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            ours = ours || !strcmp(item->string, known[i]);
        if (!ours && !x->note[0])
            snprintf(x->note, sizeof x->note,
                     "only title, start and end are kept; left out: \"%.40s\" "
                     "of event %zu, and any like it",
                     item->string, number);
    }
}

/* The line on which the array's element begins; `text` was parsed before. */
static size_t line_of(const char *text, size_t len, size_t number)
{
    size_t line = 1, depth = 0;
    bool quoted = false, next = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        line += c == '\n';
        if (quoted) {
            i += c == '\\'; /* what stands behind it ends no string */
            quoted = c != '"';
            continue;
        }
        if (strchr(" \t\r\n", c))
            continue;
        if (next && --number == 0)
            break;
        quoted = c == '"';
        depth += c == '[' || c == '{';
        depth -= c == ']' || c == '}';
        next = depth == 1 && (c == ',' || c == '[');
    }
    return line;
}

static int read_events(struct exchange *x, const char *text, size_t len,
                       char *why, size_t cap)
{
    size_t count = (size_t)cJSON_GetArraySize(x->tree);
    const cJSON *object;
    char fault[200];

    if (!cJSON_IsArray(x->tree))
        return bad(why, cap, "not an array of events");
    x->events = calloc(count + 1, sizeof *x->events);
    x->tokens = calloc(count + 1, sizeof *x->tokens);
    if (!x->events || !x->tokens)
        return -ENOMEM;
    cJSON_ArrayForEach(object, x->tree)
    {
        if (read_event(&x->events[x->count], object, x->count + 1, fault,
                       sizeof fault) < 0)
            return bad(why, cap, "line %zu: %s",
                       line_of(text, len, x->count + 1), fault);
        note_extras(x, object, ++x->count);
    }
    return exchange_give_tokens(x);
}

/* A picture, say. (Nothing at all, or a byte order mark: json.h says so.) */
static bool is_something_else(const char *text, size_t len)
{
    while (len > 0 && (*text == ' ' || (*text >= '\t' && *text <= '\r')))
        text++, len--;
    return len > 0 && !memchr("[{\xef", *text, 3);
}

int exchange_parse(struct exchange *x, const char *text, size_t len, char *why,
                   size_t cap)
{
    char fault[160];
    size_t line;

    *x = (struct exchange){0};
    if (is_something_else(text, len))
        return bad(why, cap,
                   "line 1: it is neither a list of events in JSON nor a "
                   "calendar (.ics)");
    if (journal_line_front(text, len))
        return bad(why, cap,
                   "it is a data file of ipclab, not a list of events; to make "
                   "one of it: ipclab --data FILE -t pipe export LIST.json");
    x->tree = json_parse(text, len, &line, fault, sizeof fault);
    if (!x->tree && line == 0)
        return -ENOMEM;
    return x->tree ? read_events(x, text, len, why, cap)
                   : bad(why, cap, "line %zu: %s", line, fault);
}

void exchange_free(struct exchange *x)
{
    if (!x)
        return;
    free(x->events);
    free(x->tokens);
    cJSON_Delete(x->tree);
    free(x->notes);
    free(x->text);
    *x = (struct exchange){0};
}

/* ---- writing ------------------------------------------------------------ */

void exchange_string(FILE *out, const char *text)
{
    putc('"', out);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < ' ' || c == 0x7f)
            fprintf(out, "\\u%04x", c);
        else
            putc(c, out);
    }
    putc('"', out);
}

void exchange_event(FILE *out, const struct event *ev, bool full)
{
    char start[TIMESTAMP_SIZE], end[TIMESTAMP_SIZE];

    putc('{', out);
    if (full)
        fprintf(out, "\"id\": %" PRIu32 ", \"rev\": %" PRIu64 ", ", ev->id,
                ev->rev);
    fputs("\"title\": ", out);
    exchange_string(out, ev->title);
    fprintf(out, ", \"start\": \"%s\", \"end\": \"%s\"}",
            timestamp_format(ev->start, start), timestamp_format(ev->end, end));
}

void exchange_write(FILE *out, const struct event *events, size_t count,
                    bool full)
{
    putc('[', out);
    for (size_t i = 0; i < count; i++) {
        fputs(i ? ",\n  " : "\n  ", out);
        exchange_event(out, &events[i], full);
    }
    fputs(count ? "\n]\n" : "]\n", out);
}
