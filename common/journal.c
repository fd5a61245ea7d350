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

struct journal {
    char *path; /* of the data file, links followed */
    int fd;     /* the data file; the append lock, and sync_lock to sync */
    int lock_fd;
    bool sync;
    uint64_t bytes;           /* in the file; the append lock */
    atomic_uint_fast64_t seq; /* of the last line in the file */
    atomic_bool failed;       /* final: nothing is written any more */
    atomic_uint_fast64_t syncs;

    pthread_mutex_t sync_lock; /* one fdatasync at a time */
    uint64_t durable;          /* lines up to here are; sync_lock */

    FILE *fresh;      /* compaction: the new file, or NULL */
    char *fresh_path; /* its name until the rename */
    uint64_t fresh_bytes;
    int fresh_err; /* the first error met, 0 = none */
};

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
    char token[17];
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
               get_op(o, "was", &rec->was) && rec->was != JOURNAL_DONE;
    rec->event.rev = rec->seq;
    return rec->op == JOURNAL_REMOVE || get_event(o, &rec->event);
}

/* ---- opening: the lock -------------------------------------------------- */

/* Say who holds the lock: it wrote its pid into the lock file. */
static int say_busy(const struct journal_opts *opts, int lock_fd)
{
    char pid[24];
    ssize_t n = pread(lock_fd, pid, sizeof pid, 0);
    int digits = 0;

    while (digits < n && pid[digits] >= '0' && pid[digits] <= '9')
        digits++;
    if (digits > 0)
        say(opts, "pid %.*s holds the data file", digits, pid);
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
        j->path = realpath(path, NULL);
    }
    return j->path == NULL ? -errno : 0;
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
    if (memcmp(found, head, (size_t)n) == 0)
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

/* ---- opening: the lines ------------------------------------------------- */

/* Reading, line by line. */
struct input {
    struct journal *j;
    const struct journal_opts *opts;
    FILE *file;
    char *line; /* getline's; `len` bytes, without '\n' */
    size_t cap, len;
    bool ended;    /* the line had its '\n' */
    size_t number; /* of this line, from 1 */
};

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

