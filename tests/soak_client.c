/*
 * soak_client.c - one client of the soak test
 *
 * A client knows what its seat's book says, and nothing else. Whatever it asks
 * for, it knows the answer: its events are in a range of time that is its
 * seat's alone, and each of them overlaps its two neighbours and no other.
 *
 *      place      0         1         2         3
 *               |-----------|       |-----------|
 *                        |------------|
 *
 * A change is written into the book before it is asked for, and again when it
 * is answered. Who is killed in between leaves it there, and the next client
 * of this seat asks again with the same token: so it is made once, whenever
 * that was.
 */
#include "soak.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THINK  20  /* ms between two calls, at most */
#define SLOW   300 /* ms until a slow one reads, at most */
#define NO_REV UINT64_C(1000000000000)

/* A client while it lives. */
struct self {
    const struct visit *visit;
    struct client c;
    struct book *book;
    uint64_t random;
    int64_t begin;  /* of the call, ns */
    unsigned stops; /* of this seat, until then */
    bool over;
};

static uint64_t below(struct self *me, uint64_t n)
{
    return soak_below(&me->random, n);
}

/* ---- events -------------------------------------------------------------- */

int64_t soak_day(unsigned seat)
{
    return MONDAY + (int64_t)seat * DAY;
}

/* All titles have the same length, so that all events take the same memory. */
static struct event event_of(unsigned seat, unsigned place, uint32_t n,
                             uint32_t version, char title[64])
{
    struct event ev = {.title = title};

    (void)snprintf(title, 64, "seat %02u, event %010" PRIu32 ", v%010" PRIu32,
                   seat, n, version);
    ev.title_len = (uint8_t)strlen(title);
    ev.start = soak_day(seat) + (int64_t)place * APART;
    ev.end = ev.start + APART + 100 + version % (APART - 100);
    return ev;
}

static bool is_as_noted(const struct self *me, unsigned place,
                        const struct event *ev)
{
    const struct note *n = &me->book->note[place];
    char title[64];
    struct event want =
        event_of(me->visit->seat, place, n->n, n->version, title);

    return n->alive && ev->id == n->id && ev->rev == n->rev &&
           ev->start == want.start && ev->end == want.end &&
           strcmp(ev->title, title) == 0;
}

static void begin(struct self *me)
{
    me->begin = clock_now_ns();
    me->stops = atomic_load(&desk->stops[me->visit->seat]);
}

/* ---- was the answer right, and in time? ---------------------------------- */

static void keep_longest(atomic_llong *longest, int64_t ns)
{
    long long was = atomic_load(longest);

    while (ns > was && !atomic_compare_exchange_weak(longest, &was, ns))
        continue;
}

/* All of us may have been stopped meanwhile, and the clock wasn't. The parent
 * knows it as soon as it looks around again. */
static bool were_stopped(const struct self *me)
{
    int64_t now = clock_now_ns(), end = now + 3000 * (int64_t)NS_PER_MS;

    while (atomic_load(&desk->beat) < now && clock_now_ns() < end)
        soak_pause(NS_PER_MS);
    return atomic_load(&desk->gap) > me->begin;
}

/* Stopped by itself, or with all others: then a wait says nothing. */
static bool was_awake(const struct self *me, int64_t took)
{
    if (atomic_load(&desk->stops[me->visit->seat]) != me->stops)
        return false;
    return took < CALL_MS * (int64_t)NS_PER_MS / 4 || !were_stopped(me);
}

/* The server left, or so we were told. It has, if its life is over. */
static void server_left(struct self *me, const char *what, int result)
{
    int64_t took = clock_now_ns() - me->begin;

    if (atomic_load(&desk->life) != me->visit->life) {
        if (was_awake(me, took))
            keep_longest(&desk->notice, took);
    } else if (me->visit->slow) {
        atomic_fetch_add(&desk->dropped, 1);
    } else if (!were_stopped(me)) {
        soak_check(false, SERVED,
                   "seat %u over %s, %s: result %d after %lld ms, and the "
                   "server lives",
                   me->visit->seat, me->visit->t->name, what, result,
                   (long long)took / NS_PER_MS);
    }
}

