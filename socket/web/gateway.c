/*
 * gateway.c - see gateway.h
 *
 * libmicrohttpd calls answer() for each request: first with its head, then with
 * each piece of its body, then once more with none. A refusal is queued at the
 * first call already: the body of a request that may not come in isn't read.
 *
 * What isn't HTTP at all the library refuses by itself, with a page of its own
 * and the end of the connection; we never see it.
 *
 * Rests on: libmicrohttpd(3), socket(7), ip(7).
 */
#include "gateway.h"

#include "clock.h"
#include "guests.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS_MAX   64    /* headers of a request, and parameters */
#define HEAD_MEMORY 32768 /* bytes: line and headers; more is 431 */
#define IDLE_S      30    /* between two requests of a connection */

/* A request, from its first line to its answer. */
struct visit {
    size_t target;  /* bytes of it, as it came */
    uint64_t begun; /* when it was let in, CLOCK_MONOTONIC ns; 0 = not yet */
    char *body;     /* room for `cap` bytes */
    size_t len, cap;
};

struct gateway {
    struct gateway_opts o;
    struct MHD_Daemon *daemon;
    struct guests guests;
};

/* ---- answers ------------------------------------------------------------ */

/* What every answer says: nobody frames, guesses, keeps or sends on anything,
 * and the page runs no code but its own files. */
static void add_safety(struct MHD_Response *r, const char *keep)
{
    static const char *const headers[][2] = {
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; "
         "connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
         "form-action 'none'; frame-ancestors 'none'; "
         "require-trusted-types-for 'script'; trusted-types 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Permissions-Policy", "camera=(), geolocation=(), microphone=()"},
    };

    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        (void)MHD_add_response_header(r, headers[i][0], headers[i][1]);
    (void)MHD_add_response_header(r, "Cache-Control", keep);
}

/* What this very answer says besides. */
static void add_headers(struct MHD_Response *r, const struct reply *reply,
                        const char *allow)
{
    char text[100];

    add_safety(r, "no-store");
    (void)MHD_add_response_header(
        r, "Content-Type", reply->type ? reply->type : "application/json");
    if (reply->name) {
        (void)snprintf(text, sizeof text, "attachment; filename=\"%s\"",
                       reply->name);
        (void)MHD_add_response_header(r, "Content-Disposition", text);
    }
    if (reply->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(r, "Allow", allow);
    if (reply->status == MHD_HTTP_UNAUTHORIZED)
        (void)MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
}

/* Queue it; the body becomes the library's. */
static enum MHD_Result send_reply(struct MHD_Connection *c,
                                  const struct reply *reply, const char *allow)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(
        reply->len, reply->body, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result;

    if (!r) {
        free(reply->body);
        return MHD_NO; /* closes the connection */
    }
    add_headers(r, reply, allow);
    result = MHD_queue_response(c, (unsigned)reply->status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *c, enum refusal why,
                              const struct door_path *path)
{
    struct reply reply = {0};

    if (reply_open(&reply)) {
        reply_error(&reply, why, NULL, NULL);
        reply_close(&reply);
    }
    return send_reply(c, &reply, path ? path->methods : "");
}

/* The page's scripts import each other: named here, a browser asks for all of
 * them at once, and not for one after another (RFC 8288, rel=modulepreload). */
static void add_scripts(struct MHD_Response *r, const struct shelf *s)
{
    char text[100];

    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->file[i].type, SHELF_SCRIPT) != 0)
            continue;
        (void)snprintf(text, sizeof text, "<%s>; rel=modulepreload",
                       s->file[i].path);
        (void)MHD_add_response_header(r, "Link", text);
    }
}

