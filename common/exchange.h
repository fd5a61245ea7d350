/*
 * exchange.h - timetables as JSON, to and from other programs
 *
 *      [
 *        {"title": "IPC", "start": "2026-11-23T00:00:00Z",
 *                         "end": "2026-11-23T01:00:00Z"},
 *        ...
 *      ]
 *
 * Read: the whole file is checked before anything is handed out. Times as in
 * localtime.h. Written: UTC.
 */
#ifndef IPCLAB_EXCHANGE_H
#define IPCLAB_EXCHANGE_H

#include "schedule.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#define EXCHANGE_FILE_MAX (256u << 20) /* bytes of a file that is read */

struct exchange {
    struct event *events; /* in the file's order; id and rev are 0 */
    uint64_t *tokens;     /* one for each, see exchange_parse */
    size_t count;
    char note[128]; /* "" or what was left out */
    char *notes;    /* NULL or what was left out, a line each */
    cJSON *tree;    /* holds the titles; */
    char *text;     /* of a calendar, this does */
};

/* The whole stream into *text, the caller's to free, also after an error: 0,
 * -EFBIG, -ENOMEM, or what fread(3) gave. */
int exchange_load(FILE *in, char **text, size_t *len);

/*
 * What such a text says. Each event gets a token that depends on nothing but
 * its title, start and end (and on how many equal ones stand before it): so the
 * same file gives the same tokens, and a store takes it in only once.
 *   0; -EBADMSG: why[cap] is a sentence that names the line or the event;
 *   -ENOMEM.
 * The caller frees *x, also after an error.
 */
int exchange_parse(struct exchange *x, const char *text, size_t len, char *why,
                   size_t cap);

/* Give x->count events their x->tokens: 0 or -ENOMEM. */
int exchange_give_tokens(struct exchange *x);
void exchange_free(struct exchange *x); /* takes NULL */

/* Why this can't be the title or the times of an event; NULL if it can. */
const char *exchange_title_fault(const char *title);
const char *exchange_times_fault(int64_t start, int64_t end);

/* Write text as a JSON string, with its quotes. */
void exchange_string(FILE *out, const char *text);

/* Write events as a JSON array, one a line; `full` adds id and rev. Errors of
 * `out` are the caller's to look for. */
void exchange_write(FILE *out, const struct event *events, size_t count,
                    bool full);

/* Write one event as a JSON object, without a line end. */
void exchange_event(FILE *out, const struct event *ev, bool full);

#endif
