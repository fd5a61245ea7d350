/*
 * strike.c - hostile clients; see live.h
 *
 * What any program of this user can do with the names that a server has made:
 * connect, write, send and map them, without the lab's code.
 *
 * It needs _GNU_SOURCE for usleep and syscall.
 */
#define _GNU_SOURCE
#include "live.h"

#include "../../shm/box.h"
#include "../world.h"
#include "bytes.h"
#include "cframe.h"
#include "crc32.h"
#include "guard.h"
#include "wire.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- random numbers -------------------------------------------------------- */

static uint64_t state = 1; /* xorshift64*, never 0 */

void live_seed(unsigned seed)
{
    state = ((uint64_t)seed << 1 | 1) * 0x9e3779b97f4a7c15u | 1;
}

uint32_t live_any(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)(state * 0x2545f4914f6cdd1du >> 32);
}

void live_fill(void *buf, size_t len)
{
    uint8_t *p = buf;

    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)live_any();
}

void live_pause(unsigned us)
{
    (void)usleep(us); /* shorter after a signal: no harm */
}

void live_open(struct live *live, unsigned gate)
{
    REQUIRE(sem_post(&live->gate[gate]) == 0);
}

void live_wait(struct live *live, unsigned gate)
{
    while (sem_wait(&live->gate[gate]) < 0)
        ; /* EINTR: no other error is possible */
}

static bool go_on(struct live *live, struct live_tally *mine)
{
    atomic_fetch_add(&mine->calls, 1);
    return !atomic_load(&live->over);
}

/* ---- nonsense that looks like a request -------------------------------------- */

/* Changes and removals of events that exist are no nonsense: an honest client
 * would rightly notice. */
static bool is_harmless(const uint8_t *message, size_t len)
{
    struct wire_request rq;

    return wire_get_request(&rq, message, len) != WIRE_OK ||
           (rq.op != WIRE_UPDATE && rq.op != WIRE_REMOVE);
}

/* A request, mostly well formed, then damaged: its length, at most `cap`. */
static size_t nonsense(uint8_t *out, size_t cap)
{
    uint8_t tail[300];
    struct wire_request rq = {.op = (uint8_t)(1 + live_any() % 9),
                              .flags = live_any() % 2,
                              .tag = live_any(),
                              .token = live_any() % 64,
                              .rev = live_any() % 4,
                              .id = live_any() % 32,
                              .start = (int32_t)live_any(),
                              .end = (int32_t)live_any(),
                              .after_id = live_any() % 8,
                              .limit = live_any() % 8,
                              .bytes = tail,
                              .bytes_len = live_any() % sizeof tail};
    ssize_t len;

    if (live_any() % 8 == 0) {
        len = 1 + (ssize_t)(live_any() % (cap < 600 ? cap : 600));
        live_fill(out, (size_t)len);
    } else {
        memset(tail, 'a', sizeof tail);
        len = wire_put_request(out, cap, &rq);
        if (len < 0)
            return 1;
    }
    for (unsigned n = live_any() % 4; n > 0; n--)
        out[live_any() % (size_t)len] = (uint8_t)live_any();
    if (live_any() % 8 == 0)
        len = 1 + (ssize_t)(live_any() % (size_t)len);
    if (!is_harmless(out, (size_t)len))
        out[0] ^= 0x80; /* of another version */
    return (size_t)len;
}

void strike_client(struct live *live, struct live_tally *mine,
                   struct tp_client *c)
{
    uint8_t *buf = malloc(c->max_msg);
    struct wire_reply rp;

    REQUIRE(buf != NULL);
    while (go_on(live, mine)) {
        size_t len = nonsense(buf, c->max_msg);
        ssize_t n;

        EXPECT_INT(0, tp_cli_send(c, buf, len, LIVE_DEADLINE));
        n = tp_cli_recv(c, buf, c->max_msg, LIVE_DEADLINE);
        harness_check(n > 0 && wire_get_reply(&rp, buf, (size_t)n) == 0, true,
                      __FILE__, __LINE__, "%s: a reply, got %zd", c->t->name,
                      n);
        live_pause(1000);
    }
    free(buf);
}

