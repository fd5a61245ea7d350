/*
 * ipclab.c - the lab's command line: options, help, the table of commands
 *
 *      ipclab [options] COMMAND [operands]     options anywhere
 *
 * A command is a row of `commands` below: what it is called, what it takes,
 * what its help says, and the function that does it.
 */
#include "cmd.h"

#include "guard.h"

#include <errno.h>
#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VERSION "0.1.0"

struct command {
    const char *name, *operands, *summary;
    const char *options; /* letters of those it takes beside the common ones */
    int min, max;        /* operands */
    int (*run)(const struct cli *);
    const char *help;
};

/* ---- the commands ------------------------------------------------------- */

static const struct command commands[] = {
    {"serve", "", "serve the timetable until SIGTERM or Ctrl-C", "Y", 0, 0,
     cmd_serve,
     "Serves one data file over several transports at once. Prints\n"
     "'ready: ...' when every one of them answers.\n\n"
     "  -t LIST|all          socket,fifo,... (all: those usable here)\n"
     "  --durability sync|none\n"
     "                       sync (default): a change is on disk before it is\n"
     "                       answered; none: for benchmarks\n"},
    {"add", "TITLE START END", "add an event; prints its id", "K", 3, 3,
     cmd_add,
     "  TITLE                1 to 255 bytes of UTF-8\n"
     "  START END            2026-11-23T09:00[:SS][Z|+09:00]; a space may\n"
     "                       stand for the T; without a zone, local time\n"
     "  --token HEX          repeat an add whose answer got lost\n\n"
     "  ipclab add 'IPC lecture' 2026-11-23T09:00 2026-11-23T10:30\n"},
    {"get", "ID", "show one event", "J", 1, 1, cmd_get,
     "  --json               as a JSON object, times in UTC\n"},
    {"update", "ID", "change an event; prints it", "ISERKJ", 1, 1, cmd_update,
     "What isn't given stays as it is.\n\n"
     "  --title TITLE\n"
     "  --start TIME, --end TIME\n"
     "  --rev N              only if the event's rev is still N\n"
     "  --token HEX          repeat an update whose answer got lost\n"
     "  --json               print it as a JSON object\n"},
    {"remove", "ID", "remove an event; prints its id", "RK", 1, 1, cmd_remove,
     "  --rev N              only if the event's rev is still N\n"
     "  --token HEX          repeat a remove whose answer got lost\n"},
    {"list", "", "list events, ordered by start", "FOJ", 0, 0, cmd_list,
     "Each row: id, start, end (local time), title.\n\n"
     "  --from TIME          only those that end after it; a date alone is\n"
     "                       that day's beginning\n"
     "  --to TIME            only those that start before it\n"
     "  --json               an array of objects, times in UTC\n"},
    {"conflicts", "ID", "list what overlaps an event", "J", 1, 1, cmd_conflicts,
     "  --json               an array of objects, times in UTC\n"},
    {"week", "[DATE]", "show a week as a grid", "J", 0, 1, cmd_week,
     "  DATE                 a day of that week, like 2026-11-23; default:\n"
     "                       today\n"
     "  --json               its events as an array, times in UTC\n\n"
     "As wide as the terminal. In a pipe or file: no colour, ASCII lines,\n"
     "$COLUMNS or 100 columns. NO_COLOR=1 switches colours off.\n"},
    {"import", "FILE", "add the events of a JSON or .ics file", "AFO", 1, 1,
     cmd_import,
     "  FILE                 [{\"title\": ..., \"start\": ..., \"end\": ...}, "
     "...]\n"
     "                       or a calendar (iCalendar); - = standard input\n"
     "  --again              add the events even if they came in before\n"
     "  --from TIME, --to TIME   of a calendar, only what overlaps this\n\n"
     "The whole file is checked before anything is added. To import it a "
     "second\n"
     "time adds nothing, also when its events were changed or removed since.\n"
     "Of a series each occurrence becomes an event; of one without end, those\n"
     "from a year ago until two years ahead. Times without a zone are local.\n"
     "What a timetable has no place for is listed.\n"},
    {"export", "FILE", "write all events as JSON or .ics", "L", 1, 1,
     cmd_export,
     "  FILE                 a calendar if its name ends with .ics, else "
     "JSON;\n"
     "                       - writes to standard output\n"
     "  --ics                a calendar, whatever the name\n"},
    {"ping", "", "time round trips to the server", "cJ", 0, 0, cmd_ping,
     "  -c, --count N        how many (default 1000)\n"
     "  --json               as a JSON object\n"},
    {"stats", "", "show the server's counters", "J", 0, 0, cmd_stats,
     "  --json               as a JSON object\n"},
    {"transports", "", "show the five ways to talk", "J", 0, 0, cmd_transports,
     "named:   unrelated processes can meet under a name\n"
     "framed:  the mechanism itself keeps messages apart\n"
     "hang-up: the kernel reports the other side's death at once\n"
     "largest: bytes one message may have\n\n"
     "  --json               as an array of objects\n"},
    {"clean", "", "remove what dead servers left", "", 0, 0, cmd_clean,
     "Lists every server name in the runtime folder; removes those whose\n"
     "server is dead, never a live one's. The same of the folders that a\n"
     "demo which was killed has left in $TMPDIR (without -t).\n\n"
     "  -t LIST              only these transports\n"},
    {"check", "FILE", "look for damage in a data file", "", 1, 1, cmd_check,
     "Reads a data file line by line and changes nothing. A server may have\n"
     "it: then it is looked at as it is. Each damage is named with its line.\n"
     "An unfinished last line is what a crash leaves: nobody was told that\n"
     "this change was made, and the next start cuts it off. Anything else\n"
     "serve refuses.\n\n"
     "Exit: 0 no damage, 65 damage or not a data file, 74 cannot read it\n"},
    {"repair", "FILE", "copy what is good of a data file", "o", 1, 1,
     cmd_repair,
     "Writes what is provably good into a new file and says, line by line,\n"
     "what it dropped. FILE isn't touched, and nothing is overwritten. What a\n"
     "damaged line did is lost: an event may be as it was before, or be back\n"
     "though it was removed. No server may have FILE.\n\n"
     "  -o, --output OUT     the copy (default FILE.repaired)\n\n"
     "Exit: 0 nothing was wrong and the copy is the same, 65 the copy lacks\n"
     "what was named (or: not a data file), 73 cannot make it, 75 in use\n"},
    {"web", "", "the timetable as a page in your browser", "Q", 0, 0, cmd_web,
     "Prints a link; who has it may see and change the timetable. Listens on\n"
     "this machine only. Where no server runs it forks one, which serves all\n"
     "five transports; beside a running one there is no pipe. The page shows\n"
     "which way each request went, and switches between them.\n\n"
     "  -t NAME              the way at first\n"
     "  --port N             where to listen (default: any free port)\n"},
    {"demo", "", "a tour of about a minute", "X", 0, 0, cmd_demo,
     "Starts a server of its own with a data file of its own, shows the\n"
     "processes, one timetable over every transport, kill -9 and restart,\n"
     "and what a round trip costs; then removes everything.\n\n"
     "  --fast               without pauses\n"},
};

