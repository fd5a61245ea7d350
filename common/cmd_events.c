/*
 * cmd_events.c - add, get, update, remove, list, conflicts, week, import,
 * export
 *
 * A change whose answer gets lost may or may not have been made. So each one
 * carries a token, and the message says how to ask again with the same.
 *
 * It needs _XOPEN_SOURCE for realpath.
 */
#define _XOPEN_SOURCE 700
#include "cmd.h"
#include "exchange.h"
#include "fileio.h"
#include "ics.h"
#include "journal_line.h"
#include "localtime.h"
#include "week.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WIDTH_PLAIN 100 /* columns where there is no terminal */

/* ---- arguments ---------------------------------------------------------- */

static int read_id(const char *text, uint32_t *id)
{
    uint64_t v = 0;
    int code = cmd_need_number("event id", text, EVENT_COUNT_MAX, &v);

    if (!code)
        *id = (uint32_t)v;
    return code;
}

static int read_time(const char *text, int64_t *t)
{
    const char *why;

    if (local_parse(text, t, &why) < 0)
        return cmd_error(CMD_DATA, "cannot read the time '%s': %s", text, why);
    return 0;
}

/* Looked at before anything is sent: then the sentence can be exact. */
static int check_event(const struct event *ev)
{
    const char *fault = exchange_title_fault(ev->title);

    if (!fault)
        fault = exchange_times_fault(ev->start, ev->end);
    return fault ? cmd_error(CMD_DATA, "cannot store this event: %s", fault)
                 : 0;
}

/* ---- lists -------------------------------------------------------------- */

/* Events copied out of replies, each with its title. */
struct events {
    struct event *at;
    size_t count, cap;
    bool full; /* no memory */
};

static bool keep_event(const struct event *ev, void *arg)
{
    struct events *list = arg;

    if (list->count == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 64;
        struct event *more = realloc(list->at, cap * sizeof *more);

        if (!more)
            return !(list->full = true);
        list->at = more;
        list->cap = cap;
    }
    list->at[list->count] = *ev;
    list->at[list->count].title = strdup(ev->title);
    if (!list->at[list->count].title)
        return !(list->full = true);
    list->count++;
    return true;
}

static void free_events(struct events *list)
{
    for (size_t i = 0; i < list->count; i++)
        free((char *)list->at[i].title); /* ours, from strdup */
    free(list->at);
    *list = (struct events){0};
}

/* The events of a range, all of them before anything is printed. */
static int fetch(struct session *s, int64_t from, int64_t to,
                 struct events *list)
{
    int code = session_result(
        s, client_list(&s->client, from, to, keep_event, list), "list events");

    if (!code && list->full)
        code = cmd_fail(-ENOMEM, NULL, "cannot list events");
    return code;
}

static void print_events(const struct events *list, bool json)
{
    if (json) {
        exchange_write(stdout, list->at, list->count, true);
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct event *ev = &list->at[i];
        char start[LOCAL_TIME_SIZE], end[LOCAL_TIME_SIZE];

        printf("%5" PRIu32 "  %s  %s  %s\n", ev->id,
               local_format(ev->start, start), local_format(ev->end, end),
               ev->title);
    }
}

static int read_range(const struct cli *cli, int64_t *from, int64_t *to)
{
    const char *why;

    *from = EVENT_TIME_MIN;
    *to = EVENT_TIME_MAX;
    if (cli->from && local_parse_from(cli->from, from, &why) < 0)
        return cmd_error(CMD_DATA, "--from '%s': %s", cli->from, why);
    if (cli->to && local_parse_from(cli->to, to, &why) < 0)
        return cmd_error(CMD_DATA, "--to '%s': %s", cli->to, why);
    if (*from >= *to)
        return cmd_error(CMD_DATA, "--to isn't after --from");
    return 0;
}

