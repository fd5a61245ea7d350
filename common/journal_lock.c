/*
 * journal_lock.c - see journal_lock.h
 *
 * Rests on: fcntl(2) open file description locks. Left out on purpose:
 * F_OFD_SETLKW, which waits: it knows no deadline but a signal, which a library
 * can't send itself unseen.
 *
 * It needs _GNU_SOURCE for F_OFD_SETLK: a lock of the open file, not of the
 * process, so that two stores in one process exclude each other too.
 */
#define _GNU_SOURCE
#include "journal_lock.h"

#include "clock.h"
#include "fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS   10 /* short for a person, and costs nothing */
#define NS_PER_MS 1000000L
#define PID_SIZE  24 /* digits, '\n' and '\0' */

/* Only what we write is in it: then it may be written over. A power loss may
 * have left NULs. */
static bool is_lock(int fd)
{
    char text[PID_SIZE];
    ssize_t n = pread(fd, text, sizeof text, 0);

    for (ssize_t i = 0; i < n; i++)
        if ((text[i] < '0' || text[i] > '9') && text[i] != '\n' &&
            text[i] != '\0')
            return false;
    return n >= 0 && n < (ssize_t)sizeof text;
}

/* The pid that stands in it, or -1. */
static long read_pid(int fd)
{
    char text[PID_SIZE];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid;

    if (n <= 0 || text[0] < '0' || text[0] > '9')
        return -1;
    text[n] = '\0';
    pid = strtol(text, NULL, 10);
    return pid > 0 ? pid : -1;
}

static void write_pid(int fd)
{
    char text[PID_SIZE];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        /* A full disk. The lock itself holds; only its name is missing. */
    }
}

/* 0, or -EBUSY when the time is over. */
static int wait_for(int fd, int wait_ms)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct timespec pause = {.tv_nsec = POLL_MS * NS_PER_MS};
    int64_t end = clock_now_ns() + (int64_t)wait_ms * NS_PER_MS;

    while (fcntl(fd, F_OFD_SETLK, &all) != 0) {
        if (errno != EAGAIN && errno != EACCES)
            return -errno;
        if (wait_ms >= 0 && clock_now_ns() >= end)
            return -EBUSY;
        (void)nanosleep(&pause, NULL); /* a signal only makes it shorter */
    }
    return 0;
}

static int open_lock(const char *path, int flags)
{
    char *name = file_beside(path, ".lock");
    int fd;

    if (name == NULL)
        return -ENOMEM;
    /* A link here isn't ours: we would write into what it leads to. */
    fd = open(name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        fd = errno == ELOOP ? -EEXIST : -errno;
    free(name);
    return fd;
}

int journal_lock(const char *path, int wait_ms, long *holder)
{
    int fd = open_lock(path, O_RDWR | O_CREAT), err;

    if (fd < 0)
        return fd;
    err = is_lock(fd) ? wait_for(fd, wait_ms) : -EEXIST;
    if (err == 0) {
        write_pid(fd);
        return fd;
    }
    *holder = err == -EBUSY ? read_pid(fd) : 0;
    (void)close(fd); /* nothing was written to it */
    return err;
}

long journal_lock_holder(const char *path)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char *real = realpath(path, NULL);
    int fd = real != NULL ? open_lock(real, O_RDONLY) : -1;
    long pid = 0;

    if (fd >= 0) {
        if (fcntl(fd, F_OFD_GETLK, &all) == 0 && all.l_type != F_UNLCK)
            pid = read_pid(fd);
        (void)close(fd); /* only read */
    }
    free(real);
    return pid;
}
