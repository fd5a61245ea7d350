/*
 * bare.c - see bare.h
 *
 *      client                                       server
 *      put(0) ----- request: pattern from turn on -----> take(0)
 *      take(1) <--- reply: pattern from turn + 1 on ---- put(1)
 *
 * Blocking and spinning differ as little as can be: for descriptors and queues
 * O_NONBLOCK alone makes the difference (the loop that repeats after EAGAIN
 * never turns when the call blocks); for shared memory it is a semaphore
 * against an atomic counter.
 *
 * All names are removed before anything is measured: whatever kills a process
 * of this, nothing is left behind.
 *
 * It needs _DEFAULT_SOURCE for MAP_ANONYMOUS and syscall(2), which POSIX 2008
 * lacks: futex(2) has no wrapper.
 */
#define _DEFAULT_SOURCE
#include "bare.h"

#include "case.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One direction through shared memory; each on cache lines of its own. */
struct lane {
    _Alignas(64) sem_t full; /* blocking: posted when the message is there */
    _Alignas(64) atomic_uint count; /* spinning: messages put so far */
    _Alignas(64) char message[];
};

struct bare {
    const struct mechanism *m;
    bool spin, alone;
    size_t size[2]; /* of a request, of a reply */
    char *pattern;
    char *out, *in; /* buffers of the longer size */
    unsigned turn;  /* requests so far: what the next payload must be */
    int fd[2][2];   /* [request, reply][read end, write end] */
    mqd_t queue[2];
    struct lane *lane[2]; /* one mapping */
    size_t lane_size;
};

struct mechanism {
    const char *name;
    int (*open)(struct bare *b);
    void (*close)(struct bare *b);
    int (*put)(struct bare *b, int way, const char *message, size_t len);
    int (*take)(struct bare *b, int way, char *message, size_t len);
};

/* ---- pipe, FIFO, socket: bytes through descriptors ---------------------- */

static int fd_put(struct bare *b, int way, const char *message, size_t len)
{
    while (len > 0) {
        ssize_t n = write(b->fd[way][1], message, len);

        if (n >= 0) {
            message += n;
            len -= (size_t)n;
        } else if (errno != EAGAIN) {
            return -errno;
        }
    }
    return 0;
}

static int fd_take(struct bare *b, int way, char *message, size_t len)
{
    while (len > 0) {
        ssize_t n = read(b->fd[way][0], message, len);

        if (n > 0) {
            message += n;
            len -= (size_t)n;
        } else if (n == 0) {
            return -EPIPE;
        } else if (errno != EAGAIN) {
            return -errno;
        }
    }
    return 0;
}

static void fd_close(struct bare *b)
{
    for (int i = 0; i < 4; i++)
        if (b->fd[i / 2][i % 2] >= 0)
            (void)close(b->fd[i / 2][i % 2]);
}

static int set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

static int fd_set_all(struct bare *b)
{
    int err = 0;

    for (int i = 0; i < 4 && !err; i++)
        err = set_nonblock(b->fd[i / 2][i % 2], b->spin);
    return err;
}

static int pipe_open(struct bare *b)
{
    if (pipe(b->fd[0]) < 0 || pipe(b->fd[1]) < 0)
        return -errno;
    return fd_set_all(b);
}

/* A full-duplex pair; the table wants a read and a write end for each way. */
static int socket_open(struct bare *b)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return -errno;
    b->fd[0][1] = pair[0]; /* the client's, both ways */
    b->fd[0][0] = pair[1]; /* the server's */
    b->fd[1][0] = dup(pair[0]);
    b->fd[1][1] = dup(pair[1]);
    if (b->fd[1][0] < 0 || b->fd[1][1] < 0)
        return -errno;
    return fd_set_all(b);
}

/* Both ends in one process: the reader first and without blocking, because
 * open(2) of a FIFO otherwise waits for the other side. */
static int fifo_pair(const char *path, int fd[2])
{
    int err = 0;

    if (mkfifo(path, 0600) < 0)
        return -errno;
    fd[0] = open(path, O_RDONLY | O_NONBLOCK);
    fd[1] = fd[0] < 0 ? -1 : open(path, O_WRONLY);
    if (fd[1] < 0)
        err = -errno;
    (void)unlink(path); /* made above, by us */
    return err;
}

static int fifo_open(struct bare *b)
{
    const char *tmp = getenv("TMPDIR");
    char dir[200], path[sizeof dir + 8];
    int err;

    if ((size_t)snprintf(dir, sizeof dir, "%s/ipcbench-XXXXXX",
                         tmp && *tmp ? tmp : "/tmp") >= sizeof dir)
        return -ENAMETOOLONG;
    if (!mkdtemp(dir))
        return -errno;
    (void)snprintf(path, sizeof path, "%s/fifo", dir);
    err = fifo_pair(path, b->fd[0]);
    if (!err)
        err = fifo_pair(path, b->fd[1]);
    (void)rmdir(dir); /* empty again */
    return err ? err : fd_set_all(b);
}

