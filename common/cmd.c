/*
 * cmd.c - messages and exit codes; a connection to the store
 *
 * It needs _GNU_SOURCE for strerrorname_np: messages name the errno, which is
 * what a reader can look up in a manual page.
 */
#define _GNU_SOURCE
#include "cmd.h"

#include "slots.h"

#include <errno.h>
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

/* ---- options ------------------------------------------------------------ */

bool cmd_number(const char *text, uint64_t min, uint64_t max, uint64_t *v)
{
    char *end;

    if (*text < '0' || *text > '9') /* strtoull takes a sign and spaces */
        return false;
    errno = 0;
    *v = strtoull(text, &end, 10);
    return !*end && errno == 0 && *v >= min && *v <= max;
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

/* ---- a connection to the store ------------------------------------------ */

/* The other transports over which this instance has a ready server, as
 * " mqueue shm": its pid, or 0 when there is none. */
static long find_server(const struct cli *cli, char *list, size_t cap)
{
    int dir = rundir_open(&(struct tp_opts){0}, false);
    char file[SLOTS_FILE_MAX];
    long pid = 0;

    list[0] = '\0';
    for (int i = 0; dir >= 0 && tp_all[i]; i++) {
        struct slots_info info = {0};
        size_t len = strlen(list);

        snprintf(file, sizeof file, "%s.%s.lock", cli->instance,
                 tp_all[i]->name);
        if (tp_all[i] == cli->transport || slots_look(dir, file, &info) != 1 ||
            info.pid == 0)
            continue;
        pid = info.pid;
        snprintf(list + len, cap - len, " %s", tp_all[i]->name);
    }
    if (dir >= 0)
        close(dir);
    return pid;
}

/* What to do about it, where we know better than the errno's sentence. */
static int open_failed(const struct cli *cli, int err, const char *why)
{
    const char *t = cli->transport->name;
    bool plain = !strcmp(cli->instance, "default");
    char list[CMD_WHY_MAX];
    long pid;

    if (err == -ENOENT && (pid = find_server(cli, list, sizeof list)))
        return cmd_error(CMD_NO_SERVER,
                         "cannot open %s '%s': ENOENT its server, pid %ld, "
                         "serves over other transports:%s",
                         t, cli->instance, pid, list);
    if (err == -ENOENT)
        return cmd_error(CMD_NO_SERVER,
                         "cannot open %s '%s': ENOENT nobody serves here; "
                         "start it with: ipclab%s%s serve",
                         t, cli->instance, plain ? "" : " -n ",
                         plain ? "" : cli->instance);
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
    int err;

    *s = (struct session){.cli = cli};
    if (!(cli->transport->caps & TP_NAMED)) {
        int code = fork_server(s, &opts);

        if (code)
            return code;
    }
    err = client_open(&s->client, cli->transport, &opts, cli->timeout_ms);
    if (err < 0) {
        session_close(s);
        return open_failed(cli, err, why);
    }
    return 0;
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
    case -EPIPE: return "the server left, or dropped us, before it answered";
    case -EPROTO: return "what came back isn't a reply";
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
