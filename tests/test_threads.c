/*
 * test_threads.c - servers and clients as threads of one process
 *
 * Elsewhere they are processes, and ThreadSanitizer looks into one at a time:
 * what two of them do to each other it can't see. Here both ends of every
 * named transport are threads, and `make SAN=thread` watches them all.
 *
 *   NAME/WAIT/...   one transport: several clients; clients that come and go;
 *                   a server that leaves; two servers; many starters; handles
 *                   that pass from thread to thread
 *   shm/...         a request that is overwritten while it is read
 *   store/...       writers that share their syncs, and a sync that fails
 *   server/...      server_run over all five transports and one store
 *
 * Two mappings of one segment are the same memory, but ThreadSanitizer knows
 * addresses only. So mmap is wrapped: who maps a segment that is mapped here
 * already gets that mapping. The mutex that this takes orders a client that
 * leaves before the next one of its slot, as the slot's lock does, of which
 * ThreadSanitizer doesn't know either. Nor does it know mq_close(3), which gives
 * a descriptor's number free: here it is close(2).
 *
 * What it mustn't be told is an order that isn't there: an EXPECT counts, in
 * one atomic for all, and so would order all that surrounds it. Threads use
 * MUST, which is silent when all is well.
 *
 * It needs _GNU_SOURCE for sem_clockwait.
 */
#define _GNU_SOURCE
#include "client.h"
#include "server.h"
#include "world.h"

#include <errno.h>
#include <limits.h>
#include <mqueue.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define MSG      1000 /* max_msg */
#define TALKERS  4    /* clients of one server */
#define SLICE_MS 20   /* how often a server looks whether it is to stop */

#define MUST(cond)                                                             \
    do {                                                                       \
        if (!(cond))                                                           \
            harness_check(false, true, __FILE__, __LINE__, "must: %s", #cond); \
    } while (0)
#define MUST_INT(expected, got)                                                \
    do {                                                                       \
        long long got_ = (got);                                                \
        if (got_ != (expected))                                                \
            REQUIRE_INT((expected), got_);                                     \
    } while (0)

/* Are we being watched? */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WATCHED true
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WATCHED true
#elif !defined(WATCHED)
#define WATCHED false
#endif

static pthread_t thread(void *(*run)(void *), void *arg)
{
    pthread_t t;

    REQUIRE_INT(0, pthread_create(&t, NULL, run, arg));
    return t;
}

static void join(pthread_t t)
{
    EXPECT_INT(0, pthread_join(t, NULL));
}

static void await(sem_t *s)
{
    struct timespec t;
    int r;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += 2 * LONG_MS / 1000;
    do {
        r = sem_clockwait(s, CLOCK_MONOTONIC, &t);
    } while (r < 0 && errno == EINTR);
    MUST_INT(0, r);
}

/* ---- one segment, one mapping -------------------------------------------- */

static struct mapping {
    void *at; /* NULL = free place */
    size_t size;
    dev_t dev;
    ino_t ino;
    unsigned users;
} mappings[16];

static pthread_mutex_t mapping_lock = PTHREAD_MUTEX_INITIALIZER;

void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t to);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t to);
int __real_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size);

static struct mapping *mapping_of(const struct stat *st, size_t size)
{
    struct mapping *m = mappings, *end = m + COUNT(mappings);

    while (m < end && !(m->at && m->dev == st->st_dev && m->ino == st->st_ino &&
                        m->size == size))
        m++;
    for (struct mapping *f = mappings; m == end && f < end; f++)
        if (f->at == NULL)
            m = f;
    MUST(m < end);
    return m;
}

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t to)
{
    struct mapping *m;
    struct stat st;

    if (!(flags & MAP_SHARED) || fd < 0 || fstat(fd, &st) < 0)
        return __real_mmap(at, size, prot, flags, fd, to);
    pthread_mutex_lock(&mapping_lock);
    m = mapping_of(&st, size);
    if (m->at == NULL) {
        at = __real_mmap(at, size, prot, flags, fd, to);
        *m = (struct mapping){at, size, st.st_dev, st.st_ino, 0};
    }
    m->users++;
    at = m->at;
    pthread_mutex_unlock(&mapping_lock);
    return at;
}

