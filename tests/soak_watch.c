/*
 * soak_watch.c - what the server has in hand, once a second, and the table
 *
 * From outside, as an operator would: /proc/PID, the runtime folder, /dev/shm.
 * Queues have no listing where /dev/mqueue isn't mounted: so each name that
 * there could be is tried.
 *
 * What is flat? A server that is started anew every few seconds has much in
 * hand at one moment and little at the next: so the medians of four quarters
 * are compared, the last with the second (in the first one it warms up).
 */
#include "soak.h"

#include "rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUARTERS   4
#define FEW        2 /* samples in a quarter: no median of fewer */
#define ENOUGH     6 /* samples in a quarter: chance decides no more */
#define STARTS_MAX 65536
#define LEAK       6    /* bytes a client: more isn't chance any more */
#define LEAK_LEAST 8192 /* bytes in all */

enum what {
    RSS,
    PSS,
    FDS,
    THREADS,
    NAMES,
    SEGMENTS,
    QUEUES,
    EVENTS,
    DATA,
    COME,
    REFUSED,
    CALLS,
    LONGEST,
    WHATS
};

struct sample {
    double value[WHATS];
};

static struct sample *samples;
static size_t count, room;

/* The size of the data file at each server's start. */
static double *starts;
static size_t start_count;

/* Small pieces of the heap between two roll calls of one server. */
static struct {
    long long grown;
    unsigned long long clients;
    unsigned times;
} leak;

/* ---- looking ------------------------------------------------------------- */

/* How many names a folder has that begin with `prefix`; -1 = no folder. */
static long count_names(const char *folder, const char *prefix)
{
    DIR *d = opendir(folder);
    const struct dirent *e;
    long n = 0;

    if (d == NULL)
        return -1;
    while ((e = readdir(d)) != NULL)
        n += e->d_name[0] != '.' &&
             strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    (void)closedir(d); /* it was only read */
    return n;
}

static bool queue_exists(const char *object)
{
    mqd_t q = mq_open(object, O_RDONLY | O_CLOEXEC);

    if (q != (mqd_t)-1)
        (void)mq_close(q); /* open: it can't fail */
    return q != (mqd_t)-1 || (errno != ENOENT && errno != EINVAL);
}

/* The names of queues and segments are made of the runtime folder, which is
 * gone when the last server has ended: so they are kept from before. */
static char segment[RUNDIR_OBJECT_MAX];
static char queues[SLOTS + 1][RUNDIR_OBJECT_MAX];

static void learn_names(int dir)
{
    char name[32];

    rundir_object(segment, dir, "default.shm");
    for (int slot = -1; slot < SLOTS; slot++) {
        (void)snprintf(name, sizeof name,
                       slot < 0 ? "default.mqueue" : "default.mqueue.%d", slot);
        rundir_object(queues[slot + 1], dir, name);
    }
}

long soak_names(struct hand *counts)
{
    char path[RUNDIR_PATH_MAX];
    struct tp_opts none = {0};
    struct hand h = {0};
    int dir = rundir_open(&none, false);

    if (dir >= 0 && rundir_path(path) == 0) {
        learn_names(dir);
        h.names = count_names(path, "");
    }
    if (dir >= 0)
        (void)close(dir); /* a folder, only looked at */
    if (segment[0] != '\0')
        h.segments = count_names("/dev/shm", segment + 1);
    for (int i = 0; i <= SLOTS && queues[i][0] != '\0'; i++)
        h.queues += queue_exists(queues[i]);
    if (counts != NULL) {
        counts->names = h.names;
        counts->segments = h.segments;
        counts->queues = h.queues;
    }
    return h.names + h.segments + h.queues;
}

long soak_fds(pid_t server)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%ld/fd", (long)server);
    return count_names(path, "");
}

static int read_memory(pid_t server, struct hand *out)
{
    char path[64], line[200];
    int found = 0;
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", (long)server);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        found += sscanf(line, "Rss: %ld", &out->rss) +
                 sscanf(line, "Pss: %ld", &out->pss);
    if (f != NULL)
        (void)fclose(f); /* it was only read */
    return found == 2 ? 0 : -1;
}

int soak_in_hand(pid_t server, struct hand *out)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%ld/task", (long)server);
    out->threads = count_names(path, "");
    out->fds = soak_fds(server);
    (void)soak_names(out);
    return read_memory(server, out) == 0 && out->fds > 0 ? 0 : -1;
}

long soak_data_size(void)
{
    struct stat st;

    return stat(soak_data, &st) == 0 ? (long)st.st_size : -1;
}

/* ---- keeping ------------------------------------------------------------- */

void soak_watch_begin(unsigned seconds)
{
    room = (size_t)seconds + 60;
    samples = soak_share(room * sizeof *samples);
    starts = soak_share(STARTS_MAX * sizeof *starts);
}

/* How much came since the last time. */
static double since(atomic_ullong *counter, unsigned long long *before)
{
    unsigned long long now = atomic_load(counter), was = *before;

    *before = now;
    return (double)(now - was);
}

