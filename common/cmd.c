/*
 * cmd.c - messages and exit codes; servers that run; a connection to the store
 *
 * It needs _GNU_SOURCE for strerrorname_np: messages name the errno, which is
 * what a reader can look up in a manual page.
 */
#define _GNU_SOURCE
#include "cmd.h"

#include "journal_lock.h"
#include "slots.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- messages and exit codes -------------------------------------------- */

int cmd_error(int code, const char *format, ...)
{
    va_list ap;

    fflush(stdout); /* so that both appear in order on one terminal */
    fputs("ipclab: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    putc('\n', stderr);
    return code;
}

const char *cmd_errno_name(int err)
{
    const char *name = strerrorname_np(-err);

    return name ? name : "?";
}

/* err: -errno of a transport, the store or a file. */
static int errno_code(int err)
{
    switch (-err) {
    case 0: return CMD_OK;
    case EINVAL: return CMD_USAGE;
    case EBADMSG: return CMD_DATA;
    case ENOENT:
    case ENOSYS: return CMD_NO_SERVER;
    case EADDRINUSE:
    case EEXIST:
    case EACCES:
    case EPERM:
    case ENOSPC:
    case EDQUOT:
    case ENOBUFS:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENAMETOOLONG:
    case EISDIR:
    case ENOTDIR:
    case ELOOP:
    case EROFS: return CMD_CREATE;
    case ETIMEDOUT:
    case EBUSY:
    case EPIPE:
    case EAGAIN: return CMD_NO_ANSWER;
    case EPROTO:
    case EMSGSIZE: return CMD_PROTOCOL;
    default: return CMD_IO;
    }
}

/* status: enum wire_status. */
static int status_code(int status)
{
    switch (status) {
    case WIRE_OK: return CMD_OK;
    case WIRE_NOT_FOUND:
    case WIRE_CHANGED: return CMD_NO;
    case WIRE_BAD_TITLE:
    case WIRE_BAD_TIME:
    case WIRE_BAD_TOKEN: return CMD_DATA;
    case WIRE_NO_SPACE: return CMD_CREATE;
    case WIRE_READ_ONLY: return CMD_IO;
    default: return CMD_PROTOCOL;
    }
}

int cmd_fail(int err, const char *why, const char *what, ...)
{
    char text[CMD_PATH_MAX];
    va_list ap;

    va_start(ap, what);
    vsnprintf(text, sizeof text, what, ap);
    va_end(ap);
    return cmd_error(errno_code(err), "%s: %s %s", text, cmd_errno_name(err),
                     why && *why ? why : strerror(-err));
}

const char *cmd_quoted(const char *path, char buf[CMD_QUOTED_MAX])
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789_-./+,:@";
    const char *front = *path == '-' ? "./" : "";
    size_t n;

    if (*path && !path[strspn(path, plain)]) {
        snprintf(buf, CMD_QUOTED_MAX, "%s%s", front, path);
        return buf;
    }
    n = (size_t)snprintf(buf, CMD_QUOTED_MAX, "%s'", front);
    for (; *path && n + 6 < CMD_QUOTED_MAX; path++) {
        /* Nothing can be escaped within quotes: out of them, and in again. */
        if (*path == '\'')
            n += (size_t)snprintf(buf + n, CMD_QUOTED_MAX - n, "'\\'");
        buf[n++] = *path;
    }
    snprintf(buf + n, CMD_QUOTED_MAX - n, "'");
    return buf;
}

const char *cmd_lab(const struct cli *cli, char buf[CMD_LAB_MAX])
{
    bool plain = !strcmp(cli->instance, "default");
    char data[CMD_QUOTED_MAX] = "";

    if (cli->data)
        cmd_quoted(cli->data, data);
    snprintf(buf, CMD_LAB_MAX, "ipclab%s%s%s%s", plain ? "" : " -n ",
             plain ? "" : cli->instance, cli->data ? " --data " : "", data);
    return buf;
}

/* ---- options ------------------------------------------------------------ */

int cmd_number(const char *text, uint64_t max, uint64_t *v)
{
    char *end;

    if (*text < '0' || *text > '9') /* strtoull takes a sign and spaces */
        return -EINVAL;
    errno = 0;
    *v = strtoull(text, &end, 10);
    if (*end || *v == 0)
        return -EINVAL;
    return errno || *v > max ? -ERANGE : 0;
}

int cmd_need_number(const char *what, const char *text, uint64_t max,
                    uint64_t *v)
{
    int err = cmd_number(text, max, v);

    if (err == -ERANGE)
        return cmd_error(CMD_USAGE, "%s '%s': too large; at most %" PRIu64,
                         what, text, max);
    return err ? cmd_error(CMD_USAGE,
                           "%s '%s': not a whole number from 1 to %" PRIu64,
                           what, text, max)
               : 0;
}

/* Make every folder that is missing above the file. */
static int make_folders(char *path)
{
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST) {
            int code =
                cmd_fail(-errno, NULL, "cannot make the folder '%s'", path);

            return code == CMD_NO_SERVER ? CMD_CREATE : code;
        }
        *slash = '/';
    }
    return 0;
}

