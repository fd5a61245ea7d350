/*
 * gateway.c - see gateway.h
 *
 * libmicrohttpd calls answer() for each request: first with its head, then with
 * each piece of its body, then once more with none. A refusal is queued at the
 * first call already: the body of a request that may not come in isn't read.
 *
 * Its own limits are one for idleness: a client that sends a byte now and then
 * is never idle. So each connection is a guest with a time by which its
 * request must be there; a thread of ours shuts the late ones' sockets down.
 */
#include "gateway.h"

#include "clock.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEADERS_MAX 64
#define HEAD_MEMORY 32768 /* bytes: line and headers; more is 431 */
#define IDLE_S      30    /* between two requests of a connection */
#define LOOK_MS     250
#define NS_PER_MS   1000000
#define METHOD_MAX  8

/* A connection. */
struct guest {
    struct guest *next, **at; /* the list, under the gateway's lock */
    int fd;
    int64_t late; /* when its request must be there, ns; 0 = none is begun */
};

/* A request, from its head to its answer. */
struct visit {
    char method[METHOD_MAX];
    char *path;
    bool calendar;
    uint64_t begun;
    char *body; /* `cap` bytes */
    size_t len, cap;
};

struct gateway {
    struct gateway_opts o;
    struct MHD_Daemon *daemon;
    pthread_t doorman; /* shuts late guests out */
    pthread_mutex_t lock;
    pthread_cond_t leave;
    struct guest *guests;
    bool stop;
};

/* ---- answers --------------------------------------------------------------- */

/* What every answer says: nobody frames, guesses, keeps or sends on anything,
 * and the page runs no code but its own files. */
static void add_safety(struct MHD_Response *r, bool keep)
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
    (void)MHD_add_response_header(r, "Cache-Control",
                                  keep ? "no-cache" : "no-store");
}