int __wrap_munmap(void *at, size_t size)
{
    bool last = true;

    pthread_mutex_lock(&mapping_lock);
    for (size_t i = 0; i < COUNT(mappings); i++)
        if (mappings[i].at == at) {
            last = --mappings[i].users == 0;
            if (last)
                mappings[i].at = NULL;
        }
    pthread_mutex_unlock(&mapping_lock);
    return last ? __real_munmap(at, size) : 0;
}

int __wrap_mq_close(mqd_t q);

int __wrap_mq_close(mqd_t q)
{
    return close(q); /* what it does on Linux */
}

/* ---- messages that show where they come from ------------------------------ */

/* All bytes of a message are the same, its writer's own letter: so a message
 * that two have written is seen at once. */
static bool all_are(const uint8_t *buf, ssize_t n, uint8_t letter)
{
    for (ssize_t i = 0; i < n; i++)
        if (buf[i] != letter)
            return false;
    return n > 0;
}

static size_t length_of(unsigned k, uint8_t letter)
{
    return 1 + (k * 373u + letter) % MSG;
}

static int say(struct tp_client *c, uint8_t letter, unsigned k)
{
    uint8_t out[MSG];

    memset(out, letter, sizeof out);
    return tp_cli_send(c, out, length_of(k, letter), LONG_MS);
}

static ssize_t hear(struct tp_client *c, uint8_t letter)
{
    uint8_t in[MSG];
    ssize_t n = tp_cli_recv(c, in, sizeof in, LONG_MS);

    MUST(n <= 0 || all_are(in, n, letter));
    return n;
}

/* As many questions as may be open at once, then their answers. */
static void talk(struct tp_client *c, uint8_t letter, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        for (unsigned k = 0; k < c->depth; k++)
            MUST_INT(0, say(c, letter, i + k));
        for (unsigned k = 0; k < c->depth; k++)
            MUST_INT((long long)length_of(i + k, letter), hear(c, letter));
    }
}

/* Two that spin on one CPU take turns by time slice: a few rounds will do. */
static unsigned rounds_of(const struct param *p, unsigned usual)
{
    return p->wait == TP_SPIN ? usual / 10 : usual;
}

/* ---- a server in a thread ------------------------------------------------- */

struct post {
    const struct param *p;
    struct tp_opts opts;
    struct tp_server *srv; /* the thread's, while it runs */
    uint8_t first, last;   /* letters that may come here */
    atomic_bool stop;
    pthread_t thread;
};

static void post_open(struct post *s, const struct param *p, const char *name)
{
    *s = (struct post){.p = p, .first = 'A', .last = 'Z'};
    s->opts = (struct tp_opts){.name = name,
                               .clients = TALKERS,
                               .depth = depth_of(p, 4),
                               .max_msg = MSG,
                               .wait = p->wait,
                               .open_ms = LONG_MS};
    REQUIRE_INT(0, tp_srv_open(p->t, &s->srv, &s->opts));
}

/* One message of an echo, or nothing in time. */
static void serve_one(const struct post *s)
{
    uint8_t buf[MSG];
    tp_peer from;
    ssize_t n = tp_srv_recv(s->srv, &from, buf, sizeof buf, SLICE_MS);
    int err;

    if (n > 0) {
        MUST(buf[0] >= s->first && buf[0] <= s->last);
        MUST(all_are(buf, n, buf[0]));
        err = tp_srv_send(s->srv, from, buf, (size_t)n, TP_SEND_MS);
        MUST(err == 0 || err == -EPIPE);
    } else if (n < 0) {
        MUST(n == -ETIMEDOUT || n == -EPROTO);
    }
}

static void *post_thread(void *arg)
{
    struct post *s = arg;

    while (!atomic_load_explicit(&s->stop, memory_order_relaxed))
        serve_one(s);
    tp_srv_close(s->srv);
    return NULL;
}

static void post_start(struct post *s)
{
    s->thread = thread(post_thread, s);
}

static void post_stop(struct post *s)
{
    atomic_store(&s->stop, true);
    join(s->thread);
}

/* ---- clients in threads --------------------------------------------------- */

struct talker {
    struct post *post;
    uint8_t letter;
    unsigned rounds;
    sem_t *talking, *noticed, *next; /* of check_server_leaves */
    pthread_t thread;
};

static struct tp_client *connect_to(const struct post *s)
{
    struct tp_client *c = NULL;

    MUST_INT(0, tp_cli_open(s->p->t, &c, &s->opts));
    return c;
}

