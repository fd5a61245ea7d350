/*
 * cmd.h - what the commands of `ipclab` share
 *
 *      ipclab.c       options, help, the table of commands
 *      cmd.c          messages and exit codes; servers that run; a connection
 *      cmd_serve.c    transports serve ping stats clean
 *      cmd_events.c   add get update remove list conflicts week import export
 *      cmd_check.c    check repair
 *      cmd_web.c      web
 *      demo.c         demo
 *
 * Results go to stdout, talk to stderr. A command returns its exit code and
 * has said why when that isn't 0.
 */
#ifndef IPCLAB_CMD_H
#define IPCLAB_CMD_H

#include "client.h"
#include "transport.h"

#include <sys/types.h>

#define CMD_PATH_MAX 4096 /* bytes of a file's path, with the NUL */
#define CMD_WHY_MAX  400  /* bytes of a reason that we are given */

/* Exit codes; those from 64 on are the ones of sysexits.h. */
enum cmd_code {
    CMD_OK = 0,
    CMD_NO = 1,         /* no such event, or it has changed */
    CMD_USAGE = 64,     /* the command line is wrong */
    CMD_DATA = 65,      /* a title, a time or a file is wrong */
    CMD_NO_SERVER = 69, /* nobody serves */
    CMD_CREATE = 73,    /* something can't be made, or may not be */
    CMD_IO = 74,        /* reading or writing failed */
    CMD_NO_ANSWER = 75, /* no answer in time, full, or in use: try again */
    CMD_PROTOCOL = 76   /* the other side sent nonsense */
};

/* The command line, taken apart. NULL or 0 = not given. */
struct cli {
    const struct transport *transport; /* the one that -t names */
    unsigned listed; /* -t of serve and clean: bit i = tp_all[i]; 0 = all */
    const char *instance; /* never NULL */
    bool named;           /* -n was given */
    enum tp_wait wait;
    int timeout_ms;
    const char *data;
    const char *from, *to, *title, *start, *end;
    const char *output;
    uint64_t token, rev;
    unsigned long count;
    unsigned port; /* web: 0 = any free one */
    bool json, again, fast, no_sync, ics;
    char **operand;
    int operands;
};

/* ---- messages and exit codes -------------------------------------------- */

