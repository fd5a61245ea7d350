/*
 * test_access.c - who may come in, and who may not
 *
 *      0700 folder, ours, checked through its descriptor
 *        |_ 0600 lock file, FIFO, socket        and 0600 queue, segment
 *             |_ SO_PEERCRED: the socket's own guard
 *
 * The walls are tested one behind the other: each case takes down those in
 * front of the one that it is about. A second user is a real one (nobody,
 * 65534): so those cases need root, and are skipped without. Whoever must not
 * get in also must not be able to turn us elsewhere: links, a foreign folder
 * under our name, one that is swapped between the check and the use.
 *
 * It needs _GNU_SOURCE for setgroups and setresuid. fstat is wrapped: in the
 * library's call, the folder is swapped.
 */
#define _GNU_SOURCE
#include "bytes.h"
#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEN(a)   (sizeof(a) / sizeof *(a))
#define STRANGER 65534 /* nobody */
#define VICTIM   61001 /* a user that needn't exist */

typedef void job(const struct param *p);

/* ---- paths and folders ---------------------------------------------------- */

static char *under(const char *name, char path[300])
{
    snprintf(path, 300, "%.100s/%.150s", harness_dir(), name);
    return path;
}

/* A file of the runtime folder. */
static char *in_folder(const char *name, char path[300])
{
    snprintf(path, 300, "%.100s/run/ipclab/%.100s", harness_dir(), name);
    return path;
}

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    REQUIRE(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void expect_file(const char *path, const char *text)
{
    char got[100] = "";
    FILE *f = fopen(path, "r");

    REQUIRE(f != NULL);
    (void)!fgets(got, sizeof got, f); /* an empty file stays "" */
    fclose(f);
    EXPECT_STR(text, got);
}

/* ---- other users ---------------------------------------------------------- */

static bool become(uid_t uid)
{
    return setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
           setresuid(uid, uid, uid) == 0;
}

/* Runs a part of a case as another user; true when that can be done. */
static void as_user(uid_t uid, job *run, const struct param *p)
{
    pid_t pid = fork();
    int status;

    REQUIRE(pid >= 0);
    if (pid == 0) {
        REQUIRE(become(uid));
        run(p);
        _exit(0);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid);
    EXPECT_INT(0, status);
}

/* We can be two users. (In a namespace of its own, root often can't.) */
static bool can_be_two(void)
{
    pid_t pid = geteuid() ? -1 : fork();
    int status = -1;

    if (pid == 0)
        _exit(!become(STRANGER));
    if (pid > 0)
        waitpid(pid, &status, 0);
    return status == 0;
}

/* The same; when we can't, the case is skipped. */
static bool two_users(void)
{
    bool can = can_be_two();

    if (!can)
        harness_skip("only root can be a second user");
    return can;
}

/* Let others come as far as our folder. */
static void open_the_way(void)
{
    char path[300];

    REQUIRE_INT(0, chmod(harness_dir(), 0711));
    REQUIRE_INT(0, chmod(under("run", path), 0711));
}

/* ---- what is opened -------------------------------------------------------- */

static char why[300];

static struct tp_opts opts(void)
{
    return (struct tp_opts){
        .clients = 2, .open_ms = LONG_MS, .why = why, .why_cap = sizeof why};
}

/* Both opens are refused with -EACCES, and say so. */
static void expect_no_access(const struct param *p, const char *sentence)
{
    struct tp_server *srv = NULL;
    struct tp_client *c = NULL;
    struct tp_opts o = opts();

    EXPECT_INT(-EACCES, tp_srv_open(p->t, &srv, &o));
    if (!strstr(why, sentence))
        EXPECT_STR(sentence, why);
    EXPECT_INT(-EACCES, tp_cli_open(p->t, &c, &o));
    if (!strstr(why, sentence))
        EXPECT_STR(sentence, why);
    EXPECT(!srv && !c);
}

/* Server and client in one process: a request arrives, and so does its reply.
 */
static void expect_service(const struct param *p)
{
    struct tp_server *srv = NULL;
    struct tp_client *c = NULL;
    struct tp_opts o = opts();
    char buf[16] = "";
    tp_peer from;

    REQUIRE_INT(0, tp_srv_open(p->t, &srv, &o));
    REQUIRE_INT(0, tp_cli_open(p->t, &c, &o));
    EXPECT_INT(0, tp_cli_send(c, "ours", 4, LONG_MS));
    EXPECT_INT(4, tp_srv_recv(srv, &from, buf, sizeof buf, LONG_MS));
    EXPECT_BYTES("ours", buf, 4);
    EXPECT_INT(0, tp_srv_send(srv, from, "yes", 3, TP_SEND_MS));
    EXPECT_INT(3, tp_cli_recv(c, buf, sizeof buf, LONG_MS));
    tp_cli_close(c);
    tp_srv_close(srv);
}

/* ---- modes ------------------------------------------------------------------ */

static void expect_private(const struct stat *st, const char *name)
{
    harness_check((st->st_mode & 07777) == 0600 && st->st_uid == geteuid(),
                  false, __FILE__, __LINE__, "%s: mode %o of user %u", name,
                  (unsigned)st->st_mode & 07777, (unsigned)st->st_uid);
}

static void check_queue(const char *name)
{
    char object[RUNDIR_OBJECT_MAX];
    struct stat st;
    mqd_t q;

    object_name(object, name);
    q = mq_open(object, O_RDONLY);
    REQUIRE(q != (mqd_t)-1);
    EXPECT_INT(0, fstat(q, &st)); /* on Linux a queue is a descriptor */
    expect_private(&st, object);
    mq_close(q);
}

static void check_segment(const char *name)
{
    char object[RUNDIR_OBJECT_MAX];
    struct stat st;
    int fd;

    object_name(object, name);
    fd = shm_open(object, O_RDONLY, 0);
    REQUIRE(fd >= 0 && fstat(fd, &st) == 0);
    expect_private(&st, object);
    close(fd);
}

static void check_folder(int *files, const char *path)
{
    DIR *d = opendir(path);
    struct stat st;

    REQUIRE(d != NULL && fstat(dirfd(d), &st) == 0);
    EXPECT_INT(0700, st.st_mode & 07777);
    EXPECT_INT(geteuid(), st.st_uid);
    *files = 0;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') {
            EXPECT_INT(0,
                       fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW));
            expect_private(&st, e->d_name);
            ++*files;
        }
    closedir(d);
}

