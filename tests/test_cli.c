/*
 * test_cli.c - the command line, end to end
 *
 * Runs the real binary (IPCLAB_BIN, or build/ipclab) as people do, and looks
 * at what it prints, at its exit code, and at what it leaves behind.
 *
 * IPCLAB_IMPORT=FILE has the import cases use that file instead of one that is
 * made here: so a real timetable can be tried without being part of the lab.
 *
 * It needs _GNU_SOURCE for pipe2.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LEN(a)   (sizeof(a) / sizeof *(a))
#define ARGS_MAX 24
#define LIMIT_MS 30000 /* one command may take this long */

/* The times of an event. */
#define T1 "2026-01-01T00:00Z"
#define T2 "2026-01-01T01:00Z"

/* ---- running a command -------------------------------------------------- */

static struct {
    int code; /* exit code; -1 = killed by a signal */
    char out[65536], err[8192];
} last;

static long long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Start the binary with pipes for its output; argv ends with NULL. */
static pid_t start(char *const *argv, const char *input, int *out, int *err)
{
    int o[2], e[2], in = open(input ? input : "/dev/null", O_RDONLY);
    pid_t pid;

    REQUIRE(in >= 0);
    REQUIRE_INT(0, pipe2(o, O_CLOEXEC));
    REQUIRE_INT(0, pipe2(e, O_CLOEXEC));
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        struct sigaction plain = {.sa_handler = SIG_DFL};

        sigaction(SIGPIPE, &plain, NULL);
        dup2(in, 0);
        dup2(o[1], 1);
        dup2(e[1], 2);
        close(in);
        execv(harness_ipclab(), argv);
        _exit(127);
    }
    close(in);
    close(o[1]);
    close(e[1]);
    *out = o[0];
    *err = e[0];
    return pid;
}

/* Read what is there into text[cap]; false at the end of the stream. */
static bool take(int fd, char *text, size_t cap)
{
    size_t len = strlen(text);
    char rest[512]; /* what doesn't fit is read and thrown away */
    bool fits = len + 1 < cap;
    ssize_t n =
        read(fd, fits ? text + len : rest, fits ? cap - 1 - len : sizeof rest);

    if (fits && n > 0)
        text[len + (size_t)n] = '\0';
    return n > 0;
}

static void collect(pid_t pid, int out, int err)
{
    struct pollfd p[2] = {{.fd = out, .events = POLLIN},
                          {.fd = err, .events = POLLIN}};
    long long end = now_ms() + LIMIT_MS;
    int status;

    last.out[0] = last.err[0] = '\0';
    while (p[0].fd >= 0 || p[1].fd >= 0) {
        long long left = end - now_ms();

        if (left <= 0 || poll(p, 2, (int)left) == 0) {
            kill(pid, SIGKILL);
            harness_check(false, false, __FILE__, __LINE__,
                          "a command is done within %d ms", LIMIT_MS);
            break;
        }
        if (p[0].revents && !take(out, last.out, sizeof last.out))
            p[0].fd = -1;
        if (p[1].revents && !take(err, last.err, sizeof last.err))
            p[1].fd = -1;
    }
    close(out);
    close(err);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    last.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run_argv(char *const *argv, const char *input)
{
    int out, err;
    pid_t pid = start(argv, input, &out, &err);

    collect(pid, out, err);
    return last.code;
}

static void fill(char **argv, const char *first, va_list ap)
{
    int n = 0;
    const char *arg = first;

    argv[n++] = (char *)"ipclab";
    for (; arg && n < ARGS_MAX - 1; arg = va_arg(ap, const char *))
        argv[n++] = (char *)arg;
    argv[n] = NULL;
}

/* run("list", "--json", NULL): the exit code; the rest is in `last`. */
static int run(const char *first, ...)
{
    char *argv[ARGS_MAX];
    va_list ap;

    va_start(ap, first);
    fill(argv, first, ap);
    va_end(ap);
    return run_argv(argv, NULL);
}

/* The command must end with this code and say this on stderr. */
static void expect_refusal(int code, const char *sentence)
{
    EXPECT_INT(code, last.code);
    if (!strstr(last.err, sentence))
        EXPECT_STR(sentence, last.err);
    EXPECT(!strncmp(last.err, "ipclab: ", 8));
    EXPECT_STR("", last.out);
}

/* ---- a server ----------------------------------------------------------- */

struct server {
    pid_t pid;
    int out, err;
};

static struct server serve(const char *first, ...)
{
    struct server s;
    char *argv[ARGS_MAX], line[1024] = "";
    long long end = now_ms() + LIMIT_MS;
    va_list ap;

    va_start(ap, first);
    fill(argv, first, ap);
    va_end(ap);
    s.pid = start(argv, NULL, &s.out, &s.err);
    while (!strchr(line, '\n')) {
        struct pollfd p = {.fd = s.out, .events = POLLIN};

        REQUIRE(poll(&p, 1, (int)(end - now_ms())) == 1);
        REQUIRE(take(s.out, line, sizeof line));
    }
    REQUIRE(!strncmp(line, "ready: ", 7));
    return s;
}

/* End it by a signal; the exit code, or -1 when the signal killed it. */
static int end(struct server *s, int signal_number)
{
    kill(s->pid, signal_number);
    collect(s->pid, s->out, s->err);
    return last.code;
}

/* A server for the transport's sake, where it needs one. */
static bool needs_server(const char *transport)
{
    return strcmp(transport, "pipe") != 0;
}

/* ---- files -------------------------------------------------------------- */

static char *path_of(const char *name, char *buf)
{
    snprintf(buf, 256, "%s/%s", harness_dir(), name);
    return buf;
}

static const char *write_file(const char *name, const void *bytes, size_t len,
                              char *buf)
{
    FILE *f = fopen(path_of(name, buf), "w");

    REQUIRE(f != NULL);
    REQUIRE(fwrite(bytes, 1, len, f) == len);
    REQUIRE_INT(0, fclose(f));
    return buf;
}

/* The caller's. */
static char *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 1 << 20);

    REQUIRE(f != NULL && text != NULL);
    *len = fread(text, 1, (1 << 20) - 1, f);
    fclose(f);
    return text;
}

static const char *const run_names[] = {"default.socket.lock",
                                        "default.fifo.lock"};

static int names_left(void)
{
    char path[256];
    DIR *d = opendir(path_of("run/ipclab", path));
    int n = 0;

    while (d) {
        struct dirent *e = readdir(d);

        if (!e)
            break;
        n += e->d_name[0] != '.';
    }
    if (d)
        closedir(d);
    return n;
}

/* ---- timetables --------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "start end title" of every event in a JSON array, sorted, as one string:
 * two timetables are equal when these are. The caller's. */
static char *canonical(const char *json, int *count)
{
    cJSON *tree = cJSON_Parse(json), *e;
    char **lines = calloc(1000, sizeof *lines), *all = NULL;
    size_t n = 0, len;
    FILE *f = open_memstream(&all, &len);

    REQUIRE(cJSON_IsArray(tree) && lines && f);
    cJSON_ArrayForEach(e, tree)
    {
        REQUIRE(n < 1000);
        REQUIRE(asprintf(&lines[n++], "%s %s %s\n",
                         cJSON_GetObjectItem(e, "start")->valuestring,
                         cJSON_GetObjectItem(e, "end")->valuestring,
                         cJSON_GetObjectItem(e, "title")->valuestring) > 0);
    }
    qsort(lines, n, sizeof *lines, by_text);
    for (size_t i = 0; i < n; i++) {
        fputs(lines[i], f);
        free(lines[i]);
    }
    fclose(f);
    free(lines);
    cJSON_Delete(tree);
    *count = (int)n;
    return all;
}

/* A term of 102 lessons: wide titles, quotes, and twice the same event. */
static const char *make_term(char *buf)
{
    const char *given = getenv("IPCLAB_IMPORT");
    char *text = NULL;
    size_t len;
    FILE *f;

    if (given)
        return given;
    f = open_memstream(&text, &len);
    REQUIRE(f != NULL);
    fputs("[", f);
    for (int i = 0; i < 102; i++) {
        int week = i / 10, slot = i % 10 == 9 ? 8 : i % 10; /* 8 twice */

        fprintf(f,
                "%s\n {\"title\": \"%s \\\"%d\\\" \\uc2e4\\uc2b5\", \"start\": "
                "\"2026-%02d-%02dT%02d:00:00Z\", \"end\": "
                "\"2026-%02d-%02dT%02d:30:00Z\"}",
                i ? "," : "", slot % 2 ? "강의" : "Lab\\\\", slot, 3 + week / 4,
                2 + week % 4 * 7 + slot / 2, 9 + slot % 2 * 3, 3 + week / 4,
                2 + week % 4 * 7 + slot / 2, 10 + slot % 2 * 3);
    }
    fputs("\n]\n", f);
    fclose(f);
    write_file("term.json", text, len, buf);
    free(text);
    return buf;
}

