/*
 * tokens.c - see tokens.h
 */
#include "tokens.h"

#include "bytes.h"
#include "fnv.h"

#include <errno.h>
#include <stdlib.h>

/* Where `token` stands, or the free place where it would. */
static struct token *find(const struct tokens *t, uint64_t token)
{
    /* Tokens should be random, but a client may count: the product's upper
     * half depends on all bits of the token. */
    size_t i = (size_t)((token * 0x9e3779b97f4a7c15u) >> 32);

    for (i &= t->places - 1; t->at[i].token != 0; i = (i + 1) & (t->places - 1))
        if (t->at[i].token == token)
            break;
    return &t->at[i];
}

int tokens_room(struct tokens *t)
{
    struct tokens bigger = {.places = t->places > 0 ? t->places * 2 : 1024,
                            .count = t->count};

    if (t->count < t->places / 2)
        return 0;
    bigger.at = calloc(bigger.places, sizeof *bigger.at);
    if (bigger.at == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < t->places; i++) {
        if (t->at[i].token != 0)
            *find(&bigger, t->at[i].token) = t->at[i];
    }
    free(t->at);
    *t = bigger;
    return 0;
}

bool tokens_add(struct tokens *t, const struct token *token)
{
    struct token *place = find(t, token->token);

    if (place->token != 0)
        return false;
    *place = *token;
    t->count++;
    return true;
}

const struct token *tokens_get(const struct tokens *t, uint64_t token)
{
    const struct token *place = t->count > 0 ? find(t, token) : NULL;

    return place != NULL && place->token != 0 ? place : NULL;
}

void tokens_free(struct tokens *t)
{
    free(t->at);
    *t = (struct tokens){0};
}

uint32_t token_sum(const struct event *ev)
{
    uint64_t h = fnv(FNV_START, ev->title, ev->title_len);
    uint8_t times[16]; /* in one order of bytes: it is kept in the file */

    put64(times, (uint64_t)ev->start);
    put64(times + 8, (uint64_t)ev->end);
    h = fnv(h, times, sizeof times);
    h = (h ^ h >> 30 ^ h >> 60) & 0x3fffffff;
    return h != 0 ? (uint32_t)h : 1;
}
