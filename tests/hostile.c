/*
 * hostile.c - what a transport makes of bytes that no chapter has sent
 *
 * The third table of cases of the conformance suite; see conformance.c. Here
 * the mechanisms are used from outside: raw connections, raw writes into a
 * FIFO or a queue, stores into the segment.
 */
#define _GNU_SOURCE /* usleep */
#include "../shm/box.h"
#include "bytes.h"
#include "cframe.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the ways in -------------------------------------------------------- */

/* A connection to the server's socket; `flags` for socket(2). -1 with errno. */
static int raw_connect(const struct transport *t, int flags)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char path[300];
    int fd = socket(AF_UNIX, SOCK_STREAM | flags, 0);

    REQUIRE(fd >= 0);
    runtime_file(path, sizeof path, t);
    snprintf(a.sun_path, sizeof a.sun_path, "%.100s", path);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

static void raw_send(const struct transport *t, const void *bytes, size_t n)
{
    int fd = raw_connect(t, 0);

    REQUIRE(fd >= 0);
    EXPECT_INT((long long)n, send(fd, bytes, n, MSG_NOSIGNAL));
    close(fd);
}

static void raw_write(const struct transport *t, const void *bytes, size_t n)
{
    char path[300];
    int fd;

    runtime_file(path, sizeof path, t);
    fd = open(path, O_WRONLY);
    REQUIRE(fd >= 0);
    EXPECT_INT((long long)n, write(fd, bytes, n));
    close(fd);
}

static void raw_queue(const void *bytes, size_t n, unsigned priority)
{
    char name[RUNDIR_OBJECT_MAX];
    mqd_t q;

    object_name(name, "default.mqueue");
    q = mq_open(name, O_WRONLY);
    REQUIRE(q != (mqd_t)-1);
    EXPECT_INT(0, mq_send(q, bytes, n, priority));
    mq_close(q);
}

/* The segment, mapped once more; *size its bytes. */
static void *raw_segment(size_t *size)
{
    char name[RUNDIR_OBJECT_MAX];
    struct stat st;
    void *p;
    int fd;

    object_name(name, "default.shm");
    fd = shm_open(name, O_RDWR, 0);
    REQUIRE(fd >= 0 && fstat(fd, &st) == 0);
    *size = (size_t)st.st_size;
    p = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(p != MAP_FAILED);
    close(fd);
    return p;
}

/* ---- garbage ------------------------------------------------------------ */

static void garbage_to_socket(const struct transport *t)
{
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 1, 2, 3};

    raw_send(t, huge, sizeof huge);
}

/* Random bytes, and half of something that looks like a frame. */
static void garbage_to_fifo(const struct transport *t)
{
    uint8_t junk[999];

    for (unsigned i = 0; i < 20; i++) {
        fill_bytes(junk, sizeof junk, i);
        memcpy(junk + (i * 37) % 900, "IPCF", 4);
        raw_write(t, junk, 1 + (i * 53) % sizeof junk);
    }
}

/* An empty message is among them. */
static void garbage_to_mqueue(const struct transport *t)
{
    uint8_t junk[100];

    (void)t;
    for (unsigned i = 0; i < 20; i++) {
        fill_bytes(junk, sizeof junk, i);
        raw_queue(junk, i * 5 % sizeof junk, i % 3);
    }
}

/* Scribbles over a slot that nobody has, and rings for it. */
static void garbage_to_shm(const struct transport *t)
{
    size_t size;
    uint8_t *p = raw_segment(&size);

    (void)t;
    for (unsigned i = 0; i < 20; i++) {
        fill_bytes(p + size / 4 * 3, size / 4, i);
        memset(p, 0xff, sizeof(uint64_t)); /* everybody has rung */
        usleep(2000);
    }
    munmap(p, size);
}

static void garbage(const struct transport *t)
{
    static const struct {
        const char *name;
        void (*send)(const struct transport *t);
    } table[] = {{"socket", garbage_to_socket},
                 {"fifo", garbage_to_fifo},
                 {"mqueue", garbage_to_mqueue},
                 {"shm", garbage_to_shm}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(table[i].name, t->name))
            table[i].send(t);
}

/* Garbage from outside hurts nobody: it is seen, and taken neither for a
 * message nor for a client that left. */
