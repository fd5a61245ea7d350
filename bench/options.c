/*
 * options.c - see options.h
 *
 * Lists are separated by commas. What this benchmark can't measure yet is
 * refused, never taken as something near it.
 */
#include "options.h"

#include "transport.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS     1000
#define DEADLINE_MS_MAX 60000
#define SECONDS_MIN     0.01
#define SECONDS_MAX     1 /* more: by --runs; all samples are kept */

struct parser {
    struct choice *ch;
    char *why;
    const char *option; /* the one at hand */
};

static int wrong(struct parser *ps, const char *text, const char *sentence)
{
    (void)snprintf(ps->why, CASE_WHY_MAX, "--%s %.60s: %s", ps->option, text,
                   sentence);
    return OPTIONS_USAGE;
}

/* ---- values ------------------------------------------------------------- */

static int whole(struct parser *ps, const char *text, unsigned long min,
                 unsigned long max, unsigned long *v)
{
    char sentence[80], *end;

    errno = 0;
    *v = strtoul(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && !*end && !errno && *v >= min &&
        *v <= max)
        return OPTIONS_GO;
    (void)snprintf(sentence, sizeof sentence,
                   "a whole number from %lu to %lu is expected", min, max);
    return wrong(ps, text, sentence);
}

/* Written so that NAN fails. */
static int seconds(struct parser *ps, const char *text)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end || !(v >= SECONDS_MIN && v <= SECONDS_MAX))
        return wrong(ps, text,
                     "seconds from 0.01 to 1 are expected; for more, --runs");
    ps->ch->seconds = v;
    return OPTIONS_GO;
}

/* The number of `text` among names[n], or -1. */
static int index_of(const char *text, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return -1;
}

/* ---- lists -------------------------------------------------------------- */

static int one_transport(struct parser *ps, const char *text)
{
    struct choice *ch = ps->ch;

    if (strcmp(text, "none") != 0 && !tp_find(text))
        return wrong(ps, text,
                     "unknown; there are pipe, fifo, mqueue, shm, socket and "
                     "none");
    for (size_t i = 0; i < ch->transport_count; i++)
        if (strcmp(text, ch->transports[i]) == 0)
            return OPTIONS_GO; /* named twice, measured once */
    ch->transports[ch->transport_count++] = text;
    return OPTIONS_GO;
}

static int one_wait(struct parser *ps, const char *text)
{
    static const char *const names[] = {"block", "spin", "adapt"};
    int i = index_of(text, names, 3);

    if (i < 0)
        return wrong(ps, text, "block, spin or adapt is expected");
    ps->ch->waits |= 1u << i;
    return OPTIONS_GO;
}

static int one_place(struct parser *ps, const char *text)
{
    static const char *const names[] = {"same", "cross"};
    int i = index_of(text, names, 2);

    if (i < 0)
        return wrong(ps, text, "same or cross is expected");
    ps->ch->places |= 1u << i;
    return OPTIONS_GO;
}

static int one_deadline(struct parser *ps, const char *text)
{
    unsigned long ms;
    int err;

    if (strcmp(text, "none") == 0) {
        ps->ch->plain = true;
        return OPTIONS_GO;
    }
    err = whole(ps, text, 1, DEADLINE_MS_MAX, &ms);
    if (err)
        return err;
    if (ps->ch->deadline_ms >= 0 && ps->ch->deadline_ms != (int)ms)
        return wrong(ps, text, "one deadline beside none can be measured");
    ps->ch->deadline_ms = (int)ms;
    return OPTIONS_GO;
}

/* Cuts `text` at its commas, in place: each piece goes to `one`. */
static int list(struct parser *ps, char *text,
                int (*one)(struct parser *, const char *))
{
    int err = OPTIONS_GO;

    while (text && !err) {
        char *comma = strchr(text, ',');

        if (comma)
            *comma++ = '\0';
        err = one(ps, text);
        text = comma;
    }
    return err;
}

/* ---- the options -------------------------------------------------------- */

static int operation(struct parser *ps, const char *text)
{
    static const char *const names[] = {"get", "echo"};
    int i = index_of(text, names, OP_COUNT);

    if (i < 0)
        return wrong(ps, text, "get or echo is expected");
    ps->ch->op = (enum op)i;
    return OPTIONS_GO;
}

/* More than one isn't measured yet: no number is better than a wrong one. */
static int only_one(struct parser *ps, const char *text)
{
    unsigned long v;
    int err = whole(ps, text, 1, TP_CLIENTS_MAX, &v);

    return err || v == 1 ? err : wrong(ps, text, "only 1 can be measured yet");
}

