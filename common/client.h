/*
 * client.h - the store's calls, over any transport
 *
 * Each call sends one request and waits for its reply. Every function returns
 *      0              done
 *      < 0            -errno of the transport (transport.h, section 2); after
 *                     -ETIMEDOUT and -EPIPE it isn't known whether a change
 *                     was made: repeat it with the same token to find out
 *      > 0            an enum wire_status: the server's refusal
 */
#ifndef IPCLAB_CLIENT_H
#define IPCLAB_CLIENT_H

#include "transport.h"
#include "wire.h"

struct client {
    struct tp_client *conn;
    int ms;       /* deadline of a whole call, milliseconds; -1 = none */
    bool stamps;  /* ask for time stamps */
    uint64_t tag; /* of the last request */
    uint64_t rev; /* the store's, from the last reply */
    struct wire_stamps last; /* of the last reply, if asked for */
    char refusal[256];       /* the server's sentence after a result > 0 */
    uint8_t *buf;            /* conn->max_msg bytes: the last message */
};

/* An event with room for its title: event.title points to `text`. */
struct client_event {
    struct event event;
    char text[EVENT_TITLE_MAX + 1];
};

/* Open a connection; `ms` for each later call. 0 or -errno (opts->why). */
int client_open(struct client *c, const struct transport *t,
                const struct tp_opts *opts, int ms);
void client_close(struct client *c); /* also after a failed open */

/* A token that nobody else has: 64 random bits, never 0. */
uint64_t client_token(void);

int client_ping(struct client *c);
/* Send `len` bytes; the reply's payload must be the same: else -EPROTO. */
int client_echo(struct client *c, const void *bytes, size_t len);
/* ev->title, start, end are sent; *id and *rev (may be NULL) are the result. */
int client_add(struct client *c, uint64_t token, const struct event *ev,
               uint32_t *id, uint64_t *rev);
int client_get(struct client *c, uint32_t id, struct client_event *out);
/* Replaces title, start, end of ev->id; `expect` 0 = any revision. */
int client_update(struct client *c, uint64_t token, const struct event *ev,
                  uint64_t expect, uint64_t *rev);
int client_remove(struct client *c, uint64_t token, uint32_t id,
                  uint64_t expect, uint64_t *rev);
/* Visit all events that overlap [from, to), page by page; `visit` returns
 * false to stop. ev is valid during the call. */
int client_list(struct client *c, int64_t from, int64_t to,
                schedule_visit *visit, void *arg);
/* Visit all events that overlap event `id`, without itself. */
int client_conflicts(struct client *c, uint32_t id, schedule_visit *visit,
                     void *arg);
int client_stats(struct client *c, struct wire_stats *out);

#endif
