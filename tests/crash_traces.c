/*
 * crash_traces.c - see crash_traces.h
 */
#include "crash_traces.h"
#include "crash_roles.h"
#include "harness.h"
#include "rundir.h"
#include "store.h"
#include "wait.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- folders --------------------------------------------------------------- */

static char folder[80]; /* of this story */

void data_path(char path[128], const char *name)
{
    (void)snprintf(path, 128, "%s/data/%.20s", folder, name);
}

static void make_folder(const char *name)
{
    char path[100];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    REQUIRE(mkdir(path, 0700) == 0 || errno == EEXIST);
    if (strcmp(name, "run") == 0)
        REQUIRE_INT(0, setenv("XDG_RUNTIME_DIR", path, 1));
}

void make_folders(const char *home)
{
    char dir[RUNDIR_PATH_MAX], path[RUNDIR_PATH_MAX + 8];
    struct tp_opts o = {0};
    int fd;

    (void)snprintf(folder, sizeof folder, "%s", home);
    make_folder("");
    make_folder("run");
    make_folder("data");
    fd = rundir_open(&o, true);
    close_fd(&fd);
    REQUIRE_INT(0, rundir_path(dir));
    (void)snprintf(path, sizeof path, "%s/.keep", dir);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    REQUIRE(fd >= 0);
    close_fd(&fd);
}

/* ---- names and objects ------------------------------------------------------ */

unsigned crash_objects(bool serving, bool remove)
{
    char name[64], object[RUNDIR_OBJECT_MAX];
    struct tp_opts o = {0};
    int dir = rundir_open(&o, false);
    unsigned n = 0;

    for (int slot = serving ? 0 : -1; slot < TP_CLIENTS_MAX; slot++) {
        (void)snprintf(name, sizeof name,
                       slot < 0 ? "default.mqueue" : "default.mqueue.%d", slot);
        rundir_object(object, dir, name);
        mqd_t q = mq_open(object, O_RDONLY);
        n += q != (mqd_t)-1;
        if (q != (mqd_t)-1)
            (void)mq_close(q); /* only looked at */
        if (remove)
            (void)mq_unlink(object); /* as a rule there is none */
    }
    rundir_object(object, dir, "default.shm");
    int fd = serving ? -1 : shm_open(object, O_RDONLY, 0);
    n += fd >= 0;
    close_fd(&fd);
    if (remove)
        (void)shm_unlink(object); /* likewise */
    close_fd(&dir);
    return n;
}

/* Entries of a folder that aren't in this list, which ends with NULL, and
 * don't begin with a dot. */
static unsigned entries_but(const char *path, const char *const *list)
{
    struct dirent *e;
    unsigned n = 0;
    DIR *d = opendir(path);

    REQUIRE(d != NULL);
    while ((e = readdir(d))) {
        const char *const *known = list;

        while (*known && strcmp(*known, e->d_name) != 0)
            known++;
        n += !*known && e->d_name[0] != '.';
    }
    (void)closedir(d); /* only read */
    return n;
}

unsigned names_left(const struct scene *s, bool serving)
{
    static const char *const data[] = {"table.jsonl", "table.jsonl.lock", NULL};
    char own[4][40], dir[RUNDIR_PATH_MAX], path[128];
    const char *list[] = {own[0], own[1], own[2], own[3], NULL};

    REQUIRE_INT(0, rundir_path(dir));
    data_path(path, "");
    (void)snprintf(own[0], sizeof own[0], "default.%s", s->t->name);
    (void)snprintf(own[1], sizeof own[1], "default.%s.lock", s->t->name);
    (void)snprintf(own[2], sizeof own[2], "default.%s", s->other->name);
    (void)snprintf(own[3], sizeof own[3], "default.%s.lock", s->other->name);
    return entries_but(dir, serving ? list : list + 4) +
           entries_but(path, data) + crash_objects(serving, false);
}

/* ---- descriptors ------------------------------------------------------------ */

int pipe_ends(pid_t pid)
{
    char path[64], link[512], target[32] = "";
    struct dirent *e;
    int n = 0;
    DIR *d;

    (void)snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    d = opendir(path);
    if (!d)
        return -1;
    while ((e = readdir(d))) {
        (void)snprintf(link, sizeof link, "%s/%s", path, e->d_name);
        if (readlink(link, target, sizeof target - 1) > 5)
            n += strncmp(target, "pipe:", 5) == 0;
    }
    (void)closedir(d); /* only read */
    return n;
}

/* ---- events ------------------------------------------------------------------ */

struct found {
    struct tally *tally;
    uint8_t seen[ROLES][EVENTS_MAX];
};

static bool find_event(const struct event *ev, void *arg)
{
    struct found *f = arg;
    char name[16] = "";
    unsigned k = 0;
    int r = 0;

    if (sscanf(ev->title, "%15s %u", name, &k) != 2 || k >= EVENTS_MAX)
        r = ROLES;
    while (r < ROLES && strcmp(role_titles[r], name) != 0)
        r++;
    if (r == ROLES || k >= stage->who[r].sent)
        f->tally->unsent++;
    else if (++f->seen[r][k] > 1)
        f->tally->twice++;
    return true;
}

struct tally take_stock(const char *name)
{
    char path[128];
    struct store_opts so = {.path = path, .sync = true};
    struct tally tally = {0};
    struct found *f = calloc(1, sizeof *f);
    struct store *store = NULL;

    REQUIRE(f != NULL);
    f->tally = &tally;
    data_path(path, name);
    tally.opened = store_open(&store, &so);
    if (tally.opened == 0)
        schedule_walk(store_schedule(store), EVENT_TIME_MIN, EVENT_TIME_MAX,
                      NULL, find_event, f);
    store_close(store);
    for (int r = 0; r < ROLES; r++)
        for (unsigned k = 0; k < stage->who[r].acked; k++)
            tally.lost += !f->seen[r][k];
    tally.marked = f->seen[ASKER][0];
    free(f);
    return tally;
}

struct tally take_stock_of_copy(long long size)
{
    char from[128], to[128], lock[128];
    struct tally tally;
    FILE *in, *out;
    int c = 0;

    data_path(from, "table.jsonl");
    data_path(to, "copy.jsonl");
    data_path(lock, "copy.jsonl.lock");
    in = fopen(from, "r");
    out = fopen(to, "w");
    REQUIRE(in && out);
    for (long long i = 0; i != size && (c = getc(in)) != EOF; i++)
        REQUIRE(putc(c, out) == c);
    (void)fclose(in); /* only read */
    REQUIRE(fclose(out) == 0);
    tally = take_stock("copy.jsonl");
    EXPECT_INT(0, unlink(to));
    EXPECT_INT(0, unlink(lock));
    return tally;
}