int cmd_list(const struct cli *cli)
{
    struct events list = {0};
    struct session s;
    int64_t from, to;
    int code = read_range(cli, &from, &to);

    if (code)
        return code;
    code = session_open(&s, cli);
    if (code)
        return code;
    code = fetch(&s, from, to, &list);
    session_close(&s);
    if (!code)
        print_events(&list, cli->json);
    free_events(&list);
    return code;
}

int cmd_conflicts(const struct cli *cli)
{
    struct events list = {0};
    struct session s;
    uint32_t id = 0;
    int code = read_id(cli->operand[0], &id);

    if (code)
        return code;
    code = session_open(&s, cli);
    if (code)
        return code;
    code =
        session_result(&s, client_conflicts(&s.client, id, keep_event, &list),
                       "look for conflicts of event %" PRIu32, id);
    session_close(&s);
    if (!code && list.full)
        code = cmd_fail(-ENOMEM, NULL, "cannot list events");
    if (!code)
        print_events(&list, cli->json);
    free_events(&list);
    return code;
}

/* ---- week --------------------------------------------------------------- */

/* Boxes are drawn unless the environment names a locale without UTF-8: a bare
 * container names none, and its terminal still shows it. */
static bool terminal_has_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);

        if (value && *value)
            return strstr(value, "UTF-8") || strstr(value, "utf8") ||
                   strstr(value, "UTF8") || strstr(value, "utf-8");
    }
    return true;
}

static struct week_opts week_look(int64_t monday)
{
    const char *columns = getenv("COLUMNS"), *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    bool terminal = isatty(STDOUT_FILENO) == 1;
    struct week_opts o = {.monday = monday, .width = WIDTH_PLAIN};
    struct winsize size;
    uint64_t v;

    o.today = local_split((int64_t)time(NULL)).day;
    if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        o.width = size.ws_col;
    else if (columns && cmd_number(columns, WEEK_WIDTH_MAX, &v) == 0)
        o.width = (int)v;
    o.unicode = terminal && terminal_has_utf8();
    o.colour = terminal && !(no_color && *no_color) &&
               !(term && !strcmp(term, "dumb"));
    return o;
}

static int fetch_week(struct session *s, int64_t monday, struct events *list)
{
    return fetch(s, local_day_start(monday), local_day_start(monday + 7), list);
}

int week_show(struct session *s, int64_t monday)
{
    struct events list = {0};
    int code = fetch_week(s, monday, &list);

    if (!code) {
        struct week_opts look = week_look(monday);
        int err = week_print(stdout, list.at, list.count, &look);

        if (err < 0)
            code = cmd_fail(err, NULL, "cannot draw the week");
    }
    free_events(&list);
    return code;
}

static int week_json(struct session *s, int64_t monday)
{
    struct events list = {0};
    int code = fetch_week(s, monday, &list);

    if (!code)
        print_events(&list, true);
    free_events(&list);
    return code;
}

int cmd_week(const struct cli *cli)
{
    int64_t day = local_split((int64_t)time(NULL)).day;
    const char *why;
    struct session s;
    int code;

    if (cli->operands && local_parse_date(cli->operand[0], &day, &why) < 0)
        return cmd_error(CMD_DATA, "cannot read the date '%s': %s",
                         cli->operand[0], why);
    code = session_open(&s, cli);
    if (code)
        return code;
    day -= local_weekday(day) - 1;
    code = cli->json ? week_json(&s, day) : week_show(&s, day);
    session_close(&s);
    return code;
}

/* ---- one event ---------------------------------------------------------- */

static void print_event(const struct event *ev, bool json)
{
    char start[LOCAL_TIME_SIZE], end[LOCAL_TIME_SIZE];

    if (json) {
        exchange_event(stdout, ev, true);
        putchar('\n');
        return;
    }
    printf("id     %" PRIu32
           "\ntitle  %s\nstart  %s\nend    %s\nrev    %" PRIu64 "\n",
           ev->id, ev->title, local_format(ev->start, start),
           local_format(ev->end, end), ev->rev);
}

