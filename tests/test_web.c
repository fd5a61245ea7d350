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

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEN(a)    (sizeof(a) / sizeof *(a))
#define ANSWER_MS 15000 /* for whatever should answer */
#define ENDS_MS   1000  /* SIGTERM is obeyed within */
#define LATE_MS   10000 /* gateway.h: for a request to come in whole */
#define TOKEN     64
#define MS        1000000
#define MONDAY                                                                 \
    "\"start\":\"2026-11-23T09:00:00Z\",\"end\":\"2026-11-23T10:00:00Z\""
#define EVENT "{\"title\":\"IPC\"," MONDAY "}"

static const char *binary(void)
{
    const char *given = getenv("IPCLAB_BIN");

    return given ? given : "build/ipclab";
}

/* Was the gateway built? It lies in web/ beside the binary. */
static bool is_built(void)
{
    char path[4096];
    const char *slash = strrchr(binary(), '/');

    snprintf(path, sizeof path, "%.*s/web/gateway.so",
             slash ? (int)(slash - binary()) : 1, slash ? binary() : ".");
    return access(path, R_OK) == 0;
}

/* ---- programs -------------------------------------------------------------- */

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
        execv(binary(), (char *const *)argv); /* which changes none */
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

/* ---- the gateway ----------------------------------------------------------- */

struct web {
    struct program p;
    unsigned port;
    char token[TOKEN + 1];
};

static struct web start_web(void)
{
    struct web w = {.p = start((const char *[]){"ipclab", "web", NULL})};
    char line[512];

    read_line(&w.p, "ready: ", line);
    REQUIRE_INT(2, sscanf(line, "ready: http://127.0.0.1:%u/#t=%64s", &w.port,
                          w.token));
    REQUIRE_INT(TOKEN, (long long)strlen(w.token));
    return w;
}

