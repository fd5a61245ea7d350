/*
 * journal_line.c - see journal_line.h
 */
#include "journal_line.h"

#include "crc32.h"
#include "json.h"
#include "timestamp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FORMAT "ipclab-journal"

#define CRC_LEN 18 /* ,"crc":"01234567"} */

static const char *const op_names[] = {"add", "update", "remove", "done"};

/* ---- from record to bytes ------------------------------------------------ */

/* The checksum, and the end of the line, behind `len` bytes of an object that
 * isn't closed yet: the line's length. */
static size_t seal(char line[JOURNAL_LINE_MAX], size_t len)
{
    int n = snprintf(line + len, JOURNAL_LINE_MAX - len,
                     ",\"crc\":\"%08" PRIx32 "\"}\n", crc32_of(line, len));

    return len + (size_t)n;
}

/* Numbers only: it needs no memory, and so it is always known what a head looks
 * like. */
size_t journal_line_put_head(uint32_t next_id, uint64_t seq,
                             char line[JOURNAL_LINE_MAX])
{
    int n = snprintf(line, JOURNAL_LINE_MAX,
                     "{\"format\":\"" FORMAT "\",\"version\":%d,"
                     "\"next_id\":%" PRIu32 ",\"seq\":%" PRIu64,
                     JOURNAL_VERSION, next_id, seq);

    return seal(line, (size_t)n);
}

static bool add_event(cJSON *o, const struct event *ev)
{
    char title[EVENT_TITLE_MAX + 1];
    char start[TIMESTAMP_SIZE], end[TIMESTAMP_SIZE];

    memcpy(title, ev->title, ev->title_len); /* may point into a message */
    title[ev->title_len] = '\0';
    timestamp_format(ev->start, start);
    timestamp_format(ev->end, end);
    return cJSON_AddStringToObject(o, "title", title) != NULL &&
           cJSON_AddStringToObject(o, "start", start) != NULL &&
           cJSON_AddStringToObject(o, "end", end) != NULL;
}

int journal_line_put(const struct journal_record *rec,
                     char line[JOURNAL_LINE_MAX])
{
    cJSON *o = cJSON_CreateObject();
    char token[17], sum[9];
    bool ok;

    (void)snprintf(token, sizeof token, "%016" PRIx64, rec->token);
    ok = cJSON_AddStringToObject(o, "op", op_names[rec->op]) != NULL &&
         cJSON_AddNumberToObject(o, "id", rec->event.id) != NULL;
    if (rec->op == JOURNAL_ADD || rec->op == JOURNAL_UPDATE)
        ok = ok && add_event(o, &rec->event);
    if (rec->op == JOURNAL_DONE)
        ok =
            ok &&
            cJSON_AddNumberToObject(o, "rev", (double)rec->event.rev) != NULL &&
            cJSON_AddStringToObject(o, "was", op_names[rec->was]) != NULL;
    (void)snprintf(sum, sizeof sum, "%08" PRIx32, rec->sum);
    if (rec->op == JOURNAL_DONE && rec->sum != 0)
        ok = ok && cJSON_AddStringToObject(o, "sum", sum) != NULL;
    ok = ok && cJSON_AddStringToObject(o, "token", token) != NULL &&
         cJSON_AddNumberToObject(o, "seq", (double)rec->seq) != NULL;
    /* cJSON wants 5 bytes more than it fills. */
    ok = ok && cJSON_PrintPreallocated(o, line, JOURNAL_LINE_MAX - CRC_LEN - 8,
                                       false);
    cJSON_Delete(o);
    /* What closes the object goes to the end. */
    return ok ? (int)seal(line, strlen(line) - 1) : -ENOMEM;
}

/* ---- from bytes to record ------------------------------------------------ */

/* `len` lower-case hex digits into *v; what we write, and nothing else. */
static bool get_hex(const char *text, size_t len, uint64_t *v)
{
    *v = 0;
    for (size_t i = 0; i < len; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *d = memchr(digits, text[i], 16);
        if (d == NULL)
            return false;
        *v = *v << 4 | (uint64_t)(d - digits);
    }
    return true;
}

bool journal_line_whole(const char *line, size_t len)
{
    static const char key[] = ",\"crc\":\"";
    uint64_t crc;

    if (len < CRC_LEN || memcmp(line + len - 2, "\"}", 2) != 0)
        return false;
    const char *tail = line + len - CRC_LEN;
    return memcmp(tail, key, sizeof key - 1) == 0 &&
           get_hex(tail + sizeof key - 1, 8, &crc) &&
           crc == crc32_of(line, len - CRC_LEN);
}

