/*
 * api_ways.c - the ways to the store over HTTP: which there are, what each
 * costs, which one is used; and what is new
 */
#include "api_call.h"

#include "json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANGES_MS 20000 /* longest wait for a change */
#define HUNG_UP_MS 500   /* between two looks whether anybody still waits */

/* ---- all of them -------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* The nearest rank of n > 0 sorted samples. */
static uint32_t percentile(const uint32_t *sorted, size_t n, unsigned percent)
{
    return sorted[(n * percent + 99) / 100 - 1];
}

/* How many round trips there were, and the percentiles of those that are kept;
 * ns. */
static void put_samples(FILE *out, struct way *w)
{
    uint32_t ns[WAY_SAMPLES];
    uint64_t count;
    size_t n = way_samples(w, ns, WAY_SAMPLES, &count);

    fprintf(out, "\"count\": %" PRIu64, count);
    if (n == 0)
        return;
    qsort(ns, n, sizeof *ns, by_number);
    fprintf(out, ", \"p50\": %" PRIu32 ", \"p99\": %" PRIu32,
            percentile(ns, n, 50), percentile(ns, n, 99));
}

static void put_way(FILE *out, struct way *w)
{
    char why[WAY_WHY_MAX];

    way_state(w, why);
    fprintf(out, "{\"name\": \"%s\", \"blurb\": ", w->t->name);
    reply_string(out, w->t->blurb);
    fprintf(out, ", \"usable\": %s, \"why\": ", why[0] ? "false" : "true");
    reply_string(out, why);
    fputs(", ", out);
    put_samples(out, w);
    fputc('}', out);
}

void get_transports(struct call *c)
{
    struct api *a = c->a;
    FILE *out = c->reply->out;
    struct sight sight;

    watch_see(&a->watch, &sight);
    fputs("{\"command\": ", out);
    reply_string(out, a->command);
    fprintf(out,
            ", \"gateway\": %ld, \"store\": %ld, \"current\": \"%s\", "
            "\"ways\": [",
            (long)getpid(), sight.pid,
            a->ways[atomic_load(&a->current)].t->name);
    for (size_t i = 0; i < a->count; i++) {
        fputs(i ? ", " : "", out);
        put_way(out, &a->ways[i]);
    }
    fputs("]}", out);
}

/* ---- one ---------------------------------------------------------------- */

static struct way *find_way(struct api *a, const char *name)
{
    for (size_t i = 0; i < a->count; i++)
        if (!strcmp(a->ways[i].t->name, name))
            return &a->ways[i];
    return NULL;
}

static int ask_ping(struct client *c, void *arg)
{
    (void)arg;
    return client_ping(c);
}

/* It must carry a message before it is chosen. That isn't one of its samples:
 * it may have been opened for it. */
void put_transport(struct call *c)
{
    const char *name;
    struct way *w;
    int result;

    if (!call_string(c, "name", &name))
        return;
    w = find_way(c->a, name);
    if (!w) {
        call_refuse(c, REPLY_NO_SUCH_TRANSPORT, "name", NULL);
        return;
    }
    result = way_ask(w, ask_ping, NULL, NULL, c->refusal);
    if (result != 0) {
        call_fail(c, result);
        return;
    }
    atomic_store(&c->a->current, (size_t)(w - c->a->ways));
    get_transports(c);
}

void get_ping(struct call *c)
{
    const char *via = call_query(c, "via");
    int result;

    if (via)
        c->way = find_way(c->a, via);
    if (!c->way) {
        call_refuse(c, REPLY_NO_SUCH_TRANSPORT, "via", NULL);
        return;
    }
    result = call_ask(c, ask_ping, NULL);
    if (result != 0) {
        call_fail(c, result);
        return;
    }
    fputc('{', c->reply->out);
    call_put_journey(c);
}

/* ---- news --------------------------------------------------------------- */

static bool query_flag(const struct call *c, const char *name, bool usual,
                       bool *v)
{
    const char *text = call_query(c, name);

    *v = text ? !strcmp(text, "true") : usual;
    return !text || *v || !strcmp(text, "false") ||
           call_refuse(c, REPLY_BAD_FLAG, name, NULL);
}

/* Closed at the other end, or at least nothing more will come from there. */
static bool hung_up(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Who hung up gives the connection back early: there are not many. */
void get_changes(struct call *c)
{
    FILE *out = c->reply->out;
    struct sight known = {0}, sight;

    if (!call_query_number(c, "rev", 0, &known.rev) ||
        !query_flag(c, "up", true, &known.up))
        return;
    for (int ms = 0; ms < CHANGES_MS; ms += HUNG_UP_MS)
        if (watch_wait(&c->a->watch, &known, HUNG_UP_MS, &sight) ||
            hung_up(c->rq->fd))
            break;
    fprintf(out, "{\"rev\": %" PRIu64 ", \"up\": %s, \"pid\": %ld, \"why\": ",
            sight.rev, sight.up ? "true" : "false", sight.pid);
    reply_string(out, sight.why);
    fputc('}', out);
}
