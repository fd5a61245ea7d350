/*
 * redis.c - peer: Redis over a UNIX socket
 *
 * What people use when several programs must share data that has to be found
 * fast: a server that is there already, a client library for every language,
 * and nothing to write oneself. Its price: a server that knows everything, and
 * a text protocol (RESP) that is put together and taken apart each time.
 *
 *      client                                     redis-server
 *      GET 00000017  ------ UNIX socket ------->  hash table
 *                    <----- the lab's reply ----  "00000017" -> bytes
 *
 * The benchmark starts a server of its own, which listens on a file in our
 * folder only and keeps nothing on disk; one that runs on this machine anyway
 * isn't touched. The first client fills it: under each key lies the reply that
 * the lab's server would send, byte by byte, so both clients have the same to
 * decode. What differs: nothing is encoded by the server, and the request has
 * its own form: 27 bytes there; the reply's bytes and 8 more back ("$128\r\n"
 * and "\r\n").
 *
 * System calls: in the client what hiredis makes, write and read; the server
 * is execve'd in the server process, so its PID, CPU and alarm stay.
 */
#include "folder.h"
#include "gets.h"

#include "clock.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define START_MS 2000 /* the server may take so long to listen */
#define BATCH    256  /* SETs under way while the first client fills it */
#define KEY      "%08u"

struct redis {
    struct gets gets;
    char program[256];
    char dir[FOLDER_PATH_MAX], socket[FOLDER_PATH_MAX];
    redisContext *conn; /* a client's; owned */
};

/*
 * Debian's redis-tools has the server under the name redis-check-rdb: it is
 * one program, which looks at its argv[0] to know what it is. So the package
 * redis-server, which would start a service, isn't needed.
 */
static int find_program(char path[256])
{
    static const char *const names[] = {"redis-server", "redis-check-rdb"};
    const char *all = getenv("PATH");

    for (size_t i = 0; all && i < sizeof names / sizeof names[0]; i++)
        for (const char *at = all; *at; at += strspn(at, ":")) {
            int len = (int)strcspn(at, ":");

            if (snprintf(path, 256, "%.*s/%s", len, at, names[i]) < 256 &&
                access(path, X_OK) == 0)
                return 0;
            at += len;
        }
    return -ENOSYS;
}

static void redis_drop(void *self)
{
    struct redis *r = self;

    gets_free(&r->gets);
    free(r);
}

static int redis_prepare(void **self, const struct conditions *c, char *why)
{
    struct redis *r = calloc(1, sizeof *r);
    int err;

    if (!r)
        return -ENOMEM;
    err = gets_init(&r->gets, c, why);
    if (!err) {
        err = find_program(r->program);
        if (err)
            (void)snprintf(why, CASE_WHY_MAX,
                           "skipped: no redis-server in PATH; make deps-peers "
                           "installs it");
    }
    if (!err)
        err = folder_file(r->socket, "redis", why, CASE_WHY_MAX);
    if (!err) {
        size_t len = (size_t)(strrchr(r->socket, '/') - r->socket);

        memcpy(r->dir, r->socket, len); /* the rest is zero: calloc */
        *self = r;
    } else {
        redis_drop(r);
    }
    return err;
}

/* ---- server ------------------------------------------------------------- */

/* It ends by SIGTERM, or when the last client says so, and removes its socket
 * itself. Comes back only when it can't be started. */
static int redis_serve(void *self, const atomic_bool *stop)
{
    struct redis *r = self;
    /* execv(3) takes them without const, and changes none. */
    const char *const args[] = {
        "redis-server", "--port",       "0",       "--unixsocket",
        r->socket,      "--save",       "",        "--appendonly",
        "no",           "--dir",        r->dir,    "--logfile",
        "/dev/null",    "--loglevel",   "warning", "--daemonize",
        "no",           "--supervised", "no",      NULL};
    char *argv[sizeof args / sizeof args[0]];

    if (atomic_load(stop)) /* from here on a SIGTERM ends it anyway */
        return 0;
    memcpy(argv, args, sizeof argv);
    (void)execv(r->program, argv); /* it only returns to fail */
    return -errno;
}

/* ---- client ------------------------------------------------------------- */