static void talkers_start(struct talker *t, unsigned n, void *(*run)(void *),
                          const struct talker *like)
{
    for (unsigned i = 0; i < n; i++) {
        t[i] = *like;
        t[i].letter = (uint8_t)(like->letter + i);
        t[i].thread = thread(run, &t[i]);
    }
}

static void talkers_join(struct talker *t, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        join(t[i].thread);
}

static void *talker(void *arg)
{
    struct talker *t = arg;
    struct tp_client *c = connect_to(t->post);

    talk(c, t->letter, t->rounds);
    tp_cli_close(c);
    return NULL;
}

static void check_talk(const struct param *p)
{
    struct talker t[TALKERS];
    struct post s;

    post_open(&s, p, "one");
    post_start(&s);
    talkers_start(t, TALKERS, talker,
                  &(struct talker){
                      .post = &s, .letter = 'A', .rounds = rounds_of(p, 60)});
    talkers_join(t, TALKERS);
    post_stop(&s);
}

/* A request in shared memory may be overwritten while the server copies it, by
 * the next client of the slot. Then the copy is thrown away; but it was made,
 * and that is all that ThreadSanitizer sees. */
static bool overwrites(const struct transport *t)
{
    return strcmp(t->name, "shm") == 0;
}

/* Each visit takes a slot that somebody else has just had; every second one
 * ends with a question whose answer nobody waits for. */
static void *visitor(void *arg)
{
    struct talker *t = arg;
    bool leaves = !(WATCHED && overwrites(t->post->p->t));

    for (unsigned i = 0; i < t->rounds; i++) {
        struct tp_client *c = connect_to(t->post);

        talk(c, t->letter, 1);
        if (i % 2 && leaves)
            MUST_INT(0, say(c, t->letter, i));
        tp_cli_close(c);
    }
    return NULL;
}

static void check_come_and_go(const struct param *p)
{
    struct talker t[TALKERS];
    struct post s;

    post_open(&s, p, "one");
    post_start(&s);
    talkers_start(t, 1, talker,
                  &(struct talker){
                      .post = &s, .letter = 'Z', .rounds = rounds_of(p, 60)});
    talkers_start(t + 1, TALKERS - 1, visitor,
                  &(struct talker){
                      .post = &s, .letter = 'A', .rounds = rounds_of(p, 40)});
    talkers_join(t, TALKERS);
    post_stop(&s);
}

/* Talks until its server has left, says so, and talks to the next one. */
static void *bereaved(void *arg)
{
    struct talker *t = arg;
    struct tp_client *c = connect_to(t->post);
    ssize_t n = 1;

    talk(c, t->letter, 1);
    sem_post(t->talking);
    for (unsigned k = 0; n > 0; k++) {
        n = say(c, t->letter, k);
        if (n == 0)
            n = hear(c, t->letter);
    }
    MUST(n == 0 || n == -EPIPE);
    tp_cli_close(c);
    sem_post(t->noticed);
    await(t->next);
    c = connect_to(t->post);
    talk(c, t->letter, 3);
    tp_cli_close(c);
    return NULL;
}

static void check_server_leaves(const struct param *p)
{
    struct talker t[TALKERS];
    struct post s, next;
    sem_t talking, noticed, go;

    sem_init(&talking, 0, 0);
    sem_init(&noticed, 0, 0);
    sem_init(&go, 0, 0);
    post_open(&s, p, "one");
    post_start(&s);
    talkers_start(t, TALKERS, bereaved,
                  &(struct talker){.post = &s,
                                   .letter = 'A',
                                   .talking = &talking,
                                   .noticed = &noticed,
                                   .next = &go});
    for (int i = 0; i < TALKERS; i++)
        await(&talking);
    post_stop(&s);
    for (int i = 0; i < TALKERS; i++)
        await(&noticed);
    post_open(&next, p, "one");
    post_start(&next);
    for (int i = 0; i < TALKERS; i++)
        sem_post(&go);
    talkers_join(t, TALKERS);
    post_stop(&next);
}

/* Two instances share nothing but the folder: each hears its own letters. */
static void check_two_servers(const struct param *p)
{
    struct talker t[2][2];
    struct post s[2];

    for (unsigned i = 0; i < 2; i++) {
        post_open(&s[i], p, i ? "two" : "one");
        s[i].first = (uint8_t)(i ? 'N' : 'A');
        s[i].last = (uint8_t)(s[i].first + 1);
        post_start(&s[i]);
    }
    for (unsigned i = 0; i < 2; i++)
        talkers_start(t[i], 2, talker,
                      &(struct talker){.post = &s[i],
                                       .letter = s[i].first,
                                       .rounds = rounds_of(p, 40)});
    for (unsigned i = 0; i < 2; i++)
        talkers_join(t[i], 2);
    for (unsigned i = 0; i < 2; i++)
        post_stop(&s[i]);
}

