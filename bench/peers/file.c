/*
 * file.c - peer: the data file, read anew for each request
 *
 * What people write first: no server, no library, one text file, and each
 * program that needs an event opens it, reads all of it, and closes it. It is
 * always up to date, and nothing can be down. Its price grows with the file.
 *
 *      client -- open, read, parse each line, close --> events.jsonl
 *
 * The file is the lab's own (journal.h): one JSON object a line, a change
 * each, so the last line about an event counts. Every line is parsed by the
 * lab's strict JSON reader, since it may be about any event. It is read from
 * the page cache: no disk is waited for here, it is all the program's work.
 *
 * What differs from the lab: no message at all, so the bytes of its request
 * and reply say nothing here. Left out on purpose, because it would be another
 * program: an index, a cache, mmap(2), a look at the file's time stamp to
 * learn that nothing has changed; and locks, without which a reader may see
 * half a line. Nobody writes here.
 */
#include "folder.h"
#include "gets.h"
#include "json.h"
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct file {
    struct gets gets;
    char path[FOLDER_PATH_MAX];
};

/* ---- before fork: the file ---------------------------------------------- */

static int fill(struct store *st, const struct file *f)
{
    int err = 0;

    for (uint32_t id = 1; id <= f->gets.c.events && !err; id++) {
        struct store_result res;
        struct client_event ev;

        gets_event(&f->gets, id, &ev);
        store_lock(st);
        err = store_add(st, 0, &ev.event, &res); /* gives the ids in order */
        store_unlock(st);
    }
    return err;
}

static int make_file(struct file *f, char *why)
{
    struct store_opts opts = {
        .path = f->path, .why = why, .why_cap = CASE_WHY_MAX};
    struct store *st;
    int err = folder_file(f->path, "events.jsonl", why, CASE_WHY_MAX);

    if (!err)
        err = store_open(&st, &opts);
    if (err)
        return err;
    err = fill(st, f);
    store_close(st);
    return err;
}

static void file_drop(void *self)
{
    struct file *f = self;

    gets_free(&f->gets);
    free(f);
}

static int file_prepare(void **self, const struct conditions *c, char *why)
{
    struct file *f = calloc(1, sizeof *f);
    int err;

    if (!f)
        return -ENOMEM;
    err = gets_init(&f->gets, c, why);
    if (!err)
        err = make_file(f, why);
    if (err)
        file_drop(f);
    else
        *self = f;
    return err;
}

/* ---- client ------------------------------------------------------------- */

static int file_join(void *self, unsigned index, char *why)
{
    struct file *f = self;

    (void)why; /* it can't fail: there is nobody to meet */
    gets_join(&f->gets, index);
    return 0;
}

/* An add or update, as the lab's client has it: 0, or -EBADMSG. */
static int read_event(const cJSON *line, struct client_event *out)
{
    const char *title = json_string(line, "title");
    const char *start = json_string(line, "start");
    const char *end = json_string(line, "end");
    size_t len = title ? strlen(title) : 0;

    if (!title || !start || !end || len > EVENT_TITLE_MAX ||
        timestamp_parse(start, &out->event.start) < 0 ||
        timestamp_parse(end, &out->event.end) < 0)
        return -EBADMSG;
    memcpy(out->text, title, len + 1);
    out->event.title_len = (uint8_t)len;
    return 0;
}

/* What this line says about event `id`, if anything. out->event.id is `id`
 * while there is such an event. */
static int read_line(const char *text, size_t len, uint32_t id,
                     struct client_event *out)
{
    size_t where;
    char why[80];
    cJSON *line = json_parse(text, len, &where, why, sizeof why);
    const char *op = json_string(line, "op");
    uint64_t about;
    int err = line ? 0 : where ? -EBADMSG : -ENOMEM;

    if (!err && op && json_number(line, "id", &about) == 0 && about == id) {
        bool there = strcmp(op, "remove") != 0;

        out->event.id = there ? id : 0;
        if (there)
            err = read_event(line, out);
    }
    cJSON_Delete(line); /* takes NULL */
    return err;
}

static int file_call(void *self)
{
    struct file *f = self;
    struct client_event *out = &f->gets.last;
    FILE *in = fopen(f->path, "r");
    char *text = NULL;
    size_t cap = 0;
    ssize_t len;
    int err = 0;

    if (!in)
        return -errno;
    out->event.id = 0;
    while (!err && (len = getline(&text, &cap, in)) > 0)
        err = read_line(text, (size_t)len - 1, gets_id(&f->gets), out);
    if (!err && ferror(in))
        err = -EIO;
    free(text);
    (void)fclose(in); /* only read */
    return err || out->event.id ? err : -ENOENT;
}

static int file_check(void *self)
{
    struct file *f = self;

    return gets_check(&f->gets);
}

static void file_leave(void *self, pid_t server)
{
    (void)self, (void)server; /* nothing is open, and nobody serves */
}

/* ---- the table ---------------------------------------------------------- */

static const struct subject file_subject = {.prepare = file_prepare,
                                            .join = file_join,
                                            .call = file_call,
                                            .check = file_check,
                                            .leave = file_leave,
                                            .drop = file_drop};

const struct peer peer = {
    .name = "file",
    .blurb = "the data file, read and parsed anew for each get: no server",
    .subject = &file_subject,
};