/* The server tells nobody that it listens now, so we try until it does. */
static int connect_to(struct redis *r)
{
    int64_t end = clock_now_ns() + (int64_t)START_MS * 1000000;

    do {
        r->conn = redisConnectUnix(r->socket);
        if (r->conn && !r->conn->err)
            return 0;
        redisFree(r->conn); /* takes NULL */
        r->conn = NULL;
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); /* or
                                                                a signal */
    } while (clock_now_ns() < end);
    return -ETIMEDOUT;
}

/* As the lab's server would answer, with the id for a tag. */
static int put_event(struct redis *r, uint32_t id)
{
    struct wire_request rq = {.op = WIRE_GET, .tag = id, .id = id};
    uint8_t reply[WIRE_MESSAGE_MIN];
    struct client_event ev;
    struct wire_writer w;
    size_t len;

    gets_event(&r->gets, id, &ev);
    if (!wire_start_reply(&w, reply, sizeof reply, &rq) ||
        !wire_add_event(&w, &ev.event))
        return -EMSGSIZE;
    len = wire_finish_reply(&w, WIRE_OK, false, r->gets.c.events);
    return redisAppendCommand(r->conn, "SET " KEY " %b", id, reply, len) ==
                   REDIS_OK
               ? 0
               : -ENOMEM;
}

static int fill(struct redis *r)
{
    uint32_t events = r->gets.c.events, put = 0, kept = 0;
    int err = 0;

    while (!err && kept < events) {
        void *reply = NULL;

        while (!err && put < events && put - kept < BATCH)
            err = put_event(r, ++put);
        if (!err && redisGetReply(r->conn, &reply) != REDIS_OK)
            err = -EPIPE;
        if (!err && ((redisReply *)reply)->type != REDIS_REPLY_STATUS)
            err = -EPROTO;
        freeReplyObject(reply); /* takes NULL */
        kept++;
    }
    return err;
}

static int redis_join(void *self, unsigned index, char *why)
{
    struct redis *r = self;
    int err = connect_to(r);

    if (!err && index == 0)
        err = fill(r);
    if (err)
        (void)snprintf(why, CASE_WHY_MAX, "'%.100s' %s", r->program,
                       r->conn ? "doesn't keep the events"
                               : "doesn't listen on its socket");
    gets_join(&r->gets, index);
    return err;
}

static int decode(const redisReply *reply, struct client_event *out)
{
    struct wire_reply rp;
    struct wire_reader rd;

    if (reply->type != REDIS_REPLY_STRING ||
        wire_get_reply(&rp, reply->str, reply->len) < 0 || rp.status != WIRE_OK)
        return -EBADMSG;
    rd = (struct wire_reader){rp.body, rp.body + rp.body_len};
    return wire_read_event(&rd, &out->event, out->text) && rd.at == rd.end
               ? 0
               : -EBADMSG;
}

static int redis_call(void *self)
{
    struct redis *r = self;
    redisReply *reply = redisCommand(r->conn, "GET " KEY, gets_id(&r->gets));
    int err = reply ? decode(reply, &r->gets.last) : -EPIPE;

    freeReplyObject(reply); /* takes NULL */
    return err;
}

static int redis_check(void *self)
{
    struct redis *r = self;

    return gets_check(&r->gets);
}

static void redis_leave(void *self, pid_t server)
{
    struct redis *r = self;

    if (server) /* at once; after SIGTERM it takes up to 100 ms */
        freeReplyObject(redisCommand(r->conn, "SHUTDOWN NOSAVE"));
    redisFree(r->conn);
    r->conn = NULL;
}

/* ---- the table ---------------------------------------------------------- */

static const struct subject redis_subject = {.prepare = redis_prepare,
                                             .serve = redis_serve,
                                             .join = redis_join,
                                             .call = redis_call,
                                             .check = redis_check,
                                             .leave = redis_leave,
                                             .drop = redis_drop};

#define TEXT(n) #n
#define PART(n) TEXT(n)
#define VERSION                                                                \
    PART(HIREDIS_MAJOR) "." PART(HIREDIS_MINOR) "." PART(HIREDIS_PATCH)

const struct peer peer = {
    .name = "redis",
    .blurb = "Redis GET over a UNIX socket, hiredis " VERSION
             ": 27 bytes there, the reply's and 8 back",
    .subject = &redis_subject,
};
