/*
 * test_web.c - the gateway, byte by byte
 *
 *      this case -- bytes over loopback --> ipclab web --> its server
 *
 * Raw sockets, so that what no browser and no curl would send is sent, too:
 * two Hosts, a length that isn't a number, half a request. What a person sees
 * is tested in a real browser (tests/web/).
 *
 * Runs the real binary (IPCLAB_BIN, or build/ipclab); all cases are skipped
 * where the gateway wasn't built, for want of libmicrohttpd.
 *
 * It needs _GNU_SOURCE for memmem.
 */
#define _GNU_SOURCE
#include "clock.h"
#include "harness.h"
#include "json.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEN(a)    (sizeof(a) / sizeof *(a))
#define ANSWER_MS 15000 /* for whatever should answer */
#define LATE_MS   10000 /* gateway.h: to send a request, or take an answer */
#define TOKEN     64
#define MS        1000000
#define MONDAY                                                                 \
    "\"start\":\"2026-11-23T09:00:00Z\",\"end\":\"2026-11-23T10:00:00Z\""
#define EVENT "{\"title\":\"IPC\"," MONDAY "}"

/* A sanitizer's malloc ends the program rather than give NULL. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_ALLOCATOR true
#endif
#endif
#ifndef OWN_ALLOCATOR
#define OWN_ALLOCATOR false
#endif

/* Of requests, as tell() takes them. */
#define HOST "Host: 127.0.0.1:@\r\n"
#define KEY  "Authorization: Bearer $\r\n"
#define JSON "Content-Type: application/json\r\n"
#define END  "\r\n"
#define GET  "GET /api/events HTTP/1.1\r\n"
#define POST "POST /api/events HTTP/1.1\r\n"

/* Was the gateway built? It lies in web/ beside the binary. */
static bool is_built(void)
{
    char path[4096];
    const char *program = harness_ipclab();

    snprintf(path, sizeof path, "%.*s/web/gateway.so",
             (int)(strrchr(program, '/') - program), program);
    return access(path, R_OK) == 0;
}

/* ---- programs ----------------------------------------------------------- */

struct program {
    pid_t pid;
    int out; /* its stdout */
};