/* ---- POSIX message queue ------------------------------------------------ */

static int queue_put(struct bare *b, int way, const char *message, size_t len)
{
    while (mq_send(b->queue[way], message, len, 0) < 0)
        if (errno != EAGAIN)
            return -errno;
    return 0;
}

static int queue_take(struct bare *b, int way, char *message, size_t len)
{
    ssize_t n;

    while ((n = mq_receive(b->queue[way], message, len, NULL)) < 0)
        if (errno != EAGAIN)
            return -errno;
    return (size_t)n == len ? 0 : -EBADMSG;
}

static int queue_open(struct bare *b)
{
    char name[64];

    for (int way = 0; way < 2; way++) {
        struct mq_attr attr = {.mq_maxmsg = 1,
                               .mq_msgsize = (long)b->size[way]};
        int flags = O_RDWR | O_CREAT | O_EXCL | (b->spin ? O_NONBLOCK : 0);

        (void)snprintf(name, sizeof name, "/ipcbench-%ld", (long)getpid());
        b->queue[way] = mq_open(name, flags, 0600, &attr);
        if (b->queue[way] == (mqd_t)-1)
            /* EINVAL is what mq_open says of a size above msgsize_max. */
            return errno == EINVAL ? -EMSGSIZE : -errno;
        (void)mq_unlink(name); /* made above, by us */
    }
    return 0;
}

static void queue_close(struct bare *b)
{
    for (int way = 0; way < 2; way++)
        if (b->queue[way] != (mqd_t)-1)
            (void)mq_close(b->queue[way]);
}

/* ---- shared memory ------------------------------------------------------ */

/* A semaphore that nobody waits for, or that is already posted, makes no
 * system call. Alone, it makes the one that it would otherwise have made:
 * one that finds nobody to wake, or no reason to sleep. */
static void futex_call(struct lane *l, int op)
{
    (void)syscall(SYS_futex, (uint32_t *)(void *)&l->count, op,
                  op == FUTEX_WAKE ? 1 : -1, NULL, NULL, 0);
}

static int lane_put(struct bare *b, int way, const char *message, size_t len)
{
    struct lane *l = b->lane[way];

    memcpy(l->message, message, len);
    if (b->alone)
        futex_call(l, FUTEX_WAKE);
    if (!b->spin)
        return sem_post(&l->full) < 0 ? -errno : 0;
    /* release: who sees the new count sees the message as well. One writer a
     * lane, so a plain store would do; but a locked addition sends the count
     * on its way at once, where a store waits in the CPU's store buffer. */
    (void)atomic_fetch_add_explicit(&l->count, 1, memory_order_release);
    return 0;
}

/* In turn the two sides wait for message number turn + 1 of their lane. */
static int lane_take(struct bare *b, int way, char *message, size_t len)
{
    struct lane *l = b->lane[way];

    if (b->alone)
        futex_call(l, FUTEX_WAIT);
    if (b->spin) {
        while (atomic_load_explicit(&l->count, memory_order_acquire) == b->turn)
            ;
    } else if (sem_wait(&l->full) < 0) {
        return -errno;
    }
    memcpy(message, l->message, len);
    return 0;
}

static int lane_open(struct bare *b)
{
    size_t longer = b->size[0] > b->size[1] ? b->size[0] : b->size[1];
    char *at;

    b->lane_size = (sizeof(struct lane) + longer + 63) / 64 * 64;
    at = mmap(NULL, 2 * b->lane_size, PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return -errno;
    for (int way = 0; way < 2; way++) {
        b->lane[way] = (struct lane *)(void *)(at + (size_t)way * b->lane_size);
        if (sem_init(&b->lane[way]->full, 1, 0) < 0)
            return -errno;
    }
    return 0;
}

static void lane_close(struct bare *b)
{
    if (b->lane[0])
        (void)munmap(b->lane[0], 2 * b->lane_size);
}

/* ---- eventfd: a token --------------------------------------------------- */

static int token_put(struct bare *b, int way, const char *message, size_t len)
{
    const uint64_t one = 1;

    (void)message, (void)len;
    while (write(b->fd[way][1], &one, sizeof one) < 0)
        if (errno != EAGAIN)
            return -errno;
    return 0;
}

/* The kernel keeps a number, no bytes: what is "received" was known before. */
static int token_take(struct bare *b, int way, char *message, size_t len)
{
    uint64_t count;

    while (read(b->fd[way][0], &count, sizeof count) < 0)
        if (errno != EAGAIN)
            return -errno;
    memcpy(message, b->pattern + (b->turn + (unsigned)way) % PATTERN_STEP, len);
    return count == 1 ? 0 : -EBADMSG;
}

static int token_open(struct bare *b)
{
    for (int way = 0; way < 2; way++) {
        b->fd[way][0] = eventfd(0, b->spin ? EFD_NONBLOCK : 0);
        if (b->fd[way][0] < 0)
            return -errno;
        b->fd[way][1] = dup(b->fd[way][0]);
        if (b->fd[way][1] < 0)
            return -errno;
    }
    return 0;
}

/* ---- the ping-pong, over any of them ------------------------------------ */

static const struct mechanism mechanisms[] = {
    {"pipe", pipe_open, fd_close, fd_put, fd_take},
    {"fifo", fifo_open, fd_close, fd_put, fd_take},
    {"mqueue", queue_open, queue_close, queue_put, queue_take},
    {"shm", lane_open, lane_close, lane_put, lane_take},
    {"socket", socket_open, fd_close, fd_put, fd_take},
    {BARE_TOKEN, token_open, fd_close, token_put, token_take},
};

static const struct mechanism *find(const char *name)
{
    for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++)
        if (strcmp(mechanisms[i].name, name) == 0)
            return &mechanisms[i];
    return NULL;
}

