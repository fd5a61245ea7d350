/*
 * disk.c - see disk.h
 *
 * It needs _GNU_SOURCE for MAP_ANONYMOUS.
 */
#define _GNU_SOURCE
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the shim ----------------------------------------------------------- */

const char *const call_names[CALLS] = {
    "no call",   "open",   "read", "write",  "pwrite", "fdatasync", "fsync",
    "ftruncate", "rename", "link", "unlink", "fchmod", "fchown"};

const char *const how_names[HOWS] = {"passed",
                                     "killed before it",
                                     "killed half-way through it",
                                     "killed after it",
                                     "failed",
                                     "half done",
                                     "half done, then full",
                                     "replaced after it"};

struct board *board;
bool shim_on;   /* in this process */
char path[256]; /* the data file of this case */

void *share(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    REQUIRE(p != MAP_FAILED);
    return p;
}

void make_board(void)
{
    board = share(sizeof *board);
    snprintf(path, sizeof path, "%s/j", harness_dir());
}

void set_plan(struct plan plan)
{
    unsigned nth = plan.nth;

    plan.nth = 0; /* last of all: the server may be running */
    board->plan = plan;
    atomic_store(&board->calls, 0);
    atomic_store(&board->struck, CALL_NONE);
    atomic_thread_fence(memory_order_seq_cst);
    board->plan.nth = nth;
}

static enum how strike(enum call call)
{
    const struct plan *p;
    unsigned n;