#define COMMANDS (sizeof commands / sizeof *commands)

/* ---- help --------------------------------------------------------------- */

static const char transport_help[] =
    "  -t, --transport NAME socket (default), fifo, mqueue, shm, pipe; pipe\n"
    "                       needs no server, the command forks one\n";
static const char common_help[] =
    "  -n, --name INSTANCE  the server's name (default: default)\n"
    "  -w, --wait HOW       block (default), spin or adapt\n"
    "  --timeout MS         give up after this long (default 5000)\n"
    "  --data FILE          the data file of serve and of -t pipe (default\n"
    "                       $XDG_DATA_HOME/ipclab/INSTANCE.jsonl)\n";

static int print_help(const struct command *c)
{
    if (c) {
        bool own_list = strstr(c->help, "  -t ") != NULL;
        bool no_server = c->run == cmd_check || c->run == cmd_repair;

        printf("Usage: ipclab %s%s%s%s\n\n%c%s.\n\n%s", c->name,
               *c->operands ? " " : "", c->operands,
               no_server && !*c->options ? "" : " [options]",
               c->summary[0] - 'a' + 'A', c->summary + 1, c->help);
        if (!no_server)
            printf("\nCommon options:\n%s%s", own_list ? "" : transport_help,
                   common_help);
        return CMD_OK;
    }
    puts("Usage: ipclab [options] COMMAND        ('ipclab COMMAND --help' says "
         "more)");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-10s %-16s %s\n", commands[i].name, commands[i].operands,
               commands[i].summary);
    puts(
        "\nOptions, before or behind the command: --help --version "
        "--timeout MS --data FILE\n"
        "  -t socket|fifo|mqueue|shm|pipe   -n INSTANCE   -w block|spin|adapt"
        "\nExit codes: 0 done, 1 not found or changed, 64 usage, 65 bad data,\n"
        "69 no server, 73 cannot create, 74 I/O, 75 no answer, 76 protocol");
    return CMD_OK;
}

