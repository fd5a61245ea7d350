/*
 * pingpong.c - a second opinion on what the mechanisms cost
 *
 *   pingpong pipe|fifo|mqueue|shm|socket block|spin CPU CPU REQUEST REPLY COUNT
 *
 * Two processes, on the two CPUs given (which may be one), throw a message
 * there and back COUNT times; sizes are in bytes. It prints how long one round
 * trip took: "median 2712 mean 2801.3 count 20000", in nanoseconds.
 *
 * The benchmark's floor (bench/bare.c) must not be believed because it comes
 * from the benchmark. So this shares no line with it, and does on purpose in
 * another way what can be done in another way: the parent asks and a child
 * answers; FIFO and socket are opened by name, the shared memory is a named
 * object; all bytes of a message are equal and tell its number; the clock is
 * CLOCK_MONOTONIC_RAW, read once per round trip, so the moments are kept and
 * their differences taken after. What is the same is the work: every byte is
 * written in one process's own memory, and copied into and checked in the
 * other's.
 * tests/bare_check.sh puts both side by side.
 *
 * Left out on purpose: everything that isn't a round trip. An error ends the
 * program; an alarm ends what hangs; names are removed before the first
 * message.
 *
 * It needs _GNU_SOURCE for sched_setaffinity and CPU_SET.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BYTES_MOST 65536 /* a pipe holds so many: no side ever waits to write */
#define COUNT_MOST 5000000
#define WARM_UP    10 /* one in so many round trips comes on top, unmeasured */
#define SECONDS    30 /* then something hangs */

/* What the two sides of shared memory look at. A side waits for the other's
 * word or semaphore; a cache line each, so that neither disturbs the other. */
struct corner {
    _Alignas(128) sem_t posted;
    _Alignas(128) atomic_uint said;
    _Alignas(128) unsigned char text[BYTES_MOST];
};

enum how { PIPE, FIFO, MQUEUE, SHM, SOCKET, UNKNOWN };

/* One process's view. */
static struct {
    enum how how;
    bool spin;
    int in, out;              /* pipe, FIFO, socket */
    mqd_t inbox, outbox;      /* message queue */
    size_t in_size, out_size; /* of the messages that come and go */
    struct corner *theirs, *mine;
    unsigned char *coming, *going; /* where messages are read and written */
    pid_t child;                   /* in the parent; before fork, -1 */
    char folder[32], request[48], reply[48]; /* names, while they exist */
} me = {.child = -1};

/* No mechanism but FIFO and socket has any; removing twice does no harm. */
static void remove_names(void)
{
    if (!me.folder[0])
        return;
    (void)unlink(me.request); /* gone already: just as well */
    (void)unlink(me.reply);
    (void)rmdir(me.folder);
}

static _Noreturn void give_up(const char *what)
{
    (void)fprintf(stderr, "pingpong: %s: %s\n", what, strerror(errno));
    if (me.child > 0)
        (void)kill(me.child, SIGKILL); /* dead already: fine */
    if (me.child != 0)
        remove_names();
    _exit(1);
}

/* ---- one message -------------------------------------------------------- */

/* With O_NONBLOCK "not yet" is EAGAIN, and asking again is the spinning. */
static void send_message(void)
{
    size_t done = 0;

    if (me.how == MQUEUE) {
        while (mq_send(me.outbox, (char *)me.going, me.out_size, 0) != 0)
            if (errno != EAGAIN)
                give_up("mq_send");
    } else if (me.how != SHM) {
        while (done < me.out_size) {
            ssize_t n = write(me.out, me.going + done, me.out_size - done);

            if (n > 0)
                done += (size_t)n;
            else if (errno != EAGAIN)
                give_up("write");
        }
    } else {
        memcpy(me.mine->text, me.going, me.out_size);
        /* release: the text is there before the word that announces it. A
         * locked instruction, though nobody else writes here: it doesn't
         * leave the news in this CPU's store buffer, as a plain store may. */
        if (me.spin)
            atomic_fetch_add_explicit(&me.mine->said, 1, memory_order_release);
        else if (sem_post(&me.mine->posted) != 0)
            give_up("sem_post");
    }
}

/* Message number `number` (from 1) of the other side. */
static void receive_message(unsigned number)
{
    size_t done = 0;

    if (me.how == MQUEUE) {
        /* The queue's messages are no longer, and check_text sees shorter. */
        while (mq_receive(me.inbox, (char *)me.coming, me.in_size, NULL) < 0)
            if (errno != EAGAIN)
                give_up("mq_receive");
    } else if (me.how != SHM) {
        while (done < me.in_size) {
            ssize_t n = read(me.in, me.coming + done, me.in_size - done);

            if (n > 0)
                done += (size_t)n;
            else if (n == 0 || errno != EAGAIN)
                give_up("read");
        }
    } else {
        while (me.spin && atomic_load_explicit(&me.theirs->said,
                                               memory_order_acquire) != number)
            continue;
        if (!me.spin && sem_wait(&me.theirs->posted) != 0)
            give_up("sem_wait");
        memcpy(me.coming, me.theirs->text, me.in_size);
    }
}

