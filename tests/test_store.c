/*
 * test_store.c - changes, tokens and what lasts of them
 *
 * Linked with -Wl,--wrap=fdatasync, to let a sync fail.
 */
#include "crc32.h"
#include "harness.h"
#include "random.h"
#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static int sync_error; /* errno that fdatasync gives, 0 = none */

int __wrap_fdatasync(int fd)
{
    if (sync_error != 0) {
        errno = sync_error;
        return -1;
    }
    return __real_fdatasync(fd);
}

/* ---- helpers ------------------------------------------------------------ */

static char path[256];

static struct store *open_store(bool sync)
{
    char why[256];
    struct store_opts opts = {
        .path = path, .sync = sync, .why = why, .why_cap = sizeof why};
    struct store *st = NULL;

    snprintf(path, sizeof path, "%s/store.jsonl", harness_dir());
    REQUIRE_INT(0, store_open(&st, &opts));
    EXPECT_STR("", why);
    return st;
}

static struct store *open_memory(void)
{
    struct store_opts opts = {.path = NULL};
    struct store *st = NULL;

    REQUIRE_INT(0, store_open(&st, &opts));
    return st;
}

static struct store *reopen(struct store *st)
{
    store_close(st);
    return open_store(false);
}

static struct event make_event(const char *title, int64_t start)
{
    return (struct event){.title = title,
                          .title_len = (uint8_t)strlen(title),
                          .start = start,
                          .end = start + 3600};
}

/* Each takes the lock, as a server thread does. */
static int add(struct store *st, uint64_t token, const char *title,
               struct store_result *res)
{
    struct event ev = make_event(title, 0);

    store_lock(st);
    int err = store_add(st, token, &ev, res);
    store_unlock(st);
    return err;
}

static int update(struct store *st, uint64_t token, uint32_t id, uint64_t rev,
                  const char *title, struct store_result *res)
{
    struct event ev = make_event(title, 7);

    ev.id = id;
    store_lock(st);
    int err = store_update(st, token, &ev, rev, res);
    store_unlock(st);
    return err;
}

static int removal(struct store *st, uint64_t token, uint32_t id, uint64_t rev,
                   struct store_result *res)
{
    store_lock(st);
    int err = store_remove(st, token, id, rev, res);
    store_unlock(st);
    return err;
}

static const struct event *get(struct store *st, uint32_t id)
{
    return schedule_get(store_schedule(st), id);
}

static off_t file_size(void)
{
    struct stat s;

    REQUIRE_INT(0, stat(path, &s));
    return s.st_size;
}

/* ---- changes ------------------------------------------------------------ */

static void check_changes(struct store *st)
{
    struct store_result res = {0};
    struct event bad = make_event("x", 0);

    EXPECT_INT(0, (int)store_rev(st));
    EXPECT_INT(0, add(st, 0, "one", &res));
    EXPECT(res.id == 1 && res.rev == 1 && res.seq == 1);
    EXPECT_INT(0, add(st, 0, "two", &res));
    EXPECT(res.id == 2 && res.rev == 2);
    EXPECT_INT(0, update(st, 0, 1, 1, "uno", &res));
    EXPECT(res.id == 1 && res.rev == 3 && res.seq == 3);
    EXPECT(get(st, 1)->rev == 3 && get(st, 1)->start == 7);
    EXPECT_STR("uno", get(st, 1)->title);
    EXPECT_INT(3, (int)store_rev(st));

    EXPECT_INT(-ESTALE, update(st, 0, 1, 1, "no", &res));
    EXPECT_INT(-ESTALE, removal(st, 0, 1, 2, &res));
    EXPECT_INT(-ENOENT, update(st, 0, 3, 0, "no", &res));
    EXPECT_INT(-ENOENT, removal(st, 0, 3, 9, &res));
    EXPECT_INT(-EILSEQ, add(st, 9, "", &res));
    EXPECT_INT(-EILSEQ, update(st, 9, 1, 0, "\x80", &res));
    bad.end = bad.start;
    store_lock(st);
    EXPECT_INT(-EDOM, store_add(st, 9, &bad, &res));
    store_unlock(st);
    EXPECT_STR("uno", get(st, 1)->title); /* as it was */
    EXPECT_INT(3, (int)store_rev(st));

    EXPECT_INT(0, update(st, 9, 1, 0, "any", &res)); /* 9 is still unused */
    EXPECT_INT(0, removal(st, 0, 2, 2, &res));
    EXPECT(res.id == 2 && res.rev == 5);
    EXPECT(get(st, 2) == NULL);
    EXPECT_INT(0, add(st, 0, "three", &res));
    EXPECT_INT(3, res.id); /* 2 is never given again */
    EXPECT_INT(0, store_commit(st, res.seq));
}