/* ---- options ------------------------------------------------------------ */

/* Capital letters stand for options that have only a long name. */
static const struct option long_options[] = {
    {"transport", required_argument, NULL, 't'},
    {"name", required_argument, NULL, 'n'},
    {"wait", required_argument, NULL, 'w'},
    {"count", required_argument, NULL, 'c'},
    {"output", required_argument, NULL, 'o'},
    {"port", required_argument, NULL, 'Q'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"timeout", required_argument, NULL, 'T'},
    {"data", required_argument, NULL, 'D'},
    {"durability", required_argument, NULL, 'Y'},
    {"from", required_argument, NULL, 'F'},
    {"to", required_argument, NULL, 'O'},
    {"title", required_argument, NULL, 'I'},
    {"start", required_argument, NULL, 'S'},
    {"end", required_argument, NULL, 'E'},
    {"token", required_argument, NULL, 'K'},
    {"rev", required_argument, NULL, 'R'},
    {"json", no_argument, NULL, 'J'},
    {"again", no_argument, NULL, 'A'},
    {"fast", no_argument, NULL, 'X'},
    {"ics", no_argument, NULL, 'L'},
    {NULL, 0, NULL, 0},
};

static const char common_options[] = "tnwhVTD";

/* The command line while it is being read. */
struct reading {
    struct cli cli;
    const char *transports; /* -t as typed; NULL = not given */
    char **words;           /* the command and its operands */
    int count;
    char seen[64]; /* letters of the options given */
    bool help, version;
};

static const char *option_name(int letter)
{
    for (const struct option *o = long_options; o->name; o++)
        if (o->val == letter)
            return o->name;
    return "?";
}

static int bad_value(int letter, const char *value, const char *want)
{
    return cmd_error(CMD_USAGE, "--%s '%s': %s", option_name(letter), value,
                     want);
}

static int read_number(int letter, uint64_t max, uint64_t *v)
{
    return cmd_number(optarg, 1, max, v)
               ? 0
               : bad_value(letter, optarg,
                           "not a number from 1 on, or too "
                           "large");
}

static int read_token(uint64_t *token)
{
    size_t len = strlen(optarg);

    *token = 0;
    if (len <= 16 && strspn(optarg, "0123456789abcdefABCDEF") == len)
        *token = strtoull(optarg, NULL, 16);
    return *token ? 0
                  : bad_value('K', optarg,
                              "not 1 to 16 hexadecimal digits, "
                              "or zero");
}

