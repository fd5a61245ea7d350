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

/*
 * What open, with its errno, said of such a name. Every user may take a name
 * there, also one that would be ours: so whose object it is must be looked at.
 * The descriptor itself, when the object belongs to us; when it is another
 * user's, it is closed, and -1 and EACCES are given.
 */
int rundir_ours(int fd);

/* The sentence for it: when err is -EACCES or -EEXIST, opts->why says that the
 * name belongs to another user. Returns err. */
int rundir_taken(const struct tp_opts *opts, int err);

/* Remove `name` from the folder if it is of this type (S_IFIFO, S_IFSOCK) or
 * not there: 0. Anything else isn't ours: -EEXIST, and a sentence for opts,
 * which may be NULL. */
int rundir_unlink(const struct tp_opts *opts, int dir, const char *name,
                  mode_t type);

/* True when the name in the folder (a link isn't followed) still leads to what
 * is open as fd. */
bool rundir_leads_to(int dir, const char *name, int fd);

/*
 * A path to `name` in the folder that is open as `dir`, for calls like bind(2)
 * that take nothing else: by way of /proc/self/fd, so it is short, and whoever
 * renames folders can't lead it elsewhere. Where /proc is missing it is the
 * plain path, and a moment stays in which it could be led elsewhere. 0;
 * -EACCES when it has been; -ENAMETOOLONG when it needs more than `cap` bytes.
 */
int rundir_at(const struct tp_opts *opts, int dir, const char *name, char *path,
              size_t cap);

#endif