/* A call has ended: true if it was answered, and then with `want`. */
static bool answered(struct self *me, const char *what, int result, int want)
{
    int64_t took = clock_now_ns() - me->begin;

    atomic_fetch_add(&desk->calls, 1);
    if (result >= 0) {
        if (was_awake(me, took)) {
            keep_longest(&desk->worst, took);
            keep_longest(&desk->worst_now, took);
        }
        soak_check(result == want, ANSWERS,
                   "seat %u over %s, %s: result %d %s instead of %d",
                   me->visit->seat, me->visit->t->name, what, result,
                   me->c.refusal, want);
        me->over = me->over || result != want;
        return result == want;
    }
    me->over = true;
    if (result == -EPIPE || result == -ENOENT)
        server_left(me, what, result);
    else if (!were_stopped(me))
        soak_check(false, result == -ETIMEDOUT ? WAITS : ANSWERS,
                   "seat %u over %s, %s: result %d after %lld ms",
                   me->visit->seat, me->visit->t->name, what, result,
                   (long long)took / NS_PER_MS);
    return false;
}

static void right(const struct self *me, bool ok, const char *what)
{
    soak_check(ok, ANSWERS, "seat %u over %s: %s", me->visit->seat,
               me->visit->t->name, what);
}

/* ---- changes ------------------------------------------------------------- */

static int ask(struct self *me, const struct change *ch, uint32_t *id,
               uint64_t *rev)
{
    char title[64];
    struct event ev =
        event_of(me->visit->seat, ch->place, ch->n, ch->version, title);

    begin(me);
    ev.id = *id = ch->id;
    switch (ch->op) {
    case ADD: return client_add(&me->c, ch->token, &ev, id, rev);
    case CHANGE: return client_update(&me->c, ch->token, &ev, ch->expect, rev);
    default: return client_remove(&me->c, ch->token, ev.id, ch->expect, rev);
    }
}

/* It is done, and we were told so: a kill between two of these lines leaves it
 * asked for, and so asked for again. */
static void note(struct self *me, uint32_t id, uint64_t rev)
{
    struct book *b = me->book;
    struct note *n = &b->note[b->now.place];
    unsigned most = atomic_load(&desk->max_id);

    right(me, rev > b->last_rev || b->last.token == b->now.token,
          "a change's revision isn't above those before");
    b->last = b->now;
    b->last_id = n->id = id;
    b->last_rev = n->rev = rev;
    n->n = b->now.n;
    n->version = b->now.version;
    n->alive = b->now.op != REMOVE;
    if (b->now.op == ADD)
        b->made = b->now.n;
    if (b->now.op == REMOVE)
        b->gone_id = id;
    atomic_store(&b->asked, false);
    atomic_fetch_add(&desk->changes, 1);
    while (id > most && !atomic_compare_exchange_weak(&desk->max_id, &most, id))
        continue;
}

/* An event of its own is added, changed or removed: as many as not. */
static void choose(struct self *me)
{
    struct book *b = me->book;
    struct change *ch = &b->now;
    const struct note *n;

    ch->place = (unsigned)below(me, NOTES);
    n = &b->note[ch->place];
    ch->token = ((uint64_t)me->visit->seat + 1) << 48 | ++b->tokens;
    ch->op = !n->alive ? ADD : below(me, 5) < 2 ? REMOVE : CHANGE;
    ch->n = n->alive ? n->n : b->made + 1;
    ch->version = n->alive ? n->version + 1 : 0;
    ch->id = n->alive ? n->id : 0;
    ch->expect = n->alive && below(me, 2) == 0 ? n->rev : 0;
    atomic_store(&b->asked, true);
}

/* What is being asked for, or something new. */
static void change(struct self *me)
{
    uint32_t id;
    uint64_t rev;

    if (!atomic_load(&me->book->asked))
        choose(me);
    if (answered(me, "a change", ask(me, &me->book->now, &id, &rev), 0))
        note(me, id, rev);
}

/* What was done before is answered as it was then. */
static void ask_again(struct self *me)
{
    const struct book *b = me->book;
    uint32_t id;
    uint64_t rev;

    if (b->last.op == NONE || atomic_load(&b->asked))
        return;
    if (answered(me, "the last change again", ask(me, &b->last, &id, &rev), 0))
        soak_check(id == b->last_id && rev == b->last_rev, ONCE,
                   "seat %u: a repeated change gave another result",
                   me->visit->seat);
}

