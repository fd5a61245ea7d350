/*
 * json.c - strict JSON around cJSON; see json.h
 *
 * Three steps: our scanner reads the text by the grammar of RFC 8259 and
 * builds nothing; cJSON builds the tree; then the tree is searched for what
 * only it shows (equal keys, numbers that became infinite). The tree knows no
 * lines, so both count marks (each key and each value is one), and the
 * scanner runs again up to the mark of the offence.
 */
#include "json.h"

#include "utf8.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Limits, so that a hostile file costs neither stack nor quadratic time. */
#define DEPTH_MAX  64  /* values inside each other */
#define KEYS_MAX   256 /* keys of one object */
#define NUMBER_MAX 60  /* characters; cJSON reads at most 63 */

#define WHOLE_MAX 9007199254740991u /* 2^53 - 1: above, a double skips some */

struct scan {
    const char *at, *end;
    size_t line;     /* from 1 */
    size_t marks;    /* keys and values begun so far */
    size_t stop;     /* 0, or the mark to stop at */
    unsigned depth;  /* values we are inside of */
    const char *why; /* the offence; NULL = none */
};

static bool fail(struct scan *s, const char *why)
{
    if (s->why == NULL)
        s->why = why;
    return false;
}

/* The next byte, or -1 at the end. */
static int peek(const struct scan *s)
{
    return s->at < s->end ? (unsigned char)*s->at : -1;
}

static bool take(struct scan *s, char c)
{
    if (peek(s) != c)
        return false;
    s->at++;
    return true;
}

/* False at the mark where this scan was to stop. */
static bool mark(struct scan *s)
{
    return ++s->marks != s->stop;
}

static void skip_space(struct scan *s)
{
    for (; s->at < s->end && memchr(" \t\r\n", *s->at, 4) != NULL; s->at++)
        s->line += *s->at == '\n';
}

/* Four hex digits into *unit. */
static bool scan_hex(struct scan *s, uint32_t *unit)
{
    static const char digits[] = "0123456789abcdefABCDEF";

    *unit = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        const char *d =
            peek(s) > 0 ? strchr(digits, (unsigned char)*s->at) : NULL;
        if (d == NULL)
            return fail(s, "\\u without four hex digits");
        uint32_t v = (uint32_t)(d - digits);
        *unit = *unit << 4 | (v > 15 ? v - 6 : v);
    }
    return true;
}

/* What stands behind a backslash. */
static bool scan_escape(struct scan *s)
{
    uint32_t unit, low;

    if (!take(s, 'u')) {
        if (peek(s) <= 0 || strchr("\"\\/bfnrt", peek(s)) == NULL)
            return fail(s, "unknown escape in a string");
        s->at++;
        return true;
    }
    if (!scan_hex(s, &unit))
        return false;
    if (unit == 0)
        return fail(s, "\\u0000 in a string");
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    /* A surrogate means something only as a pair: high, then low. */
    if (unit > 0xdbff || !take(s, '\\') || !take(s, 'u'))
        return fail(s, "half a surrogate pair");
    if (!scan_hex(s, &low))
        return false;
    return (low >= 0xdc00 && low <= 0xdfff) || fail(s, "half a surrogate pair");
}

static bool scan_string(struct scan *s)
{
    if (!take(s, '"'))
        return fail(s, "a string is missing here");
    while (!take(s, '"')) {
        uint32_t c;
        size_t n = utf8_next(s->at, (size_t)(s->end - s->at), &c);
        if (s->at == s->end)
            return fail(s, "a string has no end");
        if (n == 0)
            return fail(s, "invalid UTF-8");
        if (c < 0x20)
            return fail(s, "control character in a string");
        s->at += n;
        if (c == '\\' && !scan_escape(s))
            return false;
    }
    return true;
}

/* One or more digits; their number's value, stopping at 2^53, in *v. */
static bool scan_digits(struct scan *s, uint64_t *v)
{
    const char *begin = s->at;

    for (*v = 0; peek(s) >= '0' && peek(s) <= '9'; s->at++) {
        if (*v <= WHOLE_MAX)
            *v = *v * 10 + (uint64_t)(*s->at - '0');
    }
    return s->at > begin || fail(s, "a digit is missing here");
}

static bool scan_number(struct scan *s)
{
    const char *begin = s->at;
    uint64_t whole, ignored;
    bool integer = true;

    (void)take(s, '-'); /* may be there */
    bool zero = peek(s) == '0';
    const char *digits = s->at;
    if (!scan_digits(s, &whole))
        return false;
    if (zero && s->at - digits > 1)
        return fail(s, "a number begins with 0");
    if (take(s, '.')) {
        integer = false;
        if (!scan_digits(s, &ignored))
            return false;
    }
    if (take(s, 'e') || take(s, 'E')) {
        integer = false;
        if (!take(s, '+'))
            (void)take(s, '-'); /* may be there */
        if (!scan_digits(s, &ignored))
            return false;
    }
    if (integer && whole > WHOLE_MAX)
        return fail(s, "an integer beyond 2^53 - 1");
    return s->at - begin <= NUMBER_MAX || fail(s, "a number too long");
}