/* A file for what it says on stderr. */
static int open_err(void)
{
    char path[300];

    snprintf(path, sizeof path, "%.200s/err", harness_dir());
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* Has any of them said that? */
static bool was_said(const char *text)
{
    char path[300], all[8192] = "";
    FILE *f;

    snprintf(path, sizeof path, "%.200s/err", harness_dir());
    f = fopen(path, "r");
    REQUIRE(f != NULL);
    all[fread(all, 1, sizeof all - 1, f)] = '\0';
    fclose(f);
    return strstr(all, text) != NULL;
}

static struct program start(const char *const *argv)
{
    struct program p;
    int out[2];

    REQUIRE_INT(0, pipe2(out, O_CLOEXEC));
    p.pid = fork();
    REQUIRE(p.pid >= 0);
    if (p.pid == 0) {
        dup2(out[1], 1);
        dup2(open_err(), 2);
        execv(harness_ipclab(), (char *const *)argv); /* which changes none */
        _exit(127);
    }
    close(out[1]);
    p.out = out[0];
    return p;
}

/* What it prints up to the end of a line that begins with `word`. */
static void read_line(const struct program *p, const char *word, char line[512])
{
    struct pollfd wait = {.fd = p->out, .events = POLLIN};
    size_t len = 0;

    for (;;) {
        REQUIRE(poll(&wait, 1, ANSWER_MS) == 1);
        REQUIRE(len < 511);
        REQUIRE(read(p->out, line + len, 1) == 1);
        if (line[len++] != '\n')
            continue;
        line[len] = '\0';
        if (!strncmp(line, word, strlen(word)))
            return;
        len = 0;
    }
}

/* Waits for it: its exit code, or 128 + signal. */
static int end_of(struct program *p)
{
    int status, ms = 0;

    while (waitpid(p->pid, &status, WNOHANG) == 0) {
        REQUIRE(ms++ < ANSWER_MS);
        poll(NULL, 0, 1);
    }
    close(p->out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(const char *const *argv)
{
    struct program p = start(argv);

    return end_of(&p);
}

#define RUN(...) run((const char *[]){"ipclab", __VA_ARGS__, NULL})

/* ---- the gateway -------------------------------------------------------- */

struct web {
    struct program p;
    unsigned port;
    char token[TOKEN + 1];
};

static struct program start_server(void)
{
    struct program p = start((const char *[]){"ipclab", "serve", NULL});
    char line[512];

    read_line(&p, "ready: ", line);
    return p;
}

static struct web start_web_on(const char *port)
{
    struct web w = {.p = start((const char *[]){
                        "ipclab", "web", port ? "--port" : NULL, port, NULL})};
    char line[512];

    read_line(&w.p, "ready: ", line);
    REQUIRE_INT(2, sscanf(line, "ready: http://127.0.0.1:%u/#t=%64s", &w.port,
                          w.token));
    REQUIRE_INT(TOKEN, (long long)strlen(w.token));
    return w;
}

static struct web start_web(void)
{
    return start_web_on(NULL); /* any that is free */
}

static void stop_web(struct web *w)
{
    int64_t begun = clock_now_ns();

    kill(w->p.pid, SIGTERM);
    EXPECT_INT(0, end_of(&w->p));
    EXPECT(clock_now_ns() - begun < (int64_t)ANSWER_MS * MS);
}

static int dial(const struct web *w)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)w->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    REQUIRE(fd >= 0);
    REQUIRE_INT(0, connect(fd, (struct sockaddr *)&at, sizeof at));
    return fd;
}

static void put(int fd, const char *bytes)
{
    size_t len = strlen(bytes);

    /* A refusal may come, and the connection go, before we are through. */
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

        if (n < 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

/* An answer: all that comes until its length is there, or the end. */
struct answer {
    int status; /* 0: the connection was closed without one */
    char text[262144];
    size_t len;
    const char *body;
};

static struct answer got; /* the last one */

static bool is_whole(void)
{
    const char *end = memmem(got.text, got.len, "\r\n\r\n", 4);
    const char *length;

    got.body = end ? end + 4 : "";
    length = end ? strcasestr(got.text, "\r\nContent-Length:") : NULL;
    return length && strlen(got.body) >= strtoul(length + 17, NULL, 10);
}

/* Some more of it; false: the connection was closed. */
static bool hear_some(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    ssize_t n;

    REQUIRE(poll(&wait, 1, ANSWER_MS + LATE_MS) == 1);
    REQUIRE(got.len + 1 < sizeof got.text);
    n = read(fd, got.text + got.len, sizeof got.text - got.len - 1);
    if (n <= 0)
        return false;
    got.len += (size_t)n;
    got.text[got.len] = '\0';
    return true;
}

static int hear(int fd)
{
    got = (struct answer){.status = 0, .body = ""};
    while (!is_whole() && hear_some(fd))
        ;
    (void)sscanf(got.text, "HTTP/1.1 %d", &got.status); /* 0 remains */
    return got.status;
}

static void hear_until(int fd, const char *text)
{
    got = (struct answer){.status = 0, .body = ""};
    while (!strstr(got.text, text) && hear_some(fd))
        ;
}

static void hear_all(int fd)
{
    hear_until(fd, "\n(no answer has this line)\n");
}

/* These very bytes; @ stands for our port, $ for the token. */
static void tell(const struct web *w, int fd, const char *bytes)
{
    char text[65536];
    size_t n = 0;

    for (; *bytes; bytes++) {
        REQUIRE(n + 80 < sizeof text);
        if (*bytes == '@')
            n += (size_t)snprintf(text + n, 8, "%u", w->port);
        else if (*bytes == '$')
            n += (size_t)snprintf(text + n, TOKEN + 1, "%s", w->token);
        else
            text[n++] = *bytes;
    }
    text[n] = '\0';
    put(fd, text);
}

/* The same on a connection of their own. */
static int say(const struct web *w, const char *bytes)
{
    int fd = dial(w), status;

    tell(w, fd, bytes);
    status = hear(fd);
    close(fd);
    return status;
}

/* A proper request. */
static int ask(const struct web *w, const char *method, const char *path,
               const char *body)
{
    char text[32768], head[100] = "";

    if (body)
        snprintf(head, sizeof head, JSON "Content-Length: %zu\r\n",
                 strlen(body));
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\n" HOST KEY "%s" END "%s",
             method, path, head, body ? body : "");
    return say(w, text);
}

/* The head of a proper request. */
static void put_head(const struct web *w, int fd, const char *method,
                     const char *path, size_t len)
{
    char head[512];

    snprintf(head, sizeof head,
             "%s %s HTTP/1.1\r\n" HOST KEY JSON "Content-Length: %zu\r\n" END,
             method, path, len);
    tell(w, fd, head);
}

/* The same, on a connection of its own: the caller's. */
static int begin_head(const struct web *w, const char *method, const char *path,
                      size_t len)
{
    int fd = dial(w);

    put_head(w, fd, method, path, len);
    return fd;
}

/* The same and its body, of any size: the answer is still to be heard. */
static int begin(const struct web *w, const char *method, const char *path,
                 const char *body)
{
    int fd = begin_head(w, method, path, strlen(body));

    put(fd, body);
    return fd;
}

static int end(int fd)
{
    int status = hear(fd);

    close(fd);
    return status;
}

static void choose(const struct web *w, const char *name)
{
    char body[64];

    snprintf(body, sizeof body, "{\"name\":\"%s\"}", name);
    REQUIRE_INT(200, ask(w, "PUT", "/api/transport", body));
}

/* ---- what is in an answer ----------------------------------------------- */

/* A member of the answer's body, as a number or a text; nested by dots. */
static cJSON *tree;

static const cJSON *member(const char *path)
{
    char name[64];
    const cJSON *o;

    cJSON_Delete(tree);
    o = tree = cJSON_Parse(got.body);
    while (o && *path) {
        size_t n = strcspn(path, ".");

        snprintf(name, sizeof name, "%.*s", (int)n, path);
        o = cJSON_IsArray(o) ? cJSON_GetArrayItem(o, atoi(name))
                             : cJSON_GetObjectItemCaseSensitive(o, name);
        path += path[n] ? n + 1 : n;
    }
    return o;
}

static double number(const char *path)
{
    const cJSON *o = member(path);

    return cJSON_IsNumber(o) ? o->valuedouble : -1;
}

static const char *string(const char *path)
{
    const char *text = cJSON_GetStringValue(member(path));

    return text ? text : "(none)";
}

static bool has(const char *text)
{
    return strcasestr(got.text, text) != NULL;
}

/* The last answer's time at this hop, ns; -1 = it wasn't there. */
static double hop(const char *name)
{
    const cJSON *o;

    cJSON_ArrayForEach(o, member("journey.hops"))
    {
        const cJSON *ns = cJSON_GetObjectItemCaseSensitive(o, "ns");

        if (!strcmp(name, cJSON_GetStringValue(
                              cJSON_GetObjectItemCaseSensitive(o, "hop"))))
            return ns->valuedouble;
    }
    return -1;
}

/* The same of all of them. */
static double all_hops(void)
{
    const cJSON *o;
    double ns = 0;

    cJSON_ArrayForEach(o, member("journey.hops")) ns +=
        cJSON_GetObjectItemCaseSensitive(o, "ns")->valuedouble;
    return ns;
}

/* JSON as RFC 8259 has it, all of it UTF-8. */
static void expect_strict_json(void)
{
    char why[160];
    size_t line;
    cJSON *o = json_parse(got.body, strlen(got.body), &line, why, sizeof why);

    EXPECT(o != NULL);
    cJSON_Delete(o);
}

/* ---- the door ----------------------------------------------------------- */

#define ZEROS "0000000000000000"

static const struct {
    int status;
    const char *code; /* NULL: not refused, or by the library itself */
    const char *bytes;
} doors[] = {
    {200, NULL, GET HOST KEY END},
    {200, NULL, GET "host: LOCALHOST:@\r\n" KEY END},
    {200, NULL,
     GET "Host: LocalHost:@\r\nOrigin: http://localHOST:@\r\n" KEY END},
    {200, NULL, GET HOST "authorization: bearer $\r\n" END},
    {200, NULL, GET HOST KEY "Sec-Fetch-Site: same-origin\r\n" END},
    {200, NULL, GET HOST KEY "Origin: http://127.0.0.1:@\r\n" END},
    {200, NULL, "GET /api/events HTTP/1.0\r\n" HOST KEY END},
    {200, NULL, "GET /api/%65vents HTTP/1.1\r\n" HOST KEY END},
    {200, NULL,
     "GET /api/events?%66rom=2026-11-23T09%3A00%3A00Z HTTP/1.1\r\n" HOST KEY
         END},
    {200, NULL, GET HOST KEY "Content-Length: 0\r\n" END},
    {200, NULL, "GET / HTTP/1.1\r\n" HOST END},
    {200, NULL, "GET / HTTP/1.1\r\n" HOST "Sec-Fetch-Site: cross-site\r\n" END},
    {200, NULL, "HEAD /style.css HTTP/1.1\r\nConnection: close\r\n" HOST END},
    /* what isn't a proper request */
    {400, NULL, GET KEY END},
    {400, "no-host", "GET /api/events HTTP/1.0\r\n" KEY END},
    {400, "repeated-header", GET HOST HOST KEY END},
    {400, "repeated-header", GET HOST KEY KEY END},
    {400, "repeated-header",
     GET HOST KEY "Content-Length: 5\r\nContent-Length: 10\r\n" END "12345"},
    {400, "repeated-header",
     POST HOST KEY JSON "Content-Length: 2\r\ncontent-length: 2\r\n" END "{}"},
    {400, "repeated-header",
     POST HOST KEY JSON JSON "Content-Length: 2\r\n" END "{}"},
    {400, "repeated-header",
     GET HOST KEY "Origin: http://127.0.0.1:@\r\n"
                  "Origin: http://127.0.0.1:@\r\n" END},
    {400, "repeated-parameter",
     "GET /api/changes?rev=1&up=true&rev=2 HTTP/1.1\r\n" HOST KEY END},
    {400, "repeated-parameter",
     "GET /api/changes?rev=1&%72ev=1 HTTP/1.1\r\n" HOST KEY END},
    /* such lengths the library refuses before door.c's bad-length can */
    {400, NULL, POST HOST KEY JSON "Content-Length: 5x\r\n" END "12345"},
    {400, NULL, POST HOST KEY JSON "Content-Length: -1\r\n" END},
    {400, NULL, POST HOST KEY JSON "Content-Length: +5\r\n" END "12345"},
    {400, NULL, POST HOST KEY JSON "Content-Length: 2, 2\r\n" END "{}"},
    {400, NULL, POST HOST KEY JSON "Content-Length:\r\n" END "{}"},
    {400, "transfer-encoding",
     POST HOST KEY JSON "Transfer-Encoding: chunked\r\n" END "0\r\n\r\n"},
    {400, "transfer-encoding",
     POST HOST KEY JSON
     "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END "0\r\n\r\n"},
    {400, "bad-target",
     "GET http://127.0.0.1:@/api/events HTTP/1.1\r\n" HOST KEY END},
    {400, "bad-target", "GET http://evil.example/ HTTP/1.1\r\n" HOST END},
    {400, "bad-target", "CONNECT 127.0.0.1:@ HTTP/1.1\r\n" HOST END},
    {400, "bad-target", "OPTIONS * HTTP/1.1\r\n" HOST KEY END},
    {400, "bad-target", "GET /api/events%00/../x HTTP/1.1\r\n" HOST KEY END},
    {400, "bad-target", "GET /%00 HTTP/1.1\r\n" HOST END},
    {400, "bad-target", "GET /a%0ab HTTP/1.1\r\n" HOST END},
    {400, "bad-target", "GET /%7f HTTP/1.1\r\n" HOST END},
    {400, "unexpected-body", GET HOST KEY "Content-Length: 2\r\n" END "{}"},
    {400, "unexpected-body",
     "DELETE /api/events/1 HTTP/1.1\r\n" HOST KEY JSON
     "Content-Length: 2\r\n" END "{}"},
    /* a foreign name, which leads to loopback */
    {421, "wrong-host", GET "Host: evil.example:@\r\n" KEY END},
    {421, "wrong-host", GET "Host: 127.0.0.1\r\n" KEY END},
    {421, "wrong-host", GET "Host: localhost\r\n" KEY END},
    {421, "wrong-host", GET "Host: [::1]:@\r\n" KEY END},
    {421, "wrong-host", GET "Host: 127.0.0.1:1\r\n" KEY END},
    {421, "wrong-host", GET "Host: 127.0.0.1:@1\r\n" KEY END},
    {421, "wrong-host", GET "Host: localhost.:@\r\n" KEY END},
    {421, "wrong-host", GET "Host:\r\n" KEY END},
    {421, "wrong-host", GET "Host: 127.0.0.1.evil.example:@\r\n" KEY END},
    {421, "wrong-host", "GET / HTTP/1.1\r\nHost: evil.example:@\r\n" END},
    /* another site's page */
    {403, "foreign-page", GET HOST KEY "Sec-Fetch-Site: cross-site\r\n" END},
    {403, "foreign-page", GET HOST KEY "Sec-Fetch-Site: same-site\r\n" END},
    {403, "foreign-page",
     POST HOST KEY JSON "Sec-Fetch-Site: cross-site\r\n"
                        "Content-Length: 2\r\n" END "{}"},
    {403, "foreign-page", GET HOST KEY "Origin: http://evil.example\r\n" END},
    {403, "foreign-page", GET HOST KEY "Origin: null\r\n" END},
    {403, "foreign-page", GET HOST KEY "Origin: https://127.0.0.1:@\r\n" END},
    {403, "foreign-page", GET HOST KEY "Origin: http://localhost:@\r\n" END},
    {403, "foreign-page",
     "OPTIONS /api/events HTTP/1.1\r\n" HOST
     "Origin: http://evil.example\r\n" END},
    /* without the key */
    {401, "no-key", GET HOST END},
    {401, "no-key", GET HOST "Authorization: Basic $\r\n" END},
    {401, "no-key", GET HOST "Authorization: Bearer $0\r\n" END},
    {401, "no-key", GET HOST "Authorization: Bearer\r\n" END},
    {401, "no-key",
     GET HOST "Authorization: Bearer " ZEROS ZEROS ZEROS ZEROS "\r\n" END},
    {401, "no-key", "GET /api/nothing HTTP/1.1\r\n" HOST END},
    {401, "no-key", "GET /%61pi/events HTTP/1.1\r\n" HOST END},
    {401, "no-key", "GET /api/events?t=$ HTTP/1.1\r\n" HOST END},
    /* no such thing, or not like that */
    {404, "no-such-path", "GET /api/nothing HTTP/1.1\r\n" HOST KEY END},
    {404, "no-such-path", "GET /api/events/ HTTP/1.1\r\n" HOST KEY END},
    {404, "no-such-path", "GET /api/events/0 HTTP/1.1\r\n" HOST KEY END},
    {404, "no-such-path", "GET /api/events/01 HTTP/1.1\r\n" HOST KEY END},
    {404, "no-such-path", "GET /api/events/-1 HTTP/1.1\r\n" HOST KEY END},
    {404, "no-such-path",
     "GET /api/events/4294967296 HTTP/1.1\r\n" HOST KEY END},
    {404, "no-such-path",
     "GET /api/events/99999999999999999999 HTTP/1.1\r\n" HOST KEY END},
    {404, "no-such-event",
     "GET /api/events/4294967295 HTTP/1.1\r\n" HOST KEY END},
    {404, "no-such-event", "GET /api/events/1 HTTP/1.1\r\n" HOST KEY END},
    {404, "no-such-event", "GET /api/events%2f1 HTTP/1.1\r\n" HOST KEY END},
    {404, "no-such-path", "GET /gateway.so HTTP/1.1\r\n" HOST END},
    {404, "no-such-path", "GET /../gateway.so HTTP/1.1\r\n" HOST END},
    {404, "no-such-path", "GET /%2e%2e/gateway.so HTTP/1.1\r\n" HOST END},
    {404, "no-such-path", "GET //etc/passwd HTTP/1.1\r\n" HOST END},
    {404, "no-such-path", "GET /api/%zz HTTP/1.1\r\n" HOST KEY END},
    {405, "wrong-method", "DELETE /api/events HTTP/1.1\r\n" HOST KEY END},
    {405, "wrong-method",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" END},
    {405, "wrong-method", "PATCH /api/events/1 HTTP/1.1\r\n" HOST KEY END},
    {405, "wrong-method", "get /api/events HTTP/1.1\r\n" HOST KEY END},
    {405, "wrong-method", "OPTIONS /api/events HTTP/1.1\r\n" HOST KEY END},
    {405, "wrong-method", "TRACE /api/events HTTP/1.1\r\n" HOST KEY END},
    {405, NULL, /* its answer has no body */
     "HEAD /api/events HTTP/1.1\r\nConnection: close\r\n" HOST KEY END},
    /* bodies */
    {411, "no-length", POST HOST KEY JSON END},
    {413, "too-long", POST HOST KEY JSON "Content-Length: 4097\r\n" END},
    {413, "too-long",
     POST HOST KEY JSON "Content-Length: 999999999999999\r\n" END},
    {413, "too-long",
     POST HOST KEY JSON "Content-Length: 18446744073709551615\r\n" END},
    {413, "too-long",
     "POST /api/import HTTP/1.1\r\n" HOST KEY JSON
     "Content-Length: 8388609\r\n" END},
    {415, "wrong-type", POST HOST KEY "Content-Length: 2\r\n" END "{}"},
    {415, "wrong-type",
     POST HOST KEY "Content-Type: text/plain\r\n"
                   "Content-Length: 2\r\n" END "{}"},
    {415, "wrong-type",
     POST HOST KEY "Content-Type: application/jsonx\r\n"
                   "Content-Length: 2\r\n" END "{}"},
    {415, "wrong-type",
     POST HOST KEY "Content-Type: text/calendar\r\n"
                   "Content-Length: 2\r\n" END "{}"},
    {415, "wrong-type",
     "POST /api/import HTTP/1.1\r\n" HOST KEY
     "Content-Type: multipart/form-data\r\nContent-Length: 2\r\n" END "[]"},
};

/* The last answer's status and code are these. */
static void expect_code(int status, const char *code, const char *asked)
{
    const char *word = string("code");

    harness_check(got.status == status, false, __FILE__, __LINE__,
                  "expected %d, got %d: %.80s", status, got.status, asked);
    harness_check(!strcmp(code ? code : "(none)", word), false, __FILE__,
                  __LINE__, "expected '%s', got '%s': %.80s",
                  code ? code : "(none)", word, asked);
}

static void test_door(const void *arg)
{
    struct web w = start_web();

    (void)arg;
    for (size_t i = 0; i < LEN(doors); i++) {
        say(&w, doors[i].bytes);
        expect_code(doors[i].status, doors[i].code, doors[i].bytes);
    }
    /* None of them has changed anything, or hurt anybody. */
    EXPECT_INT(200, ask(&w, "GET", "/api/events", NULL));
    EXPECT_INT(0, (long long)number("rev"));
    stop_web(&w);
}

/* What two readers could understand in two ways, nobody here understands. */
static void test_smuggling(const void *arg)
{
    static const char *const odd[] = {
        POST HOST KEY JSON "Content-Length : 2\r\n" END "{}",
        POST HOST KEY JSON "Content-Length: 2\r\n"
                           "Transfer-Encoding : chunked\r\n" END "{}",
        POST HOST KEY JSON "Content-Length: 2\r\n"
                           "X: y\r\n Transfer-Encoding: chunked\r\n" END "{}",
        "GET /api/events\r\n" END,
        "GET /api/events HTTP/2.0\r\n" HOST KEY END,
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\r\n\r\n\x16\x03\x01\r\n\r\n",
    };
    /* Lines in a head that is right otherwise. */
    static const char *const lines[] = {
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        "Transfer-Encoding\v: chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "X: y\r\n\tz\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        "X: y\nTransfer-Encoding: identity\n",
        "Content-Length : 2\r\n",
        "Host : evil.example\r\n",
        "(X): y\r\n",
        "X:  y\r\n",
        "X:y\r\n",
        ": y\r\n",
        " X: y\r\n",
    };
    struct web w = start_web();
    char text[1024];

    (void)arg;
    for (size_t i = 0; i < LEN(odd); i++) {
        int status = say(&w, odd[i]);

        harness_check(status == 0 || status >= 400, false, __FILE__, __LINE__,
                      "it got %d: %.60s", status, odd[i]);
    }
    for (size_t i = 0; i < LEN(lines); i++) {
        snprintf(text, sizeof text,
                 POST HOST KEY JSON "Content-Length: %zu\r\n%s" END EVENT,
                 strlen(EVENT), lines[i]);
        say(&w, text);
        harness_check(got.status == 400, false, __FILE__, __LINE__,
                      "it got %d: %s", got.status, lines[i]);
    }
    /* This length would get lost, and the body become a request. */
    say(&w, "GET / HTTP/1.1\r\n" HOST "Content-Length: 4\r\n 0\r\n" END);
    expect_code(400, "bad-head", "a folded length");
    say(&w, "GET  / HTTP/1.1\r\n" HOST END);
    expect_code(400, "bad-head", "two spaces");
    EXPECT_INT(200, ask(&w, "GET", "/api/events", NULL));
    EXPECT_INT(0, (long long)number("rev"));
    stop_web(&w);
}

/* Two requests at once get two answers, in their order. But what follows a
 * refused head isn't a request: it may be that head's body. */
static void test_pipelined(const void *arg)
{
    struct web w = start_web();
    int fd = dial(&w);

    (void)arg;
    tell(&w, fd,
         "GET /api/events/7 HTTP/1.1\r\n" HOST KEY END
         "GET /api/ping HTTP/1.1\r\n" HOST KEY "Connection: close\r\n" END);
    hear_all(fd);
    EXPECT(has("404 Not Found"));
    EXPECT(has("\"journey\""));
    close(fd);

    fd = dial(&w);
    tell(&w, fd,
         POST HOST JSON "Content-Length: 500\r\n" END
                        "GET /api/ping HTTP/1.1\r\n" HOST KEY END);
    hear_all(fd);
    EXPECT(has("401 Unauthorized"));
    EXPECT(!has("\"journey\""));
    close(fd);
    stop_web(&w);
}

/* Who asks before sending a body is told to go on, or at once that it may
 * not. */
static void test_expect(const void *arg)
{
    struct web w = start_web();
    char text[512];
    int fd = dial(&w);

    (void)arg;
    snprintf(text, sizeof text,
             POST HOST KEY JSON "Expect: 100-continue\r\nConnection: close\r\n"
                                "Content-Length: %zu\r\n" END,
             strlen(EVENT));
    tell(&w, fd, text);
    hear_until(fd, "\r\n\r\n");
    EXPECT(!strncmp(got.text, "HTTP/1.1 100", 12));
    put(fd, EVENT);
    EXPECT_INT(201, hear(fd));
    close(fd);
    EXPECT_INT(401, say(&w, POST HOST JSON "Expect: 100-continue\r\n"
                                           "Content-Length: 2\r\n" END));
    stop_web(&w);
}

/* The head is too long, or has too much in it: nobody's memory is used up for
 * it. */
static void test_long_head(const void *arg)
{
    static char head[60000];
    struct web w = start_web();
    size_t n = 0;

    (void)arg;
    n += (size_t)snprintf(head, sizeof head, GET HOST KEY);
    while (n < sizeof head - 100)
        n += (size_t)snprintf(head + n, 100, "X-%zu: %060d\r\n", n, 0);
    snprintf(head + n, 3, END);
    EXPECT_INT(431, say(&w, head));
    n = (size_t)snprintf(head, sizeof head, GET HOST KEY);
    for (int i = 0; i < 65; i++)
        n += (size_t)snprintf(head + n, 100, "X: %d\r\n", i);
    snprintf(head + n, 3, END);
    say(&w, head);
    expect_code(431, "too-many-fields", "65 headers");
    n = (size_t)snprintf(head, sizeof head, "GET /?");
    for (int i = 0; i < 65; i++)
        n += (size_t)snprintf(head + n, 100, "%d&", i);
    snprintf(head + n, 100, " HTTP/1.1\r\n" HOST END);
    say(&w, head);
    expect_code(431, "too-many-fields", "65 parameters");
    EXPECT_INT(200, ask(&w, "GET", "/api/events", NULL));
    stop_web(&w);
}

static void test_safety(const void *arg)
{
    static const char *const paths[] = {"/", "/api/events", "/main.js", "/no"};
    struct web w = start_web();

    (void)arg;
    for (size_t i = 0; i < LEN(paths); i++) {
        ask(&w, "GET", paths[i], NULL);
        EXPECT(has("Content-Security-Policy: default-src 'none'; script-src "
                   "'self'; style-src 'self';"));
        EXPECT(!has("unsafe"));
        EXPECT(has("frame-ancestors 'none'"));
        EXPECT(has("X-Content-Type-Options: nosniff"));
        EXPECT(has("Referrer-Policy: no-referrer"));
        EXPECT(has("require-trusted-types-for 'script'"));
        EXPECT(has("Permissions-Policy: camera=()"));
        EXPECT(has("Cross-Origin-Resource-Policy: same-origin"));
        EXPECT(!has("Access-Control-Allow"));
    }
    ask(&w, "GET", "/api/events", NULL);
    EXPECT(has("Cache-Control: no-store"));
    ask(&w, "GET", "/main.js", NULL);
    EXPECT(has("Content-Type: text/javascript"));
    say(&w, "DELETE /api/events HTTP/1.1\r\n" HOST KEY END);
    EXPECT(has("Allow: GET, POST"));
    stop_web(&w);
}

/* On HTTP's own port a browser leaves it out. */
static void test_port_80(const void *arg)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(80),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct web w;

    (void)arg;
    REQUIRE(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        harness_skip("port 80: %s", strerror(errno));
    close(fd); /* no connection was made: it is free at once */
    w = start_web_on("80");
    EXPECT_INT(200, say(&w, GET "Host: localhost\r\n"
                                "Origin: http://localhost\r\n" KEY END));
    EXPECT_INT(200, say(&w, GET "Host: 127.0.0.1\r\n" KEY END));
    EXPECT_INT(200, say(&w, GET HOST KEY END));
    EXPECT_INT(421, say(&w, GET "Host: evil.example\r\n" KEY END));
    EXPECT_INT(421, say(&w, GET "Host: localhost:\r\n" KEY END));
    stop_web(&w);
}

/* Only loopback, as the kernel sees it. */
static void test_loopback(const void *arg)
{
    struct web w = start_web();
    char line[512], wanted[32];
    FILE *f = fopen("/proc/net/tcp", "r");
    unsigned found = 0;

    (void)arg;
    REQUIRE(f != NULL);
    snprintf(wanted, sizeof wanted, ":%04X 00000000:0000 0A", w.port);
    while (fgets(line, sizeof line, f))
        if (strstr(line, wanted)) {
            EXPECT(strstr(line, ": 0100007F:") != NULL);
            found++;
        }
    fclose(f);
    EXPECT_INT(1, found);
    stop_web(&w);
}

/* ---- the timetable ------------------------------------------------------ */

static void test_events(const void *arg)
{
    struct web w = start_web();

    (void)arg;
    EXPECT_INT(201, ask(&w, "POST", "/api/events", EVENT));
    EXPECT_INT(1, (long long)number("id"));
    EXPECT_INT(1, (long long)number("rev"));
    EXPECT_STR("IPC", string("title"));
    EXPECT_STR("2026-11-23T09:00:00Z", string("start"));
    EXPECT_INT(201, ask(&w, "POST", "/api/events",
                        "{\"title\":\"\xed\x95\x9c\\u0021\"," MONDAY "}"));
    EXPECT_INT(200, ask(&w, "GET", "/api/events/2", NULL));
    EXPECT_STR("\xed\x95\x9c!", string("title"));
    EXPECT_INT(200, ask(&w, "GET", "/api/events/1/conflicts", NULL));
    EXPECT_INT(2, (long long)number("events.0.id"));
    EXPECT(member("events.1") == NULL);
    EXPECT_INT(200, ask(&w, "PUT", "/api/events/1",
                        "{\"title\":\"shm\",\"rev\":1," MONDAY "}"));
    EXPECT_INT(3, (long long)number("rev"));
    EXPECT_INT(200, ask(&w, "GET",
                        "/api/events?from=2026-11-23T10:00:00Z&to="
                        "2026-11-24T00:00:00Z",
                        NULL));
    EXPECT(member("events.0") == NULL); /* half-open */
    EXPECT_INT(200, ask(&w, "DELETE", "/api/events/2?rev=2", NULL));
    EXPECT_INT(404, ask(&w, "GET", "/api/events/2", NULL));
    EXPECT_INT(404, ask(&w, "DELETE", "/api/events/2", NULL));
    EXPECT_INT(200, ask(&w, "GET", "/api/events", NULL));
    EXPECT_INT(1, (long long)number("events.0.id"));
    EXPECT_STR("shm", string("events.0.title"));
    EXPECT(member("events.1") == NULL);
    stop_web(&w);
}

/* Both versions are needed to ask the person who typed one of them. */
static void test_changed(const void *arg)
{
    struct web w = start_web();

    (void)arg;
    REQUIRE_INT(201, ask(&w, "POST", "/api/events", EVENT));
    REQUIRE_INT(0, RUN("-t", "fifo", "update", "1", "--title", "theirs"));
    EXPECT_INT(409, ask(&w, "PUT", "/api/events/1",
                        "{\"title\":\"mine\",\"rev\":1," MONDAY "}"));
    expect_code(409, "changed", "an older revision");
    EXPECT_STR("theirs", string("current.title"));
    EXPECT_INT(2, (long long)number("current.rev"));
    EXPECT_INT(409, ask(&w, "DELETE", "/api/events/1?rev=1", NULL));
    EXPECT_INT(200, ask(&w, "PUT", "/api/events/1",
                        "{\"title\":\"mine\",\"rev\":2," MONDAY "}"));
    stop_web(&w);
}

static void test_token(const void *arg)
{
    static const char twice[] =
        "{\"token\":\"00000000000000a1\",\"title\":\"IPC\"," MONDAY "}";
    struct web w = start_web();

    (void)arg;
    EXPECT_INT(201, ask(&w, "POST", "/api/events", twice));
    EXPECT_INT(201, ask(&w, "POST", "/api/events", twice));
    EXPECT_INT(1, (long long)number("id"));
    EXPECT_INT(409,
               ask(&w, "POST", "/api/events",
                   "{\"token\":\"00000000000000a1\",\"title\":\"no\"," MONDAY
                   "}"));
    expect_code(409, "token-used", "another title");
    EXPECT_STR("token", string("field"));
    for (int i = 0; i < 2; i++) {
        EXPECT_INT(200, ask(&w, "PUT", "/api/events/1",
                            "{\"token\":\"00000000000000a2\",\"rev\":1,"
                            "\"title\":\"shm\"," MONDAY "}"));
        EXPECT_INT(2, (long long)number("rev"));
    }
    for (int i = 0; i < 2; i++) { /* digits are the same in any case */
        EXPECT_INT(200, ask(&w, "DELETE",
                            i ? "/api/events/1?token=00000000000000A3&rev=2"
                              : "/api/events/1?token=00000000000000a3&rev=2",
                            NULL));
        EXPECT_INT(3, (long long)number("rev"));
    }
    EXPECT_INT(404, ask(&w, "DELETE",
                        "/api/events/1?token=00000000000000a4&rev=2", NULL));
    /* The largest revision there can be, wherever it stands. */
    EXPECT_INT(404,
               ask(&w, "DELETE", "/api/events/1?rev=9007199254740991", NULL));
    EXPECT_INT(404,
               ask(&w, "PUT", "/api/events/1",
                   "{\"rev\":9007199254740991,\"title\":\"a\"," MONDAY "}"));
    stop_web(&w);
}

#define LONG_TITLE                                                             \
    "0123456789012345678901234567890123456789012345678901234567890123"         \
    "0123456789012345678901234567890123456789012345678901234567890123"         \
    "0123456789012345678901234567890123456789012345678901234567890123"         \
    "0123456789012345678901234567890123456789012345678901234567890123"

static const struct {
    const char *method, *path, *body, *code, *field;
} bads[] = {
    {"POST", "/api/events", "", "not-an-object", NULL},
    {"POST", "/api/events", "{", "bad-json", NULL},
    {"POST", "/api/events", "[]", "not-an-object", NULL},
    {"POST", "/api/events", "{} {}", "bad-json", NULL},
    {"POST", "/api/events", "{\"title\":1," MONDAY "}", "missing", "title"},
    {"POST", "/api/events", "{" MONDAY "}", "missing", "title"},
    {"POST", "/api/events", "{\"title\":\"\"," MONDAY "}", "empty-title",
     "title"},
    {"POST", "/api/events", "{\"title\":\"   \"," MONDAY "}", "empty-title",
     "title"},
    {"POST", "/api/events", "{\"title\":\"" LONG_TITLE "\"," MONDAY "}",
     "long-title", "title"},
    {"POST", "/api/events", "{\"title\":\"a\\nb\"," MONDAY "}", "bad-title",
     "title"},
    {"POST", "/api/events", "{\"title\":\"a\\u0000b\"," MONDAY "}", "bad-json",
     NULL},
    {"POST", "/api/events", "{\"title\":\"a\",\"title\":\"b\"," MONDAY "}",
     "bad-json", NULL},
    {"POST", "/api/events", "{\"title\":\"\xff\"," MONDAY "}", "bad-json",
     NULL},
    {"POST", "/api/events", "{\"title\":\"a\",\"start\":\"2026-11-23\"}",
     "bad-time", "start"},
    {"POST", "/api/events",
     "{\"title\":\"a\",\"start\":\"2026-02-30T09:00:00Z\"}", "bad-time",
     "start"},
    {"POST", "/api/events", "{\"title\":\"a\",\"start\":\"2026-11-23T09:00\"}",
     "bad-time", "start"},
    {"POST", "/api/events", "{\"title\":\"a\",\"start\":1790000000}", "missing",
     "start"},
    {"POST", "/api/events",
     "{\"title\":\"a\",\"start\":\"2026-11-23T09:00:00Z\"}", "missing", "end"},
    {"POST", "/api/events",
     "{\"title\":\"a\",\"start\":\"2026-11-23T09:00:00Z\","
     "\"end\":\"2026-11-23T09:00:00Z\"}",
     "end-before-start", "end"},
    {"POST", "/api/events",
     "{\"title\":\"a\",\"start\":\"2026-11-23T09:00:00Z\","
     "\"end\":\"2026-11-23T08:59:59Z\"}",
     "end-before-start", "end"},
    {"POST", "/api/events", "{\"token\":\"xyz\",\"title\":\"a\"," MONDAY "}",
     "bad-token", "token"},
    {"POST", "/api/events", "{\"token\":1,\"title\":\"a\"," MONDAY "}",
     "bad-token", "token"},
    {"POST", "/api/events",
     "{\"token\":\"0000000000000000\",\"title\":\"a\"," MONDAY "}", "bad-token",
     "token"},
    {"PUT", "/api/events/1", "{\"title\":\"a\"," MONDAY "}", "bad-number",
     "rev"},
    {"PUT", "/api/events/1", "{\"rev\":\"1\",\"title\":\"a\"," MONDAY "}",
     "bad-number", "rev"},
    {"PUT", "/api/events/1", "{\"rev\":-1,\"title\":\"a\"," MONDAY "}",
     "bad-number", "rev"},
    {"PUT", "/api/events/1", "{\"rev\":1.5,\"title\":\"a\"," MONDAY "}",
     "bad-number", "rev"},
    {"PUT", "/api/events/1", "{\"rev\":1,\"title\":\"\"," MONDAY "}",
     "empty-title", "title"},
    {"PUT", "/api/transport", "{\"name\":\"pigeon\"}", "no-such-transport",
     "name"},
    {"PUT", "/api/transport", "{\"name\":5}", "missing", "name"},
    {"PUT", "/api/transport", "[]", "not-an-object", NULL},
    {"PUT", "/api/transport", "", "not-an-object", NULL},
    {"GET", "/api/events?from=today", NULL, "bad-time", "from"},
    {"GET", "/api/events?to=2026-13-01T00:00:00Z", NULL, "bad-time", "to"},
    {"GET", "/api/events?from=%00", NULL, "bad-time", "from"},
    {"GET", "/api/events?from=2026-11-24T00:00:00Z&to=2026-11-23T00:00:00Z",
     NULL, "end-before-start", "to"},
    {"GET", "/api/ping?via=pigeon", NULL, "no-such-transport", "via"},
    {"GET", "/api/ping?via", NULL, "no-such-transport", "via"},
    {"GET", "/api/changes?rev=x", NULL, "bad-number", "rev"},
    {"GET", "/api/changes?rev", NULL, "bad-number", "rev"},
    {"GET", "/api/changes?rev=", NULL, "bad-number", "rev"},
    {"GET", "/api/changes?rev=1e3", NULL, "bad-number", "rev"},
    {"GET", "/api/changes?rev=9007199254740992", NULL, "bad-number", "rev"},
    {"PUT", "/api/events/1",
     "{\"rev\":9007199254740992,\"title\":\"a\"," MONDAY "}", "bad-json", NULL},
    {"GET", "/api/changes?rev=18446744073709551617", NULL, "bad-number", "rev"},
    {"GET", "/api/changes?rev=1&up=maybe", NULL, "bad-flag", "up"},
    {"GET", "/api/export?format=pdf", NULL, "bad-format", "format"},
    {"GET", "/api/export?format", NULL, "bad-format", "format"},
    {"DELETE", "/api/events/1?rev=-1", NULL, "bad-number", "rev"},
    {"DELETE", "/api/events/1?rev=%31x", NULL, "bad-number", "rev"},
    {"DELETE", "/api/events/1?token=a4", NULL, "bad-token", "token"},
};

static void test_bad(const void *arg)
{
    struct web w = start_web();

    (void)arg;
    for (size_t i = 0; i < LEN(bads); i++) {
        const char *field = bads[i].field ? bads[i].field : "(none)";
        char asked[128];

        snprintf(asked, sizeof asked, "%s %s", bads[i].path,
                 bads[i].body ? bads[i].body : "");
        ask(&w, bads[i].method, bads[i].path, bads[i].body);
        expect_code(400, bads[i].code, asked);
        expect_strict_json();
        EXPECT(strlen(string("error")) > 5);
        harness_check(!strcmp(field, string("field")), false, __FILE__,
                      __LINE__, "field '%s': %s", string("field"), asked);
    }
    EXPECT_INT(200, ask(&w, "GET", "/api/events", NULL));
    EXPECT_INT(0, (long long)number("rev"));
    stop_web(&w);
}

#define HAN      "\xed\x95\x9c"
#define LONG_KEY HAN HAN HAN HAN HAN HAN HAN HAN HAN HAN HAN HAN HAN HAN HAN

static void test_files(const void *arg)
{
    static const char two[] = "[" EVENT ",{\"title\":\"b\"," MONDAY "}]";
    struct web w = start_web();

    (void)arg;
    EXPECT_INT(200, ask(&w, "POST", "/api/import", two));
    EXPECT_INT(2, (long long)number("imported"));
    EXPECT_INT(200, ask(&w, "POST", "/api/import", two));
    EXPECT_INT(0, (long long)number("imported"));
    EXPECT_INT(2, (long long)number("before"));
    EXPECT_INT(422, ask(&w, "POST", "/api/import", "[" EVENT ",\n\n{]"));
    EXPECT_STR("bad-file", string("code"));
    EXPECT(strstr(string("error"), "line 3") != NULL);
    EXPECT_INT(422, ask(&w, "POST", "/api/import", "[" EVENT ",{}]"));
    EXPECT(strstr(string("error"), "event 2") != NULL);
    EXPECT_INT(200, say(&w, "POST /api/import HTTP/1.1\r\n" HOST KEY
                            "Content-Type: text/calendar\r\n"
                            "Content-Length: 134\r\n" END
                            "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:c\r\n"
                            "DTSTART:20261124T090000Z\r\n"
                            "DTEND:20261124T100000Z\r\nLOCATION:here\r\n"
                            "END:VEVENT\r\nEND:VCALENDAR\r\n"));
    EXPECT_INT(1, (long long)number("imported"));
    EXPECT(strstr(string("notes"), "LOCATION") != NULL);
    /* What is cut off in the notes isn't cut inside a character. */
    EXPECT_INT(200, ask(&w, "POST", "/api/import",
                        "[{\"title\":\"c\"," MONDAY ",\"" LONG_KEY "\":1}]"));
    expect_strict_json();
    EXPECT_INT(200, ask(&w, "GET", "/api/export?format=ics", NULL));
    EXPECT(has("Content-Type: text/calendar"));
    EXPECT(has("SUMMARY:c\r\n"));
    EXPECT_INT(200, ask(&w, "GET", "/api/export?format=json", NULL));
    EXPECT(has("Content-Disposition: attachment; filename=\"timetable.json\""));
    EXPECT_STR("IPC", string("0.title"));
    EXPECT_STR("b", string("1.title"));
    stop_web(&w);
}

/* ---- the ways ----------------------------------------------------------- */

static void test_ways(const void *arg)
{
    static const char *const names[] = {"pipe", "fifo", "mqueue", "shm",
                                        "socket"};
    struct web w = start_web();
    char body[64];

    (void)arg;
    for (size_t i = 0; i < LEN(names); i++) {
        snprintf(body, sizeof body, "{\"name\":\"%s\"}", names[i]);
        EXPECT_INT(200, ask(&w, "PUT", "/api/transport", body));
        EXPECT_STR(names[i], string("current"));
        EXPECT_INT(201, ask(&w, "POST", "/api/events", EVENT));
        EXPECT_INT((long long)i + 1, (long long)number("id"));
        EXPECT_STR(names[i], string("journey.transport"));
        EXPECT_INT(w.p.pid, (long long)number("journey.gateway"));
        EXPECT(number("journey.store") > 0 &&
               number("journey.store") != w.p.pid);
        EXPECT(hop("there") > 0);
        EXPECT(hop("journal") > 0);
        EXPECT_INT(36 + 3, (long long)number("journey.sent")); /* wire.h */
    }
    EXPECT_INT(200, ask(&w, "GET", "/api/transports", NULL));
    for (int i = 0; i < 5; i++) {
        char path[32];

        snprintf(path, sizeof path, "ways.%d.count", i);
        EXPECT_INT(0, (long long)number(path)); /* the disk was in them */
    }
    stop_web(&w);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* The percentiles of each way's round trips are those of their journeys. A
 * refused call isn't one of them. */
static void test_samples(const void *arg)
{
    struct web w = start_web();
    double ns[60];

    (void)arg;
    for (int i = 0; i < 60; i++) {
        REQUIRE_INT(200, ask(&w, "GET", "/api/ping?via=fifo", NULL));
        ns[i] = hop("there") + hop("store") + hop("back");
        REQUIRE(ns[i] > 0);
    }
    choose(&w, "fifo");
    EXPECT_INT(404, ask(&w, "GET", "/api/events/1", NULL));
    EXPECT_INT(200, ask(&w, "GET", "/api/transports", NULL));
    EXPECT_STR("fifo", string("ways.3.name"));
    EXPECT_INT(60, (long long)number("ways.3.count"));
    qsort(ns, LEN(ns), sizeof *ns, by_size);
    EXPECT(number("ways.3.p50") == ns[29]); /* the nearest rank */
    EXPECT(number("ways.3.p99") == ns[59]);
    EXPECT_INT(200, ask(&w, "GET", "/api/ping", NULL));
    EXPECT_INT(200, ask(&w, "GET", "/api/transports", NULL));
    EXPECT_INT(61, (long long)number("ways.3.count"));
    stop_web(&w);
}

/* Beside a server that runs, the pipe isn't there, and says why. */
static void test_join(const void *arg)
{
    struct program server = start_server();
    struct web w = start_web();

    (void)arg;
    EXPECT_INT(503, ask(&w, "PUT", "/api/transport", "{\"name\":\"pipe\"}"));
    EXPECT(strstr(string("error"), "only by fork") != NULL);
    EXPECT_INT(200, ask(&w, "PUT", "/api/transport", "{\"name\":\"fifo\"}"));
    EXPECT_INT(server.pid, (long long)number("store"));
    stop_web(&w);
    EXPECT_INT(0, RUN("ping", "-c", "1")); /* the server isn't ours to end */
    EXPECT_INT(64, RUN("web", "--data", "another.jsonl"));
    EXPECT_INT(64, RUN("web", "-t", "pipe"));
    EXPECT(was_said("a pipe comes only by fork"));
    kill(server.pid, SIGTERM);
    EXPECT_INT(0, end_of(&server));
}

/* The server dies: 503 with a reason; the next one is found, over all but the
 * pipe. */
static void test_gone_and_back(const void *arg)
{
    static const char *const lost[][3] = {
        {"GET", "/api/events", NULL},
        {"GET", "/api/events/1", NULL},
        {"POST", "/api/events", EVENT},
        {"PUT", "/api/events/1", "{\"title\":\"a\",\"rev\":1," MONDAY "}"},
        {"DELETE", "/api/events/1", NULL},
        {"POST", "/api/import", "[" EVENT "]"},
        {"GET", "/api/export", NULL},
        {"GET", "/api/ping?via=shm", NULL},
        {"PUT", "/api/transport", "{\"name\":\"mqueue\"}"},
    };
    struct web w = start_web();
    struct program server;
    int tries = 0;

    (void)arg;
    REQUIRE_INT(201, ask(&w, "POST", "/api/events", EVENT));
    kill((pid_t)number("journey.store"), SIGKILL);
    EXPECT_INT(200, ask(&w, "GET", "/api/changes?rev=1&up=true", NULL));
    EXPECT(cJSON_IsFalse(member("up")));
    EXPECT(
        was_said("has ended; the page waits for the next one: ipclab serve"));
    for (size_t i = 0; i < LEN(lost); i++) {
        ask(&w, lost[i][0], lost[i][1], lost[i][2]);
        expect_code(503, "unreachable", lost[i][1]);
        EXPECT(strlen(string("error")) > 5);
    }
    server = start_server();
    EXPECT_INT(200, ask(&w, "GET", "/api/changes?rev=1&up=false", NULL));
    EXPECT(cJSON_IsTrue(member("up")));
    EXPECT_INT(200, ask(&w, "GET", "/api/events", NULL));
    EXPECT_STR("IPC", string("events.0.title"));
    EXPECT_INT(server.pid, (long long)number("journey.store"));
    while (ask(&w, "PUT", "/api/transport", "{\"name\":\"shm\"}") != 200)
        REQUIRE(tries++ < 50);
    EXPECT_INT(503, ask(&w, "PUT", "/api/transport", "{\"name\":\"pipe\"}"));
    EXPECT(strstr(string("error"), "can't be opened again") != NULL);
    stop_web(&w);
    kill(server.pid, SIGTERM);
    EXPECT_INT(0, end_of(&server));
}

/* Somebody else's change, over another transport. */
static void test_changes(const void *arg)
{
    struct web w = start_web();
    struct program other;
    int fd = dial(&w);

    (void)arg;
    tell(&w, fd, "GET /api/changes?rev=0&up=true HTTP/1.1\r\n" HOST KEY END);
    other =
        start((const char *[]){"ipclab", "-t", "fifo", "add", "x",
                               "2026-11-23T09:00Z", "2026-11-23T10:00Z", NULL});
    EXPECT_INT(200, hear(fd));
    EXPECT_INT(1, (long long)number("rev"));
    close(fd);
    EXPECT_INT(0, end_of(&other));
    stop_web(&w);
}

/* ---- trouble at the store ----------------------------------------------- */

/* The store is killed while a change is on its way to it. Whatever is answered,
 * the same token brings it in, and once. */
static void test_dying(const void *arg)
{
    static const char *const names[] = {"fifo", "mqueue", "shm", "socket"};
    struct program server = start_server();
    struct web w = start_web();
    char body[256];

    (void)arg;
    for (size_t i = 0; i < LEN(names); i++) {
        int fd, status, tries = 0;

        choose(&w, names[i]);
        snprintf(body, sizeof body,
                 "{\"token\":\"%016zx\",\"title\":\"%s\"," MONDAY "}", i + 1,
                 names[i]);
        fd = begin(&w, "POST", "/api/events", body);
        kill(server.pid, SIGKILL);
        status = end(fd);
        EXPECT(status == 201 ||
               (status == 503 && !strcmp(string("code"), "unreachable")));
        EXPECT_INT(128 + SIGKILL, end_of(&server));
        server = start_server();
        while (ask(&w, "POST", "/api/events", body) != 201)
            REQUIRE(tries++ < 50);
        EXPECT_INT((long long)i + 1, (long long)number("id"));
    }
    EXPECT_INT(200, ask(&w, "GET", "/api/events", NULL));
    EXPECT(member("events.3") != NULL && member("events.4") == NULL);
    stop_web(&w);
    kill(server.pid, SIGTERM);
    EXPECT_INT(0, end_of(&server));
}

/* Has this thread (its line in /proc) been stopped? */
static bool is_stopped(const char *pid, const char *thread)
{
    char path[300], text[512] = "";
    const char *end;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%s/task/%.20s/stat", pid, thread);
    f = fopen(path, "r");
    if (!f)
        return true; /* it has ended */
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    end = strrchr(text, ')'); /* of its name; then its state */
    return end && !strncmp(end, ") T", 3);
}

/* Stop all its threads: kill returns before the last of them has stopped. */
static void freeze(pid_t pid)
{
    char number[16], path[64];
    bool all = false;

    REQUIRE_INT(0, kill(pid, SIGSTOP));
    snprintf(number, sizeof number, "%d", (int)pid);
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    for (int ms = 0; !all; ms++) {
        DIR *dir = opendir(path);
        const struct dirent *thread;

        REQUIRE(dir != NULL && ms < ANSWER_MS);
        all = true;
        while ((thread = readdir(dir)))
            if (thread->d_name[0] != '.')
                all = all && is_stopped(number, thread->d_name);
        closedir(dir);
        poll(NULL, 0, !all);
    }
}

/* The store is stopped. All who ask are told so within a call's deadline or two
 * (one after the other, they would take longer than this case may); and then it
 * goes on, over a pipe too, which can't be opened again; late answers aren't
 * taken for round trips of whoever asks next. */
static void test_stopped(const void *arg)
{
    static const char *const names[] = {"pipe", "socket", "shm"};
    struct web w = start_web();
    pid_t store;

    (void)arg;
    REQUIRE_INT(200, ask(&w, "GET", "/api/ping", NULL));
    store = (pid_t)number("journey.store");
    for (size_t n = 0; n < LEN(names); n++) {
        int fd[32];

        choose(&w, names[n]);
        freeze(store);
        if (n == 0) { /* a list that was begun isn't sent */
            ask(&w, "GET", "/api/events", NULL);
            expect_code(503, "unreachable", "a list");
        }
        for (size_t i = 0; i < LEN(fd); i++)
            fd[i] = begin(&w, "POST", "/api/events", EVENT);
        EXPECT_INT(200, ask(&w, "GET", "/api/transports", NULL));
        for (size_t i = 0; i < LEN(fd); i++) {
            EXPECT_INT(503, end(fd[i]));
            EXPECT_STR("unreachable", string("code"));
        }
        REQUIRE_INT(0, kill(store, SIGCONT));
        EXPECT_INT(200, ask(&w, "GET", "/api/events", NULL));
        EXPECT_STR(names[n], string("journey.transport"));
        EXPECT_INT(1, (long long)number("journey.trips"));
    }
    stop_web(&w);
}

/* Some wait for a call that takes long: that isn't their own time. */
static void test_turns(const void *arg)
{
    struct web w = start_web();
    unsigned waited = 0;
    int64_t begun;
    pid_t store;
    int fd[8];

    (void)arg;
    REQUIRE_INT(200, ask(&w, "GET", "/api/ping", NULL));
    EXPECT(hop("trips") < 0 && hop("journal") < 0 && hop("back") >= 0);
    store = (pid_t)number("journey.store");
    freeze(store);
    begun = clock_now_ns();
    for (size_t i = 0; i < LEN(fd); i++)
        fd[i] = begin(&w, "GET", "/api/ping", "");
    EXPECT_INT(200, ask(&w, "GET", "/api/transports", NULL));
    REQUIRE_INT(0, kill(store, SIGCONT));
    for (size_t i = 0; i < LEN(fd); i++) {
        EXPECT_INT(200, end(fd[i]));
        waited += hop("turn") > 0;
        EXPECT(all_hops() <= (double)(clock_now_ns() - begun));
    }
    EXPECT(waited > 0);
    stop_web(&w);
}

/* Many ask again as soon as they have been answered, and the store is stopped
 * until one of them is told so. Who asks after it goes on gets an answer: that
 * others were waiting in vain is over. */
static void test_over(const void *arg)
{
    struct web w = start_web();
    struct pollfd ask[40];
    unsigned fresh[LEN(ask)] = {0}; /* answered, and asked again after that */
    size_t done = 0;
    bool stopped = true;
    pid_t store;

    (void)arg;
    for (size_t i = 0; i < LEN(ask); i++) {
        ask[i] = (struct pollfd){.fd = dial(&w), .events = POLLIN};
        put_head(&w, ask[i].fd, "GET", "/api/ping", 0);
        REQUIRE_INT(200, hear(ask[i].fd));
    }
    store = (pid_t)number("journey.store");
    freeze(store);
    for (size_t i = 0; i < LEN(ask); i++)
        put_head(&w, ask[i].fd, "GET", "/api/ping", 0);
    while (done < LEN(ask)) {
        REQUIRE(poll(ask, LEN(ask), ANSWER_MS) > 0);
        for (size_t i = 0; i < LEN(ask); i++) {
            if (!ask[i].revents)
                continue;
            hear(ask[i].fd);
            if (stopped)
                REQUIRE_INT(0, kill(store, SIGCONT));
            stopped = false;
            REQUIRE_INT(fresh[i] ? 200 : got.status, got.status);
            done += ++fresh[i] == 50;
            put_head(&w, ask[i].fd, "GET", "/api/ping", 0);
        }
    }
    for (size_t i = 0; i < LEN(ask); i++)
        close(ask[i].fd);
    stop_web(&w);
}

/* There is no more room for the file: the change isn't made, and what is there
 * can be read. */
static void test_no_room(const void *arg)
{
    struct rlimit before, small;
    struct web w;
    int in = 0;

    (void)arg;
    REQUIRE_INT(0, getrlimit(RLIMIT_FSIZE, &before));
    small = before;
    small.rlim_cur = 600; /* bytes: enough for some events */
    REQUIRE_INT(0, setrlimit(RLIMIT_FSIZE, &small));
    w = start_web();
    REQUIRE_INT(0, setrlimit(RLIMIT_FSIZE, &before));
    while (ask(&w, "POST", "/api/events", EVENT) == 201)
        REQUIRE(in++ < 10);
    expect_code(507, "no-space", "one more event");
    EXPECT_INT(200, ask(&w, "GET", "/api/events", NULL));
    EXPECT(in > 0);
    EXPECT_INT(in, (long long)number("rev"));
    stop_web(&w);
}

/* The data file is taken away: no change is made any more, even when the file
 * is back; what is there can be read. The next server goes on. */
static void test_read_only(const void *arg)
{
    static const char *const changes[][3] = {
        {"POST", "/api/events", EVENT},
        {"PUT", "/api/events/1", "{\"title\":\"a\",\"rev\":1," MONDAY "}"},
        {"DELETE", "/api/events/1", NULL},
        {"POST", "/api/import", "[{\"title\":\"b\"," MONDAY "}]"},
    };
    char file[300], away[310];
    struct web w = start_web();

    (void)arg;
    snprintf(file, sizeof file, "%.200s/data/ipclab/default.jsonl",
             harness_dir());
    snprintf(away, sizeof away, "%s.away", file);
    REQUIRE_INT(201, ask(&w, "POST", "/api/events", EVENT));
    REQUIRE_INT(0, rename(file, away));
    for (size_t i = 0; i < LEN(changes); i++) {
        ask(&w, changes[i][0], changes[i][1], changes[i][2]);
        expect_code(503, "read-only", changes[i][0]);
        EXPECT(strstr(string("error"), "isn't there any more") != NULL);
    }
    REQUIRE_INT(0, rename(away, file));
    EXPECT_INT(503, ask(&w, "POST", "/api/events", EVENT));
    EXPECT_INT(200, ask(&w, "GET", "/api/events", NULL));
    EXPECT_STR("IPC", string("events.0.title"));
    EXPECT_INT(1, (long long)number("rev"));
    stop_web(&w);
    w = start_web();
    EXPECT_INT(201, ask(&w, "POST", "/api/events", EVENT));
    EXPECT_INT(2, (long long)number("rev"));
    stop_web(&w);
}

/* A stopped store keeps nobody from ending the gateway. */
static void test_stopped_end(const void *arg)
{
    struct web w = start_web();
    pid_t store;
    int fd;

    (void)arg;
    REQUIRE_INT(0, prctl(PR_SET_CHILD_SUBREAPER, 1)); /* orphans are ours */
    REQUIRE_INT(200, ask(&w, "GET", "/api/ping", NULL));
    store = (pid_t)number("journey.store");
    freeze(store);
    fd = begin(&w, "POST", "/api/events", EVENT);
    stop_web(&w);
    close(fd);
    REQUIRE_INT(0, kill(store, SIGCONT));
    EXPECT_INT(store, waitpid(store, NULL, 0));
}

#define MANY  2000
#define PAGED 400 /* a list of several pages */
#define ITEM  "%c{\"title\":\"%0200d\"," MONDAY "}"
#define BYTES (sizeof ITEM + 200) /* at least those of one, in JSON */

/* So many events that they take a while to come in. */
static char *many_events(void)
{
    char *text = malloc(MANY * BYTES + 2), *at = text;

    REQUIRE(text != NULL);
    for (int i = 0; i < MANY; i++)
        at += snprintf(at, BYTES, ITEM, i ? ',' : '[', i);
    snprintf(at, 2, "]");
    return text;
}

/* A file under way: some of it is in, others are served meanwhile. */
static int begin_import(const struct web *w, const char *text)
{
    int fd = begin(w, "POST", "/api/import", text), tries = 0;

    while (ask(w, "GET", "/api/events/1", NULL) != 200)
        REQUIRE(tries++ < ANSWER_MS);
    return fd;
}

/* Change the first event again and again, until end_changer. */
static pid_t start_changer(int stop[2])
{
    struct pollfd wait = {.events = POLLIN};
    pid_t pid;

    REQUIRE_INT(0, pipe2(stop, O_CLOEXEC));
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid > 0)
        return pid;
    close(stop[1]);
    wait.fd = stop[0];
    while (poll(&wait, 1, 0) == 0)
        RUN("-t", "socket", "update", "1", "--title", "0");
    _exit(0);
}

static void end_changer(pid_t pid, const int stop[2])
{
    close(stop[0]);
    close(stop[1]);
    REQUIRE_INT(pid, waitpid(pid, NULL, 0));
}

/* A list is as old as its first page says, whatever changes behind our back
 * while the others come: or a page that waits for what comes after the list
 * would miss the change. */
static void test_paged(const void *arg)
{
    struct web w = start_web();
    char *text = many_events();
    pid_t changer;
    int stop[2];

    (void)arg;
    *strchr(text + PAGED * BYTES, '{') = '\0';
    text[strlen(text) - 1] = ']';
    REQUIRE_INT(200, end(begin(&w, "POST", "/api/import", text)));
    free(text);
    choose(&w, "fifo");
    REQUIRE_INT(0, RUN("update", "1", "--title", "0"));
    changer = start_changer(stop);
    for (int i = 0; i < 100; i++) {
        long long rev;

        REQUIRE_INT(200, ask(&w, "GET", "/api/events", NULL));
        REQUIRE(number("journey.trips") > 1);
        rev = (long long)number("rev"); /* of the last change: the first's */
        REQUIRE_INT(rev, (long long)number("events.0.rev"));
    }
    end_changer(changer, stop);
    stop_web(&w);
}

/* While a file comes in over one transport, another one can be chosen, and
 * others are served, on the first one, too. */
static void test_switched(const void *arg)
{
    int64_t begun = clock_now_ns();
    struct web w = start_web();
    char *text = many_events();
    int fd;

    (void)arg;
    choose(&w, "socket");
    fd = begin_import(&w, text);
    choose(&w, "fifo");
    EXPECT_INT(200, ask(&w, "DELETE", "/api/events/1", NULL));
    EXPECT_STR("fifo", string("journey.transport"));
    EXPECT(number("rev") < MANY);
    EXPECT_INT(200, end(fd));
    EXPECT_INT(MANY, (long long)number("imported"));
    EXPECT_STR("socket", string("journey.transport"));
    EXPECT_INT(1 + MANY, (long long)number("journey.trips"));
    EXPECT(hop("trips") > 0 && hop("there") < 0 && hop("back") < 0);
    EXPECT(all_hops() <= (double)(clock_now_ns() - begun));
    EXPECT_INT(200, ask(&w, "GET", "/api/ping", NULL));
    EXPECT_INT(200, ask(&w, "GET", "/api/transports", NULL));
    EXPECT_STR("fifo", string("ways.3.name"));
    EXPECT_INT(1, (long long)number("ways.3.count")); /* the ping */
    EXPECT_STR("socket", string("ways.0.name"));
    EXPECT_INT(1, (long long)number("ways.0.count")); /* begin_import's look */
    free(text);
    stop_web(&w);
}

/* The store is killed half-way through a file: the answer says so, and the
 * same file brings in the rest. */
static void test_half_imported(const void *arg)
{
    struct program server = start_server();
    struct web w = start_web();
    char *text = many_events();
    double in;
    int fd = begin_import(&w, text);

    (void)arg;
    kill(server.pid, SIGKILL);
    EXPECT_INT(503, end(fd));
    EXPECT_STR("half-imported", string("code"));
    EXPECT(strstr(string("error"), " of 2000 events are in; the next ") !=
           NULL);
    in = strtod(string("error"), NULL);
    EXPECT(in > 0 && in < MANY);
    EXPECT_INT(128 + SIGKILL, end_of(&server));
    server = start_server();
    fd = begin(&w, "POST", "/api/import", text);
    EXPECT_INT(200, end(fd));
    /* One may have come in whose answer didn't. */
    EXPECT(number("before") == in || number("before") == in + 1);
    EXPECT_INT(MANY, (long long)(number("imported") + number("before")));
    free(text);
    stop_web(&w);
    kill(server.pid, SIGTERM);
    EXPECT_INT(0, end_of(&server));
}

/* From now on the gateway may have so many bytes of data: with 1 it keeps what
 * it has, and gets no more. (Not with 0: Linux takes that for the hard limit,
 * although getrlimit(2) doesn't say so.) */
static void set_memory(const struct web *w, rlim_t bytes)
{
    struct rlimit r;

    REQUIRE_INT(0, prlimit(w->p.pid, RLIMIT_DATA, NULL, &r));
    r.rlim_cur = bytes < r.rlim_max ? bytes : r.rlim_max;
    REQUIRE_INT(0, prlimit(w->p.pid, RLIMIT_DATA, &r, NULL));
}

/* The head of a request that brings it; until the gateway has room for it. */
static void announce(const struct web *w, int fd, const char *list)
{
    char head[300];

    snprintf(head, sizeof head,
             "POST /api/import HTTP/1.1\r\n" HOST KEY
             "Expect: 100-continue\r\n" JSON "Content-Length: %zu\r\n" END,
             strlen(list));
    tell(w, fd, head);
    hear_until(fd, "\r\n\r\n");
    EXPECT(!strncmp(got.text, "HTTP/1.1 100", 12));
}

/* The gateway has no memory for a long list: it says so, and goes on. (It isn't
 * the one that has taken the events in: that has memory now. And whoever asks
 * has a connection already: a new one takes a stack.) */
static void test_no_memory(const void *arg)
{
    struct web w;
    char *text;
    int fd;

    (void)arg;
    if (OWN_ALLOCATOR) {
        harness_skip("without memory a sanitizer ends the program");
        return;
    }
    w = start_web();
    text = many_events();
    REQUIRE_INT(200, end(begin(&w, "POST", "/api/import", text)));
    free(text);
    stop_web(&w);
    w = start_web();
    fd = begin(&w, "GET", "/api/ping", "");
    REQUIRE_INT(200, hear(fd));
    set_memory(&w, 1);
    put_head(&w, fd, "GET", "/api/export", 0);
    hear(fd);
    expect_code(500, "no-memory", "an export");
    set_memory(&w, RLIM_INFINITY);
    text = many_events();
    announce(&w, fd, text);
    set_memory(&w, 1);
    put(fd, text);
    hear(fd);
    expect_code(500, "no-memory", "a list");
    set_memory(&w, RLIM_INFINITY);
    put_head(&w, fd, "POST", "/api/events", strlen(EVENT));
    put(fd, EVENT);
    EXPECT_INT(201, hear(fd));
    EXPECT_INT(MANY + 1, (long long)number("rev"));
    EXPECT_INT(200, ask(&w, "GET", "/api/ping", NULL));
    close(fd);
    free(text);
    stop_web(&w);
}

/* ---- bad guests --------------------------------------------------------- */

/* A connection that takes little at a time: what it doesn't, the gateway has to
 * hold. */
static int dial_narrow(const struct web *w)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)w->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), bytes = 2048;

    REQUIRE(fd >= 0);
    REQUIRE_INT(0, setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes));
    REQUIRE_INT(0, connect(fd, (struct sockaddr *)&at, sizeof at));
    return fd;
}