/* To open it would leave a lock file beside what isn't ours. */
static int check_regular(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
        return 0;
    return cmd_error(CMD_CREATE,
                     "cannot open the data file '%s': it isn't a regular file",
                     path);
}

int cmd_data_path(const struct cli *cli, char *path)
{
    const char *base = getenv("XDG_DATA_HOME"), *under = "";
    int n, code = 0;

    if (cli->data) {
        n = snprintf(path, CMD_PATH_MAX, "%s", cli->data);
    } else {
        if (!base || *base != '/') { /* the standard ignores relative ones */
            base = getenv("HOME");
            under = "/.local/share";
        }
        if (!base || *base != '/')
            return cmd_error(CMD_USAGE, "HOME isn't set: say where the data "
                                        "file is, with --data FILE");
        n = snprintf(path, CMD_PATH_MAX, "%s%s/ipclab/%s.jsonl", base, under,
                     cli->instance);
    }
    if (n >= CMD_PATH_MAX)
        return cmd_error(CMD_USAGE, "the data file's path is too long");
    if (!cli->data)
        code = make_folders(path);
    return code ? code : check_regular(path);
}

/* ---- signals ------------------------------------------------------------ */

void cmd_on_stop(void (*handler)(int))
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = handler}, before;

    sigemptyset(&action.sa_mask); /* no SA_RESTART */
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (sigaction(signals[i], NULL, &before) == 0 &&
            before.sa_handler != SIG_IGN)
            (void)sigaction(signals[i], &action, NULL); /* can't fail */
}

/* ---- servers that run --------------------------------------------------- */

int cmd_lock_owner(const char *file, char instance[TP_NAME_MAX + 1])
{
    const char *dot = strchr(file, '.');
    size_t len = dot ? (size_t)(dot - file) : 0;

    if (len == 0 || len > TP_NAME_MAX)
        return -1;
    memcpy(instance, file, len);
    instance[len] = '\0';
    for (int i = 0; tp_all[i]; i++) {
        size_t n = strlen(tp_all[i]->name);

        if (!strncmp(dot + 1, tp_all[i]->name, n) &&
            !strcmp(dot + 1 + n, ".lock"))
            return tp_name_ok(instance) ? i : -1;
    }
    return -1;
}

/* The pid of the ready server whose lock this is; 0 = there is none. */
static long ready_server(int dir, const char *file)
{
    struct slots_info info = {0};

    return slots_look(dir, file, &info) == 1 ? info.pid : 0;
}

long cmd_server_over(const char *instance, const struct transport *t)
{
    int dir = rundir_open(&(struct tp_opts){0}, false);
    char file[SLOTS_FILE_MAX];
    long pid;

    if (dir < 0)
        return 0;
    snprintf(file, sizeof file, "%s.%s.lock", instance, t->name);
    pid = ready_server(dir, file);
    close(dir);
    return pid;
}

static void add_to_list(char list[CMD_LIST_MAX], const char *name)
{
    size_t len = strlen(list);

    snprintf(list + len, CMD_LIST_MAX - len, "%s%s", len ? ", " : "", name);
}

long cmd_find_server(const char *instance, const struct transport *but,
                     char list[CMD_LIST_MAX])
{
    long found = 0;

    list[0] = '\0';
    for (int i = 0; tp_all[i]; i++) {
        long pid = tp_all[i] == but ? 0 : cmd_server_over(instance, tp_all[i]);

        if (pid == 0)
            continue;
        found = pid;
        add_to_list(list, tp_all[i]->name);
    }
    return found;
}

/* The names of all instances that have a ready server: "default, two". */
static void list_instances(char list[CMD_LIST_MAX])
{
    int dir = rundir_open(&(struct tp_opts){0}, false), n = 0;
    char path[RUNDIR_PATH_MAX], last[TP_NAME_MAX + 1] = "";
    struct dirent **files = NULL;

    list[0] = '\0';
    if (dir >= 0 && rundir_path(path) == 0)
        n = scandir(path, &files, NULL, alphasort);
    for (int i = 0; i < n; i++) { /* those of one instance together */
        const char *file = files[i]->d_name;
        char instance[TP_NAME_MAX + 1];

        if (cmd_lock_owner(file, instance) >= 0 &&
            strcmp(instance, last) != 0 && ready_server(dir, file)) {
            add_to_list(list, instance);
            memcpy(last, instance, sizeof last);
        }
        free(files[i]);
    }
    free(files);
    if (dir >= 0)
        close(dir);
}

/* The data file of a process into path[]; false: we can't see it. Of all that
 * it has open, it is the file whose lock says so. */
static bool data_of(long pid, char path[CMD_PATH_MAX])
{
    char folder[64];
    bool found = false;
    struct dirent *e;
    DIR *d;

    snprintf(folder, sizeof folder, "/proc/%ld/fd", pid);
    d = opendir(folder);
    while (d && !found && (e = readdir(d))) {
        ssize_t n = readlinkat(dirfd(d), e->d_name, path, CMD_PATH_MAX - 1);

        path[n > 0 ? n : 0] = '\0';
        found = *path == '/' && journal_lock_holder(path) == pid;
    }
    if (d)
        closedir(d);
    return found;
}

