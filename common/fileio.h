/*
 * fileio.h - system calls on files, until they are done
 *
 * A write may be short, and any of these calls may be interrupted: here that
 * is dealt with once. Every result is >= 0, or -errno.
 */
#ifndef IPCLAB_FILEIO_H
#define IPCLAB_FILEIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* At most len bytes, at least one; 0 = the end of the file. */
ssize_t file_read(int fd, char *bytes, size_t len);

/* All of len bytes; after an error, the front of them may be written. */
int file_write(int fd, const char *bytes, size_t len);

/* fdatasync, fsync, ftruncate. */
int file_sync_data(int fd);
int file_sync(int fd);
int file_cut(int fd, uint64_t len);

/* fsync of the folder in which `path` stands: its name is durable then. */
int file_sync_folder(const char *path);

/* Open to read, never waiting for anybody: a descriptor, or -errno; -EBADMSG:
 * what has this name isn't a regular file. */
int file_open_regular(const char *path);

/* path + suffix in new memory (free), or NULL. */
char *file_beside(const char *path, const char *suffix);

#endif
