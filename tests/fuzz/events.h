/*
 * events.h - what must hold for events that were read from somebody's file
 */
#ifndef IPCLAB_FUZZ_EVENTS_H
#define IPCLAB_FUZZ_EVENTS_H

#include "fuzz.h"

#include "exchange.h"

/* They are fit for the store, and each has a token. */
static inline void must_be_fit(const struct exchange *x)
{
    for (size_t i = 0; i < x->count; i++) {
        const struct event *ev = &x->events[i];

        MUST(strlen(ev->title) == ev->title_len);
        MUST(event_title_check(ev->title, ev->title_len) == 0);
        MUST(!event_title_blank(ev->title, ev->title_len));
        MUST(event_times_check(ev->start, ev->end) == 0);
        MUST(exchange_title_fault(ev->title) == NULL);
        MUST(exchange_times_fault(ev->start, ev->end) == NULL);
        MUST(ev->id == 0 && ev->rev == 0 && x->tokens[i] != 0);
    }
}

/* Written and read again they are the same, with the same tokens. */
static inline void must_be_same(const struct exchange *x,
                                const struct exchange *back)
{
    MUST(back->count == x->count);
    for (size_t i = 0; i < x->count; i++) {
        MUST(strcmp(back->events[i].title, x->events[i].title) == 0);
        MUST(back->events[i].start == x->events[i].start);
        MUST(back->events[i].end == x->events[i].end);
        MUST(back->tokens[i] == x->tokens[i]);
    }
}

#endif
