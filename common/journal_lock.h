/*
 * journal_lock.h - a data file has one owner: who is it?
 *
 * The lock is on FILE.lock and never on FILE: compaction renames a new file
 * over FILE, and a lock on the old one would let a second owner in. The file
 * stays when its owner goes (to remove it would let two owners lock two files
 * of that name); the lock doesn't: kill -9 frees it. In it stands the owner's
 * pid, for people.
 */
#ifndef IPCLAB_JOURNAL_LOCK_H
#define IPCLAB_JOURNAL_LOCK_H

/*
 * Lock the data file `path` (links followed), waiting at most wait_ms (< 0: for
 * ever): a descriptor; to close it gives the lock back. -EBUSY: another process
 * has it, or another part of this one; *holder is its pid, -1 = unknown.
 * -EEXIST: what is called FILE.lock is no lock, and isn't touched. Or what
 * open(2) and fcntl(2) gave.
 */
int journal_lock(const char *path, int wait_ms, long *holder);

/* Who has the data file, at this moment: a pid, 0 = nobody, -1 = somebody. */
long journal_lock_holder(const char *path);

#endif