/* ---- who comes first ------------------------------------------------------ */

#define STARTERS 4
#define RACES    10

struct starter {
    const struct param *p;
    pthread_barrier_t *line;
    int result[RACES];
};

static void *starter(void *arg)
{
    struct starter *s = arg;
    struct tp_opts opts = {.max_msg = MSG};

    for (int i = 0; i < RACES; i++) {
        struct tp_server *srv = NULL;

        pthread_barrier_wait(s->line);
        s->result[i] = tp_srv_open(s->p->t, &srv, &opts);
        pthread_barrier_wait(s->line);
        tp_srv_close(srv);
    }
    return NULL;
}

static void check_starters(const struct param *p)
{
    struct starter s[STARTERS];
    pthread_t t[STARTERS];
    pthread_barrier_t line;

    pthread_barrier_init(&line, NULL, STARTERS);
    for (int i = 0; i < STARTERS; i++) {
        s[i] = (struct starter){.p = p, .line = &line};
        t[i] = thread(starter, &s[i]);
    }
    for (int i = 0; i < STARTERS; i++)
        join(t[i]);
    for (int k = 0; k < RACES; k++) {
        int won = 0, lost = 0;

        for (int i = 0; i < STARTERS; i++) {
            won += s[i].result[k] == 0;
            lost += s[i].result[k] == -EADDRINUSE;
        }
        EXPECT_INT(1, won);
        EXPECT_INT(STARTERS - 1, lost);
    }
    pthread_barrier_destroy(&line);
}

/* ---- one thread at a time, but not always the same one --------------------- */

struct relay {
    struct post *post;
    struct tp_client *client;
};

/* The one who asks may be slower than one wait. */
static void *carry_server(void *arg)
{
    const struct post *s = ((struct relay *)arg)->post;
    unsigned long before = s->srv->count.received;

    for (int ms = 0; ms < LONG_MS && s->srv->count.received == before;
         ms += SLICE_MS)
        serve_one(s);
    return NULL;
}

static void *carry_client(void *arg)
{
    struct relay *r = arg;

    talk(r->client, 'C', 1);
    return NULL;
}

/* Every message is asked by another thread, and answered by another one. */
static void check_handed_over(const struct param *p)
{
    struct post s;
    struct relay r = {.post = &s};

    post_open(&s, p, "one");
    s.opts.depth = 1;
    tp_srv_close(s.srv);
    REQUIRE_INT(0, tp_srv_open(p->t, &s.srv, &s.opts));
    r.client = connect_to(&s);
    for (int i = 0; i < 10; i++) {
        pthread_t asks = thread(carry_client, &r);

        join(thread(carry_server, &r));
        join(asks);
    }
    EXPECT(s.srv->count.received == 10 && r.client->count.received == 10);
    tp_cli_close(r.client);
    tp_srv_close(s.srv);
}

/* ---- a request that is overwritten while it is read ------------------------ */

/* A memcpy of this many bytes, by this thread, stops in the middle. */
#define HALVED 777

static struct {
    atomic_bool armed;
    sem_t half, go;
} copy;

void *__real_memcpy(void *to, const void *from, size_t n);
void *__wrap_memcpy(void *to, const void *from, size_t n);

void *__wrap_memcpy(void *to, const void *from, size_t n)
{
    if (n != HALVED || !atomic_load(&copy.armed))
        return __real_memcpy(to, from, n);
    atomic_store(&copy.armed, false);
    __real_memcpy(to, from, n / 2);
    sem_post(&copy.half);
    await(&copy.go);
    __real_memcpy((char *)to + n / 2, (const char *)from + n / 2, n - n / 2);
    return to;
}

static void send_letters(struct tp_client *c, uint8_t letter)
{
    uint8_t out[HALVED];

    memset(out, letter, sizeof out);
    MUST_INT(0, tp_cli_send(c, out, sizeof out, LONG_MS));
}