static void expect_same_events(const char *transport, const char *want)
{
    char path[256];
    size_t len;
    int count, n;
    char *text, *got;

    EXPECT_INT(0, run("-t", transport, "list", "--json", NULL));
    got = canonical(last.out, &count);
    EXPECT_INT(102, count);
    EXPECT_STR(want, got);
    free(got);
    EXPECT_INT(0,
               run("-t", transport, "export", path_of("out.json", path), NULL));
    text = read_file(path, &len);
    got = canonical(text, &n);
    EXPECT_STR(want, got);
    free(got);
    free(text);
}

/* ---- each transport ----------------------------------------------------- */

static void test_events(const void *transport)
{
    const char *t = transport;
    struct server s = {0};

    setenv("TZ", "KST-9", 1);
    if (needs_server(t))
        s = serve("serve", "-t", t, NULL);
    EXPECT_INT(0, run("add", "-t", t, "운영체제", "2026-11-23T09:00",
                      "2026-11-23 10:30", NULL));
    EXPECT_STR("1\n", last.out);
    EXPECT_INT(0, run("add", "b", "2026-11-23T01:00Z", "2026-11-23T02:00Z",
                      "-t", t, NULL));
    EXPECT_STR("2\n", last.out);
    EXPECT_INT(0, run("-t", t, "add", "later", "2026-11-24T09:00",
                      "2026-11-24T09:00:01", NULL));
    EXPECT_INT(0, run("-t", t, "list", NULL));
    EXPECT_STR("    1  2026-11-23 09:00  2026-11-23 10:30  운영체제\n"
               "    2  2026-11-23 10:00  2026-11-23 11:00  b\n"
               "    3  2026-11-24 09:00  2026-11-24 09:00:01  later\n",
               last.out);
    EXPECT_INT(0, run("-t", t, "conflicts", "1", NULL));
    EXPECT_STR("    2  2026-11-23 10:00  2026-11-23 11:00  b\n", last.out);
    EXPECT_INT(
        0, run("-t", t, "update", "2", "--start", "2026-11-23T10:30", NULL));
    EXPECT(strstr(last.out, "start  2026-11-23 10:30\n"));
    EXPECT_INT(0, run("-t", t, "conflicts", "1", NULL));
    EXPECT_STR("", last.out);
    EXPECT_INT(0, run("-t", t, "get", "2", "--json", NULL));
    EXPECT_STR("{\"id\": 2, \"rev\": 4, \"title\": \"b\", \"start\": "
               "\"2026-11-23T01:30:00Z\", \"end\": \"2026-11-23T02:00:00Z\"}\n",
               last.out);
    EXPECT_INT(0, run("-t", t, "remove", "1", NULL));
    EXPECT_INT(0, run("-t", t, "list", "--from", "2026-11-23", "--to",
                      "2026-11-24", "--json", NULL));
    EXPECT_STR("[\n  {\"id\": 2, \"rev\": 4, \"title\": \"b\", \"start\": "
               "\"2026-11-23T01:30:00Z\", \"end\": \"2026-11-23T02:00:00Z\"}"
               "\n]\n",
               last.out);
    EXPECT_INT(0, run("-t", t, "ping", "-c", "20", NULL));
    EXPECT(strstr(last.out, "20 round trips over "));
    if (s.pid)
        EXPECT_INT(0, end(&s, SIGTERM));
}

/* A pipe's server dies with its command: so that is what is killed. */
static void kill_pipe_command(void)
{
    char *argv[] = {(char *)"ipclab",
                    (char *)"-t",
                    (char *)"pipe",
                    (char *)"ping",
                    (char *)"--count",
                    (char *)"1000000",
                    NULL};
    char path[256];
    struct stat st;
    int out, err;
    pid_t pid = start(argv, NULL, &out, &err);

    /* The data file is there since the import: hold on until it is locked. */
    path_of("data/ipclab/default.jsonl", path);
    EXPECT_INT(0, stat(path, &st));
    while (run("-t", "pipe", "--timeout", "1", "stats", NULL) == 0)
        ;
    EXPECT_INT(75, last.code);
    kill(pid, SIGKILL);
    collect(pid, out, err);
    EXPECT_INT(-1, last.code);
}

static void test_import(const void *transport)
{
    const char *t = transport, *file;
    struct server s = {0};
    char buf[256], *text, *want;
    size_t len;
    int count;

    file = make_term(buf);
    text = read_file(file, &len);
    want = canonical(text, &count);
    free(text);
    EXPECT_INT(102, count);
    if (needs_server(t))
        s = serve("serve", NULL);
    EXPECT_INT(0, run("-t", t, "import", file, NULL));
    EXPECT_STR("102 events imported\n", last.out);
    expect_same_events(t, want);
    if (s.pid) {
        EXPECT_INT(-1, end(&s, SIGKILL));
        s = serve("serve", NULL);
    } else {
        kill_pipe_command();
    }
    expect_same_events(t, want);
    EXPECT_INT(0, run("-t", t, "import", file, NULL));
    EXPECT(!strncmp(last.out, "0 events imported, 102 left alone", 33));
    expect_same_events(t, want);
    EXPECT_INT(0, run("-t", t, "import", "--again", file, NULL));
    EXPECT_STR("102 events imported\n", last.out);
    free(want);
    if (s.pid)
        EXPECT_INT(0, end(&s, SIGTERM));
}

static void test_no_server(const void *transport)
{
    EXPECT_INT(69, run("-t", transport, "list", NULL));
    expect_refusal(69, "ENOENT nobody serves here; start it with: ipclab "
                       "serve");
    EXPECT_INT(69, run("-n", "other", "-t", transport, "add", "x",
                       "2026-01-01T00:00", "2026-01-01T01:00", NULL));
    expect_refusal(69, "start it with: ipclab -n other serve");
}

/* A stopped server: no answer in time; asked again with the same token, the
 * change is made once. */
static void test_stopped(const void *transport)
{
    const char *t = transport, *token;
    struct server s = serve("serve", NULL);
    long long begin;
    char hex[17] = "";

    kill(s.pid, SIGSTOP);
    begin = now_ms();
    run("-t", t, "--timeout", "300", "add", "x", "2026-01-01T00:00",
        "2026-01-01T01:00", NULL);
    EXPECT(now_ms() - begin >= 300);
    expect_refusal(75, "ETIMEDOUT");
    kill(s.pid, SIGCONT);
    token = strstr(last.err, "--token ");
    REQUIRE(token != NULL);
    memcpy(hex, token + 8, 16);
    EXPECT_INT(0, run("-t", t, "add", "x", "2026-01-01T00:00",
                      "2026-01-01T01:00", "--token", hex, NULL));
    EXPECT_STR("1\n", last.out);
    EXPECT_INT(0, run("-t", t, "stats", "--json", NULL));
    EXPECT(strstr(last.out, "\"events\": 1,"));
    EXPECT_INT(0, run("-t", t, "list", NULL));
    EXPECT_INT(0, end(&s, SIGTERM));
}

/* How many requests the server has had. */
static long requests(const char *transport)
{
    const char *text;

    EXPECT_INT(0, run("-t", transport, "stats", "--json", NULL));
    text = strstr(last.out, "\"requests\": ");
    REQUIRE(text != NULL);
    return strtol(text + 12, NULL, 10);
}

/* Its server dies while a command waits for the answer. */
static void test_server_lost(const void *transport)
{
    const char *t = transport;
    struct server s = serve("serve", NULL);
    char *argv[] = {(char *)"ipclab",
                    (char *)"-t",
                    (char *)transport,
                    (char *)"ping",
                    (char *)"-c",
                    (char *)"1000000",
                    NULL};
    int out, err;
    pid_t pid;

    pid = start(argv, NULL, &out, &err);
    while (requests(t) < 100)
        REQUIRE(waitpid(pid, NULL, WNOHANG) == 0);
    EXPECT_INT(-1, end(&s, SIGKILL));
    collect(pid, out, err);
    expect_refusal(75, "EPIPE the server ended, or closed this connection, "
                       "before it answered");
    EXPECT_INT(0, run("clean", NULL));
}

/* ---- the command line itself -------------------------------------------- */

