/*
 * test_repair.c - damage in a data file: found by its line, and repaired
 *
 * How calls are made to fail, or to be a process's last: disk.h.
 */
#include "crc32.h"
#include "disk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum op { ADD = 1, CHANGE, REMOVE };

/* ---- a file, and what can be wrong with it ---------------------------- */

/* Every line's change, by its line number. Line 1 is the head. */
static const struct entry {
    enum op op;
    uint32_t id;
    const char *title;
} book[] = {{0, 0, ""},       {0, 0, ""},        {ADD, 1, "one"},
            {ADD, 2, "two"},  {ADD, 3, "three"}, {CHANGE, 2, "zwei"},
            {REMOVE, 3, ""},  {ADD, 4, "four"},  {CHANGE, 2, "dos"},
            {ADD, 5, "five"}, {REMOVE, 4, ""},   {CHANGE, 5, "cinco"},
            {ADD, 6, "six"}};

#define LINES ((int)LEN(book) - 1) /* the last line's number */
#define IDS   6                    /* the last event's */

static char good[FILE_MAX]; /* the whole file */
static size_t good_len;

static int ask_entry(struct store *st, int line, struct store_result *res)
{
    const struct entry *e = &book[line];
    struct event ev = make_event(e->title, MONDAY + line);
    uint64_t token = (uint64_t)line;
    int err;

    ev.id = e->id;
    store_lock(st);
    switch (e->op) {
    case ADD: err = store_add(st, token, &ev, res); break;
    case CHANGE: err = store_update(st, token, &ev, 0, res); break;
    default: err = store_remove(st, token, e->id, 0, res);
    }
    store_unlock(st);
    return err;
}

static void make_book(void)
{
    struct store_result res;

    make_board();
    atomic_store(&board->no_disk, true);
    shim_on = true; /* for its syncs that cost nothing */
    struct store *st = must_open();
    for (int line = 2; line <= LINES; line++) {
        REQUIRE_INT(0, ask_entry(st, line, &res));
        REQUIRE_INT((int)book[line].id, (int)res.id);
    }
    store_close(st);
    good_len = slurp(path, good);
}

/* Where line `n` (from 1) of the good file begins; behind the last: its end. */
static size_t line_at(int n)
{
    const char *p = good;

    while (--n > 0)
        p = (const char *)memchr(p, '\n', good_len) + 1;
    return (size_t)(p - good);
}

/* What store_check told: the first faults. */
struct told {
    unsigned count;
    size_t line[8];
    char what[8][200];
};

static void note_damage(const struct store_damage *d, void *arg)
{
    struct told *t = arg;

    if (t->count < LEN(t->line)) {
        t->line[t->count] = d->line;
        snprintf(t->what[t->count], sizeof t->what[0], "%s", d->what);
    }
    t->count++;
}

static int check_told(const char *name, struct told *t, struct store_survey *v)
{
    struct store_opts opts = {.path = name, .why = why, .why_cap = sizeof why};

    memset(t, 0, sizeof *t);
    return store_check(&opts, note_damage, t, v);
}

/* ---- and repaired ----------------------------------------------------- */

/* The event is in the copy as the last of its undamaged lines left it. */
static void check_event(struct store *st, uint32_t id, const bool lost[])
{
    const struct event *ev = schedule_get(store_schedule(st), id);
    const char *title = NULL;

    for (int line = 2; line <= LINES; line++)
        if (book[line].id == id && !lost[line])
            title = book[line].op == REMOVE ? NULL : book[line].title;
    CHECK((ev != NULL) == (title != NULL));
    if (ev != NULL && title != NULL)
        CHECK(strcmp(ev->title, title) == 0);
}

/* The copy opens, is clean, has every change whose line wasn't lost, and uses
 * no number again. */