/* Replies are the requests' complement: nobody reads back his own. */
static void write_text(unsigned number, bool reply)
{
    memset(me.going, (int)(reply ? ~number : number) & 255, me.out_size);
}

/* All bytes are the first one when each equals its neighbour. */
static void check_text(unsigned number, bool reply)
{
    const unsigned char *text = me.coming;

    errno = EBADMSG;
    if (text[0] != ((reply ? ~number : number) & 255) ||
        memcmp(text, text + 1, me.in_size - 1) != 0)
        give_up("wrong bytes");
}

/* ---- both ends ---------------------------------------------------------- */

static void make_names(void)
{
    (void)snprintf(me.folder, sizeof me.folder, "/tmp/pingpong-XXXXXX");
    if (!mkdtemp(me.folder)) {
        me.folder[0] = '\0';
        give_up("mkdtemp");
    }
    (void)snprintf(me.request, sizeof me.request, "%s/request", me.folder);
    (void)snprintf(me.reply, sizeof me.reply, "%s/reply", me.folder);
}

/* The two FIFOs exist; each process opens its ends, and open(2) of one end
 * waits for the other: so both must do it in the same order. */
static void meet_at_fifos(void)
{
    if (me.child) {
        me.out = open(me.request, O_WRONLY);
        me.in = open(me.reply, O_RDONLY);
    } else {
        me.in = open(me.request, O_RDONLY);
        me.out = open(me.reply, O_WRONLY);
    }
}

static void meet_at_socket(int listener, const struct sockaddr_un *name)
{
    me.in = me.child ? accept(listener, NULL, NULL)
                     : socket(AF_UNIX, SOCK_STREAM, 0);
    if (!me.child &&
        connect(me.in, (const struct sockaddr *)name, sizeof *name) != 0)
        give_up("connect");
    me.out = me.in;
}

static int make_listener(struct sockaddr_un *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(name->sun_path, sizeof name->sun_path, "%s", me.request);
    if (fd < 0 || bind(fd, (const struct sockaddr *)name, sizeof *name) != 0 ||
        listen(fd, 1) != 0)
        give_up("listener");
    return fd;
}

static mqd_t make_queue(size_t bytes)
{
    struct mq_attr a = {.mq_maxmsg = 2, .mq_msgsize = (long)bytes};
    char name[40];
    mqd_t q;

    (void)snprintf(name, sizeof name, "/pingpong-%ld", (long)getpid());
    q = mq_open(name, O_RDWR | O_CREAT | O_EXCL | (me.spin ? O_NONBLOCK : 0),
                0600, &a);
    if (q == (mqd_t)-1)
        give_up("mq_open");
    (void)mq_unlink(name); /* made above, by us */
    return q;
}

static struct corner *make_memory(void)
{
    char name[40];
    struct corner *corners;
    int fd;

    (void)snprintf(name, sizeof name, "/pingpong-%ld", (long)getpid());
    fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        give_up("shm_open");
    (void)shm_unlink(name); /* made above, by us */
    if (ftruncate(fd, 2 * (off_t)sizeof *corners) != 0)
        give_up("ftruncate");
    corners = mmap(NULL, 2 * sizeof *corners, PROT_READ | PROT_WRITE,
                   MAP_SHARED, fd, 0);
    if (corners == MAP_FAILED || sem_init(&corners[0].posted, 1, 0) != 0 ||
        sem_init(&corners[1].posted, 1, 0) != 0)
        give_up("shared memory");
    return corners;
}

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        give_up("sched_setaffinity");
}