/* Whatever the umask, others have no right to anything. */
static void modes(const struct param *p)
{
    bool queue = !strcmp(p->t->name, "mqueue");
    bool segment = !strcmp(p->t->name, "shm");
    struct tp_server *srv = NULL;
    struct tp_client *c = NULL;
    struct tp_opts o = opts();
    char path[300];
    int files;

    umask(0);
    REQUIRE_INT(0, tp_srv_open(p->t, &srv, &o));
    REQUIRE_INT(0, tp_cli_open(p->t, &c, &o));
    check_folder(&files, under("run/ipclab", path));
    /* The lock file; the FIFOs of both ways; the socket. */
    EXPECT_INT(queue || segment               ? 1
               : strcmp(p->t->name, "socket") ? 3
                                              : 2,
               files);
    if (queue)
        check_queue("default.mqueue");
    if (queue)
        check_queue("default.mqueue.0");
    if (segment)
        check_segment("default.shm");
    tp_cli_close(c);
    tp_srv_close(srv);
}

/* ---- a stranger ------------------------------------------------------------- */

/* Errors of the plain calls, past all that the chapters do. */
static int try_open(const char *name, int flags)
{
    char path[300];
    int fd = open(in_folder(name, path), flags | O_NONBLOCK);

    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static int try_queue(const char *name, int flags)
{
    char object[RUNDIR_OBJECT_MAX];
    mqd_t q;

    snprintf(object, sizeof object, "%s", name);
    q = mq_open(object, flags);
    if (q == (mqd_t)-1)
        return -errno;
    mq_close(q);
    return 0;
}

static int try_segment(const char *name, int flags)
{
    int fd = shm_open(name, flags, 0);

    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

/* A connection, or -errno. */
static int try_connect(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char path[300];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    REQUIRE(fd >= 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%.100s",
             in_folder("default.socket", path));
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -errno;
}

/* The names of our queue or segment, learnt before we become somebody else. */
static char requests[RUNDIR_OBJECT_MAX], replies[RUNDIR_OBJECT_MAX];

/* The folder itself lets nobody through. */
static void outside(const struct param *p)
{
    expect_no_access(p, "can be used");
    EXPECT_INT(-EACCES, try_open("default.fifo", O_WRONLY));
    EXPECT_INT(-EACCES, try_open("default.socket.lock", O_RDONLY));
}

/* The folder is open, as if by mistake: the files aren't. */
static void inside(const struct param *p)
{
    static const int ways[] = {O_RDONLY, O_WRONLY, O_RDWR};
    char lock[64];

    expect_no_access(p, "belongs to user 0");
    snprintf(lock, sizeof lock, "default.%s.lock", p->t->name);
    for (size_t i = 0; i < LEN(ways); i++) {
        EXPECT_INT(-EACCES, try_open(lock, ways[i]));
        if (!strcmp(p->t->name, "fifo")) {
            EXPECT_INT(-EACCES, try_open("default.fifo", ways[i]));
            EXPECT_INT(-EACCES, try_open("default.fifo.1", ways[i]));
        }
        if (!strcmp(p->t->name, "mqueue")) {
            EXPECT_INT(-EACCES, try_queue(requests, ways[i]));
            EXPECT_INT(-EACCES, try_queue(replies, ways[i]));
        }
        if (!strcmp(p->t->name, "shm") && ways[i] != O_WRONLY)
            EXPECT_INT(-EACCES, try_segment(requests, ways[i]));
    }
    if (!strcmp(p->t->name, "socket"))
        EXPECT_INT(-EACCES, try_connect());
}

/* Another user gets in nowhere, and takes nothing away. */
static void stranger(const struct param *p)
{
    struct world w = {0};
    struct tp_client *c, *idle;
    char path[300], name[64];

    if (!two_users())
        return;
    open_the_way();
    world_open(&w, p, clients(2));
    world_serve(&w, world_tally);
    world_drop(&w);
    c = world_connect(&w);
    echo_once(c, 10, 1);
    idle = world_connect(&w); /* so that a reply's name is there, too */
    snprintf(name, sizeof name, "default.%s", p->t->name);
    object_name(requests, name);
    snprintf(name, sizeof name, "default.%s.1", p->t->name);
    object_name(replies, name);
    as_user(STRANGER, outside, p);
    REQUIRE_INT(0, chmod(under("run/ipclab", path), 0777));
    as_user(STRANGER, inside, p);
    REQUIRE_INT(0, chmod(path, 0700));
    echo_once(c, 10, 2);
    tp_cli_close(idle);
    tp_cli_close(c);
    world_stop_server(&w);
    EXPECT_INT(2, atomic_load(&w.board->value[3])); /* ours, and no other */
    EXPECT_INT(0, atomic_load(&w.board->value[2]));
}

/* Sends what would be answered, were it from us. */
static void connected(const struct param *p)
{
    uint8_t frame[8] = "....ours";
    struct pollfd pfd = {.fd = try_connect(), .events = POLLIN};
    char buf[16];

    (void)p;
    REQUIRE(pfd.fd >= 0);
    put32(frame, 4);
    (void)!send(pfd.fd, frame, sizeof frame,
                MSG_NOSIGNAL); /* may be too late */
    REQUIRE_INT(1, poll(&pfd, 1, LONG_MS));
    EXPECT(read(pfd.fd, buf, sizeof buf) <= 0); /* closed, not answered */
    close(pfd.fd);
}

/* Folder and socket are both open, as if by mistake: the kernel still says who
 * it is (SO_PEERCRED). */
static void client_credentials(const struct param *p)
{
    struct world w = {0};
    struct tp_client *c;
    char path[300];

    if (!two_users())
        return;
    open_the_way();
    world_open(&w, p, clients(1));
    world_serve(&w, world_tally);
    world_drop(&w);
    REQUIRE_INT(0, chmod(in_folder("default.socket", path), 0666));
    REQUIRE_INT(0, chmod(under("run/ipclab", path), 0711));
    for (int i = 0; i < 3; i++)
        as_user(STRANGER, connected, p);
    REQUIRE_INT(0, chmod(path, 0700));
    EXPECT_INT(0, atomic_load(&w.board->value[3]));
    c = world_connect(&w);
    echo_once(c, 10, 1);
    tp_cli_close(c);
    world_stop_server(&w);
    EXPECT_INT(1, atomic_load(&w.board->value[3]));
}

/* ---- folders that aren't ours ------------------------------------------------ */

static void open_folder(const struct param *p, const char *path)
{
    static const mode_t open_modes[] = {0777, 01777, 0710, 0701, 0740};

    REQUIRE_INT(0, mkdir(path, 0700));
    for (size_t i = 0; i < LEN(open_modes); i++) {
        REQUIRE_INT(0, chmod(path, open_modes[i]));
        expect_no_access(p, "open to others");
    }
    EXPECT_INT(0, count_entries(path));
    REQUIRE_INT(0, rmdir(path));
}

static void linked_folder(const struct param *p, const char *path)
{
    char target[300];

    REQUIRE_INT(0, mkdir(under("mine", target), 0700));
    REQUIRE_INT(0, symlink(target, path));
    expect_no_access(p, "is not a folder that can be used");
    EXPECT_INT(0, count_entries(target));
    REQUIRE_INT(0, unlink(path));
    put_file(path, "a file");
    expect_no_access(p, "is not a folder that can be used");
    expect_file(path, "a file");
    REQUIRE_INT(0, unlink(path));
}

static void foreign_folder(const struct param *p, const char *path)
{
    REQUIRE_INT(0, mkdir(path, 0700));
    REQUIRE_INT(0, chown(path, STRANGER, STRANGER));
    expect_no_access(p, "belongs to user 65534");
    EXPECT_INT(0, count_entries(path));
    REQUIRE_INT(0, rmdir(path));
}

/* Only a real folder, ours, closed to others is used; any other is left as it
 * is. */
static void folders(const struct param *p)
{
    char path[300];

    under("run/ipclab", path);
    open_folder(p, path);
    linked_folder(p, path);
    if (can_be_two())
        foreign_folder(p, path);
    expect_service(p);
}

/* ---- the folder is swapped between the check and the use ---------------------- */

static const char *swap; /* the folder that the next fstat finds swapped */

int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);

/* What fstat says is true; a moment later another folder has the name. */
int __wrap_fstat(int fd, struct stat *st)
{
    int r = __real_fstat(fd, st);
    char path[300];

    if (swap && S_ISDIR(st->st_mode)) {
        REQUIRE_INT(0, rename(swap, under("run/ours", path)));
        REQUIRE_INT(0, rename(under("impostor", path), swap));
        swap = NULL;
    }
    return r;
}

/* A socket with this name; its descriptor. */
static int make_socket(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(a.sun_path, sizeof a.sun_path, "%.100s", path);
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

/* A folder that looks like ours, with a listener and a FIFO in it. */
static int make_impostor(void)
{
    char path[300];
    int fd;

    REQUIRE_INT(0, mkdir(under("impostor", path), 0777));
    REQUIRE_INT(0, mkfifo(under("impostor/default.fifo", path), 0666));
    fd = make_socket(under("impostor/default.socket", path));
    REQUIRE_INT(0, listen(fd, 5));
    return fd;
}

/* In our own folder: what a dead server has left. */
static void make_stale(const struct param *p)
{
    char path[300];

    if (!strcmp(p->t->name, "fifo"))
        REQUIRE_INT(0, mkfifo(in_folder("default.fifo", path), 0600));
    if (!strcmp(p->t->name, "socket"))
        close(make_socket(in_folder("default.socket", path)));
}

/* Nobody came to the impostor, and nothing was put into its folder. */
static void check_impostor(int listener, const char *path)
{
    EXPECT_INT(2, count_entries(path));
    EXPECT_INT(-1, accept(listener, NULL, NULL));
    EXPECT_INT(EAGAIN, errno);
    close(listener);
}

static void swap_back(const char *path)
{
    char other[300];

    REQUIRE_INT(0, rename(path, under("impostor", other)));
    REQUIRE_INT(0, rename(under("run/ours", other), path));
}

/* The client talks to the server whose folder it has checked. */
static void swapped_for_client(const struct param *p)
{
    struct world w = {0};
    struct tp_client *c;
    char path[300];
    int listener = make_impostor();

    world_open(&w, p, clients(1));
    world_serve(&w, world_tally);
    world_drop(&w);
    swap = under("run/ipclab", path);
    c = world_connect(&w);
    REQUIRE(!swap);
    echo_once(c, 20, 1);
    tp_cli_close(c);
    check_impostor(listener, path);
    swap_back(path);
    world_stop_server(&w);
}

/* The server removes old names and makes its own in the folder that it has
 * checked, and there they are found when the folder has its name again. */
static void swapped_for_server(const struct param *p)
{
    struct tp_server *srv = NULL;
    struct tp_client *c = NULL;
    struct tp_opts o = opts();
    char path[300];
    int listener = make_impostor();

    REQUIRE_INT(0, mkdir(under("run/ipclab", path), 0700));
    make_stale(p);
    swap = path;
    EXPECT_INT(0, tp_srv_open(p->t, &srv, &o));
    REQUIRE(!swap);
    check_impostor(listener, path);
    swap_back(path);
    EXPECT_INT(0, tp_cli_open(p->t, &c, &o));
    tp_cli_close(c);
    tp_srv_close(srv);
}

/* ---- links in the folder ------------------------------------------------------ */

/* A link has the name `name`: `open` refuses it, and neither the link nor what
 * it leads to is touched. */
static void link_refused(const char *name, int wanted,
                         int (*open)(const struct param *),
                         const struct param *p)
{
    char path[300], target[300];
    struct stat st;

    for (int there = 0; there < 2; there++) {
        under("target", target);
        if (there)
            put_file(target, "precious");
        REQUIRE_INT(0, symlink(target, in_folder(name, path)));
        EXPECT_INT(wanted, open(p));
        EXPECT(strlen(why) > 10);
        EXPECT(lstat(path, &st) == 0 && S_ISLNK(st.st_mode));
        if (there)
            expect_file(target, "precious");
        EXPECT(there || access(target, F_OK) < 0);
        REQUIRE_INT(0, unlink(path));
        (void)unlink(target); /* may be missing */
    }
}

static int serve_and_close(const struct param *p)
{
    struct tp_server *srv = NULL;
    struct tp_opts o = opts();
    int err;

    why[0] = '\0';
    err = tp_srv_open(p->t, &srv, &o);
    tp_srv_close(srv);
    return err;
}

static int join_and_leave(const struct param *p)
{
    struct tp_client *c = NULL;
    struct tp_opts o = opts();
    int err;

    why[0] = '\0';
    err = tp_cli_open(p->t, &c, &o);
    tp_cli_close(c);
    return err;
}

static void links(const struct param *p)
{
    struct tp_server *srv = NULL;
    struct tp_opts o = opts();
    char path[300], name[64];

    REQUIRE_INT(0, mkdir(under("run/ipclab", path), 0700));
    snprintf(name, sizeof name, "default.%s.lock", p->t->name);
    link_refused(name, -EACCES, serve_and_close, p);
    REQUIRE(access(path, F_OK) == 0 || mkdir(path, 0700) == 0);
    link_refused(name, -EACCES, join_and_leave, p);
    if (!strcmp(p->t->name, "fifo") || !strcmp(p->t->name, "socket")) {
        snprintf(name, sizeof name, "default.%s", p->t->name);
        link_refused(name, -EEXIST, serve_and_close, p);
    }
    if (!strcmp(p->t->name, "fifo")) {
        REQUIRE_INT(0, tp_srv_open(p->t, &srv, &o));
        link_refused("default.fifo.0", -EEXIST, join_and_leave, p);
        tp_srv_close(srv);
    }
    (void)rmdir(path); /* ours, if it is there still */
    expect_service(p);
}

/* ---- names of queues and segments, which all users share ---------------------- */

/* Shared by the processes of the case. */
static char *taken; /* the name that the stranger takes */

static void take_queue(const struct param *p)
{
    struct mq_attr a = {.mq_maxmsg = 3, .mq_msgsize = 16}; /* room for ours */
    mqd_t q;

    (void)p;
    umask(0);
    q = mq_open(taken, O_RDWR | O_CREAT | O_EXCL, 0666, &a);
    REQUIRE(q != (mqd_t)-1);
    EXPECT_INT(0, mq_send(q, "his", 3, 0));
    mq_close(q);
}

static void leave_queue(const struct param *p)
{
    char buf[16];
    mqd_t q = mq_open(taken, O_RDWR | O_NONBLOCK);

    (void)p;
    REQUIRE(q != (mqd_t)-1);
    EXPECT_INT(3, mq_receive(q, buf, sizeof buf, NULL)); /* nothing was added */
    EXPECT_INT(-1, mq_receive(q, buf, sizeof buf, NULL));
    mq_close(q);
    EXPECT_INT(0, mq_unlink(taken));
}

static void take_segment(const struct param *p)
{
    int fd;

    (void)p;
    umask(0);
    fd = shm_open(taken, O_RDWR | O_CREAT | O_EXCL, 0666);
    REQUIRE(fd >= 0 && write(fd, "his", 3) == 3);
    close(fd);
}

static void leave_segment(const struct param *p)
{
    char buf[16] = "";
    int fd = shm_open(taken, O_RDONLY, 0);

    (void)p;
    REQUIRE(fd >= 0);
    EXPECT_INT(3, read(fd, buf, sizeof buf)); /* neither longer nor changed */
    EXPECT_BYTES("his", buf, 3);
    close(fd);
    EXPECT_INT(0, shm_unlink(taken));
}

static void name_requests(const struct param *p)
{
    object_name(taken,
                strcmp(p->t->name, "shm") ? "default.mqueue" : "default.shm");
}

static void name_replies(const struct param *p)
{
    (void)p;
    object_name(taken, "default.mqueue.0");
}

static void refused_server(const struct param *p)
{
    struct tp_server *srv = NULL;
    struct tp_opts o = opts();

    EXPECT_INT(-EEXIST, tp_srv_open(p->t, &srv, &o));
    EXPECT(strstr(why, "another user"));
}

static void refused_client(const struct param *p)
{
    struct tp_server *srv = NULL;
    struct tp_client *c = NULL;
    struct tp_opts o = opts();

    REQUIRE_INT(0, tp_srv_open(p->t, &srv, &o));
    EXPECT_INT(-EEXIST, tp_cli_open(p->t, &c, &o));
    EXPECT(strstr(why, "another user"));
    tp_srv_close(srv);
}

/*
 * A stranger has made a queue or segment under our name. He can keep us from
 * serving (no folder of ours guards these names), but not make us use his: we
 * say what is wrong, and serve when it is gone. root could remove it: so we
 * are an ordinary user here.
 */
static void squatter(const struct param *p)
{
    bool queue = !strcmp(p->t->name, "mqueue");
    char path[300], keep[310];

    if (!two_users())
        return;
    taken = mmap(NULL, RUNDIR_OBJECT_MAX, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(taken != MAP_FAILED);
    REQUIRE_INT(0, chmod(harness_dir(), 0711));
    REQUIRE_INT(0, mkdir(under("his", path), 0700));
    setenv("XDG_RUNTIME_DIR", path, 1);
    REQUIRE_INT(0, chown(path, VICTIM, VICTIM));
    snprintf(keep, sizeof keep, "%s/ipclab", path);
    REQUIRE(mkdir(keep, 0700) == 0 && chown(keep, VICTIM, VICTIM) == 0);
    strncat(keep, "/.k", 4); /* the folder stays, and so do the names */
    put_file(keep, "");
    as_user(VICTIM, name_requests, p);
    as_user(STRANGER, queue ? take_queue : take_segment, p);
    as_user(VICTIM, refused_server, p);
    as_user(STRANGER, queue ? leave_queue : leave_segment, p);
    if (queue) {
        as_user(VICTIM, name_replies, p);
        as_user(STRANGER, take_queue, p);
        as_user(VICTIM, refused_client, p);
        as_user(STRANGER, leave_queue, p);
    }
    as_user(VICTIM, expect_service, p);
    munmap(taken, RUNDIR_OBJECT_MAX);
}

/* The server holds its queue or segment, and somebody else has its name by now
 * (as he could when it closes): a client says whose it is, and uses nothing. */
static void stolen_requests(const struct param *p)
{
    bool queue = !strcmp(p->t->name, "mqueue");
    struct tp_server *srv = NULL;
    struct tp_client *c = NULL;
    struct tp_opts o = opts();

    if (!two_users())
        return;
    taken = requests;
    name_requests(p);
    REQUIRE_INT(0, tp_srv_open(p->t, &srv, &o));
    REQUIRE_INT(0, queue ? mq_unlink(taken) : shm_unlink(taken));
    as_user(STRANGER, queue ? take_queue : take_segment, p);
    EXPECT_INT(-EACCES, tp_cli_open(p->t, &c, &o));
    EXPECT(strstr(why, "another user"));
    as_user(STRANGER, queue ? leave_queue : leave_segment, p);
    tp_srv_close(srv);
}

/* A client has asked and left, and with it the name of its reply queue: the
 * answer doesn't go to whoever has that name now. */
static void stolen_replies(const struct param *p)
{
    struct tp_server *srv = NULL;
    struct tp_client *c = NULL;
    struct tp_opts o = opts();
    char buf[16];
    tp_peer from;

    if (!two_users())
        return;
    taken = replies;
    name_replies(p);
    REQUIRE_INT(0, tp_srv_open(p->t, &srv, &o));
    REQUIRE_INT(0, tp_cli_open(p->t, &c, &o));
    EXPECT_INT(0, tp_cli_send(c, "ours", 4, LONG_MS));
    tp_cli_close(c);
    as_user(STRANGER, take_queue, p);
    EXPECT_INT(4, tp_srv_recv(srv, &from, buf, sizeof buf, LONG_MS));
    EXPECT_INT(-EPIPE, tp_srv_send(srv, from, "secret", 6, TP_SEND_MS));
    as_user(STRANGER, leave_queue, p);
    tp_srv_close(srv);
}

/* ---- the way to the socket ------------------------------------------------------ */

/* A listener of the stranger's under our name. What counts is who calls
 * listen(2). */
static int foreign_listener(void)
{
    char path[300];
    int fd;

    REQUIRE_INT(0, unlink(in_folder("default.socket", path)));
    fd = make_socket(path);
    REQUIRE_INT(0, seteuid(STRANGER));
    EXPECT_INT(0, listen(fd, 5));
    REQUIRE_INT(0, seteuid(0));
    return fd;
}

/* SO_PEERCRED from the other side: a client tells a stranger nothing. */
static void server_credentials(const struct param *p)
{
    struct tp_server *srv = NULL;
    struct tp_client *c = NULL;
    struct tp_opts o = opts();
    char buf[16];
    int listener, fd;

    if (!two_users())
        return;
    REQUIRE_INT(0, tp_srv_open(p->t, &srv, &o));
    listener = foreign_listener();
    EXPECT_INT(-EACCES, tp_cli_open(p->t, &c, &o));
    EXPECT(strstr(why, "another user"));
    fd = accept(listener, NULL, NULL);
    EXPECT(fd >= 0);
    EXPECT_INT(0, read(fd, buf, sizeof buf)); /* came, saw, and left */
    close(fd);
    close(listener);
    tp_srv_close(srv);
}

/* XDG_RUNTIME_DIR becomes a folder with a name of n bytes. */
static void long_folder(size_t n)
{
    char path[300], name[160] = "";

    memset(name, 'x', n);
    REQUIRE(mkdir(under(name, path), 0700) == 0);
    setenv("XDG_RUNTIME_DIR", path, 1);
}

/* A path that doesn't fit into sun_path, but leads to the runtime folder. */
static void long_path(const struct param *p)
{
    long_folder(150);
    expect_service(p);
}

/*
 * Where /proc is missing, the socket's path is the folder's own. It is refused
 * when it is too long, or leads to another folder than the one that has been
 * checked.
 */
static void no_proc(const struct param *p)
{
    struct tp_server *srv = NULL;
    struct tp_opts o = opts();
    char path[300];
    int listener;

    if (!mount_own("/proc", "1m"))
        return;
    expect_service(p);
    listener = make_impostor();
    REQUIRE_INT(0, mkdir(under("run/ipclab", path), 0700));
    swap = path;
    EXPECT_INT(-EACCES, tp_srv_open(p->t, &srv, &o));
    EXPECT(!swap && strstr(why, "the folder that it was"));
    check_impostor(listener, path);
    swap_back(path);
    long_folder(150);
    EXPECT_INT(-ENAMETOOLONG, tp_srv_open(p->t, &srv, &o));
    EXPECT(strstr(why, "XDG_RUNTIME_DIR"));
    REQUIRE_INT(0, umount("/proc"));
}

/* ---- without XDG_RUNTIME_DIR ---------------------------------------------------- */

static void make_in_tmp(const struct param *p)
{
    (void)p;
    umask(0);
    REQUIRE_INT(0, mkdir("/tmp/ipclab-0", 0777));
}

static void link_in_tmp(const struct param *p)
{
    (void)p;
    REQUIRE_INT(0, symlink("/tmp/mine", "/tmp/ipclab-0"));
}

static void meddle_in_tmp(const struct param *p)
{
    (void)p;
    EXPECT(rename("/tmp/ipclab-0", "/tmp/x") < 0 && errno == EPERM);
    EXPECT(rmdir("/tmp/ipclab-0") < 0);
    EXPECT(opendir("/tmp/ipclab-0") == NULL && errno == EACCES);
}

/* /tmp belongs to all: a folder that somebody made there in our name isn't
 * used; one of ours stays ours. (In a /tmp of the case's own.) */
static void sticky_tmp(const struct param *p)
{
    struct tp_server *srv = NULL;
    struct tp_opts o = opts();

    if (!two_users() || !mount_own("/tmp", "50%"))
        return;
    unsetenv("XDG_RUNTIME_DIR");
    as_user(STRANGER, make_in_tmp, p);
    expect_no_access(p, "belongs to user 65534");
    EXPECT_INT(0, count_entries("/tmp/ipclab-0"));
    REQUIRE_INT(0, rmdir("/tmp/ipclab-0"));
    REQUIRE_INT(0, mkdir("/tmp/mine", 0700));
    as_user(STRANGER, link_in_tmp, p);
    expect_no_access(p, "is not a folder that can be used");
    EXPECT_INT(0, count_entries("/tmp/mine"));
    REQUIRE_INT(0, unlink("/tmp/ipclab-0"));
    REQUIRE_INT(0, tp_srv_open(p->t, &srv, &o));
    as_user(STRANGER, meddle_in_tmp, p);
    tp_srv_close(srv);
    expect_service(p);
    EXPECT(access("/tmp/ipclab-0", F_OK) < 0); /* and nothing is left */
}

/* ---- the command line ------------------------------------------------------------ */

/* Runs `ipclab` with up to three words; its exit code. */
static int ipclab(const char *a, const char *b, const char *c, const char *d)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout) ||
            !freopen("/dev/null", "w", stderr))
            _exit(126);
        execl(harness_ipclab(), "ipclab", a, b, c, d, NULL);
        _exit(127);
    }
    REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* No command takes a name that could lead out of a folder, or makes anything
 * before it has looked. */