/* Answers that are more than the kernel's buffers hold. */
#define ANSWERS 40

static int dial_for_much(const struct web *w)
{
    char *text = many_events();
    int fd;

    REQUIRE_INT(200, end(begin(w, "POST", "/api/import", text)));
    free(text);
    fd = dial_narrow(w);
    for (int i = 0; i < ANSWERS; i++)
        tell(w, fd, "GET /api/export HTTP/1.1\r\n" HOST KEY END);
    return fd;
}

/* A byte of it, or all that comes until the end. */
static size_t take(int fd, bool all)
{
    char bytes[65536];
    size_t taken = 0;
    ssize_t n;

    do {
        struct pollfd wait = {.fd = fd, .events = POLLIN};

        REQUIRE(poll(&wait, 1, ANSWER_MS) == 1);
        n = read(fd, bytes, all ? sizeof bytes : 1);
        taken += n > 0 ? (size_t)n : 0;
    } while (all && n > 0);
    return taken;
}

/* More guests than it takes, of which three send a byte of a head or a body now
 * and then (one of its second request), and one takes a byte: after ten seconds
 * without a whole request, or a whole answer, they are shown out, and who
 * waited comes in. But who waits for us may. */
static void test_crowd(const void *arg)
{
    struct web w = start_web();
    int slow = dial_for_much(&w), fd[64];
    int64_t begun = clock_now_ns(), late = begun + LATE_MS * (int64_t)MS;
    struct pollfd wait = {.events = POLLIN}, again = wait;
    size_t taken = 0;
    int tries = 0;

    (void)arg;
    wait.fd = fd[0] = dial(&w);
    put(fd[0], GET);
    fd[1] = begin_head(&w, "POST", "/api/events", 1000);
    fd[2] = begin(&w, "GET", "/api/ping", "");
    EXPECT_INT(200, hear(fd[2]));
    again.fd = fd[2];
    put_head(&w, fd[2], "POST", "/api/events", 1000);
    do { /* until the gateway has seen that MANY came in */
        REQUIRE(tries++ < ANSWER_MS);
        ask(&w, "GET", "/api/changes?rev=0", NULL);
    } while (number("rev") != MANY);
    fd[3] = begin(&w, "GET", "/api/changes?rev=2000", "");
    for (size_t i = 4; i < LEN(fd); i++)
        fd[i] = dial(&w);
    while (poll(&wait, 1, 200) == 0) {
        REQUIRE(clock_now_ns() < late + 2 * LATE_MS * (int64_t)MS);
        put(fd[0], "X");
        put(fd[1], " ");
        put(fd[2], " ");
        taken += take(slow, false);
    }
    EXPECT(clock_now_ns() >= late);
    EXPECT_INT(0, hear(fd[1]));
    EXPECT_INT(200, ask(&w, "GET", "/api/ping", NULL));
    while (clock_now_ns() < late + 3000 * (int64_t)MS) {
        taken += take(slow, false);
        poll(NULL, 0, 100);
    }
    EXPECT(poll(&again, 1, 0) == 1 && hear(fd[2]) == 0);
    EXPECT_INT(201, ask(&w, "POST", "/api/events", EVENT));
    EXPECT_INT(200, hear(fd[3]));
    EXPECT_INT(MANY + 1, (long long)number("rev"));
    taken += take(slow, true);
    EXPECT(taken < ANSWERS * MANY * BYTES / 2); /* the rest never comes */
    close(slow);
    for (size_t i = 0; i < LEN(fd); i++)
        close(fd[i]);
    stop_web(&w);
}

