/*
 * gnuplot.c - see gnuplot.h
 *
 *      ipcbench                      gnuplot
 *         script  ----- pipe ----->  stdin
 *         drawing <---- pipe ------  stdout
 *         why     <---- pipe ------  stderr
 *
 * All three at once, with poll(2): who writes the whole script first and reads
 * then may wait for ever. gnuplot would stop at a full stdout, read no more of
 * its stdin, and the script's pipe would fill up too: both sides wait.
 *
 * The calls: pipe, fork, execv, poll, kill of a process group (gnuplot may be
 * somebody's shell script, and start more), waitid with WNOWAIT (a group can
 * be killed safely only while its leader's number can't be given away), prctl
 * PR_SET_PDEATHSIG (if ipcbench is killed, gnuplot goes too).
 *
 * Left out on purpose: popen and system. They need a shell, give one direction
 * only, and no deadline.
 */
#include "gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUT_MAX (4 * 1024 * 1024) /* bytes: a picture has 20,000 */
#define LOOK_MS 50                /* between two looks for Ctrl-C */

enum { IN, OUT, ERR, PIPES };

struct talk {
    pid_t pid;
    int fd[PIPES];      /* our ends; -1 = closed */
    const char *script; /* what is left of it */
    size_t left;
    FILE *drawing; /* into *out */
    size_t drawn;
    char said[1000]; /* by stderr; the rest is dropped */
    size_t said_len;
    int64_t until; /* ms on CLOCK_MONOTONIC */
};

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* can't fail on Linux */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- finding it --------------------------------------------------------- */

/* As execvp does, but for empty and relative entries of PATH: those would run
 * whatever lies in the current folder. */
static bool find_gnuplot(char path[PATH_MAX])
{
    const char *at = getenv("PATH");

    while (at && *at) {
        int len = (int)strcspn(at, ":");
        int n = snprintf(path, PATH_MAX, "%.*s/gnuplot", len, at);

        if (*at == '/' && n < PATH_MAX && access(path, X_OK) == 0)
            return true;
        at += len;
        at += *at == ':';
    }
    return false;
}

bool gnuplot_there(void)
{
    char path[PATH_MAX];

    return find_gnuplot(path);
}

/* ---- starting it -------------------------------------------------------- */

static void shut(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* a pipe: nothing can be lost */
    *fd = -1;
}

static void shut_all(int fd[PIPES])
{
    for (int i = 0; i < PIPES; i++)
        shut(&fd[i]);
}

/* A pipe whose ends aren't 0, 1 or 2, even where these were closed, so that
 * the child can put them there one after the other; and which exec closes. */
static int make_pipe(int *reader, int *writer)
{
    int low[2], err = 0;

    if (pipe(low) < 0)
        return -errno;
    *reader = fcntl(low[0], F_DUPFD_CLOEXEC, 3);
    *writer = fcntl(low[1], F_DUPFD_CLOEXEC, 3);
    if (*reader < 0 || *writer < 0) {
        err = -errno;
        shut(reader);
        shut(writer);
    }
    (void)close(low[0]);
    (void)close(low[1]);
    return err;
}

static int make_pipes(int ours[PIPES], int its[PIPES])
{
    int err = make_pipe(&its[IN], &ours[IN]);

    if (!err)
        err = make_pipe(&ours[OUT], &its[OUT]);
    if (!err)
        err = make_pipe(&ours[ERR], &its[ERR]);
    for (int i = 0; i < PIPES && !err; i++)
        if (fcntl(ours[i], F_SETFL, O_NONBLOCK) < 0)
            err = -errno;
    return err;
}

/* In the child. ipcbench holds signals back while it measures; gnuplot must be
 * as easy to end as any other program. */
static void be_gnuplot(const char *path, const int its[PIPES], pid_t parent)
{
    /* -d: the drawing shouldn't depend on anybody's ~/.gnuplot. */
    char name[] = "gnuplot", defaults[] = "-d";
    char *argv[] = {name, defaults, NULL};
    sigset_t none;

    (void)setpgid(0, 0); /* can't fail: a child just forked */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); /* it died before prctl */
    for (int i = 0; i < PIPES; i++)
        if (dup2(its[i], i) < 0)
            _exit(1);
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execv(path, argv);
    _exit(127); /* not executable after all */
}

static int start(struct talk *t, const char *path)
{
    int its[PIPES] = {-1, -1, -1};
    int err = make_pipes(t->fd, its);
    pid_t parent = getpid();

    if (!err) {
        t->pid = fork();
        if (t->pid == 0)
            be_gnuplot(path, its, parent);
        if (t->pid < 0)
            err = -errno;
        else
            /* Here too: who of us is first doesn't matter then. Fails when
             * the child is first and has begun gnuplot. */
            (void)setpgid(t->pid, t->pid);
    }
    shut_all(its);
    return err;
}

/* ---- talking to it ------------------------------------------------------ */

/* Some of the script. EPIPE: it ended early; its status will say why. */
static void give(struct talk *t)
{
    ssize_t n = write(t->fd[IN], t->script, t->left);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        t->script += n;
        t->left -= (size_t)n;
    }
    if (n < 0 || t->left == 0)
        shut(&t->fd[IN]); /* end of the script */
}

static int take(struct talk *t, int from)
{
    char buf[8192];
    ssize_t n = read(t->fd[from], buf, sizeof buf);
    size_t len, room = sizeof t->said - 1 - t->said_len;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        shut(&t->fd[from]);
        return 0;
    }
    len = (size_t)n;
    if (from == OUT) {
        t->drawn += len;
        if (t->drawn > OUT_MAX)
            return -EFBIG;
        return fwrite(buf, 1, len, t->drawing) == len ? 0 : -ENOMEM;
    }
    len = len < room ? len : room;
    memcpy(t->said + t->said_len, buf, len);
    t->said_len += len;
    return 0;
}

