/*
 * crash_check.c - what is promised when a process dies
 *
 * crash_check() is the promise, in its five parts; what a scene's members mean
 * stands in crash_cell.h.
 */
#include "crash_cell.h"
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#define LIMIT_MS 15000 /* "bounded": TP_NOTICE_MS, TP_SEND_MS, a busy machine */

static const char *const who[ROLES] = {"neighbour", "stranger", "asker"};

/* EXPECT, with the name of whom it is about. */
#define EXPECT_OF(r, expected, got)                                            \
    harness_check((expected) == (got), false, __FILE__, __LINE__,              \
                  "%s: %s is %d, expected %s", who[r], #got, (int)(got),       \
                  #expected)
#define EXPECT_NONE(n, what)                                                   \
    harness_check((n) == 0, false, __FILE__, __LINE__, "%d %s", (int)(n), what)

/* It died, by kill -9, and not before it came to its stop point. */
static void it_died_there(const struct scene *s)
{
    if (s->outlived)
        return; /* the end of a sweep: it had no more stops */
    EXPECT(atomic_load(&stage->reached));
    EXPECT(WIFSIGNALED(s->died) && WTERMSIG(s->died) == SIGKILL);
}

/* 1. Nobody waits for ever: the others go on within a bounded time. */
static void others_go_on(const struct scene *s)
{
    const struct result *result = s->cell->result;

    harness_check(result->others_ms < LIMIT_MS, false, __FILE__, __LINE__,
                  "the others waited %.0f ms", result->others_ms);
    harness_check(result->back_ms < LIMIT_MS, false, __FILE__, __LINE__,
                  "it took %.0f ms until new ones were served",
                  result->back_ms);
    for (int r = 0; r < ROLES; r++)
        EXPECT(stage->who[r].noticed < LIMIT_MS * 1000000LL);
    EXPECT_INT(0, s->innocent); /* they ended as they should */
    EXPECT_INT(0, s->ended);    /* and so did the server that was told to */
}

/* 2. The dead one's slot comes back: all slots can be filled again, and one
 * more client is told that they are full. Who had spoken is reported as gone
 * once, at the latest before its slot is given away. */
static void slot_comes_back(const struct scene *s)
{
    enum request request = s->cell->step->request;
    int spoke = request == SENT || request == ANSWERED;

    if (is_named(s->t)) {
        EXPECT_INT(0, s->filled);
        EXPECT_INT(-EBUSY, s->one_more);
    } else if (s->cell->step->dies == CLIENT) {
        EXPECT_INT(2, s->ends); /* the two ends of the dead one's channel */
    }
    if (s->cell->step->dies == CLIENT)
        harness_check(s->left <= 1 && s->left >= spoke, false, __FILE__,
                      __LINE__, "the dead client was reported %d times",
                      s->left);
}

/* 3a. A client's death is no error for anybody else. */
static void nobody_sees_an_error(void)
{
    for (int r = NEIGHBOUR; r <= STRANGER; r++) {
        EXPECT_OF(r, 0, stage->who[r].opened);
        EXPECT_OF(r, 0, stage->who[r].error);
    }
    EXPECT_INT(0, stage->who[ASKER].second); /* its heir's */
}

/* 3b. A server's death is -EPIPE to its clients, and stays so on their old
 * connections; to who comes, it is -ENOENT: nobody serves. At the next server
 * everything works again. */
static void everybody_sees_the_death(const struct scene *s)
{
    bool never = step_never_serves(s->cell->step);

    for (int r = 0; r < ROLES; r++) {
        const struct witness *w = &stage->who[r];
        bool named = is_named(crash_transport(s, (enum role)r));

        if (never && named) {
            EXPECT_OF(r, -ENOENT, w->opened);
        } else {
            EXPECT_OF(r, 0, w->opened);
            EXPECT_OF(r, -EPIPE, w->error);
            EXPECT_OF(r, -EPIPE, w->again);
        }
        if (named)
            EXPECT_OF(r, -ENOENT, w->reopened);
        EXPECT_OF(r, 0, w->second);
    }
}

/* What was acknowledged is there, once; what nobody asked for isn't. */
static void store_is_right(const struct tally *t)
{
    EXPECT_INT(0, t->opened);
    EXPECT_NONE(t->lost, "acknowledged events lost");
    EXPECT_NONE(t->twice, "events doubled");
    EXPECT_NONE(t->unsent, "events that nobody asked for");
}

/* 4. Every acknowledged event is in the store, once, and none that was never
 * sent: in the file as kill -9 left it; in what of it a sync had covered, as if
 * the power had failed too; and at the end, when everybody has asked again, with
 * the same token, for what hadn't been acknowledged. */
static void store_keeps_its_word(const struct scene *s)
{
    enum request request = s->cell->step->request;

    if (s->cell->step->dies == SERVER) {
        store_is_right(&s->killed);
        store_is_right(&s->power);
    }
    store_is_right(&s->end);
    if (request == NOT_SENT)
        EXPECT(!s->cell->result->kept);
    if (request == ANSWERED)
        EXPECT(s->cell->result->kept);
    for (int r = 0; r < ROLES; r++)
        harness_check(stage->who[r].acked == stage->who[r].sent, false,
                      __FILE__, __LINE__, "%s: %u of %u acknowledged", who[r],
                      stage->who[r].acked, stage->who[r].sent);
    EXPECT(s->end.marked); /* the asker's, or its heir's */
}

/* 5. The next start finds nothing of the dead one in its way, and nothing is
 * left at the end: no name, no queue, no segment, no file. */
static void nothing_is_left(const struct scene *s)
{
    EXPECT_NONE(s->old_names, "names of the dead left by the next start");
    EXPECT_NONE(s->left_names, "names, queues, segments or files left behind");
}

void crash_check(const struct scene *s)
{
    it_died_there(s);
    others_go_on(s);
    slot_comes_back(s);
    if (s->cell->step->dies == CLIENT)
        nobody_sees_an_error();
    else
        everybody_sees_the_death(s);
    store_keeps_its_word(s);
    nothing_is_left(s);
}