/* As many as come in ask for the next change, and hang up: the next one is let
 * in all the same, long before a change or the end of their wait. */
static void test_hung_up(const void *arg)
{
    struct web w = start_web();
    int64_t begun;
    int fd[48]; /* gateway.h */

    (void)arg;
    for (size_t i = 0; i < LEN(fd); i++)
        fd[i] = begin(&w, "GET", "/api/changes?rev=0", "");
    for (size_t i = 0; i < LEN(fd); i++)
        close(fd[i]);
    begun = clock_now_ns();
    EXPECT_INT(200, ask(&w, "GET", "/api/ping", NULL));
    EXPECT(clock_now_ns() - begun < LATE_MS * (int64_t)MS);
    stop_web(&w);
}

/* ---- ends --------------------------------------------------------------- */

/* Its server goes with it, even if it is killed. */
static void test_killed(const void *arg)
{
    struct web w = start_web();
    pid_t server;
    int ms = 0;

    (void)arg;
    REQUIRE_INT(0, prctl(PR_SET_CHILD_SUBREAPER, 1)); /* orphans are ours */
    REQUIRE_INT(200, ask(&w, "GET", "/api/ping", NULL));
    server = (pid_t)number("journey.store");
    kill(w.p.pid, SIGKILL);
    EXPECT_INT(128 + SIGKILL, end_of(&w.p));
    while (waitpid(server, NULL, WNOHANG) != server) {
        REQUIRE(ms++ < ANSWER_MS);
        poll(NULL, 0, 1);
    }
    EXPECT_INT(0, RUN("clean"));
}

