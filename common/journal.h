/*
 * journal.h - the timetable's durable file: a JSON object a line
 *
 * `cat` shows it; journal_line.h draws a line.
 *
 *   journal_open    lock it, read every line, mend a torn tail
 *   journal_append  one write(2) of one line: in the file, not yet durable
 *   journal_commit  durable: the only fdatasync. Threads that wait at the
 *                   same time share one (group commit)
 *
 * Both append and commit look whether FILE still is the file that was opened,
 * and as long as it must be. Where somebody has renamed another file over it,
 * removed it or cut it, what we write would never be found again: then nobody
 * is told "done" any more. (Without syncs they look only now and then.)
 *
 * A file that can't be opened: journal_scan.h reads any, however damaged, and
 * journal_fresh.h writes a new one.
 *
 * Rests on: write(2), fdatasync(2), stat(2), rename(2). It survives kill -9 at
 * any point. Loss of power is another matter: it also needs a disk that keeps
 * its word.
 */
#ifndef IPCLAB_JOURNAL_H
#define IPCLAB_JOURNAL_H

#include "journal_line.h"

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
 *   line); -EEXIST: FILE.lock is no lock; or what open(2), read(2) gave: a file
 *   that can't be read to its end isn't changed. On success *out is the
 *   caller's. A failing open leaves no empty file that wasn't there before,
 *   unless it couldn't have the lock, or not one descriptor more.
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
 * rising order), and put it in place of the old one: FILE.compacting, with the
 * same owner and mode, fsync, rename, fsync of the folder. begin, then put for
 * each line, then finish (0, or the first error met: then the old file is as
 * it was). Before any thread uses the journal, i.e. while opening the store.
 */
int journal_compact_begin(struct journal *j, uint32_t next_id);
void journal_compact_put(struct journal *j, const struct journal_record *rec);
int journal_compact_finish(struct journal *j);

/* Sync what isn't yet, close, unlock, free. Takes NULL. */
void journal_close(struct journal *j);

/* The same for a start that failed otherwise: a file that this handle made,
 * and that has no line but its header, is removed again. Takes NULL. */
void journal_abandon(struct journal *j);

#endif