static void test_memory(const void *arg)
{
    struct store *st = open_memory();
    struct store_stats stats;

    (void)arg;
    check_changes(st);
    store_stats(st, &stats);
    EXPECT(stats.events == 2 && stats.rev == 6 && stats.journal_bytes == 0);
    store_close(st);
    store_close(NULL);
}

static void test_file(const void *arg)
{
    struct store *st = open_store(true);
    struct store_stats stats;
    struct store_result res;

    (void)arg;
    check_changes(st);
    store_stats(st, &stats);
    EXPECT(stats.events == 2 && stats.rev == 6 && stats.syncs == 1);
    EXPECT_INT((int)file_size(), (int)stats.journal_bytes);

    st = reopen(st);
    EXPECT_INT(6, (int)store_rev(st));
    EXPECT(get(st, 1)->rev == 4 && get(st, 2) == NULL);
    EXPECT_STR("any", get(st, 1)->title);
    EXPECT_STR("three", get(st, 3)->title);
    EXPECT_INT(-ESTALE, update(st, 0, 1, 3, "no", &res));
    EXPECT_INT(0, removal(st, 0, 3, 0, &res));
    st = reopen(st); /* the last id of all is gone, and stays used */
    EXPECT_INT(0, add(st, 0, "four", &res));
    EXPECT_INT(4, res.id);
    store_close(st);
}

/* ---- tokens ------------------------------------------------------------- */

/* The changes that make_tokens made, asked for again. */
static void check_tokens(struct store *st)
{
    uint64_t rev = store_rev(st);
    struct store_result res = {0};

    EXPECT_INT(0, add(st, 11, "a", &res));
    EXPECT(res.id == 1 && res.rev == 1 && res.seq == 1);
    EXPECT_INT(0, update(st, 12, 1, 1, "b", &res)); /* not -ESTALE */
    EXPECT(res.id == 1 && res.rev == 2 && res.seq == 2);
    EXPECT_INT(0, add(st, 13, "c", &res));
    EXPECT(res.id == 2 && res.rev == 3);
    EXPECT_INT(0, removal(st, 14, 2, 3, &res)); /* not -ENOENT */
    EXPECT(res.id == 2 && res.rev == 4 && res.seq == 4);

    EXPECT_INT(-EEXIST, add(st, 11, "other title", &res));
    EXPECT_INT(-EEXIST, update(st, 11, 1, 0, "no", &res));
    EXPECT_INT(-EEXIST, removal(st, 12, 1, 0, &res));
    EXPECT_INT(-EEXIST, add(st, 14, "no", &res));
    EXPECT_INT(-EEXIST, removal(st, 14, 1, 0, &res)); /* another event */
    EXPECT(store_rev(st) == rev);
    EXPECT_STR("b", get(st, 1)->title);
    EXPECT_INT(2, (int)get(st, 1)->rev);
}

static void make_tokens(struct store *st)
{
    struct store_result res;

    EXPECT_INT(0, add(st, 11, "a", &res));
    EXPECT_INT(0, update(st, 12, 1, 1, "b", &res));
    EXPECT_INT(0, add(st, 13, "c", &res));
    EXPECT_INT(0, removal(st, 14, 2, 3, &res));
}

