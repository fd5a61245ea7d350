/*
 * store_check.h - a data file that something has damaged: check it, repair it
 *
 * Both read the file whoever has it, and change nothing in it.
 */
#ifndef IPCLAB_STORE_CHECK_H
#define IPCLAB_STORE_CHECK_H

#include "store.h"

/* One thing that is wrong. Valid until the function that is told returns. */
struct store_damage {
    size_t line;      /* from 1 */
    const char *what; /* one sentence */
    const char *text; /* the front of a line, `kept` bytes, which opening would
                         refuse, and a repair drops; NULL: something isn't
                         there */
    size_t kept;
    uint64_t len; /* of the whole line */
    bool torn;    /* an unfinished last line: nobody was told that it was done,
                  and opening cuts it off */
};
typedef void store_tell(const struct store_damage *d, void *arg);

/* What is in a file, or in its repaired copy. */
struct store_survey {
    size_t events, changes; /* what is good: events, and lines that made them */
    uint64_t bytes;         /* of the file */
    size_t faults;          /* how often `tell` was called */
    size_t dropped;         /* how many of them were lines */
    uint64_t lost;          /* changes that are lost, at most */
    bool torn;              /* the last one was a torn line */
    bool writing;           /* there is one, but somebody is writing it */
    bool unread;            /* after an error: it was met in reading */
    bool made;              /* after an error: the copy is there */
    long holder;            /* pid of who has the file; 0 = nobody, -1 = ? */
};

/*
 * Look at a data file, whoever has it, and change nothing; each damage is told
 * (tell may be NULL). 0: *out says what was found; -EBADMSG: not one line of
 * it is a timetable's (opts->why), and nothing was told; or what open(2),
 * read(2) gave.
 * opts->sync and wait_ms aren't looked at.
 */
int store_check(const struct store_opts *opts, store_tell *tell, void *arg,
                struct store_survey *out);

/*
 * Copy what is good of a data file into a new file `to`; each damage is told.
 * Then *out describes the copy, which opens and has no damage. A change whose
 * line is damaged is lost, and nobody can say which: so an event may be as it
 * was before that change, or be back though it was removed. No id or revision
 * that a lost line may have used is used again.
 * 0; -EEXIST: something has the name, or TO.new; -EBUSY: a process has the old
 * file (opts->why); or as store_check, and what writing gave.
 */
int store_repair(const struct store_opts *opts, const char *to,
                 store_tell *tell, void *arg, struct store_survey *out);

#endif
