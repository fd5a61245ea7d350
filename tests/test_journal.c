/*
 * test_journal.c - the durable file: what it survives, and what it refuses
 *
 * Linked with -Wl,--wrap=fdatasync,--wrap=ftruncate: calls whose failure no
 * file system gives on demand go through this file first. fsync and write are
 * replaced by name, as any program may do.
 *
 * It needs _DEFAULT_SOURCE for syscall, the way to the kernel's own two.
 */
#define _DEFAULT_SOURCE
#include "crc32.h"
#include "harness.h"
#include "journal.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the wrapped calls -------------------------------------------------- */

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_ftruncate(int fd, off_t len);
int __wrap_ftruncate(int fd, off_t len);

static int sync_error;     /* errno that fdatasync gives, 0 = none */
static int truncate_error; /* the same for ftruncate */
static int folder_error;   /* the same for fsync of a folder */
static int folder_syncs;   /* how often a folder was synced */
static int write_error;    /* the same for write */
static int file_syncs;     /* how often fsync was called for a file */

/* While `writers` > 0, a sync waits until so many lines were appended. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static int writers, appended;

int __wrap_fdatasync(int fd)
{
    pthread_mutex_lock(&gate);
    while (appended < writers)
        pthread_cond_wait(&gate_moved, &gate);
    pthread_mutex_unlock(&gate);
    if (sync_error != 0) {
        errno = sync_error;
        return -1;
    }
    return __real_fdatasync(fd);
}

int __wrap_ftruncate(int fd, off_t len)
{
    if (truncate_error != 0) {
        errno = truncate_error;
        return -1;
    }
    return __real_ftruncate(fd, len);
}

int fsync(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        file_syncs++;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        folder_syncs++;
        if (folder_error != 0) {
            errno = folder_error;
            return -1;
        }
    }
    return (int)syscall(SYS_fsync, fd);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    if (write_error != 0) {
        errno = write_error;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, len);
}

/* ---- helpers ------------------------------------------------------------ */

#define FILE_MAX 65536

static char path[256]; /* of the journal of this case */
static char why[256];

static struct journal_record got[64]; /* what the last opening handed over */
static char got_title[64][EVENT_TITLE_MAX + 1];
static size_t got_count;
static uint32_t got_next_id;
static size_t got_torn;

static int keep(const struct journal_record *rec, void *arg)
{
    (void)arg;
    REQUIRE(got_count < 64);
    got[got_count] = *rec;
    if (rec->event.title != NULL)
        snprintf(got_title[got_count], sizeof got_title[0], "%s",
                 rec->event.title);
    got_count++;
    return 0;
}

static void set_path(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", harness_dir(), name);
}

static int open_with(struct journal **j, bool sync, int wait_ms)
{
    struct journal_opts opts = {.path = path,
                                .sync = sync,
                                .wait_ms = wait_ms,
                                .why = why,
                                .why_cap = sizeof why};

    got_count = 0;
    return journal_open(j, &opts, keep, NULL, &got_next_id, &got_torn);
}

static int open_it(struct journal **j)
{
    return open_with(j, false, 0);
}

/* Open, and close again when that worked. */
static int try_open(void)
{
    struct journal *j = NULL;
    int err = open_it(&j);

    journal_close(j);
    return err;
}

static int append(struct journal *j, uint32_t id, const char *title)
{
    struct journal_record rec = {.op = JOURNAL_ADD, .token = 0xa0 + id};

    rec.event = (struct event){.id = id,
                               .start = 1795392000,
                               .end = 1795395600,
                               .title = title,
                               .title_len = (uint8_t)strlen(title)};
    return journal_append(j, &rec);
}

static size_t slurp(char bytes[FILE_MAX])
{
    FILE *f = fopen(path, "r");

    REQUIRE(f != NULL);
    size_t n = fread(bytes, 1, FILE_MAX - 1, f);
    bytes[n] = '\0';
    REQUIRE(fclose(f) == 0);
    return n;
}

static void spill(const char *bytes, size_t len)
{
    FILE *f = fopen(path, "w");

    REQUIRE(f != NULL);
    REQUIRE(fwrite(bytes, 1, len, f) == len);
    REQUIRE(fclose(f) == 0);
}

/* A journal of `n` lines behind its header; its bytes and their number. */
static size_t make_file(int n, char bytes[FILE_MAX])
{
    struct journal *j;

    set_path("j");
    (void)unlink(path); /* of an earlier round */
    REQUIRE_INT(0, open_it(&j));
    for (int i = 1; i <= n; i++)
        REQUIRE_INT(0, append(j, (uint32_t)i, "lesson"));
    journal_close(j);
    return slurp(bytes);
}

/* Where line `n` (from 1) begins. */
static size_t line_at(const char *bytes, int n)
{
    const char *p = bytes;

    while (--n > 0)
        p = strchr(p, '\n') + 1;
    return (size_t)(p - bytes);
}

static bool why_names_line(int n)
{
    char text[32];

    snprintf(text, sizeof text, "line %d:", n);
    return strncmp(why, text, strlen(text)) ==
           0; /* the caller names the file */
}

/* ---- JSON --------------------------------------------------------------- */

struct json_row {
    const char *text;
    int line; /* of the first offence; 0 = it is fine */
};

