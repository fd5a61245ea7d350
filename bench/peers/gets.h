/*
 * gets.h - a subject that can do no more than get an event by its id
 *
 * For peers with nothing to carry a request with (SQLite, a file), or with
 * requests of their own (Redis). They ask for the same events in the same
 * order as the lab does, and their replies are compared byte by byte.
 */
#ifndef BENCH_GETS_H
#define BENCH_GETS_H

#include "client.h"
#include "peer.h"

struct gets {
    struct conditions c;
    char *pattern;            /* owned */
    size_t len;               /* bytes of an event's title */
    uint32_t turn;            /* requests so far */
    struct client_event last; /* the reply */
};

/* 0, -ENOMEM, or -EOPNOTSUPP with a sentence in why[CASE_WHY_MAX] when these
 * conditions can't be had. gets_free in any case. */
int gets_init(struct gets *g, const struct conditions *c, char *why);
void gets_free(struct gets *g);

/* Clients don't ask for the same event at the same time. */
void gets_join(struct gets *g, unsigned index);

/* The event that is to be asked for now. */
uint32_t gets_id(const struct gets *g);

/* Event `id` as it must be stored; its title is in `text`. */
void gets_event(const struct gets *g, uint32_t id, struct client_event *out);

/* Is g->last that event? 0 or -EBADMSG. Then on to the next one. */
int gets_check(struct gets *g);

#endif
