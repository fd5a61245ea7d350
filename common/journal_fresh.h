/*
 * journal_fresh.h - a new journal beside the old one
 *
 * Compaction and repair write one: under a name of its own, until it is whole
 * and on the disk; only then it gets the name that counts. So a crash at any
 * point leaves either nothing under that name, or what was there, or all.
 *
 *   begin     make it, write the head
 *   put/text  line by line
 *   replace   give it the name of the old one (rename): compaction
 *   publish   give it a name that nothing has (link): repair
 *   drop      away with it
 *
 * An error on the way is kept, and told at the end.
 */
#ifndef IPCLAB_JOURNAL_FRESH_H
#define IPCLAB_JOURNAL_FRESH_H

#include "journal_line.h"

#include <sys/stat.h>

struct journal_fresh;

/* Make the file `name`, which mustn't exist (-EEXIST), with the owner and mode
 * of the file that `like` describes. 0 or -errno. One of the last three ends
 * it, and frees *out. */
int journal_fresh_begin(struct journal_fresh **out, const char *name,
                        const struct stat *like, uint32_t next_id,
                        uint64_t seq);

void journal_fresh_put(struct journal_fresh *f,
                       const struct journal_record *rec);

/* A line as it is; `len` bytes without '\n'. */
void journal_fresh_text(struct journal_fresh *f, const char *text, size_t len);

/* Sync it, and rename it to `to`: 0, *fd is the file, the caller's, open to
 * append, and *bytes its size. Or the first error met: then it is gone, and
 * `to` is as it was. The folder isn't synced yet. */
int journal_fresh_replace(struct journal_fresh *f, const char *to, int *fd,
                          uint64_t *bytes);

/* The same for a name that nobody has: -EEXIST. The folder is synced. */
int journal_fresh_publish(struct journal_fresh *f, const char *to);

void journal_fresh_drop(struct journal_fresh *f); /* takes NULL */

#endif
