/*
 * guests.c - see guests.h
 */
#include "guests.h"

#include "until.h"

#include <stdlib.h>
#include <sys/socket.h>

#define LOOK_MS 250 /* the doorman's, at all guests */

struct guest {
    struct guest *next, **at; /* the list; *at points here */
    int fd;
    int64_t late; /* by then it must be done, CLOCK_MONOTONIC ns; 0 = never */
};

static int64_t late_in(int ms)
{
    return ms > 0 ? clock_now_ns() + (int64_t)ms * UNTIL_MS_NS : 0;
}

struct guest *guest_comes(struct guests *g, int fd, int ms)
{
    struct guest *guest = calloc(1, sizeof *guest);

    if (!guest)
        return NULL;
    guest->fd = fd;
    guest->late = late_in(ms);
    (void)pthread_mutex_lock(&g->lock); /* fails on misuse only */
    guest->next = g->present;
    guest->at = &g->present;
    if (guest->next)
        guest->next->at = &guest->next;
    g->present = guest;
    (void)pthread_mutex_unlock(&g->lock);
    return guest;
}

void guest_leaves(struct guests *g, struct guest *guest)
{
    if (!guest)
        return;
    (void)pthread_mutex_lock(&g->lock); /* fails on misuse only */
    *guest->at = guest->next;
    if (guest->next)
        guest->next->at = guest->at;
    (void)pthread_mutex_unlock(&g->lock);
    free(guest);
}

void guest_has(struct guests *g, struct guest *guest, int ms)
{
    if (!guest)
        return;
    (void)pthread_mutex_lock(&g->lock); /* fails on misuse only */
    guest->late = late_in(ms);
    (void)pthread_mutex_unlock(&g->lock);
}

static void *doorman(void *arg)
{
    struct guests *g = arg;

    (void)pthread_mutex_lock(&g->lock); /* fails on misuse only */
    while (!g->stop) {
        struct timespec until = until_ms(LOOK_MS);
        int64_t now = clock_now_ns();

        for (struct guest *x = g->present; x; x = x->next)
            if (x->late && now > x->late)
                (void)shutdown(x->fd, SHUT_RDWR); /* it may have left */
        (void)pthread_cond_timedwait(&g->leave, &g->lock, &until);
    }
    (void)pthread_mutex_unlock(&g->lock);
    return NULL;
}

int guests_start(struct guests *g)
{
    *g = (struct guests){0};
    (void)pthread_mutex_init(&g->lock, NULL); /* Linux: can't fail */
    until_init(&g->leave);
    return -pthread_create(&g->doorman, NULL, doorman, g);
}

void guests_stop(struct guests *g)
{
    (void)pthread_mutex_lock(&g->lock); /* fails on misuse only */
    g->stop = true;
    (void)pthread_cond_signal(&g->leave);
    (void)pthread_mutex_unlock(&g->lock);
    (void)pthread_join(g->doorman, NULL); /* ours: can't fail */
    (void)pthread_cond_destroy(&g->leave);
    (void)pthread_mutex_destroy(&g->lock);
}
