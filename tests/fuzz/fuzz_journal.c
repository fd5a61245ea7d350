/*
 * fuzz_journal.c - the data file (common/journal.c, store.c)
 *
 * The first byte says what is done with the rest before it becomes the file:
 * most changes of a journal only spoil a checksum, so the checksums can be
 * made right again, and the sequence numbers too.
 *
 *   a file that is refused isn't touched, and the reason is told;
 *   of one that is accepted, nothing but a torn end is cut off;
 *   opened again, appended to, or compacted, it gives the same events.
 */
#include "fuzz.h"

#include "crc32.h"
#include "journal.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEAL = 1, NUMBER = 2, APPEND = 4, COMPACT = 8 }; /* the first byte */

#define FILE_MAX 8192 /* bytes of the file at most */
#define KEPT     128  /* lines that are compared one by one */

static char path[300];
static uint8_t text[FILE_MAX + 1024]; /* the file, with room to renumber */
static size_t text_len;

/* ---- making the file -------------------------------------------------------- */

static const char crc_key[] = ",\"crc\":\"", seq_key[] = "\"seq\":";

enum { CRC_LEN = sizeof crc_key - 1 + 8 + 2 }; /* ,"crc":"01234567"} */

/* Gives this line the number `seq`: its new length. */
static size_t number_line(char *line, size_t len, unsigned seq)
{
    char digits[16];
    size_t n = (size_t)snprintf(digits, sizeof digits, "%u", seq), old = 0;
    char *at = NULL;

    for (size_t i = 0; i + sizeof seq_key <= len; i++)
        if (memcmp(line + i, seq_key, sizeof seq_key - 1) == 0)
            at = line + i + sizeof seq_key - 1;
    if (at == NULL)
        return len;
    while (at + old < line + len && at[old] >= '0' && at[old] <= '9')
        old++;
    memmove(at + n, at + old, (size_t)(line + len - at) - old);
    memcpy(at, digits, n);
    return len + n - old;
}

static void seal_line(char *line, size_t len)
{
    char crc[16];

    if (len < CRC_LEN ||
        memcmp(line + len - CRC_LEN, crc_key, sizeof crc_key - 1) != 0)
        return;
    (void)snprintf(crc, sizeof crc, "%08" PRIx32,
                   crc32_of(line, len - CRC_LEN));
    memcpy(line + len - 10, crc, 8);
}

static void make_text(unsigned how, const uint8_t *data, size_t size)
{
    const uint8_t *end = data + size;

    text_len = 0;
    for (unsigned seq = 0; data < end; seq++) {
        const uint8_t *nl = memchr(data, '\n', (size_t)(end - data));
        size_t len = (size_t)((nl != NULL ? nl : end) - data);
        char *line = (char *)text + text_len;

        if (text_len + len + 16 > sizeof text)
            return;
        memcpy(line, data, len);
        data += len;
        if (how & NUMBER)
            len = number_line(line, len, seq);
        if (how & SEAL)
            seal_line(line, len);
        if (nl != NULL) {
            line[len++] = '\n';
            data++;
        }
        text_len += len;
    }
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Has it a number of 7 or 8 digits, or one with an exponent? An id like that may
 * be legal, and the index of the schedule grows up to it: a matter of seconds
 * here, where each store into memory is watched. */
static bool is_slow(void)
{
    bool in_string = false;
    unsigned digits = 0;

    for (size_t i = 0; i < text_len; i++) {
        if (text[i] == '"' && (i == 0 || text[i - 1] != '\\'))
            in_string = !in_string;
        if (text[i] == '\n')
            in_string = false;
        if (!in_string && digits > 0 && (text[i] | 0x20) == 'e')
            return true;
        if (!in_string && is_digit(text[i])) {
            digits++;
        } else {
            if (digits == 7 || digits == 8)
                return true;
            digits = 0;
        }
    }
    return digits == 7 || digits == 8;
}

static void write_file(void)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    MUST(fd >= 0 && write(fd, text, text_len) == (ssize_t)text_len);
    MUST(close(fd) == 0);
}

/* Is this the front of a new file's head, of which not every byte arrived? */
static bool is_torn_head(void)
{
    return memchr(text, '\n', text_len) == NULL;
}

/* The file's length now. What it and the text have in common is the same, but
 * for NULs in a torn head. */