static void test_tokens(const void *arg)
{
    struct store *st = open_store(false);

    (void)arg;
    make_tokens(st);
    check_tokens(st);
    st = reopen(st);
    check_tokens(st);
    store_close(st);

    st = open_memory();
    make_tokens(st);
    check_tokens(st);
    store_close(st);
}

/* Add an event and remove it, `n` times; tokens from `token` on, 0 = none. */
static void make_dead(struct store *st, int n, uint64_t token)
{
    struct store_result res;

    for (int i = 0; i < n; i++) {
        REQUIRE_INT(0, add(st, token > 0 ? token++ : 0, "dead", &res));
        REQUIRE_INT(0, removal(st, token > 0 ? token++ : 0, res.id, 0, &res));
    }
}

static void test_compaction(const void *arg)
{
    struct store *st = open_store(false);
    struct store_result res;

    (void)arg;
    make_tokens(st);
    make_dead(st, 600, 0);
    off_t before = file_size();
    uint64_t rev = store_rev(st);
    for (int round = 0; round < 3; round++) {
        st = reopen(st); /* compacts in the first round only */
        EXPECT(file_size() < before / 100);
        EXPECT(store_rev(st) == rev);
        EXPECT_INT(1, (int)schedule_count(store_schedule(st)));
        check_tokens(st);
    }
    EXPECT_INT(0, add(st, 0, "next", &res));
    EXPECT_INT(603, res.id); /* ids of removed events aren't used again */
    EXPECT(res.rev == rev + 1);
    st = reopen(st);
    EXPECT_STR("next", get(st, 603)->title);
    store_close(st);
}

/* Neither 1,000 dead lines nor fewer dead than living ones are worth it. */
static void test_no_compaction(const void *arg)
{
    struct store *st = open_store(false);
    struct store_result res;

    (void)arg;
    make_dead(st, 500, 0);
    off_t size = file_size();
    st = reopen(st);
    EXPECT(file_size() == size);
    for (int i = 0; i < 1100; i++)
        REQUIRE_INT(0, add(st, 0, "living", &res));
    make_dead(st, 49, 0); /* 1,098 dead, 1,100 living */
    size = file_size();
    st = reopen(st);
    EXPECT(file_size() == size);
    make_dead(st, 2, 0); /* 1,102 dead */
    st = reopen(st);
    EXPECT(file_size() < size);
    EXPECT_INT(1100, (int)schedule_count(store_schedule(st)));
    store_close(st);
}

/* The newest 65,536 tokens last, and those of living events' adds. */
static void test_old_tokens(const void *arg)
{
    struct store *st = open_store(false);
    struct store_result res;

    (void)arg;
    REQUIRE_INT(0, add(st, 11, "old", &res));
    REQUIRE_INT(0, update(st, 12, 1, 0, "not the last", &res));
    REQUIRE_INT(0, update(st, 13, 1, 0, "the last", &res));
    make_dead(st, 40000, 1000); /* tokens 1,000 to 80,999; events 2 ... */
    st = reopen(st);            /* compacts */
    st = reopen(st);            /* knows only what the file kept */
    EXPECT_INT(0, add(st, 11, "old", &res));
    EXPECT(res.id == 1 && res.rev == 1);
    EXPECT_INT(-EEXIST, add(st, 11, "of another event", &res));
    EXPECT_INT(0, update(st, 13, 1, 0, "again", &res));
    EXPECT(res.id == 1 && res.rev == 3);
    EXPECT_INT(0, add(st, 80998, "dead", &res));
    EXPECT_INT(40001, res.id);
    uint64_t oldest = 81000 - 65536;
    EXPECT_INT(-EEXIST, add(st, oldest + 1, "a removal", &res));
    EXPECT_INT(0, add(st, oldest, "dead", &res));
    EXPECT(res.id < 40001);
    EXPECT_INT(0, add(st, oldest - 2, "forgotten", &res));
    EXPECT_INT(40002, res.id);
    EXPECT_INT(0, update(st, 12, 1, 0, "forgotten", &res));
    EXPECT_INT(1, res.id);
    EXPECT_STR("forgotten", get(st, 1)->title);
    store_close(st);
}