static int read_wait(enum tp_wait *wait)
{
    static const char *const names[] = {"block", "spin", "adapt"};
    static const enum tp_wait waits[] = {TP_BLOCK, TP_SPIN, TP_ADAPT};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(optarg, names[i])) {
            *wait = waits[i];
            return 0;
        }
    return bad_value('w', optarg, "it is block, spin or adapt");
}

static int read_durability(bool *no_sync)
{
    *no_sync = !strcmp(optarg, "none");
    return *no_sync || !strcmp(optarg, "sync")
               ? 0
               : bad_value('Y', optarg, "it is sync or none");
}

static int read_option(struct reading *r, int letter)
{
    struct cli *cli = &r->cli;
    uint64_t v = 0;
    int code = 0;

    switch (letter) {
    case 't': r->transports = optarg; break;
    case 'n': cli->instance = optarg; break;
    case 'w': return read_wait(&cli->wait);
    case 'c':
        code = read_number('c', 1000000, &v);
        cli->count = (unsigned long)v;
        break;
    case 'T':
        code = read_number('T', 86400000, &v); /* a day */
        cli->timeout_ms = (int)v;
        break;
    case 'h': r->help = true; break;
    case 'V': r->version = true; break;
    case 'D':
        if (!*optarg)
            return bad_value('D', optarg, "it names no file");
        cli->data = optarg;
        break;
    case 'Q':
        code = read_number('Q', 65535, &v);
        cli->port = (unsigned)v;
        break;
    case 'Y': return read_durability(&cli->no_sync);
    case 'o':
        if (!*optarg)
            return bad_value('o', optarg, "it names no file");
        cli->output = optarg;
        break;
    case 'F': cli->from = optarg; break;
    case 'O': cli->to = optarg; break;
    case 'I': cli->title = optarg; break;
    case 'S': cli->start = optarg; break;
    case 'E': cli->end = optarg; break;
    case 'K': return read_token(&cli->token);
    case 'R': return read_number('R', UINT64_MAX, &cli->rev);
    case 'J': cli->json = true; break;
    case 'A': cli->again = true; break;
    case 'X': cli->fast = true; break;
    case 'L': cli->ics = true; break;
    }
    return code;
}

/* getopt has stopped in this argument: at one of its letters, or at all of
 * it when it is a long option. */
static int bad_option(bool no_value, const char *arg)
{
    const char letter[] = {'-', (char)optopt, '\0'};
    const char *name = strncmp(arg, "--", 2) == 0 ? arg : letter;

    if (no_value)
        return cmd_error(CMD_USAGE, "'%s' needs a value", name);
    return cmd_error(CMD_USAGE,
                     "no such option: '%s'; see ipclab --help (a title that "
                     "begins with '-' goes behind --)",
                     name);
}

/* Options and words in any order, whatever POSIXLY_CORRECT says: the leading
 * '-' has getopt hand out the words too, as option 1. */
static int read_line(struct reading *r, int argc, char **argv)
{
    const char *arg;
    size_t seen = 0;
    int letter, code;

    opterr = 0;
    while (arg = argv[optind],
           (letter = getopt_long(argc, argv, "-:t:n:w:c:o:hV", long_options,
                                 NULL)) != -1) {
        if (letter == 1) {
            r->words[r->count++] = optarg;
            continue;
        }
        if (letter == ':' || letter == '?')
            return bad_option(letter == ':', arg);
        if (seen + 1 < sizeof r->seen && !strchr(r->seen, letter))
            r->seen[seen++] = (char)letter;
        code = read_option(r, letter);
        if (code)
            return code;
    }
    while (optind < argc) /* behind "--" */
        r->words[r->count++] = argv[optind++];
    return 0;
}

/* ---- what fits together ------------------------------------------------- */

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (!strcmp(name, commands[i].name))
            return &commands[i];
    return NULL;
}

/* Names of transports with commas between them: a bit for each one's place in
 * tp_all. False when one is unknown. */