static const struct option known[] = {
    {"transports", required_argument, NULL, 't'},
    {"wait", required_argument, NULL, 'w'},
    {"place", required_argument, NULL, 'p'},
    {"op", required_argument, NULL, 'o'},
    {"deadline", required_argument, NULL, 'd'},
    {"size", required_argument, NULL, 's'},
    {"clients", required_argument, NULL, 'c'},
    {"depth", required_argument, NULL, 'q'},
    {"seconds", required_argument, NULL, 'S'},
    {"runs", required_argument, NULL, 'r'},
    {"events", required_argument, NULL, 'e'},
    {"json", required_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int take(struct parser *ps, int option, char *arg)
{
    struct choice *ch = ps->ch;
    unsigned long v = 0;
    int err = OPTIONS_GO;

    switch (option) {
    case 't': return list(ps, arg, one_transport);
    case 'w': return list(ps, arg, one_wait);
    case 'p': return list(ps, arg, one_place);
    case 'd': return list(ps, arg, one_deadline);
    case 'o': return operation(ps, arg);
    case 'c':
    case 'q': return only_one(ps, arg);
    case 'S': return seconds(ps, arg);
    case 'j': ch->json = arg; return *arg ? err : wrong(ps, arg, "a file");
    case 's':
        err = whole(ps, arg, 1, 1024 * 1024, &v);
        ch->size = v;
        return err;
    case 'r':
        err = whole(ps, arg, 1, PLAN_RUNS_MAX, &v);
        ch->runs = (unsigned)v;
        return err;
    default:
        err = whole(ps, arg, 1, 1000000, &v);
        ch->events = (unsigned)v;
        return err;
    }
}

static void set_defaults(struct choice *ch)
{
    if (ch->transport_count == 0) {
        ch->transports[ch->transport_count++] = "none";
        for (size_t i = 0; tp_all[i]; i++)
            ch->transports[ch->transport_count++] = tp_all[i]->name;
    }
    if (!ch->waits)
        ch->waits = 1u << TP_BLOCK | 1u << TP_SPIN;
    if (!ch->places)
        ch->places = 1u << PLACE_SAME | 1u << PLACE_CROSS;
    if (!ch->plain && ch->deadline_ms < 0) {
        ch->plain = true;
        ch->deadline_ms = DEADLINE_MS;
    }
}

/* What only the whole command line can tell. */
static int check(struct parser *ps)
{
    struct choice *ch = ps->ch;
    char text[24], sentence[100];
    size_t min, max;

    op_sizes(ch->op, &min, &max);
    if (ch->size < min || ch->size > max) {
        ps->option = "size";
        (void)snprintf(text, sizeof text, "%zu", ch->size);
        (void)snprintf(sentence, sizeof sentence,
                       "a reply to %s has %zu to %zu bytes", op_name(ch->op),
                       min, max);
        return wrong(ps, text, sentence);
    }
    if (!ch->plain && ch->waits == 1u << TP_SPIN) {
        ps->option = "deadline";
        return wrong(ps, "", "spinning is measured without a deadline");
    }
    return OPTIONS_GO;
}

int options_parse(struct choice *ch, int argc, char **argv,
                  char why[CASE_WHY_MAX])
{
    struct parser ps = {.ch = ch, .why = why};
    int option, which = 0, err = OPTIONS_GO;
    const char *arg;

    *ch = (struct choice){.deadline_ms = -1,
                          .size = 128,
                          .clients = 1,
                          .depth = 1,
                          .events = 1000,
                          .runs = 6,
                          .seconds = 0.12};
    optind = 0; /* glibc: start afresh, for a second parse in a test */
    opterr = 0;
    /* '+': it stops at the first word, which is one too many. */
    while (!err &&
           (arg = argv[optind ? optind : 1],
            option = getopt_long(argc, argv, "+h", known, &which)) != -1) {
        if (option == 'h')
            return OPTIONS_HELP;
        ps.option = known[which].name;
        if (option == '?') {
            const char letter[] = {'-', (char)optopt, '\0'};

            (void)snprintf(why, CASE_WHY_MAX,
                           "%.80s: an unknown option, or "
                           "one without its value",
                           strncmp(arg, "--", 2) == 0 ? arg : letter);
            return OPTIONS_USAGE;
        }
        err = take(&ps, option, optarg);
    }
    if (!err && optind < argc) {
        (void)snprintf(why, CASE_WHY_MAX, "%.80s: an option is expected",
                       argv[optind]);
        return OPTIONS_USAGE;
    }
    if (err)
        return err;
    set_defaults(ch);
    return check(&ps);
}

void options_help(FILE *f)
{
    (void)fputs(
        "usage: ipcbench [OPTION VALUE]...\n"
        "What a round trip costs, by mechanism and condition. LIST: values "
        "with commas between.\n"
        "  --transports LIST  pipe fifo mqueue shm socket none    [all]\n"
        "  --wait LIST        block spin adapt                    "
        "[block,spin]\n"
        "  --place LIST       same cross: on one CPU, on two      "
        "[same,cross]\n"
        "  --op OP            get echo                            [get]\n"
        "  --deadline LIST    none, or milliseconds               "
        "[none,1000]\n"
        "  --size BYTES       of the whole reply                  [128]\n"
        "  --clients 1  --depth 1                                 [1, 1]\n"
        "  --seconds S        measured in each run, up to 1       [0.12]\n"
        "  --runs N           each in fresh processes             [6]\n"
        "  --events N         in the store                        [1000]\n"
        "  --json FILE.json   results; FILE.csv and FILE.md beside it\n"
        "Exit: 0; 1 a measurement failed; 64 usage; 73, 74 can't write the "
        "results; 130 interrupted.\n",
        f);
}
