/*
 * fileio.c - see fileio.h
 *
 * Rests on: open(2), read(2), write(2), fdatasync(2), fsync(2), ftruncate(2).
 * Left out on purpose: stdio. When a read fails in the middle of a line,
 * getline gives the front of that line as if the file ended there.
 */
#include "fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t file_read(int fd, char *bytes, size_t len)
{
    ssize_t n;

    do {
        n = read(fd, bytes, len);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int file_write(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n == 0)
            return -EIO; /* no disk does that; to try again may be for ever */
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

/* A sync that a signal handler interrupted has reported nothing, so nothing
 * is forgotten by asking again. (Network file systems do that.) */
int file_sync_data(int fd)
{
    while (fdatasync(fd) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int file_sync(int fd)
{
    while (fsync(fd) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int file_cut(int fd, uint64_t len)
{
    while (ftruncate(fd, (off_t)len) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int file_sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash != NULL ? strndup(path, slash > path ? (size_t)(slash - path) : 1)
                      : strdup(".");
    int err;

    if (folder == NULL)
        return -ENOMEM;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err = fd < 0 ? -errno : file_sync(fd);
    if (fd >= 0)
        (void)close(fd); /* nothing was written to it */
    free(folder);
    return err;
}

int file_open_regular(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    int err = 0;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) != 0)
        err = -errno;
    else if (!S_ISREG(st.st_mode))
        err = -EBADMSG;
    if (err == 0)
        return fd;
    (void)close(fd); /* only looked at */
    return err;
}

char *file_beside(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    char *s = malloc(n + m + 1);

    if (s != NULL) {
        memcpy(s, path, n);
        memcpy(s + n, suffix, m + 1);
    }
    return s;
}
