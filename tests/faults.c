/*
 * faults.c - see faults.h
 */
#include "faults.h"

#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

bool faults_short_io;
bool faults_die_in_send;

ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n);
ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n);
ssize_t __real_writev(int fd, const struct iovec *v, int n);
ssize_t __wrap_writev(int fd, const struct iovec *v, int n);
ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
int __real_mq_send(mqd_t q, const char *buf, size_t n, unsigned prio);
int __wrap_mq_send(mqd_t q, const char *buf, size_t n, unsigned prio);
int __real_mq_timedsend(mqd_t q, const char *buf, size_t n, unsigned prio,
                        const struct timespec *at);
int __wrap_mq_timedsend(mqd_t q, const char *buf, size_t n, unsigned prio,
                        const struct timespec *at);
int __real_sem_post(sem_t *s);
int __wrap_sem_post(sem_t *s);

static void die(void)
{
    kill(getpid(), SIGKILL);
}

/* 1 to 7 bytes, or all when nothing is to go wrong. */
static size_t few(size_t n)
{
    size_t most = (size_t)(rand() % 7) + 1;

    return faults_short_io && n > most ? most : n;
}

/* The first `limit` bytes of a list of two pieces. */
static void cut(struct iovec out[2], const struct iovec *v, size_t limit)
{
    out[0] = v[0];
    out[1] = v[1];
    if (out[0].iov_len >= limit) {
        out[0].iov_len = limit;
        limit = 0;
    } else {
        limit -= out[0].iov_len;
    }
    if (out[1].iov_len > limit)
        out[1].iov_len = limit;
}

/* How many bytes of a list of two pieces to send now. */
static size_t allowed(const struct iovec *v)
{
    size_t n = v[0].iov_len + v[1].iov_len;

    return faults_die_in_send ? n / 2 : few(n);
}

ssize_t __wrap_read(int fd, void *buf, size_t n)
{
    return __real_read(fd, buf, few(n));
}

ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
    if (faults_die_in_send) {
        (void)!__real_write(fd, buf, n / 2); /* the half is the point */
        die();
    }
    return __real_write(fd, buf, n);
}

ssize_t __wrap_writev(int fd, const struct iovec *v, int n)
{
    struct iovec part[2];
    ssize_t r;

    if (n != 2 || !(faults_short_io || faults_die_in_send))
        return __real_writev(fd, v, n);
    cut(part, v, allowed(v));
    r = __real_writev(fd, part, 2);
    if (faults_die_in_send)
        die();
    return r;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
    struct iovec part[2];
    struct msghdr copy = *m;
    ssize_t r;

    if (m->msg_iovlen != 2 || !(faults_short_io || faults_die_in_send))
        return __real_sendmsg(fd, m, flags);
    cut(part, m->msg_iov, allowed(m->msg_iov));
    copy.msg_iov = part;
    r = __real_sendmsg(fd, &copy, flags);
    if (faults_die_in_send)
        die();
    return r;
}

int __wrap_mq_send(mqd_t q, const char *buf, size_t n, unsigned prio)
{
    if (faults_die_in_send)
        die();
    return __real_mq_send(q, buf, n, prio);
}

int __wrap_mq_timedsend(mqd_t q, const char *buf, size_t n, unsigned prio,
                        const struct timespec *at)
{
    if (faults_die_in_send)
        die();
    return __real_mq_timedsend(q, buf, n, prio, at);
}

int __wrap_sem_post(sem_t *s)
{
    if (faults_die_in_send)
        die();
    return __real_sem_post(s);
}
