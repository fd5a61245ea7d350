/*
 * faults.h - what goes wrong on purpose: wrapped calls (-Wl,--wrap)
 *
 * The test program is linked so that the library's own calls of read, write,
 * writev, sendmsg, mq_send, mq_timedsend and sem_post come here first. With
 * everything off they pass straight through.
 */
#ifndef IPCLAB_FAULTS_H
#define IPCLAB_FAULTS_H

#include <stdbool.h>

/* Each read and each stream write moves only a few bytes. (A FIFO's write of
 * at most PIPE_BUF bytes is atomic by contract and stays whole.) */
extern bool faults_short_io;

/* The next send writes half of its bytes, where the mechanism allows that, and
 * then the process kills itself with SIGKILL. */
extern bool faults_die_in_send;

#endif