static void test_signals(const void *arg)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

    (void)arg;
    for (size_t i = 0; i < LEN(signals); i++) {
        struct web w = start_web();
        int fd = dial(&w);
        int64_t begun;

        /* While somebody waits for a change. */
        put(fd, "GET /api/changes?rev=0&up=true HTTP/1.1\r\n");
        begun = clock_now_ns();
        kill(w.p.pid, signals[i]);
        EXPECT_INT(0, end_of(&w.p));
        EXPECT(clock_now_ns() - begun < (int64_t)ANSWER_MS * MS);
        close(fd);
    }
}

/* Who starts us in the background, or by nohup, has SIGINT or SIGHUP ignored:
 * they don't end us. */
static void test_nohup(const void *arg)
{
    static const int signals[] = {SIGINT, SIGHUP};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct web w;
    int fd;

    (void)arg;
    for (size_t i = 0; i < LEN(signals); i++)
        REQUIRE_INT(0, sigaction(signals[i], &ignore, NULL));
    w = start_web();
    fd = begin(&w, "GET", "/api/changes?rev=0", "");
    for (size_t i = 0; i < LEN(signals); i++)
        REQUIRE_INT(0, kill(w.p.pid, signals[i]));
    for (int i = 0; i < 100; i++)
        REQUIRE_INT(200, ask(&w, "GET", "/api/ping", NULL));
    EXPECT_INT(201, ask(&w, "POST", "/api/events", EVENT));
    EXPECT_INT(200, end(fd)); /* it has waited for that */
    EXPECT_INT(1, (long long)number("rev"));
    stop_web(&w);
}