static void stop_web(struct web *w)
{
    int64_t begun = clock_now_ns();

    kill(w->p.pid, SIGTERM);
    EXPECT_INT(0, end_of(&w->p));
    EXPECT(clock_now_ns() - begun < 4 * (int64_t)ENDS_MS * MS);
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

static int hear(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    ssize_t n;

    got = (struct answer){.status = 0, .body = ""};
    while (!is_whole()) {
        REQUIRE(poll(&wait, 1, ANSWER_MS + LATE_MS) == 1);
        REQUIRE(got.len + 1 < sizeof got.text);
        n = read(fd, got.text + got.len, sizeof got.text - got.len - 1);
        if (n <= 0)
            break;
        got.len += (size_t)n;
        got.text[got.len] = '\0';
    }
    (void)sscanf(got.text, "HTTP/1.1 %d", &got.status); /* 0 remains */
    return got.status;
}

/* These very bytes on a connection of their own; @ stands for our port, $ for
 * the token. */
static int say(const struct web *w, const char *bytes)
{
    char text[65536];
    size_t n = 0;
    int fd = dial(w), status;

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
        snprintf(head, sizeof head,
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                 strlen(body));
    snprintf(text, sizeof text,
             "%s %s HTTP/1.1\r\nHost: 127.0.0.1:@\r\n"
             "Authorization: Bearer $\r\n%s\r\n%s",
             method, path, head, body ? body : "");
    return say(w, text);
}

/* ---- what is in an answer -------------------------------------------------- */

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

/* ---- the door -------------------------------------------------------------- */

#define HOST  "Host: 127.0.0.1:@\r\n"
#define KEY   "Authorization: Bearer $\r\n"
#define JSON  "Content-Type: application/json\r\n"
#define END   "\r\n"
#define GET   "GET /api/events HTTP/1.1\r\n"
#define POST  "POST /api/events HTTP/1.1\r\n"
#define ZEROS "0000000000000000"

static const struct {
    int status;
    const char *bytes;
} doors[] = {
    {200, GET HOST KEY END},
    {200, GET "host: LOCALHOST:@\r\n" KEY END},
    {200, GET "Host: [::1]:@\r\n" KEY END},
    {200, GET HOST KEY "Sec-Fetch-Site: same-origin\r\n" END},
    {200, GET HOST KEY "Origin: http://127.0.0.1:@\r\n" END},
    {200, "GET / HTTP/1.1\r\n" HOST END},
    {200, "GET / HTTP/1.1\r\n" HOST "Sec-Fetch-Site: cross-site\r\n" END},
    {200, "HEAD /style.css HTTP/1.1\r\nConnection: close\r\n" HOST END},
    /* what isn't a proper request */
    {400, GET KEY END},
    {400, GET HOST HOST KEY END},
    {400, GET HOST KEY KEY END},
    {400,
     GET HOST KEY "Content-Length: 5\r\nContent-Length: 10\r\n" END "12345"},
    {400, POST HOST KEY JSON "Content-Length: 5x\r\n" END "12345"},
    {400, POST HOST KEY JSON "Content-Length: -1\r\n" END},
    {400, POST HOST KEY JSON "Content-Length: +5\r\n" END "12345"},
    {400, POST HOST KEY JSON "Transfer-Encoding: chunked\r\n" END "0\r\n\r\n"},
    {400, POST HOST KEY JSON
     "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END "0\r\n\r\n"},
    {400, POST HOST KEY JSON JSON "Content-Length: 2\r\n" END "{}"},
    {400, GET HOST KEY "Origin: http://127.0.0.1:@\r\n"
                       "Origin: http://127.0.0.1:@\r\n" END},
    {400, "GET http://127.0.0.1:@/api/events HTTP/1.1\r\n" HOST KEY END},
    {400, "GET http://evil.example/ HTTP/1.1\r\n" HOST END},
    {400, "GET /api/events%00/../x HTTP/1.1\r\n" HOST KEY END},
    {400, "GET /%00 HTTP/1.1\r\n" HOST END},
    {400, "GET /a%0ab HTTP/1.1\r\n" HOST END},
    {400, GET HOST KEY "Content-Length: 2\r\n" END "{}"},
    /* a foreign name, which leads to loopback */
    {421, GET "Host: evil.example:@\r\n" KEY END},
    {421, GET "Host: 127.0.0.1\r\n" KEY END},
    {421, GET "Host: 127.0.0.1:1\r\n" KEY END},
    {421, GET "Host: 127.0.0.1.evil.example:@\r\n" KEY END},
    {421, "GET / HTTP/1.1\r\nHost: evil.example:@\r\n" END},
    /* another site's page */
    {403, GET HOST KEY "Sec-Fetch-Site: cross-site\r\n" END},
    {403, GET HOST KEY "Sec-Fetch-Site: same-site\r\n" END},
    {403, POST HOST KEY JSON "Sec-Fetch-Site: cross-site\r\n"
                             "Content-Length: 2\r\n" END "{}"},
    {403, GET HOST KEY "Origin: http://evil.example\r\n" END},
    {403, GET HOST KEY "Origin: null\r\n" END},
    {403, GET HOST KEY "Origin: https://127.0.0.1:@\r\n" END},
    {403, "OPTIONS /api/events HTTP/1.1\r\n" HOST
          "Origin: http://evil.example\r\n" END},
    /* without the token */
    {401, GET HOST END},
    {401, GET HOST "Authorization: Basic $\r\n" END},
    {401, GET HOST "Authorization: Bearer $0\r\n" END},
    {401, GET HOST "Authorization: Bearer " ZEROS ZEROS ZEROS ZEROS "\r\n" END},
    {401, "GET /api/nothing HTTP/1.1\r\n" HOST END},
    {401, "GET /api/events?t=$ HTTP/1.1\r\n" HOST END},
    /* no such thing, or not like that */
    {404, "GET /api/nothing HTTP/1.1\r\n" HOST KEY END},
    {404, "GET /api/events/0 HTTP/1.1\r\n" HOST KEY END},
    {404, "GET /api/events/01 HTTP/1.1\r\n" HOST KEY END},
    {404, "GET /api/events/4294967296 HTTP/1.1\r\n" HOST KEY END},
    {404, "GET /api/events/1 HTTP/1.1\r\n" HOST KEY END},
    {404, "GET /gateway.so HTTP/1.1\r\n" HOST END},
    {404, "GET /../gateway.so HTTP/1.1\r\n" HOST END},
    {404, "GET //etc/passwd HTTP/1.1\r\n" HOST END},
    {405, "DELETE /api/events HTTP/1.1\r\n" HOST KEY END},
    {405, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" END},
    {405, "PATCH /api/events/1 HTTP/1.1\r\n" HOST KEY END},
    /* bodies */
    {411, POST HOST KEY JSON END},
    {413, POST HOST KEY JSON "Content-Length: 4097\r\n" END},
    {413, POST HOST KEY JSON "Content-Length: 999999999999999\r\n" END},
    {415, POST HOST KEY "Content-Length: 2\r\n" END "{}"},
    {415, POST HOST KEY "Content-Type: text/plain\r\n"
                        "Content-Length: 2\r\n" END "{}"},
    {415, POST HOST KEY "Content-Type: application/jsonx\r\n"
                        "Content-Length: 2\r\n" END "{}"},
    {415, POST HOST KEY "Content-Type: text/calendar\r\n"
                        "Content-Length: 2\r\n" END "{}"},
};

static void test_door(const void *arg)
{
    struct web w = start_web();

    (void)arg;
    for (size_t i = 0; i < LEN(doors); i++) {
        int status = say(&w, doors[i].bytes);

        harness_check(status == doors[i].status, false, __FILE__, __LINE__,
                      "expected %d, got %d: %.60s", doors[i].status, status,
                      doors[i].bytes);
    }
    /* None of them has changed anything, or hurt anybody. */
    EXPECT_INT(200, ask(&w, "GET", "/api/events", NULL));
    EXPECT_INT(0, (long long)number("rev"));
    stop_web(&w);
}

/* The head is too long: nobody's memory is used up for it. */
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

/* ---- the timetable --------------------------------------------------------- */

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
    EXPECT_STR("token", string("field"));
    stop_web(&w);
}

static const struct {
    const char *method, *path, *body, *field;
} bads[] = {
    {"POST", "/api/events", "", NULL},
    {"POST", "/api/events", "{", NULL},
    {"POST", "/api/events", "[]", NULL},
    {"POST", "/api/events", "{} {}", NULL},
    {"POST", "/api/events", "{\"title\":1," MONDAY "}", "title"},
    {"POST", "/api/events", "{" MONDAY "}", "title"},
    {"POST", "/api/events", "{\"title\":\"\"," MONDAY "}", "title"},
    {"POST", "/api/events", "{\"title\":\"   \"," MONDAY "}", "title"},
    {"POST", "/api/events", "{\"title\":\"a\\nb\"," MONDAY "}", "title"},
    {"POST", "/api/events", "{\"title\":\"a\\u0000b\"," MONDAY "}", NULL},
    {"POST", "/api/events", "{\"title\":\"a\",\"title\":\"b\"," MONDAY "}",
     NULL},
    {"POST", "/api/events", "{\"title\":\"\xff\"," MONDAY "}", NULL},
    {"POST", "/api/events", "{\"title\":\"a\",\"start\":\"2026-11-23\"}",
     "start"},
    {"POST", "/api/events",
     "{\"title\":\"a\",\"start\":\"2026-02-30T09:00:00Z\"}", "start"},
    {"POST", "/api/events", "{\"title\":\"a\",\"start\":\"2026-11-23T09:00\"}",
     "start"},
    {"POST", "/api/events",
     "{\"title\":\"a\",\"start\":\"2026-11-23T09:00:00Z\"}", "end"},
    {"POST", "/api/events",
     "{\"title\":\"a\",\"start\":\"2026-11-23T09:00:00Z\","
     "\"end\":\"2026-11-23T09:00:00Z\"}",
     "end"},
    {"POST", "/api/events", "{\"token\":\"xyz\",\"title\":\"a\"," MONDAY "}",
     "token"},
    {"POST", "/api/events", "{\"token\":1,\"title\":\"a\"," MONDAY "}",
     "token"},
    {"POST", "/api/events",
     "{\"token\":\"0000000000000000\",\"title\":\"a\"," MONDAY "}", "token"},
    {"PUT", "/api/events/1", "{\"title\":\"a\"," MONDAY "}", "rev"},
    {"PUT", "/api/events/1", "{\"rev\":\"1\",\"title\":\"a\"," MONDAY "}",
     "rev"},
    {"PUT", "/api/transport", "{\"name\":\"pigeon\"}", "name"},
    {"PUT", "/api/transport", "[]", "name"},
    {"GET", "/api/events?from=today", NULL, "from"},
    {"GET", "/api/ping?via=pigeon", NULL, "via"},
    {"GET", "/api/changes?rev=x", NULL, "rev"},
    {"GET", "/api/export?format=pdf", NULL, "format"},
    {"DELETE", "/api/events/1?rev=-1", NULL, "rev"},
};

static void test_bad(const void *arg)
{
    struct web w = start_web();

    (void)arg;
    for (size_t i = 0; i < LEN(bads); i++) {
        int status = ask(&w, bads[i].method, bads[i].path, bads[i].body);
        const char *field = cJSON_GetStringValue(member("field"));

        harness_check(status == 400, false, __FILE__, __LINE__,
                      "expected 400, got %d: %s %s", status, bads[i].path,
                      bads[i].body ? bads[i].body : "");
        harness_check(bads[i].field ? field && !strcmp(field, bads[i].field)
                                    : field == NULL,
                      false, __FILE__, __LINE__, "field '%s': %s %s",
                      field ? field : "", bads[i].path,
                      bads[i].body ? bads[i].body : "");
        EXPECT(strlen(string("error")) > 5);
    }
    EXPECT_INT(200, ask(&w, "GET", "/api/events", NULL));
    EXPECT_INT(0, (long long)number("rev"));
    stop_web(&w);
}

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
    EXPECT_INT(200, ask(&w, "GET", "/api/export?format=ics", NULL));
    EXPECT(has("Content-Type: text/calendar"));
    EXPECT(has("SUMMARY:c\r\n"));
    EXPECT_INT(200, ask(&w, "GET", "/api/export?format=json", NULL));
    EXPECT(has("Content-Disposition: attachment; filename=\"timetable.json\""));
    EXPECT_STR("IPC", string("0.title"));
    EXPECT_STR("b", string("1.title"));
    stop_web(&w);
}

/* ---- the ways -------------------------------------------------------------- */

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
        EXPECT_STR("there", string("journey.hops.1.hop"));
        EXPECT_STR("journal", string("journey.hops.3.hop"));
        EXPECT(number("journey.hops.3.ns") > 0);
        EXPECT_INT(36 + 3, (long long)number("journey.sent")); /* wire.h */
    }
    EXPECT_INT(200, ask(&w, "GET", "/api/transports", NULL));
    for (int i = 0; i < 5; i++) {
        char path[32];

        snprintf(path, sizeof path, "ways.%d.count", i);
        EXPECT_INT(1, (long long)number(path));
    }
    stop_web(&w);
}