static const struct json_row json_rows[] = {
    {"{}", 0},
    {" [ ] \n", 0},
    {"\"\"", 0},
    {"null", 0},
    {"-0", 0},
    {"[0,-1,1.5,1e3,1E-3,1.25e+2]", 0},
    {"[true,false,null]", 0},
    {"{\"a\":1,\"A\":2,\"b\":{\"a\":3},\"\":[]}", 0},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDCC5\"", 0},
    {"\"\xea\xb0\x95\x7f\"", 0},
    {"[9007199254740991,-9007199254740991]", 0},
    {"", 1},
    {"  \n ", 2},
    {"nul", 1},
    {"nulll", 1},
    {"True", 1},
    {"NaN", 1},
    {"Infinity", 1},
    {"{} {}", 1},
    {"{}\n\nx", 3},
    {"{},", 1},
    {"[1,]", 1},
    {"[1 2]", 1},
    {"[", 1},
    {"[1", 1},
    {"]", 1},
    {"[1}", 1},
    {"{\"a\"}", 1},
    {"{\"a\":}", 1},
    {"{\"a\":1,}", 1},
    {"{a:1}", 1},
    {"{'a':1}", 1},
    {"{1:1}", 1},
    {"/* c */ 1", 1},
    {"\xef\xbb\xbf{}", 1}, /* a byte order mark */
    {"\v1", 1},
    {"\xc2\xa0"
     "1",
     1},
    {"01", 1},
    {"-01", 1},
    {"+1", 1},
    {"-", 1},
    {".5", 1},
    {"1.", 1},
    {"1e", 1},
    {"1e+", 1},
    {"0x10", 1},
    {"[1,\n9007199254740992]", 2},
    {"-9007199254740993", 1},
    {"99999999999999999999999", 1},
    {"[\n\n1e999]", 3},
    {"0.1234567890123456789012345678901234567890123456789012345678901", 1},
    {"\"a", 1},
    {"\"a\tb\"", 1},
    {"\"a\nb\"", 1},
    {"\"\\x41\"", 1},
    {"\"\\", 1},
    {"\"\\u12\"", 1},
    {"\"\\u12g4\"", 1},
    {"\"\\u0000\"", 1},
    {"[\"\",\n\"a\\u0000b\"]", 2},
    {"\"\\ud83d\"", 1},
    {"\"\\ud83d\\n\"", 1},
    {"\"\\ud83d\\u0041\"", 1},
    {"\"\\udcc5\"", 1},
    {"\"\xff\"", 1},
    {"\"\xc0\xaf\"", 1},
    {"\"\xed\xa0\x80\"", 1},
    {"\"\xe2\x82\"", 1},
    {"{\"a\":1,\n\"b\":2,\n\"a\":3}", 3},
    {"{\"a\":1,\n\"\\u0061\":2}", 2}, /* the same key, written otherwise */
    {"[{\"a\":1},\n{\"x\":{\n\"k\":[1,2],\n\"k\":1}}]", 4},
};

static void test_json_table(const void *arg)
{
    (void)arg;
    for (size_t i = 0; i < sizeof json_rows / sizeof *json_rows; i++) {
        const struct json_row *row = &json_rows[i];
        size_t line = 0;
        char text[64] = "";
        /* A copy of exactly these bytes: reading beyond them would show. */
        size_t len = strlen(row->text);
        char *copy = malloc(len + 1);
        REQUIRE(copy != NULL);
        memcpy(copy, row->text, len);
        cJSON *tree = json_parse(copy, len, &line, text, sizeof text);
        harness_int(row->line, (long long)line, false, __FILE__, __LINE__,
                    row->text);
        EXPECT((tree != NULL) == (row->line == 0));
        EXPECT((text[0] == '\0') == (tree != NULL));
        cJSON_Delete(tree);
        free(copy);
    }
}

/* `n` times `unit`, then `n` times `end`: deep, or with many keys. */
static cJSON *parse_many(const char *unit, const char *end, int n)
{
    size_t cap = (size_t)n * (strlen(unit) + strlen(end)) + 1, line;
    char *text = malloc(cap), what[64], *p = text;

    REQUIRE(text != NULL);
    for (int i = 0; i < n; i++)
        p += snprintf(p, cap - (size_t)(p - text), "%s", unit);
    for (int i = 0; i < n; i++)
        p += snprintf(p, cap - (size_t)(p - text), "%s", end);
    cJSON *tree =
        json_parse(text, (size_t)(p - text), &line, what, sizeof what);
    free(text);
    return tree;
}

static void test_json_limits(const void *arg)
{
    size_t line;
    char what[64];
    cJSON *tree = parse_many("[", "]", 64);

    (void)arg;
    EXPECT(tree != NULL);
    cJSON_Delete(tree);
    EXPECT(parse_many("[", "]", 65) == NULL);
    EXPECT(parse_many("[", "", 100000) == NULL);
    EXPECT(parse_many("{\"a\":", "", 100000) == NULL);
    /* A NUL byte, which cJSON takes for the end. */
    EXPECT(json_parse("[1]\0", 4, &line, what, sizeof what) == NULL);
    EXPECT(json_parse("\"a\0b\"", 5, &line, what, sizeof what) == NULL);
}

