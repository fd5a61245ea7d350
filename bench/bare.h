/*
 * bare.h - the floor: each mechanism's smallest ping-pong
 *
 * The same bytes each way, written by the sender and checked by the receiver
 * on both sides, and nothing else: no frame, no slots, no deadlines, no line
 * of the lab's code. What the lab costs above this is the lab's own.
 *
 * Alone, both sides of it are played by one process: the same calls in the
 * same order, but every message is there before it is asked for. So nobody is
 * woken, and what is missing from the round trip is the price of waking. For
 * shared memory, whose semaphores enter the kernel only to wake or to wait,
 * the four futex calls are made all the same.
 *
 * The mechanism "eventfd" carries a token of 8 bytes and nothing else, and
 * belongs to no transport: it measures waking up by itself.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stdbool.h>
#include <stddef.h>

#define BARE_TOKEN      "eventfd"
#define BARE_TOKEN_SIZE 8

/* Is there a bare form of this mechanism? */
bool bare_exists(const char *transport);

#endif