/* ---- random changes and restarts ---------------------------------------- */

#define RANDOM_IDS 3000

static struct {
    uint64_t rev; /* 0: not there */
    int64_t start;
} naive[RANDOM_IDS + 2]; /* one more: asked for, and never there */

static uint64_t random_below(uint64_t n)
{
    static uint64_t state = RANDOM_SEED;

    return random_next(&state) % n;
}

static void random_change(struct store *st, uint64_t token, uint32_t *ids)
{
    struct event ev = make_event("e", (int64_t)random_below(1000000));
    struct store_result res;
    uint64_t kind = random_below(4);

    ev.id = 1 + (uint32_t)random_below(*ids + 1);
    if (kind == 0 && *ids < RANDOM_IDS) {
        REQUIRE_INT(0, store_add(st, token, &ev, &res));
        REQUIRE_INT((int)++*ids, (int)res.id);
    } else if (kind == 1) {
        int want = ev.id <= *ids && naive[ev.id].rev > 0 ? 0 : -ENOENT;
        REQUIRE_INT(want,
                    store_remove(st, token, ev.id, naive[ev.id].rev, &res));
        naive[ev.id].rev = 0;
        return;
    } else {
        int want = ev.id <= *ids && naive[ev.id].rev > 0 ? 0 : -ENOENT;
        REQUIRE_INT(want, store_update(st, token, &ev, naive[ev.id].rev, &res));
        if (want != 0)
            return;
    }
    naive[res.id].rev = res.rev;
    naive[res.id].start = ev.start;
}

static void check_all(struct store *st, uint32_t ids, uint64_t rev)
{
    REQUIRE(store_rev(st) == rev);
    for (uint32_t id = 1; id <= ids; id++) {
        const struct event *ev = get(st, id);
        REQUIRE((ev != NULL) == (naive[id].rev > 0));
        if (ev != NULL)
            REQUIRE(ev->rev == naive[id].rev && ev->start == naive[id].start);
    }
    EXPECT_INT((int)ids + 1, (int)schedule_next_id(store_schedule(st)));
}

static void test_random(const void *arg)
{
    struct store *st = open_store(false);
    uint32_t ids = 0;

    (void)arg;
    for (uint64_t step = 1; step <= 20000; step++) {
        store_lock(st);
        random_change(st, step % 3 != 0 ? step : 0, &ids);
        store_unlock(st);
        if (step % 997 == 0) {
            uint64_t rev = store_rev(st);
            st = reopen(st); /* which compacts now and then */
            check_all(st, ids, rev);
        }
    }
    store_close(st);
}

/* ---- failures ----------------------------------------------------------- */

static void test_full(const void *arg)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct rlimit limit;
    struct store *st = open_store(true);
    struct store_result res;

    (void)arg;
    REQUIRE_INT(0, sigaction(SIGXFSZ, &ignore, NULL));
    REQUIRE_INT(0, getrlimit(RLIMIT_FSIZE, &limit));
    REQUIRE_INT(0, add(st, 1, "one", &res));
    off_t size = file_size();
    limit.rlim_cur = (rlim_t)size + 20; /* the front of a line still fits */
    REQUIRE_INT(0, setrlimit(RLIMIT_FSIZE, &limit));
    EXPECT_INT(-ENOSPC, add(st, 2, "two", &res));
    EXPECT_INT(-ENOSPC, update(st, 3, 1, 0, "uno", &res));
    EXPECT_INT(-ENOSPC, removal(st, 4, 1, 0, &res));
    EXPECT(file_size() == size && store_rev(st) == 1);
    EXPECT_STR("one", get(st, 1)->title);
    EXPECT_INT(2, schedule_next_id(store_schedule(st)));

    limit.rlim_cur = RLIM_INFINITY;
    REQUIRE_INT(0, setrlimit(RLIMIT_FSIZE, &limit));
    EXPECT_INT(0, removal(st, 2, 1, 0, &res)); /* token 2 wasn't used up */
    EXPECT_INT(0, add(st, 3, "two", &res));
    EXPECT_INT(2, res.id);
    EXPECT_INT(0, store_commit(st, res.seq));
    st = reopen(st);
    EXPECT_STR("two", get(st, 2)->title);
    store_close(st);
}

