/*
 * cmd_check.c - check, repair: a data file that something has damaged
 *
 * No server is asked and none is needed: both read the file itself, whoever
 * has it, and change nothing in it.
 *
 *      check    what is wrong, line by line
 *      repair   the same, and what is good goes into a new file
 */
#include "cmd.h"
#include "store_check.h"
#include "utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXCERPT_MAX 48 /* bytes shown of a line that is dropped */

/* ---- telling ------------------------------------------------------------ */

/* The front of a damaged line, whatever is in it, on one line of a terminal. */
static void print_excerpt(const struct store_damage *d)
{
    size_t len = d->kept < EXCERPT_MAX ? d->kept : EXCERPT_MAX, n;
    uint32_t c;

    for (size_t at = 0; at < len; at += n) {
        n = utf8_next(d->text + at, d->kept - at, &c);
        if (n == 0 || c < 0x20 || (c >= 0x7f && c <= 0x9f)) {
            n = 1;
            putchar('?');
        } else {
            fwrite(d->text + at, 1, n, stdout);
        }
    }
    fputs(len < d->len ? " ..." : "", stdout);
}

static void print_damage(const struct store_damage *d, void *arg)
{
    (void)arg;
    printf("line %zu: %s\n", d->line, d->what);
}

static void print_dropped(const struct store_damage *d, void *arg)
{
    print_damage(d, arg);
    if (!d->text)
        return;
    printf("         dropped, %" PRIu64 " byte%s: ", d->len,
           d->len == 1 ? "" : "s");
    print_excerpt(d);
    putchar('\n');
}

static void print_survey(const char *path, const struct store_survey *v)
{
    printf("'%s': %zu event%s, %zu change%s, %" PRIu64 " bytes", path,
           v->events, v->events == 1 ? "" : "s", v->changes,
           v->changes == 1 ? "" : "s", v->bytes);
}

/* What `check` and `repair` say of a file that can't be read. */
static int read_failed(int err, const char *why, const char *path)
{
    int code = cmd_fail(err, why, "cannot read '%s'", path);

    return code == CMD_DATA || err == -ENOMEM ? code : CMD_IO;
}

/* Is there only the torn line? */
static bool only_torn(const struct store_survey *v)
{
    return v->torn && v->faults == 1;
}

/* ---- check -------------------------------------------------------------- */

static void print_holder(const struct store_survey *v)
{
    if (v->holder > 0)
        printf("in use by pid %ld: checked as it is now%s\n", v->holder,
               v->writing ? " (its last line isn't finished yet)" : "");
    else if (v->holder < 0)
        puts("in use by another process: checked as it is now");
}

int cmd_check(const struct cli *cli)
{
    const char *path = cli->operand[0];
    char why[CMD_WHY_MAX] = "", quoted[CMD_QUOTED_MAX];
    struct store_opts opts = {.path = path, .why = why, .why_cap = sizeof why};
    struct store_survey v;
    int err = store_check(&opts, print_damage, NULL, &v);

    if (err < 0)
        return read_failed(err, why, path);
    print_holder(&v);
    print_survey(path, &v);
    puts(v.faults ? "" : ", no damage");
    if (v.faults == 0)
        return CMD_OK;
    if (only_torn(&v))
        return cmd_error(CMD_DATA,
                         "'%s' ends in an unfinished line; no change that was "
                         "confirmed is lost, and the next start cuts it off",
                         path);
    return cmd_error(CMD_DATA,
                     "'%s' is damaged; to copy what is good: ipclab repair %s",
                     path, cmd_quoted(path, quoted));
}

/* ---- repair ------------------------------------------------------------- */

/* TO has the name already, or TO.new has, under which the copy is written. */
static int in_the_way(const char *to)
{
    if (access(to, F_OK) == 0)
        return cmd_error(CMD_CREATE,
                         "cannot make '%s': EEXIST it is there already, and "
                         "repair replaces no file; choose another name with -o",
                         to);
    return cmd_error(CMD_CREATE,
                     "cannot make '%s': EEXIST '%s.new' is there already, "
                     "perhaps from a repair that was killed; remove it",
                     to, to);
}

static int repair_failed(int err, const char *why, const char *path,
                         const char *to, bool made)
{
    int code;

    if (made)
        return cmd_fail(err, NULL, "'%s' is made, but to look at it failed",
                        to);
    if (err == -EBUSY)
        return cmd_fail(err, why, "cannot repair '%s'", path);
    if (err == -EEXIST)
        return in_the_way(to);
    code = cmd_fail(err, NULL, "cannot make '%s'", to);
    return code == CMD_NO_SERVER ? CMD_CREATE : code;
}

static int say_repaired(const char *path, const struct store_survey *v)
{
    if (v->faults == 0) {
        cmd_error(0, "no damage in '%s': the copy is the same", path);
        return CMD_OK;
    }
    if (only_torn(v))
        return cmd_error(CMD_DATA,
                         "the copy has all of '%s' but its unfinished last "
                         "line; no change that was confirmed is lost",
                         path);
    if (v->lost == 0)
        return cmd_error(CMD_DATA,
                         "the copy has every change of '%s'; only what is "
                         "named above is left out",
                         path);
    return cmd_error(
        CMD_DATA,
        "%s%" PRIu64 " change%s may be lost: in the copy, an event "
        "may be in an older state, or be back though it was "
        "removed",
        v->lost == 1 ? "" : "up to ", v->lost, v->lost == 1 ? "" : "s");
}

int cmd_repair(const struct cli *cli)
{
    const char *path = cli->operand[0], *to = cli->output;
    char why[CMD_WHY_MAX] = "", usual[CMD_PATH_MAX];
    struct store_opts opts = {.path = path, .why = why, .why_cap = sizeof why};
    struct store_survey v;
    int err;

    if (!to &&
        snprintf(usual, sizeof usual, "%s.repaired", path) >= (int)sizeof usual)
        return cmd_error(CMD_USAGE, "the data file's path is too long");
    if (!to)
        to = usual;
    err = store_repair(&opts, to, print_dropped, NULL, &v);
    if (err < 0 && v.unread)
        return read_failed(err, why, path);
    if (err < 0)
        return repair_failed(err, why, path, to, v.made);
    print_survey(to, &v);
    putchar('\n');
    return say_repaired(path, &v);
}