/* What one look of the server brought: all of one letter, or nothing. */
static void *take_one(void *arg)
{
    struct post *s = arg;
    uint8_t in[MSG];
    tp_peer from;
    ssize_t n = tp_srv_recv(s->srv, &from, in, sizeof in, LONG_MS);

    MUST(n == -EPROTO || n == 0 || (n == HALVED && all_are(in, n, in[0])));
    return NULL;
}

/*
 * A client is gone (kill -9) when the server has read half of its request, and
 * the next one of its slot writes its own over it: the server mustn't take the
 * two halves for one request.
 */
static void check_overwritten(const struct param *p)
{
    struct tp_client *first, *second;
    struct post s;
    pthread_t server;

    if (WATCHED) {
        harness_skip("to ThreadSanitizer what is tested here is a race");
        return;
    }
    sem_init(&copy.half, 0, 0);
    sem_init(&copy.go, 0, 0);
    post_open(&s, p, "one");
    first = connect_to(&s);
    send_letters(first, 'A');
    atomic_store(&copy.armed, true);
    server = thread(take_one, &s);
    await(&copy.half);
    tp_cli_close(first);
    second = connect_to(&s);
    send_letters(second, 'B');
    sem_post(&copy.go);
    join(server);
    post_start(&s);
    MUST_INT(HALVED, hear(second, 'B'));
    tp_cli_close(second);
    post_stop(&s);
}

/* ---- one store, many writers ---------------------------------------------- */

static atomic_llong synced; /* bytes of the journal that a sync has covered */
static atomic_int syncs_left = INT_MAX; /* until one fails */

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
    struct stat st;

    /* Relaxed: an order of our own would hide a race of the store's. */
    if (atomic_fetch_sub_explicit(&syncs_left, 1, memory_order_relaxed) <= 0) {
        errno = EIO;
        return -1;
    }
    MUST_INT(0, fstat(fd, &st));
    MUST_INT(0, __real_fdatasync(fd));
    atomic_store_explicit(&synced, st.st_size, memory_order_relaxed);
    return 0;
}

#define WRITERS 4
#define WRITES  40

struct writer {
    struct store *st;
    unsigned number;
    unsigned done; /* changes that were acknowledged */
    int refused;   /* why there were no more; 0 = there were */
    pthread_t thread;
};

static struct event event_of(unsigned writer, unsigned k)
{
    int64_t start = (int64_t)writer * 1000000 + (int64_t)k * 60;

    return (struct event){
        .title = "class", .title_len = 5, .start = start, .end = start + 60};
}

/* 0 when the change is made, and a sync has covered its line. */
static int write_one(struct writer *w, unsigned k)
{
    struct event ev = event_of(w->number, k);
    struct store_result res;
    struct store_stats stats;
    int err;

    store_lock(w->st);
    err = store_add(w->st, 1 + w->number * WRITES + k, &ev, &res);
    store_stats(w->st, &stats);
    store_unlock(w->st);
    if (err == 0)
        err = store_commit(w->st, res.seq);
    MUST(err != 0 || atomic_load_explicit(&synced, memory_order_relaxed) >=
                         (long long)stats.journal_bytes);
    return err;
}

static void *writer(void *arg)
{
    struct writer *w = arg;

    for (unsigned k = 0; k < WRITES && w->refused == 0; k++) {
        w->refused = write_one(w, k);
        if (w->refused == 0)
            w->done++;
    }
    return NULL;
}

static bool count_one(const struct event *ev, void *arg)
{
    (void)ev;
    ++*(unsigned *)arg;
    return true;
}

/* How many of a writer's first events the store has. */
static unsigned kept_of(struct store *st, const struct writer *w)
{
    int64_t from = event_of(w->number, 0).start;
    unsigned n = 0;

    if (w->done == 0)
        return 0;
    store_lock(st);
    schedule_walk(store_schedule(st), from,
                  event_of(w->number, w->done - 1).end, NULL, count_one, &n);
    store_unlock(st);
    return n;
}

static struct store *open_store(void)
{
    char path[200];
    struct store_opts opts = {.path = path, .sync = true};
    struct store *st = NULL;

    snprintf(path, sizeof path, "%s/data/threads.jsonl", harness_dir());
    REQUIRE_INT(0, store_open(&st, &opts));
    return st;
}

static void run_writers(struct store *st, struct writer *w)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        w[i] = (struct writer){.st = st, .number = i};
        w[i].thread = thread(writer, &w[i]);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        join(w[i].thread);
}

