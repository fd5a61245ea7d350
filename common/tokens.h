/*
 * tokens.h - which changes were made already, by the token that each carries
 *
 * A hash table in memory; the journal is what lasts. No lock: the store's.
 */
#ifndef IPCLAB_TOKENS_H
#define IPCLAB_TOKENS_H

#include "schedule.h"

/* What became of a token. The revision that the change gave is its seq. */
struct token {
    uint64_t token; /* 0 = free place */
    uint64_t seq;
    uint32_t id;
    unsigned op : 2;   /* add, update or remove: an enum journal_op */
    unsigned sum : 30; /* of what an add asked for; 0 = not known */
};

/* Open addressing: a token stands at its hash or in the next free place. Who
 * wants all of them looks at every place. All zero: empty. */
struct tokens {
    struct token *at;
    size_t places; /* a power of two, or 0 */
    size_t count;  /* at most half of the places */
};

/* Make sure that one more token fits: 0 or -ENOMEM. */
int tokens_room(struct tokens *t);

/* After tokens_room. False: this token is known already, and stays as it is. */
bool tokens_add(struct tokens *t, const struct token *token);

/* What became of it, or NULL. */
const struct token *tokens_get(const struct tokens *t, uint64_t token);

void tokens_free(struct tokens *t);

/* A checksum (30 bits) of what an add asks for, never 0. An update needs none:
 * who repeats it may have looked at the event again, and found it changed. */
uint32_t token_sum(const struct event *ev);

#endif
