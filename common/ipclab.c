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
    const char *options; /* letters of those that it takes */
    int min, max;        /* operands */
    int (*run)(const struct cli *);
    const char *help;
};

/* ---- the commands ------------------------------------------------------- */

#define STORE "tnwTD" /* what every command takes that talks to a store */

static const struct command commands[] = {
    {"serve", "", "serve the timetable until SIGTERM or Ctrl-C", STORE "Y", 0,
     0, cmd_serve,
     "Serves one data file over several transports at once. Prints\n"
     "'ready: ...' when every one of them answers.\n\n"
     "  -t LIST|all          socket,fifo,... (all: those usable here)\n"
     "  --durability sync|none\n"
     "                       sync (default): a change is on disk before it is\n"
     "                       answered; none: for benchmarks\n"},
    {"add", "TITLE START END", "add an event; prints its id", STORE "K", 3, 3,
     cmd_add,
     "  TITLE                1 to 255 bytes of UTF-8\n"
     "  START END            2026-11-23T09:00[:SS][Z|+09:00]; a space may\n"
     "                       stand for the T; without a zone, local time\n"
     "  --token HEX          repeat an add whose answer got lost\n\n"
     "  ipclab add 'IPC lecture' 2026-11-23T09:00 2026-11-23T10:30\n"},
    {"get", "ID", "show one event", STORE "J", 1, 1, cmd_get,
     "  --json               as a JSON object, times in UTC\n"},
    {"update", "ID", "change an event; prints it", STORE "ISERKJ", 1, 1,
     cmd_update,
     "What isn't given stays as it is.\n\n"
     "  --title TITLE\n"
     "  --start TIME         2026-11-23T09:00, as with add\n"
     "  --end TIME\n"
     "  --rev N              only if the event's rev is still N\n"
     "  --token HEX          repeat an update whose answer got lost\n"
     "  --json               print it as a JSON object\n"},
    {"remove", "ID", "remove an event; prints its id", STORE "RK", 1, 1,
     cmd_remove,
     "  --rev N              only if the event's rev is still N\n"
     "  --token HEX          repeat a remove whose answer got lost\n"},
    {"list", "", "list events, ordered by start", STORE "FOJ", 0, 0, cmd_list,
     "Each row: id, start, end (local time), title.\n\n"
     "  --from TIME          only those that end after it: 2026-11-23T09:00,\n"
     "                       as with add, or 2026-11-23: that day's beginning\n"
     "  --to TIME            only those that start before it\n"
     "  --json               an array of objects, times in UTC\n"},
    {"conflicts", "ID", "list what overlaps an event", STORE "J", 1, 1,
     cmd_conflicts,
     "  --json               an array of objects, times in UTC\n"},
    {"week", "[DATE]", "show a week as a grid", STORE "J", 0, 1, cmd_week,
     "  DATE                 a day of it, like 2026-11-23 (default: today)\n"
     "  --json               its events as an array, times in UTC\n\n"
     "As wide as the terminal. In a pipe or file: no colour, ASCII lines,\n"
     "$COLUMNS or 100 columns. NO_COLOR=1 switches colours off.\n"},
    {"import", "FILE", "add the events of a JSON or .ics file", STORE "AFO", 1,
     1, cmd_import,
     "  FILE                 [{\"title\": ..., \"start\": ..., \"end\": ...}, "
     "...]\n"
     "                       or a calendar (iCalendar); - = standard input\n"
     "  --again              add the events even if they came in before\n"
     "  --from TIME          of a calendar, only events that end after it\n"
     "  --to TIME            of a calendar, only those that start before it\n\n"
     "The whole file is checked before anything is added. To import it a "
     "second\n"
     "time adds nothing, also when its events were changed or removed since.\n"
     "Of a series each occurrence becomes an event; of one without end, those\n"
     "from a year ago until two years ahead. Times without a zone are local.\n"
     "What a timetable can't store (place, reminders, ...) is listed.\n"},
    {"export", "FILE", "write all events as JSON or .ics", STORE "L", 1, 1,
     cmd_export,
     "  FILE                 a calendar if its name ends with .ics, else "
     "JSON;\n"
     "                       - writes to standard output\n"
     "  --ics                a calendar, whatever the name\n\n"
     "A FILE that is there already is replaced, once the new one is complete:\n"
     "when the disk is full, the old one stays. A data file is never "
     "replaced.\n"
     "\n"
     "  ipclab export term.ics\n"},
    {"ping", "", "time round trips to the server", STORE "cJ", 0, 0, cmd_ping,
     "  -c, --count N        how many (default 1000)\n"
     "  --json               as a JSON object\n"},
    {"stats", "", "show the server's counters", STORE "J", 0, 0, cmd_stats,
     "  --json               as a JSON object\n"},
    {"transports", "", "show the five transports", "J", 0, 0, cmd_transports,
     "named:   unrelated processes can meet under a name\n"
     "framed:  the mechanism itself keeps messages apart\n"
     "hang-up: the kernel reports the other side's death at once\n"
     "largest: bytes one message may have\n\n"
     "  --json               as an array of objects\n"},
    {"clean", "", "remove what dead servers left", "tn", 0, 0, cmd_clean,
     "Lists every name in the runtime folder, of all instances, and removes\n"
     "those whose server is dead; what a live server has is never touched. "
     "The\n"
     "same with the folders in $TMPDIR that a killed demo has left.\n\n"
     "  -t LIST              only these transports, and no folders\n"
     "  -n, --name INSTANCE  only this instance, and no folders\n"},
    {"check", "FILE", "look for damage in a data file", "", 1, 1, cmd_check,
     "Reads a data file line by line and changes nothing. A server may have\n"
     "it meanwhile. Each damage is named with its line. A crash leaves an\n"
     "unfinished last line: its change was not confirmed to anybody, and the\n"
     "next start cuts it off. With any other damage serve doesn't start.\n\n"
     "Exit: 0 no damage, 65 damage or not a data file, 74 cannot read it\n"},
    {"repair", "FILE", "copy what is good of a data file", "o", 1, 1,
     cmd_repair,
     "Copies every line that is whole into a new file, and names each line\n"
     "that it left out. FILE is not changed, and no other file is replaced.\n"
     "What a damaged line did is lost: in the copy, an event may be in an\n"
     "older state, or be back though it was removed. No server may have FILE.\n"
     "\n"
     "  -o, --output OUT     the copy (default FILE.repaired)\n\n"
     "Exit: 0 no damage, the copy is the same, 65 damage or not a data file,\n"
     "73 cannot make the copy, 74 cannot read FILE, 75 in use\n"},
    {"web", "", "the timetable as a page in your browser", STORE "Q", 0, 0,
     cmd_web,
     "Prints a link; who has it may see and change the timetable. Listens on\n"
     "this machine only. Where no server runs it forks one, which serves all\n"
     "five transports; beside a running one there is no pipe. The page shows\n"
     "which transport each request took, and switches between them.\n\n"
     "  -t NAME              the transport at the start (default: socket)\n"
     "  --port N             where to listen (default: any free port)\n"},
    {"demo", "", "a tour of about a minute", "wTX", 0, 0, cmd_demo,
     "Starts a server of its own with a data file of its own, shows the\n"
     "processes, one timetable over every transport, kill -9 and restart,\n"
     "and what a round trip costs; then removes everything.\n\n"
     "  --fast               without pauses\n"},
};

