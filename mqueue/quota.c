/*
 * quota.c - see quota.h
 */
#include "quota.h"

#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define USUAL_SIZE   8192 /* msgsize_max, unless somebody has changed it */
#define USUAL_LENGTH 10   /* msg_max, likewise */
#define SMALLEST     512  /* without a wish, less than this is refused */
#define OVERHEAD                                                               \
    128 /* what the kernel counts beside a message's bytes;
                           less than 100 on a 64-bit machine */

int mqueue_probe(char *why, size_t cap)
{
    if (mq_unlink("/ipclab-probe-no-such-queue") == 0 || errno != ENOSYS)
        return 0;
    snprintf(why, cap, "this kernel has no POSIX message queues");
    return -ENOSYS;
}

/* A limit from /proc/sys/fs/mqueue, or its usual value. */
static size_t kernel_limit(const char *name, size_t usual)
{
    char path[64];
    size_t v = usual;
    FILE *f;

    snprintf(path, sizeof path, "/proc/sys/fs/mqueue/%s", name);
    f = fopen(path, "r");
    if (!f)
        return usual;
    if (fscanf(f, "%zu", &v) != 1)
        v = usual;
    fclose(f);
    return v;
}

int mqueue_choose_size(const struct tp_opts *opts, size_t head, size_t *max_msg)
{
    size_t most = kernel_limit("msgsize_max", USUAL_SIZE);
    size_t messages = (size_t)opts->clients * opts->depth + MQUEUE_REQUESTS;
    size_t size = opts->max_msg ? opts->max_msg + head : USUAL_SIZE;
    size_t room = SIZE_MAX; /* for one message */
    struct rlimit r;

    if (getrlimit(RLIMIT_MSGQUEUE, &r) < 0)
        return -errno;
    if (r.rlim_cur != RLIM_INFINITY)
        room = r.rlim_cur / messages;
    if (opts->depth > kernel_limit("msg_max", USUAL_LENGTH))
        return tp_why(opts, -ENOBUFS,
                      "a queue can't hold %u messages; raise "
                      "/proc/sys/fs/mqueue/msg_max",
                      opts->depth);
    if (opts->max_msg && size > most)
        return tp_why(opts, -EMSGSIZE,
                      "a queue's message has at most %zu bytes here; raise "
                      "/proc/sys/fs/mqueue/msgsize_max",
                      most);
    if (!opts->max_msg && size > most)
        size = most;
    if (!opts->max_msg && size + OVERHEAD > room && room > OVERHEAD)
        size = (room - OVERHEAD) / 64 * 64;
    if (size + OVERHEAD > room || (!opts->max_msg && size < SMALLEST))
        return tp_why(opts, -ENOBUFS,
                      "%u clients with %u messages of %zu bytes each need %zu "
                      "bytes of queues; raise RLIMIT_MSGQUEUE (ulimit -q) "
                      "above its %llu",
                      opts->clients, opts->depth, size,
                      messages * (size + OVERHEAD),
                      (unsigned long long)r.rlim_cur);
    *max_msg = size - head;
    return 0;
}

/* mq_open(3) says EMFILE for two limits; a file counts against one of them. */
static bool has_descriptor(void)
{
    int fd = open("/", O_RDONLY | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

int mqueue_why(const struct tp_opts *opts, int error)
{
    if (error == EMFILE && has_descriptor())
        return tp_why(opts, -error,
                      "no room for one more queue of this user; raise "
                      "RLIMIT_MSGQUEUE (ulimit -q) or close other queues");
    if (error == ENOSPC)
        return tp_why(opts, -error,
                      "no more queues on this machine; raise "
                      "/proc/sys/fs/mqueue/queues_max");
    if (error == EINVAL)
        return tp_why(opts, -ENOBUFS,
                      "longer queues than this machine allows; raise "
                      "/proc/sys/fs/mqueue/msg_max");
    return rundir_taken(opts, -error);
}