static size_t compare_file(void)
{
    static uint8_t found[2 * sizeof text];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    MUST(fd >= 0);
    n = read(fd, found, sizeof found);
    MUST(n >= 0 && close(fd) == 0);
    for (size_t i = 0; i < (size_t)n && i < text_len; i++)
        MUST(found[i] == text[i] || (text[i] == 0 && is_torn_head()));
    return (size_t)n;
}

/* ---- what is in it ---------------------------------------------------------- */

/* A digest of all that a store holds. */
struct digest {
    size_t count;
    uint32_t next_id, crc;
    uint64_t rev;
};

static bool add_to_digest(const struct event *ev, void *arg)
{
    struct digest *d = arg;
    uint64_t numbers[5] = {ev->id, ev->rev, (uint64_t)ev->start,
                           (uint64_t)ev->end, d->crc};

    MUST(strlen(ev->title) == ev->title_len);
    MUST(event_title_check(ev->title, ev->title_len) == 0);
    MUST(event_times_check(ev->start, ev->end) == 0);
    d->crc =
        crc32_of(numbers, sizeof numbers) ^ crc32_of(ev->title, ev->title_len);
    return true;
}

static struct digest digest_of(struct store *st)
{
    const struct schedule *s = store_schedule(st);
    struct digest d = {.count = schedule_count(s),
                       .next_id = schedule_next_id(s),
                       .rev = store_rev(st)};

    schedule_walk(s, EVENT_TIME_MIN, EVENT_TIME_MAX, NULL, add_to_digest, &d);
    return d;
}

static void same_digest(struct digest a, struct digest b)
{
    MUST(a.count == b.count && a.next_id == b.next_id);
    MUST(a.rev == b.rev && a.crc == b.crc);
}

static int open_store(struct store **st, char why[200])
{
    struct store_opts opts = {.path = path, .why = why, .why_cap = 200};

    return store_open(st, &opts);
}

/* Opened again: nothing is torn any more, and it holds the same. */
static void reopen(struct digest before)
{
    struct store *st = NULL;
    char why[200];

    MUST(open_store(&st, why) == 0 && why[0] == '\0');
    same_digest(before, digest_of(st));
    store_close(st);
}

static struct digest append(struct store *st)
{
    struct event ev = {
        .title = "appended", .title_len = 8, .start = 3600, .end = 7200};
    struct digest before = digest_of(st);
    struct store_result res;
    int err;

    store_lock(st);
    err = store_add(st, 0, &ev, &res);
    store_unlock(st);
    if (err == 0)
        MUST(res.rev == before.rev + 1 && res.id == before.next_id);
    else
        MUST(err == -ENOSPC && before.next_id > EVENT_COUNT_MAX);
    return digest_of(st);
}

/* ---- line by line ----------------------------------------------------------- */

struct lines {
    struct journal_record rec[KEPT];
    char title[KEPT][EVENT_TITLE_MAX + 1];
    size_t count;
};

static int keep_line(const struct journal_record *rec, void *arg)
{
    struct lines *l = arg;
    struct journal_record *mine;

    MUST(rec->event.id >= 1 && rec->event.id <= EVENT_COUNT_MAX);
    MUST(rec->op != JOURNAL_DONE || rec->was != JOURNAL_DONE);
    if (l->count == KEPT)
        return -E2BIG;
    mine = &l->rec[l->count];
    *mine = *rec;
    if (rec->event.title != NULL)
        memcpy(l->title[l->count], rec->event.title, rec->event.title_len + 1u);
    mine->event.title = rec->event.title != NULL ? l->title[l->count] : "";
    l->count++;
    return 0;
}

static void same_lines(const struct lines *a, const struct lines *b)
{
    MUST(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct journal_record *x = &a->rec[i], *y = &b->rec[i];

        MUST(x->op == y->op && x->was == y->was && x->token == y->token);
        MUST(x->seq == y->seq && x->event.id == y->event.id);
        MUST(x->event.rev == y->event.rev);
        MUST(x->event.start == y->event.start && x->event.end == y->event.end);
        MUST(strcmp(x->event.title, y->event.title) == 0);
    }
}