/* Beside a server that runs, the pipe isn't there, and says why. */
static void test_join(const void *arg)
{
    struct program server = start((const char *[]){"ipclab", "serve", NULL});
    char line[512];
    struct web w;

    (void)arg;
    read_line(&server, "ready: ", line);
    w = start_web();
    EXPECT_INT(503, ask(&w, "PUT", "/api/transport", "{\"name\":\"pipe\"}"));
    EXPECT(strstr(string("error"), "only by fork") != NULL);
    EXPECT_INT(200, ask(&w, "PUT", "/api/transport", "{\"name\":\"fifo\"}"));
    EXPECT_INT(server.pid, (long long)number("store"));
    stop_web(&w);
    EXPECT_INT(0, RUN("ping", "-c", "1")); /* the server isn't ours to end */
    kill(server.pid, SIGTERM);
    EXPECT_INT(0, end_of(&server));
}

/* The server dies: 503 with a reason; the next one is found, over all but the
 * pipe. */
static void test_gone_and_back(const void *arg)
{
    struct web w = start_web();
    struct program server;
    char line[512];
    int tries = 0;

    (void)arg;
    REQUIRE_INT(201, ask(&w, "POST", "/api/events", EVENT));
    kill((pid_t)number("journey.store"), SIGKILL);
    EXPECT_INT(200, ask(&w, "GET", "/api/changes?rev=1&up=true", NULL));
    EXPECT(cJSON_IsFalse(member("up")));
    EXPECT(
        was_said("has ended; the page waits for the next one: ipclab serve"));
    EXPECT_INT(503, ask(&w, "GET", "/api/events", NULL));
    EXPECT(strlen(string("error")) > 5);
    server = start((const char *[]){"ipclab", "serve", NULL});
    read_line(&server, "ready: ", line);
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
    char text[512];

    (void)arg;
    snprintf(text, sizeof text,
             "GET /api/changes?rev=0&up=true HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
             "Authorization: Bearer %s\r\n\r\n",
             w.port, w.token);
    put(fd, text);
    other =
        start((const char *[]){"ipclab", "-t", "fifo", "add", "x",
                               "2026-11-23T09:00Z", "2026-11-23T10:00Z", NULL});
    EXPECT_INT(200, hear(fd));
    EXPECT_INT(1, (long long)number("rev"));
    close(fd);
    EXPECT_INT(0, end_of(&other));
    stop_web(&w);
}