static void check_kept(const struct writer *w)
{
    struct store *st = open_store();

    for (unsigned i = 0; i < WRITERS; i++)
        EXPECT_INT(w[i].done, kept_of(st, &w[i]));
    store_close(st);
}

static void store_writers(const struct param *p)
{
    struct writer w[WRITERS];
    struct store *st = open_store();
    struct store_stats stats;

    (void)p;
    run_writers(st, w);
    store_stats(st, &stats);
    EXPECT(stats.syncs <= WRITERS * WRITES);
    store_close(st);
    for (unsigned i = 0; i < WRITERS; i++)
        EXPECT_INT(WRITES, w[i].done);
    check_kept(w);
}

/* The first writer whose sync fails, those who waited for the same sync and
 * all that come later are refused; what was acknowledged before is kept. */
static void store_sync_fails(const struct param *p)
{
    struct writer w[WRITERS];
    struct store *st = open_store();

    (void)p;
    atomic_store(&syncs_left, 10);
    run_writers(st, w);
    for (unsigned i = 0; i < WRITERS; i++) {
        EXPECT_INT(-EROFS, w[i].refused);
        EXPECT_INT(-EROFS, write_one(&w[i], WRITES - 1));
    }
    EXPECT(store_fault(st) != NULL);
    store_close(st);
    atomic_store(&syncs_left, INT_MAX);
    check_kept(w);
}

/* ---- server_run over everything -------------------------------------------- */

#define SET   8
#define USERS 2 /* clients of each transport */
#define ADDS  6 /* of each client */

struct campus {
    struct store *st;
    struct tp_server *set[SET];
    unsigned count;
    struct tp_opts opts;
    atomic_bool stop;
    int result;
    pthread_t server;
};

static void *campus_thread(void *arg)
{
    struct campus *c = arg;
    struct server_opts opts = {
        .set = c->set, .count = c->count, .store = c->st, .stop = &c->stop};

    c->result = server_run(&opts);
    return NULL;
}

static void campus_open(struct campus *c, bool named)
{
    for (int i = 0; tp_all[i]; i++)
        if (!(tp_all[i]->caps & TP_NAMED) == !named)
            REQUIRE_INT(0,
                        tp_srv_open(tp_all[i], &c->set[c->count++], &c->opts));
}

static void campus_close(struct campus *c)
{
    atomic_store(&c->stop, true);
    join(c->server);
    EXPECT_INT(0, c->result);
    while (c->count)
        tp_srv_close(c->set[--c->count]);
}

struct user {
    struct campus *campus;
    const struct transport *t;
    unsigned number, done;
    bool for_ever; /* until the server leaves */
    sem_t *talking;
    pthread_t thread;
};

/* One event comes, is read, moved and found; every second one goes again. */
static int use_once(struct client *c, const struct user *u, unsigned k)
{
    struct event ev = event_of(u->number, k);
    struct client_event got;
    unsigned hits = 0;
    uint64_t rev;
    int err = client_add(c, client_token(), &ev, &ev.id, &rev);

    if (err == 0)
        err = client_get(c, ev.id, &got);
    if (err == 0) {
        MUST(got.event.start == ev.start && got.event.rev == rev);
        ev.title = "moved";
        err = client_update(c, client_token(), &ev, rev, &rev);
    }
    if (err == 0)
        err = client_list(c, ev.start, ev.end, count_one, &hits);
    if (err == 0) {
        MUST_INT(1, hits);
        err = client_conflicts(c, ev.id, count_one, &hits);
    }
    if (err == 0 && k % 2 && !u->for_ever)
        err = client_remove(c, client_token(), ev.id, rev, NULL);
    return err;
}

static void use(struct user *u, struct tp_opts opts)
{
    struct wire_stats stats;
    struct client c;
    int err;

    MUST_INT(0, client_open(&c, u->t, &opts, LONG_MS));
    while ((err = use_once(&c, u, u->done)) == 0) {
        if (u->done++ == 0 && u->talking)
            sem_post(u->talking);
        if (u->done == ADDS && !u->for_ever)
            break;
    }
    if (u->for_ever)
        MUST_INT(-EPIPE, err);
    else
        MUST_INT(0, client_stats(&c, &stats));
    client_close(&c);
}

static void *user(void *arg)
{
    struct user *u = arg;

    use(u, u->campus->opts);
    return NULL;
}