static int bad_line(const struct input *in, const char *what)
{
    say(in->opts, "line %zu: %s", in->number, what);
    return -EBADMSG;
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

/*
 * A bad last line: torn by a crash, or damaged? What kill -9 leaves of a write
 * is the front of a line, without its '\n'; what a power loss leaves may also
 * have NUL bytes where nothing arrived. Any other line was whole once, and may
 * have been acknowledged. So may the first of two lines with a damaged '\n'
 * between them: a whole good line and the front of another behind it.
 */
static bool is_torn(const struct input *in)
{
    if (in->ended && memchr(in->line, '\0', in->len) == NULL)
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

/* Cut the file to what is good. */
static int cut_tail(struct journal *j, uint64_t good)
{
    if (ftruncate(j->fd, (off_t)good) != 0)
        return -errno;
    j->bytes = good;
    return 0;
}

/* All of len bytes, or -errno. */
static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash != NULL ? strndup(path, slash > path ? (size_t)(slash - path) : 1)
                      : strdup(".");
    int err = 0;

    if (folder == NULL)
        return -ENOMEM;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        err = -errno;
    if (fd >= 0)
        (void)close(fd); /* nothing was written to it */
    free(folder);
    return err;
}

/* Begin the file anew: it is empty, or has the front of this very header. */
static int start_file(struct journal *j, const char *header, size_t len)
{
    int err = cut_tail(j, 0);

    if (err == 0)
        err = write_all(j->fd, header, len);
    if (err != 0) {
        (void)ftruncate(j->fd, 0); /* empty is as good as new */
        return err;
    }
    j->bytes = len;
    return 0;
}

/* The first line. 1: a header, read. 0: the file was new and is started. */
static int read_header(struct input *in, uint32_t *next_id, size_t *torn)
{
    char fresh[LINE_MAX_LEN];
    int len = put_header(1, 0, fresh), got = len < 0 ? len : next_line(in);
    uint64_t version, id, seq;

    if (got < 0)
        return got;
    if (got == 0 || (!in->ended && in->len < (size_t)len &&
                     memcmp(in->line, fresh, in->len) == 0)) {
        *torn = got == 0 ? 0 : in->len;
        *next_id = 1;
        return start_file(in->j, fresh, (size_t)len);
    }
    cJSON *o = in->ended && crc_ok(in->line, in->len) ? parse_line(in) : NULL;
    const char *format = json_string(o, "format");
    int ok = format != NULL && strcmp(format, FORMAT) == 0 &&
             json_number(o, "version", &version) == 0 &&
             json_number(o, "next_id", &id) == 0 &&
             json_number(o, "seq", &seq) == 0 && version == VERSION &&
             id >= 1 && id <= EVENT_COUNT_MAX + 1;
    cJSON_Delete(o);
    if (!ok)
        return bad_line(in, "this isn't the head of an ipclab journal, "
                            "version 1");
    *next_id = (uint32_t)id;
    in->j->seq = seq;
    in->j->bytes = in->len + 1;
    return 1;
}

/* Is `seq` what this line must have? One more than the line before, except
 * that compaction, made at `compacted`, dropped some of the lines up to it. */
static bool seq_ok(uint64_t seq, uint64_t last, uint64_t compacted)
{
    if (seq <= compacted)
        return seq > last;
    return seq == (last > compacted ? last : compacted) + 1;
}

/* One good line to the reader. */
static int hand_over(struct input *in, uint64_t *last, uint64_t compacted,
                     journal_reader *reader, void *arg)
{
    struct journal_record rec;
    cJSON *o = parse_line(in);
    int err;

    if (o == NULL || !get_record(o, &rec))
        err = bad_line(in, "its checksum is right but its content isn't");
    else if (!seq_ok(rec.seq, *last, compacted))
        err = bad_line(in, "a line before it is missing");
    else {
        *last = rec.seq;
        err = reader(&rec, arg);
        if (err == -EBADMSG)
            err = bad_line(in, "it contradicts the lines before it");
    }
    cJSON_Delete(o);
    return err;
}

static int read_lines(struct input *in, journal_reader *reader, void *arg,
                      size_t *torn)
{
    struct journal *j = in->j;
    uint64_t compacted = j->seq, last = 0;
    int got, err = 0;

    while (err == 0 && (got = next_line(in)) != 0) {
        if (got < 0)
            return got;
        if (!in->ended || !crc_ok(in->line, in->len)) {
            if (more_follows(in) || !is_torn(in))
                return bad_line(in, "damaged (its checksum is wrong)");
            *torn = in->len + in->ended;
            err = cut_tail(j, j->bytes);
            break;
        }
        err = hand_over(in, &last, compacted, reader, arg);
        j->bytes += in->len + 1;
    }
    if (last > compacted)
        j->seq = last;
    return err;
}

static int read_file(struct journal *j, const struct journal_opts *opts,
                     journal_reader *reader, void *arg, uint32_t *next_id,
                     size_t *torn)
{
    struct input in = {.j = j, .opts = opts};
    int fd = open(j->path, O_RDONLY | O_CLOEXEC), err;

    if (fd < 0)
        return -errno;
    in.file = fdopen(fd, "r");
    if (in.file == NULL) {
        err = -errno;
        (void)close(fd); /* only read */
        return err;
    }
    err = read_header(&in, next_id, torn);
    if (err > 0)
        err = read_lines(&in, reader, arg, torn);
    if (err == 0 && *torn > 0)
        say(opts, "line %zu: %zu bytes, torn by a crash, were cut off",
            in.number, *torn);
    free(in.line);
    (void)fclose(in.file); /* only read */
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

int journal_open(struct journal **out, const struct journal_opts *opts,
                 journal_reader *reader, void *arg, uint32_t *next_id,
                 size_t *torn)
{
    struct journal *j = new_journal();
    struct stat st;
    int err;

    say(opts, "%s", "");
    *torn = 0;
    if (j == NULL)
        return -ENOMEM;
    j->sync = opts->sync;
    err = open_files(j, opts);
    if (err == 0 && fstat(j->fd, &st) != 0)
        err = -errno;
    if (err == 0 && !S_ISREG(st.st_mode)) {
        say(opts, "it isn't a regular file");
        err = -EBADMSG;
    }
    if (err == 0)
        err = read_file(j, opts, reader, arg, next_id, torn);
    /* What a killed process did may be seen here and not yet be on disk: its
     * last lines, and the file's name after a compaction. Whoever is told of
     * them now must find them after a power loss too. */
    if (err == 0 && j->sync)
        err = fsync(j->fd) != 0 ? -errno : sync_folder(j->path);
    if (err != 0) {
        j->failed = true; /* touch nothing any more */
        journal_close(j);
        return err;
    }
    j->durable = j->seq;
    *out = j;
    return 0;
}

/* ---- appending ---------------------------------------------------------- */

int journal_append(struct journal *j, struct journal_record *rec)
{
    struct journal_record numbered = *rec;
    char line[LINE_MAX_LEN];
    int len, err;

    if (j->failed)
        return -EROFS;
    numbered.seq = j->seq + 1;
    len = put_line(&numbered, line);
    if (len < 0)
        return len;
    /* One write(2), unless the disk is full: then the front of the line may
     * be there, and the second write says why there is no more. */
    err = write_all(j->fd, line, (size_t)len);
    if (err != 0) {
        /* A quota or a limit on the file's size: for a caller all the same. */
        bool full = err == -ENOSPC || err == -EDQUOT || err == -EFBIG;

        if (ftruncate(j->fd, (off_t)j->bytes) == 0 && full)
            return -ENOSPC;
        /* A broken disk; or a later line would follow a torn one. */
        j->failed = true;
        return -EROFS;
    }
    j->bytes += (uint64_t)len;
    j->seq = numbered.seq; /* after the write: a commit may begin at once */
    rec->seq = numbered.seq;
    return 0;
}

int journal_commit(struct journal *j, uint64_t seq)
{
    int err = 0;

    (void)pthread_mutex_lock(&j->sync_lock); /* fails on misuse only */
    if (j->durable < seq && j->sync && !j->failed) {
        uint64_t covered =
            j->seq; /* before the sync: later lines may miss it */
        j->syncs++;
        if (fdatasync(j->fd) == 0)
            j->durable = covered;
        else
            j->failed = true; /* before anybody else can try, and hear "0" */
    }
    if (j->durable < seq && j->failed)
        err = -EROFS;
    (void)pthread_mutex_unlock(&j->sync_lock);
    return err;
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

/* ---- compaction --------------------------------------------------------- */

static void fresh_write(struct journal *j, const char *line, int len)
{
    if (len < 0)
        j->fresh_err = len;
    else if (fwrite(line, 1, (size_t)len, j->fresh) != (size_t)len)
        j->fresh_err = -errno;
    else
        j->fresh_bytes += (uint64_t)len;
}

/* Whoever may use the old file may use the new one. Group and owner each for
 * itself: who isn't root may set the one (EPERM: not even that), and then can
 * do no better. */
static int copy_access(int from, int to)
{
    struct stat st;

    if (fstat(from, &st) != 0 ||
        (fchown(to, (uid_t)-1, st.st_gid) != 0 && errno != EPERM) ||
        (fchown(to, st.st_uid, (gid_t)-1) != 0 && errno != EPERM) ||
        fchmod(to, st.st_mode & 07777) != 0) /* last: fchown clears bits */
        return -errno;
    return 0;
}

int journal_compact_begin(struct journal *j, uint32_t next_id)
{
    char line[LINE_MAX_LEN];
    int fd, err;

    if (j->failed)
        return -EROFS;
    j->fresh_path = join(j->path, ".new");
    if (j->fresh_path == NULL)
        return -ENOMEM;
    /* A leftover of a compaction that was killed; nobody else is here. */
    if (unlink(j->fresh_path) != 0 && errno != ENOENT)
        goto no_file;
    fd = open(j->fresh_path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC,
              0600);
    if (fd < 0)
        goto no_file;
    j->fresh = fdopen(fd, "a");
    if (j->fresh == NULL)
        goto no_stream;
    j->fresh_bytes = 0;
    j->fresh_err = copy_access(j->fd, fd);
    fresh_write(j, line, put_header(next_id, j->seq, line));
    return 0;

no_stream:
    err = -errno;
    (void)close(fd); /* still empty */
    goto no_path;
no_file:
    err = -errno;
no_path:
    free(j->fresh_path);
    j->fresh_path = NULL;
    return err;
}

void journal_compact_put(struct journal *j, const struct journal_record *rec)
{
    char line[LINE_MAX_LEN];

    if (j->fresh_err == 0)
        fresh_write(j, line, put_line(rec, line));
}

/* The new file is whole: put it in place of the old one. */
static int swap_files(struct journal *j)
{
    int fd = fcntl(fileno(j->fresh), F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (rename(j->fresh_path, j->path) != 0) {
        int err = -errno;
        (void)close(fd); /* the file is given up */
        return err;
    }
    (void)close(j->fd); /* nothing unsynced was in it */
    j->fd = fd;
    j->bytes = j->fresh_bytes;
    j->durable = j->seq;
    return 0;
}

int journal_compact_finish(struct journal *j)
{
    int err = j->fresh_err;

    if (err == 0 &&
        (fflush(j->fresh) != 0 || (j->sync && fsync(fileno(j->fresh)) != 0)))
        err = -errno;
    if (err == 0)
        err = swap_files(j);
    if (err != 0)
        (void)unlink(j->fresh_path); /* or the next compaction does it */
    else if (j->sync && (err = sync_folder(j->path)) != 0)
        j->failed = true;   /* a power loss may bring the old file back, so no
                             line may be added to the new one */
    (void)fclose(j->fresh); /* flushed above, or given up */
    free(j->fresh_path);
    j->fresh = NULL;
    j->fresh_path = NULL;
    return err;
}

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