    if (!shim_on)
        return PASS;
    p = &board->plan;
    if (p->only != CALL_NONE && p->only != call)
        return PASS;
    n = atomic_fetch_add(&board->calls, 1) + 1;
    if (p->nth == 0 || n < p->nth || (n > p->nth && !p->for_ever))
        return PASS;
    if (atomic_load(&board->struck) == CALL_NONE) {
        atomic_store(&board->struck_at, atomic_load(&board->phase));
        atomic_store(&board->struck, (int)call);
    }
    return p->how;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* True: the call is to give -1. */
static bool fails(enum how how)
{
    if (how == DIE_BEFORE)
        die();
    if (how == FAIL)
        errno = board->plan.error;
    return how == FAIL;
}

static int after(enum how how, int result)
{
    if (how == DIE_AFTER)
        die();
    return result;
}

#define SHIM(call, name, params, args)                                         \
    int __real_##name params;                                                  \
    int __wrap_##name params;                                                  \
    int __wrap_##name params                                                   \
    {                                                                          \
        enum how how = strike(call);                                           \
                                                                               \
        return fails(how) ? -1 : after(how, __real_##name args);               \
    }

SHIM(CALL_FTRUNCATE, ftruncate, (int fd, off_t len), (fd, len))
SHIM(CALL_LINK, link, (const char *a, const char *b), (a, b))
SHIM(CALL_UNLINK, unlink, (const char *name), (name))
SHIM(CALL_FCHMOD, fchmod, (int fd, mode_t mode), (fd, mode))
SHIM(CALL_FCHOWN, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))

int __real_open(const char *name, int flags, ...);
int __wrap_open(const char *name, int flags, ...);
ssize_t __real_read(int fd, void *bytes, size_t n);
ssize_t __wrap_read(int fd, void *bytes, size_t n);
ssize_t __real_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);
ssize_t __real_pwrite(int fd, const void *bytes, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t n, off_t at);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_open(const char *name, int flags, ...)
{
    enum how how = strike(CALL_OPEN);
    mode_t mode = 0;
    va_list ap;

    if (flags & O_CREAT) {
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    return fails(how) ? -1 : after(how, __real_open(name, flags, mode));
}

int __wrap_rename(const char *from, const char *to)
{
    enum how how = strike(CALL_RENAME);
    int result;

    if (fails(how))
        return -1;
    result = __real_rename(from, to);
    if (shim_on && result == 0)
        atomic_store(&board->renamed, true);
    return after(how, result);
}

static bool is_file(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Another file, prepared as NAME.other, gets the data file's name. */
static void swap_files(void)
{
    char other[300];

    snprintf(other, sizeof other, "%s.other", path);
    (void)__real_rename(other, path); /* who looks will see */
}

ssize_t __wrap_read(int fd, void *bytes, size_t n)
{
    enum how how = PASS;

    if (shim_on && is_file(fd))
        how = strike(CALL_READ);
    if (fails(how))
        return -1;
    if (n > 1 && (how == SHORT || how == SHORT_FULL))
        n /= 2;
    return after(how, (int)__real_read(fd, bytes, n));
}

ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
    static atomic_bool full; /* in this process: the disk, after half a write */
    enum how how;
    ssize_t result;

    if (!shim_on || !is_file(fd))
        return __real_write(fd, bytes, n);
    how = strike(CALL_WRITE);
    if (fails(how))
        return -1;
    if (atomic_exchange(&full, how == SHORT_FULL)) {
        errno = ENOSPC;
        return -1;
    }
    if (n > 1 && (how == DIE_HALF || how == SHORT || how == SHORT_FULL))
        n /= 2;
    result = __real_write(fd, bytes, n);
    if (how == SWAP)
        swap_files();
    if (how == DIE_HALF || how == DIE_AFTER)
        die();
    return result;
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    enum how how = strike(CALL_PWRITE);
    ssize_t result;

    if (fails(how))
        return -1;
    result = __real_pwrite(fd, bytes, n, at);
    if (how == DIE_AFTER)
        die();
    return result;
}

static void note_synced(int fd)
{
    struct stat st;
    size_t i = 0;

    REQUIRE_INT(0, fstat(fd, &st));
    if (S_ISDIR(st.st_mode)) {
        atomic_store(&board->renamed, false);
        return;
    }
    while (i < FILES_MAX - 1 && board->synced[i].ino != 0 &&
           board->synced[i].ino != st.st_ino)
        i++;
    board->synced[i].ino = st.st_ino;
    board->synced[i].size = st.st_size;
}

static int sync_it(int fd, enum call call, int (*real)(int))
{
    enum how how = strike(call);
    int result = 0;

    if (fails(how))
        return -1;
    if (!shim_on || !atomic_load(&board->no_disk))
        result = real(fd);
    if (shim_on && result == 0)
        note_synced(fd);
    return after(how, result);
}

int __wrap_fdatasync(int fd)
{
    return sync_it(fd, CALL_FDATASYNC, __real_fdatasync);
}

int __wrap_fsync(int fd)
{
    return sync_it(fd, CALL_FSYNC, __real_fsync);
}

/* ---- files -------------------------------------------------------------- */

const char *beside(const char *suffix, char buf[300])
{
    snprintf(buf, 300, "%s%s", path, suffix);
    return buf;
}

size_t slurp(const char *name, char bytes[FILE_MAX])
{
    FILE *f = fopen(name, "r");

    REQUIRE(f != NULL);
    size_t n = fread(bytes, 1, FILE_MAX, f);
    REQUIRE(n < FILE_MAX && fclose(f) == 0);
    return n;
}

void spill(const char *name, const char *bytes, size_t len)
{
    FILE *f = fopen(name, "w");

    REQUIRE(f != NULL);
    REQUIRE(fwrite(bytes, 1, len, f) == len && fclose(f) == 0);
}

void remove_files(void)
{
    static const char *const suffixes[] = {
        "",       ".lock",     ".compacting",  ".before",
        ".other", ".repaired", ".repaired.new"};
    char buf[300];

    for (size_t i = 0; i < LEN(suffixes); i++)
        (void)unlink(beside(suffixes[i], buf)); /* of an earlier round */
}

bool exists(const char *suffix)
{
    char buf[300];

    return access(beside(suffix, buf), F_OK) == 0;
}

/* ---- the store ---------------------------------------------------------- */

char why[256], label[160];

int open_store(struct store **st)
{
    struct store_opts opts = {
        .path = path, .sync = true, .why = why, .why_cap = sizeof why};

    return store_open(st, &opts);
}

struct store *must_open(void)
{
    struct store *st = NULL;
    int err = open_store(&st);

    harness_check(err == 0, true, __FILE__, __LINE__, "opens again: %d %s", err,
                  why);
    return st;
}

struct event make_event(const char *title, int64_t start)
{
    return (struct event){.title = title,
                          .title_len = (uint8_t)strlen(title),
                          .start = start,
                          .end = start + 3600};
}

int add(struct store *st, uint64_t token, const char *title,
        struct store_result *res)
{
    struct event ev = make_event(title, MONDAY);

    store_lock(st);
    int err = store_add(st, token, &ev, res);
    store_unlock(st);
    return err;
}

int removal(struct store *st, uint64_t token, uint32_t id,
            struct store_result *res)
{
    store_lock(st);
    int err = store_remove(st, token, id, 0, res);
    store_unlock(st);
    return err;
}

int check_file(const char *name, struct store_survey *v)
{
    struct store_opts opts = {.path = name, .why = why, .why_cap = sizeof why};

    return store_check(&opts, NULL, NULL, v);
}

void add_dead(struct store *st)
{
    struct store_result res;

    for (int i = 0; i < 510; i++) {
        REQUIRE_INT(0, add(st, 0, "dead", &res));
        REQUIRE_INT(0,
                    removal(st, i < 5 ? 500 + (uint64_t)i : 0, res.id, &res));
    }
}

/* ---- the server --------------------------------------------------------- */

bool usable(const struct transport *t)
{
    char reason[256];

    return tp_probe(t, reason, sizeof reason) == 0;
}

/* Away with the notes about torn lines, which a killed server's successor
 * rightly prints. */
static int stderr_away(void)
{
    int old = dup(2), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    REQUIRE(old >= 0 && null >= 0 && dup2(null, 2) == 2);
    close(null);
    return old;
}

static void stderr_back(int old)
{
    REQUIRE(dup2(old, 2) == 2);
    close(old);
}

static const struct transport *unnamed(void)
{
    int i = 0;

    while (tp_all[i]->caps & TP_NAMED)
        i++;
    return tp_all[i];
}

pid_t fork_server(struct tp_server **pipe_ends)
{
    struct cli cli = {.instance = "default",
                      .wait = TP_BLOCK,
                      .timeout_ms = 5000,
                      .data = path};
    struct tp_opts opts = {.clients = 1};
    int code, old = stderr_away();
    pid_t pid;

    REQUIRE_INT(0, tp_srv_open(unnamed(), pipe_ends, &opts));
    shim_on = true;
    pid = serve_fork(&cli, *pipe_ends, SERVE_NAMED, &code);
    shim_on = false;
    stderr_back(old);
    if (pid == 0) {
        tp_srv_drop(*pipe_ends);
        *pipe_ends = NULL;
    }
    return pid;
}

int connect_client(struct client *c, const struct transport *t,
                   struct tp_server *inherited)
{
    struct tp_opts opts = {.open_ms = 5000,
                           .inherited = t->caps & TP_NAMED ? NULL : inherited};

    return client_open(c, t, &opts, 5000);
}

int end_process(pid_t pid, int signal_number)
{
    int status;

    REQUIRE_INT(0, kill(pid, signal_number));
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