/* After a change: when nobody knows whether it was made, how to find out. */
static int change_result(const struct session *s, int result, uint64_t token,
                         const char *what)
{
    int code = session_result(s, result, "%s", what);

    if (result == -ETIMEDOUT || result == -EPIPE || result == -EPROTO)
        cmd_error(0,
                  "nobody knows whether the change was made; to be sure, "
                  "repeat the command with --token %016" PRIx64
                  ": it is made only once",
                  token);
    return code;
}

static uint64_t token_of(const struct cli *cli)
{
    return cli->token ? cli->token : client_token();
}

int cmd_add(const struct cli *cli)
{
    struct event ev = {.title = cli->operand[0]};
    uint64_t token = token_of(cli);
    struct session s;
    uint32_t id = 0;
    int code;

    if ((code = read_time(cli->operand[1], &ev.start)) ||
        (code = read_time(cli->operand[2], &ev.end)) ||
        (code = check_event(&ev)) || (code = session_open(&s, cli)))
        return code;
    code = change_result(&s, client_add(&s.client, token, &ev, &id, NULL),
                         token, "add the event");
    session_close(&s);
    if (!code)
        printf("%" PRIu32 "\n", id);
    return code;
}

/* `verb` is what the user asked for. */
static int get_event(struct session *s, uint32_t id, struct client_event *out,
                     const char *verb)
{
    return session_result(s, client_get(&s->client, id, out),
                          "%s event %" PRIu32, verb, id);
}

int cmd_get(const struct cli *cli)
{
    struct client_event e;
    struct session s;
    uint32_t id = 0;
    int code;

    if ((code = read_id(cli->operand[0], &id)) ||
        (code = session_open(&s, cli)))
        return code;
    code = get_event(&s, id, &e, "get");
    session_close(&s);
    if (!code)
        print_event(&e.event, cli->json);
    return code;
}

/* What isn't given stays as it is; if somebody changes the event between our
 * look and our change, that is noticed by its revision. */
static int update(struct session *s, uint32_t id, struct client_event *e)
{
    const struct cli *cli = s->cli;
    uint64_t token = token_of(cli), rev;
    int code = get_event(s, id, e, "update");

    if (!code && cli->title)
        e->event.title = cli->title;
    if (!code && cli->start)
        code = read_time(cli->start, &e->event.start);
    if (!code && cli->end)
        code = read_time(cli->end, &e->event.end);
    if (!code)
        code = check_event(&e->event);
    if (code)
        return code;
    rev = cli->rev ? cli->rev : e->event.rev;
    return change_result(
        s, client_update(&s->client, token, &e->event, rev, &e->event.rev),
        token, "update the event");
}

int cmd_update(const struct cli *cli)
{
    struct client_event e;
    struct session s;
    uint32_t id = 0;
    int code;

    if (!cli->title && !cli->start && !cli->end)
        return cmd_error(CMD_USAGE,
                         "nothing to change: give --title, --start or --end");
    if ((code = read_id(cli->operand[0], &id)) ||
        (code = session_open(&s, cli)))
        return code;
    code = update(&s, id, &e);
    session_close(&s);
    if (!code)
        print_event(&e.event, cli->json);
    return code;
}

int cmd_remove(const struct cli *cli)
{
    uint64_t token = token_of(cli);
    char what[48];
    struct session s;
    uint32_t id = 0;
    int code;

    if ((code = read_id(cli->operand[0], &id)) ||
        (code = session_open(&s, cli)))
        return code;
    snprintf(what, sizeof what, "remove event %" PRIu32, id);
    code = change_result(
        &s, client_remove(&s.client, token, id, cli->rev, NULL), token, what);
    session_close(&s);
    if (!code)
        printf("%" PRIu32 "\n", id);
    return code;
}

/* ---- import ------------------------------------------------------------- */

/* JSON or a calendar: the text says which. */
static int understand(const struct cli *cli, const char *text, size_t len,
                      struct exchange *x, char why[CMD_WHY_MAX])
{
    struct ics_opts opts = {.now = (int64_t)time(NULL)};
    int code = read_range(cli, &opts.from, &opts.to);

