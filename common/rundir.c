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
    if (fd < 0 && (errno == ENOENT || errno == EMFILE || errno == ENFILE))
        return -errno; /* who calls says it better */
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
    /* Like FNV-1a, but a whole number at a time: inode numbers that are near
     * each other never share a hash, as bytes through fnv() do. */
    uint64_t hash = 14695981039346656037u;

    if (fstat(dir, &st) == 0) {
        hash = (hash ^ (uint64_t)st.st_dev) * 1099511628211u;
        hash = (hash ^ (uint64_t)st.st_ino) * 1099511628211u;
    }
    snprintf(object, RUNDIR_OBJECT_MAX, "/ipclab-%u-%08x-%s",
             (unsigned)geteuid(), (unsigned)(hash ^ hash >> 32), name);
}

/* On Linux a message queue is a descriptor, too: mq_overview(7). */
int rundir_ours(int fd)
{
    struct stat st;

    if (fd < 0 || (fstat(fd, &st) == 0 && st.st_uid == geteuid()))
        return fd;
    close(fd);
    errno = EACCES;
    return -1;
}

int rundir_taken(const struct tp_opts *opts, int err)
{
    if (err != -EACCES && err != -EEXIST)
        return err;
    return tp_why(opts, err,
                  "another user has this name; take another one (-n), or set "
                  "XDG_RUNTIME_DIR to another folder");
}

int rundir_unlink(const struct tp_opts *opts, int dir, const char *name,
                  mode_t type)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if ((st.st_mode & S_IFMT) != type)
        return tp_why(opts, -EEXIST,
                      "'%s' in the runtime folder is not a %s; move it away",
                      name, type == S_IFIFO ? "FIFO" : "socket");
    return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

bool rundir_leads_to(int dir, const char *name, int fd)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 &&
           fstatat(dir, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
           a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

int rundir_at(const struct tp_opts *opts, int dir, const char *name, char *path,
              size_t cap)
{
    char folder[RUNDIR_PATH_MAX];

    snprintf(folder, sizeof folder, "/proc/self/fd/%d", dir);
    if (access(folder, F_OK) < 0 &&
        (rundir_path(folder) < 0 || !rundir_leads_to(AT_FDCWD, folder, dir)))
        return tp_why(opts, -EACCES, "'%s' isn't the folder that it was",
                      folder);
    if (snprintf(path, cap, "%s/%s", folder, name) < (int)cap)
        return 0;
    return tp_why(opts, -ENAMETOOLONG,
                  "XDG_RUNTIME_DIR is too long a path where /proc is missing");
}