static void test_usage(const void *arg)
{
    static const struct {
        const char *argv[6], *sentence;
    } bad[] = {
        {{NULL}, "no command given"},
        {{"frobnicate"}, "no command 'frobnicate'"},
        {{"-t", "carrier-pigeon", "list"},
         "no transport 'carrier-pigeon'; it must be pipe, fifo, mqueue, shm or "
         "socket\n"},
        {{"-t", "", "list"}, "no transport ''"},
        {{"-t", "socket,fifo", "list"}, "no transport 'socket,fifo'"},
        {{"-t", "socket,nope", "serve"}, "no transport 'nope'; it must be"},
        {{"-t", "nope,socket", "serve"}, "no transport 'nope'; it must be"},
        {{"-t", "list"}, "no transport 'list'; it must be pipe, fifo"},
        {{"-t", "socket,", "serve"}, "no transport ''"},
        {{"-t", "pipe", "serve"}, "a pipe has no name"},
        {{"-t", "socket,pipe", "serve"}, "a pipe has no name"},
        {{"-n", "a/b", "list"}, "--name 'a/b': an instance name has"},
        {{"-n", "", "list"}, "an instance name has"},
        {{"-w", "sleepily", "list"},
         "--wait 'sleepily': must be block, spin or adapt"},
        {{"--timeout", "0", "list"}, "--timeout '0'"},
        {{"--timeout", "-5", "list"}, "--timeout '-5'"},
        {{"--timeout", "1x", "list"},
         "--timeout '1x': not a whole number from 1 to 86400000\n"},
        {{"--timeout", "99999999999999999999", "list"},
         "--timeout '99999999999999999999': too large; at most 86400000\n"},
        {{"--timeout"}, "'--timeout' needs a value"},
        {{"list", "-t"},
         "'-t' needs a value: pipe, fifo, mqueue, shm or socket\n"},
        {{"--frob", "list"}, "no option '--frob'; see: ipclab --help\n"},
        {{"list", "--frob"}, "no option '--frob'; see: ipclab list --help\n"},
        {{"list", "-xq"}, "no option '-x'"},
        {{"list", "--json", "-Jq"}, "no option '-J'"},
        {{"ping", "-zc", "3"}, "no option '-z'"},
        {{"add", "-x", T1, T2},
         "no option '-x'; see: ipclab add --help (type -- before a title"},
        {{"ping", "-hc"}, "'-c' needs a value"},
        {{"list", "--json=x"}, "'--json' takes no value, but has one"},
        {{"list", "--data", ""}, "--data '': must be a file's name"},
        {{"list", "--title", "x"},
         "list takes no option --title; see: ipclab list --help\n"},
        {{"clean", "--data", "x"}, "clean takes no option --data"},
        {{"demo", "--data", "x"}, "demo takes no option --data"},
        {{"check", "x", "--data", "y"}, "check takes no option --data"},
        {{"transports", "-t", "shm"}, "transports takes no option --trans"},
        {{"list", "x"}, "'x' is one argument too many; usage: ipclab list\n"},
        {{"add"},
         "missing TITLE START END; usage: ipclab add TITLE START END\n"},
        {{"add", "x", T1}, "missing END; usage: ipclab add TITLE START END\n"},
        {{"add", "IPC", "lecture", T1, T2},
         "'" T2 "' is one argument too many; usage: ipclab add TITLE START END "
         "(text with spaces needs quotes)\n"},
        {{"get"}, "missing ID; usage: ipclab get ID\n"},
        {{"get", "one"}, "event id 'one': not a whole number from 1 to "},
        {{"get", "0"}, "event id '0': not a whole number from 1 to "},
        {{"get", "-c"}, "'-c' needs a value"},
        {{"get", "--", "-1"}, "event id '-1': not a whole number"},
        {{"get", "16777217"},
         "event id '16777217': too large; at most 16777216"},
        {{"get", "99999999999999999999"}, "': too large; at most 16777216\n"},
        {{"update", "1"}, "nothing to change"},
        {{"remove", "1", "--token", "xyz"}, "--token 'xyz'"},
        {{"remove", "1", "--token", "0"},
         "--token '0': must be 1 to 16 hexadecimal digits"},
        {{"remove", "1", "--rev", "x"}, "--rev 'x'"},
        {{"serve", "--durability", "maybe"}, "must be sync or none"},
        {{"ping", "-c", "0"},
         "--count '0': not a whole number from 1 to 1000000"},
        {{"check"}, "missing FILE; usage: ipclab check FILE"},
        {{"check", "x", "y"}, "usage: ipclab check FILE"},
        {{"check", "x", "-o", "y"}, "check takes no option --output"},
        {{"repair", "x", "-o"}, "'-o' needs a value"},
        {{"repair", "x", "--output", ""}, "--output '': must be a file's name"},
    };
    char path[256];

    (void)arg;
    for (size_t i = 0; i < LEN(bad); i++) {
        char *argv[8] = {(char *)"ipclab"};

        for (size_t j = 0; j < LEN(bad[i].argv) && bad[i].argv[j]; j++)
            argv[j + 1] = (char *)bad[i].argv[j];
        run_argv(argv, NULL);
        expect_refusal(64, bad[i].sentence);
    }
    /* A name must not lead out of the folder of data files. */
    run("-n", "../x", "serve", NULL);
    expect_refusal(64, "an instance name has");
    EXPECT(access(path_of("data/x.jsonl", path), F_OK) < 0);
}

/* The command waits for the server that it forked: when it is over, nobody has
 * the data file any more. */
static void test_pipe_waits(const void *arg)
{
    char path[256], line[5000];
    int fd;

    (void)arg;
    snprintf(line, sizeof line, "'%s' -t pipe list >/dev/null 2>&1",
             harness_ipclab());
    EXPECT_INT(0, run("-t", "pipe", "list", NULL));
    fd = open(path_of("data/ipclab/default.jsonl.lock", path),
              O_RDWR | O_CLOEXEC);
    REQUIRE(fd >= 0);
    for (int i = 0; i < 30; i++) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

        /* Not through run(): it would wait for all that hold its pipes. */
        EXPECT_INT(0, system(line));
        EXPECT_INT(0, fcntl(fd, F_OFD_GETLK, &lock));
        EXPECT_INT(F_UNLCK, lock.l_type);
    }
    close(fd);
}

static void test_help(const void *arg)
{
    static const char *const commands[] = {
        "serve", "add",    "get",        "update", "remove",    "list",
        "week",  "import", "export",     "ping",   "conflicts", "stats",
        "clean", "demo",   "transports", "check",  "repair",    "web",
    };

    (void)arg;
    for (size_t i = 0; i <= LEN(commands); i++) {
        char usage[64];
        int lines = 0;
        bool all = i == LEN(commands);

        EXPECT_INT(0, all ? run("--help", NULL)
                          : run(commands[i], "--help", NULL));
        snprintf(usage, sizeof usage, "Usage: ipclab %s",
                 all ? "[options] COMMAND" : commands[i]);
        EXPECT(!strncmp(usage, last.out, strlen(usage)));
        for (char *s = last.out; *s; s += strcspn(s, "\n") + 1, lines++)
            EXPECT(strcspn(s, "\n") <= 80);
        EXPECT(lines <= 24);
        EXPECT_STR("", last.err);
    }
    EXPECT_INT(0, run("help", "week", NULL));
    EXPECT(!strncmp(last.out, "Usage: ipclab week", 18));
    EXPECT_INT(0, run("help", "help", NULL));
    EXPECT(!strncmp(last.out, "Usage: ipclab [options]", 23));
    /* It names the options that a command takes, and no others. */
    EXPECT_INT(0, run("help", "demo", NULL));
    EXPECT(strstr(last.out, "  --timeout MS ") && !strstr(last.out, "--data"));
    EXPECT_INT(0, run("help", "check", NULL));
    EXPECT(!strstr(last.out, "ptions"));
    EXPECT_INT(0, run("help", "clean", NULL));
    EXPECT(strstr(last.out, "-n, --name") && !strstr(last.out, "Common"));
    EXPECT_INT(0, run("--version", NULL));
    EXPECT_STR("ipclab 0.1.0\n", last.out);
}

static void test_options_anywhere(const void *arg)
{
    char *argv[] = {(char *)"ipclab",
                    (char *)"add",
                    (char *)"x",
                    (char *)"-t",
                    (char *)"pipe",
                    (char *)"2026-01-01T00:00Z",
                    (char *)"2026-01-01T01:00Z",
                    (char *)"--timeout=2000",
                    NULL};

    (void)arg;
    setenv("POSIXLY_CORRECT", "1", 1);
    EXPECT_INT(0, run_argv(argv, NULL));
    unsetenv("POSIXLY_CORRECT");
    EXPECT_INT(0, run("-t", "pipe", "add", "--", "-x", "2026-01-01T00:00Z",
                      "2026-01-01T01:00Z", NULL));
    EXPECT_INT(0, run("list", "-tpipe", "--json", NULL));
    EXPECT(strstr(last.out, "\"title\": \"-x\""));
}

static void test_json(const void *arg)
{
    static const char *const commands[] = {"transports", "stats", "ping",
                                           "list", "week"};
    struct server s = serve("serve", NULL);

    (void)arg;
    for (size_t i = 0; i < LEN(commands); i++) {
        cJSON *tree;

        EXPECT_INT(0, run(commands[i], "--json", NULL));
        tree = cJSON_Parse(last.out);
        EXPECT(tree != NULL);
        if (!strcmp(commands[i], "transports"))
            EXPECT_INT(5, cJSON_GetArraySize(tree));
        cJSON_Delete(tree);
    }
    EXPECT_INT(0, run("stats", NULL));
    EXPECT(!strncmp(last.out, "pid ", 4));
    EXPECT_INT(0, run("transports", NULL));
    EXPECT(strstr(last.out, "\nsocket "));
    EXPECT_INT(0, end(&s, SIGTERM));
}

