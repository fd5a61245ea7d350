/*
 * journal.h - the timetable's durable file
 *
 * One JSON object a line, appended, never changed in place; `cat` shows it:
 *
 *   {"format":"ipclab-journal","version":1,"next_id":1,"seq":0,
 *    "crc":"d7fe1b45"}                                  (one line in the file)
 *   {"op":"add","id":1,"title":"IPC","start":"2026-11-23T00:00:00Z",
 *    "end":"2026-11-23T01:00:00Z","token":"00000000000000a1","seq":1,
 *    "crc":"5e0c2a9b"}                                  (one line in the file)
 *
 * `seq` grows by one a line, so a line that is missing shows; compaction drops
 * lines, and its header keeps the seq it was made at. `crc` is the CRC-32 of
 * the line's bytes before `,"crc"`. Times are UTC, written as RFC 3339. Tokens
 * are 16 hex digits.
 * op is add, update, remove, or done (what compaction keeps of a change whose
 * event is gone or was changed since: its token, its result, in `was` the op
 * it had, and of an add in `sum` a checksum of what it asked for).
 *
 *   journal_open    lock FILE.lock, read every line, mend a torn tail
 *   journal_append  one write(2) of one line: in the file, not yet durable
 *   journal_commit  durable: the only fdatasync. Threads that wait at the
 *                   same time share one (group commit)
 *   journal_scan    read any such file, however damaged, and change nothing
 *
 * Both append and commit look whether FILE still is the file that was opened,
 * and as long as it must be. Where somebody has renamed another file over it,
 * removed it or cut it, what we write would never be found again: then nobody
 * is told "done" any more. (Without syncs they look only now and then.)
 *
 * The lock is on FILE.lock and never on FILE: compaction renames a new file
 * over FILE, and a lock on the old one would let a second owner in.
 *
 * Rests on: write(2), fdatasync(2), stat(2), rename(2), link(2), fcntl(2) open
 * file description locks. It survives kill -9 at any point. Loss of power is another matter:
 * it also needs a disk that keeps its word.
 */
#ifndef IPCLAB_JOURNAL_H
#define IPCLAB_JOURNAL_H

#include "schedule.h"

enum journal_op { JOURNAL_ADD, JOURNAL_UPDATE, JOURNAL_REMOVE, JOURNAL_DONE };

/* One line. A remove has only id (and token, seq); a done has the id, in
 * event.rev the revision that the change gave, and in `was` its op. */
struct journal_record {
    enum journal_op op;
    enum journal_op was; /* of a done: add, update or remove */
    uint32_t sum;        /* of a done: a checksum of what the add asked for, so
                            that its token isn't taken for another event's;
                            0 = not known */
    uint64_t token;      /* the client's; 0 = none */
    uint64_t seq;        /* given by journal_append */
    struct event event;  /* title: the caller's (append), the journal's until
                           the reader returns (open) */
};

struct journal;

struct journal_opts {
    const char *path;
    bool sync;   /* false: journal_commit does no fdatasync (benchmarks) */
    int wait_ms; /* how long to wait for a file that another process holds */
    char *why;   /* NULL, or where a failing open, or a repair, puts one
                    sentence: "line 4: ..." where there is a line; the
                    caller names the file */
    size_t why_cap;
};

/* Called for each good line in turn while opening; 0, or -errno, which ends
 * the opening with this error (-EBADMSG: the line makes no sense here). */
typedef int journal_reader(const struct journal_record *rec, void *arg);

/*
 * Open or create the journal at opts->path, one process at a time, and hand
 * every line to `reader`. *next_id is what the header keeps of ids that were
 * used before (1 in a new file), set before the first line is handed over: a
 * compacted file may begin with the update of an event below it. A last line
 * that was torn by a crash (it has no '\n', or NUL bytes) is cut off; *torn is
 * the bytes cut (0 = none) and opts->why says so.
 *   0; -EBUSY: another process has the file (why names its pid);
 *   -EBADMSG: damaged in any other way, or not a journal (why names the
 *   line); or what open(2), read(2) gave. On success *out is the caller's. A
 *   failing open leaves no empty file that wasn't there before.
 */