bool bare_exists(const char *transport)
{
    return find(transport) != NULL;
}

static void bare_drop(void *self)
{
    struct bare *b = self;

    b->m->close(b);
    free(b->pattern);
    free(b->out);
    free(b->in);
    free(b);
}

static int bare_prepare(void **self, const struct conditions *c, char *why)
{
    struct bare *b = calloc(1, sizeof *b);
    size_t longer;
    int err = -ENOMEM;

    (void)why;
    if (!b)
        return err;
    *b = (struct bare){.m = find(c->transport),
                       .spin = c->wait == TP_SPIN,
                       .alone = c->kind == KIND_ALONE,
                       .size = {case_request_size(c), c->size},
                       .fd = {{-1, -1}, {-1, -1}},
                       .queue = {(mqd_t)-1, (mqd_t)-1}};
    longer = b->size[0] > b->size[1] ? b->size[0] : b->size[1];
    b->pattern = pattern_new(longer);
    b->out = malloc(longer);
    b->in = malloc(longer);
    if (b->pattern && b->out && b->in)
        err = b->m->open(b);
    if (err)
        bare_drop(b);
    else
        *self = b;
    return err;
}

static const char *payload(const struct bare *b, unsigned number)
{
    return b->pattern + number % PATTERN_STEP;
}

static int send_payload(struct bare *b, int way, unsigned number)
{
    memcpy(b->out, payload(b, number), b->size[way]);
    return b->m->put(b, way, b->out, b->size[way]);
}

/* A wrong request gets a wrong reply: so the client knows, and says it. */
static int bare_serve(void *self, const atomic_bool *stop)
{
    struct bare *b = self;
    int err;

    (void)stop; /* SIGTERM may simply kill it: there is no name to remove */
    (void)sigaction(SIGTERM, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    for (;; b->turn++) {
        bool good;

        err = b->m->take(b, 0, b->in, b->size[0]);
        if (err)
            return err == -EPIPE ? 0 : err;
        good = memcmp(b->in, payload(b, b->turn), b->size[0]) == 0;
        err = send_payload(b, 1, b->turn + (good ? 1 : 2));
        if (err)
            return err == -EPIPE ? 0 : err;
    }
}

static int bare_join(void *self, unsigned index, char *why)
{
    (void)self, (void)index, (void)why; /* all ends were inherited */
    return 0;
}

static int bare_call(void *self)
{
    struct bare *b = self;
    int err = send_payload(b, 0, b->turn);

    return err ? err : b->m->take(b, 1, b->in, b->size[1]);
}

/* Both sides in turn, each message put before it is taken. */
static int alone_call(void *self)
{
    struct bare *b = self;
    int err = send_payload(b, 0, b->turn);

    if (!err)
        err = b->m->take(b, 0, b->in, b->size[0]);
    if (!err && memcmp(b->in, payload(b, b->turn), b->size[0]) != 0)
        err = -EBADMSG;
    if (!err)
        err = send_payload(b, 1, b->turn + 1);
    return err ? err : b->m->take(b, 1, b->in, b->size[1]);
}

static int bare_check(void *self)
{
    struct bare *b = self;

    b->turn++;
    return memcmp(b->in, payload(b, b->turn), b->size[1]) ? -EBADMSG : 0;
}

static void bare_leave(void *self, pid_t server)
{
    (void)self, (void)server;
}

const struct subject bare_subject = {.prepare = bare_prepare,
                                     .serve = bare_serve,
                                     .join = bare_join,
                                     .call = bare_call,
                                     .check = bare_check,
                                     .leave = bare_leave,
                                     .drop = bare_drop};

const struct subject alone_subject = {.prepare = bare_prepare,
                                      .join = bare_join,
                                      .call = alone_call,
                                      .check = bare_check,
                                      .leave = bare_leave,
                                      .drop = bare_drop};
