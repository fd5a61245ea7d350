/*
 * crash_step.c - the steps, one a line; see crash_step.h
 *
 *      who dies: at which side's stop point it happens, in which phase,
 *      before, half-way or after which call, how far the request has come
 *
 * When the one stands at a stop point and the other one dies, the first goes on
 * afterwards: so a client can die while the server has its request in hand.
 */
#include "crash_step.h"

#define ATOMIC_WRITE "-one write of at most PIPE_BUF bytes is atomic"
#define ATOMIC_SEND  "-mq_send is atomic"
#define ATOMIC_RECV  "-mq_receive is atomic"
#define NO_BELL      "-the message itself wakes its reader"
#define NO_SLOT      "-a channel comes by fork: there is nothing to lock"

/* The calls, in the order pipe, fifo, mqueue, shm, socket. "memcpy in": into
 * the segment. */
static const char *const lock[] = {NO_SLOT, "fcntl", "fcntl", "fcntl", "fcntl"};
static const char *const client_makes[] = {"close", "mkfifoat", "mq_open",
                                           "mmap", "connect"};
static const char *const server_makes[] = {"close", "mkfifoat", "mq_open",
                                           "mmap", "bind"};
static const char *const send_half[] = {"writev", ATOMIC_WRITE, ATOMIC_SEND,
                                        "memcpy in", "sendmsg"};
static const char *const send_all[] = {"writev", "write", "mq_timedsend",
                                       "sem_post", "sendmsg"};
static const char *const send_none[] = {"writev", "write", "mq_timedsend",
                                        "memcpy in", "sendmsg"};
static const char *const ring[] = {NO_BELL, NO_BELL, NO_BELL, "sem_post",
                                   NO_BELL};
static const char *const take_half[] = {"read", "read", ATOMIC_RECV,
                                        "memcpy out", "read"};
static const char *const take[] = {"read", "read", "mq_timedreceive",
                                   "memcpy out", "read"};
static const char *const journal[] = {"write (journal)", "write (journal)",
                                      "write (journal)", "write (journal)",
                                      "write (journal)"};
static const char *const idle[] = {"tp_srv_recv", "tp_srv_recv", "tp_srv_recv",
                                   "tp_srv_recv", "tp_srv_recv"};
static const char *const client_leaves[] = {"close", "close", "mq_close",
                                            "munmap", "close"};
static const char *const server_leaves[] = {"close", "unlinkat", "mq_unlink",
                                            "shm_unlink", "unlinkat"};

const struct step crash_steps[] = {
    {"before opening", CLIENT, CLIENT, OPENING, BEFORE, NULL, NOT_SENT},
    {"its slot locked", CLIENT, CLIENT, OPENING, AFTER, lock, NOT_SENT},
    {"half open", CLIENT, CLIENT, OPENING, AFTER, client_makes, NOT_SENT},
    {"open", CLIENT, CLIENT, WORKING, BEFORE, NULL, NOT_SENT},
    {"half a request sent", CLIENT, CLIENT, WORKING, HALF, send_half, NOT_SENT},
    {"request put, bell not rung", CLIENT, CLIENT, WORKING, BEFORE, ring, SENT},
    {"request sent", CLIENT, CLIENT, WORKING, AFTER, send_all, SENT},
    {"half a request read", CLIENT, SERVER, WORKING, HALF, take_half, SENT},
    {"request read", CLIENT, SERVER, WORKING, AFTER, take, SENT},
    {"request being handled", CLIENT, SERVER, WORKING, BEFORE, journal, SENT},
    {"line written, not synced", CLIENT, SERVER, WORKING, AFTER, journal, SENT},
    {"synced, not answered", CLIENT, SERVER, WORKING, BEFORE, send_none, SENT},
    {"half a reply sent", CLIENT, SERVER, WORKING, HALF, send_half, SENT},
    {"reply sent, not read", CLIENT, CLIENT, WORKING, BEFORE, take, SENT},
    {"half a reply read", CLIENT, CLIENT, WORKING, HALF, take_half, SENT},
    {"reply read", CLIENT, CLIENT, CLOSING, BEFORE, NULL, ANSWERED},
    {"half closed", CLIENT, CLIENT, CLOSING, AFTER, client_leaves, ANSWERED},

    {"before opening", SERVER, SERVER, OPENING, BEFORE, NULL, NOT_SENT},
    {"its name locked", SERVER, SERVER, OPENING, AFTER, lock, NOT_SENT},
    {"half open", SERVER, SERVER, OPENING, AFTER, server_makes, NOT_SENT},
    {"open and idle", SERVER, SERVER, WORKING, BEFORE, idle, ANSWERED},
    {"half a request read", SERVER, SERVER, WORKING, HALF, take_half, SENT},
    {"request read", SERVER, SERVER, WORKING, AFTER, take, SENT},
    {"request being handled", SERVER, SERVER, WORKING, BEFORE, journal, SENT},
    {"half a journal line", SERVER, SERVER, WORKING, HALF, journal, SENT},
    {"line written, not synced", SERVER, SERVER, WORKING, AFTER, journal, SENT},
    {"synced, not answered", SERVER, SERVER, WORKING, BEFORE, send_none, SENT},
    {"half a reply sent", SERVER, SERVER, WORKING, HALF, send_half, SENT},
    {"reply put, bell not rung", SERVER, SERVER, WORKING, BEFORE, ring, SENT},
    {"reply sent", SERVER, SERVER, WORKING, AFTER, send_all, SENT},
    {"half closed", SERVER, SERVER, CLOSING, AFTER, server_leaves, ANSWERED},
    {0},
};

const char *const crash_waits[WAITS] = {"block", "spin", "adapt"};

const char *step_why_not(const struct step *s, size_t transport)
{
    const char *call = s->calls ? s->calls[transport] : "";

    return *call == '-' ? call + 1 : NULL;
}

bool step_never_serves(const struct step *s)
{
    return s->dies == SERVER && s->phase == OPENING;
}
