/*
 * store.h - the timetable that lasts: schedule + journal + tokens, one lock
 *
 *      server threads ---- store_lock ----> schedule (memory)
 *      (one a transport)                    tokens   (memory)
 *                                           journal  (append: one write)
 *                    ---- no lock -------> store_commit (shared fdatasync)
 *
 * A change is checked, appended to the journal, applied in memory; its caller
 * lets go of the lock and calls store_commit before telling anyone "done".
 *
 * Every change carries the client's 64-bit token, kept in its journal line. A
 * token that was seen before changes nothing and gives the first result, also
 * after a restart: so a client whose answer got lost asks again, safely. To
 * ask for something else with the same token is a mistake, and is told so:
 * "done" would be taken for the other thing.
 */
#ifndef IPCLAB_STORE_H
#define IPCLAB_STORE_H

#include "schedule.h"

struct store;

struct store_opts {
    const char *path; /* data file; NULL: memory only, nothing lasts */
    bool sync;        /* false: changes aren't synced (benchmarks) */
    int wait_ms;      /* for a data file that another process holds */
    char *why;        /* as in struct journal_opts */
    size_t why_cap;
};

/* What a change gave: kept with its token. */
struct store_result {
    uint32_t id;
    uint64_t rev; /* revision of the event after the change (remove: of the
                     removal) */
    uint64_t seq; /* to hand to store_commit before the answer is given */
};

/* Open the store, with all that its file holds: 0; -EBUSY, -EBADMSG, -ENOENT
 * (no such folder), -EACCES ...; see journal_open. When it returns 0 and
 * *why isn't empty, a torn last line was mended: tell the user. A file in
 * which over 1,000 changes, and more than living events, were overtaken by
 * later ones is compacted on the way: they go, but for their newest tokens. */
int store_open(struct store **out, const struct store_opts *opts);
void store_close(struct store *st); /* takes NULL */

/* Close it as one that was never used: where opening has made the data file,
 * and nothing was written to it since, it is removed again. Takes NULL. */
void store_abandon(struct store *st);

/* Everything below down to store_commit is called between these two. */
void store_lock(struct store *st);
void store_unlock(struct store *st);

/*
 * The three changes. 0 with *res filled, or
 *   -EILSEQ title, -EDOM times, -ENOENT no such event, -ESTALE the event's
 *   revision isn't `rev` (0 = any), -EEXIST the token was used for another
 *   change (another operation, another event; of an add: another title, start
 *   or end), -ENOSPC, -ENOMEM no room, -EROFS the journal can't be written,
 *   which is final. On an error nothing has changed.
 * add: ev->id and ev->rev are ignored. update: all of title, start and end
 * replace those of ev->id. token 0 = not remembered.
 */
int store_add(struct store *st, uint64_t token, const struct event *ev,
              struct store_result *res);
int store_update(struct store *st, uint64_t token, const struct event *ev,
                 uint64_t rev, struct store_result *res);
int store_remove(struct store *st, uint64_t token, uint32_t id, uint64_t rev,
                 struct store_result *res);

/* To read: the schedule, valid until store_unlock. */
const struct schedule *store_schedule(const struct store *st);

/* Sequence of the last change: the store's revision, a cheap change counter
 * (0 = never changed). */
uint64_t store_rev(const struct store *st);

struct store_stats {
    uint64_t events, rev, journal_bytes, syncs;
};
void store_stats(struct store *st, struct store_stats *out);

/* Not under the lock, any thread: returns when all changes up to `seq` are
 * durable. 0, or -EROFS: it isn't known whether they will last, and no
 * further change is accepted. */
int store_commit(struct store *st, uint64_t seq);

/* Why no change is accepted any more: one sentence, a constant; NULL: they
 * are. Any thread. */
const char *store_fault(const struct store *st);

/* ---- for store_check.c ------------------------------------------------- */

struct journal_record;

/*
 * One line of a data file into a store in memory: 0; -EBADMSG: it contradicts
 * the lines before it, and nothing was changed; -ENOMEM. An update of an id
 * below `old_ids` may be the first line of its event.
 */
int store_replay(struct store *st, const struct journal_record *rec,
                 uint32_t old_ids);

#endif