static int open_lines(struct journal **j, struct lines *l, uint32_t *next_id)
{
    struct journal_opts opts = {.path = path};
    size_t torn;

    l->count = 0;
    return journal_open(j, &opts, keep_line, l, next_id, &torn);
}

/* Is there an event with this id after the first n lines? */
static bool exists(const struct lines *l, size_t n, uint32_t id)
{
    while (n-- > 0)
        if (l->rec[n].event.id == id && l->rec[n].op != JOURNAL_DONE)
            return l->rec[n].op != JOURNAL_REMOVE;
    return false;
}

/* No line of what the store has accepted contradicts those before it, and none
 * is missing behind `compacted`, the number in the header. */
static void check_sense(const struct lines *l, uint32_t next_id,
                        uint64_t compacted)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct journal_record *rec = &l->rec[i];
        bool there = exists(l, i, rec->event.id);
        uint64_t last = i > 0 ? l->rec[i - 1].seq : 0;

        MUST(rec->seq > last);
        if (rec->seq > compacted)
            MUST(rec->seq == (last > compacted ? last : compacted) + 1);
        MUST(rec->op != JOURNAL_ADD || !there);
        MUST(rec->op != JOURNAL_REMOVE || there);
        MUST(rec->op != JOURNAL_UPDATE || there || rec->event.id < next_id);
        for (size_t k = 0; k < i && rec->token != 0; k++)
            MUST(l->rec[k].token != rec->token);
    }
}

/* The number in the header, if it is written as we would. */
static uint64_t header_seq(void)
{
    char head[200] = "";
    const char *at;

    memcpy(head, text, text_len < sizeof head ? text_len : sizeof head - 1);
    head[strcspn(head, "\n")] = '\0';
    at = strstr(head, seq_key);
    return at != NULL ? strtoull(at + sizeof seq_key - 1, NULL, 10)
                      : UINT64_MAX;
}

/* Every line into a new file, as compaction does: the same lines again. */
static void compact(void)
{
    static struct lines before, after;
    uint32_t next_id, again;
    struct journal *j = NULL;
    int err = open_lines(&j, &before, &next_id);

    if (err == -E2BIG)
        return;
    MUST(err == 0);
    uint64_t seq = journal_seq(j);
    check_sense(&before, next_id, header_seq());
    MUST(journal_compact_begin(j, next_id) == 0);
    for (size_t i = 0; i < before.count; i++)
        journal_compact_put(j, &before.rec[i]);
    MUST(journal_compact_finish(j) == 0);
    journal_close(j);
    MUST(open_lines(&j, &after, &again) == 0);
    MUST(again == next_id && journal_seq(j) == seq);
    journal_close(j);
    same_lines(&before, &after);
}

/* ---- one file --------------------------------------------------------------- */

/* Only a torn end may have gone; and only what has no whole line may have been
 * taken for the front of a new file, and completed. */
static void check_repair(const char *why)
{
    size_t len = compare_file();

    MUST((len == text_len) == (why[0] == '\0') || text_len == 0 ||
         is_torn_head());
    if (len < text_len) {
        MUST(len > 0 && text[len - 1] == '\n');
        /* One line, which was never whole. */
        MUST(memchr(text + len, '\n', text_len - len - 1) == NULL);
        MUST(text[text_len - 1] != '\n' ||
             memchr(text + len, '\0', text_len - len) != NULL);
    }
    if (len > text_len)
        MUST(memchr(text, '\n', text_len) == NULL);
}

static void accepted(struct store *st, unsigned how, const char *why)
{
    struct digest d = digest_of(st);

    check_repair(why);
    if (how & APPEND)
        d = append(st);
    store_close(st);
    reopen(d);
    if (how & COMPACT) {
        compact();
        reopen(d);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct supply in = {data, data + size};
    unsigned how = supply_byte(&in);
    struct store *st = NULL;
    char why[200];
    int err;

    if (size > FILE_MAX)
        return 0;
    (void)snprintf(path, sizeof path, "%s/journal", fuzz_dir());
    make_text(how, in.at, supply_left(&in));
    if (is_slow())
        return 0;
    write_file();
    err = open_store(&st, why);
    if (err == 0) {
        accepted(st, how, why);
    } else {
        MUST(err == -EBADMSG && why[0] != '\0');
        MUST(compare_file() == text_len);
    }
    return 0;
}
