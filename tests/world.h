/*
 * world.h - a server and its clients for one test case, over any transport
 *
 *      case process: tp_srv_open, then fork, fork, fork ..., tp_srv_drop
 *        |_ server process: its own loop, then tp_srv_close
 *        |_ client processes: tp_cli_open, ..., tp_cli_close
 *
 * The order that an anonymous pipe needs; the others don't mind. A failed
 * EXPECT in any of them fails the case.
 */
#ifndef IPCLAB_WORLD_H
#define IPCLAB_WORLD_H

#include "harness.h"
#include "rundir.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define LONG_MS   20000 /* "never", for a test; a case has three times that */
#define GATES     4
#define LONG_NAME "an_instance-with-the-longest_nam" /* TP_NAME_MAX bytes */

/* What one run of a case is about. */
struct param {
    const struct transport *t;
    enum tp_wait wait;
    void (*check)(const struct param *p);
};

/* One line of a table of checks; a table ends with a line of zeros. */
struct check {
    const char *name;
    void (*check)(const struct param *p);
    unsigned seconds; /* 0 = the harness's default */
    const char *only; /* the one transport that it is about; NULL = all */
};
extern const struct check promise_checks[]; /* promises.c */
extern const struct check hostile_checks[]; /* hostile.c */

/* Of a table's checks, those that are about `t` become cases of the suite (zero
 * at first but for its name): TRANSPORT/WAIT/NAME for each way to wait, or
 * TRANSPORT/NAME, which blocks. With NULL for `t` it is NAME alone. Each calls
 * `run` with its struct param. */
void add_for_waits(struct test_suite *suite, void (*run)(const void *param),
                   const struct transport *t, const struct check *table);
void add_once(struct test_suite *suite, void (*run)(const void *param),
              const struct transport *t, const struct check *table);

/* What `run` is, as a rule: does the check if its transport can be used here. */
void run_check(const void *param);

/* Shared by all processes of a world. */
struct board {
    sem_t gate[GATES];
    atomic_int value[12];
};

struct world {
    const struct param *p;
    struct tp_opts opts;
    struct tp_server *srv; /* in the server process; in the case's process
                              until world_drop */
    struct board *board;
    int send_ms; /* deadline of an echo; 0 = LONG_MS, so that a client that
                    hasn't got the CPU isn't taken for one that never reads */
    pid_t server;
    pid_t client[TP_CLIENTS_MAX + 2];
    unsigned clients;
};

/* A process of the world; what it returns doesn't matter. */
typedef void world_server(struct world *w);
typedef void world_client(struct world *w, struct tp_client *c, unsigned i);

/* Milliseconds since `since` (0: since boot). */
int64_t now_ms(int64_t since);

/* Does `once`, which says how many ms something took, until that is less than
 * `ms`: a busy machine makes anything late, but not every time. */
void world_in_time(int64_t (*once)(const void *arg), const void *arg,
                   int64_t ms);

/* Prepare; open the server's handle with these options (name, wait and so on
 * are filled in where they are 0). */
void world_init(struct world *w, const struct param *p);
void world_open(struct world *w, const struct param *p, struct tp_opts opts);

/* Fork the server, which runs `serve` (NULL: world_echo) and then closes. */
void world_serve(struct world *w, world_server *serve);

/* Fork a client, which opens, runs `run` and closes. */
pid_t world_add(struct world *w, world_client *run);

/* Open a client in this process; REQUIREs success. */
struct tp_client *world_connect(struct world *w);

/* In the case's process: everybody is there. */
void world_drop(struct world *w);

/* All of the above and the end below, as most cases need it: a server that runs
 * `serve`, and n clients that run `run`. */
void world_run(const struct param *p, struct tp_opts opts, world_server *serve,
               world_client *run, unsigned n);

/* The same, but a client opens gate 0 and then the server is killed; gate 1
 * opens for one of them, and at the end the next start finds its names. */
void world_run_killed(const struct param *p, struct tp_opts opts,
                      world_server *serve, world_client *run, unsigned n);

/* Wait for the clients (each must exit with 0), stop the server with SIGTERM
 * and wait for it too. */
void world_end(struct world *w);
void world_join_clients(struct world *w);
void world_stop_server(struct world *w);
/* kill -9 and reap. */
void world_kill(pid_t pid);
void world_kill_server(struct world *w);

/* After a server was killed: the next start takes its names over, and closing
 * leaves nothing. For a pipe there is nothing to do. */
void world_sweep(struct world *w);

/* Answer each message with itself until SIGTERM or -ENOTCONN. */
void world_echo(struct world *w);
/* The same; counts into value[1] who has left, into value[2] -EPROTO, into
 * value[3] messages. */
void world_tally(struct world *w);
/* With world_tally: wait until n have been reported as gone, for as long as is
 * generous; `more` may be reported or not. */
void world_await_left(struct world *w, int n, int more);
/* A client: echoes until value[0], when the case has seen what it wants to. */
void world_honest(struct world *w, struct tp_client *c, unsigned i);
/* True once this process has had SIGTERM. */
bool world_stopped(void);
/* One message of an echo loop: the result of tp_srv_recv. */
ssize_t world_echo_one(struct world *w, int ms);

/* Send n bytes made from `seed`, receive, and compare byte by byte. */
void echo_once(struct tp_client *c, size_t n, unsigned seed);
/* The same with as many messages as may be unanswered, all sent first. */
void echo_all(struct tp_client *c, size_t n, unsigned seed);
/* Fill a buffer with bytes that depend on seed and place. */
void fill_bytes(void *buf, size_t n, unsigned seed);

/* Gates: who waits is let through once for each time somebody opens. */
void gate_open(struct world *w, unsigned gate);
void gate_wait(struct world *w, unsigned gate);

/* Options with so many slots, and nothing else. */
struct tp_opts clients(unsigned n);
/* Unrelated processes can meet. */
bool is_named(const struct param *p);
/* This depth, or the most that the transport has. */
unsigned depth_of(const struct param *p, unsigned wanted);

/* The path of a runtime file of instance "default". */
void runtime_file(char *path, size_t cap, const struct transport *t);
/* The name of a queue or segment of this folder. */
void object_name(char object[RUNDIR_OBJECT_MAX], const char *name);

/* How many entries a folder has but "." and ".."; -1: there is none. */
int count_entries(const char *path);
/* How many descriptors this process has open. */
int count_descriptors(void);

/* Sets a soft limit of a process (0 = this one), at most to its hard one. */
void soft_limit(pid_t pid, int resource, rlim_t n);

/* Puts an empty file system over this folder, for this case alone; `size` as
 * for mount(8): "1m". False, with the case skipped: who runs it may not. */
bool mount_own(const char *path, const char *size);

#endif
