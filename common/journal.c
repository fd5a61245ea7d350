/*
 * journal.c - the timetable's durable file; see journal.h
 *
 *      append:  write ......  write ......  write       (the store's lock)
 *      commit:  [--- fdatasync ---][--- fdatasync ---]   (our own mutex)
 *                 ^ who comes now waits, and its line is already written:
 *                   the next fdatasync covers all who wait
 *
 * Left out on purpose: O_DSYNC (a sync for each line: nothing to share),
 * mmap (another process that cuts the file would be our SIGBUS).
 *
 * It needs _GNU_SOURCE for F_OFD_SETLK: a lock of the open file, not of the
 * process, so that two stores in one process exclude each other too.
 */
#define _GNU_SOURCE
#include "journal.h"

#include "clock.h"
#include "crc32.h"
#include "json.h"
#include "timestamp.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT       "ipclab-journal"
#define VERSION      1
#define LINE_MAX_LEN 1024 /* 255 bytes of title escaped, and the rest */
#define CRC_LEN      18   /* ,"crc":"01234567"} */
#define LOCK_POLL_MS 10
#define NS_PER_MS    1000000L
#define LOOK_MS      50    /* between two looks at the name, without syncs */
#define FRESH_BUFFER 32768 /* bytes of a new file written at a time */

/* A new file, until it is whole and gets its name. */
struct fresh {
    char *path; /* NAME.new; owned, NULL = there is none */
    int fd;
    int err; /* the first error met, 0 = none */
    uint64_t bytes;
    size_t held; /* bytes in buffer[], not yet written */
    char buffer[FRESH_BUFFER];
};

struct journal {
    char *path; /* of the data file, links followed */
    int fd;     /* the data file; the append lock, and sync_lock to sync */
    dev_t dev;  /* which file that is, by its name */
    ino_t ino;
    int lock_fd;
    bool sync;
    bool made;                  /* by us: it wasn't there */
    int64_t looked;             /* at the name, ns; the append lock */
    atomic_uint_fast64_t bytes; /* in the file; changed under the append lock */
    atomic_uint_fast64_t seq;   /* of the last line in the file */
    _Atomic(const char *) fault; /* not NULL: final, nothing is written */
    atomic_uint_fast64_t syncs;

    pthread_mutex_t sync_lock; /* one fdatasync at a time */
    uint64_t durable;          /* lines up to here are; sync_lock */

    struct fresh *fresh; /* compaction: the new file, or NULL */
};

static const char fault_open[] = "the data file couldn't be opened";
static const char fault_write[] = "writing to the data file failed";
static const char fault_sync[] = "syncing the data file failed";
static const char fault_folder[] = "syncing the data file's folder failed";
static const char fault_gone[] = "the data file isn't there any more";
static const char fault_other[] = "the data file was replaced by another one";
static const char fault_short[] = "somebody has cut the data file short";
static const char fault_long[] = "somebody else has written to the data file";

static void say(const struct journal_opts *opts, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct journal_opts *opts, const char *format, ...)
{
    va_list ap;

    if (opts->why == NULL || opts->why_cap == 0)
        return;
    va_start(ap, format);
    (void)vsnprintf(opts->why, opts->why_cap, format, ap); /* may be cut off */
    va_end(ap);
}

/* The first fault counts. */
static int give_up(struct journal *j, const char *fault)
{
    const char *none = NULL;

    (void)atomic_compare_exchange_strong(&j->fault, &none, fault);
    return -EROFS;
}

/* ---- system calls, until they are done ----------------------------------- */