static void bad_names(const struct param *p)
{
    static const char *const commands[] = {"serve", "list",      "week",
                                           "stats", "clean",     "demo",
                                           "ping",  "transports"};
    static const char *const bad[] = {"../../x", "..",     ".",
                                      "/etc/x",  "a/../b", "x.socket"};
    char path[300];

    (void)p;
    for (size_t i = 0; i < LEN(commands); i++)
        for (size_t k = 0; k < LEN(bad); k++)
            EXPECT_INT(64, ipclab("-n", bad[k], commands[i], NULL));
    EXPECT_INT(2, count_entries(harness_dir())); /* run and data */
    EXPECT_INT(0, count_entries(under("run", path)));
    EXPECT_INT(0, count_entries(under("data", path)));
}

/* Files in the runtime folder that nobody serves by: `clean` doesn't follow
 * them, and ends. */
static void bad_locks(const struct param *p)
{
    static const char *const odd[] = {
        ".fifo.lock",  "..fifo.lock", "a b.fifo.lock",       "x.fifo.lock.lock",
        "x.pipe.lock", "x.fifo",      LONG_NAME "_.shm.lock"};
    struct tp_server *srv = NULL;
    struct tp_opts o = opts();
    char path[300], target[300];

    (void)p;
    REQUIRE_INT(0, mkdir(under("run/ipclab", path), 0700));
    put_file(under("target", target), "precious");
    for (size_t i = 0; i < LEN(odd); i++)
        put_file(in_folder(odd[i], path), "");
    EXPECT_INT(0, ipclab("clean", NULL, NULL, NULL));
    for (size_t i = 0; i < LEN(odd); i++)
        EXPECT_INT(0, unlink(in_folder(odd[i], path)));
    REQUIRE_INT(0, symlink(target, in_folder("x.fifo.lock", path)));
    EXPECT_INT(73, ipclab("clean", NULL, NULL, NULL));
    expect_file(target, "precious");
    REQUIRE_INT(0, unlink(path));
    /* A link to the lock of a server that lives: not that server. */
    REQUIRE_INT(0, tp_srv_open(tp_find("fifo"), &srv, &o));
    EXPECT_INT(0, ipclab("clean", NULL, NULL, NULL));
    REQUIRE_INT(0, symlink("default.fifo.lock", path));
    EXPECT_INT(73, ipclab("clean", NULL, NULL, NULL));
    REQUIRE_INT(0, unlink(path));
    tp_srv_close(srv);
}