/* ---- bad guests ------------------------------------------------------------ */

/* More than it takes, of which one sends a byte now and then: after ten seconds
 * without a whole request they are shown out, and who waited comes in. */
static void test_crowd(const void *arg)
{
    struct web w = start_web();
    int64_t begun = clock_now_ns();
    int fd[64];
    struct pollfd wait = {.events = POLLIN};

    (void)arg;
    wait.fd = fd[0] = dial(&w);
    put(fd[0], GET);
    for (size_t i = 1; i < LEN(fd); i++)
        fd[i] = dial(&w);
    while (poll(&wait, 1, 200) == 0) {
        REQUIRE(clock_now_ns() - begun < 3 * (int64_t)LATE_MS * MS);
        put(fd[0], "X");
    }
    EXPECT(clock_now_ns() - begun >= (int64_t)LATE_MS * MS);
    EXPECT_INT(200, ask(&w, "GET", "/api/events", NULL));
    for (size_t i = 0; i < LEN(fd); i++)
        close(fd[i]);
    stop_web(&w);
}

/* ---- ends ------------------------------------------------------------------ */

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
        EXPECT(clock_now_ns() - begun < 4 * (int64_t)ENDS_MS * MS);
        close(fd);
    }
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

/* ---- all ------------------------------------------------------------------- */