/* Who knows an old revision changes nothing. */
static void change_in_vain(struct self *me)
{
    unsigned place = (unsigned)below(me, NOTES);
    const struct note *n = &me->book->note[place];
    char title[64];
    struct event ev =
        event_of(me->visit->seat, place, n->n, n->version + 1, title);
    uint64_t rev;

    ev.id = n->id;
    begin(me);
    if (n->alive)
        (void)answered(
            me, "a change of what has changed",
            client_update(&me->c, client_token(), &ev, n->rev + NO_REV, &rev),
            WIRE_CHANGED);
}

/* ---- questions ----------------------------------------------------------- */

static void get(struct self *me)
{
    unsigned place = (unsigned)below(me, NOTES);
    const struct note *n = &me->book->note[place];
    struct client_event got;

    begin(me);
    if (n->alive && answered(me, "get", client_get(&me->c, n->id, &got), 0))
        right(me, is_as_noted(me, place, &got.event),
              "an event isn't as it was acknowledged");
    begin(me);
    if (!n->alive && me->book->gone_id != 0)
        (void)answered(me, "get of what was removed",
                       client_get(&me->c, me->book->gone_id, &got),
                       WIRE_NOT_FOUND);
}

/* What a walk has shown: in order, and which of our own. */
struct shown {
    const struct self *me;
    unsigned own;   /* bit i: the event in place i, as noted */
    unsigned count; /* of all */
    bool in_order;
    int64_t start;
    uint32_t id;
};

static bool show(const struct event *ev, void *arg)
{
    struct shown *s = arg;

    s->in_order = s->in_order && (ev->start > s->start ||
                                  (ev->start == s->start && ev->id > s->id));
    s->start = ev->start;
    s->id = ev->id;
    s->count++;
    for (unsigned i = 0; i < NOTES; i++)
        if (is_as_noted(s->me, i, ev))
            s->own |= 1u << i;
    return true;
}

static unsigned alive(const struct book *b)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < NOTES; i++)
        mask |= (unsigned)b->note[i].alive << i;
    return mask;
}

static unsigned bits(unsigned mask)
{
    return mask == 0 ? 0 : (mask & 1) + bits(mask >> 1);
}

/* Its own day: these events, and no other. */
static void list_own(struct self *me)
{
    struct shown s = {.me = me, .in_order = true};
    int64_t from = soak_day(me->visit->seat);
    unsigned want = alive(me->book);

    begin(me);
    if (answered(me, "list", client_list(&me->c, from, from + DAY, show, &s),
                 0))
        right(me, s.own == want && s.count == bits(want) && s.in_order,
              "a list of its own day isn't what was acknowledged");
}

/* All days, page by page, while the others change theirs. */
static void list_all(struct self *me)
{
    struct shown s = {.me = me, .in_order = true};

    begin(me);
    if (answered(me, "list of all",
                 client_list(&me->c, EVENT_TIME_MIN, EVENT_TIME_MAX, show, &s),
                 0))
        right(me, s.own == alive(me->book) && s.in_order,
              "a list of all days repeats, skips or is out of order");
}

static void conflicts(struct self *me)
{
    struct shown s = {.me = me, .in_order = true};
    unsigned place = (unsigned)below(me, NOTES);
    const struct note *n = &me->book->note[place];
    unsigned want = alive(me->book) & (1u << place << 1 | 1u << place >> 1);

    begin(me);
    if (n->alive &&
        answered(me, "conflicts", client_conflicts(&me->c, n->id, show, &s), 0))
        right(me, s.own == want && s.count == bits(want),
              "conflicts aren't its two neighbours");
}

static void fill(struct self *me, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)below(me, 256);
}

static size_t echo_most(const struct self *me)
{
    return me->c.conn->max_msg - WIRE_REPLY_MIN;
}

static void echo(struct self *me)
{
    uint8_t bytes[2000];
    size_t len = (size_t)below(me, sizeof bytes);

    if (len > echo_most(me))
        len = echo_most(me);
    fill(me, bytes, len);
    begin(me);
    (void)answered(me, "echo", client_echo(&me->c, bytes, len), 0);
}