static void test_sync_fails(const void *arg)
{
    struct store *st = open_store(true);
    struct store_result res;

    (void)arg;
    REQUIRE_INT(0, add(st, 1, "one", &res));
    EXPECT_INT(0, store_commit(st, res.seq));
    REQUIRE_INT(0, add(st, 2, "two", &res));
    sync_error = EIO;
    EXPECT_INT(-EROFS, store_commit(st, res.seq));
    sync_error = 0;
    /* A repeated token waits for the same sync, and hears the same. */
    EXPECT_INT(0, add(st, 2, "two", &res));
    EXPECT_INT(2, (int)res.seq);
    EXPECT_INT(-EROFS, store_commit(st, res.seq));
    EXPECT_INT(-EROFS, add(st, 3, "three", &res));
    EXPECT_INT(-EROFS, removal(st, 4, 1, 0, &res));
    EXPECT_STR("two", get(st, 2)->title); /* reads go on */
    EXPECT_INT(2, (int)schedule_count(store_schedule(st)));
    store_close(st);
}

static void test_open_fails(const void *arg)
{
    char why[256] = "left over";
    struct store_opts opts = {.why = why, .why_cap = sizeof why};
    struct store *st = open_store(false), *second = NULL;

    (void)arg;
    opts.path = path;
    EXPECT_INT(-EBUSY, store_open(&second, &opts));
    EXPECT(strstr(why, "holds the data file") != NULL);
    store_close(st);
    EXPECT_INT(0, store_open(&second, &opts));
    EXPECT_STR("", why);
    store_close(second);
    opts.path = "/nonexistent/folder/file";
    EXPECT_INT(-ENOENT, store_open(&second, &opts));
}

/* Lines that are well made and contradict each other. */
static void test_contradiction(const void *arg)
{
    static const char removal_line[] =
        "{\"op\":\"remove\",\"id\":1,\"token\":\"0000000000000002\",\"seq\":1";
    char why[256], line[512];
    struct store_opts opts = {.why = why, .why_cap = sizeof why};
    struct store *st = open_store(false);
    struct store_result res;

    (void)arg;
    REQUIRE_INT(0, add(st, 1, "one", &res));
    REQUIRE_INT(0, removal(st, 2, 1, 0, &res));
    store_close(st);

    /* The header, and behind it a removal of what was never added. */
    FILE *f = fopen(path, "r+");
    REQUIRE(f != NULL);
    REQUIRE(fgets(line, sizeof line, f) != NULL);
    REQUIRE_INT(0, ftruncate(fileno(f), (off_t)strlen(line)));
    REQUIRE_INT(0, fseek(f, 0, SEEK_END));
    fprintf(f, "%s,\"crc\":\"%08x\"}\n", removal_line,
            (unsigned)crc32_of(removal_line, strlen(removal_line)));
    REQUIRE_INT(0, fclose(f));
    opts.path = path;
    EXPECT_INT(-EBADMSG, store_open(&st, &opts));
    EXPECT(strstr(why, "line 2: it contradicts") != NULL);
}

/* ---- many at once ------------------------------------------------------- */

#define THREADS 4
#define ROUNDS  50

static struct store *shared;

