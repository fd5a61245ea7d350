/*
 * store.c - schedule + journal + tokens behind one lock; see store.h
 *
 * A change goes through four steps, in this order:
 *      1. is it allowed?          token, title, times, revision
 *      2. get all the memory      tokens_room, schedule_prepare
 *      3. write its line          journal_append
 *      4. apply it in memory      can't fail any more
 * So what fails has changed nothing, and what the journal has, memory has.
 * Opening is step 4 for each line of the file.
 */
#include "store.h"

#include "journal.h"
#include "tokens.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define TOKENS_KEPT  65536 /* by compaction, beside those that never go */
#define DEAD_ALLOWED 1000  /* dead lines that aren't worth a compaction */

struct store {
    pthread_mutex_t lock; /* guards all below, but for journal_commit */
    struct schedule *schedule;
    struct journal *journal; /* NULL: memory only */
    struct tokens tokens;
    uint64_t seq;     /* of the last change, when there is no journal */
    uint32_t next_id; /* while opening: what the header keeps */
    size_t changes;   /* while opening: lines that aren't `done` */
};

/* ---- changes ------------------------------------------------------------ */

/* Step 4. While opening it may fail: no memory, or -EBADMSG, nonsense. */
static int apply(struct store *st, const struct journal_record *rec)
{
    struct event ev = rec->event;
    enum journal_op op = rec->op == JOURNAL_DONE ? rec->was : rec->op;
    struct token token = {
        .token = rec->token, .seq = rec->seq, .id = ev.id, .op = op & 3};

    if (op == JOURNAL_ADD)
        token.sum =
            (rec->op == JOURNAL_ADD ? token_sum(&ev) : rec->sum) & 0x3fffffff;
    if (rec->token != 0 && !tokens_add(&st->tokens, &token))
        return -EBADMSG;
    ev.rev = rec->seq;
    switch (rec->op) {
    case JOURNAL_ADD:
    case JOURNAL_UPDATE: return schedule_put(st->schedule, &ev);
    case JOURNAL_REMOVE: return schedule_remove(st->schedule, ev.id);
    case JOURNAL_DONE: break;
    }
    return 0;
}

/* Steps 2 to 4. */
static int make_change(struct store *st, struct journal_record *rec,
                       struct store_result *res)
{
    int err = tokens_room(&st->tokens);

    if (err == 0 && rec->op != JOURNAL_REMOVE)
        err = schedule_prepare(st->schedule, &rec->event);
    if (err == 0 && st->journal != NULL)
        err = journal_append(st->journal, rec);
    else if (err == 0)
        rec->seq = ++st->seq;
    if (err != 0)
        return err;
    *res = (struct store_result){
        .id = rec->event.id, .rev = rec->seq, .seq = rec->seq};
    return apply(st, rec);
}

/* Was this very change made before? Then 1 with its result in *res. 0: no;
 * -EEXIST: its token was used for another one. Of an add `id` doesn't count:
 * `sum` is what it asks for. */
static int seen(const struct store *st, uint64_t token, enum journal_op op,
                uint32_t id, uint32_t sum, struct store_result *res)
{
    const struct token *t = tokens_get(&st->tokens, token);

    if (token == 0 || t == NULL)
        return 0;
    if (t->op != op || (op != JOURNAL_ADD && t->id != id) ||
        (sum != 0 && t->sum != 0 && t->sum != sum))
        return -EEXIST;
    *res = (struct store_result){.id = t->id, .rev = t->seq, .seq = t->seq};
    return 1;
}

/* May this event be changed by who knows revision `rev` of it? */
static int check_rev(const struct store *st, uint32_t id, uint64_t rev)
{
    const struct event *old = schedule_get(st->schedule, id);

    if (old == NULL)
        return -ENOENT;
    return rev == 0 || rev == old->rev ? 0 : -ESTALE;
}

int store_add(struct store *st, uint64_t token, const struct event *ev,
              struct store_result *res)
{
    struct journal_record rec = {
        .op = JOURNAL_ADD, .token = token, .event = *ev};
    int err = seen(st, token, JOURNAL_ADD, 0, token_sum(ev), res);

    if (err != 0)
        return err < 0 ? err : 0;
    rec.event.id = schedule_next_id(st->schedule);
    return make_change(st, &rec, res);
}

int store_update(struct store *st, uint64_t token, const struct event *ev,
                 uint64_t rev, struct store_result *res)
{
    struct journal_record rec = {
        .op = JOURNAL_UPDATE, .token = token, .event = *ev};
    int err = seen(st, token, JOURNAL_UPDATE, ev->id, 0, res);

    if (err != 0)
        return err < 0 ? err : 0;
    err = check_rev(st, ev->id, rev);
    return err == 0 ? make_change(st, &rec, res) : err;
}

