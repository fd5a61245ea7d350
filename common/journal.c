/*
 * journal.c - open, append, commit, compact, close; see journal.h
 *
 *      append:  write ......  write ......  write       (the store's lock)
 *      commit:  [--- fdatasync ---][--- fdatasync ---]   (our own mutex)
 *                 ^ who comes now waits, and its line is already written:
 *                   the next fdatasync covers all who wait
 *
 * Its parts, each of which knows only those to its right:
 *
 *      journal --> journal_scan, journal_fresh --> journal_line --> json
 *              --> journal_lock                --> fileio
 *
 * Left out on purpose: O_DSYNC (a sync for each line: nothing to share),
 * mmap (another process that cuts the file would be our SIGBUS).
 *
 * It needs _XOPEN_SOURCE for realpath.
 */
#define _XOPEN_SOURCE 700
#include "journal.h"

#include "clock.h"
#include "fileio.h"
#include "journal_fresh.h"
#include "journal_lock.h"
#include "journal_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NS_PER_MS 1000000L
#define LOOK_MS   50 /* between two looks at the name, without syncs */

struct journal {
    char *path; /* of the data file, links followed */
    int fd;     /* the data file; the append lock, and sync_lock to sync */
    dev_t dev;  /* which file that is, by its name */
    ino_t ino;
    int lock_fd;
    bool sync;
    bool made;                  /* by us: it wasn't there */
    int64_t looked;             /* at the name, ns; the append lock */
    atomic_uint_fast64_t bytes; /* in the file; changed under the append lock */
    atomic_uint_fast64_t seq;   /* of the last line in the file */
    _Atomic(const char *) fault; /* not NULL: final, nothing is written */
    atomic_uint_fast64_t syncs;

    pthread_mutex_t sync_lock; /* one fdatasync at a time */
    uint64_t durable;          /* lines up to here are; sync_lock */

    struct journal_fresh *fresh; /* compaction: the new file, or NULL */
};

static const char fault_open[] = "the data file couldn't be opened";
static const char fault_write[] = "writing to the data file failed";
static const char fault_sync[] = "syncing the data file failed";
static const char fault_folder[] = "syncing the data file's folder failed";
static const char fault_gone[] = "the data file isn't there any more";
static const char fault_other[] = "the data file was replaced by another one";
static const char fault_short[] = "somebody has cut the data file short";
static const char fault_long[] = "somebody else has written to the data file";

static void say(const struct journal_opts *opts, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct journal_opts *opts, const char *format, ...)
{
    va_list ap;

    if (opts->why == NULL || opts->why_cap == 0)
        return;
    va_start(ap, format);
    (void)vsnprintf(opts->why, opts->why_cap, format, ap); /* may be cut off */
    va_end(ap);
}

/* The first fault counts. */
static int give_up(struct journal *j, const char *fault)
{
    const char *none = NULL;

    (void)atomic_compare_exchange_strong(&j->fault, &none, fault);
    return -EROFS;
}

/* ---- opening: the file, and the lock ----------------------------------- */

/* The file's own name in j->path. A link is followed once, here: compaction
 * must replace the file, not the link, and two links to one file need the same
 * lock. Only of a file that exists can all links be followed: so make it. */
static int find_file(struct journal *j, const char *path)
{
    int fd;

    /* Each further attempt needs a start that has failed and removed what it
     * had made (journal_abandon). */
    for (int i = 0; i < 100; i++) {
        j->path = realpath(path, NULL);
        if (j->path != NULL)
            return 0;
        if (errno != ENOENT)
            return -errno;
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return -errno;
        (void)close(fd); /* nothing was written to it */
        j->made = true;
    }
    return -ENOENT;
}

/* A file that doesn't begin like ours isn't touched, and gets no lock file
 * beside it: 0, -EBADMSG. The rest of the first line is checked later. */