static void *change_and_commit(void *arg)
{
    uint64_t token = *(uint64_t *)arg;
    struct store_result res, again;

    for (int i = 0; i < ROUNDS; i++, token++) {
        EXPECT_INT(0, add(shared, token, "lesson", &res));
        EXPECT_INT(0, store_commit(shared, res.seq));
        EXPECT_INT(0, add(shared, token, "lesson", &again));
        EXPECT(again.id == res.id && again.seq == res.seq);
    }
    return NULL;
}

static void test_threads(const void *arg)
{
    pthread_t thread[THREADS];
    uint64_t token[THREADS];
    struct store_stats stats;

    (void)arg;
    shared = open_store(true);
    for (uint64_t i = 0; i < THREADS; i++) {
        token[i] = 1 + i * 1000;
        REQUIRE_INT(
            0, pthread_create(&thread[i], NULL, change_and_commit, &token[i]));
    }
    for (int i = 0; i < THREADS; i++)
        REQUIRE_INT(0, pthread_join(thread[i], NULL));
    store_stats(shared, &stats);
    EXPECT(stats.events == THREADS * ROUNDS && stats.rev == stats.events);
    EXPECT(stats.syncs > 0 && stats.syncs <= stats.events);
    shared = reopen(shared);
    EXPECT_INT(THREADS * ROUNDS, (int)schedule_count(store_schedule(shared)));
    store_close(shared);
}

/* Change and commit until killed; acknowledge each with its result. */
static void change_for_ever(int acks)
{
    struct store *st = open_store(true);
    struct store_result res;

    for (uint64_t token = 1;; token++) {
        REQUIRE_INT(0, add(st, token, "lesson", &res));
        REQUIRE_INT(0, store_commit(st, res.seq));
        if (write(acks, &res, sizeof res) != (ssize_t)sizeof res)
            _exit(0);
    }
}

static void test_kill(const void *arg)
{
    int acks[2];
    struct store_result res, again, last = {0};

    (void)arg;
    REQUIRE_INT(0, pipe(acks));
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0)
        change_for_ever(acks[1]);
    close(acks[1]);
    while (read(acks[0], &res, sizeof res) == (ssize_t)sizeof res) {
        last = res;
        if (res.id == 100)
            kill(pid, SIGKILL); /* then read what it said before */
    }
    close(acks[0]);
    waitpid(pid, NULL, 0);

    snprintf(path, sizeof path, "%s/store.jsonl", harness_dir());
    struct store_opts opts = {.path = path}; /* a torn line may be reported */
    struct store *st = NULL;
    REQUIRE_INT(0, store_open(&st, &opts));
    EXPECT(last.id >= 100 && store_rev(st) >= last.seq);
    for (uint32_t id = 1; id <= last.id; id++) {
        EXPECT_INT(0, add(st, id, "lesson", &again)); /* it was its token */
        EXPECT(again.id == id && again.rev == id);
    }
    store_close(st);
}

static const struct test_case cases[] = {
    {.name = "memory", .run = test_memory},
    {.name = "file", .run = test_file},
    {.name = "tokens", .run = test_tokens},
    {.name = "compaction", .run = test_compaction},
    {.name = "no-compaction", .run = test_no_compaction},
    {.name = "old-tokens", .run = test_old_tokens, .seconds = 60},
    {.name = "random", .run = test_random, .seconds = 60},
    {.name = "full", .run = test_full},
    {.name = "sync-fails", .run = test_sync_fails},
    {.name = "open-fails", .run = test_open_fails},
    {.name = "contradiction", .run = test_contradiction},
    {.name = "threads", .run = test_threads, .seconds = 60},
    {.name = "kill", .run = test_kill, .seconds = 60},
};

int main(int argc, char **argv)
{
    const struct test_suite suite = {
        .name = "store", .cases = cases, .count = sizeof cases / sizeof *cases};

    return harness_main(argc, argv, &suite);
}
