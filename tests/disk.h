/*
 * disk.h - a data file whose calls can be made to fail, or to be the last ones
 *
 * What test_durability, test_repair and test_rounds share. The store and the
 * server are the real ones. The programs are linked with -Wl,--wrap for the
 * calls that change files: open, write, pwrite, fdatasync, fsync, ftruncate,
 * rename, link, unlink, fchmod, fchown; and for read, of files only. So each of
 * them comes through disk.c first, which counts it, and at the Nth one kills
 * the process or gives an error. That is an own shim instead of strace's fault
 * injection: it needs no tracer, it can stop half-way through a write, and it
 * knows what a power loss would leave. (What stdio writes doesn't come through:
 * the store has none.)
 */
#ifndef IPCLAB_DISK_H
#define IPCLAB_DISK_H

#include "client.h"
#include "cmd.h"
#include "harness.h"
#include "store_check.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/types.h>

#define LEN(a)    (sizeof(a) / sizeof *(a))
#define FILES_MAX 8          /* whose synced size is known */
#define FILE_MAX  262144     /* bytes of a file that is read whole */
#define MONDAY    1795392000 /* when everything takes place */

/* ---- the shim ----------------------------------------------------------- */

enum call {
    CALL_NONE,
    CALL_OPEN,
    CALL_READ,
    CALL_WRITE,
    CALL_PWRITE,
    CALL_FDATASYNC,
    CALL_FSYNC,
    CALL_FTRUNCATE,
    CALL_RENAME,
    CALL_LINK,
    CALL_UNLINK,
    CALL_FCHMOD,
    CALL_FCHOWN,
    CALLS
};

/* What happens at the Nth call. */
enum how {
    PASS,
    DIE_BEFORE,
    DIE_HALF, /* a write: half of its bytes are in the file */
    DIE_AFTER,
    FAIL,       /* -1 and an errno, and nothing was done */
    SHORT,      /* a read, a write: half of its bytes, as it says itself */
    SHORT_FULL, /* the same, and for the rest there is no room */
    SWAP,       /* a write: then NAME.other gets the data file's name */
    HOWS
};

extern const char *const call_names[CALLS], *const how_names[HOWS];

struct plan {
    enum how how;
    unsigned nth;   /* 0 = never */
    int error;      /* of FAIL */
    bool for_ever;  /* from the Nth call on, not only there */
    enum call only; /* count these; CALL_NONE = all */
};

/* Shared by all processes of a case. */
struct board {
    struct plan plan;
    atomic_bool no_disk;  /* a sync is only noted: nobody cuts the power here */
    atomic_uint calls;    /* counted so far */
    atomic_int struck;    /* the first call that the plan was for */
    atomic_int phase;     /* where the test is */
    atomic_int struck_at; /* the phase at that call */

    /* What a power loss would leave: bytes of each file, and whether a rename
     * isn't yet in the folder on disk. */
    struct {
        ino_t ino;
        off_t size;
    } synced[FILES_MAX];
    atomic_bool renamed;
};

extern struct board *board;
extern bool shim_on; /* in this process, and in those that it forks */

/* First of all in a case. Sets `path`. */
void make_board(void);

/* From now on; the count begins anew. Any process may be running. */
void set_plan(struct plan plan);

/* Zeroed memory that children share. */
void *share(size_t size);

/* ---- files -------------------------------------------------------------- */

extern char path[256]; /* the data file of this case */

/* The path with a suffix; is there something; remove all there may be. */
const char *beside(const char *suffix, char buf[300]);
bool exists(const char *suffix);
void remove_files(void);

/* A whole file in, out. */
size_t slurp(const char *name, char bytes[FILE_MAX]);
void spill(const char *name, const char *bytes, size_t len);

/* ---- the store ---------------------------------------------------------- */

extern char why[256]; /* of the last opening or check */

int open_store(struct store **st);
struct store *must_open(void);
int check_file(const char *name, struct store_survey *v);

struct event make_event(const char *title, int64_t start);
int add(struct store *st, uint64_t token, const char *title,
        struct store_result *res);
int removal(struct store *st, uint64_t token, uint32_t id,
            struct store_result *res);

/* So many lines die that the next opening compacts. Tokens 500 to 504. */
void add_dead(struct store *st);

/* What a round is about, for messages. */
extern char label[160];
#define CHECK(cond)                                                            \
    harness_check((cond), false, __FILE__, __LINE__, "%s: expected %s", label, \
                  #cond)

/* ---- the server --------------------------------------------------------- */

/* Not all of them work everywhere. */
bool usable(const struct transport *t);

/*
 * Fork a server over `path`, for the pipe ends that it gives back and for all
 * named transports, as demo does. It runs behind the shim, and says nothing.
 * Its pid, or 0 when it was killed before it was ready (then there are no pipe
 * ends).
 */
pid_t fork_server(struct tp_server **pipe_ends);

/* Connect; `inherited` is used up, or NULL for a transport with names. */
int connect_client(struct client *c, const struct transport *t,
                   struct tp_server *inherited);

/* Send a signal, and wait: its exit code, -1 = killed. */
int end_process(pid_t pid, int signal_number);

#endif