/* Output that can't be written is an error, not a success. */
static void test_full_output(const void *arg)
{
    static const char *const commands[] = {"-t pipe export -", "-t pipe list",
                                           "-t pipe week", "transports",
                                           "--help"};

    (void)arg;
    EXPECT_INT(0, run("-t", "pipe", "add", "x", "2026-01-01T00:00Z",
                      "2026-01-01T01:00Z", NULL));
    for (size_t i = 0; i < LEN(commands); i++) {
        char line[5000];
        int status;

        snprintf(line, sizeof line, "'%s' %s >/dev/full 2>&1", harness_ipclab(),
                 commands[i]);
        status = system(line);
        EXPECT(WIFEXITED(status));
        EXPECT_INT(74, WEXITSTATUS(status));
    }
    EXPECT_INT(73, run("-t", "pipe", "export", "/no/such/folder/x", NULL));
}

static void test_week(const void *arg)
{
    (void)arg;
    setenv("TZ", "UTC0", 1);
    EXPECT_INT(0, run("-t", "pipe", "add", "운영체제", "2026-03-03T09:00",
                      "2026-03-03T12:00", NULL));
    setenv("COLUMNS", "60", 1);
    for (int day = 2; day <= 8; day++) { /* every day of the week */
        char date[16];

        snprintf(date, sizeof date, "2026-03-%02d", day);
        EXPECT_INT(0, run("-t", "pipe", "week", date, NULL));
        EXPECT(!strncmp(last.out, "Week 10: 2 to 8 March 2026, UTC\n", 32));
        EXPECT(strstr(last.out, "09:00 +       /운영체 +"));
        EXPECT(!strchr(last.out, '\033'));
    }
    EXPECT_INT(0, run("-t", "pipe", "week", "2026-03-09", NULL));
    EXPECT(!strstr(last.out, "운영"));
    EXPECT_INT(0, run("-t", "pipe", "week", NULL));
    EXPECT(strstr(last.out, "*")); /* today */
    run("-t", "pipe", "week", "2026-02-30", NULL);
    expect_refusal(65, "this date doesn't exist");
    EXPECT_INT(0, run("-t", "pipe", "week", "2026-03-03", "--json", NULL));
    EXPECT(strstr(last.out, "\"title\": \"운영체제\""));
}

/* ---- bad input ---------------------------------------------------------- */

static void test_bad_data(const void *arg)
{
    static char over_long[257];
    const struct {
        const char *title, *start, *end, *sentence;
    } bad[] = {
        {"x", T2, T1, "the end isn't after the start"},
        {"x", T1, T1, "the end isn't after the start"},
        {"", T1, T2, "the title is empty"},
        {"  ", T1, T2, "the title has nothing but spaces"},
        {"\xe3\x80\x80", T1, T2, "the title has nothing but spaces"},
        {over_long, T1, T2, "the title is longer than 255 bytes"},
        {"\xff\xfe", T1, T2, "isn't valid UTF-8"},
        {"caf\xc3", T1, T2, "isn't valid UTF-8"},
        {"\xed\xa0\x80", T1, T2, "isn't valid UTF-8"},
        {"a\nb", T1, T2, "a control character"},
        {"x", "2026-02-30T00:00Z", T2, "this date doesn't exist"},
        {"x", T1, "2026-02-29T00:00Z", "this date doesn't exist"},
        {"x", "2026-01-01T25:00", T2, "this time of day doesn't exist"},
        {"x", "soon", T2,
         "cannot read the time 'soon': not a time like 2026-11-23T09:00\n"},
        {"x", "9:00", T2, "'9:00': not a time like 2026-11-23T09:00\n"},
        {"x", "2026-01-01", T2, ": not a time like 2026-11-23T09:00\n"},
        {"x", "2026-01-01T9:00", T2, ": not a time like 2026-11-23T09:00\n"},
        {"x", "2026-01-01T09:00:0", T2, "like 2026-11-23T09:00:00\n"},
        {"x", "2026-01-01T09:00 KST", T2, "a zone is Z or +09:00\n"},
        {"x", "2026-01-01T09:00+9", T2, "not a zone like Z or +09:00\n"},
        {"x", "2026-03-29T02:30", "2026-03-29T05:00", "clocks skip it"},
        {"x", T1, "9999-12-31T23:59:59-01:00", "years are 0001 to 9999"},
    };
    struct server s = serve("serve", NULL);

    (void)arg;
    memset(over_long, 'x', 256);
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    EXPECT_INT(0, run("add", "kept", T1, T2, NULL));
    for (size_t i = 0; i < LEN(bad); i++) {
        run("add", bad[i].title, bad[i].start, bad[i].end, NULL);
        expect_refusal(65, bad[i].sentence);
    }
    run("update", "1", "--end", "2025-01-01T00:00", NULL);
    expect_refusal(65, "the end isn't after the start");
    run("update", "1", "--title", "", NULL);
    expect_refusal(65, "the title is empty");
    run("list", "--from", "2026-13-01", NULL);
    expect_refusal(65, "this date doesn't exist");
    run("list", "--from", "today", NULL);
    expect_refusal(65, "--from 'today': not a date like 2026-11-23 or a time "
                       "like 2026-11-23T09:00\n");
    run("week", "today", NULL);
    expect_refusal(65, "the date 'today': not a date like 2026-11-23\n");
    run("week", "2026-01-01T00:00", NULL);
    expect_refusal(65, ": not a date like 2026-11-23\n");
    run("list", "--from", "2026-02-01", "--to", "2026-01-01", NULL);
    expect_refusal(65, "--to isn't after --from");
    EXPECT_INT(0, run("stats", "--json", NULL)); /* nothing has changed */
    EXPECT(strstr(last.out, "\"events\": 1, \"rev\": 1,"));
    EXPECT_INT(0, end(&s, SIGTERM));
}

static void test_unknown(const void *arg)
{
    (void)arg;
    EXPECT_INT(0, run("-t", "pipe", "add", "x", T1, T2, NULL));
    run("-t", "pipe", "get", "7", NULL);
    expect_refusal(1, "cannot get event 7: ");
    run("-t", "pipe", "remove", "7", NULL);
    expect_refusal(1, "cannot remove event 7: ");
    run("-t", "pipe", "conflicts", "7", NULL);
    expect_refusal(1, "event 7");
    run("-t", "pipe", "update", "7", "--title", "y", NULL);
    expect_refusal(1, "event 7");
    run("-t", "pipe", "update", "1", "--title", "y", "--rev", "99", NULL);
    expect_refusal(1, "cannot update");
    run("-t", "pipe", "remove", "1", "--rev", "99", NULL);
    expect_refusal(1, "cannot remove event 1: ");
    EXPECT_INT(0, run("-t", "pipe", "remove", "1", "--rev", "1", NULL));
}

static void test_token(const void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        EXPECT_INT(0, run("-t", "pipe", "add", "x", T1, T2, "--token",
                          "00c0ffee", NULL));
        EXPECT_STR("1\n", last.out);
    }
    run("-t", "pipe", "remove", "1", "--token", "c0ffee", NULL);
    expect_refusal(65, "cannot remove event 1");
    for (int i = 0; i < 2; i++) {
        EXPECT_INT(0, run("-t", "pipe", "update", "1", "--title", "y",
                          "--token", "a1", NULL));
        EXPECT(strstr(last.out, "title  y\n"));
    }
    for (int i = 0; i < 2; i++)
        EXPECT_INT(0, run("-t", "pipe", "remove", "1", "--token", "a2", NULL));
    EXPECT_INT(0, run("-t", "pipe", "list", NULL));
    EXPECT_STR("", last.out);
}

/* With the token of another add, "done" would be a lie. */
static void test_token_of_other(const void *arg)
{
    (void)arg;
    EXPECT_INT(0, run("-t", "pipe", "add", "x", T1, T2, "--token", "7", NULL));
    run("-t", "pipe", "add", "y", T1, T2, "--token", "7", NULL);
    expect_refusal(65, "this token was used for another change");
    EXPECT_INT(0, run("-t", "pipe", "update", "1", "--title", "z", NULL));
    EXPECT_INT(0, run("-t", "pipe", "add", "x", T1, T2, "--token", "7", NULL));
    EXPECT_STR("1\n", last.out); /* what it was, not what became of it */
}

