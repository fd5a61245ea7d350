/*
 * peer.h - what people would use instead, measured like the lab
 *
 * A peer is a small shared object, build/peers/NAME.so, made only where its
 * library is installed (make deps-peers) and loaded only when it is measured:
 * neither the lab nor this benchmark depends on any of them. Each exports one
 * `const struct peer peer`. It gives either a transport, and then the lab's
 * own client, codec, server and store work over it as over the five; or,
 * where there is no such thing as a request to carry (SQLite, a file), a
 * subject of its own that gets the same events.
 *
 * A peer may call what common/ and bench/ declare: ipcbench exports it.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "case.h"

struct peer {
    const char *name;  /* "tcp": as on the command line */
    const char *blurb; /* one line for people: what it is, and which version */
    const struct transport *transport; /* one of these two */
    const struct subject *subject;
};

/* All names, ended by NULL, whether they are there or not. */
extern const char *const peer_names[];

/* Load it: NULL with a sentence in why[cap] when it isn't there ("skipped:
 * no libzmq; make deps-peers installs it"). Loaded once, kept for good. */
const struct peer *peer_find(const char *name, char *why, size_t cap);

/* The payload of event `id` in a store of the benchmark, as every subject
 * that answers OP_GET must give it: `len` bytes of title into title[len + 1],
 * and its times. `pattern` is pattern_new's. */
void bench_event(const char *pattern, uint32_t id, size_t len, char *title,
                 int64_t *start, int64_t *end);

#endif
