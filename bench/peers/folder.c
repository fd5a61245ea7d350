/*
 * folder.c - see folder.h
 *
 * Who made a folder holds flock(2) on it, and so do all processes forked from
 * it: the kernel lets go with the last of them. So a folder whose lock is free
 * belongs to nobody. No PID is written down, which another process may have
 * by the time that it is read.
 */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX    "ipcbench-peers-"
#define NAME_ROOM 24 /* bytes of the longest name in it, with a '/' */
#define TRIES     8

static struct {
    char path[FOLDER_PATH_MAX]; /* "" = none yet */
    int fd;                     /* its lock; owned */
    pid_t owner;
    bool at_exit; /* folder_remove is registered */
} folder;

static int fail(char *why, size_t cap, int err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int fail(char *why, size_t cap, int err, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    if (why && cap)
        (void)vsnprintf(why, cap, format, ap);
    va_end(ap);
    return err;
}

/* Remove every file in the folder that is open as `fd`. It has no folders of
 * its own. */
static void empty(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);

    if (copy >= 0 && !d)
        (void)close(copy); /* out of memory: the files stay */
    while (d) {
        struct dirent *e = readdir(d);

        if (!e)
            break;
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            (void)unlinkat(fd, e->d_name, 0); /* rmdir tells if it failed */
    }
    if (d)
        (void)closedir(d); /* only read */
}

/* Open a folder and lock it: the descriptor, or -1 when it isn't ours, a
 * living process has it, or somebody has just removed it. */
static int take(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 &&
        st.st_uid == geteuid() && st.st_nlink > 0)
        return fd;
    (void)close(fd); /* nothing was written */
    return -1;
}

/* Remove what killed ipcbenches left in `base`. */
static void sweep(const char *base)
{
    char path[FOLDER_PATH_MAX];
    DIR *d = opendir(base);

    while (d) {
        struct dirent *e = readdir(d);
        int fd, n;

        if (!e)
            break;
        if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        n = snprintf(path, sizeof path, "%s/%s", base, e->d_name);
        fd = n < (int)sizeof path ? take(path) : -1;
        if (fd < 0)
            continue;
        empty(fd);
        (void)rmdir(path); /* if it can't go, the next one tries */
        (void)close(fd);
    }
    if (d)
        (void)closedir(d); /* only read */
}

/* A new folder, locked. Until it is, it looks as if nobody had it, and another
 * ipcbench that begins at this moment may sweep it away: then once more. */
static int make_locked(char path[FOLDER_PATH_MAX], const char *base)
{
    int err = -EAGAIN;

    for (int i = 0; i < TRIES && err == -EAGAIN; i++) {
        (void)snprintf(path, FOLDER_PATH_MAX, "%s/" PREFIX "XXXXXX", base);
        if (!mkdtemp(path))
            return -errno;
        folder.fd = take(path);
        err = folder.fd < 0 ? -EAGAIN : 0;
    }
    return err;
}

static int make(char *why, size_t cap)
{
    const char *tmp = getenv("TMPDIR"), *base = tmp && *tmp ? tmp : "/var/tmp";
    char path[FOLDER_PATH_MAX];
    int err;

    if (strlen(base) + sizeof PREFIX "XXXXXX" + NAME_ROOM >= sizeof path)
        return fail(why, cap, -ENAMETOOLONG, "TMPDIR is too long a path");
    sweep(base);
    err = make_locked(path, base);
    if (err)
        return fail(why, cap, err, "no folder can be made in '%s': %s", base,
                    strerror(-err));
    memcpy(folder.path, path, sizeof path);
    folder.owner = getpid();
    if (!folder.at_exit)
        folder.at_exit = atexit(folder_remove) == 0; /* else it is swept */
    return 0;
}

void folder_remove(void)
{
    if (!folder.path[0] || folder.owner != getpid())
        return;
    empty(folder.fd);
    (void)rmdir(folder.path); /* if it can't go, the next one sweeps it */
    (void)close(folder.fd);
    folder.path[0] = '\0';
}

int folder_file(char path[FOLDER_PATH_MAX], const char *name, char *why,
                size_t cap)
{
    int err = folder.path[0] ? 0 : make(why, cap);

    if (err)
        return err;
    if (snprintf(path, FOLDER_PATH_MAX, "%s/%s", folder.path, name) >=
        FOLDER_PATH_MAX)
        return fail(why, cap, -ENAMETOOLONG, "TMPDIR is too long a path");
    if (unlink(path) < 0 && errno != ENOENT) {
        err = -errno;
        return fail(why, cap, err, "'%s' can't be removed: %s", path,
                    strerror(-err));
    }
    return 0;
}