static void test_json_values(const void *arg)
{
    static const char text[] = "{\"s\":\"x\",\"n\":7,\"N\":8,\"max\":"
                               "9007199254740991,\"neg\":-1,\"half\":0.5,"
                               "\"big\":1e20,\"hundred\":1e2}";
    size_t line;
    char what[64];
    uint64_t v = 42;
    cJSON *o = json_parse(text, sizeof text - 1, &line, what, sizeof what);

    (void)arg;
    REQUIRE(o != NULL);
    EXPECT_STR("x", json_string(o, "s"));
    EXPECT(json_string(o, "n") == NULL && json_string(o, "S") == NULL);
    EXPECT(json_string(NULL, "s") == NULL);
    EXPECT_INT(-EINVAL, json_number(o, "s", &v));
    EXPECT_INT(-EINVAL, json_number(o, "neg", &v));
    EXPECT_INT(-EINVAL, json_number(o, "half", &v));
    EXPECT_INT(-EINVAL, json_number(o, "big", &v));
    EXPECT_INT(-EINVAL, json_number(o, "missing", &v));
    EXPECT_INT(42, (int)v);
    EXPECT_INT(0, json_number(o, "N", &v));
    EXPECT_INT(8, (int)v);
    EXPECT_INT(0, json_number(o, "hundred", &v));
    EXPECT_INT(100, (int)v);
    EXPECT_INT(0, json_number(o, "max", &v));
    EXPECT(v == 9007199254740991u);
    cJSON_Delete(o);
}

/* ---- lines -------------------------------------------------------------- */

static void test_round_trip(const void *arg)
{
    static const char title[] = "\"\\/\xea\xb0\x95\xf0\x9f\x93\x85";
    char longest[EVENT_TITLE_MAX + 1];
    struct journal *j;
    struct journal_record rec = {.op = JOURNAL_UPDATE, .token = UINT64_MAX};

    (void)arg;
    set_path("j");
    memset(longest, '"', EVENT_TITLE_MAX); /* doubles when it is escaped */
    longest[EVENT_TITLE_MAX] = '\0';
    REQUIRE_INT(0, open_it(&j));
    EXPECT_INT(1, got_next_id);
    EXPECT_INT(0, append(j, 1, title));
    rec.event = (struct event){.id = EVENT_COUNT_MAX,
                               .start = EVENT_TIME_MIN,
                               .end = EVENT_TIME_MAX,
                               .title = longest,
                               .title_len = EVENT_TITLE_MAX};
    EXPECT_INT(0, journal_append(j, &rec));
    EXPECT_INT(2, (int)rec.seq);
    rec = (struct journal_record){.op = JOURNAL_REMOVE, .event.id = 1};
    EXPECT_INT(0, journal_append(j, &rec));
    rec = (struct journal_record){.op = JOURNAL_DONE,
                                  .was = JOURNAL_REMOVE,
                                  .token = 5,
                                  .event = {.id = 9, .rev = 77}};
    EXPECT_INT(0, journal_append(j, &rec));
    EXPECT_INT(4, (int)journal_seq(j));
    uint64_t bytes = journal_bytes(j);
    journal_close(j);

    REQUIRE_INT(0, open_it(&j));
    EXPECT_INT(4, (int)got_count);
    EXPECT(got[0].op == JOURNAL_ADD && got[0].token == 0xa1 && got[0].seq == 1);
    EXPECT(got[0].event.start == 1795392000 && got[0].event.end == 1795395600);
    EXPECT_STR(title, got_title[0]);
    EXPECT(got[1].op == JOURNAL_UPDATE && got[1].token == UINT64_MAX);
    EXPECT(got[1].event.id == EVENT_COUNT_MAX && got[1].event.rev == 2);
    EXPECT(got[1].event.start == EVENT_TIME_MIN);
    EXPECT(got[1].event.end == EVENT_TIME_MAX);
    EXPECT_STR(longest, got_title[1]);
    EXPECT(got[2].op == JOURNAL_REMOVE && got[2].token == 0);
    EXPECT(got[3].op == JOURNAL_DONE && got[3].was == JOURNAL_REMOVE);
    EXPECT(got[3].event.id == 9 && got[3].event.rev == 77);
    EXPECT(journal_bytes(j) == bytes && journal_seq(j) == 4);
    journal_close(j);
}

/* Killed in the middle of its last write, wherever that was. */
static void test_cut(const void *arg)
{
    char bytes[FILE_MAX], after[FILE_MAX];
    size_t len = make_file(3, bytes), last = line_at(bytes, 4);
    struct journal *j;

    (void)arg;
    for (size_t cut = last; cut < len; cut++) {
        spill(bytes, cut);
        REQUIRE_INT(0, open_it(&j));
        REQUIRE_INT(2, (int)got_count);
        REQUIRE_INT((int)(cut - last), (int)got_torn);
        REQUIRE((why[0] != '\0') == (got_torn > 0));
        REQUIRE_INT((int)last, (int)journal_bytes(j));
        REQUIRE_INT(0, append(j, 3, "lesson"));
        journal_close(j);
        REQUIRE_INT((int)len, (int)slurp(after));
        EXPECT_BYTES(bytes, after, len);
    }
}