static void check_copy(const char *copy, const bool lost[], bool torn)
{
    struct store_opts opts = {.path = copy, .why = why, .why_cap = sizeof why};
    struct store_survey v;
    struct store_result res;
    struct store *st = NULL;
    int err;

    CHECK(check_file(copy, &v) == 0 && v.faults == 0);
    err = store_open(&st, &opts);
    CHECK(err == 0 && why[0] == '\0');
    if (err != 0)
        return;
    for (uint32_t id = 1; id <= IDS; id++)
        check_event(st, id, lost);
    for (int line = 2; line <= LINES; line++)
        if (!lost[line])
            CHECK(ask_entry(st, line, &res) == 0 && res.id == book[line].id &&
                  res.rev == (uint64_t)line - 1);
    CHECK(add(st, 77, "new", &res) == 0 && (int)res.id > IDS - torn &&
          res.rev >= (uint64_t)LINES - torn);
    store_close(st);
    (void)unlink(copy);
}

/* Repair the file that is there, which lacks these lines. */
static void check_repair(const bool lost[])
{
    static char before[FILE_MAX], behind[FILE_MAX];
    struct store_opts opts = {.path = path, .why = why, .why_cap = sizeof why};
    struct store_survey v, w;
    struct told told = {0};
    char copy[300], lock[310];
    size_t len = slurp(path, before);

    beside(".repaired", copy);
    CHECK(check_file(path, &v) == 0);
    CHECK(store_repair(&opts, copy, note_damage, &told, &w) == 0);
    CHECK(told.count == v.faults && w.faults == v.faults);
    CHECK(w.dropped == v.dropped && w.events == v.events);
    CHECK(slurp(path, behind) == len && memcmp(before, behind, len) == 0);
    CHECK(!exists(".repaired.new") && !exists(".lock"));
    CHECK(w.bytes == slurp(copy, behind)); /* it was looked at again */
    check_copy(copy, lost, v.torn);
    snprintf(lock, sizeof lock, "%s.lock", copy);
    (void)unlink(lock);
}

/* The file that is there has this fault first, in line n; it is repaired. */
static void expect_damage(int n, const char *what, const bool lost[])
{
    struct store_survey v;
    struct told told;
    char lock[300];

    (void)unlink(beside(".lock", lock)); /* of whoever opened it before */
    CHECK(check_told(path, &told, &v) == 0);
    CHECK(told.count >= 1 && (int)told.line[0] == n);
    CHECK(strstr(told.what[0], what) != NULL);
    CHECK(v.torn == (strstr(what, "unfinished") != NULL));
    check_repair(lost);
}

/* ---- the cases ------------------------------------------------------- */

#define DAMAGED "damaged (its checksum is wrong)"
#define HEADING "this isn't the head"

/* Every byte of every line, one bit of it: named. A few of them repaired. */
static void test_flips(const void *arg)
{
    static char bytes[FILE_MAX];
    struct store_survey v;
    struct told told;

    (void)arg;
    make_book();
    memcpy(bytes, good, good_len);
    for (int n = 1; n <= LINES; n++) {
        bool lost[LEN(book)] = {[0] = false};
        size_t begin = line_at(n), end = line_at(n + 1) - 1;

        for (size_t i = begin; i < end; i++) {
            bytes[i] ^= 1;
            spill(path, bytes, good_len);
            snprintf(label, sizeof label, "line %d, byte %zu", n, i - begin);
            CHECK(check_told(path, &told, &v) == 0);
            CHECK(told.count == 1 && (int)told.line[0] == n && !v.torn);
            lost[n] = true;
            if (i - begin == 3 || i + 2 == end)
                expect_damage(n, n == 1 ? HEADING : DAMAGED, lost);
            bytes[i] ^= 1;
        }
    }
}

/* A file made of the good one's lines [a, b) and of other bytes. */
static char patched[FILE_MAX];
static size_t patched_len;

static void put(const char *bytes, size_t len)
{
    memcpy(patched + patched_len, bytes, len);
    patched_len += len;
}

static void put_lines(int from, int to)
{
    put(good + line_at(from), line_at(to) - line_at(from));
}

static void spill_patched(void)
{
    spill(path, patched, patched_len);
    patched_len = 0;
}

/* Each line is missing, there twice, swapped with the next, overwritten by
 * NULs, joined with the next, behind garbage. */