static enum MHD_Result send_file(struct MHD_Connection *c,
                                 const struct shelf *s,
                                 const struct shelf_file *f)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(
        f->len, f->bytes, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result;

    if (!r)
        return MHD_NO; /* closes the connection */
    add_safety(r, "no-cache");
    (void)MHD_add_response_header(r, "Content-Type", f->type);
    if (!strcmp(f->path, "/"))
        add_scripts(r, s);
    result = MHD_queue_response(c, MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return result;
}

/* ---- requests ----------------------------------------------------------- */

struct pairs {
    struct door_pair at[PAIRS_MAX];
    size_t count;
};

static enum MHD_Result collect(void *arg, enum MHD_ValueKind kind,
                               const char *name, const char *value)
{
    struct pairs *p = arg;

    (void)kind;
    if (p->count == PAIRS_MAX)
        return MHD_NO;
    p->at[p->count++] = (struct door_pair){name, value};
    return MHD_YES;
}

/* False: there are more. Names and values are the library's, until the request
 * is completed. */
static bool collect_all(struct MHD_Connection *c, enum MHD_ValueKind kind,
                        struct pairs *p)
{
    p->count = 0;
    return MHD_get_connection_values(c, kind, collect, p) <= PAIRS_MAX;
}

static void visit_free(struct visit *v)
{
    if (!v)
        return;
    free(v->body);
    free(v);
}

/* Let it in, with so long a body. False without memory. */
static bool visit_begin(struct visit *v, size_t cap)
{
    v->begun = (uint64_t)clock_now_ns();
    v->cap = cap;
    v->body = malloc(cap + 1); /* of 0 bytes it may give NULL */
    return v->body != NULL;
}

/* Bytes of the head, with its empty line. */
static size_t head_size(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

    return info ? info->header_size : 0;
}

/* The head is there: refused, or let in. */
static enum MHD_Result enter(struct gateway *g, struct MHD_Connection *c,
                             const char *path, const char *method,
                             struct visit *v)
{
    struct pairs headers, query;
    struct door_request rq = {.method = method,
                              .path = path,
                              .target = v->target,
                              .size = head_size(c)};
    const struct door_path *takes;
    enum refusal why;

    if (!collect_all(c, MHD_HEADER_KIND, &headers) ||
        !collect_all(c, MHD_GET_ARGUMENT_KIND, &query))
        return refuse(c, REPLY_TOO_MANY_FIELDS, NULL);
    rq.headers = (struct door_pairs){headers.at, headers.count};
    rq.query = (struct door_pairs){query.at, query.count};
    takes = shelf_find(g->o.shelf, path) ? &shelf_takes : api_path(path);
    why = door_look(g->o.door, &rq);
    if (why == REPLY_OK)
        why = door_enter(g->o.door, &rq, takes);
    if (why != REPLY_OK)
        return refuse(c, why, takes);
    /* No memory: closes the connection. */
    return visit_begin(v, door_length(&rq)) ? MHD_YES : MHD_NO;
}

static int fd_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info ? info->connect_fd : -1;
}

static enum MHD_Result send_answer(struct gateway *g, struct MHD_Connection *c,
                                   const char *path, const char *method,
                                   const struct visit *v)
{
    struct pairs query;
    struct api_request rq = {.method = method,
                             .path = path,
                             .body = v->body,
                             .len = v->len,
                             .begun = v->begun,
                             .fd = fd_of(c)};
    struct reply reply;
    const struct shelf_file *f = shelf_find(g->o.shelf, path);

    if (f)
        return send_file(c, g->o.shelf, f);
    (void)collect_all(c, MHD_GET_ARGUMENT_KIND, &query); /* enter has, too */
    rq.query = (struct door_pairs){query.at, query.count};
    api_answer(g->o.api, &rq, &reply);
    return send_reply(c, &reply, NULL);
}

static struct guest *guest_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *c,
                              const char *path, const char *method,
                              const char *version, const char *piece,
                              size_t *len, void **state)
{
    struct gateway *g = arg;
    struct visit *v = *state;
    enum MHD_Result result;

    (void)version;
    if (!v)
        return MHD_NO; /* begins() had no memory */
    if (!v->begun)
        return enter(g, c, path, method, v);
    if (*len > 0) {
        if (*len > v->cap - v->len)
            return MHD_NO; /* more than was announced */
        memcpy(v->body + v->len, piece, *len);
        v->len += *len;
        *len = 0;
        return MHD_YES;
    }
    guest_has(&g->guests, guest_of(c), 0); /* now it waits for us */
    result = send_answer(g, c, path, method, v);
    guest_has(&g->guests, guest_of(c), GATEWAY_PATIENCE_MS);
    return result;
}

