/*
 * journal_fresh.c - see journal_fresh.h
 *
 * Rests on: open(2) with O_EXCL, fchown(2), fchmod(2), fsync(2), rename(2),
 * link(2). Left out on purpose: access control lists, extended attributes.
 */
#include "journal_fresh.h"

#include "fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER 32768 /* bytes written at a time */

struct journal_fresh {
    char *name;
    int fd;
    int err; /* the first error met, 0 = none */
    uint64_t bytes;
    size_t held; /* bytes in buffer[], not yet written */
    char buffer[BUFFER];
};

/* Whoever may use the old file may use the new one. Group and owner each for
 * itself: who isn't root may set the one (EPERM: not even that), and then can
 * do no better. */
static int copy_access(const struct stat *st, int to)
{
    if ((fchown(to, (uid_t)-1, st->st_gid) != 0 && errno != EPERM) ||
        (fchown(to, st->st_uid, (gid_t)-1) != 0 && errno != EPERM) ||
        fchmod(to, st->st_mode & 07777) != 0) /* last: fchown clears bits */
        return -errno;
    return 0;
}

static void write_held(struct journal_fresh *f)
{
    if (f->err == 0)
        f->err = file_write(f->fd, f->buffer, f->held);
    f->held = 0;
}

/* No line is longer than the buffer. */
static void put(struct journal_fresh *f, const char *bytes, size_t len)
{
    if (f->held + len > BUFFER)
        write_held(f);
    memcpy(f->buffer + f->held, bytes, len);
    f->held += len;
    f->bytes += len;
}

void journal_fresh_put(struct journal_fresh *f,
                       const struct journal_record *rec)
{
    char line[JOURNAL_LINE_MAX];
    int len = journal_line_put(rec, line);

    if (len >= 0)
        put(f, line, (size_t)len);
    else if (f->err == 0)
        f->err = len;
}

void journal_fresh_text(struct journal_fresh *f, const char *text, size_t len)
{
    if (len >= BUFFER) {
        if (f->err == 0)
            f->err = -EMSGSIZE; /* no good line is that long */
        return;
    }
    put(f, text, len);
    put(f, "\n", 1);
}

/* ---- begin and end ------------------------------------------------------- */

static void free_fresh(struct journal_fresh *f)
{
    if (f->fd >= 0)
        (void)close(f->fd); /* synced, or given up */
    free(f->name);
    free(f);
}

int journal_fresh_begin(struct journal_fresh **out, const char *name,
                        const struct stat *like, uint32_t next_id, uint64_t seq)
{
    struct journal_fresh *f = calloc(1, sizeof *f);
    char line[JOURNAL_LINE_MAX];
    int err = -ENOMEM;

    if (f == NULL)
        return err;
    f->fd = -1;
    f->name = strdup(name);
    if (f->name == NULL)
        goto fail;
    f->fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (f->fd < 0) {
        err = -errno;
        goto fail;
    }
    f->err = copy_access(like, f->fd);
    put(f, line, journal_line_put_head(next_id, seq, line));
    *out = f;
    return 0;

fail:
    free_fresh(f);
    return err;
}

/* Everything written and on the disk: 0 or the first error met. Always synced,
 * also where changes aren't: it takes the place of lines that were. */
static int end(struct journal_fresh *f)
{
    write_held(f);
    if (f->err == 0)
        f->err = file_sync(f->fd);
    return f->err;
}

int journal_fresh_replace(struct journal_fresh *f, const char *to, int *fd,
                          uint64_t *bytes)
{
    int err = end(f);

    if (err == 0 && rename(f->name, to) != 0)
        err = -errno;
    if (err != 0) {
        journal_fresh_drop(f);
        return err;
    }
    *fd = f->fd;
    *bytes = f->bytes;
    f->fd = -1;
    free_fresh(f);
    return 0;
}

int journal_fresh_publish(struct journal_fresh *f, const char *to)
{
    int err = end(f);

    /* Unlike rename, link never replaces what has the name already. */
    if (err == 0 && link(f->name, to) != 0)
        err = -errno;
    journal_fresh_drop(f); /* its other name, if all went well */
    return err == 0 ? file_sync_folder(to) : err;
}

void journal_fresh_drop(struct journal_fresh *f)
{
    if (f == NULL)
        return;
    (void)unlink(f->name); /* or it stays: nobody takes it for a journal */
    free_fresh(f);
}