static void test_lines(const void *arg)
{
    static const char nul[256];
    bool none[LEN(book)] = {false};

    (void)arg;
    make_book();
    for (int n = 2; n <= LINES; n++) {
        bool lost[LEN(book)] = {false}, both[LEN(book)] = {false};
        size_t len = line_at(n + 1) - line_at(n);
        bool last = n == LINES;

        lost[n] = both[n] = true;
        both[last ? n : n + 1] = true;
        snprintf(label, sizeof label, "line %d", n);
        if (!last) {
            put_lines(1, n), put_lines(n + 1, LINES + 1), spill_patched();
            expect_damage(n, "a change before it is missing", lost);
            put_lines(1, n), put_lines(n + 1, n + 2), put_lines(n, n + 1);
            put_lines(n + 2, LINES + 1), spill_patched();
            expect_damage(n, "a change before it is missing", lost);
            put_lines(1, n), put(good + line_at(n), len - 1), put(" ", 1);
            put_lines(n + 1, LINES + 1), spill_patched();
            expect_damage(n, DAMAGED, both);
        }
        put_lines(1, n + 1), put_lines(n, LINES + 1), spill_patched();
        expect_damage(n + 1, "a second time", none);
        put_lines(1, n), put("garbage\n", 8), put_lines(n, LINES + 1);
        spill_patched();
        expect_damage(n, DAMAGED, none);
        put_lines(1, n), put(nul, len - 1), put("\n", 1);
        put_lines(n + 1, LINES + 1), spill_patched();
        expect_damage(n, last ? "unfinished" : DAMAGED, lost);
    }
}

/* The front of a last line is what a crash leaves, and no more than that. */
static void test_torn(const void *arg)
{
    bool lost[LEN(book)] = {[LINES] = true};
    struct store_survey v;
    struct told told;

    (void)arg;
    make_book();
    for (size_t cut = line_at(LINES) + 1; cut < good_len; cut++) {
        snprintf(label, sizeof label, "cut at %zu", cut);
        spill(path, good, cut);
        CHECK(check_told(path, &told, &v) == 0 && told.count == 1 && v.torn);
        if (cut % 16 == 0 || cut + 1 == good_len)
            expect_damage(LINES, "unfinished", lost);
    }
    spill(path, good, line_at(LINES)); /* between two lines: can't be seen */
    EXPECT(check_told(path, &told, &v) == 0 && told.count == 0 && !v.torn);
    EXPECT_INT(LINES - 2, (int)v.changes);
}

/* The head lost, alone and with the lines behind it. */
static void test_heads(const void *arg)
{
    bool lost[LEN(book)] = {[2] = true, [3] = true};
    const bool none[LEN(book)] = {false};
    struct store_survey v;
    struct told told;

    (void)arg;
    make_book();
    snprintf(label, sizeof label, "head");
    put_lines(2, LINES + 1), spill_patched();
    expect_damage(1, "the head of the file is missing", none);
    put("\n", 1), put_lines(2, LINES + 1), spill_patched();
    expect_damage(1, HEADING, none);
    put_lines(4, LINES + 1), spill_patched();
    expect_damage(1, "the head of the file is missing", lost);
    static const char later[] =
        "{\"format\":\"ipclab-journal\",\"version\":2,\"next_id\":1,"
        "\"seq\":0";
    char crc[32];
    put(later, sizeof later - 1);
    snprintf(crc, sizeof crc, ",\"crc\":\"%08" PRIx32 "\"}\n",
             crc32_of(later, sizeof later - 1));
    put(crc, strlen(crc)), put_lines(2, LINES + 1), spill_patched();
    EXPECT_INT(-EBADMSG, check_told(path, &told, &v));
    EXPECT_STR("line 1: its format is a later one, version 2", why);
    struct store *st;
    EXPECT_INT(-EBADMSG, open_store(&st));
    EXPECT_STR("line 1: its format is a later one, version 2", why);
    for (size_t cut = 0; cut < line_at(2); cut++) { /* killed at its birth */
        spill(path, good, cut);
        EXPECT(check_told(path, &told, &v) == 0);
        EXPECT(told.count == (cut > 0) && v.torn == (cut > 0));
    }
}

/* Of a compacted file only the head and two lines are left, one of them bad:
 * no number that was ever given is given again. */