static bool get_op(const cJSON *o, const char *key, enum journal_op *op)
{
    const char *name = json_string(o, key);

    for (int i = JOURNAL_ADD; name != NULL && i <= JOURNAL_DONE; i++) {
        if (strcmp(name, op_names[i]) == 0) {
            *op = (enum journal_op)i;
            return true;
        }
    }
    return false;
}

/* The title goes into copy[]. */
static bool get_event(const cJSON *o, struct event *ev,
                      char copy[EVENT_TITLE_MAX + 1])
{
    const char *title = json_string(o, "title");
    const char *start = json_string(o, "start"), *end = json_string(o, "end");

    if (title == NULL || event_title_check(title, strlen(title)) != 0 ||
        start == NULL || timestamp_parse(start, &ev->start) != 0 ||
        end == NULL || timestamp_parse(end, &ev->end) != 0)
        return false;
    ev->title = copy;
    ev->title_len = (uint8_t)strlen(title); /* checked above */
    memcpy(copy, title, (size_t)ev->title_len + 1);
    return event_times_check(ev->start, ev->end) == 0;
}

/* A done that was an add since version 0.1 has it, none other. */
static bool get_sum(const cJSON *o, uint32_t *sum)
{
    const char *text = json_string(o, "sum");
    uint64_t v = 0;

    if (text != NULL && (strlen(text) != 8 || !get_hex(text, 8, &v)))
        return false;
    *sum = (uint32_t)v;
    return true;
}

static bool get_record(const cJSON *o, struct journal_record *rec,
                       char title[EVENT_TITLE_MAX + 1])
{
    const char *token = json_string(o, "token");
    uint64_t id;

    memset(rec, 0, sizeof *rec);
    if (!get_op(o, "op", &rec->op) || json_number(o, "id", &id) != 0 ||
        id == 0 || id > EVENT_COUNT_MAX || token == NULL ||
        strlen(token) != 16 || !get_hex(token, 16, &rec->token) ||
        json_number(o, "seq", &rec->seq) != 0)
        return false;
    rec->event.id = (uint32_t)id;
    if (rec->op == JOURNAL_DONE)
        return json_number(o, "rev", &rec->event.rev) == 0 &&
               get_op(o, "was", &rec->was) && rec->was != JOURNAL_DONE &&
               get_sum(o, &rec->sum);
    rec->event.rev = rec->seq;
    return rec->op == JOURNAL_REMOVE || get_event(o, &rec->event, title);
}

/* 0, and the tree is the caller's; -EBADMSG, -ENOMEM. */
static int parse_line(const char *text, size_t len, cJSON **tree)
{
    size_t line;
    char why[64];

    *tree = json_parse(text, len, &line, why, sizeof why);
    if (*tree != NULL)
        return 0;
    return line == 0 ? -ENOMEM : -EBADMSG;
}

int journal_line_get(const char *text, size_t len, struct journal_record *rec,
                     char title[EVENT_TITLE_MAX + 1])
{
    cJSON *tree;
    int err = parse_line(text, len, &tree);

    if (err == 0 && !get_record(tree, rec, title))
        err = -EBADMSG;
    cJSON_Delete(tree);
    return err;
}

/* ---- the head ------------------------------------------------------------ */

int journal_line_get_head(const char *text, size_t len,
                          struct journal_head *head)
{
    const char *format;
    uint64_t id = 0;
    cJSON *o;
    int err = parse_line(text, len, &o);
    bool ok;

    *head = (struct journal_head){0};
    format = json_string(o, "format");
    ok = format != NULL && strcmp(format, FORMAT) == 0 &&
         json_number(o, "version", &head->version) == 0 &&
         json_number(o, "next_id", &id) == 0 &&
         json_number(o, "seq", &head->seq) == 0 &&
         head->version == JOURNAL_VERSION && id >= 1 &&
         id <= EVENT_COUNT_MAX + 1;
    cJSON_Delete(o);
    head->next_id = (uint32_t)id;
    if (err == 0 && !ok)
        err = -EBADMSG;
    return err;
}

bool journal_line_front(const char *text, size_t len)
{
    static const char front[] = "{\"format\":\"" FORMAT;

    return len >= JOURNAL_FRONT && memcmp(text, front, JOURNAL_FRONT) == 0;
}

bool journal_line_newborn(const char *text, size_t len)
{
    char head[JOURNAL_LINE_MAX];

    if (len > journal_line_put_head(1, 0, head))
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] != head[i] && text[i] != '\0')
            return false;
    return true;
}
