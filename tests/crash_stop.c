/*
 * crash_stop.c - see crash_stop.h
 *
 * Each wrapper has the same four lines: before, half, the real call, after.
 * The names are those of the table in crash_step.c.
 *
 * It needs _GNU_SOURCE for memmem, sem_clockwait and F_OFD_SETLK.
 */
#define _GNU_SOURCE
#include "crash_stop.h"
#include "clock.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define GATE_S 10 /* longer than two calls of a client, which tell more */
#define FEW    8  /* bytes of a read that may end half-way */

struct stage *stage;

/* Of this process. */
static struct {
    const struct step *step; /* NULL: not armed */
    const char *call;
    bool hold;
    atomic_bool fired;
    _Atomic enum phase phase;
    enum phase counts; /* from this phase on; NOWHERE: not at all */
    const struct transport *watched; /* the server: its transport */
    const char *segment, *segment_end;
} here;

int __real_sem_post(sem_t *s);

/* ---- gates -------------------------------------------------------------- */

void gate_open(enum gate g)
{
    (void)__real_sem_post(&stage->gate[g]); /* EOVERFLOW: never that many */
}

void gate_wait(enum gate g)
{
    static const char *const names[GATES] = {
        "the server serves",
        "neighbour and stranger may begin",
        "one of the innocent has had its first answer",
        "the asker may begin",
        "the asker has had its answer",
        "the server stands at its stop point",
        "the server may go on",
        "the marked reply has been sent",
        "one of the innocent had answers since the death",
        "the dead server is gone",
        "a survivor has seen the server's death",
        "the next server serves",
        "the heir may begin",
        "the heir has been served",
        "the heir may leave",
        "the process to be killed is watched"};
    struct timespec t;
    int r;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* can't fail on Linux */
    t.tv_sec += GATE_S;
    do {
        r = sem_clockwait(&stage->gate[g], CLOCK_MONOTONIC, &t);
    } while (r < 0 && errno == EINTR);
    harness_check(r == 0, true, __FILE__, __LINE__, "waited %d s in vain: %s",
                  GATE_S, names[g]);
}

/* ---- the stop point ------------------------------------------------------ */

void stop_arm(const struct step *step, const char *call, bool hold)
{
    here.step = step;
    here.call = call;
    here.hold = hold;
}

void stop_watch(const struct transport *t)
{
    here.watched = t;
}

static bool is_armed(void)
{
    return here.step && !atomic_load(&here.fired);
}

static bool is_it(const char *call, enum when when)
{
    return is_armed() && here.call && here.step->when == when &&
           here.step->phase == atomic_load(&here.phase) &&
           strcmp(here.call, call) == 0;
}

static void stop_now(void)
{
    if (atomic_exchange(&here.fired, true))
        return;
    atomic_store(&stage->reached, true);
    if (here.hold) {
        gate_open(HERE);
        gate_wait(GO_ON);
        return;
    }
    atomic_store(&stage->died, clock_now_ns());
    (void)kill(getpid(), SIGKILL); /* ourselves: can't fail */
    for (;;)
        (void)pause(); /* in a server, another thread may be told first */
}

static void stop_if(const char *call, enum when when)
{
    if (is_it(call, when))
        stop_now();
}

void stop_count(enum phase p)
{
    here.counts = p;
}

void stop_phase(enum phase p)
{
    atomic_store(&here.phase, p);
    if (p == here.counts)
        atomic_store(&stage->counting, true);
    if (is_armed() && !here.call && here.step->phase == p)
        stop_now();
}

/* ---- which call is meant ------------------------------------------------- */

static bool is_marked(const void *bytes, size_t n)
{
    return memmem(bytes, n, MARK, sizeof MARK - 1) != NULL;
}

/* The same for bytes that come few at a time: are they the mark's last ones? */
static bool completes_mark(const char *bytes, size_t n)
{
    static _Thread_local char last[2 * FEW];

    if (n > FEW)
        return is_marked(bytes, n);
    memmove(last, last + n, sizeof last - n);
    memcpy(last + sizeof last - n, bytes, n);
    return is_marked(last, sizeof last);
}

