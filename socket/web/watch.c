/*
 * watch.c - see watch.h
 */
#include "watch.h"

#include "until.h"

#include <errno.h>
#include <string.h>

/* ---- looking ------------------------------------------------------------ */

/* The request: the server's pid says whether it is a new one. */
static int look_once(struct client *c, void *arg)
{
    struct sight *s = arg;
    struct wire_stats stats;
    int err = client_stats(c, &stats);

    if (err == 0) {
        s->pid = (long)stats.pid;
        s->rev = c->rev;
    }
    return err;
}

/* Over the first way that works; but a store that doesn't answer over one of
 * them doesn't over the next, and each try takes its time. */
static void look(struct watch *w, struct sight *s)
{
    char why[WAY_WHY_MAX] = "";
    int result = -ENOENT;

    s->up = false;
    for (size_t i = 0; i < w->count && !s->up && result != -ETIMEDOUT; i++) {
        result = way_ask(&w->ways[i], look_once, s, NULL, why);
        s->up = result == 0;
        if (i == 0)
            memcpy(s->why, why, sizeof why);
    }
    for (size_t i = 0; i < w->count && s->up; i++)
        way_try(&w->ways[i]);
    if (s->up)
        s->why[0] = '\0';
}

/* Make `s` what is known. Not an older revision of the same store: somebody
 * may have told a newer one while we looked. */
static void know(struct watch *w, struct sight *s)
{
    if (s->pid == w->sight.pid && s->rev < w->sight.rev)
        s->rev = w->sight.rev;
    if (s->up != w->sight.up || s->rev != w->sight.rev ||
        s->pid != w->sight.pid)
        (void)pthread_cond_broadcast(&w->changed);
    w->sight = *s;
}

static void *run(void *arg)
{
    struct watch *w = arg;

    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    while (!w->stop) {
        struct timespec until = until_ms(WATCH_MS);
        struct sight s = w->sight;

        (void)pthread_mutex_unlock(&w->lock);
        look(w, &s);
        (void)pthread_mutex_lock(&w->lock);
        know(w, &s);
        while (!w->stop &&
               pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0)
            ; /* somebody else was told something */
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void forget(struct watch *w)
{
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->lock);
    *w = (struct watch){0};
}

int watch_start(struct watch *w, struct way *ways, size_t count)
{
    int err;

    *w = (struct watch){.ways = ways, .count = count};
    (void)pthread_mutex_init(&w->lock, NULL); /* Linux: can't fail */
    until_init(&w->changed);
    look(w, &w->sight);
    err = -pthread_create(&w->thread, NULL, run, w);
    if (err < 0)
        forget(w);
    return err;
}

/* ---- being told --------------------------------------------------------- */

void watch_see(struct watch *w, struct sight *out)
{
    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    *out = w->sight;
    (void)pthread_mutex_unlock(&w->lock);
}

bool watch_wait(struct watch *w, const struct sight *known, int ms,
                struct sight *out)
{
    struct timespec until = until_ms(ms);
    bool same, in_time = true;

    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    while ((same = !w->stop && w->sight.up == known->up &&
                   w->sight.rev == known->rev) &&
           in_time)
        in_time = pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0;
    *out = w->sight;
    (void)pthread_mutex_unlock(&w->lock);
    return !same;
}

void watch_tell(struct watch *w, uint64_t rev)
{
    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    if (w->sight.up && rev > w->sight.rev) {
        w->sight.rev = rev;
        (void)pthread_cond_broadcast(&w->changed);
    }
    (void)pthread_mutex_unlock(&w->lock);
}

void watch_stop(struct watch *w)
{
    if (!w->ways)
        return;
    (void)pthread_mutex_lock(&w->lock); /* fails on misuse only */
    w->stop = true;
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
}

void watch_end(struct watch *w)
{
    if (!w->ways)
        return;
    watch_stop(w);
    (void)pthread_join(w->thread, NULL); /* ours: can't fail */
    forget(w);
}