    if (code)
        return code;
    if (ics_is(text, len))
        return ics_parse(x, text, len, &opts, why, CMD_WHY_MAX);
    if (cli->from || cli->to)
        return cmd_error(CMD_USAGE,
                         "--from and --to are only for calendars "
                         "(.ics), and '%s' isn't one",
                         cli->operand[0]);
    return exchange_parse(x, text, len, why, CMD_WHY_MAX);
}

static void print_notes(const char *path, const struct exchange *x)
{
    if (x->note[0])
        cmd_error(0, "note: '%s': %s", path, x->note);
    for (const char *s = x->notes; s && *s; s += strcspn(s, "\n") + 1)
        cmd_error(0, "note: '%s': %.*s", path, (int)strcspn(s, "\n"), s);
}

/* Nothing is sent before the whole file was found good. */
static int read_file(const struct cli *cli, struct exchange *x)
{
    const char *path = cli->operand[0];
    bool standard = !strcmp(path, "-");
    FILE *in = standard ? stdin : fopen(path, "r");
    char why[CMD_WHY_MAX], *text;
    size_t len;
    int err;

    *x = (struct exchange){0};
    if (!in)
        return cmd_error(CMD_IO, "cannot open '%s': %s %s", path,
                         cmd_errno_name(-errno), strerror(errno));
    err = exchange_load(in, &text, &len);
    if (!standard)
        fclose(in);
    if (err == 0)
        err = understand(cli, text, len, x, why);
    free(text);
    if (err == -EBADMSG)
        return cmd_error(CMD_DATA, "cannot import '%s': %s", path, why);
    if (err == -EFBIG)
        return cmd_error(CMD_DATA, "cannot import '%s': longer than %u MiB",
                         path, EXCHANGE_FILE_MAX >> 20);
    if (err < 0)
        return cmd_error(err == -ENOMEM ? CMD_CREATE : CMD_IO,
                         "cannot read '%s': %s %s", path, cmd_errno_name(err),
                         strerror(-err));
    if (err == 0)
        print_notes(path, x);
    return err;
}

/* A token that the store knows gives the first result, whose revision lies
 * behind us: so what is new can be told from what was there. */
static int send_events(struct session *s, const struct exchange *x,
                       size_t *done, size_t *new_ones)
{
    uint64_t before, rev;
    int err = client_ping(&s->client);

    before = s->client.rev;
    for (*done = 0; *done < x->count && err == 0; *done += err == 0) {
        uint64_t token = s->cli->again ? client_token() : x->tokens[*done];

        err = client_add(&s->client, token, &x->events[*done], NULL, &rev);
        *new_ones += err == 0 && rev > before;
    }
    return err;
}

static void print_import(size_t count, size_t new_ones)
{
    printf("%zu event%s imported", new_ones, new_ones == 1 ? "" : "s");
    if (new_ones < count)
        printf(", %zu left alone: imported before (--again adds them anew)",
               count - new_ones);
    putchar('\n');
}

static int import_events(struct session *s, const struct exchange *x)
{
    size_t done = 0, new_ones = 0;
    int code = session_result(s, send_events(s, x, &done, &new_ones),
                              "import event %zu of %zu", done + 1, x->count);

    if (!code)
        print_import(x->count, new_ones);
    else if (s->cli->again)
        cmd_error(0, "%zu events were added, and perhaps event %zu, too", done,
                  done + 1);
    else
        cmd_error(0,
                  "%zu of %zu events are in; repeat the same command for the "
                  "rest: no event comes in twice",
                  done, x->count);
    return code;
}

int cmd_import(const struct cli *cli)
{
    struct exchange x;
    struct session s;
    int code = read_file(cli, &x);

    if (!code)
        code = session_open(&s, cli);
    if (!code) {
        code = import_events(&s, &x);
        session_close(&s);
    }
    exchange_free(&x);
    return code;
}