/* Says "ipclab: ..." on stderr; returns `code`. */
int cmd_error(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Says "ipclab: WHAT: ENAME why" and returns err's exit code. err is -errno;
 * why may be NULL or empty: then it is the system's sentence. */
int cmd_fail(int err, const char *why, const char *what, ...)
    __attribute__((format(printf, 3, 4)));

/* "ECONNREFUSED" for -ECONNREFUSED; "?" for an unknown one. */
const char *cmd_errno_name(int err);

#define CMD_QUOTED_MAX (4 * CMD_PATH_MAX) /* more than a path needs */

/* A file's name as it can be typed: what the shell would take apart is quoted,
 * and it never looks like an option. Returns buf. */
const char *cmd_quoted(const char *path, char buf[CMD_QUOTED_MAX]);

#define CMD_LAB_MAX (CMD_QUOTED_MAX + TP_NAME_MAX + 20)

/* What is typed before a command's name to mean this very lab: "ipclab -n NAME
 * --data FILE", of which both are left out where they weren't given. Returns
 * buf. */
const char *cmd_lab(const struct cli *cli, char buf[CMD_LAB_MAX]);

/* ---- options ------------------------------------------------------------ */

/* The data file's path into path[CMD_PATH_MAX]; the folders above the default
 * one are made. 0, or an exit code. */
int cmd_data_path(const struct cli *cli, char *path);

/* A whole number 1..max in decimal digits only: 0, -EINVAL, or -ERANGE when it
 * is too large. */
int cmd_number(const char *text, uint64_t max, uint64_t *v);

/* The same of what the user calls `what` ("--count"); says what is wrong. 0, or
 * an exit code. */
int cmd_need_number(const char *what, const char *text, uint64_t max,
                    uint64_t *v);

/* ---- signals ------------------------------------------------------------ */

/* SIGTERM, SIGINT and SIGHUP call `handler`, and blocking calls end. What the
 * caller has us ignore (nohup) stays ignored. */
void cmd_on_stop(void (*handler)(int));

/* ---- servers that run --------------------------------------------------- */

#define CMD_LIST_MAX 256 /* bytes of a list of names; cut off beyond */

/* "INSTANCE.TRANSPORT.lock" taken apart: the transport's place in tp_all, or
 * -1 when it isn't one of those. */
int cmd_lock_owner(const char *file, char instance[TP_NAME_MAX + 1]);

/* The pid of the ready server of an instance over `t`; 0 = there is none. */
long cmd_server_over(const char *instance, const struct transport *t);

/* The same over any but `but` (may be NULL), and all over which there is one:
 * "fifo, shm". */
long cmd_find_server(const char *instance, const struct transport *but,
                     char list[CMD_LIST_MAX]);

/* --data beside a server that runs: does this one, which is served over `t`,
 * have that file? 0, or an exit code. */
int cmd_check_data(const struct cli *cli, const struct transport *t);

/* ---- a connection to the store ------------------------------------------ */

struct session {
    const struct cli *cli;
    struct client client;
    pid_t server; /* that we forked; 0 = none */
};

/* Connect as the command line says; a transport without names gets a server
 * forked for it. 0, or an exit code: then there is nothing to close. Called
 * before any thread is made. */
int session_open(struct session *s, const struct cli *cli);

/* Leave, and wait for a forked server to end. */
void session_close(struct session *s);

/* A client call's result to an exit code; says what went wrong. `what` is
 * what was tried: "add 'x'". */
int session_result(const struct session *s, int result, const char *what, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- serving (cmd_serve.c) ---------------------------------------------- */

/* Every named transport too, or only the inherited one? */
enum serve_also { SERVE_ALONE, SERVE_NAMED };

/*
 * Fork a server for a transport that is inherited; it ends when its clients
 * do, or with SERVE_NAMED when its parent does or on SIGTERM. Returns when it
 * is ready: its pid, or 0 with *code when it couldn't start, having said why.
 * `inherited` remains the caller's to drop or to connect to.
 */
pid_t serve_fork(const struct cli *cli, struct tp_server *inherited,
                 enum serve_also also, int *code);

/* Time n round trips into ns[], sorted; what client_ping gave. */
int cmd_ping_times(struct client *c, uint64_t *ns, size_t n);

/* The nearest-rank percentile of n > 0 sorted numbers. */
uint64_t cmd_percentile(const uint64_t *sorted, size_t n, unsigned percent);

/* ---- a tour's folder (cmd_serve.c) -------------------------------------- */

#define TOUR_DIR_MAX 80 /* bytes of its path, with the NUL */
#define TOUR_DATA    "demo.jsonl"

/*
 * A tour (demo) has a folder of its own, $TMPDIR/ipclab-demo-XXXXXX, with its
 * data file and its runtime folder. The folder is locked, by flock(2), as long
 * as the tour or a server forked from it lives. So `clean` and the next tour
 * find out what one that was killed has left.
 */

/* Make one: the lock's descriptor, the caller's to keep open; or -errno. */
int tour_make(char dir[TOUR_DIR_MAX]);

/* Remove one, with the names, queues and segments of its dead servers; to be
 * called with its lock held. Makes $XDG_RUNTIME_DIR that folder. 0, or an exit
 * code and why. */
int tour_remove(const char *dir);

/* Remove those of dead tours; *found counts all that there are. The same of
 * $XDG_RUNTIME_DIR. 0, or an exit code and why. */
int tours_clean(bool quiet, int *found);

/* ---- events (cmd_events.c) ---------------------------------------------- */

/* Draw a week of the timetable as the terminal allows. 0, or an exit code. */
int week_show(struct session *s, int64_t monday);

/* ---- the commands ------------------------------------------------------- */

int cmd_transports(const struct cli *cli);
int cmd_serve(const struct cli *cli);
int cmd_ping(const struct cli *cli);
int cmd_stats(const struct cli *cli);
int cmd_clean(const struct cli *cli);
int cmd_add(const struct cli *cli);
int cmd_get(const struct cli *cli);
int cmd_update(const struct cli *cli);
int cmd_remove(const struct cli *cli);
int cmd_list(const struct cli *cli);
int cmd_conflicts(const struct cli *cli);
int cmd_week(const struct cli *cli);
int cmd_import(const struct cli *cli);
int cmd_export(const struct cli *cli);
int cmd_check(const struct cli *cli);
int cmd_repair(const struct cli *cli);
int cmd_web(const struct cli *cli);
int cmd_demo(const struct cli *cli);

#endif