/* The data file and all that is made beside it. */
static void data_modes(const struct param *p)
{
    char path[300];
    int files;

    (void)p;
    umask(0);
    EXPECT_INT(0, ipclab("-t", "pipe", "list", NULL));
    check_folder(&files, under("data/ipclab", path));
    EXPECT_INT(2, files); /* the journal and its lock */
}

/* ---- the list -------------------------------------------------------------------- */

static const struct check checks[] = {
    {"modes", modes, 0, NULL},
    {"stranger", stranger, 0, NULL},
    {"client-credentials", client_credentials, 0, "socket"},
    {"folders", folders, 0, NULL},
    {"swapped-for-client", swapped_for_client, 0, NULL},
    {"swapped-for-server", swapped_for_server, 0, NULL},
    {"links", links, 0, NULL},
    {"squatter", squatter, 0, "mqueue"},
    {"squatter", squatter, 0, "shm"},
    {"stolen-requests", stolen_requests, 0, "mqueue"},
    {"stolen-requests", stolen_requests, 0, "shm"},
    {"stolen-replies", stolen_replies, 0, "mqueue"},
    {"server-credentials", server_credentials, 0, "socket"},
    {"long-path", long_path, 0, NULL},
    {"no-proc", no_proc, 0, "socket"},
    {"sticky-tmp", sticky_tmp, 0, NULL},
    {0},
};

static const struct check program_checks[] = {
    {"ipclab/bad-names", bad_names, 0, NULL},
    {"ipclab/bad-locks", bad_locks, 0, NULL},
    {"ipclab/data-modes", data_modes, 0, NULL},
    {0},
};

int main(int argc, char **argv)
{
    struct test_suite suite = {.name = "access"};

    for (size_t t = 0; tp_all[t]; t++)
        if (tp_all[t]->caps & TP_NAMED) /* a pipe has no name to guard */
            add_once(&suite, run_check, tp_all[t], checks);
    add_once(&suite, run_check, NULL, program_checks);
    return harness_main(argc, argv, &suite);
}
