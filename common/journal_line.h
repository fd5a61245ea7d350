/*
 * journal_line.h - one line of a journal: record <-> bytes
 *
 *   {"format":"ipclab-journal","version":1,"next_id":1,"seq":0,
 *    "crc":"2fe2a0f2"}                                  (the head: line 1)
 *   {"op":"add","id":1,"title":"IPC lecture","start":"2026-11-23T00:00:00Z",
 *    "end":"2026-11-23T01:00:00Z","token":"00000000000000a1","seq":1,
 *    "crc":"5e0c2a9b"}                                  (one line in the file)
 *
 * `seq` grows by one a line, so a line that is missing shows; compaction drops
 * lines, and its head keeps the seq it was made at. `crc` is the CRC-32 of
 * the line's bytes before `,"crc"`. Times are UTC, written as RFC 3339. Tokens
 * are 16 hex digits.
 * op is add, update, remove, or done (what compaction keeps of a change whose
 * event is gone or was changed since: its token, its result, in `was` the op
 * it had, and of an add in `sum` a checksum of what it asked for).
 *
 * No file is touched here. Rests on cJSON, by way of json.h.
 */
#ifndef IPCLAB_JOURNAL_LINE_H
#define IPCLAB_JOURNAL_LINE_H

#include "schedule.h"

#define JOURNAL_LINE_MAX 1024 /* 255 bytes of title escaped, and the rest */
#define JOURNAL_VERSION  1    /* of the format */

enum journal_op { JOURNAL_ADD, JOURNAL_UPDATE, JOURNAL_REMOVE, JOURNAL_DONE };

/* One line. A remove has only id (and token, seq); a done has the id, in
 * event.rev the revision that the change gave, and in `was` its op. */
struct journal_record {
    enum journal_op op;
    enum journal_op was; /* of a done: add, update or remove */
    uint32_t sum;        /* of a done: a checksum of what the add asked for, so
                            that its token isn't taken for another event's;
                            0 = not known */
    uint64_t token;      /* the client's; 0 = none */
    uint64_t seq;        /* given by journal_append */
    struct event event;  /* title: the caller's when it is written, the
                            reader's until the next line when it is read */
};

/* The first line of a file. */
struct journal_head {
    uint64_t version; /* 0 = this is no head; else whole, but for us only if it
                         is the one that we write */
    uint32_t next_id; /* no id below was never used */
    uint64_t seq;     /* compacted there; 0 = never */
};

/* A line with its checksum and '\n' into line[]: its length, or -ENOMEM; a head
 * needs no memory. */
int journal_line_put(const struct journal_record *rec,
                     char line[JOURNAL_LINE_MAX]);
size_t journal_line_put_head(uint32_t next_id, uint64_t seq,
                             char line[JOURNAL_LINE_MAX]);

/* Does the line (`len` bytes without '\n') end with the right checksum of
 * itself: is it as it was written? */
bool journal_line_whole(const char *text, size_t len);

/* A whole line into *rec, its title into title[]: 0; -EBADMSG its content isn't
 * right; -ENOMEM. */
int journal_line_get(const char *text, size_t len, struct journal_record *rec,
                     char title[EVENT_TITLE_MAX + 1]);

/* A whole line: is it a head, and of our version? 0; -EBADMSG it isn't; -ENOMEM.
 * *head says what was read in any case. */
int journal_line_get_head(const char *text, size_t len,
                          struct journal_head *head);

/* Are these `len` bytes the front of the head of a file that is quite new,
 * as far as they arrived on the disk? A power loss may leave NULs where they
 * didn't. 0 bytes are. */
bool journal_line_newborn(const char *text, size_t len);

#define JOURNAL_FRONT 24 /* bytes that the heads of all files begin with */

/* Does a file that begins with these bytes look like a journal, of whatever
 * version, damaged or not? */
bool journal_line_front(const char *text, size_t len);

#endif