static bool scan_word(struct scan *s, const char *word)
{
    for (; *word != '\0'; word++) {
        if (!take(s, *word))
            return fail(s, "a value is missing here");
    }
    return true;
}

static bool scan_value(struct scan *s);

/* The rest of an array or object whose bracket was taken. */
static bool scan_items(struct scan *s, char close, bool keys)
{
    skip_space(s);
    if (take(s, close))
        return true;
    do {
        skip_space(s);
        if (keys) {
            if (!mark(s) || !scan_string(s))
                return false;
            skip_space(s);
            if (!take(s, ':'))
                return fail(s, "a ':' is missing here");
            skip_space(s);
        }
        if (!scan_value(s))
            return false;
        skip_space(s);
    } while (take(s, ','));
    return take(s, close) || fail(s, keys ? "a ',' or '}' is missing here"
                                          : "a ',' or ']' is missing here");
}

static bool scan_value(struct scan *s)
{
    bool ok;

    if (!mark(s))
        return false;
    if (++s->depth > DEPTH_MAX)
        return fail(s, "nested too deeply");
    switch (peek(s)) {
    case '"': ok = scan_string(s); break;
    case 't': ok = scan_word(s, "true"); break;
    case 'f': ok = scan_word(s, "false"); break;
    case 'n': ok = scan_word(s, "null"); break;
    case '{':
    case '[':
        ok = take(s, '{') ? scan_items(s, '}', true)
                          : take(s, '[') && scan_items(s, ']', false);
        break;
    default:
        ok = peek(s) == '-' || (peek(s) >= '0' && peek(s) <= '9')
                 ? scan_number(s)
                 : fail(s, "a value is missing here");
    }
    s->depth--;
    return ok;
}

static bool scan_all(struct scan *s)
{
    skip_space(s);
    if (s->at == s->end)
        return fail(s, "there is nothing in it");
    if (s->end - s->at >= 3 && !memcmp(s->at, "\xef\xbb\xbf", 3))
        return fail(s, "a byte order mark (BOM) is before the JSON");
    if (!scan_value(s))
        return false;
    skip_space(s);
    return s->at == s->end ||
           fail(s, "there is more behind the end of the value");
}

/* The offence in the tree below `node`, or NULL; *marks is its mark. */
static const char *offence(const cJSON *node, size_t *marks)
{
    const char *why = NULL;
    unsigned keys = 0;

    ++*marks; /* of this value */
    if (cJSON_IsNumber(node) && !isfinite(node->valuedouble))
        return "a number too large";
    for (const cJSON *c = node->child; c != NULL && why == NULL; c = c->next) {
        if (c->string != NULL) { /* we are in an object */
            ++*marks;
            if (++keys > KEYS_MAX)
                return "an object with too many keys";
            for (const cJSON *e = node->child; e != c; e = e->next) {
                // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker)
                if (strcmp(e->string, c->string) == 0) /* all have one */
                    return "the same key twice";
            }
        }
        why = offence(c, marks);
    }
    return why;
}

cJSON *json_parse(const char *text, size_t len, size_t *line, char *why,
                  size_t cap)
{
    struct scan s = {.at = text, .end = text + len, .line = 1};
    cJSON *tree = NULL;

    if (scan_all(&s)) {
        size_t marks = 0;
        const char *found;

        tree = cJSON_ParseWithLength(text, len);
        if (tree == NULL) {
            *line = 0;
            (void)snprintf(why, cap, "no memory to parse it");
            return NULL;
        }
        found = offence(tree, &marks);
        if (found != NULL) {
            s = (struct scan){
                .at = text, .end = text + len, .line = 1, .stop = marks};
            (void)scan_all(&s); /* stops at the mark, which gives the line */
            s.why = found;
        }
    }
    if (s.why == NULL)
        return tree;
    cJSON_Delete(tree);
    *line = s.line;
    (void)snprintf(why, cap, "%s", s.why); /* cut off if need be */
    return NULL;
}

const char *json_string(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

int json_number(const cJSON *object, const char *key, uint64_t *v)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    if (!cJSON_IsNumber(item) || item->valuedouble < 0 ||
        item->valuedouble > (double)WHOLE_MAX ||
        item->valuedouble != (double)(uint64_t)item->valuedouble)
        return -EINVAL;
    *v = (uint64_t)item->valuedouble;
    return 0;
}
