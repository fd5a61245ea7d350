/*
 * fuzz_client.c - what a client makes of replies (common/client.c)
 *
 * The first byte chooses the call, the rest is what a server that has gone mad
 * answers. Whatever that is: the call ends, what it hands out is well formed,
 * and nothing is read beyond the reply.
 */
#include "fuzz.h"

#include "bytes.h"
#include "client.h"

#include <errno.h>
#include <stdlib.h>

#define MESSAGE 512 /* max_msg: less than an input may have */

/* ---- a connection whose other end is the input ------------------------------ */

struct fake {
    struct tp_client base;
    struct supply in;
    uint8_t op; /* of the request that was sent last */
    uint64_t tag;
    size_t body; /* bytes of the last reply's body */
    size_t seen; /* bytes of those that were handed to visit */
};

static struct supply answers; /* for the next connection */

static int fake_open(struct tp_client **out, const struct tp_opts *opts)
{
    struct fake *f = calloc(1, sizeof *f);

    (void)opts;
    MUST(f != NULL);
    f->in = answers;
    f->base.max_msg = MESSAGE;
    f->base.depth = 1;
    *out = &f->base;
    return 0;
}

static int fake_send(struct tp_client *cli, const void *buf, size_t len, int ms)
{
    struct fake *f = (struct fake *)cli;
    struct wire_request rq;

    (void)ms;
    MUST(wire_get_request(&rq, buf, len) == WIRE_OK);
    f->op = rq.op;
    f->tag = rq.tag;
    return 0;
}

/* As a rule the head is right, or no reply would get far. */
static ssize_t fake_recv(struct tp_client *cli, void *buf, size_t cap, int ms)
{
    struct fake *f = (struct fake *)cli;
    unsigned how = supply_byte(&f->in);
    size_t len, want = supply_number(&f->in, 2) % (MESSAGE + 1);
    const uint8_t *bytes = supply_bytes(&f->in, want, &len);
    uint8_t *p = buf;

    (void)ms;
    MUST(len <= cap);
    if (len == 0)
        return 0; /* the server left */
    memcpy(p, bytes, len);
    if (how < 0xe0 && len >= WIRE_REPLY_MIN) {
        p[0] = WIRE_VERSION;
        p[1] = f->op;
        p[2] = how & 1 ? p[2] : WIRE_OK;
        p[3] = how & 2 ? WIRE_MORE : 0;
        put64(p + 4, f->tag - (how >> 2 & 1));
    }
    f->seen = 0;
    f->body = len - (len < WIRE_REPLY_MIN ? len : WIRE_REPLY_MIN);
    if (len >= WIRE_REPLY_MIN && p[3] & WIRE_HAS_STAMPS)
        f->body -= f->body < WIRE_STAMPS_SIZE ? f->body : WIRE_STAMPS_SIZE;
    return (ssize_t)len;
}

static void fake_close(struct tp_client *cli)
{
    free(cli);
}

static const struct transport fake = {.name = "fake",
                                      .max_msg = MESSAGE,
                                      .usual_msg = MESSAGE,
                                      .max_depth = 1,
                                      .cli_open = fake_open,
                                      .cli_send = fake_send,
                                      .cli_recv = fake_recv,
                                      .cli_close = fake_close};

/* ---- the calls -------------------------------------------------------------- */

static void check_event(const struct event *ev)
{
    MUST(ev->title_len > 0 && strlen(ev->title) == ev->title_len);
}

/* Stops at event 7. */
static bool visit(const struct event *ev, void *arg)
{
    struct fake *f = arg;

    check_event(ev);
    f->seen += WIRE_EVENT_MIN + (size_t)ev->title_len;
    if (ev->id != 7)
        return true;
    f->seen = f->body - 4; /* what follows needn't be looked at */
    return false;
}

/* One call. After a 0, *body is the length that the reply's body must have had:
 * of what was accepted nothing is left over. */
static int call(struct client *c, unsigned which, size_t *body)
{
    struct fake *f = (struct fake *)c->conn;
    struct event ev = {.id = 3, .title = "IPC", .start = 0, .end = 1};
    struct client_event got;
    struct wire_stats stats;
    uint32_t id = 0;
    uint64_t rev = 0;
    int err;

    *body = 12;
    switch (which % 9) {
    case 0: *body = 0; return client_ping(c);
    case 1: *body = which / 9 % 11; return client_echo(c, "0123456789", *body);
    case 2: return client_add(c, 5, &ev, &id, &rev);
    case 3: return client_update(c, 5, &ev, 0, &rev);
    case 4: return client_remove(c, 5, 3, 0, &rev);
    case 5: err = client_list(c, 0, 9, visit, f); break;
    case 6: err = client_conflicts(c, 3, visit, f); break;
    case 7:
        err = client_stats(c, &stats);
        *body = 4 + (f->body - 4) / 8 * 8;
        return err;
    default:
        err = client_get(c, 3, &got);
        if (err == 0) {
            check_event(&got.event);
            f->seen = WIRE_EVENT_MIN + (size_t)got.event.title_len - 4;
        }
    }
    *body = 4 + f->seen;
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct supply in = {data, data + size};
    unsigned which = supply_byte(&in);
    struct tp_opts opts = {0};
    struct client c;

    answers = in;
    MUST(client_open(&c, &fake, &opts, -1) == 0);
    c.stamps = which >= 128;
    for (int i = 0; i < 4; i++) {
        size_t body;
        int err = call(&c, which, &body);

        MUST(err == 0 || err == -EPROTO || err == -EPIPE ||
             (err > 0 && err <= UINT8_MAX));
        MUST(memchr(c.refusal, '\0', sizeof c.refusal) != NULL);
        MUST(err > 0 || c.refusal[0] == '\0');
        MUST(err != 0 || body == ((struct fake *)c.conn)->body);
    }
    client_close(&c);
    return 0;
}