static bool read_list(const char *list, unsigned *listed)
{
    *listed = 0;
    for (;;) {
        size_t len = strcspn(list, ",");
        int i = 0;

        while (tp_all[i] && (strncmp(list, tp_all[i]->name, len) != 0 ||
                             tp_all[i]->name[len]))
            i++;
        if (!tp_all[i])
            return false;
        *listed |= 1u << i;
        if (!list[len])
            return true;
        list += len + 1;
    }
}

static int check_transports(struct reading *r, bool list)
{
    const char *given = r->transports ? r->transports : "socket";

    r->cli.transport = tp_find(given);
    if (list && (!r->transports || !strcmp(given, "all")))
        return 0; /* listed stays 0: all */
    if (list ? read_list(given, &r->cli.listed) : r->cli.transport != NULL)
        return 0;
    return cmd_error(CMD_USAGE,
                     "no transport '%s': there are pipe, fifo, mqueue, shm "
                     "and socket",
                     given);
}

static int check(struct reading *r, const struct command *c)
{
    const char *letter = r->seen;

    while (*letter &&
           (strchr(common_options, *letter) || strchr(c->options, *letter)))
        letter++;
    if (*letter)
        return cmd_error(CMD_USAGE,
                         "%s takes no option --%s; see ipclab %s "
                         "--help",
                         c->name, option_name(*letter), c->name);
    if (r->cli.operands < c->min || r->cli.operands > c->max)
        return cmd_error(CMD_USAGE,
                         "usage: ipclab %s%s%s; see ipclab %s "
                         "--help",
                         c->name, *c->operands ? " " : "", c->operands,
                         c->name);
    if (!tp_name_ok(r->cli.instance))
        return cmd_error(CMD_USAGE,
                         "an instance name has 1 to %d of A-Z a-z "
                         "0-9 _ and -",
                         TP_NAME_MAX);
    return check_transports(r, c->run == cmd_serve || c->run == cmd_clean);
}

static int dispatch(struct reading *r)
{
    const struct command *c = NULL;
    bool help = r->count > 0 && !strcmp(r->words[0], "help");

    if (r->version)
        return puts("ipclab " VERSION) < 0 ? CMD_IO : CMD_OK;
    if (help) { /* "help add" is "add --help" */
        r->words++;
        r->count--;
    }
    if (r->count > 0) {
        c = find_command(r->words[0]);
        if (!c)
            return cmd_error(CMD_USAGE, "no command '%s'; see ipclab --help",
                             r->words[0]);
    }
    if (r->help || help)
        return print_help(c);
    if (!c)
        return cmd_error(CMD_USAGE, "no command given; see ipclab --help");
    r->cli.operand = r->words + 1;
    r->cli.operands = r->count - 1;
    return check(r, c) ? CMD_USAGE : c->run(&r->cli);
}

/* ---- main --------------------------------------------------------------- */

/* Titles are UTF-8 whatever the locale says, and wcwidth must know it. */
static void set_locale(void)
{
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        (void)setlocale(LC_CTYPE, "C.UTF-8"); /* without it, '?' is shown */
    tzset();
}

int main(int argc, char **argv)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct reading r = {
        .cli = {.instance = "default", .wait = TP_BLOCK, .timeout_ms = 5000}};
    char **words = calloc((size_t)argc + 1, sizeof *words);
    int code;

    if (!words)
        return cmd_fail(-ENOMEM, NULL, "cannot start");
    /* A write to a lost peer must give EPIPE, one past the limit of a file's
     * size EFBIG: not end us. */
    (void)sigaction(SIGPIPE, &ignore, NULL); /* can't fail */
    (void)sigaction(SIGXFSZ, &ignore, NULL);
    guard_install(); /* a segment that somebody truncates isn't the end */
    set_locale();
    r.words = words;
    code = read_line(&r, argc, argv);
    if (!code)
        code = dispatch(&r);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == CMD_OK)
        code = cmd_error(CMD_IO, "cannot write to stdout: %s %s",
                         cmd_errno_name(-errno), strerror(errno));
    free(words);
    return code;
}