/* What a power loss may leave: the length grew, the bytes didn't arrive. */
static void test_zero_tail(const void *arg)
{
    char bytes[FILE_MAX];
    size_t len = make_file(3, bytes);

    (void)arg;
    memset(bytes + line_at(bytes, 4) + 20, 0, len - line_at(bytes, 4) - 20);
    spill(bytes, len);
    EXPECT_INT(0, try_open());
    EXPECT_INT(2, (int)got_count);
    EXPECT(got_torn > 0 && why_names_line(4));
    EXPECT_INT(0, try_open());
    EXPECT_INT(0, (int)got_torn);
}

/* Each byte of each line: refused, the line named, untouched. What a crash may
 * have done to the last line is for test_bad_tail. */
static void test_flips(const void *arg)
{
    char bytes[FILE_MAX], after[FILE_MAX];
    size_t len = make_file(3, bytes);

    (void)arg;
    for (int line = 1; line <= 4; line++) {
        size_t end = line < 4 ? line_at(bytes, line + 1) : len - 1;
        for (size_t i = line_at(bytes, line); i < end; i++) {
            char was = bytes[i], to[] = {was ^ 1, was ^ (char)0x80, '\n', 0};
            for (size_t k = 0; k < sizeof to; k++) {
                if (to[k] == was || (line == 4 && to[k] == 0))
                    continue;
                bytes[i] = to[k];
                spill(bytes, len);
                REQUIRE_INT(-EBADMSG, try_open());
                REQUIRE(why_names_line(line));
                REQUIRE_INT((int)len, (int)slurp(after));
                REQUIRE(memcmp(bytes, after, len) == 0);
            }
            bytes[i] = was;
        }
    }
    EXPECT(len > 300); /* it was a file worth flipping */
}

/* The last line: a NUL anywhere, or no newline, and it goes. */
static void test_bad_tail(const void *arg)
{
    char bytes[FILE_MAX];
    size_t len = make_file(3, bytes);

    (void)arg;
    for (size_t i = line_at(bytes, 4); i < len; i++) {
        char was = bytes[i];
        bytes[i] = was == '\n' ? '\v' : 0;
        spill(bytes, len);
        REQUIRE_INT(0, try_open());
        EXPECT_INT(2, (int)got_count);
        EXPECT(got_torn == len - line_at(bytes, 4) && why_names_line(4));
        bytes[i] = was;
    }
}

static void test_missing_line(const void *arg)
{
    char bytes[FILE_MAX];
    size_t len = make_file(4, bytes);
    size_t at = line_at(bytes, 3), next = line_at(bytes, 4);

    (void)arg;
    memmove(bytes + at, bytes + next, len - next);
    spill(bytes, len - (next - at));
    EXPECT_INT(-EBADMSG, try_open());
    EXPECT(why_names_line(3));
}

/* A right checksum doesn't make sense out of nonsense. */
static void test_bad_content(const void *arg)
{
    static const char *const lines[] = {
        "{\"op\":\"paint\",\"id\":1,\"token\":\"0000000000000001\",\"seq\":1",
        "{\"op\":\"remove\",\"id\":0,\"token\":\"0000000000000001\",\"seq\":1",
        "{\"op\":\"remove\",\"id\":1,\"token\":\"1\",\"seq\":1",
        "{\"op\":\"remove\",\"id\":1,\"token\":\"000000000000000G\",\"seq\":1",
        "{\"op\":\"remove\",\"id\":1,\"token\":\"0000000000000001\",\"seq\":2",
        "{\"op\":\"remove\",\"id\":1,\"token\":\"0000000000000001\",\"seq\":0",
        "{\"op\":\"remove\",\"id\":1,\"id\":1,\"token\":\"0000000000000001\","
        "\"seq\":1",
        "{\"op\":\"done\",\"id\":1,\"token\":\"0000000000000001\",\"seq\":1",
        "{\"op\":\"add\",\"id\":1,\"title\":\"\",\"start\":"
        "\"2026-11-23T00:00:00Z\",\"end\":\"2026-11-23T01:00:00Z\","
        "\"token\":\"0000000000000001\",\"seq\":1",
        "{\"op\":\"add\",\"id\":1,\"title\":\"x\",\"start\":"
        "\"2026-11-23T01:00:00Z\",\"end\":\"2026-11-23T01:00:00Z\","
        "\"token\":\"0000000000000001\",\"seq\":1",
    };
    char bytes[FILE_MAX];
    size_t len = make_file(0, bytes);

    (void)arg;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        int n = snprintf(bytes + len, FILE_MAX - len,
                         "%s,\"crc\":\"%08" PRIx32 "\"}\n", lines[i],
                         crc32_of(lines[i], strlen(lines[i])));
        spill(bytes, len + (size_t)n);
        harness_int(-EBADMSG, try_open(), false, __FILE__, __LINE__, lines[i]);
        EXPECT(why_names_line(2));
    }
}

/* ---- other files -------------------------------------------------------- */

