/*
 * gets.c - see gets.h
 */
#include "gets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Clients begin so many events apart. */
#define APART 17

int gets_init(struct gets *g, const struct conditions *c, char *why)
{
    *g = (struct gets){.c = *c};
    if (c->op != OP_GET || c->depth > 1 || c->deadline_ms >= 0 ||
        c->wait != TP_BLOCK || c->work_us || c->stall_us) {
        (void)snprintf(why, CASE_WHY_MAX,
                       "%s: only blocking gets, one at a time, without a "
                       "deadline, work or stalls",
                       c->transport);
        return -EOPNOTSUPP;
    }
    g->len = c->size - WIRE_REPLY_MIN - WIRE_EVENT_MIN;
    g->pattern = pattern_new(g->len);
    return g->pattern ? 0 : -ENOMEM;
}

void gets_free(struct gets *g)
{
    free(g->pattern);
    g->pattern = NULL;
}

void gets_join(struct gets *g, unsigned index)
{
    g->turn = index * APART;
}

uint32_t gets_id(const struct gets *g)
{
    return g->turn % g->c.events + 1;
}

void gets_event(const struct gets *g, uint32_t id, struct client_event *out)
{
    struct event *ev = &out->event;

    *ev = (struct event){
        .id = id, .rev = id, .title = out->text, .title_len = (uint8_t)g->len};
    bench_event(g->pattern, id, g->len, out->text, &ev->start, &ev->end);
}

int gets_check(struct gets *g)
{
    const struct event *got = &g->last.event;
    struct client_event want;
    bool good;

    gets_event(g, gets_id(g), &want);
    good = got->id == want.event.id && got->start == want.event.start &&
           got->end == want.event.end && got->title_len == g->len &&
           memcmp(g->last.text, want.text, g->len) == 0;
    g->turn++;
    return good ? 0 : -EBADMSG;
}