/* ---- export ------------------------------------------------------------- */

/* Is there a data file of the lab? In its place an export would be the end of
 * a timetable. */
static bool is_data_file(const char *path)
{
    char front[JOURNAL_FRONT];
    int fd = file_open_regular(path);
    ssize_t n = fd < 0 ? 0 : file_read(fd, front, sizeof front);

    if (fd >= 0)
        (void)close(fd); /* only read */
    return n > 0 && journal_line_front(front, (size_t)n);
}

/* Opened beside its place, as `fresh`, to be renamed: the old file isn't lost
 * when the disk is full. What isn't a regular file is written as it is. */
static FILE *open_export(const char *path, char fresh[CMD_PATH_MAX])
{
    struct stat st;
    bool old = stat(path, &st) == 0;
    FILE *f;

    if (old && !S_ISREG(st.st_mode))
        return fopen(path, "w");
    if (old && access(path, W_OK) < 0)
        return NULL;
    if (snprintf(fresh, CMD_PATH_MAX, "%s.exporting", path) >= CMD_PATH_MAX) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    (void)unlink(fresh); /* of an export that was killed */
    f = fopen(fresh, "wx");
    if (f && old)
        (void)fchmod(fileno(f), st.st_mode & 0777); /* our own: can't fail */
    return f;
}

static bool has_suffix(const char *path, const char *suffix)
{
    size_t len = strlen(path), n = strlen(suffix);

    return len > n && !strcasecmp(path + len - n, suffix);
}

/* Synced, before the old file is given up for it. */
static bool write_events(const struct cli *cli, FILE *out,
                         const struct events *list, bool sync)
{
    bool good;

    if (cli->ics || has_suffix(cli->operand[0], ".ics"))
        ics_write(out, list->at, list->count, cli->instance, time(NULL));
    else
        exchange_write(out, list->at, list->count, false);
    good =
        fflush(out) == 0 && !ferror(out) && (!sync || fsync(fileno(out)) == 0);
    return (out == stdout || fclose(out) == 0) && good;
}

/* All events are here before the file is touched. */
static int write_file(const struct cli *cli, const char *path,
                      const struct events *list)
{
    char fresh[CMD_PATH_MAX] = "";
    bool standard = !strcmp(path, "-");
    FILE *out;

    if (!standard && is_data_file(path))
        return cmd_error(CMD_CREATE,
                         "cannot replace '%s': it is a data file of ipclab; "
                         "export to another name",
                         path);
    out = standard ? stdout : open_export(path, fresh);
    if (!out)
        return cmd_error(CMD_CREATE, "cannot make '%s': %s %s", path,
                         cmd_errno_name(-errno), strerror(errno));
    if (!write_events(cli, out, list, *fresh) ||
        (*fresh && rename(fresh, path) < 0)) {
        cmd_error(CMD_IO, "cannot write '%s': %s %s%s", path,
                  cmd_errno_name(-errno), strerror(errno),
                  *fresh ? "; no file was changed" : "");
        if (*fresh)
            (void)unlink(fresh);
        return CMD_IO;
    }
    cmd_error(0, "%zu event%s exported", list->count,
              list->count == 1 ? "" : "s");
    return CMD_OK;
}

/* The file behind a link, so that the link stays. The caller's; NULL = the
 * path is good as it is. */
static char *behind_link(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) &&
                   stat(path, &st) == 0 && S_ISREG(st.st_mode)
               ? realpath(path, NULL)
               : NULL;
}

int cmd_export(const struct cli *cli)
{
    struct events list = {0};
    struct session s;
    int code = session_open(&s, cli);

    if (code)
        return code;
    code = fetch(&s, EVENT_TIME_MIN, EVENT_TIME_MAX, &list);
    session_close(&s);
    if (!code) {
        char *real = behind_link(cli->operand[0]);

        code = write_file(cli, real ? real : cli->operand[0], &list);
        free(real);
    }
    free_events(&list);
    return code;
}