static void garbage_outside(const struct param *p)
{
    struct world w = {0};
    struct tp_client *c;

    if (!is_named(p)) {
        harness_skip("nobody from outside can reach a pipe");
        return;
    }
    world_open(&w, p, clients(4));
    world_serve(&w, world_tally);
    world_add(&w, world_honest);
    world_add(&w, world_honest);
    world_drop(&w);
    for (int i = 0; i < 3; i++)
        garbage(p->t);
    c = world_connect(&w);
    echo_once(c, 10, 1);
    EXPECT_INT(0, atomic_load(&w.board->value[1]));
    tp_cli_close(c);
    atomic_store(&w.board->value[0], 1);
    world_join_clients(&w);
    world_await_left(&w, 3, 0);
    EXPECT(atomic_load(&w.board->value[2]) > 0);
    world_stop_server(&w);
}

/* ---- forgeries: well-formed, but not from a client ------------------------ */

/* Who a forged request says it is from. The honest client of the case is the
 * first one of slot 0: generation 1. Slot 1 is empty, slot 2 isn't there. */
static const struct {
    unsigned slot;
    uint32_t generation;
} nobodies[] = {{0, 77}, {1, 5}, {1, 0}, {2, 1}};

#define NOBODIES (sizeof nobodies / sizeof nobodies[0])

/* Forgery number n; false when there is none of this number. */
static bool forge_fifo(const struct transport *t, size_t n)
{
    struct cframe f = {.generation = 1, .len = 6};
    uint8_t frame[PIPE_BUF];
    size_t len;

    if (n > NOBODIES)
        return false;
    if (n < NOBODIES) {
        f.slot = nobodies[n].slot;
        f.generation = nobodies[n].generation;
    }
    len = cframe_put(frame, &f, "forged");
    if (n == NOBODIES) /* the honest client's own, but damaged */
        frame[CFRAME_HEAD] ^= 1;
    raw_write(t, frame, len);
    return true;
}

static bool forge_mqueue(const struct transport *t, size_t n)
{
    uint8_t message[16] = "IPCQ....forged";

    (void)t;
    if (n > NOBODIES + 1)
        return false;
    put32(message + 4, n < NOBODIES
                           ? peer_of(nobodies[n].slot, nobodies[n].generation)
                           : peer_of(0, 1));
    if (n == NOBODIES + 1)
        message[0] = 'J'; /* not our magic number */
    raw_queue(message, n == NOBODIES ? 8 : sizeof message, 0); /* no payload */
    return true;
}

/* The segment's first bytes: as in shm.c. */
struct head {
    alignas(SHM_LINE) _Atomic uint64_t rung;
    sem_t doorbell;
};

static bool forge_shm(const struct transport *t, size_t n)
{
    static const uint32_t impossible[] = {0, UINT32_MAX, 64 * 1024 + 1};
    size_t size;
    struct head *h;
    unsigned slot = n < 3 ? nobodies[n].slot : 0;
    uint64_t who = n < 3 ? nobodies[n].generation : 1;
    struct shm_box *box;

    if (n >= 3 + sizeof impossible / sizeof impossible[0])
        return false;
    h = raw_segment(&size);
    box = shm_box_at(h + 1, t->usual_msg, 2 * slot);
    shm_box_put(box, who << 40 | (1000 + n), "forged", 6);
    if (n >= 3)
        atomic_store(&box->len, impossible[n - 3]);
    atomic_fetch_or(&h->rung, UINT64_C(1) << slot);
    sem_post(&h->doorbell);
    munmap(h, size);
    return true;
}

static bool forge_socket(const struct transport *t, size_t n)
{
    static const uint32_t impossible[] = {0, UINT32_MAX, 64 * 1024 + 1};
    uint8_t head[4];

    if (n >= sizeof impossible / sizeof impossible[0])
        return false;
    put32(head, impossible[n]);
    raw_send(t, head, sizeof head);
    return true;
}

static bool forge(const struct transport *t, size_t n)
{
    if (t->caps & TP_HANGUP)
        return forge_socket(t, n);
    if (t->caps & TP_FRAMED)
        return forge_mqueue(t, n);
    return strcmp(t->name, "shm") ? forge_fifo(t, n) : forge_shm(t, n);
}

/* Each forged request is -EPROTO, and is neither handed out nor answered; the
 * honest client whose name it may bear goes on. */