static mode_t type_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? st.st_mode & S_IFMT : 0;
}

static bool is_channel(int fd)
{
    mode_t type = type_of(fd);

    return type == S_IFIFO || type == S_IFSOCK;
}

static bool in_segment(const void *p)
{
    return here.segment && (const char *)p >= here.segment &&
           (const char *)p < here.segment_end;
}

/* A marked message has gone out whole. From the server it is the reply. */
static void sent(const char *call)
{
    if (here.watched)
        gate_open(REPLIED);
    stop_if(call, AFTER);
}

/* A client that dies before it reads its reply: the reply is there. */
static void stop_before_reading(const char *call)
{
    if (!is_it(call, BEFORE))
        return;
    gate_wait(REPLIED);
    stop_now();
}

/* ---- sending ------------------------------------------------------------- */

ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n);
ssize_t __real_writev(int fd, const struct iovec *v, int n);
ssize_t __wrap_writev(int fd, const struct iovec *v, int n);
ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
int __real_mq_timedsend(mqd_t q, const char *buf, size_t n, unsigned prio,
                        const struct timespec *at);
int __wrap_mq_timedsend(mqd_t q, const char *buf, size_t n, unsigned prio,
                        const struct timespec *at);
void *__real_memcpy(void *to, const void *from, size_t n);
void *__wrap_memcpy(void *to, const void *from, size_t n);
int __wrap_sem_post(sem_t *s);

/* The journal's line, and a frame in a FIFO. */
ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
    const char *call = "write (journal)";
    ssize_t r;

    if (!is_marked(buf, n))
        return __real_write(fd, buf, n);
    if (type_of(fd) != S_IFREG)
        call = "write";
    stop_if(call, BEFORE);
    if (is_it(call, HALF)) {
        r = __real_write(fd, buf, n / 2);
        stop_now();
        return r;
    }
    r = __real_write(fd, buf, n);
    if (r == (ssize_t)n && strcmp(call, "write") == 0)
        sent(call);
    else if (r == (ssize_t)n)
        stop_if(call, AFTER);
    return r;
}

/* The first half of a list of two pieces; returns how many bytes there are in
 * all. */
static size_t halve(struct iovec out[2], const struct iovec v[2])
{
    size_t all = v[0].iov_len + v[1].iov_len, half = all / 2;

    out[0] = v[0];
    out[1] = v[1];
    if (out[0].iov_len > half)
        out[0].iov_len = half;
    out[1].iov_len = half - out[0].iov_len;
    return all;
}

ssize_t __wrap_writev(int fd, const struct iovec *v, int n)
{
    struct iovec half[2];
    size_t all;
    ssize_t r;

    if (n != 2 || !is_marked(v[1].iov_base, v[1].iov_len))
        return __real_writev(fd, v, n);
    all = halve(half, v);
    stop_if("writev", BEFORE);
    if (is_it("writev", HALF)) {
        r = __real_writev(fd, half, 2);
        stop_now();
        return r;
    }
    r = __real_writev(fd, v, n);
    if (r == (ssize_t)all)
        sent("writev");
    return r;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
    struct msghdr copy = *m;
    struct iovec half[2];
    size_t all;
    ssize_t r;

    if (m->msg_iovlen != 2 ||
        !is_marked(m->msg_iov[1].iov_base, m->msg_iov[1].iov_len))
        return __real_sendmsg(fd, m, flags);
    all = halve(half, m->msg_iov);
    stop_if("sendmsg", BEFORE);
    if (is_it("sendmsg", HALF)) {
        copy.msg_iov = half;
        r = __real_sendmsg(fd, &copy, flags);
        stop_now();
        return r;
    }
    r = __real_sendmsg(fd, m, flags);
    if (r == (ssize_t)all)
        sent("sendmsg");
    return r;
}

