/*
 * way.c - see way.h
 *
 *   way_ask         takes its turn, in which at most twice:
 *     open_way        if it isn't open
 *     call_store      the call, and what it cost
 *     after_call      is the way still good?
 */
#include "way.h"

#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- turns -------------------------------------------------------------- */

static uint64_t now(void)
{
    return (uint64_t)clock_now_ns();
}

/* 0, or -ETIMEDOUT: a call that this one waited for got no answer. The turn is
 * ours in both cases. `j` (may be NULL) gets how long it took, if it did. */
static int take_turn(struct way *w, struct journey *j)
{
    uint64_t mine, unanswered, came;
    bool others;
    int err;

    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    mine = w->tickets++;
    unanswered = w->unanswered;
    others = mine != w->turn;
    came = others ? now() : 0;
    while (mine != w->turn)
        (void)pthread_cond_wait(&w->next, &w->lock);
    err = w->unanswered == unanswered ? 0 : -ETIMEDOUT;
    (void)pthread_mutex_unlock(&w->lock);
    if (j && others)
        j->turns += now() - came;
    return err;
}

/* Only if nobody has it. */
static bool try_turn(struct way *w)
{
    bool nobody;

    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    nobody = w->turn == w->tickets;
    w->tickets += nobody;
    (void)pthread_mutex_unlock(&w->lock);
    return nobody;
}

/* `unanswered`: the store was asked, and silent. Who only waited behind such a
 * call doesn't say so again, or all behind it would fail for the same silence,
 * and those behind them, and so on. */
static void end_turn(struct way *w, bool unanswered)
{
    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    w->unanswered += unanswered;
    w->turn++;
    (void)pthread_cond_broadcast(&w->next);
    (void)pthread_mutex_unlock(&w->lock);
}

/* ---- open and closed: whose turn it is ---------------------------------- */

static void set_why(struct way *w, const char *why)
{
    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    (void)snprintf(w->why, sizeof w->why, "%s", why);
    (void)pthread_mutex_unlock(&w->lock);
}

static const char *sentence_of(int err)
{
    return err == -ETIMEDOUT ? "the server doesn't answer"
           : err == -EPIPE   ? "the server left"
           : err == -ENOENT  ? "nobody serves"
                             : strerror(-err);
}

static int open_way(struct way *w, struct tp_server *inherited)
{
    char why[WAY_WHY_MAX] = "";
    struct tp_opts opts = {.name = w->instance,
                           .open_ms = w->ms,
                           .wait = w->wait,
                           .inherited = inherited,
                           .why = why,
                           .why_cap = sizeof why};
    int err = client_open(&w->client, w->t, &opts, w->ms);

    w->open = err == 0;
    w->client.stamps = true;
    if (w->open)
        set_why(w, "");
    else /* it may know more than its errno says */
        set_why(w, *why && err != -ENOENT ? why : sentence_of(err));
    return err;
}

static void close_way(struct way *w)
{
    if (w->open)
        client_close(&w->client);
    w->open = false;
}

/* After these a connection is of no use, or out of step. A late answer does no
 * harm (client.h), but opening anew shows whether anybody is there; a pipe
 * can't be opened anew. */
static void after_call(struct way *w, int result)
{
    char why[WAY_WHY_MAX];

    if (result != -EPIPE && result != -EPROTO &&
        (result != -ETIMEDOUT || w->once))
        return;
    close_way(w);
    (void)snprintf(why, sizeof why,
                   "the server that we forked is gone, and a %s can't be "
                   "opened again: choose another way",
                   w->t->name);
    set_why(w, w->once ? why : sentence_of(result));
}

/* ---- life --------------------------------------------------------------- */

void way_init(struct way *w, const struct transport *t, const char *instance,
              enum tp_wait wait, int ms)
{
    *w = (struct way){.t = t,
                      .wait = wait,
                      .instance = instance,
                      .ms = ms,
                      .once = !(t->caps & TP_NAMED)};
    (void)pthread_mutex_init(&w->lock, NULL); /* Linux: can't fail */
    (void)pthread_cond_init(&w->next, NULL);  /* nor can this */
    (void)snprintf(w->why, sizeof w->why, "not open yet");
}