void soak_sample(pid_t server)
{
    static unsigned long long come, refused, calls;
    double longest = (double)atomic_exchange(&desk->worst_now, 0);
    double came = since(&desk->clients, &come);
    double turned_away = since(&desk->refused, &refused);
    double called = since(&desk->calls, &calls);
    struct hand h = {0};

    if (server == 0 || atomic_load(&desk->calm) || count == room ||
        soak_in_hand(server, &h) != 0)
        return;
    samples[count++] = (struct sample){{
        [RSS] = (double)h.rss / 1024,
        [PSS] = (double)h.pss / 1024,
        [FDS] = (double)h.fds,
        [THREADS] = (double)h.threads,
        [NAMES] = (double)h.names,
        [SEGMENTS] = (double)h.segments,
        [QUEUES] = (double)h.queues,
        [EVENTS] = soak_living(),
        [DATA] = (double)soak_data_size() / (1024 * 1024),
        [COME] = came,
        [REFUSED] = turned_away,
        [CALLS] = called,
        [LONGEST] = longest / NS_PER_MS,
    }};
}

void soak_sample_start(void)
{
    if (start_count < STARTS_MAX)
        starts[start_count++] = (double)soak_data_size() / (1024 * 1024);
}

void soak_sample_heap(long long bytes, unsigned long long clients)
{
    leak.grown += bytes;
    leak.clients += clients;
    leak.times++;
}

/* ---- the table ----------------------------------------------------------- */

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Of n values; they are sorted. */
static double median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, rising);
    return n == 0 ? 0 : n % 2 != 0 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* What a row is compared by. */
struct row {
    const char *name;
    double relative, absolute; /* so much more is flat; both 0 = not asked */
    int decimals;
};

static const struct row rows[WHATS] = {
    [RSS] = {"memory: RSS, MiB", 0.08, 1.5, 1},
    [PSS] = {"memory: PSS, MiB", 0.08, 1.5, 1},
    [FDS] = {"descriptors", 0.10, 4, 0},
    [THREADS] = {"threads", 0, 0.5, 0},
    [NAMES] = {"names in the runtime folder", 0, 2, 0},
    [SEGMENTS] = {"segments in /dev/shm", 0, 0.5, 0},
    [QUEUES] = {"message queues with a name", 0, 2, 0},
    [EVENTS] = {"living events", 0, 0, 0},
    [DATA] = {"data file, MiB", 0, 0, 1},
    [COME] = {"clients a second", 0, 0, 0},
    [REFUSED] = {"refused (EBUSY) a second", 1, 10, 0},
    [CALLS] = {"calls a second", 0, 0, 0},
    [LONGEST] = {"longest call of a second, ms", 0, 0, 0},
};
static const struct row at_start = {"data file at each start, MiB", 0.05, 0.25,
                                    1};

static void count_row(bool ok, unsigned *passed, unsigned *failed)
{
    *(ok ? passed : failed) += 1;
}

/* `v` has n values in the order of time: the row, and its verdict. */
static void print_row(const struct row *r, const double *v, size_t n,
                      unsigned *passed, unsigned *failed)
{
    double q[QUARTERS], *part = calloc(n / QUARTERS + 2, sizeof *part), most;

    if (part == NULL || n < QUARTERS * FEW) {
        printf("%-30s too few samples\n", r->name);
        free(part);
        return;
    }
    for (size_t i = 0; i < QUARTERS; i++) {
        size_t from = n * i / QUARTERS, to = n * (i + 1) / QUARTERS;

        memcpy(part, v + from, (to - from) * sizeof *v);
        q[i] = median(part, to - from);
    }
    free(part);
    printf("%-30s %8.*f |", r->name, r->decimals, v[0]);
    for (size_t i = 0; i < QUARTERS; i++)
        printf(" %8.*f", r->decimals, q[i]);
    printf(" | %8.*f  ", r->decimals, v[n - 1]);
    most = q[1] * r->relative > r->absolute ? q[1] * r->relative : r->absolute;
    if (most == 0 || (n < QUARTERS * ENOUGH && r != &at_start)) {
        puts("");
        return;
    }
    count_row(q[3] - q[1] <= most, passed, failed);
    if (q[3] - q[1] <= most)
        puts("flat");
    else
        printf("GROWING: %.*f more than in the second quarter\n",
               r->decimals + 1, q[3] - q[1]);
}

static void print_leak(unsigned *passed, unsigned *failed)
{
    double each =
        leak.clients > 0 ? (double)leak.grown / (double)leak.clients : 0;
    bool ok = leak.grown < LEAK_LEAST || each < LEAK;

    if (leak.times == 0) {
        puts("heap: too few roll calls");
        return;
    }
    count_row(ok, passed, failed);
    printf("heap: %lld bytes more in small pieces after %llu clients, %.2f a "
           "client: %s\n",
           leak.grown, leak.clients, each, ok ? "flat" : "GROWING");
}

void soak_table(unsigned *passed, unsigned *failed)
{
    double *v = calloc(count + 1, sizeof *v);

    printf("\n%-30s %8s |%36s | %8s\n", "the server has in hand", "start",
           "medians of the four quarters", "end");
    for (int w = 0; v != NULL && w < WHATS; w++) {
        for (size_t i = 0; i < count; i++)
            v[i] = samples[i].value[w];
        print_row(&rows[w], v, count, passed, failed);
        if (w == DATA)
            print_row(&at_start, starts, start_count, passed, failed);
    }
    free(v);
    print_leak(passed, failed);
}