static void test_foreign(const void *arg)
{
    static const char *const files[] = {
        "hello\n",
        "hello",
        "\n",
        "[]\n",
        "{}\n",
        ("{\"format\":\"ipclab-journal\",\"version\":1,\"next_id\":1,\"seq\":0,"
         "\"crc\":\"00000000\"}\n"),
        "{\"format\":\"ipclab-journal\"}",
        "{\"title\":\"a\"}\n{\"title\":\"b\"",
    };
    char after[FILE_MAX], lock[256];

    (void)arg;
    set_path("j");
    snprintf(lock, sizeof lock, "%s/j.lock", harness_dir());
    spill(files[0], strlen(files[0]));
    EXPECT_INT(-EBADMSG, try_open());
    EXPECT(access(lock, F_OK) != 0); /* nor is anything put beside it */
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        spill(files[i], strlen(files[i]));
        harness_int(-EBADMSG, try_open(), false, __FILE__, __LINE__, files[i]);
        EXPECT(why_names_line(1));
        REQUIRE_INT((int)strlen(files[i]), (int)slurp(after));
        EXPECT_BYTES(files[i], after, strlen(files[i]));
    }
}

/* Killed while it wrote the header of a new file. */
static void test_torn_header(const void *arg)
{
    char bytes[FILE_MAX], after[FILE_MAX];
    size_t len = make_file(0, bytes);

    (void)arg;
    for (size_t cut = 0; cut < len; cut++) {
        spill(bytes, cut);
        REQUIRE_INT(0, try_open());
        EXPECT_INT((int)cut, (int)got_torn);
        REQUIRE_INT((int)len, (int)slurp(after));
        EXPECT_BYTES(bytes, after, len);
    }
}

static void test_places(const void *arg)
{
    char bytes[FILE_MAX], target[256];
    struct journal *j;
    struct stat st;

    (void)arg;
    set_path("missing/j");
    EXPECT_INT(-ENOENT, try_open());
    set_path("folder");
    REQUIRE_INT(0, mkdir(path, 0700));
    EXPECT_INT(-EBADMSG, try_open());
    EXPECT_STR("it isn't a regular file", why);
    set_path("pipe");
    REQUIRE_INT(0, mkfifo(path, 0600));
    EXPECT_INT(-EBADMSG, try_open());
    EXPECT_STR("it isn't a regular file", why);
    set_path("pipe.lock");
    EXPECT(access(path, F_OK) != 0); /* nor is anything put beside it */

    umask(0);
    make_file(1, bytes);
    REQUIRE_INT(0, stat(path, &st));
    EXPECT_INT(0600, st.st_mode & 0777);
    set_path("j.lock");
    REQUIRE_INT(0, stat(path, &st));
    EXPECT_INT(0600, st.st_mode & 0777);

    /* Through a link it is the same file with the same lock. */
    set_path("j");
    REQUIRE_INT(0, open_it(&j));
    memcpy(target, path, sizeof target);
    set_path("link");
    REQUIRE_INT(0, symlink(target, path));
    EXPECT_INT(-EBUSY, try_open());
    journal_close(j);
    EXPECT_INT(0, try_open());
    EXPECT_INT(1, (int)got_count);
    journal_close(NULL);
}

/* A link to a file that the first opener makes: one lock all the same. */
static void test_dangling(const void *arg)
{
    char real[256];
    struct journal *j;

    (void)arg;
    set_path("real");
    memcpy(real, path, sizeof real);
    set_path("link");
    REQUIRE_INT(0, symlink("real", path));
    REQUIRE_INT(0, open_it(&j));
    EXPECT_INT(-EBUSY, try_open());
    memcpy(path, real, sizeof path);
    EXPECT_INT(-EBUSY, try_open());
    EXPECT_INT(0, append(j, 1, "lesson"));
    journal_close(j);
    EXPECT_INT(0, try_open());
    EXPECT_INT(1, (int)got_count);

    set_path("nowhere");
    REQUIRE_INT(0, symlink("missing/j", path));
    EXPECT_INT(-ENOENT, try_open());
}

/* ---- one owner ---------------------------------------------------------- */

/* What has the lock's name by chance isn't written over. */
static void test_foreign_lock(const void *arg)
{
    static const char *const notes[] = {"a letter\n", "4101\n and more\n",
                                        "123456789012345678901234567890\n"};
    char after[FILE_MAX], bytes[FILE_MAX];
    size_t len = make_file(1, bytes);

    (void)arg;
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        set_path("j.lock");
        spill(notes[i], strlen(notes[i]));
        set_path("j");
        EXPECT_INT(-EEXIST, try_open());
        EXPECT(strstr(why, "j.lock' is not a lock file of ipclab") != NULL);
        set_path("j.lock");
        EXPECT_INT((int)strlen(notes[i]), (int)slurp(after));
        EXPECT_STR(notes[i], after);
    }
    EXPECT_INT(0, unlink(path));
    EXPECT_INT(0, symlink("empty", path)); /* to write the pid there ... */
    set_path("empty");
    spill("", 0);
    set_path("j");
    EXPECT_INT(-EEXIST, try_open());
    EXPECT_INT((int)len, (int)slurp(after));
    EXPECT_BYTES(bytes, after, len);
    set_path("empty");
    EXPECT_INT(0, (int)slurp(after));

    set_path("j.lock"); /* what a power loss may leave of ours is no harm */
    EXPECT_INT(0, unlink(path));
    spill("41\0\0\0", 5);
    set_path("j");
    EXPECT_INT(0, try_open());
}

/* A child that opens the journal, says so with one byte, and stays. */
static pid_t start_holder(void)
{
    int ready[2];
    char byte = 0;

    REQUIRE_INT(0, pipe(ready));
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        struct journal *j;
        REQUIRE_INT(0, open_it(&j));
        REQUIRE_INT(1, (int)write(ready[1], "x", 1));
        for (;;)
            pause();
    }
    close(ready[1]);
    REQUIRE_INT(1, (int)read(ready[0], &byte, 1));
    close(ready[0]);
    return pid;
}