static void expect_numbers_kept(const char *bytes, size_t len)
{
    char copy[300];
    struct store_opts opts = {.path = path};
    struct store_survey v;
    struct store_result res;
    struct store *st;
    const char *second = memchr(bytes, '\n', len);
    const char *third = memchr(second + 1, '\n', len);

    put(bytes, (size_t)(third - bytes)), put("!\n", 2);
    put(third + 1, 200), put("\n", 1);
    patched_len =
        (size_t)((char *)memchr(patched + (third - bytes) + 2, '\n', 400) -
                 patched) +
        1;
    spill_patched();
    EXPECT_INT(0,
               store_repair(&opts, beside(".repaired", copy), NULL, NULL, &v));
    EXPECT_INT(1, (int)v.faults);
    EXPECT_INT(1, (int)v.lost);
    EXPECT_INT(0, (int)v.events); /* what is left is only a token */
    opts.path = copy;
    REQUIRE_INT(0, store_open(&st, &opts));
    EXPECT_INT(0, add(st, 4321, "new", &res));
    EXPECT(res.rev > 1020); /* where the compaction was made */
    EXPECT(res.id > 510);
    store_close(st);
    EXPECT(unlink(copy) == 0);
    spill(path, bytes, len);
}

/* Behind a compaction, lines may be missing: but not behind its number. */
static void test_compacted(const void *arg)
{
    static char bytes[FILE_MAX];
    struct store_survey v;
    struct told told;
    size_t len;

    (void)arg;
    make_book();
    struct store *st = must_open();
    add_dead(st);
    store_close(st);
    st = must_open(); /* compacts */
    for (uint64_t i = 0; i < 4; i++) {
        struct store_result res;

        REQUIRE_INT(0, add(st, 900 + i, "behind", &res));
    }
    store_close(st);
    len = slurp(path, bytes);
    EXPECT(check_told(path, &told, &v) == 0 && told.count == 0);
    EXPECT_INT(8, (int)v.events);
    expect_numbers_kept(bytes, len);
    for (size_t i = 0; i < len; i++) {
        char copy[300];
        struct store_opts opts = {.path = path};

        if (bytes[i] == '\n' || i % 37 != 0)
            continue;
        bytes[i] ^= 1;
        spill(path, bytes, len);
        snprintf(label, sizeof label, "byte %zu", i);
        CHECK(store_repair(&opts, beside(".repaired", copy), NULL, NULL, &v) ==
              0);
        CHECK(v.faults == 1 && check_file(copy, &v) == 0 && v.faults == 0);
        CHECK(v.events >= 6 && v.events <= 8);
        CHECK(unlink(copy) == 0);
        bytes[i] ^= 1;
    }
}

/* Whole lines that make no sense here: named, and dropped. */
static void test_contradictions(const void *arg)
{
    static const char *const lines[] = {
        "{\"op\":\"add\",\"id\":1,\"title\":\"again\","
        "\"start\":\"2026-11-23T00:00:00Z\","
        "\"end\":\"2026-11-23T01:00:00Z\","
        "\"token\":\"00000000000000ff\",\"seq\":12",
        "{\"op\":\"remove\",\"id\":99,\"token\":\"00000000000000ff\","
        "\"seq\":12",
        "{\"op\":\"remove\",\"id\":1,\"token\":\"0000000000000002\","
        "\"seq\":12"};
    const bool none[LEN(book)] = {false};
    struct store_survey v;
    char crc[32];

    (void)arg;
    make_book();
    for (size_t i = 0; i < LEN(lines); i++) {
        snprintf(label, sizeof label, "contradiction %zu", i);
        snprintf(crc, sizeof crc, ",\"crc\":\"%08" PRIx32 "\"}\n",
                 crc32_of(lines[i], strlen(lines[i])));
        put_lines(1, LINES + 1), put(lines[i], strlen(lines[i]));
        put(crc, strlen(crc)), spill_patched();
        expect_damage(LINES + 1, "contradicts", none);
        CHECK(check_file(path, &v) == 0 && v.lost == 1);
    }
}

static void put_much(const char *pattern, size_t len)
{
    for (size_t i = 0; i < len; i++)
        put(&pattern[i % strlen(pattern)], 1);
}

