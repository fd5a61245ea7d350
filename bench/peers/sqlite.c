/*
 * sqlite.c - peer: events in a shared SQLite file
 *
 * What people use instead of a server: a library that is in every system, a
 * file that all processes open, and SQL. There is no request and no reply, no
 * process to be woken and none that may be down: the client finds the event
 * itself, in the page cache, between two calls that lock and unlock the file.
 *
 *      client 0 -- SELECT --\
 *      client 1 -- SELECT ---> events.db (+ -wal, -shm)
 *
 * WAL mode, as is usual where several processes share a file: a reader never
 * waits for a writer, and its locks are bytes of the mapped -shm file. Each
 * get is one prepared SELECT by the primary key, and a read transaction of its
 * own. Everything else is as SQLite comes, with its cache of 2 MB a process.
 *
 * What differs from the lab: no message at all, so the bytes of its request
 * and reply say nothing here; only gets are measured, and a get is what a file
 * in memory is best at. A change would need a lock that all others wait for.
 */
#include "folder.h"
#include "gets.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_MS 2000 /* all clients open it at the same time */

struct sqlite {
    struct gets gets;
    char path[FOLDER_PATH_MAX];
    sqlite3 *db;        /* a client's; owned, never kept across fork */
    sqlite3_stmt *find; /* its prepared SELECT; owned */
};

static int db_open(struct sqlite *s, char *why)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int rc = sqlite3_open_v2(s->path, &s->db, flags, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(s->db, BUSY_MS);
    if (rc == SQLITE_OK)
        return 0;
    (void)snprintf(why, CASE_WHY_MAX, "SQLite: %s", sqlite3_errstr(rc));
    return -EIO;
}

static void db_close(struct sqlite *s)
{
    (void)sqlite3_finalize(s->find); /* says again what step said */
    (void)sqlite3_close(s->db);      /* nothing is left open in it */
    s->find = NULL;
    s->db = NULL;
}

/* ---- before fork: the file ---------------------------------------------- */

static int insert(const struct sqlite *s, sqlite3_stmt *st, uint32_t id)
{
    struct client_event ev;
    int rc;

    gets_event(&s->gets, id, &ev);
    rc = sqlite3_bind_int64(st, 1, id);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(st, 2, ev.event.start);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(st, 3, ev.event.end);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(st, 4, ev.text, ev.event.title_len,
                               SQLITE_TRANSIENT);
    if (rc == SQLITE_OK && sqlite3_step(st) != SQLITE_DONE)
        rc = SQLITE_ERROR;
    return rc == SQLITE_OK ? sqlite3_reset(st) : rc;
}

static int fill(struct sqlite *s)
{
    static const char schema[] =
        "PRAGMA journal_mode = WAL;"
        "PRAGMA synchronous = OFF;" /* it needn't outlive this benchmark */
        "BEGIN;"
        "CREATE TABLE event (id INTEGER PRIMARY KEY, start INTEGER NOT NULL,"
        " stop INTEGER NOT NULL, title TEXT NOT NULL);";
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_exec(s->db, schema, NULL, NULL, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(s->db, "INSERT INTO event VALUES (?,?,?,?)", -1,
                                &st, NULL);
    for (uint32_t id = 1; rc == SQLITE_OK && id <= s->gets.c.events; id++)
        rc = insert(s, st, id);
    (void)sqlite3_finalize(st); /* says again what step said */
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : -EIO;
}

/* The file's name, and those that SQLite makes of it. */
static int name_files(struct sqlite *s, char *why)
{
    char path[FOLDER_PATH_MAX];
    int err = folder_file(path, "events.db-wal", why, CASE_WHY_MAX);

    if (!err)
        err = folder_file(path, "events.db-shm", why, CASE_WHY_MAX);
    if (!err)
        err = folder_file(s->path, "events.db", why, CASE_WHY_MAX);
    return err;
}

static void sqlite_drop(void *self)
{
    struct sqlite *s = self;

    gets_free(&s->gets);
    free(s);
}

static int sqlite_prepare(void **self, const struct conditions *c, char *why)
{
    struct sqlite *s = calloc(1, sizeof *s);
    int err;

    if (!s)
        return -ENOMEM;
    err = gets_init(&s->gets, c, why);
    if (!err)
        err = name_files(s, why);
    if (!err)
        err = db_open(s, why);
    if (!err) {
        err = fill(s);
        if (err)
            (void)snprintf(why, CASE_WHY_MAX, "SQLite: %s",
                           sqlite3_errmsg(s->db));
    }
    db_close(s);
    if (err)
        sqlite_drop(s);
    else
        *self = s;
    return err;
}

/* ---- client ------------------------------------------------------------- */

static int sqlite_join(void *self, unsigned index, char *why)
{
    static const char find[] =
        "SELECT start, stop, title FROM event WHERE id = ?";
    struct sqlite *s = self;
    int err = db_open(s, why);

    gets_join(&s->gets, index);
    if (!err &&
        sqlite3_prepare_v2(s->db, find, -1, &s->find, NULL) != SQLITE_OK) {
        (void)snprintf(why, CASE_WHY_MAX, "SQLite: %s", sqlite3_errmsg(s->db));
        err = -EIO;
    }
    return err;
}

/* The row, into the same struct as the lab's client has it. */
static void read_row(struct sqlite *s)
{
    struct client_event *out = &s->gets.last;
    const unsigned char *title = sqlite3_column_text(s->find, 2);
    int len = sqlite3_column_bytes(s->find, 2);

    out->event.id = gets_id(&s->gets);
    out->event.start = sqlite3_column_int64(s->find, 0);
    out->event.end = sqlite3_column_int64(s->find, 1);
    out->event.title_len = 0; /* no title: check will say so */
    if (title && len <= EVENT_TITLE_MAX) {
        memcpy(out->text, title, (size_t)len + 1);
        out->event.title_len = (uint8_t)len;
    }
}

static int sqlite_call(void *self)
{
    struct sqlite *s = self;
    int rc = sqlite3_bind_int64(s->find, 1, gets_id(&s->gets));

    if (rc == SQLITE_OK)
        rc = sqlite3_step(s->find);
    if (rc == SQLITE_ROW)
        read_row(s);
    (void)sqlite3_reset(s->find); /* ends the read; says what step said */
    return rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -ENOENT : -EIO;
}

static int sqlite_check(void *self)
{
    struct sqlite *s = self;

    return gets_check(&s->gets);
}

static void sqlite_leave(void *self, pid_t server)
{
    (void)server; /* there is none */
    db_close(self);
}

/* ---- the table ---------------------------------------------------------- */

static const struct subject sqlite_subject = {.prepare = sqlite_prepare,
                                              .join = sqlite_join,
                                              .call = sqlite_call,
                                              .check = sqlite_check,
                                              .leave = sqlite_leave,
                                              .drop = sqlite_drop};

const struct peer peer = {
    .name = "sqlite",
    .blurb = "SQLite " SQLITE_VERSION
             ", a shared file in WAL mode: a prepared SELECT, no server",
    .subject = &sqlite_subject,
};