static void test_busy(const void *arg)
{
    char text[32];
    struct journal *j, *second;

    (void)arg;
    set_path("j");
    pid_t pid = start_holder();
    EXPECT_INT(-EBUSY, try_open());
    snprintf(text, sizeof text, "pid %ld ", (long)pid);
    EXPECT(strstr(why, text) != NULL);
    EXPECT_INT(-EBUSY, open_with(&j, false, 30)); /* it waits in vain */

    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    EXPECT_INT(0, open_it(&j));           /* free at once */
    EXPECT_INT(-EBUSY, open_it(&second)); /* also within one process */
    journal_close(j);

    /* Who waits gets it when the holder goes. */
    pid = start_holder();
    pid_t killer = fork();
    if (killer == 0) {
        kill(pid, SIGKILL);
        _exit(0);
    }
    EXPECT_INT(0, open_with(&j, false, 5000));
    journal_close(j);
    waitpid(pid, NULL, 0);
    waitpid(killer, NULL, 0);
}

/* Append and commit until killed; acknowledge each by its number. */
static void append_for_ever(int acks)
{
    struct journal *j;

    REQUIRE_INT(0, open_with(&j, true, 0));
    for (uint32_t id = 1;; id++) {
        REQUIRE_INT(0, append(j, id, "a title that makes the line longer"));
        REQUIRE_INT(0, journal_commit(j, journal_seq(j)));
        if (write(acks, &id, sizeof id) != (ssize_t)sizeof id)
            _exit(0);
    }
}

static int count_ids(const struct journal_record *rec, void *arg)
{
    uint32_t *last = arg;

    REQUIRE_INT((int)*last + 1, (int)rec->event.id);
    *last = rec->event.id;
    return 0;
}

static void test_kill(const void *arg)
{
    (void)arg;
    for (int round = 0; round < 10; round++) {
        int acks[2];
        uint32_t acked = 0, next, last = 0;
        char name[16];

        snprintf(name, sizeof name, "j%d", round);
        set_path(name);
        REQUIRE_INT(0, pipe(acks));
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0)
            append_for_ever(acks[1]);
        close(acks[1]);
        while (read(acks[0], &next, sizeof next) == (ssize_t)sizeof next) {
            acked = next;
            if (acked == 20 + (uint32_t)round * 7)
                kill(pid, SIGKILL); /* then read what it said before */
        }
        close(acks[0]);
        waitpid(pid, NULL, 0);

        struct journal *j;
        struct journal_opts opts = {.path = path};
        REQUIRE_INT(0, journal_open(&j, &opts, count_ids, &last, &got_next_id,
                                    &got_torn));
        EXPECT(acked >= 20 && last >= acked);
        journal_close(j);
    }
}

/* ---- failures ----------------------------------------------------------- */

/* Let files grow to `bytes` and no further: the kernel then writes the front
 * of a line and refuses the rest, as on a full disk. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    REQUIRE_INT(0, getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = bytes;
    REQUIRE_INT(0, setrlimit(RLIMIT_FSIZE, &limit));
}

static void ignore_xfsz(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    REQUIRE_INT(0, sigaction(SIGXFSZ, &ignore, NULL));
}

static void test_full(const void *arg)
{
    char bytes[FILE_MAX], after[FILE_MAX];
    size_t len = make_file(2, bytes);
    struct journal *j;

    (void)arg;
    ignore_xfsz();
    REQUIRE_INT(0, open_it(&j));
    for (size_t room = 0; room < 100; room += 9) {
        limit_files(len + room);
        EXPECT_INT(-ENOSPC, append(j, 3, "lesson"));
        REQUIRE_INT((int)len, (int)slurp(after)); /* cut back */
        EXPECT_BYTES(bytes, after, len);
        EXPECT_INT(2, (int)journal_seq(j));
    }
    limit_files(RLIM_INFINITY);
    EXPECT_INT(0, append(j, 3, "lesson")); /* as if nothing had been */
    journal_close(j);
    EXPECT_INT(0, try_open());
    EXPECT_INT(3, (int)got_count);
}

static void test_full_and_stuck(const void *arg)
{
    char bytes[FILE_MAX];
    size_t len = make_file(2, bytes);
    struct journal *j;

    (void)arg;
    ignore_xfsz();
    REQUIRE_INT(0, open_it(&j));
    limit_files(len + 30);
    truncate_error = EIO;
    EXPECT_INT(-EROFS, append(j, 3, "lesson"));
    truncate_error = 0;
    limit_files(RLIM_INFINITY);
    EXPECT_INT(-EROFS, append(j, 3, "lesson")); /* final */
    journal_close(j);
    EXPECT_INT((int)len + 30, (int)slurp(bytes)); /* nothing came behind */
    EXPECT_INT(0, try_open());
    EXPECT_INT(2, (int)got_count);
    EXPECT_INT(30, (int)got_torn);
}

