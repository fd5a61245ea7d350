/*
 * journal_scan.c - see journal_scan.h
 *
 * Two layers: `input` cuts the file into lines and knows no JSON; `scan` says
 * what is wrong with each line, from the line and those before it.
 */
#include "journal_scan.h"

#include "fileio.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 65536 /* bytes read at a time */
#define KEPT  4096  /* of a line; no good one is that long */

/* ---- lines --------------------------------------------------------------- */

struct input {
    int fd;
    int err;           /* of read(2): no more lines */
    size_t begin, end; /* of what is in chunk[] and not yet in a line */

    size_t number; /* the line: from 1 */
    uint64_t at;   /* where it begins */
    uint64_t len;  /* without '\n' */
    size_t kept;   /* the first bytes of it */
    bool ended;    /* it had its '\n' */
    bool has_nul;

    char text[KEPT];
    char chunk[CHUNK];
};

/* Is there at least one byte more? */
static bool more_follows(struct input *in)
{
    ssize_t n;

    if (in->begin < in->end)
        return true;
    n = in->err == 0 ? file_read(in->fd, in->chunk, CHUNK) : 0;
    if (n < 0)
        in->err = (int)n;
    in->begin = 0;
    in->end = n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* All of the chunk that belongs to this line. */
static void take_piece(struct input *in)
{
    const char *piece = in->chunk + in->begin;
    size_t len = in->end - in->begin, keep = KEPT - in->kept;
    const char *nl = memchr(piece, '\n', len);

    if (nl != NULL) {
        in->ended = true;
        len = (size_t)(nl - piece);
    }
    if (keep > len)
        keep = len;
    memcpy(in->text + in->kept, piece, keep);
    in->kept += keep;
    in->len += len;
    in->has_nul = in->has_nul || memchr(piece, '\0', len) != NULL;
    in->begin += len + in->ended;
}

/* The next line. False: there is none, or in->err. */
static bool next_line(struct input *in)
{
    in->at += in->len + in->ended;
    in->len = 0;
    in->kept = 0;
    in->ended = in->has_nul = false;
    if (!more_follows(in))
        return false;
    in->number++;
    while (!in->ended && more_follows(in))
        take_piece(in);
    return in->err == 0; /* or this may be only the front of a line */
}

/* ---- what is wrong ------------------------------------------------------- */

struct scan {
    struct input in;
    journal_visit *visit;
    void *arg;
    uint64_t compacted; /* the head's seq; UINT64_MAX = there is no head */
    uint64_t last;      /* of the last good line; 0 = there was none */
    uint64_t bad;       /* bad lines since then */
};

/* Is this line as it was written? */
static bool is_whole(const struct input *in)
{
    return in->ended && in->len == in->kept &&
           journal_line_whole(in->text, in->kept);
}

/*
 * A bad last line: torn by a crash, or damaged? What kill -9 leaves of a write
 * is the front of a line, without its '\n'; what a power loss leaves may also
 * have NUL bytes where nothing arrived. Any other line was whole once, and may
 * have been acknowledged. So may the first of two lines with a damaged '\n'
 * between them: a whole good line and the front of another behind it.
 */
static bool is_torn(struct input *in)
{
    if (is_whole(in) || more_follows(in) || (in->ended && !in->has_nul))
        return false;
    for (size_t n = 1; n + 1 < in->kept; n++) {
        if (in->text[n - 1] == '}' && in->text[n + 1] == '{' &&
            journal_line_whole(in->text, n))
            return false;
    }
    return true;
}

/* Hand a line over, with what the input knows of it. */
static int show(struct scan *s, struct journal_line line)
{
    line.number = s->in.number;
    line.at = s->in.at;
    line.len = s->in.len;
    line.ended = s->in.ended;
    line.text = s->in.text;
    line.kept = s->in.kept;
    return s->visit(&line, s->arg);
}

static int show_bad(struct scan *s, const char *fault, bool torn)
{
    s->bad++;
    return show(s, (struct journal_line){.fault = fault, .torn = torn});
}

static int show_good(struct scan *s, const struct journal_record *rec)
{
    struct journal_line line = {.rec = rec, .gap = rec->seq - s->last - 1};
    uint64_t due = s->last > s->compacted ? s->last : s->compacted;

    if (rec->seq > s->compacted && rec->seq > due + 1 + s->bad)
        line.missing = rec->seq - due - 1 - s->bad;
    s->last = rec->seq;
    s->bad = 0;
    return show(s, line);
}

/* A line behind the head. */
static int scan_line(struct scan *s)
{
    char title[EVENT_TITLE_MAX + 1];
    struct journal_record rec;
    int err;

    if (!is_whole(&s->in))
        return show_bad(s, "damaged (its checksum is wrong)", is_torn(&s->in));
    err = journal_line_get(s->in.text, s->in.kept, &rec, title);
    if (err == -EBADMSG)
        return show_bad(s, "its checksum is right but its content isn't",
                        false);
    if (err != 0)
        return err;
    if (rec.seq <= s->last)
        return show_bad(s, "it is here a second time, or in the wrong place",
                        false);
    return show_good(s, &rec);
}

/* The head is gone, and the file begins with a line. Nobody knows up to where
 * compaction has dropped lines. */
static int scan_headless(struct scan *s)
{
    struct journal_line lost = {.number = 1,
                                .fault = "the head of the file is missing"};
    int err = s->visit(&lost, s->arg);

    return err == 0 ? scan_line(s) : err;
}

static int get_head(const struct input *in, struct journal_head *head)
{
    *head = (struct journal_head){0};
    return is_whole(in) ? journal_line_get_head(in->text, in->kept, head)
                        : -EBADMSG;
}

/* The first line: the head, or what stands there instead of it. */
static int scan_head(struct scan *s)
{
    static const char no_head[] =
        "this isn't the head of a data file, version 1";
    struct input *in = &s->in;
    char title[EVENT_TITLE_MAX + 1];
    struct journal_record rec;
    struct journal_head head;
    int err = get_head(in, &head);
    char later[64];

    if (err == 0) {
        s->compacted = head.seq;
        return show(s, (struct journal_line){.head = &head});
    }
    if (err != -EBADMSG)
        return err;
    if (head.version > JOURNAL_VERSION) { /* whole, and not for us to judge */
        (void)snprintf(later, sizeof later,
                       "its format is a later one, version %" PRIu64,
                       head.version);
        return show(s, (struct journal_line){.fault = later, .foreign = true});
    }
    if (!in->ended && in->len == in->kept &&
        journal_line_newborn(in->text, in->kept))
        return show_bad(s, no_head, true); /* killed while it was made */
    s->compacted = UINT64_MAX;
    err = is_whole(in) ? journal_line_get(in->text, in->kept, &rec, title)
                       : -EBADMSG;
    if (err == 0)
        return scan_headless(s);
    if (err != -EBADMSG)
        return err;
    return show_bad(s, no_head, false);
}

int journal_scan(int fd, journal_visit *visit, void *arg)
{
    struct scan *s = calloc(1, sizeof *s); /* too big for a thread's stack */
    int err = 0;

    if (s == NULL)
        return -ENOMEM;
    s->in.fd = fd;
    s->visit = visit;
    s->arg = arg;
    while (err == 0 && next_line(&s->in))
        err = s->in.number == 1 ? scan_head(s) : scan_line(s);
    if (err == 0)
        err = s->in.err; /* also one that a look at what follows has met */
    free(s);
    return err;
}
