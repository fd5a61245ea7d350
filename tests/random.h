/*
 * random.h - numbers that look random, and are the same in every run
 */
#ifndef IPCLAB_RANDOM_H
#define IPCLAB_RANDOM_H

#include <stdint.h>

#define RANDOM_SEED UINT64_C(88172645463325252) /* as good as any but 0 */

/* xorshift64: the next one. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
