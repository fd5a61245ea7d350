/*
 * journal_scan.h - the lines of a journal one by one, and what is wrong
 *
 * Opening a journal and looking at a damaged one read it by the same rules:
 * this is the only reader. Who opens stops at the first fault.
 *
 * A line is good when its checksum and its content are, and its number is
 * higher than that of the line before. Numbers that are left out show that
 * lines are missing; up to the number that the head keeps they are not, since
 * compaction has dropped some.
 */
#ifndef IPCLAB_JOURNAL_SCAN_H
#define IPCLAB_JOURNAL_SCAN_H

#include "journal_line.h"

/* One line as it was found. All pointers are valid until the visitor
 * returns. */
struct journal_line {
    size_t number;    /* from 1 */
    uint64_t at;      /* bytes of the file before it */
    uint64_t len;     /* of it, without '\n' */
    bool ended;       /* by a '\n' */
    const char *text; /* its first `kept` bytes: of a good line, all; NULL:
                          what is wrong is that something isn't there */
    size_t kept;
    const char *fault; /* what is wrong with it; NULL = it is good */
    bool torn;         /* a fault that a crash explains: the unfinished last
                          line, which the next opening cuts off */
    bool foreign;      /* a fault of the head: only a later ipclab can tell
                          what is good in this file */
    uint64_t missing;  /* changes that must have stood before it, and for which
                          no bad line stands */
    uint64_t gap;      /* all numbers between the last good line and this one:
                          at most so many changes are lost there */
    const struct journal_record *rec; /* of a good line; or NULL, and then: */
    const struct journal_head *head;  /* of a good head */
};

/* Called for each line in turn; 0, or -errno, which ends the scan with it. */
typedef int journal_visit(const struct journal_line *line, void *arg);

/*
 * Show every line from where `fd` stands, the start of the file, to `visit`,
 * the good and the bad. Nothing is changed. Memory is bounded, however long
 * a line is. 0 at the end of the file, or what read(2) or `visit` gave: a file
 * that can't be read to its end is not taken for one that ends there.
 */
int journal_scan(int fd, journal_visit *visit, void *arg);

#endif
