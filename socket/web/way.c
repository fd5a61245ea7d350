/*
 * way.c - see way.h
 */
#include "way.h"

#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void way_init(struct way *w, const struct transport *t, const char *instance,
              enum tp_wait wait, int ms)
{
    *w = (struct way){.t = t,
                      .wait = wait,
                      .instance = instance,
                      .ms = ms,
                      .once = !(t->caps & TP_NAMED)};
    (void)pthread_mutex_init(&w->lock, NULL); /* Linux: can't fail */
    (void)snprintf(w->why, sizeof w->why, "not open yet");
}

/* A failing open says more than its errno, where it knows more. */
static void note_failure(struct way *w, int err, const char *why)
{
    (void)snprintf(w->why, sizeof w->why, "%s",
                   err == -ENOENT ? "nobody serves"
                   : *why         ? why
                                  : strerror(-err));
}

static int open_locked(struct way *w, struct tp_server *inherited)
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
        w->why[0] = '\0';
    else
        note_failure(w, err, why);
    return err;
}

int way_open(struct way *w, struct tp_server *inherited)
{
    int err;

    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    err = open_locked(w, inherited);
    (void)pthread_mutex_unlock(&w->lock);
    return err;
}

void way_try(struct way *w)
{
    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    if (!w->open && !w->once)
        (void)open_locked(w, NULL); /* w->why says why not */
    (void)pthread_mutex_unlock(&w->lock);
}

void way_refuse(struct way *w, const char *why)
{
    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    (void)snprintf(w->why, sizeof w->why, "%s", why);
    (void)pthread_mutex_unlock(&w->lock);
}

static void close_locked(struct way *w)
{
    if (w->open)
        client_close(&w->client);
    w->open = false;
}

/* What came of a call that the transport failed. */
static void note_loss(struct way *w, int err)
{
    close_locked(w);
    if (w->once)
        (void)snprintf(w->why, sizeof w->why,
                       "the server that we forked is gone, and a %s can't be "
                       "opened again",
                       w->t->name);
    else
        (void)snprintf(w->why, sizeof w->why, "%s",
                       err == -ETIMEDOUT ? "the server doesn't answer"
                       : err == -EPIPE   ? "the server left"
                                         : strerror(-err));
}

static void count_samples(struct way *w, const struct journey *j)
{
    uint64_t each = (j->done - j->begun) / j->trips;

    w->ns[w->count++ % WAY_SAMPLES] =
        each < UINT32_MAX ? (uint32_t)each : UINT32_MAX;
}

static int ask_open(struct way *w, way_request *ask, void *arg,
                    struct journey *j)
{
    struct tp_counters before = w->client.conn->count, after;
    int result;

    *j = (struct journey){.way = w, .begun = (uint64_t)clock_now_ns()};
    result = ask(&w->client, arg);
    j->done = (uint64_t)clock_now_ns();
    after = w->client.conn->count;
    j->sent_bytes = after.sent_bytes - before.sent_bytes;
    j->received_bytes = after.received_bytes - before.received_bytes;
    j->trips = (unsigned)(after.received - before.received);
    j->stamps = w->client.last;
    return result;
}

/* After these the connection is of no use, or out of step. */
static bool is_loss(int result)
{
    return result == -EPIPE || result == -EPROTO || result == -ETIMEDOUT;
}

int way_ask(struct way *w, way_request *ask, void *arg, struct journey *j,
            char refusal[WAY_WHY_MAX])
{
    struct journey unseen;
    int result = -EPIPE;

    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    /* Twice: a server that was started anew is noticed by the first. */
    for (int attempt = 0; attempt < 2 && result == -EPIPE; attempt++) {
        if (!w->open && !w->once)
            result = open_locked(w, NULL);
        if (!w->open)
            break;
        result = ask_open(w, ask, arg, j ? j : &unseen);
        if (is_loss(result))
            note_loss(w, result);
    }
    if (result == 0 && j && j->trips > 0)
        count_samples(w, j);
    if (result != 0 && refusal)
        (void)snprintf(refusal, WAY_WHY_MAX, "%s",
                       result > 0 ? w->client.refusal : w->why);
    (void)pthread_mutex_unlock(&w->lock);
    return result;
}

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

void way_close(struct way *w)
{
    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    close_locked(w);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_mutex_destroy(&w->lock);
}