static void test_import_bad(const void *arg)
{
#define OK "{\"title\": \"a\", \"start\": \"" T1 "\", \"end\": \"" T2 "\"}"
    static const struct {
        const char *text, *sentence;
    } bad[] = {
        {"", "line 1"},
        {"{}", "not an array of events"},
        {"\x89PNG\r\n\x1a\n", "it is neither a list of events in JSON nor"},
        {"\ntitle;start;end\n", "it is neither a list of events in JSON nor"},
        {"[" OK ",\n" OK "\n", "line 3"},
        {"[" OK "] x", "line 1"},
        {"[" OK ",\n\n{\"title\": \"\xff\"}]", "line 3"},
        {"[" OK ", 7]", "event 2: not an object"},
        {"[" OK ", {}]", "event 2: its title is missing, or not a string"},
        {"[" OK ", {\"title\": \"x\"}]",
         "event 2: start: missing, or not a string"},
        {"[{\"title\": \"x\", \"start\": \"" T1 "\", \"end\": 5}]",
         "event 1: end: missing, or not a string"},
        {"[{\"title\": \"x\", \"start\": \"" T2 "\", \"end\": \"" T1 "\"}]",
         "event 1: the end isn't after the start"},
        {"[{\"title\": \"\", \"start\": \"" T1 "\", \"end\": \"" T2 "\"}]",
         "event 1: the title is empty"},
        {"[{\"title\": \"x\", \"start\": \"2026-02-30T00:00Z\", \"end\": \"" T2
         "\"}]",
         "event 1: start: this date doesn't exist"},
        {"[{\"title\": \"x\\u0000\", \"start\": \"" T1 "\", \"end\": \"" T2
         "\"}]",
         "line 1"},
    };
    char path[256];

    (void)arg;
    for (size_t i = 0; i < LEN(bad); i++) {
        write_file("bad.json", bad[i].text, strlen(bad[i].text), path);
        run("-t", "pipe", "import", path, NULL);
        expect_refusal(65, bad[i].sentence);
    }
    run("-t", "pipe", "import", "/no/such/file", NULL);
    expect_refusal(74, "ENOENT");
    run("-t", "pipe", "import", harness_dir(), NULL);
    expect_refusal(74, "EISDIR");
    EXPECT_INT(0, run("-t", "pipe", "list", NULL));
    EXPECT_STR("", last.out);
    run("-t", "pipe", "import", path_of("data/ipclab/default.jsonl", path),
        NULL);
    expect_refusal(65, "it is a data file of ipclab, not a list of events; to "
                       "make one of it: ipclab --data FILE -t pipe export ");
    write_file("good.json", "[" OK "]", strlen("[" OK "]"), path);
    {
        char *argv[] = {(char *)"ipclab", (char *)"-t", (char *)"pipe",
                        (char *)"import", (char *)"-",  NULL};

        EXPECT_INT(0, run_argv(argv, path));
        EXPECT_STR("1 event imported\n", last.out);
    }
#undef OK
}

static void test_data_file(const void *arg)
{
    static const char *const foreign[] = {"not a journal\n", "{\"a\": 1}\n",
                                          "\177ELF\1\1\1\n"};
    char path[256], *before, *after;
    size_t len, n;

    (void)arg;
    for (size_t i = 0; i < LEN(foreign); i++) {
        write_file("x.jsonl", foreign[i], strlen(foreign[i]), path);
        run("--data", path, "serve", NULL);
        expect_refusal(65, "EBADMSG");
        run("--data", path, "-t", "pipe", "list", NULL);
        expect_refusal(65, "cannot open the data file");
        after = read_file(path, &n);
        EXPECT_STR(foreign[i], after);
        free(after);
    }
    path_of("y.jsonl", path);
    for (int i = 0; i < 4; i++)
        EXPECT_INT(0,
                   run("--data", path, "-t", "pipe", "add", "x", T1, T2, NULL));
    before = read_file(path, &len);
    memcpy(strstr(before, "\"id\":2") + 5, "7", 1); /* damage in the middle */
    write_file("y.jsonl", before, len, path);
    run("--data", path, "serve", NULL);
    expect_refusal(65,
                   "EBADMSG line 3: damaged (its checksum is wrong); to see "
                   "all damage: ipclab check /");
    after = read_file(path, &n);
    EXPECT_INT((long long)len, (long long)n);
    EXPECT_BYTES(before, after, len);
    free(before);
    free(after);
    run("--data", "/no/such/folder/x.jsonl", "-t", "pipe", "list", NULL);
    expect_refusal(73, "its folder doesn't exist");
}

/* ---- damaged data files ------------------------------------------------- */

/* A data file of four lines: its bytes, the caller's. */
static char *make_data(const char *name, char path[256], size_t *len)
{
    path_of(name, path);
    for (int i = 0; i < 3; i++)
        EXPECT_INT(0,
                   run("--data", path, "-t", "pipe", "add", "x", T1, T2, NULL));
    return read_file(path, len);
}

/* The command's code, and what it says in both ways. */
static void expect_said(int code, const char *out, const char *err)
{
    EXPECT_INT(code, last.code);
    if (!strstr(last.out, out))
        EXPECT_STR(out, last.out);
    if (!strstr(last.err, err))
        EXPECT_STR(err, last.err);
}

static void expect_file(const char *path, const char *bytes, size_t len)
{
    size_t n;
    char *now = read_file(path, &n);

    EXPECT_INT((long long)len, (long long)n);
    EXPECT_BYTES(bytes, now, len);
    free(now);
}

static void test_check(const void *arg)
{
    char path[256], line[700], *good;
    size_t len;

    (void)arg;
    good = make_data("y.jsonl", path, &len);
    EXPECT_INT(0, run("check", path, NULL));
    snprintf(line, sizeof line,
             "'%s': 3 events, 3 changes, %zu bytes, no damage\n", path, len);
    EXPECT_STR(line, last.out);
    EXPECT_STR("", last.err);
    write_file("y.jsonl", good, len - 20, path);
    run("check", path, NULL);
    expect_said(65, "line 4: unfinished, as a crash leaves it",
                "ends in an unfinished line; no change that was confirmed");
    expect_file(path, good, len - 20);
    EXPECT_INT(0, run("--data", path, "-t", "pipe", "list", NULL));
    EXPECT(strstr(last.err, "line 4: ") != NULL); /* a note */
    EXPECT_INT(0, run("check", path, NULL));      /* it has been cut off */
    memcpy(strstr(good, "\"id\":2") + 5, "7", 1);
    write_file("y.jsonl", good, len, path);
    run("check", path, NULL);
    snprintf(line, sizeof line,
             "'%s' is damaged; to copy what is good: ipclab repair %s\n", path,
             path);
    expect_said(65, "line 3: damaged (its checksum is wrong)\n", line);
    EXPECT(strstr(last.out, ": 2 events, 2 changes, ") != NULL);
    expect_file(path, good, len);
    run("check", write_file("a", "a letter\n", 9, path), NULL);
    expect_refusal(65, "EBADMSG it isn't a timetable's data file");
    run("check", harness_dir(), NULL);
    expect_refusal(65, "EBADMSG it isn't a regular file");
    run("check", "/no/such/file", NULL);
    expect_refusal(74, "cannot read '/no/such/file': ENOENT");
    free(good);
}

/* What it says can be typed, whatever the file is called. */
static void test_check_names(const void *arg)
{
    static const char *const names[] = {"with space", "it's", "-o", "$HOME;ls",
                                        "시간표"};
    char path[256], line[6000];

    (void)arg;
    REQUIRE_INT(0, chdir(harness_dir()));
    for (size_t i = 0; i < LEN(names); i++) {
        char *good, *hint;
        size_t len;

        good = make_data("y.jsonl", path, &len);
        memcpy(strstr(good, "\"id\":2") + 5, "7", 1);
        write_file(names[i], good, len, path);
        free(good);
        run("check", "--", names[i], NULL);
        expect_said(65, "line 3: damaged",
                    " is damaged; to copy what is good: "
                    "ipclab repair ");
        hint = strstr(last.err, " repair ");
        REQUIRE(hint != NULL);
        snprintf(line, sizeof line, "'%s'%s", harness_ipclab(), hint);
        line[strcspn(line, "\n")] = '\0';
        strncat(line, " >out 2>&1", sizeof line - strlen(line) - 1);
        EXPECT_INT(65, WEXITSTATUS(system(line)));
        snprintf(line, sizeof line, "./%s.repaired", names[i]);
        EXPECT_INT(0, run("check", line, NULL));
    }
}

static void test_repair(const void *arg)
{
    char path[256], copy[256], *good;
    size_t len;

    (void)arg;
    good = make_data("y.jsonl", path, &len);
    path_of("copy", copy);
    EXPECT_INT(0, run("repair", path, "-o", copy, NULL));
    EXPECT(strstr(last.err, "no damage in '") != NULL);
    expect_file(copy, good, len);
    run("repair", path, "-o", copy, NULL);
    expect_refusal(73, "EEXIST it is there already");
    memcpy(strstr(good, "\"id\":2") + 5, "7", 1);
    write_file("y.jsonl", good, len, path);
    run("repair", path, NULL);
    expect_said(65,
                "line 3: damaged (its checksum is wrong)\n         dropped,",
                "ipclab: 1 change may be lost: in the copy, an event may");
    EXPECT(strstr(last.out, "{\"op\":\"add\",\"id\":7,") != NULL);
    expect_file(path, good, len);
    path_of("y.jsonl.repaired", copy);
    EXPECT_INT(0, run("check", copy, NULL));
    EXPECT_INT(0, run("--data", copy, "-t", "pipe", "list", NULL));
    EXPECT(!strncmp(last.out, "    1  ", 7));
    EXPECT(strstr(last.out, "\n    3  ") != NULL);
    EXPECT_STR("", last.err);
    EXPECT_INT(0, run("--data", copy, "-t", "pipe", "add", "x", T1, T2, NULL));
    EXPECT(atoi(last.out) > 3);
    good[0] = '['; /* the head: no change is in it */
    memcpy(strstr(good, "\"id\":7") + 5, "2", 1);
    write_file("head.jsonl", good, len, path);
    run("repair", path, NULL);
    expect_said(65, "line 1: ", "the copy has every change of '");
    run("repair", "/no/such/file", NULL);
    expect_refusal(74, "cannot read '/no/such/file': ENOENT");
    run("repair", path, "-o", "/no/such/folder/x", NULL);
    expect_refusal(73, "cannot make '/no/such/folder/x': ENOENT");
    free(good);
}

