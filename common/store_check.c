/*
 * store_check.c - see store_check.h
 *
 * The file is read several times, which costs time and not memory:
 *
 *      probe     up to the first good line: is it a timetable's at all?
 *      survey    each good line goes into a store in memory, which says
 *                whether it makes sense; each bad one is counted
 *      repair    survey, silently: what will stand in the new head?
 *                survey again: tell, and copy what is good
 *                survey of the copy: is it what it should be?
 */
#include "store_check.h"

#include "fileio.h"
#include "journal_fresh.h"
#include "journal_lock.h"
#include "journal_scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_LEAST 64 /* bytes: no change has a shorter line */

/* A look at a file under way. */
struct survey {
    const struct store_opts *opts;
    int fd;
    struct store *st;
    struct store_survey *out;
    store_tell *tell; /* NULL: nobody is told */
    void *arg;
    struct journal_fresh *copy; /* repair, second round; else NULL */
    struct journal_head head;   /* or what stands for it when it is lost */
    uint32_t next_id;           /* beyond all ids seen */
    uint32_t old_ids;           /* as in store_replay */
    uint64_t seq;               /* the highest one seen */
    uint64_t bad;               /* changes in bad lines since the last good one,
                                   at most */
};

static int say_why(const struct store_opts *opts, int err, const char *why)
{
    if (opts->why != NULL && opts->why_cap > 0)
        (void)snprintf(opts->why, opts->why_cap, "%s", why);
    return err;
}

/* ---- telling ----------------------------------------------------------- */

/* No more changes than these may have been in so many bytes. */
static uint64_t most_changes(uint64_t len)
{
    return len / LINE_LEAST + 1;
}

static void tell_fault(struct survey *s, const struct store_damage *d)
{
    s->out->faults++;
    s->out->dropped += d->text != NULL;
    s->out->torn = d->torn;
    if (d->text != NULL && !d->torn)
        s->bad += most_changes(d->len);
    if (s->tell != NULL)
        s->tell(d, s->arg);
}

static void tell_missing(struct survey *s, const struct journal_line *line)
{
    char what[80];

    if (line->missing == 1)
        (void)snprintf(what, sizeof what, "a change before it is missing");
    else
        (void)snprintf(what, sizeof what,
                       "%" PRIu64 " changes before it are missing",
                       line->missing);
    tell_fault(s, &(struct store_damage){.line = line->number, .what = what});
}

/* A line without what is wrong with it. */
static struct store_damage damage(const struct journal_line *line)
{
    return (struct store_damage){.line = line->number,
                                 .text = line->text,
                                 .kept = line->kept,
                                 .len = line->len,
                                 .torn = line->torn};
}

/* ---- good lines -------------------------------------------------------- */

/* A line that was found good, and makes sense behind those before it. */
static void survey_keep(struct survey *s, const struct journal_line *line,
                        const struct journal_record *rec)
{
    s->out->changes += rec->op != JOURNAL_DONE;
    if (s->copy == NULL)
        return;
    if (rec->op == line->rec->op)
        journal_fresh_text(s->copy, line->text, line->kept);
    else
        journal_fresh_put(s->copy, rec);
}

/* Once a line is lost, an event may be changed or removed whose beginning was
 * in it. An update has all of it. What a removal leaves is its token. */
static void survey_gap(struct survey *s, struct journal_record *rec)
{
    if (s->out->faults == 0)
        return;
    s->old_ids = UINT32_MAX; /* an update may come first */
    if (rec->op != JOURNAL_REMOVE ||
        schedule_get(store_schedule(s->st), rec->event.id) != NULL)
        return;
    rec->op = JOURNAL_DONE;
    rec->was = JOURNAL_REMOVE;
    rec->event.rev = rec->seq;
}

/* The numbers say how many changes are lost: no more than were left out. */
static void count_lost(struct survey *s, const struct journal_line *line)
{
    uint64_t bad = line->gap - line->missing;

    s->out->lost += line->missing + (s->bad < bad ? s->bad : bad);
    s->bad = 0;
}

static int survey_record(struct survey *s, const struct journal_line *line)
{
    struct journal_record rec = *line->rec;
    struct store_damage d = damage(line);
    int err;

    if (line->missing > 0)
        tell_missing(s, line);
    count_lost(s, line);
    if (rec.event.id >= s->next_id)
        s->next_id = rec.event.id + 1;
    if (rec.seq > s->seq) /* the head's may be higher */
        s->seq = rec.seq;
    survey_gap(s, &rec);
    err = store_replay(s->st, &rec, s->old_ids);
    if (err == 0)
        survey_keep(s, line, &rec);
    if (err != -EBADMSG)
        return err;
    d.what = "it contradicts the lines before it";
    tell_fault(s, &d);
    s->bad = 0; /* no number is missing: it is this one change that is lost */
    s->out->lost++;
    return 0;
}

static void survey_head(struct survey *s, const struct journal_head *head)
{
    s->head = *head;
    s->next_id = s->old_ids = head->next_id;
    s->seq = head->seq;
}

/* ---- one round over the file ------------------------------------------- */

static int survey_line(const struct journal_line *line, void *arg)
{
    struct survey *s = arg;
    struct store_damage d = damage(line);

    if (line->rec != NULL)
        return survey_record(s, line);
    if (line->head != NULL) {
        survey_head(s, line->head);
        return 0;
    }
    if (line->torn && s->out->holder != 0) {
        s->out->writing = true; /* half of it is there by now */
        return 0;
    }
    d.what = line->fault;
    if (line->torn)
        d.what = "unfinished, as a crash leaves it: nobody was told that this "
                 "change was made, and the next start cuts it off";
    tell_fault(s, &d);
    return 0;
}