static void ping(struct self *me)
{
    begin(me);
    (void)answered(me, "ping", client_ping(&me->c), 0);
}

/* The longest answer that there is, and nobody takes it for a while. Where it
 * is more than the mechanism holds, the server waits TP_SEND_MS for us and
 * drops us then: that is the contract. Below client.h, whose calls don't
 * pause between asking and reading. */
static void read_slowly(struct self *me)
{
    struct client *c = &me->c;
    size_t len = echo_most(me);
    uint8_t *bytes = malloc(len);
    struct wire_request rq = {
        .op = WIRE_ECHO, .tag = ++c->tag, .bytes = bytes, .bytes_len = len};
    struct wire_reply rp;
    ssize_t n = -ENOMEM;

    if (bytes != NULL) {
        fill(me, bytes, len);
        n = wire_put_request(c->buf, c->conn->max_msg, &rq);
    }
    if (n > 0)
        n = tp_cli_send(c->conn, c->buf, (size_t)n, CALL_MS);
    if (n == 0) {
        soak_pause((int64_t)below(me, SLOW) * NS_PER_MS);
        begin(me);
        n = tp_cli_recv(c->conn, c->buf, c->conn->max_msg, CALL_MS);
        n = n == 0 ? -EPIPE : n;
    }
    if (answered(me, "a slow echo", n < 0 ? (int)n : 0, 0))
        right(me,
              wire_get_reply(&rp, c->buf, (size_t)n) == 0 && rp.tag == c->tag &&
                  rp.body_len == len && memcmp(rp.body, bytes, len) == 0,
              "a slow echo isn't what was sent");
    free(bytes);
}

/* ---- a life -------------------------------------------------------------- */

static void one_call(struct self *me)
{
    static void (*const calls[])(struct self *) = {
        change, change, change,    get,      get,  list_own,
        echo,   ping,   conflicts, list_all, ping, change_in_vain};

    if (atomic_load(&me->book->asked))
        change(me);
    else if (me->visit->slow && below(me, 2) == 0)
        read_slowly(me);
    else
        calls[below(me, sizeof calls / sizeof *calls)](me);
}

static bool come(struct self *me)
{
    const struct visit *v = me->visit;
    char why[200] = "";
    struct tp_opts o = {.open_ms = CALL_MS,
                        .inherited = v->inherited,
                        .index = v->seat,
                        .why = why,
                        .why_cap = sizeof why};
    int err;

    begin(me);
    err = client_open(&me->c, v->t, &o, CALL_MS);
    if (err == -EBUSY && !v->last) {
        atomic_fetch_add(&desk->refused, 1);
        return false;
    }
    if (*why != '\0' && err != -EPIPE && err != -ENOENT) {
        soak_check(false, SERVED, "seat %u: opening %s: result %d: %s", v->seat,
                   v->t->name, err, why);
        return false;
    }
    return answered(me, "opening", err, 0);
}

/* Is it to leave? Over a pipe nobody can come back: it stands still. */
static bool sent_away(const struct self *me)
{
    while (atomic_load(&desk->calm)) {
        if ((me->visit->t->caps & TP_NAMED) ||
            atomic_load(&desk->life) != me->visit->life)
            return true;
        soak_pause(2 * NS_PER_MS);
    }
    return false;
}

static void stay(struct self *me)
{
    unsigned calls = me->visit->calls;

    for (unsigned i = 0; !me->over && (calls == 0 || i < calls); i++) {
        if (sent_away(me))
            break;
        if (i == 0 && below(me, 4) == 0)
            ask_again(me);
        else
            one_call(me);
        soak_pause((int64_t)below(me, THINK * NS_PER_MS));
    }
}

void soak_visit(const struct visit *v)
{
    struct self me = {
        .visit = v,
        .book = &desk->book[v->seat],
        .random = (desk->seed + v->serial) * UINT64_C(0x9e3779b97f4a7c15) + 1};

    if (come(&me)) {
        atomic_fetch_add(&desk->clients, 1);
        if (v->last)
            change(&me);
        else
            stay(&me);
    }
    client_close(&me.c);
    _exit(0);
}