/* A file in use is looked at, and not repaired. */
static void test_check_in_use(const void *arg)
{
    struct server s = serve("serve", NULL);
    char path[256], text[64];

    (void)arg;
    path_of("data/ipclab/default.jsonl", path);
    EXPECT_INT(0, run("add", "x", T1, T2, NULL));
    EXPECT_INT(0, run("check", path, NULL));
    snprintf(text, sizeof text, "in use by pid %ld: checked as it is now\n",
             (long)s.pid);
    EXPECT(strstr(last.out, text) && strstr(last.out, "no damage"));
    run("repair", path, NULL);
    snprintf(text, sizeof text, "EBUSY pid %ld holds the data file",
             (long)s.pid);
    expect_refusal(75, text);
    EXPECT_INT(0, end(&s, SIGTERM));
}

/* Under a running server the data file is replaced: it says so at the next
 * change, and goes on reading. */
static void test_replaced(const void *arg)
{
    struct server s = serve("serve", NULL);
    char path[256], other[256];

    (void)arg;
    EXPECT_INT(0, run("add", "x", T1, T2, NULL));
    write_file("other", "mine\n", 5, other);
    REQUIRE_INT(0, rename(other, path_of("data/ipclab/default.jsonl", path)));
    for (int i = 0; i < 2; i++) {
        run("add", "y", T1, T2, NULL);
        expect_refusal(74, "no more changes");
        EXPECT(strstr(last.err, "the data file was replaced by another one"));
        EXPECT_INT(0, run("list", NULL));
        EXPECT(strstr(last.out, "  x\n") && !strstr(last.out, "  y\n"));
    }
    expect_file(path, "mine\n", 5);
    EXPECT_INT(74, end(&s, SIGTERM));
    EXPECT(strstr(last.err, "the server refused changes: the data file was"));
}

/* A start that fails leaves no data file that wasn't there. */
static void test_failed_start(const void *arg)
{
    struct server s = serve("serve", NULL);
    char path[256], bytes[256];
    size_t len;

    (void)arg;
    path_of("new.jsonl", path);
    run("serve", "--data", path, NULL); /* the names are taken */
    expect_refusal(73, "EADDRINUSE");
    EXPECT(access(path, F_OK) < 0);
    free(make_data("y.jsonl", bytes, &len));
    run("serve", "--data", bytes, NULL);
    expect_refusal(73, "EADDRINUSE");
    EXPECT_INT(0, run("check", bytes, NULL)); /* that one stays */
    EXPECT_INT(0, end(&s, SIGTERM));
}

/* What isn't a regular file is refused before a lock is made beside it. */
static void test_not_a_file(const void *arg)
{
    char path[256], lock[256], below[300];

    (void)arg;
    path_of("folder", path);
    REQUIRE_INT(0, mkdir(path, 0700));
    run("--data", path, "serve", NULL);
    expect_refusal(73, "it isn't a regular file");
    run("--data", path, "-t", "pipe", "list", NULL);
    expect_refusal(73, "it isn't a regular file");
    EXPECT(access(path_of("folder.lock", lock), F_OK) < 0);
    write_file("file", "", 0, path);
    snprintf(below, sizeof below, "%s/x", path);
    run("--data", below, "serve", NULL);
    expect_refusal(73, "ENOTDIR");
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    REQUIRE_INT(0, getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = bytes;
    REQUIRE_INT(0, setrlimit(RLIMIT_FSIZE, &limit));
}

/* A server that may not make its file longer refuses changes, and lives. */
static void test_file_limit(const void *arg)
{
    struct server s;
    int tries = 0;

    (void)arg;
    limit_files(2000);
    s = serve("serve", "-t", "socket", NULL);
    limit_files(RLIM_INFINITY);
    while (run("add", "x", T1, T2, NULL) == 0 && tries < 100)
        tries++;
    EXPECT(tries > 0 && tries < 100);
    EXPECT(last.code == 73 || last.code == 74);
    EXPECT_INT(0, run("list", NULL));
    EXPECT_INT(0, end(&s, SIGTERM));
}

/* The old file stays until the new one is whole. */
static void test_export_whole(const void *arg)
{
    char path[256], other[256], *text;
    struct stat st;
    size_t n;

    (void)arg;
    EXPECT_INT(0, run("-t", "pipe", "add", "x", T1, T2, NULL));
    write_file("out.json", "old", 3, path);
    REQUIRE_INT(0, chmod(path, 0600));
    limit_files(20);
    run("-t", "pipe", "export", path, NULL);
    limit_files(RLIM_INFINITY);
    expect_refusal(74, "; no file was changed\n");
    text = read_file(path, &n);
    EXPECT_STR("old", text);
    free(text);
    EXPECT(access(path_of("out.json.exporting", other), F_OK) < 0);
    /* Through a link: the file is replaced, its mode and the link stay. */
    REQUIRE_INT(0, symlink(path, path_of("link", other)));
    EXPECT_INT(0, run("-t", "pipe", "export", other, NULL));
    text = read_file(path, &n);
    EXPECT(strstr(text, "\"title\""));
    free(text);
    EXPECT(lstat(other, &st) == 0 && S_ISLNK(st.st_mode));
    EXPECT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    run("-t", "pipe", "export", harness_dir(), NULL);
    expect_refusal(73, "EISDIR");
}

/* Of all files one is never replaced: a timetable. */
static void test_export_data(const void *arg)
{
    char path[256], link[256], *before;
    size_t len;

    (void)arg;
    before = make_data("y.jsonl", path, &len);
    REQUIRE_INT(0, symlink(path, path_of("link", link)));
    run("-t", "pipe", "export", path, NULL);
    expect_refusal(73, "it is a data file of ipclab; export to another name");
    run("-t", "pipe", "export", link, NULL);
    expect_refusal(73, "it is a data file of ipclab; export to another name");
    expect_file(path, before, len);
    free(before);
    write_file("empty", "", 0, path);
    EXPECT_INT(0, run("-t", "pipe", "export", path, NULL));
}

/* Who has it, and what to do. */
static void test_in_use(const void *arg)
{
    struct server s = serve("serve", "-t", "fifo,shm", NULL);
    char pid[64], hint[256], other[256];

    (void)arg;
    snprintf(pid, sizeof pid, "EBUSY pid %ld holds the data file\n",
             (long)s.pid);
    snprintf(hint, sizeof hint,
             "it is the server of 'default'; use it with -t and one of: fifo, "
             "shm; or end it with: kill %ld\n",
             (long)s.pid);
    path_of("data/ipclab/default.jsonl", other);
    run("serve", "-n", "other", "--data", other, "--timeout", "100", NULL);
    expect_refusal(75, pid);
    expect_refusal(75, "only one process at a time can have a data file");
    run("serve", "--timeout", "100", NULL);
    expect_refusal(75, pid);
    expect_refusal(75, hint);
    run("list", "-t", "pipe", "--timeout", "100", NULL);
    expect_refusal(75, pid);
    expect_refusal(75, hint);
    path_of("z.jsonl", other);
    run("serve", "--data", other, NULL); /* the names are taken */
    snprintf(
        hint, sizeof hint,
        "cannot serve over fifo 'default': EADDRINUSE pid %ld serves under "
        "this name; choose another one with -n, or end that server with: "
        "kill %ld\n",
        (long)s.pid, (long)s.pid);
    expect_refusal(73, hint);
    run("serve", "--data", other, "-t", "mqueue,shm", NULL); /* one of them */
    expect_refusal(73, "cannot serve over shm 'default': EADDRINUSE pid ");
    EXPECT_INT(0, run("add", "-t", "shm", "x", T1, T2, NULL)); /* it is well */
    EXPECT_INT(0, end(&s, SIGTERM));
    EXPECT_INT(0, run("list", "-t", "pipe", NULL));
}

/* --data beside a server that runs: its own file, or a refusal. */
static void test_data_asked(const void *transport)
{
    char path[256], link[256], other[256], text[700];
    struct server s;
    size_t len;

    path_of("my data", path);
    s = serve("serve", "--data", path, NULL);
    REQUIRE_INT(0, symlink(path, path_of("link", link)));
    free(make_data("y.jsonl", other, &len));
    EXPECT_INT(0,
               run("-t", transport, "--data", path, "add", "x", T1, T2, NULL));
    EXPECT_INT(0, run("-t", transport, "list", "--data", link, NULL));
    snprintf(text, sizeof text,
             "--data '%s': the server of 'default', pid %ld, has the data file "
             "'%s'; leave out --data, or choose another server with -n\n",
             other, (long)s.pid, path);
    run("-t", transport, "add", "x", T1, T2, "--data", other, NULL);
    expect_refusal(64, text);
    path_of("none", other);
    run("-t", transport, "ping", "--data", other, NULL);
    expect_refusal(64, "': the server of 'default', pid ");
    EXPECT(access(other, F_OK) < 0);
    EXPECT_INT(0, run("-t", "pipe", "list", "--data", other, NULL));
    EXPECT_INT(0, run("-t", transport, "list", NULL));
    EXPECT(strstr(last.out, "    1  ") && !strstr(last.out, "    2  "));
    EXPECT_INT(0, end(&s, SIGTERM));
    run("-t", transport, "list", "--data", path, NULL);
    snprintf(text, sizeof text, "start it with: ipclab --data '%s' serve\n",
             path);
    expect_refusal(69, text);
}

/* A command over a pipe waits for a server that is about to leave. */
static void test_wait_for_data(const void *arg)
{
    char *argv[] = {(char *)"ipclab", (char *)"-t", (char *)"pipe",
                    (char *)"list", NULL};
    struct server s = serve("serve", NULL);
    int out, err;
    pid_t pid;

    (void)arg;
    EXPECT_INT(0, run("add", "x", T1, T2, NULL));
    pid = start(argv, NULL, &out, &err);
    EXPECT_INT(0, end(&s, SIGTERM));
    collect(pid, out, err);
    EXPECT_INT(0, last.code);
    EXPECT(strstr(last.out, "  x\n"));
}

static void test_runtime_folder(const void *arg)
{
    char path[256];

    (void)arg;
    path_of("run/ipclab", path);
    REQUIRE_INT(0, mkdir(path, 0700));
    REQUIRE_INT(0, chmod(path, 0755));
    run("list", NULL);
    expect_refusal(73, "open to others");
    run("serve", "-t", "fifo", NULL);
    expect_refusal(73, "open to others");
    run("serve", NULL);
    EXPECT_INT(73, last.code);
    run("clean", NULL);
    expect_refusal(73, "open to others");
    REQUIRE_INT(0, rmdir(path));
    REQUIRE_INT(0, symlink("/tmp", path));
    run("list", NULL);
    expect_refusal(73, "EACCES");
    REQUIRE_INT(0, unlink(path));
    if (geteuid() != 0) {
        harness_skip("only root can make a folder of somebody else's");
        return;
    }
    REQUIRE_INT(0, mkdir(path, 0700));
    REQUIRE_INT(0, chown(path, 65534, 65534));
    run("list", NULL);
    expect_refusal(73, "belongs to user 65534");
    run("serve", "-t", "shm", NULL);
    expect_refusal(73, "belongs to user 65534");
    REQUIRE_INT(0, rmdir(path));
}

/* ---- bytes that aren't ours --------------------------------------------- */

static int connect_raw(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    REQUIRE(fd >= 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s/run/ipclab/default.socket",
             harness_dir());
    REQUIRE_INT(0, connect(fd, (struct sockaddr *)&a, sizeof a));
    return fd;
}

static void test_garbage(const void *arg)
{
    struct server s = serve("serve", NULL);
    unsigned char junk[4096], huge[] = {0xff, 0xff, 0xff, 0x7f, 1, 2, 3};
    char path[256];
    int fd;

    (void)arg;
    EXPECT_INT(0, run("add", "x", T1, T2, NULL));
    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = (unsigned char)(i * 37 + 11);
    fd = connect_raw();
    EXPECT(write(fd, junk, sizeof junk) > 0);
    close(fd);
    fd = connect_raw();
    EXPECT(write(fd, huge, sizeof huge) > 0);
    close(fd);
    fd = open(path_of("run/ipclab/default.fifo", path), O_WRONLY | O_CLOEXEC);
    EXPECT(fd >= 0 && write(fd, junk, sizeof junk) == sizeof junk);
    EXPECT(write(fd, huge, sizeof huge) == sizeof huge);
    close(fd);
    for (int round = 0; round < 2; round++) {
        EXPECT_INT(0, run("-t", "fifo", "list", NULL));
        EXPECT(strstr(last.out, "  x\n"));
        EXPECT_INT(0, run("-t", "socket", "list", NULL));
        EXPECT(strstr(last.out, "  x\n"));
    }
    EXPECT_INT(0, end(&s, SIGTERM));
}

/* ---- life and death ----------------------------------------------------- */

static void test_signals(const void *arg)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

    (void)arg;
    for (size_t i = 0; i < LEN(signals); i++) {
        struct server s = serve("serve", NULL);

        EXPECT(names_left() > 0);
        EXPECT_INT(0, end(&s, signals[i])); /* how soon: test_exits */
        EXPECT_INT(0, names_left());
    }
}