int store_remove(struct store *st, uint64_t token, uint32_t id, uint64_t rev,
                 struct store_result *res)
{
    struct journal_record rec = {
        .op = JOURNAL_REMOVE, .token = token, .event.id = id};
    int err = seen(st, token, JOURNAL_REMOVE, id, 0, res);

    if (err != 0)
        return err < 0 ? err : 0;
    err = check_rev(st, id, rev);
    return err == 0 ? make_change(st, &rec, res) : err;
}

/* ---- compaction --------------------------------------------------------- */

/* What of the memory goes into the new file, each in the order of seq. */
struct kept {
    const struct event **events;
    const struct token **tokens;
    size_t events_len, tokens_len;
};

static int by_rev(const void *a, const void *b)
{
    uint64_t x = (*(const struct event *const *)a)->rev;
    uint64_t y = (*(const struct event *const *)b)->rev;

    return (x > y) - (x < y);
}

static int by_seq(const void *a, const void *b)
{
    uint64_t x = (*(const struct token *const *)a)->seq;
    uint64_t y = (*(const struct token *const *)b)->seq;

    return (x > y) - (x < y);
}

static bool keep_event(const struct event *ev, void *arg)
{
    struct kept *k = arg;

    k->events[k->events_len++] = ev;
    return true;
}

/* Does compaction always keep this token? That of a living event's line, and
 * of its add: an import that is repeated, years later, must find it. */
static bool is_lasting(const struct store *st, const struct token *t)
{
    const struct event *ev = schedule_get(st->schedule, t->id);

    return ev != NULL && (t->op == JOURNAL_ADD || t->seq == ev->rev);
}

/* Drop the oldest tokens that don't last, down to TOKENS_KEPT. */
static void drop_old(const struct store *st, struct kept *k)
{
    size_t kept = 0, passing = 0;

    for (size_t i = 0; i < k->tokens_len; i++)
        passing += !is_lasting(st, k->tokens[i]);
    for (size_t i = 0; i < k->tokens_len; i++) {
        if (is_lasting(st, k->tokens[i]) || passing-- <= TOKENS_KEPT)
            k->tokens[kept++] = k->tokens[i];
    }
    k->tokens_len = kept;
}

static int keep_all(const struct store *st, struct kept *k)
{
    const struct tokens *t = &st->tokens;

    *k = (struct kept){0};
    /* One more, since malloc(0) may give NULL. */
    k->events = malloc((schedule_count(st->schedule) + 1) * sizeof *k->events);
    k->tokens = malloc((t->count + 1) * sizeof *k->tokens);
    if (k->events == NULL || k->tokens == NULL)
        return -ENOMEM;
    schedule_walk(st->schedule, EVENT_TIME_MIN, EVENT_TIME_MAX, NULL,
                  keep_event, k);
    for (size_t i = 0; i < t->places; i++) {
        if (t->at[i].token != 0)
            k->tokens[k->tokens_len++] = &t->at[i];
    }
    qsort(k->events, k->events_len, sizeof *k->events, by_rev);
    qsort(k->tokens, k->tokens_len, sizeof *k->tokens, by_seq);
    drop_old(st, k);
    return 0;
}

/* Merge both into lines: an event with the token of its last change (if it
 * had one), and a `done` for each other token. */
static void put_kept(struct journal *j, const struct kept *k)
{
    size_t e = 0, t = 0;

    while (e < k->events_len || t < k->tokens_len) {
        uint64_t rev = e < k->events_len ? k->events[e]->rev : UINT64_MAX;
        uint64_t seq = t < k->tokens_len ? k->tokens[t]->seq : UINT64_MAX;
        struct journal_record rec = {.op = JOURNAL_ADD};

        if (seq <= rev) {
            rec.token = k->tokens[t]->token;
            rec.op = seq == rev ? k->tokens[t]->op : JOURNAL_DONE;
            rec.was = k->tokens[t]->op;
            rec.sum = k->tokens[t]->sum;
            rec.seq = rec.event.rev = seq;
            rec.event.id = k->tokens[t++]->id;
        }
        if (rev <= seq) {
            rec.seq = rev;
            rec.event = *k->events[e++];
        }
        journal_compact_put(j, &rec);
    }
}