static int look_at_head(const char *path, const struct journal_opts *opts)
{
    char found[JOURNAL_FRONT];
    int fd = file_open_regular(path);
    ssize_t n;

    if (fd == -ENOENT)
        return 0; /* removed just now, as above: it is made under the lock */
    if (fd == -EBADMSG)
        say(opts, "it isn't a regular file");
    if (fd < 0)
        return fd;
    n = file_read(fd, found, sizeof found);
    (void)close(fd); /* only read */
    if (n < 0)
        return (int)n;
    if (journal_line_newborn(found, (size_t)n))
        return 0;
    say(opts, "line 1: it isn't a timetable's data file");
    return -EBADMSG;
}

static int take_lock(struct journal *j, const struct journal_opts *opts)
{
    long holder;

    j->lock_fd = journal_lock(j->path, opts->wait_ms, &holder);
    if (j->lock_fd == -EBUSY && holder > 0)
        say(opts, "pid %ld holds the data file", holder);
    else if (j->lock_fd == -EBUSY)
        say(opts, "another process holds the data file");
    else if (j->lock_fd == -EEXIST)
        say(opts, "'%s.lock' is not a lock file of ipclab; move it away",
            j->path);
    return j->lock_fd < 0 ? j->lock_fd : 0;
}

static int open_files(struct journal *j, const struct journal_opts *opts)
{
    struct stat st;
    int err = find_file(j, opts->path);

    if (err == 0)
        err = look_at_head(j->path, opts);
    if (err == 0)
        err = take_lock(j, opts);
    if (err != 0)
        return err;
    /* After the lock: before it, compaction might still replace the file. */
    j->fd = open(j->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (j->fd < 0 || fstat(j->fd, &st) != 0)
        return -errno;
    j->dev = st.st_dev;
    j->ino = st.st_ino;
    return 0;
}

/* ---- opening: the lines ------------------------------------------------ */

struct opening {
    struct journal *j;
    const struct journal_opts *opts;
    journal_reader *reader;
    void *arg;
    uint32_t *next_id;
    size_t *torn;
    size_t torn_line;
    bool begun; /* there is a head */
};

static int bad_line(const struct opening *o, const struct journal_line *line,
                    const char *what)
{
    say(o->opts, "line %zu: %s", line->number, what);
    return -EBADMSG;
}

/* A good line: its numbers, and to the reader. */
static int take_good(struct opening *o, const struct journal_line *line)
{
    struct journal *j = o->j;
    int err = 0;

    if (line->head != NULL) {
        o->begun = true;
        *o->next_id = line->head->next_id;
        j->seq = line->head->seq;
    } else {
        err = o->reader(line->rec, o->arg);
        if (line->rec->seq > j->seq)
            j->seq = line->rec->seq;
    }
    j->bytes = line->at + line->len + 1;
    return err == -EBADMSG
               ? bad_line(o, line, "it contradicts the lines before it")
               : err;
}

static int take_line(const struct journal_line *line, void *arg)
{
    struct opening *o = arg;

    if (line->torn) { /* the last one, and to be cut off */
        *o->torn = (size_t)line->len + line->ended;
        o->torn_line = line->number;
        return 0;
    }
    if (line->fault != NULL)
        return bad_line(o, line, line->fault);
    if (line->missing > 0)
        return bad_line(o, line, "a line before it is missing");
    return take_good(o, line);
}

/* Cut the file to what is good. */
static int cut_tail(struct journal *j, uint64_t good)
{
    int err = file_cut(j->fd, good);

    if (err == 0)
        j->bytes = good;
    return err;
}

/* Begin the file anew: it is empty, or has the front of this very head. */
static int start_file(struct journal *j)
{
    char head[JOURNAL_LINE_MAX];
    size_t len = journal_line_put_head(1, 0, head);
    int err = cut_tail(j, 0);

    if (err == 0)
        err = file_write(j->fd, head, len);
    if (err != 0) {
        (void)file_cut(j->fd, 0); /* empty is as good as new */
        return err;
    }
    j->bytes = len;
    return 0;
}

static int read_file(struct opening *o)
{
    int err = journal_scan(o->j->fd, take_line, o);

    if (err == 0 && !o->begun)
        err = start_file(o->j);
    else if (err == 0 && *o->torn > 0)
        err = cut_tail(o->j, o->j->bytes);
    if (err == 0 && *o->torn > 0)
        say(o->opts,
            "line %zu: %zu bytes of an unfinished line, torn by a crash, "
            "were cut off; no change that was confirmed is lost",
            o->torn_line, *o->torn);
    return err;
}

/* ---- open -------------------------------------------------------------- */

static struct journal *new_journal(void)
{
    struct journal *j = calloc(1, sizeof *j);

    if (j != NULL) {
        j->fd = j->lock_fd = -1;
        (void)pthread_mutex_init(&j->sync_lock, NULL); /* Linux: can't fail */
    }
    return j;
}

/* What a killed process did may be seen here and not yet be on disk: its last
 * lines, and the file's name after a compaction. Whoever is told of them now
 * must find them after a power loss too. */
static int sync_found(struct journal *j)
{
    int err = file_sync(j->fd);

    return err == 0 ? file_sync_folder(j->path) : err;
}

int journal_open(struct journal **out, const struct journal_opts *opts,
                 journal_reader *reader, void *arg, uint32_t *next_id,
                 size_t *torn)
{
    struct journal *j = new_journal();
    struct opening o = {.j = j,
                        .opts = opts,
                        .reader = reader,
                        .arg = arg,
                        .next_id = next_id,
                        .torn = torn};
    int err;

    say(opts, "%s", "");
    *torn = 0;
    *next_id = 1;
    if (j == NULL)
        return -ENOMEM;
    j->sync = opts->sync;
    err = open_files(j, opts);
    if (err == 0)
        err = read_file(&o);
    if (err == 0 && j->sync)
        err = sync_found(j);
    if (err != 0) {
        (void)give_up(j, fault_open); /* touch nothing any more */
        journal_abandon(j);
        return err;
    }
    j->durable = j->seq;
    *out = j;
    return 0;
}

/* ---- appending ---------------------------------------------------------- */

/* Is the file under our name still ours, with all that we wrote? NULL, or what
 * is wrong. By name, since our descriptor would still be fine. */
static const char *name_fault(const struct journal *j, uint64_t bytes,
                              uint64_t *found)
{
    struct stat st;

    if (stat(j->path, &st) != 0)
        return fault_gone;
    if (st.st_dev != j->dev || st.st_ino != j->ino)
        return fault_other;
    *found = (uint64_t)st.st_size;
    return *found < bytes ? fault_short : NULL;
}

/* One write(2), unless the disk is full: then the front of the line may be
 * there, and the second write says why there is no more. */
static int append_line(struct journal *j, const char *line, size_t len)
{
    int err = file_write(j->fd, line, len);
    /* A quota or a limit on the file's size: for a caller all the same. */
    bool full = err == -ENOSPC || err == -EDQUOT || err == -EFBIG;

    if (err == 0) {
        j->bytes += (uint64_t)len;
        return 0;
    }
    if (file_cut(j->fd, j->bytes) == 0 && full)
        return -ENOSPC;
    /* A broken disk; or a later line would follow a torn one. */
    return give_up(j, fault_write);
}

/* Before a line is written. A look costs microseconds: little beside a sync,
 * much without one; then nothing is promised that would be broken by looking
 * less often. */
static const char *append_fault(struct journal *j)
{
    int64_t now = j->sync ? 0 : clock_now_ns();
    const char *fault;
    uint64_t found;

    if (!j->sync && now - j->looked < LOOK_MS * NS_PER_MS)
        return NULL;
    j->looked = now;
    fault = name_fault(j, j->bytes, &found);
    if (fault == NULL && found > j->bytes)
        fault = fault_long; /* our line would stand behind what isn't ours */
    return fault;
}

int journal_append(struct journal *j, struct journal_record *rec)
{
    struct journal_record numbered = *rec;
    char line[JOURNAL_LINE_MAX];
    const char *fault;
    int len, err;

    if (j->fault != NULL)
        return -EROFS;
    numbered.seq = j->seq + 1;
    len = journal_line_put(&numbered, line);
    if (len < 0)
        return len;
    fault = append_fault(j);
    if (fault != NULL)
        return give_up(j, fault);
    err = append_line(j, line, (size_t)len);
    if (err != 0)
        return err;
    j->seq = numbered.seq; /* after the write: a commit may begin at once */
    rec->seq = numbered.seq;
    return 0;
}

/* The sync_lock is held. */
static void sync_lines(struct journal *j)
{
    uint64_t covered = j->seq; /* before the sync: later lines may miss it */
    uint64_t bytes = j->bytes, found;
    const char *fault = NULL;

    j->syncs++;
    if (file_sync_data(j->fd) != 0)
        fault = fault_sync;
    else /* last of all, so that there is least time for it to change again */
        fault = name_fault(j, bytes, &found);
    if (fault == NULL)
        j->durable = covered;
    else
        (void)give_up(j, fault); /* before anybody else can try, and hear "0" */
}

int journal_commit(struct journal *j, uint64_t seq)
{
    int err = 0;

    (void)pthread_mutex_lock(&j->sync_lock); /* fails on misuse only */
    if (j->durable < seq && j->sync && j->fault == NULL)
        sync_lines(j);
    if (j->durable < seq && j->fault != NULL)
        err = -EROFS;
    (void)pthread_mutex_unlock(&j->sync_lock);
    return err;
}

const char *journal_fault(const struct journal *j)
{
    return j->fault;
}

uint64_t journal_seq(const struct journal *j)
{
    return j->seq;
}

uint64_t journal_bytes(const struct journal *j)
{
    return j->bytes;
}

uint64_t journal_syncs(struct journal *j)
{
    return j->syncs;
}

/* ---- compaction -------------------------------------------------------- */

int journal_compact_begin(struct journal *j, uint32_t next_id)
{
    char *name;
    struct stat st;
    int err;

    if (j->fault != NULL)
        return -EROFS;
    if (fstat(j->fd, &st) != 0)
        return -errno;
    /* No name that a user would give a file: one that is there was left by a
     * compaction that was killed. We hold the lock. */
    name = file_beside(j->path, ".compacting");
    if (name == NULL)
        return -ENOMEM;
    err = unlink(name) != 0 && errno != ENOENT ? -errno : 0;
    if (err == 0)
        err = journal_fresh_begin(&j->fresh, name, &st, next_id, j->seq);
    free(name);
    return err;
}

void journal_compact_put(struct journal *j, const struct journal_record *rec)
{
    journal_fresh_put(j->fresh, rec);
}

/* The new file has our name: it is the data file from now on. */
static int change_over(struct journal *j, int fd, uint64_t bytes)
{
    struct stat st;

    (void)close(j->fd); /* nothing unsynced was in it */
    j->fd = fd;
    j->bytes = bytes;
    j->durable = j->seq;
    if (fstat(fd, &st) != 0)
        return give_up(j, fault_open);
    j->dev = st.st_dev;
    j->ino = st.st_ino;
    return 0;
}

int journal_compact_finish(struct journal *j)
{
    uint64_t bytes;
    int fd, err = journal_fresh_replace(j->fresh, j->path, &fd, &bytes);

    j->fresh = NULL;
    if (err == 0)
        err = change_over(j, fd, bytes);
    if (err != 0 || !j->sync)
        return err;
    err = file_sync_folder(j->path);
    /* A power loss may bring the old file back: no line may be added to the
     * new one. */
    if (err != 0)
        (void)give_up(j, fault_folder);
    return err;
}

/* ---- closing ----------------------------------------------------------- */

void journal_close(struct journal *j)
{
    if (j == NULL)
        return;
    (void)journal_commit(j, j->seq); /* nobody is left to be told */
    if (j->fd >= 0)
        (void)close(j->fd); /* synced, or known to have failed */
    if (j->lock_fd >= 0)
        (void)close(j->lock_fd); /* frees the lock */
    (void)pthread_mutex_destroy(&j->sync_lock);
    free(j->path);
    free(j);
}

void journal_abandon(struct journal *j)
{
    char header[JOURNAL_LINE_MAX];
    size_t len = journal_line_put_head(1, 0, header);
    uint64_t found;

    /* While we hold the lock nobody else writes to it: fd is open only then.
     * Who waits for the lock will make the file again. */
    if (j != NULL && j->made && j->fd >= 0 &&
        name_fault(j, 0, &found) == NULL && found <= len)
        (void)unlink(j->path); /* or it stays, empty: as good as new */
    journal_close(j);
}
