/*
 * quota.h - what the kernel allows a user's message queues
 *
 * All queues of a user together count against RLIMIT_MSGQUEUE (getrlimit(2)),
 * by default 819,200 bytes; and /proc/sys/fs/mqueue holds the largest message
 * (msgsize_max), the longest queue (msg_max) and the number of queues on this
 * machine (queues_max): mq_overview(7).
 */
#ifndef IPCLAB_MQUEUE_QUOTA_H
#define IPCLAB_MQUEUE_QUOTA_H

#include "transport.h"

#define MQUEUE_REQUESTS 10 /* in the request queue: what msg_max allows */

/* As transport.h says: 0, or -ENOSYS. */
int mqueue_probe(char *why, size_t cap);

/*
 * Bytes of payload a message, in *max_msg, such that opts->clients reply
 * queues of opts->depth messages fit beside one queue of MQUEUE_REQUESTS
 * messages with `head` bytes more each. A wish (opts->max_msg) is granted or
 * refused; without one the largest that fits is taken. 0, -EMSGSIZE, -ENOBUFS,
 * with the limit and how to raise it in opts->why.
 */
int mqueue_choose_size(const struct tp_opts *opts, size_t head,
                       size_t *max_msg);

/* The limit of queues behind an errno of mq_open(3): -errno, and opts->why,
 * which stays empty where it isn't one of queues. */
int mqueue_why(const struct tp_opts *opts, int error);

#endif