/* Somebody wants ipcbench to end. Only looked at: who blocked the signal takes
 * it. */
static bool interrupted(void)
{
    sigset_t set;

    return sigpending(&set) == 0 &&
           (sigismember(&set, SIGINT) == 1 || sigismember(&set, SIGTERM) == 1 ||
            sigismember(&set, SIGHUP) == 1);
}

/* The time until the next look: 0 when it is over. */
static int time_left(const struct talk *t)
{
    int64_t left = t->until - now_ms();

    return left <= 0 ? 0 : left < LOOK_MS ? (int)left : LOOK_MS;
}

/* Until it has closed stdout and stderr. */
static int converse(struct talk *t)
{
    int err = 0;

    while (!err && (t->fd[OUT] >= 0 || t->fd[ERR] >= 0)) {
        struct pollfd p[PIPES] = {{.fd = t->fd[IN], .events = POLLOUT},
                                  {.fd = t->fd[OUT], .events = POLLIN},
                                  {.fd = t->fd[ERR], .events = POLLIN}};
        int ms = time_left(t), n;

        if (ms == 0)
            return -ETIMEDOUT;
        if (interrupted())
            return -EINTR;
        n = poll(p, PIPES, ms); /* passes over an fd of -1 */
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0 && p[IN].revents)
            give(t);
        for (int i = OUT; i < PIPES && n > 0 && !err; i++)
            if (p[i].revents)
                err = take(t, i);
    }
    return err;
}

/* ---- ending it ---------------------------------------------------------- */

/* It has said all; it should end now by itself. */
static int await_end(const struct talk *t)
{
    siginfo_t info = {0};

    for (;;) {
        int ms = time_left(t);

        /* Not our child any more: SIGCHLD is ignored, and it has ended. */
        if (waitid(P_PID, (id_t)t->pid, &info, WEXITED | WNOHANG | WNOWAIT) <
                0 ||
            info.si_pid == t->pid)
            return 0;
        if (ms == 0)
            return -ETIMEDOUT;
        if (interrupted())
            return -EINTR;
        (void)poll(NULL, 0, ms < 2 ? ms : 2); /* a short sleep */
    }
}

/* Kill what is left of the group while its leader, dead or alive, keeps its
 * number; then take the leader's status. */
static int end(struct talk *t)
{
    int status = 0;

    (void)kill(-t->pid, SIGKILL);
    while (waitpid(t->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* Its last line that says something, for people. */
static const char *last_words(char said[], size_t len)
{
    char *line;

    for (;;) {
        while (len && (unsigned char)said[len - 1] <= ' ')
            len--;
        said[len] = '\0';
        line = strrchr(said, '\n');
        line = line ? line + 1 : said;
        line += strspn(line, " \t");
        if (*line != '^' || line == said)
            return line;
        len = (size_t)(line - said); /* only points at the line above */
    }
}

static int verdict(struct talk *t, int err, int status,
                   char why[GNUPLOT_WHY_MAX])
{
    const char *words = last_words(t->said, t->said_len);

    if (!err && status == 0)
        return 0;
    if (err == -ETIMEDOUT)
        (void)snprintf(why, GNUPLOT_WHY_MAX, "gnuplot took too long");
    else if (err == -EINTR)
        (void)snprintf(why, GNUPLOT_WHY_MAX, "interrupted");
    else if (err == -EFBIG)
        (void)snprintf(why, GNUPLOT_WHY_MAX, "gnuplot wrote too much");
    else if (err)
        (void)snprintf(why, GNUPLOT_WHY_MAX, "gnuplot: %s", strerror(-err));
    else if (*words)
        (void)snprintf(why, GNUPLOT_WHY_MAX, "gnuplot: %.180s", words);
    else if (WIFSIGNALED(status))
        (void)snprintf(why, GNUPLOT_WHY_MAX, "gnuplot died by signal %d",
                       WTERMSIG(status));
    else
        (void)snprintf(why, GNUPLOT_WHY_MAX, "gnuplot ended with status %d",
                       WEXITSTATUS(status));
    return err ? err : -ECHILD;
}

/* A write to a gnuplot that has ended would kill us (pipe(7)). */
static int run(struct talk *t, const char *path, char why[GNUPLOT_WHY_MAX])
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    int status = 0, err;

    (void)sigaction(SIGPIPE, &ignore, &old);
    err = start(t, path);
    if (t->pid > 0) {
        err = converse(t);
        shut_all(t->fd);
        if (!err)
            err = await_end(t);
        status = end(t);
    }
    shut_all(t->fd);
    (void)sigaction(SIGPIPE, &old, NULL);
    return verdict(t, err, status, why);
}

int gnuplot_run(char **out, size_t *len, const char *script, int ms,
                char why[GNUPLOT_WHY_MAX])
{
    struct talk t = {.fd = {-1, -1, -1},
                     .script = script,
                     .left = strlen(script),
                     .until = now_ms() + ms};
    char path[PATH_MAX];
    int err;

    *out = NULL;
    *len = 0;
    if (!find_gnuplot(path)) {
        (void)snprintf(why, GNUPLOT_WHY_MAX, "there is no gnuplot");
        return -ENOENT;
    }
    t.drawing = open_memstream(out, len);
    if (!t.drawing) {
        (void)snprintf(why, GNUPLOT_WHY_MAX, "no memory");
        return -ENOMEM;
    }
    err = run(&t, path, why);
    if (fclose(t.drawing) != 0 && !err) {
        (void)snprintf(why, GNUPLOT_WHY_MAX, "no memory");
        err = -ENOMEM;
    }
    if (err) {
        free(*out);
        *out = NULL;
        *len = 0;
    }
    return err;
}
