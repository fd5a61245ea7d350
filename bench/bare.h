/*
 * bare.h - the floor: each mechanism's smallest ping-pong
 *
 * The same bytes each way, written by the sender and checked by the receiver
 * on both sides, and nothing else: no frame, no slots, no deadlines, no line
 * of the lab's code. What the lab costs above this is the lab's own.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stdbool.h>

/* Is there a bare form of this mechanism? */
bool bare_exists(const char *transport);

#endif