/* A pipe comes by fork: so its clients are processes, as everywhere. */
static pid_t fork_pipe_user(struct campus *c, unsigned index)
{
    struct user u = {.campus = c, .t = c->set[0]->t, .number = index};
    struct tp_opts opts = c->opts;
    pid_t pid = fork();

    REQUIRE(pid >= 0);
    if (pid == 0) {
        opts.index = index;
        opts.inherited = c->set[0];
        use(&u, opts);
        _exit(0);
    }
    return pid;
}

static unsigned start_users(struct campus *c, struct user *u,
                            const struct user *like)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->count; i++)
        for (int k = 0; k < USERS && c->set[i]->t->caps & TP_NAMED; k++, n++) {
            u[n] = *like;
            u[n].campus = c;
            u[n].t = c->set[i]->t;
            u[n].number = USERS + n;
        }
    for (unsigned i = 0; i < n; i++)
        u[i].thread = thread(user, &u[i]);
    return n;
}

/* Five lanes, one store, USERS clients on each lane. */
static void server_everything(const struct param *p)
{
    struct campus c = {.opts = {.clients = USERS, .open_ms = LONG_MS}};
    struct user u[SET * USERS];
    pid_t pipes[USERS];
    struct store_stats stats;
    unsigned n;

    (void)p;
    campus_open(&c, false);
    for (unsigned i = 0; i < USERS; i++)
        pipes[i] = fork_pipe_user(&c, i);
    c.st = open_store();
    campus_open(&c, true);
    c.server = thread(campus_thread, &c);
    n = start_users(&c, u, &(struct user){0});
    for (unsigned i = 0; i < n; i++)
        join(u[i].thread);
    for (unsigned i = 0; i < USERS; i++) {
        int status;

        REQUIRE(waitpid(pipes[i], &status, 0) == pipes[i]);
        EXPECT_INT(0, status);
    }
    campus_close(&c);
    store_stats(c.st, &stats);
    EXPECT_INT((n + USERS) * (ADDS - ADDS / 2), (long long)stats.events);
    /* Added, moved and half of them removed: so many changes, none twice. */
    EXPECT_INT((n + USERS) * (2 * ADDS + ADDS / 2), (long long)stats.rev);
    store_close(c.st);
}

/* The server is told to stop while all are talking: it ends, they learn it,
 * and what they were told is done is there. */
static void server_stops(const struct param *p)
{
    struct campus c = {.opts = {.clients = USERS, .open_ms = LONG_MS}};
    struct user u[SET * USERS];
    sem_t talking;
    unsigned n;

    (void)p;
    sem_init(&talking, 0, 0);
    c.st = open_store();
    campus_open(&c, true);
    c.server = thread(campus_thread, &c);
    n = start_users(&c, u,
                    &(struct user){.for_ever = true, .talking = &talking});
    for (unsigned i = 0; i < n; i++)
        await(&talking);
    campus_close(&c);
    for (unsigned i = 0; i < n; i++) {
        struct writer w = {.number = u[i].number};

        join(u[i].thread);
        w.done = u[i].done;
        EXPECT(u[i].done > 0);
        EXPECT_INT(u[i].done, kept_of(c.st, &w));
    }
    store_close(c.st);
}

/* ---- the list ------------------------------------------------------------- */

static const struct check waiting[] = {
    {"talk", check_talk, 0, NULL},
    {"come-and-go", check_come_and_go, 0, NULL},
    {"server-leaves", check_server_leaves, 0, NULL},
    {"two-servers", check_two_servers, 0, NULL},
    {"handed-over", check_handed_over, 0, NULL},
    {0},
};

static const struct check once[] = {
    {"starters", check_starters, 0, NULL},
    {"overwritten", check_overwritten, 0, "shm"},
    {0},
};

static const struct check others[] = {
    {"store/writers", store_writers, 0, NULL},
    {"store/sync-fails", store_sync_fails, 0, NULL},
    {"server/everything", server_everything, 0, NULL},
    {"server/stops", server_stops, 0, NULL},
    {0},
};

int main(int argc, char **argv)
{
    struct test_suite suite = {.name = "threads"};

    for (size_t t = 0; tp_all[t]; t++)
        if (tp_all[t]->caps & TP_NAMED) { /* a pipe needs processes */
            add_for_waits(&suite, run_check, tp_all[t], waiting);
            add_once(&suite, run_check, tp_all[t], once);
        }
    add_once(&suite, run_check, NULL, others);
    return harness_main(argc, argv, &suite);
}