int journal_open(struct journal **out, const struct journal_opts *opts,
                 journal_reader *reader, void *arg, uint32_t *next_id,
                 size_t *torn);

/*
 * Append one line and set rec->seq. 0, or -ENOSPC, -ENOMEM: the line isn't in
 * the file (what was written of it has been cut off again). -EROFS: this
 * failure or an earlier one was final (a disk that is broken and not just
 * full, a file that was replaced); nothing is written ever again by this
 * handle. One thread at a time (the store's lock).
 */
int journal_append(struct journal *j, struct journal_record *rec);

/*
 * Returns when every line up to `seq` is durable: 0, or -EROFS when a sync
 * has failed, or the file was replaced. A failed fdatasync is final: the
 * kernel may have dropped the pages and tells only once. Any thread, never
 * under the store's lock.
 */
int journal_commit(struct journal *j, uint64_t seq);

/* What was final: one sentence, a constant; NULL: nothing yet. Any thread. */
const char *journal_fault(const struct journal *j);

/* The sequence of the last line appended (0 = none); bytes in the file;
 * number of fdatasync calls so far. Under the caller's append lock. */
uint64_t journal_seq(const struct journal *j);
uint64_t journal_bytes(const struct journal *j);
uint64_t journal_syncs(struct journal *j);

/*
 * Compaction: write a new file of these lines, each with its own rec->seq (in
 * rising order), and put it in place of the old one: temporary file in the
 * same folder, with the same owner and mode, fsync, rename, fsync of the
 * folder. begin, then put for each line, then finish (0, or the first error
 * met: then the old file is as it was). Before any thread uses the journal,
 * i.e. while opening the store.
 */
int journal_compact_begin(struct journal *j, uint32_t next_id);
void journal_compact_put(struct journal *j, const struct journal_record *rec);
int journal_compact_finish(struct journal *j);

/* Sync what isn't yet, close, unlock, free. Takes NULL. */
void journal_close(struct journal *j);

/* The same for a start that failed otherwise: a file that this handle made,
 * and that has no line but its header, is removed again. Takes NULL. */
void journal_abandon(struct journal *j);

/* ---- looking at a damaged file, and copying what is good ------------------ */

/* One line as it was found. All pointers are valid until the visitor returns. */
struct journal_line {
    size_t number;    /* from 1 */
    const char *text; /* `len` bytes, without '\n'; NULL: what is wrong
                                is that something isn't there */
    size_t len;
    const char *fault; /* what is wrong with it; NULL = it is good */
    bool torn;         /* a fault that a crash explains: the unfinished
                                last line, which the next opening cuts off */
    uint64_t missing;  /* changes that must have stood before it, and for
                                which no bad line stands */
    const struct journal_record *rec; /* of a good line; NULL: the header */
    uint32_t next_id;                 /* of a good header */
    uint64_t seq;                     /* of a good header */
};

/* Called for each line in turn; 0, or -errno, which ends the scan with it. */
typedef int journal_visit(const struct journal_line *line, void *arg);

/*
 * Show every line of the file at opts->path to `visit`, the good and the bad.
 * The file isn't locked, and nothing is made or changed: *holder is the pid of
 * the process that has it (0 = nobody, -1 = somebody unknown), which may be
 * writing a last, torn line right now. opts->sync and wait_ms aren't looked
 * at. 0, or what open(2), read(2) or `visit` gave; -EBADMSG: not a regular
 * file, or one of a later format (opts->why).
 */
int journal_scan(const struct journal_opts *opts, journal_visit *visit,
                 void *arg, long *holder);

/*
 * A new journal beside the old one: begin writes its header, then lines, and
 * finish puts it under the name `to`, whole and synced, or gives the first
 * error met: -EEXIST when something has that name, or the name TO.new which it
 * has until then. Then, and when `good` is false, nothing is left. It gets the
 * owner and mode of the file at `from`.
 */
struct journal_copy;
int journal_copy_begin(struct journal_copy **out, const char *from,
                       const char *to, uint32_t next_id, uint64_t seq);
void journal_copy_text(struct journal_copy *c, const char *text, size_t len);
void journal_copy_put(struct journal_copy *c, const struct journal_record *rec);
int journal_copy_finish(struct journal_copy *c, bool good);

#endif