int __wrap_mq_timedsend(mqd_t q, const char *buf, size_t n, unsigned prio,
                        const struct timespec *at)
{
    int r;

    if (!is_marked(buf, n))
        return __real_mq_timedsend(q, buf, n, prio, at);
    stop_if("mq_timedsend", BEFORE);
    r = __real_mq_timedsend(q, buf, n, prio, at);
    if (r == 0)
        sent("mq_timedsend");
    return r;
}

/* Shared memory: a marked message has been put into a box, and what makes it
 * a message (its ticket, its bell) comes next. */
static _Thread_local bool boxed;

/* Into a box, or out of one. */
void *__wrap_memcpy(void *to, const void *from, size_t n)
{
    const char *call = in_segment(to)     ? "memcpy in"
                       : in_segment(from) ? "memcpy out"
                                          : NULL;

    if (!call || !is_marked(from, n))
        return __real_memcpy(to, from, n);
    if (in_segment(to))
        stop_if(call, BEFORE);
    else
        stop_before_reading(call);
    if (is_it(call, HALF)) {
        (void)__real_memcpy(to, from, n / 2);
        stop_now();
    }
    (void)__real_memcpy(to, from, n);
    boxed = in_segment(to);
    stop_if(call, AFTER);
    return to;
}

int __wrap_sem_post(sem_t *s)
{
    bool bell = boxed && in_segment(s);
    int r;

    if (!bell)
        return __real_sem_post(s);
    boxed = false;
    stop_if("sem_post", BEFORE);
    r = __real_sem_post(s);
    sent("sem_post");
    return r;
}

/* ---- receiving ----------------------------------------------------------- */

ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n);
ssize_t __real_mq_timedreceive(mqd_t q, char *buf, size_t n, unsigned *prio,
                               const struct timespec *at);
ssize_t __wrap_mq_timedreceive(mqd_t q, char *buf, size_t n, unsigned *prio,
                               const struct timespec *at);
ssize_t __real_tp_srv_recv(struct tp_server *srv, tp_peer *from, void *buf,
                           size_t cap, int ms);
ssize_t __wrap_tp_srv_recv(struct tp_server *srv, tp_peer *from, void *buf,
                           size_t cap, int ms);

/* To stop half-way, each read takes a few bytes only (which is its right): the
 * mark stands near a message's front, and the rest stays unread. */
ssize_t __wrap_read(int fd, void *buf, size_t n)
{
    ssize_t r;

    if (!is_armed() || !is_channel(fd))
        return __real_read(fd, buf, n);
    stop_before_reading("read");
    if (n > FEW && is_it("read", HALF))
        n = FEW;
    r = __real_read(fd, buf, n);
    if (r > 0 && completes_mark(buf, (size_t)r)) {
        stop_if("read", HALF);
        stop_if("read", AFTER);
    }
    return r;
}

ssize_t __wrap_mq_timedreceive(mqd_t q, char *buf, size_t n, unsigned *prio,
                               const struct timespec *at)
{
    ssize_t r;

    stop_before_reading("mq_timedreceive");
    r = __real_mq_timedreceive(q, buf, n, prio, at);
    if (r > 0 && is_marked(buf, (size_t)r))
        stop_if("mq_timedreceive", AFTER);
    return r;
}

/* With ms 0 the server asks for more while it holds replies back: it isn't
 * idle then. Its opening ends with its first look for messages, since only
 * then is a pipe's server complete. */
ssize_t __wrap_tp_srv_recv(struct tp_server *srv, tp_peer *from, void *buf,
                           size_t cap, int ms)
{
    ssize_t n;

    if (srv->t != here.watched)
        return __real_tp_srv_recv(srv, from, buf, cap, ms);
    if (ms != 0 && atomic_load(&stage->idle))
        stop_if("tp_srv_recv", BEFORE);
    n = __real_tp_srv_recv(srv, from, buf, cap, ms);
    if (n == 0)
        atomic_fetch_add(&stage->left, 1);
    if (atomic_load(&here.phase) == OPENING)
        stop_phase(WORKING);
    return n;
}

/* ---- opening and closing -------------------------------------------------- */