/* ---- the socket -------------------------------------------------------------- */

static int raw_connect(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char path[300];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    REQUIRE(fd >= 0);
    runtime_file(path, sizeof path, tp_find("socket"));
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%.100s", path);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Sends what it can; whether all of it arrives is of no interest. */
static void throw(int fd, const void *bytes, size_t len)
{
    (void)!send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void throw_frame(int fd, size_t claimed, const void *bytes, size_t len)
{
    uint8_t head[4];

    put32(head, (uint32_t)claimed);
    throw(fd, head, sizeof head);
    throw(fd, bytes, len);
}

/* Many requests for long replies, and none of them is read: the server waits
 * for room, for as long as it waits for anybody, and then drops it. */
static void ask_and_not_read(int fd)
{
    static uint8_t echo[16384] = {WIRE_VERSION, WIRE_ECHO};

    for (int i = 0; i < 64; i++)
        throw_frame(fd, sizeof echo, echo, sizeof echo);
}

static void hit_socket(int fd)
{
    static uint8_t junk[70000];
    size_t len = 1 + live_any() % 200;

    switch (live_any() % 8) {
    case 0: /* a length that can't be */
        throw_frame(fd, live_any() % 2 ? 0 : 65537 + live_any(), junk, len);
        break;
    case 1: /* more announced than sent */
        throw_frame(fd, len + 1 + live_any() % 1000, junk, len);
        break;
    case 2: /* less announced than sent */
        throw_frame(fd, 1 + live_any() % len, junk, len);
        break;
    case 3: /* anything */
        live_fill(junk, len);
        throw(fd, junk, len);
        break;
    case 4: /* byte by byte */
        len = nonsense(junk + 4, 600);
        put32(junk, (uint32_t)len);
        for (size_t i = 0; i < len + 4; i++)
            throw(fd, junk + i, 1);
        break;
    case 5: throw(fd, junk, live_any() % 4); break; /* half a head */
    case 6: throw_frame(fd, 65536, junk, sizeof junk); break;
    default:
        for (unsigned i = live_any() % 20; i > 0; i--) {
            len = nonsense(junk, 600);
            throw_frame(fd, len, junk, len);
        }
    }
}

/* It keeps a few connections: the others' places are theirs. */
void strike_socket(struct live *live, struct live_tally *mine)
{
    int fd[3] = {-1, -1, -1};

    live_open(live, PREPARED);
    for (unsigned n = 0; go_on(live, mine); n++) {
        int *one = &fd[live_any() % 3];

        if (*one >= 0 && live_any() % 2) {
            close(*one);
            *one = -1;
        }
        if (*one < 0)
            *one = raw_connect();
        if (*one >= 0 && n % 200 == 100)
            ask_and_not_read(*one);
        else if (*one >= 0)
            hit_socket(*one);
        live_pause(500);
    }
    for (int i = 0; i < 3; i++)
        if (fd[i] >= 0)
            close(fd[i]);
}

/* ---- the FIFO ---------------------------------------------------------------- */

/* One frame or what looks like one; its length. */
static size_t bad_frame(uint8_t out[PIPE_BUF])
{
    uint8_t payload[600];
    struct cframe f = {.slot = live_any() % TP_CLIENTS_MAX,
                       .generation = 0x10000 + live_any() % 1000,
                       .len = nonsense(payload, sizeof payload)};
    size_t len = cframe_put(out, &f, payload);

    switch (live_any() % 8) {
    case 0: out[live_any() % len] ^= 1; break;
    case 1: put32(out + 16, live_any()); break;
    case 2: put32(out + 12, live_any()); break;
    case 3: len = 1 + live_any() % len; break; /* the rest never comes */
    case 4: /* a length that is a lie, with the right checksum of the head */
        put16(out + 4, (uint16_t)live_any());
        put32(out + 16, crc32_of(out, 16));
        break;
    case 5:
        len = 1 + live_any() % PIPE_BUF;
        live_fill(out, len);
        break;
    case 6: /* the beginning of a frame, again and again */
        for (len = 0; len + 4 <= PIPE_BUF; len += 4)
            memcpy(out + len, "IPCF", 4);
        break;
    default: break; /* well formed, but from nobody */
    }
    return len;
}

void strike_fifo(struct live *live, struct live_tally *mine)
{
    uint8_t frame[PIPE_BUF];
    char path[300];
    int fd;

    runtime_file(path, sizeof path, tp_find("fifo"));
    fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    REQUIRE(fd >= 0);
    live_open(live, PREPARED);
    while (go_on(live, mine)) {
        (void)!write(fd, frame, bad_frame(frame)); /* full: another time */
        live_pause(300);
    }
    close(fd);
}

/* ---- the message queue ------------------------------------------------------- */

static mqd_t raw_queue(const char *file)
{
    char name[RUNDIR_OBJECT_MAX];

    object_name(name, file);
    return mq_open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

void strike_mqueue(struct live *live, struct live_tally *mine)
{
    mqd_t q = raw_queue("default.mqueue");
    uint8_t message[700];

    REQUIRE(q != (mqd_t)-1);
    live_open(live, PREPARED);
    while (go_on(live, mine)) {
        size_t len = 8 + nonsense(message + 8, sizeof message - 8);

        if (live_any() % 4)
            put32(message, 0x51435049u); /* "IPCQ" */
        put32(message + 4, peer_of(live_any() % 80, 0x10000 + live_any() % 99));
        if (live_any() % 8 == 0)
            len = live_any() % 9; /* without a payload, or nothing at all */
        (void)mq_send(q, (char *)message, len,
                      live_any() % 32); /* full: another time */
        live_pause(300);
    }
    mq_close(q);
}

/* Garbage into the reply queue of a client that has opened, and that hasn't
 * sent anything yet: then its queue still has a name. */
void strike_reply_queue(struct live *live, struct live_tally *mine)
{
    uint8_t junk[100];
    char file[32];
    mqd_t q[LIVE_CLIENTS];

    for (int i = 0; i < LIVE_CLIENTS; i++) {
        (void)snprintf(file, sizeof file, "default.mqueue.%d", i);
        q[i] = raw_queue(file);
    }
    live_open(live, PREPARED);
    while (go_on(live, mine)) {
        live_fill(junk, sizeof junk);
        for (int i = 0; i < LIVE_CLIENTS; i++)
            if (q[i] != (mqd_t)-1)
                (void)mq_send(q[i], (char *)junk, live_any() % sizeof junk, 0);
        live_pause(2000);
    }
    for (int i = 0; i < LIVE_CLIENTS; i++)
        if (q[i] != (mqd_t)-1)
            mq_close(q[i]);
}

/* ---- the segment ------------------------------------------------------------- */

/* Its first bytes: as in shm.c. */
struct head {
    alignas(SHM_LINE) _Atomic uint64_t rung;
    sem_t doorbell;
};

struct segment {
    struct head *head;
    size_t size, max_msg;
    int fd;
};

static void segment_open(struct segment *s)
{
    char name[RUNDIR_OBJECT_MAX];
    struct stat st;

    object_name(name, "default.shm");
    s->fd = shm_open(name, O_RDWR, 0);
    REQUIRE(s->fd >= 0 && fstat(s->fd, &st) == 0);
    s->size = (size_t)st.st_size;
    s->max_msg = tp_find("shm")->usual_msg;
    s->head = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    REQUIRE(s->head != MAP_FAILED);
    guard_add(s->head, s->size, dup(s->fd)); /* it may cut it itself */
}

static void segment_close(struct segment *s)
{
    guard_unmap(s->head, s->size);
    close(s->fd);
}

/* Which slot has this client got? The one in whose box its request lies. */
static unsigned slot_of(const struct segment *s, struct tp_client *c)
{
    uint8_t mark[WIRE_REQUEST_MIN + 8] = {WIRE_VERSION, WIRE_ECHO}, reply[100];
    unsigned slot = 0;

    live_fill(mark + 4, sizeof mark - 4);
    EXPECT_INT(0, tp_cli_send(c, mark, sizeof mark, LIVE_DEADLINE));
    while (slot < LIVE_CLIENTS &&
           memcmp(shm_box_at(s->head + 1, s->max_msg, 2 * slot)->payload, mark,
                  sizeof mark) != 0)
        slot++;
    REQUIRE(slot < LIVE_CLIENTS);
    REQUIRE(tp_cli_recv(c, reply, sizeof reply, LIVE_DEADLINE) > 0);
    return slot;
}

static void ring(struct segment *s, unsigned slot)
{
    atomic_fetch_or(&s->head->rung, UINT64_C(1) << slot);
    (void)sem_post(&s->head->doorbell); /* EOVERFLOW: scribbled over */
}

/* A request whose length and bytes change while the server reads them. */
static void shifting_request(struct segment *s, struct shm_box *box,
                             unsigned slot, uint64_t ticket)
{
    static const uint32_t lengths[] = {1, 40, 65536, 65537, UINT32_MAX, 0};

    shm_box_put(box, ticket, "\001\002", 2);
    ring(s, slot);
    for (unsigned i = 0; i < 2000; i++) {
        atomic_store(&box->len, lengths[i % 6]);
        box->payload[i % 64] = (uint8_t)i;
    }
}

/* The count and the number of who waits: what everybody who uses a semaphore
 * changes. (glibc and musl, 64 bits. The rest is for the C library alone.) */
static void fill_bell(sem_t *bell)
{
    static const uint32_t with[] = {0, 1, 2, 3, UINT32_MAX, 0x80000000};
    uint32_t words[2];

    for (int i = 0; i < 2; i++)
        words[i] = live_any() % 4 == 0 ? live_any() : with[live_any() % 6];
    memcpy(bell, words, sizeof words);
}

static void hit_segment(struct segment *s, unsigned slot, uint64_t ticket)
{
    struct shm_box *request = shm_box_at(s->head + 1, s->max_msg, 2 * slot);
    struct shm_box *reply = shm_box_at(s->head + 1, s->max_msg, 2 * slot + 1);
    uint8_t junk[600];

    switch (live_any() % 8) {
    case 0: shifting_request(s, request, slot, ticket); break;
    case 1: /* as a client does it, so far */
        shm_box_put(request, ticket, junk, nonsense(junk, sizeof junk));
        ring(s, slot);
        break;
    case 2:
        live_fill(request, sizeof *request + 64);
        ring(s, slot);
        break;
    case 3:
        live_fill(reply, offsetof(struct shm_box, bell));
        fill_bell(&reply->bell);
        live_fill(reply->payload, 64);
        break;
    case 4: fill_bell(&reply->bell); break;
    case 5: fill_bell(&s->head->doorbell); break;
    case 6:
        atomic_store(&s->head->rung, live_any() % 2 ? 0 : UINT64_MAX);
        break;
    default: /* everybody, all the time */
        for (int i = 0; i < 200; i++) {
            atomic_store(&s->head->rung, UINT64_MAX);
            (void)sem_post(&s->head->doorbell); /* as above */
        }
    }
}

/* It comes with a slot of its own, scribbles, and goes again: who gets the slot
 * next finds what it has left there. */
void strike_shm(struct live *live, struct live_tally *mine)
{
    struct tp_opts o = {.open_ms = LIVE_DEADLINE};
    struct segment s;

    segment_open(&s);
    live_open(live, PREPARED);
    while (go_on(live, mine)) {
        struct tp_client *c = NULL;
        unsigned slot;
        uint64_t generation;

        REQUIRE_INT(0, tp_cli_open(tp_find("shm"), &c, &o));
        slot = slot_of(&s, c);
        generation =
            shm_box_ticket(shm_box_at(s.head + 1, s.max_msg, 2 * slot)) >> 40;
        for (unsigned i = 0; i < 50 && go_on(live, mine); i++) {
            hit_segment(&s, slot, generation << 40 | (2 + i));
            live_pause(1000);
        }
        fill_bell(&shm_box_at(s.head + 1, s.max_msg, 2 * slot + 1)->bell);
        tp_cli_close(c);
        live_pause(20000);
    }
    segment_close(&s);
}

/* ---- the doorbell, spoilt once ----------------------------------------------- */

static bool doorbell_makes_sense(const struct segment *s)
{
    uint32_t words[2];

    memcpy(words, &s->head->doorbell, sizeof words);
    return words[0] < 1000 && words[1] == 1; /* count, waiters */
}

/* So many sleep there in the kernel, and sleep on: they are moved to where they
 * are already. futex(2) */
static long sleepers(const struct segment *s)
{
    return syscall(SYS_futex, &s->head->doorbell, FUTEX_CMP_REQUEUE, 0,
                   (long)INT_MAX, &s->head->doorbell, 0);
}

/* The server sleeps, and whoever posts will wake it. (That it counts as a waiter
 * isn't enough: it does so before it goes into the kernel.) */
static void await_sleep(const struct segment *s)
{
    unsigned long since = live_now_us();
    bool asleep;

    while (!(asleep = doorbell_makes_sense(s) && sleepers(s) == 1) &&
           live_now_us() - since < LIVE_DEADLINE * 1000)
        live_pause(100);
    harness_check(asleep, false, __FILE__, __LINE__,
                  "the doorbell isn't as it should be");
}

/* A hundred requests: with a doorbell that wakes nobody each would have to wait
 * until the server looks by itself, most of 100 ms. */
static void ask_often(struct tp_client *c)
{
    uint8_t ping[WIRE_REQUEST_MIN] = {WIRE_VERSION, WIRE_PING}, reply[100];
    unsigned long since = live_now_us();

    for (int i = 0; i < 100; i++) {
        EXPECT_INT(0, tp_cli_send(c, ping, sizeof ping, LIVE_DEADLINE));
        EXPECT(tp_cli_recv(c, reply, sizeof reply, LIVE_DEADLINE) > 0);
    }
    since = (live_now_us() - since) / 1000;
    harness_check(since < 6000, false, __FILE__, __LINE__,
                  "100 requests took %lu ms", since);
}

/* A count that takes minutes to count down, a number of waiters that is wrong
 * for good: the server gets over both by itself. */
void strike_doorbell(struct live *live, struct live_tally *mine)
{
    static const uint32_t words[][2] = {
        {INT32_MAX, 0}, {0, 0}, {3, UINT32_MAX}};
    struct tp_opts o = {.open_ms = LIVE_DEADLINE};
    struct tp_client *c = NULL;
    struct segment s;

    segment_open(&s);
    live_open(live, PREPARED);
    REQUIRE_INT(0, tp_cli_open(tp_find("shm"), &c, &o));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        await_sleep(&s);
        memcpy(&s.head->doorbell, words[i], sizeof words[i]);
        await_sleep(&s);
        ask_often(c);
        atomic_fetch_add(&mine->calls, 1);
    }
    tp_cli_close(c);
    segment_close(&s);
}

/* ---- beyond the threat model ------------------------------------------------- */

/* Bytes at the front of a semaphore that everybody who uses it changes; those
 * behind them the C library takes for its own. */
#define SEM_FRONT 8

/* Does this byte of the segment belong to the C library? */
static bool is_libc(const struct segment *s, size_t at)
{
    size_t box = shm_box_size(s->max_msg);
    size_t bell = offsetof(struct head, doorbell);

    if (at >= sizeof *s->head) {
        at = (at - sizeof *s->head) % box;
        bell = offsetof(struct shm_box, bell);
    }
    return at >= bell + SEM_FRONT && at < bell + sizeof(sem_t);
}

/* One piece of the segment, more often a box's head than payload. */
static void scribble(struct segment *s, bool everywhere)
{
    size_t at = live_any() % s->size, len = 1 + live_any() % 4096;
    uint8_t *bytes = (uint8_t *)s->head;

    if (live_any() % 2)
        at = (size_t)((uint8_t *)shm_box_at(s->head + 1, s->max_msg,
                                            live_any() % (2 * LIVE_CLIENTS)) -
                      bytes);
    for (; len > 0 && at < s->size; len--, at++)
        if (everywhere || !is_libc(s, at))
            bytes[at] = (uint8_t)live_any();
}

void strike_all_slots(struct live *live, struct live_tally *mine)
{
    struct segment s;

    segment_open(&s);
    live_open(live, PREPARED);
    while (go_on(live, mine)) {
        scribble(&s, false);
        ring(&s, live_any() % 64);
        live_pause(200);
    }
    segment_close(&s);
}

/* Who sleeps there, wakes, finds that nobody has posted, and calls the kernel
 * again with what it finds in the semaphore now. */
static void shake(sem_t *sem)
{
    (void)syscall(SYS_futex, sem, FUTEX_WAKE, 1, NULL, NULL, 0); /* or nobody */
}

/* From now on every call that the C library makes to the kernel for this
 * semaphore is one that the kernel doesn't know. */
static void spoil(sem_t *sem)
{
    uint32_t word;

    memcpy(&word, (uint8_t *)sem + SEM_FRONT, sizeof word);
    word |= UINT32_C(1) << 30;
    memcpy((uint8_t *)sem + SEM_FRONT, &word, sizeof word);
    shake(sem);
}

/* What makes the C library abort: semaphores that make no sense to it, and
 * pages that are gone when the kernel looks at them. Nobody dies of it. */
void strike_libc(struct live *live, struct live_tally *mine)
{
    struct segment s;

    segment_open(&s);
    live_open(live, PREPARED);
    while (go_on(live, mine)) {
        unsigned box = live_any() % (2 * LIVE_CLIENTS);

        if (live_any() % 4 == 0)
            EXPECT_INT(0, ftruncate(s.fd, 0));
        live_pause(live_any() % 2000);
        spoil(&s.head->doorbell);
        spoil(&shm_box_at(s.head + 1, s.max_msg, box)->bell);
        live_pause(live_any() % 2000);
    }
    segment_close(&s);
}

/* Everything at once, also what nobody gets over: a semaphore that makes the
 * kernel do something else than was asked for, and sleep as long as it likes. */
void strike_everywhere(struct live *live, struct live_tally *mine)
{
    struct segment s;

    segment_open(&s);
    live_open(live, PREPARED);
    while (go_on(live, mine)) {
        if (live_any() % 64 == 0)
            EXPECT_INT(0, ftruncate(s.fd, 0));
        scribble(&s, true);
        if (live_any() % 16 == 0) {
            live_fill(&s.head->doorbell, sizeof s.head->doorbell);
            memset(&s.head->doorbell, 0, sizeof(uint32_t)); /* no post */
            shake(&s.head->doorbell);
        }
        live_pause(200);
    }
    segment_close(&s);
}

static off_t size_now(const struct segment *s)
{
    struct stat st;

    REQUIRE(fstat(s->fd, &st) == 0);
    return st.st_size;
}

/* Cuts the segment while the server sleeps; the server must be the one that
 * finds it cut, and puts it back. Then it is asked something: its answer may be
 * lost, but there is an error, in time, and the next client is served. */
void strike_truncate(struct live *live, struct live_tally *mine)
{
    uint8_t ping[WIRE_REQUEST_MIN] = {WIRE_VERSION, WIRE_PING}, reply[100];
    struct tp_opts o = {.open_ms = LIVE_DEADLINE};
    struct tp_client *c = NULL;
    struct segment s;
    unsigned long since;

    segment_open(&s);
    live_open(live, PREPARED);
    REQUIRE_INT(0, tp_cli_open(tp_find("shm"), &c, &o));
    while (go_on(live, mine)) {
        await_sleep(&s);
        EXPECT_INT(0, ftruncate(s.fd, 0));
        since = live_now_us();
        while (size_now(&s) == 0 &&
               live_now_us() - since < LIVE_DEADLINE * 1000)
            live_pause(100);
        REQUIRE(size_now(&s) == (off_t)s.size);
        EXPECT_INT(0, tp_cli_send(c, ping, sizeof ping, LIVE_DEADLINE));
        if (tp_cli_recv(c, reply, sizeof reply, LIVE_DEADLINE) <= 0) {
            tp_cli_close(c); /* it doesn't know what became of its request */
            REQUIRE_INT(0, tp_cli_open(tp_find("shm"), &c, &o));
        }
    }
    tp_cli_close(c);
    segment_close(&s);
}