#define COMMANDS (sizeof commands / sizeof *commands)

/* ---- help --------------------------------------------------------------- */

/* Options that several commands take, in this order. */
static const struct {
    char letter;
    const char *help;
} shared[] = {
    {'t',
     "  -t, --transport NAME socket (default), fifo, mqueue, shm, pipe; pipe\n"
     "                       needs no server, the command starts one\n"},
    {'n', "  -n, --name INSTANCE  the server's name (default: default)\n"},
    {'w', "  -w, --wait HOW       block (default), spin or adapt\n"},
    {'T', "  --timeout MS         give up after this long (default 5000)\n"},
    {'D', "  --data FILE          the server's data file (default\n"
          "                       $XDG_DATA_HOME/ipclab/INSTANCE.jsonl)\n"},
};

static void help_of(const struct command *c)
{
    const char *title = "\nCommon options:\n";

    printf("Usage: ipclab %s%s%s%s\n\n%c%s.\n\n%s", c->name,
           *c->operands ? " " : "", c->operands,
           *c->options ? " [options]" : "", c->summary[0] - 'a' + 'A',
           c->summary + 1, c->help);
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        const char own[] = {' ', ' ', '-', shared[i].letter, '\0'};

        if (!strchr(c->options, shared[i].letter) || strstr(c->help, own))
            continue; /* or the command says itself what it means there */
        printf("%s%s", title, shared[i].help);
        title = "";
    }
}

