/*
 * rundir.c - the runtime folder; see rundir.h
 *
 * O_NOFOLLOW and fstat on the open descriptor (not stat on the path) make the
 * check and the use one and the same object: /tmp is open to everybody, and a
 * name there may be changed between two calls.
 */
#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int rundir_path(char path[RUNDIR_PATH_MAX])
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    int n;

    if (base && base[0] == '/')
        n = snprintf(path, RUNDIR_PATH_MAX, "%s/ipclab", base);
    else
        n = snprintf(path, RUNDIR_PATH_MAX, "/tmp/ipclab-%u",
                     (unsigned)getuid());
    return n < RUNDIR_PATH_MAX ? 0 : -ENAMETOOLONG;
}

int rundir_open(const struct tp_opts *opts, bool make)
{
    char path[RUNDIR_PATH_MAX];
    struct stat st;
    int fd, err = rundir_path(path);

    if (err)
        return tp_why(opts, err, "the path in XDG_RUNTIME_DIR is too long");
    if (make && mkdir(path, 0700) < 0 && errno != EEXIST) {
        err = errno == ENOENT ? -EACCES : -errno; /* its parent is missing */
        return tp_why(opts, err,
                      "cannot make the runtime folder '%s'; set "
                      "XDG_RUNTIME_DIR to a folder that exists",
                      path);
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return -ENOENT;
    if (fd < 0) {
        err = errno == ELOOP || errno == ENOTDIR ? -EACCES : -errno;
        return tp_why(opts, err, "'%s' is not a folder that can be used", path);
    }
    if (fstat(fd, &st) < 0)
        err = -errno;
    else if (st.st_uid != geteuid())
        err = tp_why(opts, -EACCES,
                     "the runtime folder '%s' belongs to user %u; set "
                     "XDG_RUNTIME_DIR to a folder of your own",
                     path, (unsigned)st.st_uid);
    else if (st.st_mode & 077)
        err = tp_why(opts, -EACCES,
                     "the runtime folder '%s' is open to others (mode %03o); "
                     "type: chmod 700 '%s'",
                     path, (unsigned)(st.st_mode & 0777), path);
    if (err) {
        close(fd);
        return err;
    }
    return fd;
}

void rundir_remove(void)
{
    char path[RUNDIR_PATH_MAX];

    if (rundir_path(path) == 0)
        (void)rmdir(path); /* refused unless it is empty: that is the point */
}

void rundir_object(char object[RUNDIR_OBJECT_MAX], int dir, const char *name)
{
    struct stat st = {0};
    uint64_t hash = 14695981039346656037u; /* FNV-1a, 64 bits */

    if (fstat(dir, &st) == 0) {
        hash = (hash ^ (uint64_t)st.st_dev) * 1099511628211u;
        hash = (hash ^ (uint64_t)st.st_ino) * 1099511628211u;
    }
    snprintf(object, RUNDIR_OBJECT_MAX, "/ipclab-%u-%08x-%s",
             (unsigned)geteuid(), (unsigned)(hash ^ hash >> 32), name);
}

int rundir_unlink(int dir, const char *name, mode_t type)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if ((st.st_mode & S_IFMT) != type)
        return -EEXIST;
    return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}