/* Write the file anew when most of its changes are dead: each living event
 * becomes one line. By how much the file shrinks depends on the tokens of the
 * dead, which are kept. When it can't be done (a full disk), the old file is
 * as good as before: nobody needs to know. But if nobody can tell which of the
 * two a power loss would leave, no change could be accepted: -EIO. */
static int compact(struct store *st)
{
    size_t living = schedule_count(st->schedule);
    size_t dead = st->changes - living; /* each living one has its line */
    struct kept kept;

    if (dead <= DEAD_ALLOWED || dead <= living)
        return 0;
    if (keep_all(st, &kept) == 0 &&
        journal_compact_begin(st->journal, schedule_next_id(st->schedule)) ==
            0) {
        put_kept(st->journal, &kept);
        (void)journal_compact_finish(st->journal); /* see above */
    }
    free(kept.events);
    free(kept.tokens);
    return journal_fault(st->journal) != NULL ? -EIO : 0;
}

/* ---- open and close ----------------------------------------------------- */

int store_replay(struct store *st, const struct journal_record *rec,
                 uint32_t old_ids)
{
    uint32_t id = rec->event.id;
    bool exists = schedule_get(st->schedule, id) != NULL;
    int err = tokens_room(&st->tokens);

    if (rec->op != JOURNAL_DONE)
        st->changes++;
    if ((rec->op == JOURNAL_ADD && exists) ||
        (rec->op == JOURNAL_UPDATE && !exists && id >= old_ids) ||
        (rec->op == JOURNAL_REMOVE && !exists))
        return -EBADMSG;
    return err == 0 ? apply(st, rec) : err;
}

/* One line of the file into memory. In a compacted file the first line of an
 * old event may be an update. */
static int replay(const struct journal_record *rec, void *arg)
{
    struct store *st = arg;

    return store_replay(st, rec, st->next_id);
}

static struct store *new_store(void)
{
    struct store *st = calloc(1, sizeof *st);

    if (st == NULL)
        return NULL;
    st->schedule = schedule_new();
    if (st->schedule == NULL) {
        free(st);
        return NULL;
    }
    (void)pthread_mutex_init(&st->lock, NULL); /* Linux: can't fail */
    return st;
}

int store_open(struct store **out, const struct store_opts *opts)
{
    struct store *st = new_store();
    struct journal_opts jopts = {.path = opts->path,
                                 .sync = opts->sync,
                                 .wait_ms = opts->wait_ms,
                                 .why = opts->why,
                                 .why_cap = opts->why_cap};
    size_t torn;
    int err = 0;

    if (opts->why != NULL && opts->why_cap > 0)
        opts->why[0] = '\0';
    if (st == NULL)
        return -ENOMEM;
    if (opts->path != NULL)
        err =
            journal_open(&st->journal, &jopts, replay, st, &st->next_id, &torn);
    if (err == 0) {
        schedule_reserve(st->schedule, st->next_id);
        if (st->journal != NULL)
            err = compact(st);
    }
    if (err != 0) {
        store_close(st);
        return err;
    }
    *out = st;
    return 0;
}

/* The journal is closed already, or there is none. */
static void free_store(struct store *st)
{
    schedule_free(st->schedule);
    tokens_free(&st->tokens);
    (void)pthread_mutex_destroy(&st->lock); /* nobody holds it any more */
    free(st);
}

void store_close(struct store *st)
{
    if (st == NULL)
        return;
    journal_close(st->journal);
    free_store(st);
}

void store_abandon(struct store *st)
{
    if (st == NULL)
        return;
    journal_abandon(st->journal);
    free_store(st);
}

void store_lock(struct store *st)
{
    (void)pthread_mutex_lock(&st->lock); /* fails on misuse only */
}

void store_unlock(struct store *st)
{
    (void)pthread_mutex_unlock(&st->lock);
}

/* ---- reading and committing --------------------------------------------- */

const struct schedule *store_schedule(const struct store *st)
{
    return st->schedule;
}

uint64_t store_rev(const struct store *st)
{
    return st->journal != NULL ? journal_seq(st->journal) : st->seq;
}

void store_stats(struct store *st, struct store_stats *out)
{
    *out = (struct store_stats){.events = schedule_count(st->schedule),
                                .rev = store_rev(st)};
    if (st->journal != NULL) {
        out->journal_bytes = journal_bytes(st->journal);
        out->syncs = journal_syncs(st->journal);
    }
}

int store_commit(struct store *st, uint64_t seq)
{
    return st->journal != NULL ? journal_commit(st->journal, seq) : 0;
}

const char *store_fault(const struct store *st)
{
    return st->journal != NULL ? journal_fault(st->journal) : NULL;
}