static void help_of_all(void)
{
    puts("Usage: ipclab [options] COMMAND        ('ipclab COMMAND --help' says "
         "more)");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-10s %-16s %s\n", commands[i].name, commands[i].operands,
               commands[i].summary);
    puts(
        "\nOptions, before or after the command: --help --version "
        "--timeout MS --data FILE\n"
        "  -t socket|fifo|mqueue|shm|pipe   -n INSTANCE   -w block|spin|adapt"
        "\nExit codes: 0 done, 1 not found or changed, 64 usage, 65 bad data,\n"
        "69 no server, 73 cannot create, 74 I/O, 75 no answer, 76 protocol");
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

/* What a right value looks like; "" = the help says it. */
static const char *wanted(int letter)
{
    switch (letter) {
    case 't': return "pipe, fifo, mqueue, shm or socket";
    case 'w': return "block, spin or adapt";
    case 'Y': return "sync or none";
    case 'K': return "1 to 16 hexadecimal digits, not all of them 0";
    case 'D':
    case 'o': return "a file's name";
    default: return "";
    }
}

static int bad_value(int letter, const char *value)
{
    return cmd_error(CMD_USAGE, "--%s '%s': must be %s", option_name(letter),
                     value, wanted(letter));
}

static int read_number(int letter, uint64_t max, uint64_t *v)
{
    char name[16];

    snprintf(name, sizeof name, "--%s", option_name(letter));
    return cmd_need_number(name, optarg, max, v);
}

static int read_token(uint64_t *token)
{
    size_t len = strlen(optarg);

    *token = 0;
    if (len <= 16 && strspn(optarg, "0123456789abcdefABCDEF") == len)
        *token = strtoull(optarg, NULL, 16);
    return *token ? 0 : bad_value('K', optarg);
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
    return bad_value('w', optarg);
}

static int read_durability(bool *no_sync)
{
    *no_sync = !strcmp(optarg, "none");
    return *no_sync || !strcmp(optarg, "sync") ? 0 : bad_value('Y', optarg);
}