int __real_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...);
int __real_mkfifoat(int dir, const char *name, mode_t mode);
int __wrap_mkfifoat(int dir, const char *name, mode_t mode);
mqd_t __real_mq_open(const char *name, int flags, ...);
mqd_t __wrap_mq_open(const char *name, int flags, ...);
void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
int __real_bind(int fd, const struct sockaddr *a, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *a, socklen_t len);
int __real_connect(int fd, const struct sockaddr *a, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *a, socklen_t len);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_mq_close(mqd_t q);
int __wrap_mq_close(mqd_t q);
int __real_munmap(void *at, size_t n);
int __wrap_munmap(void *at, size_t n);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __real_mq_unlink(const char *name);
int __wrap_mq_unlink(const char *name);
int __real_shm_unlink(const char *name);
int __wrap_shm_unlink(const char *name);

/* What a call gave, and the stop after it if it worked. */
static int done(const char *call, int r)
{
    int err = errno;

    if (r >= 0)
        stop_if(call, AFTER);
    errno = err;
    return r;
}

/* The third argument is a pointer or an int; both travel as a long. */
int __wrap_fcntl(int fd, int cmd, ...)
{
    va_list ap;
    void *arg;
    int r;

    va_start(ap, cmd);
    arg = va_arg(ap, void *);
    va_end(ap);
    r = __real_fcntl(fd, cmd, arg);
    return cmd == F_OFD_SETLK ? done("fcntl", r) : r;
}

int __wrap_mkfifoat(int dir, const char *name, mode_t mode)
{
    return done("mkfifoat", __real_mkfifoat(dir, name, mode));
}

mqd_t __wrap_mq_open(const char *name, int flags, ...)
{
    struct mq_attr *attr;
    unsigned mode;
    va_list ap;

    if (!(flags & O_CREAT))
        return __real_mq_open(name, flags);
    va_start(ap, flags);
    mode = va_arg(ap, unsigned);
    attr = va_arg(ap, struct mq_attr *);
    va_end(ap);
    return done("mq_open", __real_mq_open(name, flags, mode, attr));
}

void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
    char *p = __real_mmap(at, n, prot, flags, fd, off);

    if (p == MAP_FAILED || fd < 0 || !(flags & MAP_SHARED))
        return p;
    here.segment = p;
    here.segment_end = p + n;
    stop_if("mmap", AFTER);
    return p;
}

int __wrap_bind(int fd, const struct sockaddr *a, socklen_t len)
{
    return done("bind", __real_bind(fd, a, len));
}

int __wrap_connect(int fd, const struct sockaddr *a, socklen_t len)
{
    return done("connect", __real_connect(fd, a, len));
}

int __wrap_close(int fd)
{
    bool channel = is_armed() && is_channel(fd);
    int r = __real_close(fd);

    return channel ? done("close", r) : r;
}

int __wrap_mq_close(mqd_t q)
{
    return done("mq_close", __real_mq_close(q));
}

int __wrap_munmap(void *at, size_t n)
{
    if (in_segment(at))
        here.segment = NULL;
    return done("munmap", __real_munmap(at, n));
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
    return done("unlinkat", __real_unlinkat(dir, name, flags));
}

int __wrap_mq_unlink(const char *name)
{
    return done("mq_unlink", __real_mq_unlink(name));
}

int __wrap_shm_unlink(const char *name)
{
    return done("shm_unlink", __real_shm_unlink(name));
}

/* ---- what a power loss would leave ---------------------------------------- */

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

/* The journal's size before the call: what is written meanwhile may miss it. */
static int sync_noted(int fd, int (*real)(int))
{
    struct stat st = {0};
    int r;

    if (!here.watched || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return real(fd);
    r = real(fd);
    if (r == 0 && st.st_size > atomic_load(&stage->synced))
        atomic_store(&stage->synced, st.st_size);
    return r;
}

int __wrap_fdatasync(int fd)
{
    return sync_noted(fd, __real_fdatasync);
}

int __wrap_fsync(int fd)
{
    return sync_noted(fd, __real_fsync);
}