/* Somebody else has the data file: no gateway without a store. */
static void test_data_in_use(const void *arg)
{
    struct program server;
    char path[300], line[512];

    (void)arg;
    snprintf(path, sizeof path, "%.200s/x.jsonl", harness_dir());
    server = start((const char *[]){"ipclab", "serve", "-n", "other", "--data",
                                    path, NULL});
    read_line(&server, "ready: ", line);
    EXPECT_INT(75, RUN("web", "--data", path, "--timeout", "100"));
    EXPECT(was_said("x.jsonl"));
    kill(server.pid, SIGTERM);
    EXPECT_INT(0, end_of(&server));
}

static void test_port_in_use(const void *arg)
{
    struct web w = start_web();
    char port[8];

    (void)arg;
    snprintf(port, sizeof port, "%u", w.port);
    EXPECT_INT(73, RUN("web", "--port", port));
    EXPECT(was_said("cannot listen on port"));
    EXPECT_INT(64, RUN("web", "--port", "65536"));
    stop_web(&w);
}

/* ---- all ---------------------------------------------------------------- */

static void test_not_built(const void *arg)
{
    (void)arg;
    EXPECT_INT(73, RUN("web"));
    EXPECT(was_said("make deps-web"));
    harness_skip("the gateway isn't built: make deps-web");
}

