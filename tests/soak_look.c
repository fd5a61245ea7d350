/*
 * soak_look.c - is the timetable what all the books say?
 *
 * While all clients stand still, somebody lists everything there is. Each event
 * must be in a book as it was acknowledged last, or as the one change would
 * have left it that was asked for and never answered; and each event that a
 * book has must be there.
 */
#include "soak.h"

#include <inttypes.h>
#include <unistd.h>

unsigned soak_living(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < SEATS * NOTES; i++)
        n += desk->book[i / NOTES].note[i % NOTES].alive;
    return n;
}

struct search {
    unsigned life;
    uint64_t busy;
    uint8_t seen[SEATS][NOTES];
};

/* Is this what the change that nobody knows of would have left? */
static bool may_be(const struct book *b, uint32_t n, uint32_t version)
{
    return atomic_load(&b->asked) && b->now.n == n && b->now.op != REMOVE &&
           b->now.version == version;
}

static bool find(const struct event *ev, void *arg)
{
    struct search *s = arg;
    uint32_t n, version;
    unsigned seat;
    int64_t place;

    if (sscanf(ev->title, "seat %u, event %" SCNu32 ", v%" SCNu32, &seat, &n,
               &version) != 3 ||
        seat >= SEATS) {
        soak_check(false, ONCE, "nobody asked for '%s'", ev->title);
        return true;
    }
    place = (ev->start - soak_day(seat)) / APART;
    if ((s->busy >> seat & 1) != 0 || place < 0 || place >= NOTES)
        return true;
    const struct book *b = &desk->book[seat];
    const struct note *k = &b->note[place];
    soak_check(s->seen[seat][place]++ == 0, ONCE, "life %u: '%s' comes twice",
               s->life, ev->title);
    soak_check(may_be(b, n, version) ||
                   (k->alive && k->n == n && k->version == version &&
                    k->id == ev->id && k->rev == ev->rev),
               ONCE, "life %u: '%s', id %u, isn't what was acknowledged",
               s->life, ev->title, (unsigned)ev->id);
    return true;
}

static void find_lost(const struct search *s)
{
    for (unsigned i = 0; i < SEATS * NOTES; i++) {
        unsigned seat = i / NOTES, place = i % NOTES;
        const struct book *b = &desk->book[seat];
        const struct note *k = &b->note[place];
        bool removing = atomic_load(&b->asked) && b->now.place == place &&
                        b->now.op == REMOVE;

        if (k->alive && (s->busy >> seat & 1) == 0)
            soak_check(s->seen[seat][place] > 0 || removing, KEPT,
                       "life %u: lost: seat %u, event %u, version %u", s->life,
                       seat, (unsigned)k->n, (unsigned)k->version);
    }
}

void soak_look(const struct transport *t, unsigned life, uint64_t busy)
{
    struct search s = {.life = life, .busy = busy};
    struct tp_opts o = {.open_ms = CALL_MS};
    struct client c;
    int err = client_open(&c, t, &o, CALL_MS);

    if (err == 0)
        err = client_list(&c, EVENT_TIME_MIN, EVENT_TIME_MAX, find, &s);
    soak_check(err == 0, SERVED, "looking at all events over %s: result %d",
               t->name, err);
    if (err == 0)
        find_lost(&s);
    client_close(&c);
    _exit(0);
}