/* A client in another language, written from wire.h alone. */
static void test_python(const void *arg)
{
    char command[512];
    struct server s;

    (void)arg;
    if (system("python3 -c 0 >/dev/null 2>&1") != 0) {
        harness_skip("there is no python3");
        return;
    }
    s = serve("serve", "-t", "socket", NULL);
    snprintf(command, sizeof command,
             "python3 tests/wire_client.py %s/run/ipclab/default.socket "
             ">/dev/null",
             harness_dir());
    EXPECT_INT(0, system(command));
    EXPECT_INT(0, run("list", NULL));
    EXPECT_STR("", last.out); /* it has removed what it added */
    EXPECT_INT(0, end(&s, SIGTERM));
}

static void test_clean(const void *arg)
{
    struct server s, live;
    char path[256];

    (void)arg;
    setenv("TMPDIR", harness_dir(), 1); /* here are no tours */
    EXPECT_INT(0, run("clean", NULL));
    EXPECT_STR("nothing to clean\n", last.out);
    s = serve("serve", NULL);
    EXPECT_INT(-1, end(&s, SIGKILL));
    live = serve("-n", "live", "-t", "socket", "serve", NULL);
    EXPECT_INT(0, run("clean", "-n", "live", NULL)); /* and no other's */
    EXPECT(!strncmp(last.out, "in use   socket  'live' by pid ", 31));
    EXPECT(!strstr(last.out, "default"));
    EXPECT_INT(0, run("clean", "-t", "fifo", NULL));
    EXPECT_STR("removed  fifo    'default'\n", last.out);
    EXPECT_INT(0, run("clean", NULL));
    EXPECT(strstr(last.out, "removed  mqueue  'default'\n"));
    EXPECT(strstr(last.out, "removed  shm     'default'\n"));
    EXPECT(strstr(last.out, "removed  socket  'default'\n"));
    EXPECT(strstr(last.out, "in use   socket  'live' by pid "));
    for (size_t i = 0; i < LEN(run_names); i++) {
        struct stat st;

        snprintf(path, sizeof path, "%s/run/ipclab/%s", harness_dir(),
                 run_names[i]);
        EXPECT(stat(path, &st) < 0 && errno == ENOENT);
    }
    EXPECT_INT(0, run("-n", "live", "list", NULL));
    EXPECT_INT(0, end(&live, SIGTERM));
}