static int rewind_file(const struct survey *s)
{
    return lseek(s->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* After the probe. */
static int survey_file(struct survey *s)
{
    struct store_opts memory = {.path = NULL};
    struct stat st;
    int err = rewind_file(s);

    *s->out =
        (struct store_survey){.holder = journal_lock_holder(s->opts->path)};
    survey_head(s, &(struct journal_head){.next_id = 1});
    s->bad = 0;
    if (err == 0)
        err = store_open(&s->st, &memory);
    if (err != 0)
        return err;
    err = journal_scan(s->fd, survey_line, s);
    s->out->lost += s->bad;
    s->out->events = schedule_count(store_schedule(s->st));
    s->out->bytes = fstat(s->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    store_close(s->st);
    return err;
}

enum { FOUND = 1 };

struct probe {
    const struct store_opts *opts;
    bool bad;  /* there is more than the front of a torn head */
    bool like; /* but it begins like one */
};

static int probe_line(const struct journal_line *line, void *arg)
{
    struct probe *p = arg;
    char what[80];

    if (line->fault == NULL)
        return FOUND;
    p->bad = p->bad || !line->torn;
    if (line->at == 0)
        p->like = journal_line_front(line->text, line->kept);
    if (!line->foreign)
        return 0;
    (void)snprintf(what, sizeof what, "line 1: %s", line->fault);
    return say_why(p->opts, -EBADMSG, what);
}

/* Open the file: 0, or -EBADMSG when it isn't for us. */
static int begin(struct survey *s)
{
    struct probe probe = {.opts = s->opts};
    int err;

    *s->out = (struct store_survey){.unread = true};
    (void)say_why(s->opts, 0, "");
    s->fd = file_open_regular(s->opts->path);
    if (s->fd == -EBADMSG)
        return say_why(s->opts, s->fd, "it isn't a regular file");
    if (s->fd < 0)
        return s->fd;
    err = journal_scan(s->fd, probe_line, &probe);
    if (err == 0 && probe.bad)
        err = say_why(s->opts, -EBADMSG,
                      probe.like ? "not one line of it is whole (did an "
                                   "editor change the ends of its lines?)"
                                 : "it isn't a timetable's data file");
    return err == FOUND ? 0 : err;
}

static void end(const struct survey *s)
{
    if (s->fd >= 0)
        (void)close(s->fd); /* only read */
}

int store_check(const struct store_opts *opts, store_tell *tell, void *arg,
                struct store_survey *out)
{
    struct survey s = {.opts = opts, .out = out, .tell = tell, .arg = arg};
    int err = begin(&s);

    if (err == 0)
        err = survey_file(&s);
    end(&s);
    out->unread = err != 0;
    return err;
}

/* ---- repair ------------------------------------------------------------ */

static int nobody_has_it(const struct survey *s)
{
    char why[48];

    if (s->out->holder == 0)
        return 0;
    if (s->out->holder < 0)
        return say_why(s->opts, -EBUSY, "another process holds the data file");
    (void)snprintf(why, sizeof why, "pid %ld holds the data file",
                   s->out->holder);
    return say_why(s->opts, -EBUSY, why);
}

/* Begin the copy. Of a file without damage it will be the same, byte by byte.
 * Else its head is a compaction's: numbers up to `seq` may be missing. */
static int copy_begin(struct survey *s, const char *to)
{
    uint64_t next_id = s->head.next_id, seq = s->head.seq;
    char *name;
    struct stat st;
    int err;

    if (s->out->faults > s->out->torn) {
        next_id = s->next_id + s->out->lost;
        seq = s->seq + s->out->lost;
    }
    if (next_id > EVENT_COUNT_MAX + 1)
        next_id = EVENT_COUNT_MAX + 1;
    /* Before the work, for the usual case; publish makes sure at the end. */
    if (access(to, F_OK) == 0)
        return -EEXIST;
    if (fstat(s->fd, &st) != 0)
        return -errno;
    name = file_beside(to, ".new");
    err = name == NULL ? -ENOMEM
                       : journal_fresh_begin(&s->copy, name, &st,
                                             (uint32_t)next_id, seq);
    free(name);
    return err;
}

/* The second round. */
static int copy_lines(struct survey *s, const char *to)
{
    int err = survey_file(s);

    if (err == 0)
        return journal_fresh_publish(s->copy, to);
    s->out->unread = true;
    journal_fresh_drop(s->copy);
    return err;
}

/* The copy as it is now, beside what was said about the old file. */
static int look_at_copy(const char *to, struct store_survey *out)
{
    struct store_survey copy;
    int err = store_check(&(struct store_opts){.path = to}, NULL, NULL, &copy);

    out->events = copy.events;
    out->changes = copy.changes;
    out->bytes = copy.bytes;
    return err == 0 && copy.faults > 0 ? -EIO : err;
}

int store_repair(const struct store_opts *opts, const char *to,
                 store_tell *tell, void *arg, struct store_survey *out)
{
    struct survey s = {.opts = opts, .out = out};
    int err = begin(&s);

    if (err == 0)
        err = survey_file(&s);
    out->unread = err != 0;
    if (err == 0)
        err = nobody_has_it(&s);
    if (err == 0)
        err = copy_begin(&s, to);
    s.tell = tell; /* the first round only counted */
    s.arg = arg;
    if (err == 0)
        err = copy_lines(&s, to);
    end(&s);
    out->made = err == 0;
    return err == 0 ? look_at_copy(to, out) : err;
}