static void forgeries(const struct param *p)
{
    struct world w = {0};
    struct tp_client *c;
    char buf[16];
    int64_t start;
    int n;

    if (!is_named(p)) {
        harness_skip("nobody from outside can reach a pipe");
        return;
    }
    world_open(&w, p, clients(2));
    world_serve(&w, world_tally);
    world_drop(&w);
    c = world_connect(&w);
    echo_once(c, 10, 1);
    for (n = 0; forge(p->t, (size_t)n); n++) {
        start = now_ms(0);
        while (atomic_load(&w.board->value[2]) <= n && now_ms(start) < LONG_MS)
            usleep(1000);
        EXPECT_INT(-ETIMEDOUT, tp_cli_recv(c, buf, sizeof buf, 10));
        echo_once(c, 10, (unsigned)n);
    }
    EXPECT(n > 0);
    tp_cli_close(c);
    world_await_left(&w, 1, 0);
    world_stop_server(&w);
    EXPECT_INT(n, atomic_load(&w.board->value[2]));
    EXPECT_INT(n + 1, atomic_load(&w.board->value[3]));
}

/* ---- a server that has gone mad ------------------------------------------- */

#define FDS 256 /* more than a case has open */

static void open_now(bool is_open[FDS])
{
    for (int fd = 0; fd < FDS; fd++)
        is_open[fd] = fcntl(fd, F_GETFD) >= 0;
}

/* A write end of a pipe. */
static bool is_write_end(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) &&
           (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
}

static bool is_listener(int fd)
{
    int yes = 0;
    socklen_t len = sizeof yes;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes;
}

/* Speaks to the client in the server's place, through the descriptors that
 * srv_open has made. A pipe's two write ends can't be told apart: the server
 * doesn't listen anyway. The connection, or -1. */
static int speak(const bool before[FDS], const void *bytes, size_t n)
{
    int peer = -1;

    for (int fd = 0; fd < FDS; fd++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        if (before[fd])
            continue;
        if (is_write_end(fd))
            EXPECT_INT((long long)n, write(fd, bytes, n));
        if (is_listener(fd) && poll(&p, 1, LONG_MS) == 1) {
            peer = accept(fd, NULL, NULL);
            EXPECT_INT((long long)n, send(peer, bytes, n, MSG_NOSIGNAL));
        }
    }
    return peer;
}

static void misled_client(struct world *w, struct tp_client *c, unsigned i)
{
    char buf[16] = "";

    (void)w, (void)i;
    EXPECT_INT(-EPROTO, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
    EXPECT_INT(-EPIPE, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
    EXPECT_INT(-EPIPE, tp_cli_send(c, buf, sizeof buf, LONG_MS));
}

/* An impossible length from the server: the stream is out of step for good. */
static void mad_server(const struct param *p)
{
    static const uint32_t impossible[] = {0, UINT32_MAX};

    if (!(p->t->caps & TP_HANGUP)) {
        harness_skip("not a stream of its own");
        return;
    }
    for (int i = 0; i < 2; i++) {
        struct world w = {0};
        bool before[FDS];
        uint8_t frame[8] = {0};
        int peer;

        open_now(before);
        world_open(&w, p, clients(1));
        world_add(&w, misled_client);
        put32(frame, impossible[i]);
        peer = speak(before, frame, sizeof frame);
        world_join_clients(&w);
        if (peer >= 0)
            close(peer);
        tp_srv_close(w.srv);
    }
}

/* The server is there, but it doesn't accept, and the kernel's queue for it is
 * full: cli_open keeps its deadline. */
static void full_backlog(const struct param *p)
{
    struct tp_opts o = {.clients = 2, .wait = p->wait, .open_ms = 100};
    struct tp_server *srv = NULL;
    struct tp_client *c = NULL;
    int fd[FDS], n = 0;
    int64_t start;

    REQUIRE_INT(0, tp_srv_open(p->t, &srv, &o));
    while (n < FDS && (fd[n] = raw_connect(p->t, SOCK_NONBLOCK)) >= 0)
        n++;
    REQUIRE(n < FDS);
    EXPECT_INT(EAGAIN, errno);
    start = now_ms(0);
    EXPECT_INT(-ETIMEDOUT, tp_cli_open(p->t, &c, &o));
    EXPECT(now_ms(start) >= 99 && now_ms(start) < LONG_MS);
    while (n > 0)
        close(fd[--n]);
    tp_srv_close(srv);
}

/* ---- the table ---------------------------------------------------------- */

const struct check hostile_checks[] = {
    {"garbage", garbage_outside, 0, NULL},
    {"forgeries", forgeries, 0, NULL},
    {"mad-server", mad_server, 0, "pipe"},
    {"mad-server", mad_server, 0, "socket"},
    {"full-backlog", full_backlog, 0, "socket"},
    {0},
};