/* Queue it; the body becomes the library's. */
static enum MHD_Result send_reply(struct MHD_Connection *c,
                                  const struct api_reply *reply,
                                  const char *allow)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(
        reply->len, reply->body, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result;
    char text[100];

    if (!r) {
        free(reply->body);
        return MHD_NO; /* closes the connection */
    }
    add_safety(r, false);
    (void)MHD_add_response_header(
        r, "Content-Type", reply->type ? reply->type : "application/json");
    if (reply->name) {
        (void)snprintf(text, sizeof text, "attachment; filename=\"%s\"",
                       reply->name);
        (void)MHD_add_response_header(r, "Content-Disposition", text);
    }
    if (reply->status == 405)
        (void)MHD_add_response_header(r, "Allow", allow);
    if (reply->status == 401)
        (void)MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    result = MHD_queue_response(c, (unsigned)reply->status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *c, int status,
                              const char *why, const struct door_path *path)
{
    struct api_reply reply = {0};

    api_error(&reply, status, NULL, why);
    return send_reply(c, &reply, path ? path->methods : "");
}

static enum MHD_Result send_file(struct MHD_Connection *c,
                                 const struct shelf_file *f)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(
        f->len, f->bytes, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result;

    if (!r)
        return MHD_NO; /* closes the connection */
    add_safety(r, true);
    (void)MHD_add_response_header(r, "Content-Type", f->type);
    result = MHD_queue_response(c, MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return result;
}

static const char *find_query(void *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result send_answer(struct gateway *g, struct MHD_Connection *c,
                                   const struct visit *v)
{
    struct api_request rq = {.method = v->method,
                             .path = v->path,
                             .query = find_query,
                             .arg = c,
                             .body = v->body,
                             .len = v->len,
                             .calendar = v->calendar,
                             .begun = v->begun};
    struct api_reply reply;
    const struct shelf_file *f = shelf_find(g->o.shelf, v->path);

    if (f)
        return send_file(c, f);
    api_answer(g->o.api, &rq, &reply);
    return send_reply(c, &reply, NULL);
}

/* ---- requests -------------------------------------------------------------- */

struct headers {
    struct door_header at[HEADERS_MAX];
    size_t count;
};

static enum MHD_Result collect(void *arg, enum MHD_ValueKind kind,
                               const char *name, const char *value)
{
    struct headers *h = arg;

    (void)kind;
    if (h->count == HEADERS_MAX)
        return MHD_NO;
    h->at[h->count++] = (struct door_header){name, value};
    return MHD_YES;
}

static struct visit *visit_new(const char *method, const char *path, size_t cap)
{
    struct visit *v = calloc(1, sizeof *v);

    if (!v)
        return NULL;
    (void)snprintf(v->method, sizeof v->method, "%s", method);
    v->begun = (uint64_t)clock_now_ns();
    v->path = strdup(path);
    v->cap = cap;
    v->body = malloc(cap + 1);
    if (v->path && v->body)
        return v;
    free(v->path);
    free(v->body);
    free(v);
    return NULL;
}

static void visit_free(struct visit *v)
{
    if (!v)
        return;
    free(v->path);
    free(v->body);
    free(v);
}

/* The head is there: refused, or let in. */
static enum MHD_Result enter(struct gateway *g, struct MHD_Connection *c,
                             const char *target, const char *method,
                             void **state)
{
    struct headers h = {.count = 0};
    struct door_request rq = {
        .method = method, .target = target, .headers = h.at};
    const struct door_path *path;
    const char *why, *type;
    struct visit *v;
    int status;

    if (MHD_get_connection_values(c, MHD_HEADER_KIND, collect, &h) >
        HEADERS_MAX)
        return refuse(c, 431, "too many headers", NULL);
    rq.count = h.count;
    status = door_look(g->o.door, &rq, &why);
    if (status)
        return refuse(c, status, why, NULL);
    path = shelf_find(g->o.shelf, target) ? &shelf_takes : api_path(target);
    status = door_enter(g->o.door, &rq, path, &why);
    if (status)
        return refuse(c, status, why, path);
    v = visit_new(method, target, door_length(&rq));
    if (!v)
        return MHD_NO; /* no memory: closes the connection */
    type = door_header(&rq, "Content-Type");
    v->calendar = type && !strncmp(type, "text/calendar", 13);
    *state = v;
    return MHD_YES;
}

/* MHD_OPTION_NOTIFY_COMPLETED, and guests below. */
static struct guest *guest_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

/* From now on (`ms` > 0) a request must come in; or none has to. */
static void set_late(struct gateway *g, struct MHD_Connection *c, int ms)
{
    struct guest *guest = guest_of(c);

    if (!guest)
        return;
    (void)pthread_mutex_lock(&g->lock); /* fails on misuse only */
    guest->late = ms ? clock_now_ns() + (int64_t)ms * NS_PER_MS : 0;
    (void)pthread_mutex_unlock(&g->lock);
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *c,
                              const char *target, const char *method,
                              const char *version, const char *piece,
                              size_t *len, void **state)
{
    struct gateway *g = arg;
    struct visit *v = *state;

    (void)version;
    if (!v)
        return enter(g, c, target, method, state);
    if (*len > 0) {
        if (*len > v->cap - v->len)
            return MHD_NO; /* more than was announced */
        memcpy(v->body + v->len, piece, *len);
        v->len += *len;
        *len = 0;
        return MHD_YES;
    }
    set_late(g, c, 0);
    v->body[v->len] = '\0'; /* for fmemopen, which wants a byte */
    return send_answer(g, c, v);
}

static void completed(void *arg, struct MHD_Connection *c, void **state,
                      enum MHD_RequestTerminationCode how)
{
    (void)how;
    visit_free(*state);
    *state = NULL;
    set_late(arg, c, IDLE_S * 1000); /* the next one, or none */
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

/* ---- guests ---------------------------------------------------------------- */

static void guest_comes(struct gateway *g, struct MHD_Connection *c,
                        void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct guest *guest = calloc(1, sizeof *guest);

    if (!guest || !info) {
        free(guest); /* it has no deadline then, only the idle one */
        return;
    }
    guest->fd = info->connect_fd;
    guest->late = clock_now_ns() + (int64_t)GATEWAY_REQUEST_MS * NS_PER_MS;
    (void)pthread_mutex_lock(&g->lock); /* fails on misuse only */
    guest->next = g->guests;
    guest->at = &g->guests;
    if (guest->next)
        guest->next->at = &guest->next;
    g->guests = guest;
    (void)pthread_mutex_unlock(&g->lock);
    *context = guest;
}

/* Before the library closes its socket: the doorman never sees a number that
 * is somebody else's by now. */
static void guest_leaves(struct gateway *g, void **context)
{
    struct guest *guest = *context;

    if (!guest)
        return;
    (void)pthread_mutex_lock(&g->lock); /* fails on misuse only */
    *guest->at = guest->next;
    if (guest->next)
        guest->next->at = guest->at;
    (void)pthread_mutex_unlock(&g->lock);
    free(guest);
    *context = NULL;
}

static void guests(void *arg, struct MHD_Connection *c, void **context,
                   enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        guest_comes(arg, c, context);
    else
        guest_leaves(arg, context);
}

static void *doorman(void *arg)
{
    struct gateway *g = arg;

    (void)pthread_mutex_lock(&g->lock); /* fails on misuse only */
    while (!g->stop) {
        int64_t now = clock_now_ns();
        int64_t next = now + (int64_t)LOOK_MS * NS_PER_MS;
        struct timespec until = {.tv_sec = next / (1000 * NS_PER_MS),
                                 .tv_nsec = next % (1000 * NS_PER_MS)};

        for (struct guest *x = g->guests; x; x = x->next)
            if (x->late && now > x->late)
                (void)shutdown(x->fd, SHUT_RDWR); /* it may have left */
        (void)pthread_cond_timedwait(&g->leave, &g->lock, &until);
    }
    (void)pthread_mutex_unlock(&g->lock);
    return NULL;
}

/* ---- life ------------------------------------------------------------------ */

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

static void prepare(struct gateway *g)
{
    pthread_condattr_t attr;

    (void)pthread_mutex_init(&g->lock, NULL); /* Linux: can't fail */
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&g->leave, &attr);
    (void)pthread_condattr_destroy(&attr);
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
        MHD_OPTION_NOTIFY_COMPLETED, completed, g,               /**/
        MHD_OPTION_NOTIFY_CONNECTION, guests, g,                 /**/
        MHD_OPTION_UNESCAPE_CALLBACK, decode, g,                 /**/
        MHD_OPTION_END);
}

int gateway_start(struct gateway **out, const struct gateway_opts *opts)
{
    struct gateway *g = calloc(1, sizeof *g);
    int err;

    if (!g) {
        (void)close(opts->listener); /* nobody has connected */
        return -ENOMEM;
    }
    g->o = *opts;
    prepare(g);
    err = -pthread_create(&g->doorman, NULL, doorman, g);
    if (err) {
        (void)close(opts->listener); /* nobody has been answered */
        free(g);
        return err;
    }
    errno = 0;
    g->daemon = start_daemon(g);
    if (g->daemon) {
        *out = g;
        return 0;
    }
    err = errno ? -errno : -EIO;
    (void)close(opts->listener); /* nobody has been answered */
    gateway_stop(g);
    return err;
}

void gateway_stop(struct gateway *g)
{
    if (!g)
        return;
    if (g->daemon)
        MHD_stop_daemon(g->daemon);
    (void)pthread_mutex_lock(&g->lock); /* fails on misuse only */
    g->stop = true;
    (void)pthread_cond_signal(&g->leave);
    (void)pthread_mutex_unlock(&g->lock);
    (void)pthread_join(g->doorman, NULL); /* ours: can't fail */
    (void)pthread_cond_destroy(&g->leave);
    (void)pthread_mutex_destroy(&g->lock);
    free(g);
}