/* All of len bytes, or -errno. */
static int write_all(int fd, const char *bytes, size_t len)
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
static int sync_data(int fd)
{
    while (fdatasync(fd) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

static int sync_all(int fd)
{
    while (fsync(fd) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

static int cut(int fd, uint64_t len)
{
    while (ftruncate(fd, (off_t)len) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

static int sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash != NULL ? strndup(path, slash > path ? (size_t)(slash - path) : 1)
                      : strdup(".");
    int err;

    if (folder == NULL)
        return -ENOMEM;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err = fd < 0 ? -errno : sync_all(fd);
    if (fd >= 0)
        (void)close(fd); /* nothing was written to it */
    free(folder);
    return err;
}

/* ---- one line, from record to bytes ------------------------------------- */

static const char *const op_names[] = {"add", "update", "remove", "done"};

/* "a" + "b" in new memory, or NULL. */
static char *join(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    char *s = malloc(n + m + 1);

    if (s != NULL) {
        memcpy(s, a, n);
        memcpy(s + n, b, m + 1);
    }
    return s;
}

/* The object as one line with its checksum into line[]: its length, or
 * -ENOMEM. Takes the object. */
static int seal(cJSON *object, bool complete, char line[LINE_MAX_LEN])
{
    int n = -ENOMEM;

    /* cJSON wants 5 bytes more than it fills. */
    if (complete && cJSON_PrintPreallocated(
                        object, line, LINE_MAX_LEN - CRC_LEN - 8, false)) {
        size_t len = strlen(line) - 1; /* the closing brace goes to the end */
        n = snprintf(line + len, LINE_MAX_LEN - len,
                     ",\"crc\":\"%08" PRIx32 "\"}\n", crc32_of(line, len));
        n += (int)len;
    }
    cJSON_Delete(object);
    return n;
}

static int put_header(uint32_t next_id, uint64_t seq, char line[LINE_MAX_LEN])
{
    cJSON *o = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(o, "format", FORMAT) != NULL &&
              cJSON_AddNumberToObject(o, "version", VERSION) != NULL &&
              cJSON_AddNumberToObject(o, "next_id", next_id) != NULL &&
              cJSON_AddNumberToObject(o, "seq", (double)seq) != NULL;

    return seal(o, ok, line);
}

static bool add_event(cJSON *o, const struct event *ev)
{
    char title[EVENT_TITLE_MAX + 1];
    char start[TIMESTAMP_SIZE], end[TIMESTAMP_SIZE];

    memcpy(title, ev->title, ev->title_len); /* may point into a message */
    title[ev->title_len] = '\0';
    timestamp_format(ev->start, start);
    timestamp_format(ev->end, end);
    return cJSON_AddStringToObject(o, "title", title) != NULL &&
           cJSON_AddStringToObject(o, "start", start) != NULL &&
           cJSON_AddStringToObject(o, "end", end) != NULL;
}

static int put_line(const struct journal_record *rec, char line[LINE_MAX_LEN])
{
    cJSON *o = cJSON_CreateObject();
    char token[17], sum[9];
    bool ok;

    (void)snprintf(token, sizeof token, "%016" PRIx64, rec->token);
    ok = cJSON_AddStringToObject(o, "op", op_names[rec->op]) != NULL &&
         cJSON_AddNumberToObject(o, "id", rec->event.id) != NULL;
    if (rec->op == JOURNAL_ADD || rec->op == JOURNAL_UPDATE)
        ok = ok && add_event(o, &rec->event);
    if (rec->op == JOURNAL_DONE)
        ok =
            ok &&
            cJSON_AddNumberToObject(o, "rev", (double)rec->event.rev) != NULL &&
            cJSON_AddStringToObject(o, "was", op_names[rec->was]) != NULL;
    (void)snprintf(sum, sizeof sum, "%08" PRIx32, rec->sum);
    if (rec->op == JOURNAL_DONE && rec->sum != 0)
        ok = ok && cJSON_AddStringToObject(o, "sum", sum) != NULL;
    ok = ok && cJSON_AddStringToObject(o, "token", token) != NULL &&
         cJSON_AddNumberToObject(o, "seq", (double)rec->seq) != NULL;
    return seal(o, ok, line);
}

/* ---- one line, from bytes to record ------------------------------------- */

/* `len` lower-case hex digits into *v; what we write, and nothing else. */
static bool get_hex(const char *text, size_t len, uint64_t *v)
{
    *v = 0;
    for (size_t i = 0; i < len; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *d = memchr(digits, text[i], 16);
        if (d == NULL)
            return false;
        *v = *v << 4 | (uint64_t)(d - digits);
    }
    return true;
}

/* Does the line (without '\n') end with the right checksum of itself? */
static bool crc_ok(const char *line, size_t len)
{
    static const char key[] = ",\"crc\":\"";
    uint64_t crc;

    if (len < CRC_LEN || memcmp(line + len - 2, "\"}", 2) != 0)
        return false;
    const char *tail = line + len - CRC_LEN;
    return memcmp(tail, key, sizeof key - 1) == 0 &&
           get_hex(tail + sizeof key - 1, 8, &crc) &&
           crc == crc32_of(line, len - CRC_LEN);
}

static bool get_op(const cJSON *o, const char *key, enum journal_op *op)
{
    const char *name = json_string(o, key);

    for (int i = JOURNAL_ADD; name != NULL && i <= JOURNAL_DONE; i++) {
        if (strcmp(name, op_names[i]) == 0) {
            *op = (enum journal_op)i;
            return true;
        }
    }
    return false;
}

/* Title and times. The title stays the tree's. */
static bool get_event(const cJSON *o, struct event *ev)
{
    const char *title = json_string(o, "title");
    const char *start = json_string(o, "start"), *end = json_string(o, "end");

    if (title == NULL || event_title_check(title, strlen(title)) != 0 ||
        start == NULL || timestamp_parse(start, &ev->start) != 0 ||
        end == NULL || timestamp_parse(end, &ev->end) != 0)
        return false;
    ev->title = title;
    ev->title_len = (uint8_t)strlen(title);
    return event_times_check(ev->start, ev->end) == 0;
}

/* A done that was an add since version 0.1 has it, none other. */
static bool get_sum(const cJSON *o, uint32_t *sum)
{
    const char *text = json_string(o, "sum");
    uint64_t v = 0;

    if (text != NULL && (strlen(text) != 8 || !get_hex(text, 8, &v)))
        return false;
    *sum = (uint32_t)v;
    return true;
}

static bool get_record(const cJSON *o, struct journal_record *rec)
{
    const char *token = json_string(o, "token");
    uint64_t id;

    memset(rec, 0, sizeof *rec);
    if (!get_op(o, "op", &rec->op) || json_number(o, "id", &id) != 0 ||
        id == 0 || id > EVENT_COUNT_MAX || token == NULL ||
        strlen(token) != 16 || !get_hex(token, 16, &rec->token) ||
        json_number(o, "seq", &rec->seq) != 0)
        return false;
    rec->event.id = (uint32_t)id;
    if (rec->op == JOURNAL_DONE)
        return json_number(o, "rev", &rec->event.rev) == 0 &&
               get_op(o, "was", &rec->was) && rec->was != JOURNAL_DONE &&
               get_sum(o, &rec->sum);
    rec->event.rev = rec->seq;
    return rec->op == JOURNAL_REMOVE || get_event(o, &rec->event);
}

/* ---- opening: the lock -------------------------------------------------- */

/* Who holds the lock wrote its pid into the lock file: that, or -1. */
static long read_pid(int lock_fd)
{
    char text[24];
    ssize_t n = pread(lock_fd, text, sizeof text - 1, 0);
    long pid;

    if (n <= 0 || text[0] < '0' || text[0] > '9')
        return -1;
    text[n] = '\0';
    pid = strtol(text, NULL, 10);
    return pid > 0 ? pid : -1;
}

static int say_busy(const struct journal_opts *opts, int lock_fd)
{
    long pid = read_pid(lock_fd);

    if (pid > 0)
        say(opts, "pid %ld holds the data file", pid);
    else
        say(opts, "another process holds the data file");
    return -EBUSY;
}

/* Lock the whole lock file. A waiting lock (F_OFD_SETLKW) knows no deadline
 * but a signal, which a library can't send itself unseen; so look again and
 * again. 10 ms are short for a person and cost nothing. */
static int take_lock(struct journal *j, const struct journal_opts *opts)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct timespec pause = {.tv_nsec = LOCK_POLL_MS * NS_PER_MS};
    int64_t end = clock_now_ns() + (int64_t)opts->wait_ms * NS_PER_MS;
    char pid[24];

    while (fcntl(j->lock_fd, F_OFD_SETLK, &all) != 0) {
        if (errno != EAGAIN && errno != EACCES)
            return -errno;
        if (opts->wait_ms >= 0 && clock_now_ns() >= end)
            return say_busy(opts, j->lock_fd);
        (void)nanosleep(&pause, NULL); /* a signal only makes it shorter */
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(j->lock_fd, 0) != 0 ||
        pwrite(j->lock_fd, pid, (size_t)n, 0) != n) {
        /* A full disk. The lock itself holds; only its name is missing. */
    }
    return 0;
}

/* The file's own name in j->path. A link is followed once, here: compaction
 * must replace the file, not the link, and two links to one file need the same
 * lock. Only of a file that exists can all links be followed: so make it. */
static int find_file(struct journal *j, const char *path)
{
    j->path = realpath(path, NULL);
    if (j->path == NULL && errno == ENOENT) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return -errno;
        (void)close(fd); /* nothing was written to it */
        j->made = true;
        j->path = realpath(path, NULL);
    }
    return j->path == NULL ? -errno : 0;
}

/* Are these the bytes of `head`, as far as they arrived on the disk? A power
 * loss may leave NULs where they didn't. */
static bool begins_like(const char *bytes, const char *head, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != head[i] && bytes[i] != '\0')
            return false;
    return true;
}

/* A file that doesn't begin like ours isn't touched, and gets no lock file
 * beside it: 0, -EBADMSG. The rest of the first line is checked later. */
static int look_at_head(const char *path, const struct journal_opts *opts)
{
    static const char head[] = "{\"format\":\"" FORMAT "\"";
    char found[sizeof head - 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, found, sizeof found);
    (void)close(fd); /* only read */
    if (n < 0)
        return -errno; /* EISDIR, say */
    if (begins_like(found, head, (size_t)n))
        return 0;
    say(opts, "line 1: it isn't a timetable's data file");
    return -EBADMSG;
}

static int open_files(struct journal *j, const struct journal_opts *opts)
{
    char *lock_path;
    int err = find_file(j, opts->path);

    if (err == 0)
        err = look_at_head(j->path, opts);
    if (err != 0)
        return err;
    lock_path = join(j->path, ".lock");
    if (lock_path == NULL)
        return -ENOMEM;
    j->lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    err = j->lock_fd < 0 ? -errno : 0;
    free(lock_path);
    if (err == 0)
        err = take_lock(j, opts);
    if (err != 0)
        return err;
    /* After the lock: before it, compaction might still replace the file. */
    j->fd = open(j->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return j->fd < 0 ? -errno : 0;
}

/* ---- the lines ------------------------------------------------------------ */

/* Reading, line by line. */
struct input {
    FILE *file;
    char *line; /* getline's; `len` bytes, without '\n' */
    size_t cap, len;
    bool ended;    /* the line had its '\n' */
    size_t number; /* of this line, from 1 */
};

/* The descriptor is the input's from now on: 0 or -errno. */
static int input_open(struct input *in, int fd)
{
    int err = fd < 0 ? -errno : 0;

    *in = (struct input){.file = fd < 0 ? NULL : fdopen(fd, "r")};
    if (err == 0 && in->file == NULL) {
        err = -errno;
        (void)close(fd); /* only read */
    }
    return err;
}

static void input_close(struct input *in)
{
    free(in->line);
    (void)fclose(in->file); /* only read */
}

/* The next line: 1, 0 at the end of the file, or -errno. */
static int next_line(struct input *in)
{
    errno = 0;
    ssize_t n = getline(&in->line, &in->cap, in->file);

    if (n < 0)
        return ferror(in->file) || errno == ENOMEM ? -errno : 0;
    in->ended = in->line[n - 1] == '\n';
    in->len = (size_t)n - in->ended;
    in->number++;
    return 1;
}

/* Is there more in the file behind this line? */
static bool more_follows(struct input *in)
{
    int c = getc(in->file);

    if (c == EOF)
        return false;
    (void)ungetc(c, in->file); /* one byte always fits */
    return true;
}

/* Is this line as it was written? */
static bool is_whole(const struct input *in)
{
    return in->ended && crc_ok(in->line, in->len);
}

/*
 * A bad last line: torn by a crash, or damaged? What kill -9 leaves of a write
 * is the front of a line, without its '\n'; what a power loss leaves may also
 * have NUL bytes where nothing arrived. Any other line was whole once, and may
 * have been acknowledged. So may the first of two lines with a damaged '\n'
 * between them: a whole good line and the front of another behind it.
 */
static bool is_torn(struct input *in)
{
    if (is_whole(in) || more_follows(in) ||
        (in->ended && memchr(in->line, '\0', in->len) == NULL))
        return false;
    for (size_t n = CRC_LEN; n + 1 < in->len; n++) {
        if (in->line[n - 1] == '}' && in->line[n + 1] == '{' &&
            crc_ok(in->line, n))
            return false;
    }
    return true;
}

static cJSON *parse_line(const struct input *in)
{
    size_t line;
    char why[64];

    return json_parse(in->line, in->len, &line, why, sizeof why);
}

/* What is wrong with this line by itself; NULL: nothing, and it is in *rec.
 * *tree holds the title and is the caller's. */
static const char *line_fault(const struct input *in,
                              struct journal_record *rec, cJSON **tree)
{
    *tree = NULL;
    if (!is_whole(in))
        return "damaged (its checksum is wrong)";
    *tree = parse_line(in);
    return *tree != NULL && get_record(*tree, rec)
               ? NULL
               : "its checksum is right but its content isn't";
}

/* Is `seq` what this line must have? One more than the line before, except
 * that compaction, made at `compacted`, dropped some of the lines up to it. */
static bool seq_ok(uint64_t seq, uint64_t last, uint64_t compacted)
{
    if (seq <= compacted)
        return seq > last;
    return seq == (last > compacted ? last : compacted) + 1;
}

/* The first line of a file. */
struct head {
    uint64_t version; /* 0 = this is no head */
    uint32_t next_id;
    uint64_t seq;
};

static const char no_head[] =
    "this isn't the head of an ipclab journal, version 1";

static bool get_head(const struct input *in, struct head *head)
{
    cJSON *o = is_whole(in) ? parse_line(in) : NULL;
    const char *format = json_string(o, "format");
    uint64_t id = 0;
    bool ok;

    *head = (struct head){0};
    ok = format != NULL && strcmp(format, FORMAT) == 0 &&
         json_number(o, "version", &head->version) == 0 &&
         json_number(o, "next_id", &id) == 0 &&
         json_number(o, "seq", &head->seq) == 0 && head->version == VERSION &&
         id >= 1 && id <= EVENT_COUNT_MAX + 1;

    cJSON_Delete(o);
    head->next_id = (uint32_t)id;
    return ok;
}

/* Killed while it wrote the header of a new file, the `len` bytes of fresh? */
static bool is_torn_head(const struct input *in, const char *fresh, size_t len)
{
    return !in->ended && in->len <= len &&
           begins_like(in->line, fresh, in->len);
}

/* ---- opening: reading ------------------------------------------------------ */

static int bad_line(const struct journal_opts *opts, const struct input *in,
                    const char *what)
{
    say(opts, "line %zu: %s", in->number, what);
    return -EBADMSG;
}

/* Cut the file to what is good. */
static int cut_tail(struct journal *j, uint64_t good)
{
    int err = cut(j->fd, good);

    if (err == 0)
        j->bytes = good;
    return err;
}

/* Begin the file anew: it is empty, or has the front of this very header. */
static int start_file(struct journal *j, const char *header, size_t len)
{
    int err = cut_tail(j, 0);

    if (err == 0)
        err = write_all(j->fd, header, len);
    if (err != 0) {
        (void)cut(j->fd, 0); /* empty is as good as new */
        return err;
    }
    j->bytes = len;
    return 0;
}

/* The first line. 1: a header, read. 0: the file was new and is started. */
static int read_header(struct journal *j, const struct journal_opts *opts,
                       struct input *in, uint32_t *next_id, size_t *torn)
{
    char fresh[LINE_MAX_LEN];
    int len = put_header(1, 0, fresh), got = len < 0 ? len : next_line(in);
    struct head head;

    if (got < 0)
        return got;
    if (got == 0 || is_torn_head(in, fresh, (size_t)len)) {
        *torn = got == 0 ? 0 : in->len;
        *next_id = 1;
        return start_file(j, fresh, (size_t)len);
    }
    if (!get_head(in, &head))
        return bad_line(opts, in, no_head);
    *next_id = head.next_id;
    j->seq = head.seq;
    j->bytes = in->len + 1;
    return 1;
}

/* What the lines are handed to. */
struct handing {
    journal_reader *reader;
    void *arg;
    uint64_t compacted, last; /* sequences */
};

/* One line to the reader: 0, 1 when it is torn, or -errno. */
static int hand_over(const struct journal_opts *opts, struct input *in,
                     struct handing *h)
{
    struct journal_record rec;
    cJSON *tree;
    const char *fault = line_fault(in, &rec, &tree);
    int err = 0;

    if (fault != NULL && is_torn(in))
        return 1; /* without a tree */
    if (fault == NULL && !seq_ok(rec.seq, h->last, h->compacted))
        fault = "a line before it is missing";
    if (fault == NULL) {
        h->last = rec.seq;
        err = h->reader(&rec, h->arg);
        if (err == -EBADMSG)
            fault = "it contradicts the lines before it";
    }
    cJSON_Delete(tree);
    return fault != NULL ? bad_line(opts, in, fault) : err;
}

static int read_lines(struct journal *j, const struct journal_opts *opts,
                      struct input *in, struct handing *h, size_t *torn)
{
    int got, err = 0;

    h->compacted = j->seq;
    while (err == 0 && (got = next_line(in)) != 0) {
        if (got < 0)
            return got;
        err = hand_over(opts, in, h);
        if (err > 0) {
            *torn = in->len + in->ended;
            err = cut_tail(j, j->bytes);
            break;
        }
        j->bytes += in->len + 1;
    }
    if (h->last > h->compacted)
        j->seq = h->last;
    return err;
}

/* Through a copy of our own descriptor: by its name it might be another file
 * by now. */
static int read_file(struct journal *j, const struct journal_opts *opts,
                     struct handing *h, uint32_t *next_id, size_t *torn)
{
    struct input in;
    int err = input_open(&in, fcntl(j->fd, F_DUPFD_CLOEXEC, 0));

    if (err != 0)
        return err;
    err = read_header(j, opts, &in, next_id, torn);
    if (err > 0)
        err = read_lines(j, opts, &in, h, torn);
    if (err == 0 && *torn > 0)
        say(opts, "line %zu: %zu bytes, torn by a crash, were cut off",
            in.number, *torn);
    input_close(&in);
    return err;
}

static struct journal *new_journal(void)
{
    struct journal *j = calloc(1, sizeof *j);

    if (j != NULL) {
        j->fd = j->lock_fd = -1;
        (void)pthread_mutex_init(&j->sync_lock, NULL); /* Linux: can't fail */
    }
    return j;
}

/* Is it a file, and which? */
static int identify(struct journal *j, const struct journal_opts *opts)
{
    struct stat st;

    if (stat(j->path, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode)) {
        say(opts, "it isn't a regular file");
        return -EBADMSG;
    }
    j->dev = st.st_dev;
    j->ino = st.st_ino;
    return 0;
}

int journal_open(struct journal **out, const struct journal_opts *opts,
                 journal_reader *reader, void *arg, uint32_t *next_id,
                 size_t *torn)
{
    struct journal *j = new_journal();
    struct handing h = {.reader = reader, .arg = arg};
    int err;

    say(opts, "%s", "");
    *torn = 0;
    if (j == NULL)
        return -ENOMEM;
    j->sync = opts->sync;
    err = open_files(j, opts);
    if (err == 0)
        err = identify(j, opts);
    if (err == 0)
        err = read_file(j, opts, &h, next_id, torn);
    /* What a killed process did may be seen here and not yet be on disk: its
     * last lines, and the file's name after a compaction. Whoever is told of
     * them now must find them after a power loss too. */
    if (err == 0 && j->sync)
        err = sync_all(j->fd);
    if (err == 0 && j->sync)
        err = sync_folder(j->path);
    if (err != 0) {
        (void)give_up(j, fault_open); /* touch nothing any more */
        journal_abandon(j);
        return err;
    }
    j->durable = j->seq;
    *out = j;
    return 0;
}

/* ---- appending ---------------------------------------------------------- */

/* Is the file under our name still ours, with all that we wrote? NULL, or what
 * is wrong. By name, since our descriptor would still be fine. */
static const char *name_fault(const struct journal *j, uint64_t bytes,
                              uint64_t *found)
{
    struct stat st;

    if (stat(j->path, &st) != 0)
        return fault_gone;
    if (st.st_dev != j->dev || st.st_ino != j->ino)
        return fault_other;
    *found = (uint64_t)st.st_size;
    return *found < bytes ? fault_short : NULL;
}

/* One write(2), unless the disk is full: then the front of the line may be
 * there, and the second write says why there is no more. */
static int append_line(struct journal *j, const char *line, size_t len)
{
    int err = write_all(j->fd, line, len);
    /* A quota or a limit on the file's size: for a caller all the same. */
    bool full = err == -ENOSPC || err == -EDQUOT || err == -EFBIG;

    if (err == 0) {
        j->bytes += (uint64_t)len;
        return 0;
    }
    if (cut(j->fd, j->bytes) == 0 && full)
        return -ENOSPC;
    /* A broken disk; or a later line would follow a torn one. */
    return give_up(j, fault_write);
}

/* Before a line is written. A look costs microseconds: little beside a sync,
 * much without one; then nothing is promised that would be broken by looking
 * less often. */
static const char *append_fault(struct journal *j)
{
    int64_t now = j->sync ? 0 : clock_now_ns();
    const char *fault;
    uint64_t found;

    if (!j->sync && now - j->looked < LOOK_MS * NS_PER_MS)
        return NULL;
    j->looked = now;
    fault = name_fault(j, j->bytes, &found);
    if (fault == NULL && found > j->bytes)
        fault = fault_long; /* our line would stand behind what isn't ours */
    return fault;
}

int journal_append(struct journal *j, struct journal_record *rec)
{
    struct journal_record numbered = *rec;
    char line[LINE_MAX_LEN];
    const char *fault;
    int len, err;

    if (j->fault != NULL)
        return -EROFS;
    numbered.seq = j->seq + 1;
    len = put_line(&numbered, line);
    if (len < 0)
        return len;
    fault = append_fault(j);
    if (fault != NULL)
        return give_up(j, fault);
    err = append_line(j, line, (size_t)len);
    if (err != 0)
        return err;
    j->seq = numbered.seq; /* after the write: a commit may begin at once */
    rec->seq = numbered.seq;
    return 0;
}

/* The sync_lock is held. */
static void sync_lines(struct journal *j)
{
    uint64_t covered = j->seq; /* before the sync: later lines may miss it */
    uint64_t bytes = j->bytes, found;
    const char *fault = NULL;

    j->syncs++;
    if (sync_data(j->fd) != 0)
        fault = fault_sync;
    else /* last of all, so that there is least time for it to change again */
        fault = name_fault(j, bytes, &found);
    if (fault == NULL)
        j->durable = covered;
    else
        (void)give_up(j, fault); /* before anybody else can try, and hear "0" */
}

int journal_commit(struct journal *j, uint64_t seq)
{
    int err = 0;

    (void)pthread_mutex_lock(&j->sync_lock); /* fails on misuse only */
    if (j->durable < seq && j->sync && j->fault == NULL)
        sync_lines(j);
    if (j->durable < seq && j->fault != NULL)
        err = -EROFS;
    (void)pthread_mutex_unlock(&j->sync_lock);
    return err;
}

const char *journal_fault(const struct journal *j)
{
    return j->fault;
}

uint64_t journal_seq(const struct journal *j)
{
    return j->seq;
}

uint64_t journal_bytes(const struct journal *j)
{
    return j->bytes;
}

uint64_t journal_syncs(struct journal *j)
{
    return j->syncs;
}

/* ---- a new file ----------------------------------------------------------- */

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

static void fresh_write(struct fresh *f)
{
    if (f->err == 0)
        f->err = write_all(f->fd, f->buffer, f->held);
    f->held = 0;
}

/* Lines are shorter than the buffer, but for one that we didn't write. */
static void fresh_put(struct fresh *f, const char *bytes, size_t len)
{
    while (len > 0 && f->err == 0) {
        size_t n = sizeof f->buffer - f->held;

        if (n > len)
            n = len;
        memcpy(f->buffer + f->held, bytes, n);
        f->held += n;
        f->bytes += n;
        bytes += n;
        len -= n;
        if (f->held == sizeof f->buffer)
            fresh_write(f);
    }
}

/* `len` is what put_line gave. */
static void fresh_line(struct fresh *f, const char *line, int len)
{
    if (len < 0 && f->err == 0)
        f->err = len;
    else if (len >= 0)
        fresh_put(f, line, (size_t)len);
}

static void fresh_free(struct fresh *f)
{
    if (f->fd >= 0)
        (void)close(f->fd); /* synced, or given up */
    free(f->path);
    free(f);
}

/* Everything written and, if wanted, on disk: 0 or the first error met. */
static int fresh_end(struct fresh *f, bool sync)
{
    fresh_write(f);
    if (f->err == 0 && sync)
        f->err = sync_all(f->fd);
    return f->err;
}

/* Make NAME.new, with the access of the file that `like` describes, and write
 * its header. NULL: *err is why. */
static struct fresh *fresh_begin(const char *name, const struct stat *like,
                                 uint32_t next_id, uint64_t seq, int *err)
{
    struct fresh *f = calloc(1, sizeof *f);
    char line[LINE_MAX_LEN];

    *err = -ENOMEM;
    if (f == NULL)
        return NULL;
    f->fd = -1;
    f->path = join(name, ".new");
    if (f->path == NULL)
        goto fail;
    f->fd =
        open(f->path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (f->fd < 0) {
        *err = -errno;
        goto fail;
    }
    f->err = copy_access(like, f->fd);
    fresh_line(f, line, put_header(next_id, seq, line));
    *err = 0;
    return f;

fail:
    fresh_free(f);
    return NULL;
}

/* ---- compaction --------------------------------------------------------- */

static int remove_fresh(const char *name)
{
    char *path = join(name, ".new");
    int err = path == NULL ? -ENOMEM : unlink(path) != 0 ? -errno : 0;

    free(path);
    return err;
}

int journal_compact_begin(struct journal *j, uint32_t next_id)
{
    struct stat st;
    int err;

    if (j->fault != NULL)
        return -EROFS;
    if (fstat(j->fd, &st) != 0)
        return -errno;
    j->fresh = fresh_begin(j->path, &st, next_id, j->seq, &err);
    /* One that was killed may have left it; we hold the lock. */
    if (err == -EEXIST && remove_fresh(j->path) == 0)
        j->fresh = fresh_begin(j->path, &st, next_id, j->seq, &err);
    return err;
}

void journal_compact_put(struct journal *j, const struct journal_record *rec)
{
    char line[LINE_MAX_LEN];

    fresh_line(j->fresh, line, put_line(rec, line));
}

/* The new file is whole: put it in place of the old one. */
static int swap_files(struct journal *j)
{
    struct fresh *f = j->fresh;
    struct stat st;

    if (fstat(f->fd, &st) != 0 || rename(f->path, j->path) != 0)
        return -errno;
    (void)close(j->fd); /* nothing unsynced was in it */
    j->fd = f->fd;
    f->fd = -1;
    j->dev = st.st_dev;
    j->ino = st.st_ino;
    j->bytes = f->bytes;
    j->durable = j->seq;
    return 0;
}

int journal_compact_finish(struct journal *j)
{
    int err = fresh_end(j->fresh, j->sync);

    if (err == 0)
        err = swap_files(j);
    if (err != 0)
        (void)unlink(j->fresh->path); /* or the next compaction does it */
    else if (j->sync && (err = sync_folder(j->path)) != 0)
        /* A power loss may bring the old file back: no line may be added to
         * the new one. */
        (void)give_up(j, fault_folder);
    fresh_free(j->fresh);
    j->fresh = NULL;
    return err;
}

/* ---- closing ---------------------------------------------------------------- */

void journal_close(struct journal *j)
{
    if (j == NULL)
        return;
    (void)journal_commit(j, j->seq); /* nobody is left to be told */
    if (j->fd >= 0)
        (void)close(j->fd); /* synced, or known to have failed */
    if (j->lock_fd >= 0)
        (void)close(j->lock_fd); /* frees the lock */
    (void)pthread_mutex_destroy(&j->sync_lock);
    free(j->path);
    free(j);
}

void journal_abandon(struct journal *j)
{
    char header[LINE_MAX_LEN];
    int len = put_header(1, 0, header);
    uint64_t found;

    /* While we hold the lock nobody else writes to it: fd is open only then.
     * Who waits for the lock will make the file again. */
    if (j != NULL && j->made && j->fd >= 0 && len > 0 &&
        name_fault(j, 0, &found) == NULL && found <= (uint64_t)len)
        (void)unlink(j->path); /* or it stays, empty: as good as new */
    journal_close(j);
}

/* ---- looking at a damaged file --------------------------------------------- */

/* Who has this data file: a pid, 0 = nobody, -1 = somebody. */
static long find_holder(const char *path)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char *real = realpath(path, NULL);
    char *lock_path = real != NULL ? join(real, ".lock") : NULL;
    int fd = lock_path != NULL ? open(lock_path, O_RDONLY | O_CLOEXEC) : -1;
    long pid = 0;

    if (fd >= 0) {
        if (fcntl(fd, F_OFD_GETLK, &all) == 0 && all.l_type != F_UNLCK)
            pid = read_pid(fd);
        (void)close(fd); /* only read */
    }
    free(lock_path);
    free(real);
    return pid;
}

/* A scan under way. */
struct scan {
    const struct journal_opts *opts;
    struct input in;
    struct handing h;
    uint64_t bad; /* bad lines since the last good one */
    journal_visit *visit;
    void *arg;
};

static int show(struct scan *s, struct journal_line *line)
{
    line->number = s->in.number;
    return s->visit(line, s->arg);
}

static int show_bad(struct scan *s, const char *fault, bool torn)
{
    struct journal_line line = {
        .text = s->in.line, .len = s->in.len, .fault = fault, .torn = torn};

    s->bad++;
    return show(s, &line);
}

/* A line behind the head. */
static int scan_line(struct scan *s)
{
    struct journal_record rec;
    cJSON *tree;
    const char *fault = line_fault(&s->in, &rec, &tree);
    struct journal_line line = {
        .text = s->in.line, .len = s->in.len, .rec = &rec};
    uint64_t before = s->h.last > s->h.compacted ? s->h.last : s->h.compacted;
    int err;

    if (fault == NULL && rec.seq <= s->h.last)
        fault = "it stands here a second time, or at the wrong place";
    if (fault == NULL && rec.seq > s->h.compacted &&
        rec.seq > before + 1 + s->bad)
        line.missing = rec.seq - before - 1 - s->bad;
    if (fault == NULL) {
        s->h.last = rec.seq;
        s->bad = 0;
        err = show(s, &line);
    } else {
        err = show_bad(s, fault, is_torn(&s->in));
    }
    cJSON_Delete(tree);
    return err;
}

/* The first line: the head, or what stands there instead of it. Without it,
 * nobody knows up to where compaction has dropped lines. */
static int scan_head(struct scan *s)
{
    static const char lost[] = "the head of the file is missing";
    struct journal_line line = {.text = s->in.line, .len = s->in.len};
    struct journal_record rec;
    char fresh[LINE_MAX_LEN];
    int len = put_header(1, 0, fresh), err;
    struct head head;
    cJSON *tree;

    if (len < 0)
        return len;
    if (get_head(&s->in, &head)) {
        s->h.compacted = line.seq = head.seq;
        line.next_id = head.next_id;
        return show(s, &line);
    }
    if (head.version > VERSION) { /* whole, and not for us to judge */
        say(s->opts, "line 1: its format is a later one, version %" PRIu64,
            head.version);
        return -EBADMSG;
    }
    if (is_torn_head(&s->in, fresh, (size_t)len) && !more_follows(&s->in))
        return show_bad(s, no_head, true);
    s->h.compacted = UINT64_MAX;
    if (line_fault(&s->in, &rec, &tree) != NULL)
        err = show_bad(s, no_head, false);
    else if ((err = show(s, &(struct journal_line){.fault = lost})) == 0)
        err = scan_line(s);
    cJSON_Delete(tree);
    return err;
}

int journal_scan(const struct journal_opts *opts, journal_visit *visit,
                 void *arg, long *holder)
{
    struct scan s = {.opts = opts, .visit = visit, .arg = arg};
    struct stat st;
    int fd, got, err;

    say(opts, "%s", "");
    *holder = find_holder(opts->path);
    fd = open(opts->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        (void)close(fd); /* only looked at */
        say(opts, "it isn't a regular file");
        return -EBADMSG;
    }
    err = input_open(&s.in, fd);
    if (err != 0)
        return err;
    while (err == 0 && (got = next_line(&s.in)) != 0) {
        if (got < 0)
            err = got;
        else
            err = s.in.number == 1 ? scan_head(&s) : scan_line(&s);
    }
    input_close(&s.in);
    return err;
}

/* ---- copying what is good ---------------------------------------------------- */

struct journal_copy {
    char *to;
    struct fresh *fresh;
};

int journal_copy_begin(struct journal_copy **out, const char *from,
                       const char *to, uint32_t next_id, uint64_t seq)
{
    struct journal_copy *c = calloc(1, sizeof *c);
    struct stat st;
    int err = -ENOMEM;

    if (c == NULL)
        return err;
    c->to = strdup(to);
    if (c->to == NULL)
        goto fail;
    err = stat(from, &st) != 0 ? -errno : 0;
    /* Before the work, for the usual case; link makes sure at the end. */
    if (err == 0 && access(to, F_OK) == 0)
        err = -EEXIST;
    if (err == 0)
        c->fresh = fresh_begin(to, &st, next_id, seq, &err);
    if (err != 0)
        goto fail;
    *out = c;
    return 0;

fail:
    free(c->to);
    free(c);
    return err;
}

void journal_copy_text(struct journal_copy *c, const char *text, size_t len)
{
    fresh_put(c->fresh, text, len);
    fresh_put(c->fresh, "\n", 1);
}

void journal_copy_put(struct journal_copy *c, const struct journal_record *rec)
{
    char line[LINE_MAX_LEN];

    fresh_line(c->fresh, line, put_line(rec, line));
}

int journal_copy_finish(struct journal_copy *c, bool good)
{
    int err = good ? fresh_end(c->fresh, true) : 0;

    /* Unlike rename, link never replaces what has the name already. */
    if (good && err == 0 && link(c->fresh->path, c->to) != 0)
        err = -errno;
    (void)unlink(c->fresh->path); /* its other name, if all went well */
    if (good && err == 0)
        err = sync_folder(c->to);
    fresh_free(c->fresh);
    free(c->to);
    free(c);
    return err;
}
