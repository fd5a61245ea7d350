/*
 * door.h - a socket's address, and a bell that rings when somebody listens
 *
 * A library with threads of its own must start them after fork: threads don't
 * survive it. So its server listens from the first srv_recv on, and clients
 * that were forked at the same time have to wait for that moment. The bell is
 * an eventfd(2) made before fork: written once and never read, it stays
 * readable for all who come.
 */
#ifndef BENCH_DOOR_H
#define BENCH_DOOR_H

#include "folder.h"
#include "transport.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SCHEME "ipc://"

struct door {
    char url[sizeof SCHEME + FOLDER_PATH_MAX];
    int bell; /* owned; -1 = none */
};

/* Before fork. 0 or -errno (opts->why). */
static inline int door_open(struct door *d, const char *name,
                            const struct tp_opts *opts)
{
    char path[FOLDER_PATH_MAX];
    int err = folder_file(path, name, opts->why, opts->why_cap);

    d->bell = -1;
    if (err)
        return err;
    (void)snprintf(d->url, sizeof d->url, SCHEME "%s", path); /* it fits */
    d->bell = eventfd(0, EFD_CLOEXEC);
    return d->bell < 0 ? -errno : 0;
}

/* The server listens: 0 or -errno. */
static inline int door_ring(const struct door *d)
{
    uint64_t one = 1;

    return write(d->bell, &one, sizeof one) < 0 ? -errno : 0;
}

/* A client waits for that, as long as opts->open_ms says. */
static inline int door_wait(const struct door *d, const struct tp_opts *opts)
{
    struct pollfd p = {.fd = d->bell, .events = POLLIN};
    int n = poll(&p, 1, opts->open_ms);

    if (n == 0)
        return tp_why(opts, -ETIMEDOUT, "the server doesn't listen");
    return n < 0 ? -errno : 0;
}

static inline void door_close(struct door *d)
{
    if (d->bell >= 0)
        (void)close(d->bell); /* nothing is lost with it */
    d->bell = -1;
}

/* Who listened removes the file; not all libraries do. */
static inline void door_remove(const struct door *d)
{
    (void)unlink(d->url + strlen(SCHEME)); /* gone already is as good */
}

#endif
