/*
 * peer.c - see peer.h
 *
 * Rests on: dlopen(3), dlsym(3), and the link /proc/self/exe, which says where
 * this program is, and so where its peers are.
 */
#include "peer.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *const peer_names[] = {"tcp",    "zmq",  "nng", "redis",
                                  "sqlite", "file", NULL};

/* What each is made with; NULL: nothing that could be missing. */
static const char *const libraries[] = {NULL,      "libzmq", "libnng",
                                        "hiredis", "sqlite", NULL};

#define PEERS (sizeof libraries / sizeof libraries[0])

/* Beside ipcbench; where `make install` puts them; and for the tests. */
static const char *const places[] = {"peers", "../lib/ipclab/peers",
                                     "../peers"};

/* dlopen what is there. NULL, and *found false, when nothing is. */
static void *load(const char *name, bool *found)
{
    char dir[400], path[sizeof dir + 60];
    ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);
    char *slash;

    *found = false;
    if (n < 0)
        return NULL;
    dir[n] = '\0';
    slash = strrchr(dir, '/'); /* it is an absolute path */
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s/%s.so", dir, places[i], name);
        *found = access(path, F_OK) == 0;
        if (*found)
            return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    return NULL;
}

static const struct peer *find(size_t i, char *why, size_t cap)
{
    const char *name = peer_names[i];
    const struct peer *peer = NULL;
    bool found;
    void *handle = load(name, &found);

    if (handle)
        peer = dlsym(handle, "peer");
    if (peer)
        return peer;
    if (found)
        (void)snprintf(why, cap, "skipped: %s", dlerror());
    else if (libraries[i])
        (void)snprintf(why, cap,
                       "skipped: no %s; make deps-peers installs it, make "
                       "peers builds with it",
                       libraries[i]);
    else
        (void)snprintf(why, cap, "skipped: not built; type: make peers");
    return NULL;
}

const struct peer *peer_find(const char *name, char *why, size_t cap)
{
    static const struct peer *loaded[PEERS];

    for (size_t i = 0; i < PEERS; i++)
        if (strcmp(peer_names[i], name) == 0) {
            if (!loaded[i])
                loaded[i] = find(i, why, cap);
            return loaded[i];
        }
    (void)snprintf(why, cap, "there is no peer '%s'", name);
    return NULL;
}