static int read_option(struct reading *r, int letter)
{
    struct cli *cli = &r->cli;
    uint64_t v = 0;
    int code = 0;

    switch (letter) {
    case 't': r->transports = optarg; break;
    case 'n':
        cli->instance = optarg;
        cli->named = true;
        break;
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
            return bad_value('D', optarg);
        cli->data = optarg;
        break;
    case 'Q':
        code = read_number('Q', 65535, &v);
        cli->port = (unsigned)v;
        break;
    case 'Y': return read_durability(&cli->no_sync);
    case 'o':
        if (!*optarg)
            return bad_value('o', optarg);
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

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (!strcmp(name, commands[i].name))
            return &commands[i];
    return NULL;
}

/* getopt has stopped in this argument: at one of its letters, or at all of
 * it when it is a long option. Then optopt is 0 unless it knows the option. */
static int bad_option(const struct reading *r, bool no_value, const char *arg)
{
    const struct command *c = r->count ? find_command(r->words[0]) : NULL;
    const char letter[] = {'-', (char)optopt, '\0'};
    bool is_long = strncmp(arg, "--", 2) == 0;
    const char *name = is_long ? arg : letter;

    if (no_value)
        return cmd_error(CMD_USAGE, "'%s' needs a value%s%s", name,
                         *wanted(optopt) ? ": " : "", wanted(optopt));
    if (is_long && optopt)
        return cmd_error(CMD_USAGE, "'--%s' takes no value, but has one: '%s'",
                         option_name(optopt), arg);
    return cmd_error(CMD_USAGE, "no option '%s'; see: ipclab %s%s--help%s",
                     name, c ? c->name : "", c ? " " : "",
                     c && c->run == cmd_add
                         ? " (type -- before a title that begins with '-')"
                         : "");
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
            return bad_option(r, letter == ':', arg);
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

/* Names of transports with commas between them: a bit for each one's place in
 * tp_all. NULL, or the first name that is unknown, with what follows it. */
static const char *read_list(const char *list, unsigned *listed)
{
    *listed = 0;
    for (;;) {
        size_t len = strcspn(list, ",");
        int i = 0;

        while (tp_all[i] && (strncmp(list, tp_all[i]->name, len) != 0 ||
                             tp_all[i]->name[len]))
            i++;
        if (!tp_all[i])
            return list;
        *listed |= 1u << i;
        if (!list[len])
            return NULL;
        list += len + 1;
    }
}

static int check_transports(struct reading *r, bool list)
{
    const char *given = r->transports ? r->transports : "socket";
    const char *bad = given;

    r->cli.transport = tp_find(given);
    if (list && (!r->transports || !strcmp(given, "all")))
        return 0; /* listed stays 0: all */
    if (list)
        bad = read_list(given, &r->cli.listed);
    else if (r->cli.transport)
        bad = NULL;
    if (!bad)
        return 0;
    return cmd_error(CMD_USAGE, "no transport '%.*s'; it must be %s",
                     (int)(list ? strcspn(bad, ",") : strlen(bad)), bad,
                     wanted('t'));
}

/* Too few or too many words behind the command. */
static int check_operands(const struct command *c, const struct cli *cli)
{
    const char *rest = c->operands;

    if (cli->operands > c->max)
        return cmd_error(CMD_USAGE,
                         "'%s' is one argument too many; usage: ipclab "
                         "%s%s%s%s",
                         cli->operand[c->max], c->name, *rest ? " " : "", rest,
                         c->max ? " (text with spaces needs quotes)" : "");
    for (int i = 0; i < cli->operands && *rest; i++) {
        rest += strcspn(rest, " ");
        rest += *rest == ' ';
    }
    return cli->operands < c->min
               ? cmd_error(CMD_USAGE, "missing %s; usage: ipclab %s %s", rest,
                           c->name, c->operands)
               : 0;
}

static int check(struct reading *r, const struct command *c)
{
    const char *letter = r->seen;

    letter += strspn(letter, c->options);
    if (*letter)
        return cmd_error(CMD_USAGE,
                         "%s takes no option --%s; see: ipclab %s --help",
                         c->name, option_name(*letter), c->name);
    if (check_operands(c, &r->cli))
        return CMD_USAGE;
    if (!tp_name_ok(r->cli.instance))
        return cmd_error(CMD_USAGE,
                         "--name '%s': an instance name has 1 to %d letters, "
                         "digits, '_' or '-' (A-Z a-z 0-9)",
                         r->cli.instance, TP_NAME_MAX);
    return check_transports(r, c->run == cmd_serve || c->run == cmd_clean);
}

static int dispatch(struct reading *r)
{
    const struct command *c = NULL;
    bool help = r->help;

    if (r->version)
        return puts("ipclab " VERSION) < 0 ? CMD_IO : CMD_OK;
    while (r->count > 0 && !strcmp(r->words[0], "help")) {
        help = true; /* "help add" is "add --help" */
        r->words++;
        r->count--;
    }
    if (r->count > 0) {
        c = find_command(r->words[0]);
        if (!c)
            return cmd_error(CMD_USAGE, "no command '%s'; see: ipclab --help",
                             r->words[0]);
    }
    if (help) {
        c ? help_of(c) : help_of_all();
        return CMD_OK;
    }
    if (!c) /* -t may have taken it for its value: then say so */
        return check_transports(r, true)
                   ? CMD_USAGE
                   : cmd_error(CMD_USAGE,
                               "no command given; see: ipclab --help");
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