/* A server that has its name and isn't ready yet, or not any more. */
static void test_clean_race(const void *arg)
{
    struct flock server = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    char path[256];
    int fd;

    (void)arg;
    setenv("TMPDIR", harness_dir(), 1); /* here are no tours */
    REQUIRE_INT(0, mkdir(path_of("run/ipclab", path), 0700));
    fd = open(path_of("run/ipclab/x.socket.lock", path),
              O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    REQUIRE_INT(0, fcntl(fd, F_OFD_SETLK, &server));
    EXPECT_INT(0, run("clean", NULL));
    EXPECT_STR("in use   socket  'x' by a server that just starts or ends: "
               "left alone\n",
               last.out);
    run("-n", "y", "list", NULL); /* nobody can be asked yet */
    expect_refusal(69, "ENOENT nobody serves here; start it with");
    close(fd);
    EXPECT_INT(0, run("clean", NULL));
    EXPECT_STR("removed  socket  'x'\n", last.out);
}

static void test_some_transports(const void *arg)
{
    struct server s = serve("serve", "-t", "fifo,shm", NULL);
    struct server two = serve("-n", "two", "serve", "-t", "mqueue", NULL);
    char text[256];

    (void)arg;
    EXPECT_INT(0, run("-t", "fifo", "add", "x", T1, T2, NULL));
    EXPECT_INT(0, run("-t", "shm", "list", NULL));
    EXPECT(strstr(last.out, "  x\n"));
    run("-t", "socket", "list", NULL);
    snprintf(text, sizeof text,
             "cannot open socket 'default': ENOENT the server of 'default', "
             "pid %ld, doesn't serve over socket; use -t with one of: fifo, "
             "shm\n",
             (long)s.pid);
    expect_refusal(69, text);
    run("-n", "two", "-t", "fifo", "list", NULL);
    snprintf(text, sizeof text,
             "the server of 'two', pid %ld, doesn't serve over fifo; use -t "
             "with one of: mqueue\n",
             (long)two.pid);
    expect_refusal(69, text);
    run("-n", "tow", "-t", "fifo", "list", NULL);
    expect_refusal(69, "ENOENT nobody serves here, but under other names (-n): "
                       "default, two; start it with: ipclab -n tow serve\n");
    EXPECT_INT(0, end(&two, SIGTERM));
    EXPECT_INT(0, end(&s, SIGTERM));
    run("-t", "socket", "list", NULL);
    expect_refusal(69, "nobody serves here; start");
}

/* Its private folder is made in the case's own, so that it can be looked for.
 * How many there are, and whether one has a server's names in it. */
static int demo_folders(bool *names)
{
    DIR *d = opendir(harness_dir());
    char path[600];
    int n = 0;

    for (struct dirent *e; d && (e = readdir(d));)
        if (!strncmp(e->d_name, "ipclab-demo-", 12)) {
            n++;
            snprintf(path, sizeof path, "%s/%s/ipclab/demo.socket",
                     harness_dir(), e->d_name);
            *names = access(path, F_OK) == 0;
        }
    if (d)
        closedir(d);
    return n;
}

static void test_demo(const void *arg)
{
    static const char *const names[] = {"pipe", "fifo", "mqueue", "shm",
                                        "socket"};
    bool left;

    (void)arg;
    setenv("TMPDIR", harness_dir(), 1);
    EXPECT_INT(0, run("demo", NULL));
    EXPECT_STR("", last.err);
    EXPECT(strstr(last.out, "  kill -9 "));
    for (size_t i = 0; i < LEN(names); i++) {
        char text[64];

        snprintf(text, sizeof text, "added over %s ", names[i]);
        EXPECT(strstr(last.out, text));
        snprintf(text, sizeof text, "%s 6", names[i]); /* after the restart */
        EXPECT(strstr(last.out, text));
    }
    EXPECT(strstr(last.out, " us\n"));
    EXPECT_INT(0, demo_folders(&left));
}

/* The longest folder for it; and descriptors that whoever starts it has left
 * open are not shown as its own. */
static void test_demo_elsewhere(const void *arg)
{
    char path[61], end_of_path[61];
    int fds[2], len;
    bool left;

    (void)arg;
    memset(end_of_path, 'x', sizeof end_of_path);
    len = snprintf(path, sizeof path, "%s/%.60s", harness_dir(), end_of_path);
    REQUIRE(len >= 60);
    REQUIRE_INT(0, mkdir(path, 0700));
    setenv("TMPDIR", path, 1);
    REQUIRE_INT(0, pipe(fds));
    REQUIRE_INT(100, dup2(fds[0], 100));
    EXPECT_INT(0, run("demo", NULL));
    EXPECT_STR("", last.err);
    EXPECT(strstr(last.out, "anonymous pipe"));
    EXPECT(!strstr(last.out, "100 ") && !strstr(last.out, "100,"));
    close(100);
    close(fds[0]);
    close(fds[1]);
    EXPECT_INT(0, demo_folders(&left));
    EXPECT_INT(0, rmdir(path)); /* nothing is left in it */
}

/* Goes on when its server is up; or when all is over already, which on a busy
 * machine we may have missed. */
static pid_t start_demo(int *out, int *err)
{
    char *argv[] = {(char *)"ipclab", (char *)"demo", NULL};
    siginfo_t ended = {0};
    bool names = false;
    pid_t pid;

    setenv("TMPDIR", harness_dir(), 1);
    pid = start(argv, NULL, out, err);
    while ((demo_folders(&names) == 0 || !names) && ended.si_pid == 0)
        REQUIRE(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) ==
                0);
    return pid;
}

/* Cut short, it cleans up all the same. */
static void test_demo_interrupted(const void *arg)
{
    bool names;

    (void)arg;
    last.code = 0;
    for (int k = 0; k < 20 && last.code == 0; k++) { /* it was over before */
        int out, err;
        pid_t pid = start_demo(&out, &err);

        kill(pid, SIGINT);
        collect(pid, out, err);
    }
    EXPECT_INT(1, last.code);
    EXPECT(strstr(last.err, "interrupted"));
    EXPECT_INT(0, demo_folders(&names));
}

/* What nohup ignores stays ignored, in the tour and in its server. */
static void test_demo_nohup(const void *arg)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    int out, err;
    pid_t pid;

    (void)arg;
    REQUIRE_INT(0, sigaction(SIGHUP, &ignore, &before));
    pid = start_demo(&out, &err);
    REQUIRE_INT(0, sigaction(SIGHUP, &before, NULL));
    kill(pid, SIGHUP);
    collect(pid, out, err);
    EXPECT_INT(0, last.code);
    EXPECT(strstr(last.out, "it has ended and removed its names"));
    EXPECT_STR("", last.err);
}

/* Killed, it can't; but its server notices, and ends with all its names. (How
 * soon: test_exits.) */
static void test_demo_killed(const void *arg)
{
    int out, err;
    pid_t pid = start_demo(&out, &err);
    long long begin = now_ms();
    bool names = true;

    (void)arg;
    kill(pid, SIGKILL);
    collect(pid, out, err);
    while (names && now_ms() - begin < LIMIT_MS)
        demo_folders(&names);
    EXPECT(!names);
}

/* ---- the list ----------------------------------------------------------- */

#define EACH(name, run, seconds)                                               \
    {"pipe/" name, run, "pipe", seconds},                                      \
        {"fifo/" name, run, "fifo", seconds},                                  \
        {"mqueue/" name, run, "mqueue", seconds},                              \
        {"shm/" name, run, "shm", seconds},                                    \
    {                                                                          \
        "socket/" name, run, "socket", seconds                                 \
    }
#define NAMED(name, run)                                                       \
    {"fifo/" name, run, "fifo", 0}, {"mqueue/" name, run, "mqueue", 0},        \
        {"shm/" name, run, "shm", 0},                                          \
    {                                                                          \
        "socket/" name, run, "socket", 0                                       \
    }

static const struct test_case cases[] = {
    EACH("events", test_events, 0),
    EACH("import", test_import, 0),
    NAMED("no-server", test_no_server),
    NAMED("stopped", test_stopped),
    NAMED("server-lost", test_server_lost),
    NAMED("data-asked", test_data_asked),
    {"usage", test_usage, NULL, 0},
    {"pipe-waits", test_pipe_waits, NULL, 0},
    {"help", test_help, NULL, 0},
    {"options-anywhere", test_options_anywhere, NULL, 0},
    {"json", test_json, NULL, 0},
    {"full-output", test_full_output, NULL, 0},
    {"week", test_week, NULL, 0},
    {"bad-data", test_bad_data, NULL, 0},
    {"unknown", test_unknown, NULL, 0},
    {"token", test_token, NULL, 0},
    {"token-of-other", test_token_of_other, NULL, 0},
    {"import-bad", test_import_bad, NULL, 0},
    {"data-file", test_data_file, NULL, 0},
    {"check", test_check, NULL, 0},
    {"repair", test_repair, NULL, 0},
    {"check-names", test_check_names, NULL, 0},
    {"check-in-use", test_check_in_use, NULL, 0},
    {"replaced", test_replaced, NULL, 0},
    {"failed-start", test_failed_start, NULL, 0},
    {"not-a-file", test_not_a_file, NULL, 0},
    {"file-limit", test_file_limit, NULL, 0},
    {"export-whole", test_export_whole, NULL, 0},
    {"export-data", test_export_data, NULL, 0},
    {"in-use", test_in_use, NULL, 0},
    {"wait-for-data", test_wait_for_data, NULL, 0},
    {"runtime-folder", test_runtime_folder, NULL, 0},
    {"garbage", test_garbage, NULL, 0},
    {"signals", test_signals, NULL, 0},
    {"python", test_python, NULL, 0},
    {"clean", test_clean, NULL, 0},
    {"clean-race", test_clean_race, NULL, 0},
    {"some-transports", test_some_transports, NULL, 0},
    {"demo", test_demo, NULL, 0},
    {"demo-elsewhere", test_demo_elsewhere, NULL, 0},
    {"demo-interrupted", test_demo_interrupted, NULL, 0},
    {"demo-nohup", test_demo_nohup, NULL, 0},
    {"demo-killed", test_demo_killed, NULL, 0},
};

int main(int argc, char **argv)
{
    static const struct test_suite suite = {"cli", cases, LEN(cases), NULL};

    (void)harness_ipclab(); /* once, not by each case */
    return harness_main(argc, argv, &suite);
}