static void completed(void *arg, struct MHD_Connection *c, void **state,
                      enum MHD_RequestTerminationCode how)
{
    struct gateway *g = arg;

    (void)how;
    visit_free(*state);
    *state = NULL;
    guest_has(&g->guests, guest_of(c), IDLE_S * 1000); /* the next one */
}

/* A request's first line is there: the rest has as long as a whole one. Gives
 * answer()'s state. */
static void *begins(void *arg, const char *target, struct MHD_Connection *c)
{
    struct gateway *g = arg;
    struct visit *v = calloc(1, sizeof *v);

    guest_has(&g->guests, guest_of(c), GATEWAY_PATIENCE_MS);
    if (v)
        v->target = strlen(target);
    return v;
}

/* An encoded NUL would cut the path short before anybody could see it: it
 * becomes a character that door.c refuses. */
static size_t decode(void *arg, struct MHD_Connection *c, char *text)
{
    (void)arg, (void)c;
    for (char *at = text; (at = strstr(at, "%00"));)
        memcpy(at, "%01", 3);
    return MHD_http_unescape(text);
}

static void come_and_go(void *arg, struct MHD_Connection *c, void **context,
                        enum MHD_ConnectionNotificationCode code)
{
    struct gateway *g = arg;
    int fd = fd_of(c);

    if (code == MHD_CONNECTION_NOTIFY_CLOSED)
        guest_leaves(&g->guests, *context);
    else if (fd >= 0)
        *context = guest_comes(&g->guests, fd, GATEWAY_PATIENCE_MS);
}

/* ---- life --------------------------------------------------------------- */

int gateway_listen(unsigned *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)*port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int one = 1, err, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        return -errno;
    /* The port of a gateway that has just ended is free at once. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
        listen(fd, GATEWAY_CONNECTIONS) == 0 &&
        getsockname(fd, (struct sockaddr *)&at, &len) == 0) {
        *port = ntohs(at.sin_port);
        return fd;
    }
    err = -errno;
    (void)close(fd); /* it never listened */
    return err;
}

static struct MHD_Daemon *start_daemon(struct gateway *g)
{
    return MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
            MHD_USE_ITC,
        0, NULL, NULL, answer, g,                                /**/
        MHD_OPTION_LISTEN_SOCKET, g->o.listener,                 /**/
        MHD_OPTION_CONNECTION_LIMIT, GATEWAY_CONNECTIONS,        /**/
        MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,                   /**/
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MEMORY, /**/
        MHD_OPTION_STRICT_FOR_CLIENT, 1,                         /**/
        MHD_OPTION_URI_LOG_CALLBACK, begins, g,                  /**/
        MHD_OPTION_NOTIFY_COMPLETED, completed, g,               /**/
        MHD_OPTION_NOTIFY_CONNECTION, come_and_go, g,            /**/
        MHD_OPTION_UNESCAPE_CALLBACK, decode, g,                 /**/
        MHD_OPTION_END);
}

int gateway_start(struct gateway **out, const struct gateway_opts *opts)
{
    struct gateway *g = calloc(1, sizeof *g);
    int err = -ENOMEM;

    if (!g)
        goto close_listener;
    g->o = *opts;
    err = guests_start(&g->guests);
    if (err < 0)
        goto free_gateway;
    errno = 0; /* the library doesn't always say why */
    g->daemon = start_daemon(g);
    if (g->daemon) {
        *out = g;
        return 0;
    }
    err = errno ? -errno : -EIO;
    guests_stop(&g->guests);
free_gateway:
    free(g);
close_listener:
    (void)close(opts->listener); /* nobody has been answered */
    return err;
}

void gateway_stop(struct gateway *g)
{
    if (!g)
        return;
    MHD_stop_daemon(g->daemon); /* closes the listener, too */
    guests_stop(&g->guests);
    free(g);
}