static const struct test_case cases[] = {
    {"door", test_door, NULL, 60},
    {"smuggling", test_smuggling, NULL, 0},
    {"pipelined", test_pipelined, NULL, 0},
    {"expect", test_expect, NULL, 0},
    {"long-head", test_long_head, NULL, 0},
    {"safety", test_safety, NULL, 0},
    {"port-80", test_port_80, NULL, 0},
    {"loopback", test_loopback, NULL, 0},
    {"events", test_events, NULL, 0},
    {"changed", test_changed, NULL, 0},
    {"token", test_token, NULL, 0},
    {"bad", test_bad, NULL, 60},
    {"files", test_files, NULL, 0},
    {"ways", test_ways, NULL, 0},
    {"samples", test_samples, NULL, 0},
    {"join", test_join, NULL, 0},
    {"gone-and-back", test_gone_and_back, NULL, 60},
    {"changes", test_changes, NULL, 0},
    {"dying", test_dying, NULL, 60},
    {"no-room", test_no_room, NULL, 0},
    {"read-only", test_read_only, NULL, 0},
    {"stopped-end", test_stopped_end, NULL, 0},
    {"stopped", test_stopped, NULL, 60},
    {"turns", test_turns, NULL, 60},
    {"over", test_over, NULL, 60},
    {"paged", test_paged, NULL, 60},
    {"switched", test_switched, NULL, 60},
    {"half-imported", test_half_imported, NULL, 60},
    {"no-memory", test_no_memory, NULL, 0},
    {"crowd", test_crowd, NULL, 60},
    {"hung-up", test_hung_up, NULL, 60},
    {"killed", test_killed, NULL, 0},
    {"signals", test_signals, NULL, 60},
    {"nohup", test_nohup, NULL, 0},
    {"data-in-use", test_data_in_use, NULL, 0},
    {"port-in-use", test_port_in_use, NULL, 0},
};

static const struct test_case none[] = {
    {"not-built", test_not_built, NULL, 0},
};

int main(int argc, char **argv)
{
    bool built = is_built();
    struct test_suite suite = {.name = "web",
                               .cases = built ? cases : none,
                               .count = built ? LEN(cases) : LEN(none)};

    return harness_main(argc, argv, &suite);
}
