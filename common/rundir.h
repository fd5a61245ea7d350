/*
 * rundir.h - the runtime folder, and names derived from it
 *
 * All names of named transports live in one private folder:
 * $XDG_RUNTIME_DIR/ipclab, or /tmp/ipclab-UID where that isn't set. Queues and
 * segments live in name spaces of their own, which don't know our folder: so
 * their names carry the user and a hash of the folder (device and inode), and
 * two folders never meet.
 */
#ifndef IPCLAB_RUNDIR_H
#define IPCLAB_RUNDIR_H

#include "transport.h"

#define RUNDIR_PATH_MAX   256 /* bytes of the folder's path, with the NUL */
#define RUNDIR_OBJECT_MAX 96  /* bytes of a queue's or segment's name */

/* The folder's path. 0, or -ENAMETOOLONG. Makes nothing. */
int rundir_path(char path[RUNDIR_PATH_MAX]);

/*
 * Open the folder (if `make`, it is made with mode 0700 when it is missing): a
 * descriptor, the caller's; -ENOENT; -EACCES when somebody else owns it, others
 * may enter it, or it isn't a real folder (opts->why says which); or what
 * mkdir(2), open(2) gave. Checked through the descriptor itself, so nobody can
 * swap it in between.
 */
int rundir_open(const struct tp_opts *opts, bool make);

/* Remove the folder if nothing is left in it. */
void rundir_remove(void);

/* "/ipclab-UID-HASH-NAME", for mq_open(3) and shm_open(3). */
void rundir_object(char object[RUNDIR_OBJECT_MAX], int dir, const char *name);

/* Remove `name` from the folder if it is of this type (S_IFIFO, S_IFSOCK) or
 * not there: 0. Anything else isn't ours: -EEXIST. */
int rundir_unlink(int dir, const char *name, mode_t type);

#endif