static void test_not_built(const void *arg)
{
    (void)arg;
    EXPECT_INT(73, RUN("web"));
    EXPECT(was_said("make deps-web"));
    harness_skip("the gateway isn't built: make deps-web");
}

static const struct test_case cases[] = {
    {"door", test_door, NULL, 60, false},
    {"long-head", test_long_head, NULL, 0, false},
    {"safety", test_safety, NULL, 0, false},
    {"loopback", test_loopback, NULL, 0, false},
    {"events", test_events, NULL, 0, false},
    {"changed", test_changed, NULL, 0, false},
    {"token", test_token, NULL, 0, false},
    {"bad", test_bad, NULL, 60, false},
    {"files", test_files, NULL, 0, false},
    {"ways", test_ways, NULL, 0, false},
    {"join", test_join, NULL, 0, false},
    {"gone-and-back", test_gone_and_back, NULL, 60, false},
    {"changes", test_changes, NULL, 0, false},
    {"crowd", test_crowd, NULL, 60, false},
    {"killed", test_killed, NULL, 0, true},
    {"signals", test_signals, NULL, 60, false},
    {"port-in-use", test_port_in_use, NULL, 0, false},
};

static const struct test_case none[] = {
    {"not-built", test_not_built, NULL, 0, false},
};

int main(int argc, char **argv)
{
    bool built = is_built();
    struct test_suite suite = {.name = "web",
                               .cases = built ? cases : none,
                               .count = built ? LEN(cases) : LEN(none)};

    return harness_main(argc, argv, &suite);
}