/* Lines of any length: what is lost is known by the numbers, not the bytes. */
static void test_long(const void *arg)
{
    static const char *const patterns[] = {"x", "}{", ",\"crc\":\"01234567\"}{",
                                           "\xff"};
    bool none[LEN(book)] = {false};
    struct store_survey v;

    (void)arg;
    make_book();
    for (size_t i = 0; i < LEN(patterns); i++) {
        snprintf(label, sizeof label, "long line %zu", i);
        put_lines(1, 5), put_much(patterns[i], 100000), put("\n", 1);
        put_lines(5, LINES + 1), spill_patched();
        CHECK(check_file(path, &v) == 0 && v.faults == 1 && v.lost == 0);
        expect_damage(5, DAMAGED, none);
        put_lines(1, 5), put_much(patterns[i], 100000), put("\n", 1);
        put_lines(6, LINES + 1), spill_patched();
        CHECK(check_file(path, &v) == 0 && v.faults == 1 && v.lost == 1);
    }
    snprintf(label, sizeof label, "long tail");
    put_lines(1, LINES + 1), spill_patched();
    REQUIRE_INT(0, truncate(path, 200000)); /* NULs, more than one read's */
    expect_damage(LINES + 1, "unfinished", none);
    REQUIRE(check_file(path, &v) == 0 && v.bytes == 200000);
    store_close(must_open());
    CHECK(strstr(why, "torn by a crash") != NULL);
    CHECK(check_file(path, &v) == 0 && v.bytes == good_len && v.faults == 0);
}

/* A file without damage is copied byte by byte; nothing is overwritten; one
 * that is in use is only looked at. */
static void test_whole(const void *arg)
{
    static char bytes[FILE_MAX];
    struct store_opts opts = {.path = path, .why = why, .why_cap = sizeof why};
    struct store_survey v;
    char copy[300], text[64];

    (void)arg;
    make_book();
    beside(".repaired", copy);
    set_plan((struct plan){.how = PASS, .only = CALL_FSYNC});
    EXPECT_INT(0, store_repair(&opts, copy, NULL, NULL, &v));
    EXPECT_INT(2, (int)atomic_load(&board->calls)); /* the copy, its folder */
    EXPECT(v.faults == 0 && slurp(copy, bytes) == good_len);
    EXPECT_BYTES(good, bytes, good_len);
    EXPECT_INT(-EEXIST, store_repair(&opts, copy, NULL, NULL, &v));
    EXPECT_INT(-EEXIST, store_repair(&opts, path, NULL, NULL, &v));
    EXPECT(slurp(path, bytes) == good_len);
    EXPECT_INT(-ENOENT, store_repair(&opts, "/no/such/folder", NULL, NULL, &v));
    spill(path, "a letter\n", 9);
    EXPECT_INT(-EBADMSG, store_check(&opts, NULL, NULL, &v));
    EXPECT_STR("it isn't a timetable's data file", why);
    EXPECT_INT(-EBADMSG, store_repair(&opts, copy, NULL, NULL, &v));
    EXPECT(v.unread);
    for (size_t i = 0; i < good_len; i++) /* as an editor may save it */
        put(good[i] == '\n' ? "\r\n" : &good[i], good[i] == '\n' ? 2 : 1);
    spill_patched();
    EXPECT_INT(-EBADMSG, store_check(&opts, NULL, NULL, &v));
    EXPECT(strstr(why, "not one line of it is whole") != NULL);
    opts.path = harness_dir();
    EXPECT_INT(-EBADMSG, store_check(&opts, NULL, NULL, &v));
    EXPECT_STR("it isn't a regular file", why);

    spill(path, good, good_len);
    struct store *st = must_open();
    EXPECT(unlink(copy) == 0 && check_file(path, &v) == 0);
    EXPECT(v.holder == getpid() && v.faults == 0 && v.events == 4);
    opts.path = path;
    EXPECT_INT(-EBUSY, store_repair(&opts, copy, NULL, NULL, &v));
    snprintf(text, sizeof text, "pid %ld holds the data file", (long)getpid());
    EXPECT_STR(text, why);
    FILE *f = fopen(path, "a"); /* as if half of a line were there by now */
    REQUIRE(f != NULL && fputs("{\"op\":", f) >= 0 && fclose(f) == 0);
    EXPECT(check_file(path, &v) == 0 && v.faults == 0 && v.writing);
    store_close(st);
    EXPECT(check_file(path, &v) == 0 && v.torn && !v.writing && v.holder == 0);
}