int cmd_check_data(const struct cli *cli, const struct transport *t)
{
    long pid = cli->data ? cmd_server_over(cli->instance, t) : 0;
    long holder = pid ? journal_lock_holder(cli->data) : 0;
    char path[CMD_PATH_MAX];

    if (holder == pid || holder < 0) /* unknown: let it pass */
        return 0;
    if (!data_of(pid, path))
        return cmd_error(CMD_USAGE,
                         "--data '%s': the server of '%s', pid %ld, has "
                         "another data file; leave out --data, or choose "
                         "another server with -n",
                         cli->data, cli->instance, pid);
    return cmd_error(CMD_USAGE,
                     "--data '%s': the server of '%s', pid %ld, has the data "
                     "file '%s'; leave out --data, or choose another server "
                     "with -n",
                     cli->data, cli->instance, pid, path);
}

/* ---- a connection to the store ------------------------------------------ */

/* Is there a server over other transports? Are there others with other names?
 * And how to start one. */
static int nobody_serves(const struct cli *cli)
{
    const char *t = cli->transport->name, *n = cli->instance;
    char list[CMD_LIST_MAX], lab[CMD_LAB_MAX];
    long pid = cmd_find_server(n, cli->transport, list);

    if (pid)
        return cmd_error(CMD_NO_SERVER,
                         "cannot open %s '%s': ENOENT the server of '%s', pid "
                         "%ld, doesn't serve over %s; use -t with one of: %s",
                         t, n, n, pid, t, list);
    list_instances(list);
    return cmd_error(CMD_NO_SERVER,
                     "cannot open %s '%s': ENOENT nobody serves here%s%s; "
                     "start it with: %s serve",
                     t, n, *list ? ", but under other names (-n): " : "", list,
                     cmd_lab(cli, lab));
}

/* What to do about it, where we know better than the errno's sentence. */
static int open_failed(const struct cli *cli, int err, const char *why)
{
    const char *t = cli->transport->name;

    if (err == -ENOENT)
        return nobody_serves(cli);
    if (err == -ETIMEDOUT)
        return cmd_error(CMD_NO_ANSWER,
                         "cannot open %s '%s': ETIMEDOUT the server doesn't "
                         "answer within %d ms",
                         t, cli->instance, cli->timeout_ms);
    return cmd_fail(err, why, "cannot open %s '%s'", t, cli->instance);
}

/* A transport without names: we make it, and the server inherits it. */
static int fork_server(struct session *s, struct tp_opts *opts)
{
    const struct cli *cli = s->cli;
    int code, err;

    err = tp_srv_open(cli->transport, &opts->inherited, opts);
    if (err < 0)
        return open_failed(cli, err, opts->why);
    s->server = serve_fork(cli, opts->inherited, SERVE_ALONE, &code);
    if (s->server == 0) {
        tp_srv_drop(opts->inherited);
        return code;
    }
    return 0;
}

int session_open(struct session *s, const struct cli *cli)
{
    char why[CMD_WHY_MAX] = "";
    struct tp_opts opts = {.name = cli->instance,
                           .open_ms = cli->timeout_ms,
                           .wait = cli->wait,
                           .why = why,
                           .why_cap = sizeof why};
    int err, code;

    *s = (struct session){.cli = cli};
    if (!(cli->transport->caps & TP_NAMED)) {
        code = fork_server(s, &opts);
        if (code)
            return code;
    }
    err = client_open(&s->client, cli->transport, &opts, cli->timeout_ms);
    code = err < 0 ? open_failed(cli, err, why) : 0;
    if (!code && s->server == 0)
        code = cmd_check_data(cli, cli->transport);
    if (code)
        session_close(s);
    return code;
}

void session_close(struct session *s)
{
    client_close(&s->client);
    while (s->server > 0 && waitpid(s->server, NULL, 0) < 0 && errno == EINTR)
        ;
    s->server = 0;
}

/* What a failed call means, in words. */
static const char *call_fault(const struct session *s, int result, char *buf,
                              size_t cap)
{
    switch (result) {
    case -ETIMEDOUT:
        snprintf(buf, cap, "no answer over %s within %d ms",
                 s->cli->transport->name, s->cli->timeout_ms);
        return buf;
    case -EPIPE:
        return "the server ended, or closed this connection, before it "
               "answered";
    case -EPROTO: return "what came back isn't a valid answer";
    default: return strerror(-result);
    }
}

int session_result(const struct session *s, int result, const char *what, ...)
{
    char text[CMD_PATH_MAX], why[CMD_WHY_MAX];
    va_list ap;

    va_start(ap, what);
    vsnprintf(text, sizeof text, what, ap);
    va_end(ap);
    if (result < 0)
        return cmd_error(errno_code(result), "cannot %s: %s %s", text,
                         cmd_errno_name(result),
                         call_fault(s, result, why, sizeof why));
    if (result > 0)
        return cmd_error(status_code(result), "cannot %s: %s", text,
                         s->client.refusal[0]
                             ? s->client.refusal
                             : wire_status_text((unsigned)result));
    return CMD_OK;
}