/* A disk that is broken and not just full: "no more changes" is for good. */
static void test_broken(const void *arg)
{
    char bytes[FILE_MAX], after[FILE_MAX];
    size_t len = make_file(2, bytes);
    struct journal *j;

    (void)arg;
    REQUIRE_INT(0, open_it(&j));
    write_error = EIO;
    int err = append(j, 3, "lesson");
    write_error = 0;
    EXPECT_INT(-EROFS, err);
    EXPECT_INT(-EROFS, append(j, 3, "lesson"));
    journal_close(j);
    REQUIRE_INT((int)len, (int)slurp(after)); /* cut back */
    EXPECT_BYTES(bytes, after, len);
}

/* The name of a file that a killed process made, or renamed, may not be on
 * disk yet: each opening sees to it. */
static void test_folder_sync(const void *arg)
{
    struct journal *j;

    (void)arg;
    set_path("j");
    folder_error = EIO;
    EXPECT_INT(-EIO, open_with(&j, true, 0)); /* the file is there now */
    EXPECT_INT(1, folder_syncs);
    EXPECT_INT(-EIO, open_with(&j, true, 0));
    folder_error = 0;
    REQUIRE_INT(0, open_with(&j, true, 0));
    EXPECT_INT(3, folder_syncs);

    folder_error = EIO;
    REQUIRE_INT(0, journal_compact_begin(j, 1));
    EXPECT_INT(-EIO, journal_compact_finish(j));
    EXPECT_INT(-EROFS, append(j, 1, "lesson"));
    journal_close(j);
    EXPECT_INT(-EIO, open_with(&j, true, 0)); /* again, and not forgotten */
    REQUIRE_INT(0, open_it(&j));              /* no sync, none of a folder */
    EXPECT_INT(5, folder_syncs);
    journal_close(j);
}

static void test_sync_fails(const void *arg)
{
    struct journal *j;

    (void)arg;
    set_path("j");
    REQUIRE_INT(0, open_with(&j, true, 0));
    EXPECT_INT(0, append(j, 1, "lesson"));
    EXPECT_INT(0, journal_commit(j, 1));
    EXPECT_INT(1, (int)journal_syncs(j));
    EXPECT_INT(0, journal_commit(j, 1)); /* nothing left to do */
    EXPECT_INT(1, (int)journal_syncs(j));

    EXPECT_INT(0, append(j, 2, "lesson"));
    sync_error = EIO;
    EXPECT_INT(-EROFS, journal_commit(j, 2));
    sync_error = 0; /* the kernel tells only once */
    EXPECT_INT(-EROFS, journal_commit(j, 2));
    EXPECT_INT(-EROFS, append(j, 3, "lesson"));
    EXPECT_INT(2, (int)journal_syncs(j)); /* not tried again */
    EXPECT_INT(0, journal_commit(j, 1));  /* that one is safe */
    journal_close(j);
}

static void test_no_sync(const void *arg)
{
    struct journal *j;

    (void)arg;
    set_path("j");
    sync_error = EIO;
    REQUIRE_INT(0, open_it(&j));
    EXPECT_INT(0, append(j, 1, "lesson"));
    EXPECT_INT(0, journal_commit(j, 1));
    EXPECT_INT(0, (int)journal_syncs(j));
    journal_close(j);
}

/* ---- group commit ------------------------------------------------------- */

#define THREADS 8

static struct journal *shared;

static void *append_and_commit(void *arg)
{
    uint32_t id = *(uint32_t *)arg;

    pthread_mutex_lock(&gate); /* stands for the store's lock */
    EXPECT_INT(0, append(shared, id, "lesson"));
    uint64_t seq = journal_seq(shared);
    appended++;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate);
    EXPECT_INT(0, journal_commit(shared, seq));
    return NULL;
}

/* The first sync is held until all have appended: so all others share the
 * second one. */
static void test_group(const void *arg)
{
    pthread_t thread[THREADS];
    uint32_t id[THREADS];

    (void)arg;
    set_path("j");
    REQUIRE_INT(0, open_with(&shared, true, 0));
    writers = THREADS;
    for (uint32_t i = 0; i < THREADS; i++) {
        id[i] = i + 1;
        REQUIRE_INT(
            0, pthread_create(&thread[i], NULL, append_and_commit, &id[i]));
    }
    for (int i = 0; i < THREADS; i++)
        REQUIRE_INT(0, pthread_join(thread[i], NULL));
    EXPECT(journal_syncs(shared) >= 1 && journal_syncs(shared) <= 2);
    journal_close(shared);
    EXPECT_INT(0, try_open());
    EXPECT_INT(THREADS, (int)got_count);
}

/* ---- compaction --------------------------------------------------------- */