/* Becomes two processes. The child knows itself by me.child being 0. */
static void split(const int cpu[2])
{
    me.child = fork();
    if (me.child < 0)
        give_up("fork");
    if (me.child == 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* the alarm is left */
    (void)alarm(SECONDS);                       /* fork doesn't inherit one */
    pin(cpu[me.child ? 0 : 1]);
}

static void connect_pipes(const int cpu[2])
{
    int request[2], reply[2];

    if (pipe(request) != 0 || pipe(reply) != 0)
        give_up("pipe");
    split(cpu);
    me.out = me.child ? request[1] : reply[1];
    me.in = me.child ? reply[0] : request[0];
    (void)close(me.child ? request[0] : reply[0]);
    (void)close(me.child ? reply[1] : request[1]);
}

static void connect_names(const int cpu[2])
{
    struct sockaddr_un name;
    int listener = -1;

    make_names();
    if (me.how == SOCKET)
        listener = make_listener(&name);
    else if (mkfifo(me.request, 0600) != 0 || mkfifo(me.reply, 0600) != 0)
        give_up("mkfifo");
    split(cpu);
    if (me.how == SOCKET)
        meet_at_socket(listener, &name);
    else
        meet_at_fifos();
    if (me.in < 0 || me.out < 0)
        give_up("meeting");
    if (me.child) /* both have met: the names have done their work */
        remove_names();
}

static void connect_queues(const int cpu[2], size_t request, size_t reply)
{
    mqd_t there = make_queue(request), back = make_queue(reply);

    split(cpu);
    me.outbox = me.child ? there : back;
    me.inbox = me.child ? back : there;
}

static void connect_memory(const int cpu[2])
{
    struct corner *corners = make_memory();

    split(cpu);
    me.mine = &corners[me.child ? 0 : 1];
    me.theirs = &corners[me.child ? 1 : 0];
}

static void connect_both(const int cpu[2], size_t request, size_t reply)
{
    switch (me.how) {
    case PIPE: connect_pipes(cpu); break;
    case MQUEUE: connect_queues(cpu, request, reply); break;
    case SHM: connect_memory(cpu); break;
    default: connect_names(cpu); break;
    }
    me.out_size = me.child ? request : reply;
    me.in_size = me.child ? reply : request;
    me.going = malloc(me.out_size);
    me.coming = malloc(me.in_size);
    if (!me.going || !me.coming)
        give_up("malloc");
    if (me.spin && me.how != MQUEUE && me.how != SHM &&
        (fcntl(me.in, F_SETFL, O_NONBLOCK) != 0 ||
         fcntl(me.out, F_SETFL, O_NONBLOCK) != 0))
        give_up("fcntl");
}

/* ---- there and back ----------------------------------------------------- */

static void answer(unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        receive_message(i);
        check_text(i, false);
        write_text(i, true);
        send_message();
    }
}

static uint64_t moment(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC_RAW, &t); /* Linux has it */
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The moment at which each round trip had ended. */
static void ask(unsigned count, uint64_t *at)
{
    for (unsigned i = 1; i <= count; i++) {
        write_text(i, false);
        send_message();
        receive_message(i);
        check_text(i, true);
        at[i - 1] = moment();
    }
}

static int rising(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Of the last n + 1 moments of all. */
static void print_times(uint64_t *at, unsigned n)
{
    double mean = (double)(at[n] - at[0]) / n;

    for (unsigned i = 0; i < n; i++)
        at[i] = at[i + 1] - at[i];
    qsort(at, n, sizeof at[0], rising);
    (void)printf("median %llu mean %.1f count %u\n",
                 (unsigned long long)at[n / 2], mean, n);
}

static unsigned long number(const char *text, unsigned long least,
                            unsigned long most)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end || v < least || v > most) {
        (void)fprintf(stderr,
                      "pingpong: %s: a number from %lu to %lu is expected\n",
                      text, least, most);
        exit(64);
    }
    return v;
}

int main(int argc, char **argv)
{
    static const char *const known[] = {"pipe", "fifo", "mqueue", "shm",
                                        "socket"};
    int cpu[2], status = 0;
    unsigned count, all;
    uint64_t *at;

    while (argc == 8 && me.how != UNKNOWN && strcmp(argv[1], known[me.how]))
        me.how++;
    if (argc != 8 || me.how == UNKNOWN ||
        (strcmp(argv[2], "block") && strcmp(argv[2], "spin"))) {
        (void)fprintf(stderr, "usage: pingpong pipe|fifo|mqueue|shm|socket "
                              "block|spin CPU CPU REQUEST REPLY COUNT\n");
        return 64;
    }
    me.spin = argv[2][0] == 's';
    cpu[0] = (int)number(argv[3], 0, CPU_SETSIZE - 1);
    cpu[1] = (int)number(argv[4], 0, CPU_SETSIZE - 1);
    count = (unsigned)number(argv[7], 1, COUNT_MOST);
    all = count + count / WARM_UP + 1;
    at = calloc(all, sizeof *at);
    if (!at)
        give_up("calloc");
    pin(cpu[1]); /* may we? Better said before there is anything to undo */
    pin(cpu[0]);
    memset(at, 1, all * sizeof *at); /* no page is touched first when timed */
    connect_both(cpu, number(argv[5], 1, BYTES_MOST),
                 number(argv[6], 1, BYTES_MOST));
    if (me.child == 0) {
        answer(all);
        _exit(0);
    }
    ask(all, at);
    if (waitpid(me.child, &status, 0) < 0)
        give_up("waitpid");
    print_times(at + all - count - 1, count);
    free(at);
    return status == 0 ? 0 : 1;
}
