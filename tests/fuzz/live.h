/*
 * live.h - a running server between honest and hostile clients
 *
 *      case process
 *        |_ server       five transports over one store, as `ipclab serve`
 *        |_ honest       one for each transport, and one that comes and goes:
 *        |               each checks every answer, and how long it took
 *        |_ hostile      raw bytes into every way in (strike.c), and proper
 *                        clients whose messages are nonsense
 */
#ifndef IPCLAB_LIVE_H
#define IPCLAB_LIVE_H

#include "../harness.h"

#include "transport.h"

#include <semaphore.h>
#include <stdatomic.h>

#define LIVE_CASES 8
extern const struct test_case live_cases[LIVE_CASES];

/* Looks for queues and segments that a case has left. */
void live_leftovers(const struct test_case *c);

/* ---- between live.c and strike.c ------------------------------------------- */

#define LIVE_CLIENTS  12   /* slots of each transport */
#define LIVE_DEADLINE 5000 /* ms: of each honest call */

/* How one honest client fares, or what one hostile one has done. */
struct live_tally {
    atomic_ulong calls;    /* answered, or strikes made */
    atomic_ulong adds;     /* changes that were acknowledged */
    atomic_ulong worst_us; /* the longest call */
    atomic_bool exempt;    /* it may notice: it is the one that is attacked */
};

/* Who waits for whom, in this order. */
enum {
    SERVING,  /* the server: honest clients may open */
    OPENED,   /* an honest one: has opened, and sent nothing yet */
    PREPARED, /* a hostile one: strikes from now on */
    GO,       /* the case: an honest one may begin */
    LIVE_GATES
};

/* Shared by all processes of a case. */
struct live {
    atomic_bool over; /* everybody ends */
    sem_t gate[LIVE_GATES];
    enum tp_wait wait;
    unsigned seed;
    struct live_tally honest[8], hostile[16];
};

/* A hostile one: strikes until it is over. */
typedef void live_strike(struct live *live, struct live_tally *mine);

live_strike strike_socket, strike_fifo, strike_mqueue, strike_shm;

/* Beyond the threat model. */
live_strike strike_all_slots;   /* scribbles over the whole segment */
live_strike strike_libc;        /* only where the C library trusts it */
live_strike strike_everywhere;  /* scribbles there, too */
live_strike strike_truncate;    /* cuts the segment */
live_strike strike_reply_queue; /* garbage into another's replies */

/* Not hostile for long: spoils the doorbell, and looks how the server gets over
 * it. */
live_strike strike_doorbell;

/* A proper client of this transport whose messages are nonsense; it checks
 * that each gets a reply. */
void strike_client(struct live *live, struct live_tally *mine,
                   struct tp_client *c);

/* Random numbers of this process, and other small things. */
unsigned long live_now_us(void);
void live_seed(unsigned seed);
uint32_t live_any(void);
void live_fill(void *buf, size_t len);
void live_pause(unsigned us);
void live_open(struct live *live, unsigned gate);
void live_wait(struct live *live, unsigned gate);

#endif