static void get_in_the_way(const struct store_damage *d, void *arg)
{
    (void)d;
    spill(arg, "mine\n", 5);
}

/* While it works, somebody else takes the name. */
static void test_in_the_way(const void *arg)
{
    static char bytes[FILE_MAX];
    struct store_opts opts = {.path = path};
    struct store_survey v;
    char copy[300];

    (void)arg;
    make_book();
    good[line_at(3) + 5] ^= 1;
    spill(path, good, good_len);
    beside(".repaired", copy);
    EXPECT_INT(-EEXIST, store_repair(&opts, copy, get_in_the_way, copy, &v));
    EXPECT_INT(5, (int)slurp(copy, bytes));
    EXPECT(!exists(".repaired.new"));

    REQUIRE_INT(0, unlink(copy)); /* nor is the name it has until then */
    char fresh[300];
    spill(beside(".repaired.new", fresh), "mine\n", 5);
    EXPECT_INT(-EEXIST, store_repair(&opts, copy, NULL, NULL, &v));
    EXPECT(!exists(".repaired") && slurp(fresh, bytes) == 5);
}

/* Repair itself is killed, or fails, at every call: FILE is as it was, and
 * there is a whole copy or none. */
static void repair_everywhere(enum how how, int error)
{
    static char bytes[FILE_MAX];
    struct plan plan = {.how = how, .error = error};
    struct store_opts opts = {.path = path};
    struct store_survey v;
    char copy[300], fresh[300];
    unsigned calls;

    beside(".repaired", copy);
    do {
        int status, call;

        plan.nth++;
        set_plan(plan);
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0)
            _exit(store_repair(&opts, copy, NULL, NULL, &v) == 0 ? 0 : 3);
        REQUIRE(waitpid(pid, &status, 0) == pid);
        calls = atomic_load(&board->calls);
        call = atomic_load(&board->struck);
        set_plan((struct plan){.how = PASS});
        snprintf(label, sizeof label, "call %u (%s) %s", plan.nth,
                 call_names[call], how_names[how]);
        CHECK(slurp(path, bytes) == good_len &&
              memcmp(bytes, good, good_len) == 0);
        if (exists(".repaired"))
            CHECK(check_file(copy, &v) == 0 && v.faults == 0 && v.events == 4);
        CHECK(exists(".repaired") || (how != PASS && status != 0));
        CHECK(how < FAIL || !exists(".repaired.new") || call == CALL_UNLINK);
        (void)unlink(copy);
        (void)unlink(beside(".repaired.new", fresh)); /* of one killed */
    } while (calls >= plan.nth);
    EXPECT(plan.nth > 8);
}

static void test_repair_killed(const void *arg)
{
    (void)arg;
    make_book();
    for (int how = DIE_BEFORE; how <= DIE_AFTER; how++)
        repair_everywhere((enum how)how, 0);
    repair_everywhere(FAIL, EIO);
    repair_everywhere(FAIL, ENOSPC);
    repair_everywhere(SHORT, 0);
    repair_everywhere(SHORT_FULL, 0);
}

static const struct test_case cases[] = {
    {.name = "flips", .run = test_flips, .seconds = 60},
    {.name = "lines", .run = test_lines, .seconds = 60},
    {.name = "torn", .run = test_torn},
    {.name = "heads", .run = test_heads},
    {.name = "compacted", .run = test_compacted},
    {.name = "contradictions", .run = test_contradictions},
    {.name = "long", .run = test_long},
    {.name = "whole", .run = test_whole},
    {.name = "in-the-way", .run = test_in_the_way},
    {.name = "repair-killed", .run = test_repair_killed},
};

int main(int argc, char **argv)
{
    const struct test_suite suite = {
        .name = "repair", .cases = cases, .count = LEN(cases)};

    return harness_main(argc, argv, &suite);
}