int way_open(struct way *w, struct tp_server *inherited)
{
    int err;

    (void)take_turn(w, NULL); /* whatever became of others */
    err = open_way(w, inherited);
    end_turn(w, err == -ETIMEDOUT);
    return err;
}

void way_try(struct way *w)
{
    bool silent;

    if (w->once || !try_turn(w))
        return;
    silent = !w->open && open_way(w, NULL) == -ETIMEDOUT; /* see w->why */
    end_turn(w, silent);
}

void way_refuse(struct way *w, const char *why)
{
    set_why(w, why);
}

void way_close(struct way *w)
{
    close_way(w);
    (void)pthread_cond_destroy(&w->next);
    (void)pthread_mutex_destroy(&w->lock);
}

/* ---- asking ------------------------------------------------------------- */

static void count_sample(struct way *w, uint64_t ns)
{
    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    w->ns[w->count++ % WAY_SAMPLES] =
        ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
    (void)pthread_mutex_unlock(&w->lock);
}

static int call_store(struct way *w, way_request *ask, void *arg,
                      struct journey *j)
{
    struct tp_counters before = w->client.conn->count, after;
    uint64_t begun = now(), tag = w->client.tag;
    int result = ask(&w->client, arg);
    unsigned trips;

    after = w->client.conn->count;
    /* All requests but a last one that failed. Not what was received: a late
     * answer to an earlier call may be among it. */
    trips = (unsigned)(w->client.tag - tag) - (result < 0);
    if (!j)
        return result;
    j->way = w;
    j->begun = begun;
    j->done = now();
    j->asking += trips > 0 ? j->done - begun : 0;
    j->trips += trips;
    j->sent_bytes += after.sent_bytes - before.sent_bytes;
    j->received_bytes += after.received_bytes - before.received_bytes;
    j->stamps = w->client.last;
    /* A change waits for the disk, which costs the same over each way. */
    if (result == 0 && trips > 0 && !j->stamps.synced)
        count_sample(w, (j->done - begun) / trips);
    return result;
}

/* Twice: that a server was started anew is noticed by the first call. */
static int ask_twice(struct way *w, way_request *ask, void *arg,
                     struct journey *j)
{
    int result = -EPIPE;

    for (int attempt = 0; attempt < 2 && result == -EPIPE; attempt++) {
        if (!w->open && w->once)
            return -EPIPE;
        if (!w->open && (result = open_way(w, NULL)) < 0)
            return result;
        result = call_store(w, ask, arg, j);
        after_call(w, result);
    }
    return result;
}

int way_ask(struct way *w, way_request *ask, void *arg, struct journey *j,
            char refusal[WAY_WHY_MAX])
{
    int result = take_turn(w, j);
    bool asked = result == 0;

    if (asked)
        result = ask_twice(w, ask, arg, j);
    if (result > 0 && refusal)
        (void)snprintf(refusal, WAY_WHY_MAX, "%s", w->client.refusal);
    if (result < 0 && refusal) {
        way_state(w, refusal);
        if (!refusal[0]) /* the way itself is as good as ever */
            (void)snprintf(refusal, WAY_WHY_MAX, "%s", sentence_of(result));
    }
    end_turn(w, asked && result == -ETIMEDOUT);
    return result;
}

/* ---- to be looked at ---------------------------------------------------- */

size_t way_samples(struct way *w, uint32_t *ns, size_t n, uint64_t *count)
{
    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    *count = w->count;
    n = n < WAY_SAMPLES ? n : WAY_SAMPLES;
    n = n < w->count ? n : (size_t)w->count;
    for (size_t i = 0; i < n; i++)
        ns[i] = w->ns[(w->count - n + i) % WAY_SAMPLES];
    (void)pthread_mutex_unlock(&w->lock);
    return n;
}

void way_state(struct way *w, char why[WAY_WHY_MAX])
{
    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    memcpy(why, w->why, WAY_WHY_MAX);
    (void)pthread_mutex_unlock(&w->lock);
}