static void test_compaction(const void *arg)
{
    char bytes[FILE_MAX];
    struct journal *j, *second;
    struct journal_record rec = {.op = JOURNAL_UPDATE, .token = 3, .seq = 3};
    struct stat st;

    (void)arg;
    set_path("j.new"); /* perhaps the user's own repaired copy */
    spill("mine\n", 5);
    make_file(5, bytes);
    spill(bytes, line_at(bytes, 7));
    REQUIRE_INT(0, open_it(&j));
    REQUIRE_INT(0, journal_compact_begin(j, 9));
    EXPECT_INT(0, file_syncs);
    rec.event =
        (struct event){.id = 2, .end = 5, .title = "new", .title_len = 3};
    journal_compact_put(j, &rec);
    EXPECT_INT(0, journal_compact_finish(j));
    EXPECT_INT(1, file_syncs); /* also without syncs: the old lines were */
    EXPECT_INT(-EBUSY, open_it(&second)); /* rename didn't take the lock away */
    EXPECT_INT(0, append(j, 9, "lesson"));
    EXPECT_INT(6, (int)journal_seq(j)); /* goes on as before */
    journal_close(j);
    REQUIRE_INT(0, stat(path, &st));
    EXPECT_INT(0600, st.st_mode & 0777);

    REQUIRE_INT(0, open_it(&j));
    EXPECT_INT(9, got_next_id);
    EXPECT_INT(2, (int)got_count);
    EXPECT(got[0].seq == 3 && got[0].op == JOURNAL_UPDATE);
    EXPECT_INT(6, (int)got[1].seq);
    EXPECT_INT((int)st.st_size, (int)journal_bytes(j));
    journal_close(j);

    /* With nothing behind it the header alone keeps the seq. */
    REQUIRE_INT(0, open_it(&j));
    REQUIRE_INT(0, journal_compact_begin(j, 9));
    EXPECT_INT(0, journal_compact_finish(j));
    journal_close(j);
    REQUIRE_INT(0, open_it(&j));
    EXPECT_INT(6, (int)journal_seq(j));
    journal_close(j);
    set_path("j.new");
    EXPECT_INT(5, (int)slurp(bytes));
}

/* The new file may be used by whom the old one might. */
static void test_compaction_access(const void *arg)
{
    char bytes[FILE_MAX];
    struct journal *j;
    struct stat st;
    bool root = geteuid() == 0; /* only root gives files away */

    (void)arg;
    make_file(1, bytes);
    if (root)
        REQUIRE_INT(0, chown(path, 4321, 1234));
    REQUIRE_INT(0, chmod(path, 0640));
    REQUIRE_INT(0, open_it(&j));
    REQUIRE_INT(0, journal_compact_begin(j, 2));
    EXPECT_INT(0, journal_compact_finish(j));
    journal_close(j);
    REQUIRE_INT(0, stat(path, &st));
    EXPECT_INT(0640, st.st_mode & 07777);
    EXPECT_INT(root ? 4321 : (int)geteuid(), (int)st.st_uid);
    EXPECT_INT(root ? 1234 : (int)getegid(), (int)st.st_gid);
}

/* No room for the new file: the old one stays, and stays in use. */
static void test_compaction_fails(const void *arg)
{
    char bytes[FILE_MAX], after[FILE_MAX], old[256];
    size_t len = make_file(3, bytes);
    struct journal_record rec = {.op = JOURNAL_REMOVE, .event.id = 1, .seq = 1};
    struct journal *j;

    (void)arg;
    ignore_xfsz();
    REQUIRE_INT(0, open_it(&j));
    REQUIRE_INT(0, journal_compact_begin(j, 9));
    journal_compact_put(j, &rec);
    limit_files(50);
    EXPECT_INT(-EFBIG, journal_compact_finish(j));
    limit_files(RLIM_INFINITY);
    REQUIRE_INT((int)len, (int)slurp(after));
    EXPECT_BYTES(bytes, after, len);
    EXPECT_INT(0, append(j, 4, "lesson"));
    journal_close(j);
    memcpy(old, path, sizeof old);
    set_path("j.compacting");
    EXPECT(access(path, F_OK) != 0);
    set_path("j");
    EXPECT_STR(old, path);
    EXPECT_INT(0, try_open());
    EXPECT_INT(4, (int)got_count);
}

static const struct test_case cases[] = {
    {.name = "json/table", .run = test_json_table},
    {.name = "json/limits", .run = test_json_limits},
    {.name = "json/values", .run = test_json_values},
    {.name = "round-trip", .run = test_round_trip},
    {.name = "cut-last-line", .run = test_cut},
    {.name = "zero-tail", .run = test_zero_tail},
    {.name = "flip-each-byte", .run = test_flips, .seconds = 60},
    {.name = "bad-tail", .run = test_bad_tail},
    {.name = "missing-line", .run = test_missing_line},
    {.name = "bad-content", .run = test_bad_content},
    {.name = "foreign-file", .run = test_foreign},
    {.name = "torn-header", .run = test_torn_header},
    {.name = "places", .run = test_places},
    {.name = "dangling-link", .run = test_dangling},
    {.name = "foreign-lock", .run = test_foreign_lock},
    {.name = "busy", .run = test_busy},
    {.name = "kill", .run = test_kill, .seconds = 60},
    {.name = "full", .run = test_full},
    {.name = "full-and-stuck", .run = test_full_and_stuck},
    {.name = "broken", .run = test_broken},
    {.name = "folder-sync", .run = test_folder_sync},
    {.name = "sync-fails", .run = test_sync_fails},
    {.name = "no-sync", .run = test_no_sync},
    {.name = "group-commit", .run = test_group},
    {.name = "compaction", .run = test_compaction},
    {.name = "compaction-access", .run = test_compaction_access},
    {.name = "compaction-fails", .run = test_compaction_fails},
};

int main(int argc, char **argv)
{
    const struct test_suite suite = {.name = "journal",
                                     .cases = cases,
                                     .count = sizeof cases / sizeof *cases};

    return harness_main(argc, argv, &suite);
}
