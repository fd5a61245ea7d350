/*
 * options.c - see options.h
 *
 * Lists are separated by commas. What can't be measured as it was asked for is
 * refused, never taken as something near it.
 */
#include "options.h"

#include "compare.h"
#include "peer.h"
#include "transport.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS_MAX 60000
#define SECONDS_MIN     0.01
#define SECONDS_MAX     1 /* more: by --runs; all samples are kept */
#define SLEEP_US_MAX    1000000
#define STALL_US_MAX    50000 /* ten times a second: half of the time */
#define RATE_MAX        10000000
#define EVENTS_MAX      1000000
#define EVENTS_LISTED   64 /* a list of LIST_HITS needs some around them */

struct parser {
    struct choice *ch;
    struct options *o;
    char *const *argv;
    char *why;
    const char *option; /* the one at hand */
    bool sized, waited; /* --size, --wait was given */
};

static int wrong(struct parser *ps, const char *text, const char *sentence)
{
    (void)snprintf(ps->why, CASE_WHY_MAX, "--%s %.60s: %s", ps->option, text,
                   sentence);
    return ORDER_USAGE;
}

/* ---- values ------------------------------------------------------------- */

static int whole(struct parser *ps, const char *text, unsigned long min,
                 unsigned long max, unsigned *out)
{
    char sentence[80], *end;
    unsigned long v;

    errno = 0;
    v = strtoul(text, &end, 10);
    *out = (unsigned)v;
    if (text[0] >= '0' && text[0] <= '9' && !*end && !errno && v >= min &&
        v <= max)
        return 0;
    (void)snprintf(sentence, sizeof sentence,
                   "a whole number from %lu to %lu is expected", min, max);
    return wrong(ps, text, sentence);
}

/* Written so that NAN fails. */
static int real(struct parser *ps, const char *text, double min, double max,
                const char *sentence, double *out)
{
    char *end;

    *out = strtod(text, &end);
    if (end == text || *end || !(*out >= min && *out <= max))
        return wrong(ps, text, sentence);
    return 0;
}

/* ---- lists -------------------------------------------------------------- */

/* Sets the bit of `text` among names[n], or all for "all". */
static int one_of(struct parser *ps, const char *text, const char *const *names,
                  unsigned n, unsigned *mask)
{
    char sentence[CASE_WHY_MAX] = "there are";
    size_t len = strlen(sentence);

    if (strcmp(text, "all") == 0) {
        *mask |= (1u << n) - 1;
        return 0;
    }
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            *mask |= 1u << i;
            return 0;
        }
        len += (size_t)snprintf(sentence + len, sizeof sentence - len, " %s,",
                                names[i]);
    }
    (void)snprintf(sentence + len, sizeof sentence - len, " and all");
    return wrong(ps, text, sentence);
}

static bool is_peer(const char *text)
{
    for (size_t i = 0; peer_names[i]; i++)
        if (strcmp(text, peer_names[i]) == 0)
            return true;
    return false;
}

static void add_transport(struct choice *ch, const char *name)
{
    for (size_t i = 0; i < ch->transport_count; i++)
        if (strcmp(name, ch->transports[i]) == 0)
            return; /* named twice, measured once */
    ch->transports[ch->transport_count++] = name;
}

static void add_usual(struct choice *ch)
{
    add_transport(ch, "none");
    for (size_t i = 0; tp_all[i]; i++)
        add_transport(ch, tp_all[i]->name);
}

static int one_transport(struct parser *ps, const char *text)
{
    if (strcmp(text, "all") == 0)
        add_usual(ps->ch);
    else if (strcmp(text, "none") == 0 || tp_find(text) || is_peer(text))
        add_transport(ps->ch, text);
    else
        return wrong(ps, text,
                     "unknown; there are pipe, fifo, mqueue, shm, socket, none "
                     "and, where installed, tcp, zmq, nng, redis, sqlite, "
                     "file");
    return 0;
}

static int one_wait(struct parser *ps, const char *text)
{
    ps->waited = true;
    return one_of(ps, text, wait_names, 3, &ps->ch->waits);
}

static int one_place(struct parser *ps, const char *text)
{
    return one_of(ps, text, place_names, PLACE_COUNT, &ps->ch->places);
}

static int one_sweep(struct parser *ps, const char *text)
{
    return one_of(ps, text, sweep_names, SWEEP_COUNT, &ps->ch->sweeps);
}

static int one_deadline(struct parser *ps, const char *text)
{
    unsigned ms;
    int err;

    if (strcmp(text, "none") == 0) {
        ps->ch->plain = true;
        return 0;
    }
    err = whole(ps, text, 1, DEADLINE_MS_MAX, &ms);
    if (err)
        return err;
    if (ps->ch->deadline_ms >= 0 && ps->ch->deadline_ms != (int)ms)
        return wrong(ps, text, "one deadline beside none can be measured");
    ps->ch->deadline_ms = (int)ms;
    return 0;
}

/* Cuts `text` at its commas, in place: each piece goes to `one`. */
static int list(struct parser *ps, char *text,
                int (*one)(struct parser *, const char *))
{
    int err = 0;

    while (text && !err) {
        char *comma = strchr(text, ',');

        if (comma)
            *comma++ = '\0';
        err = one(ps, text);
        text = comma;
    }
    return err;
}

static int operation(struct parser *ps, const char *text)
{
    for (unsigned i = 0; i < OP_COUNT; i++)
        if (strcmp(text, op_names[i]) == 0) {
            ps->ch->op = (enum op)i;
            return 0;
        }
    return wrong(ps, text, "get, echo, raw, list or add is expected");
}

/* ---- the options -------------------------------------------------------- */

/* Also their values for getopt_long. */
enum {
    OPT_CLIENTS = 256,
    OPT_DEPTH,
    OPT_THINK,
    OPT_WORK,
    OPT_STALL,
    OPT_RATE,
    OPT_SYNC,
    OPT_SWEEP,
    OPT_NO_WHY,
    OPT_DRY_RUN,
    OPT_COMPARE,
    OPT_THRESHOLD
};

static const struct option known[] = {
    {"transports", required_argument, NULL, 't'},
    {"wait", required_argument, NULL, 'w'},
    {"place", required_argument, NULL, 'p'},
    {"op", required_argument, NULL, 'o'},
    {"deadline", required_argument, NULL, 'd'},
    {"size", required_argument, NULL, 's'},
    {"clients", required_argument, NULL, OPT_CLIENTS},
    {"depth", required_argument, NULL, OPT_DEPTH},
    {"think", required_argument, NULL, OPT_THINK},
    {"work", required_argument, NULL, OPT_WORK},
    {"stall", required_argument, NULL, OPT_STALL},
    {"rate", required_argument, NULL, OPT_RATE},
    {"sync", no_argument, NULL, OPT_SYNC},
    {"sweep", required_argument, NULL, OPT_SWEEP},
    {"seconds", required_argument, NULL, 'S'},
    {"runs", required_argument, NULL, 'r'},
    {"events", required_argument, NULL, 'e'},
    {"no-why", no_argument, NULL, OPT_NO_WHY},
    {"dry-run", no_argument, NULL, OPT_DRY_RUN},
    {"json", required_argument, NULL, 'j'},
    {"compare", required_argument, NULL, OPT_COMPARE},
    {"threshold", required_argument, NULL, OPT_THRESHOLD},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int size_of(struct parser *ps, const char *text)
{
    unsigned v;
    int err = whole(ps, text, 1, 1024 * 1024, &v);

    ps->ch->size = v;
    ps->sized = true;
    return err;
}

static int file_name(struct parser *ps, const char *text, const char **out)
{
    *out = text;
    return *text ? 0 : wrong(ps, text, "a file is expected");
}

/* What a condition of the cases is. */
static int take_condition(struct parser *ps, int option, char *arg)
{
    struct choice *ch = ps->ch;

    switch (option) {
    case 't': return list(ps, arg, one_transport);
    case 'w': return list(ps, arg, one_wait);
    case 'p': return list(ps, arg, one_place);
    case 'd': return list(ps, arg, one_deadline);
    case 'o': return operation(ps, arg);
    case 's': return size_of(ps, arg);
    case 'e': return whole(ps, arg, 1, EVENTS_MAX, &ch->events);
    case OPT_CLIENTS: return whole(ps, arg, 1, TP_CLIENTS_MAX, &ch->clients);
    case OPT_DEPTH: return whole(ps, arg, 1, TP_DEPTH_MAX, &ch->depth);
    case OPT_THINK: return whole(ps, arg, 0, SLEEP_US_MAX, &ch->think_us);
    case OPT_WORK: return whole(ps, arg, 0, SLEEP_US_MAX, &ch->work_us);
    case OPT_STALL: return whole(ps, arg, 0, STALL_US_MAX, &ch->stall_us);
    case OPT_RATE:
        return real(ps, arg, 1, RATE_MAX,
                    "requests a second, 1 to 10000000, are expected",
                    &ch->rate);
    default: ch->sync = true; return 0;
    }
}

static int take(struct parser *ps, int option, char *arg)
{
    struct choice *ch = ps->ch;

    switch (option) {
    case 'S':
        return real(ps, arg, SECONDS_MIN, SECONDS_MAX,
                    "seconds from 0.01 to 1 are expected; for more, --runs",
                    &ch->seconds);
    case 'r': return whole(ps, arg, 1, PLAN_RUNS_MAX, &ch->runs);
    case 'j': return file_name(ps, arg, &ch->json);
    case OPT_SWEEP: return list(ps, arg, one_sweep);
    case OPT_NO_WHY: ch->count = false; return 0;
    case OPT_DRY_RUN: ch->dry_run = true; return 0;
    case OPT_COMPARE:
        /* It has two values; getopt knows of one. */
        ps->o->now = ps->argv[optind];
        optind += ps->o->now != NULL;
        return file_name(ps, arg, &ps->o->base);
    case OPT_THRESHOLD:
        return real(ps, arg, 0, 1000, "percent from 0 to 1000 are expected",
                    &ps->o->threshold);
    default: return take_condition(ps, option, arg);
    }
}

/* ---- the whole ---------------------------------------------------------- */

static void set_defaults(struct parser *ps)
{
    struct choice *ch = ps->ch;

    if (ch->transport_count == 0)
        add_usual(ch);
    if (!ch->waits)
        ch->waits = 1u << TP_BLOCK;
    if (!ps->waited && ch->clients == 1)
        ch->waits |= 1u << TP_SPIN;
    if (!ch->places)
        ch->places = 1u << PLACE_SAME | 1u << PLACE_CROSS;
    if (!ch->sweeps)
        ch->sweeps = 1u << SWEEP_BASE;
    if (!ps->sized && ch->op == OP_LIST)
        ch->size = LIST_SIZE;
    if (!ps->sized && ch->op == OP_ADD)
        op_sizes(OP_ADD, &ch->size, &ch->size);
    if (ch->plain || ch->deadline_ms >= 0)
        return;
    ch->plain = true;
    if (ch->clients == 1 && ch->depth == 1 && ch->rate == 0)
        ch->deadline_ms = CASE_DEADLINE_MS;
}

static int wrong_size(struct parser *ps, const char *tail, size_t min,
                      size_t max)
{
    char text[24], sentence[100];

    ps->option = "size";
    (void)snprintf(text, sizeof text, "%zu", ps->ch->size);
    (void)snprintf(sentence, sizeof sentence,
                   "a reply to %s has %zu to %zu bytes%s", op_names[ps->ch->op],
                   min, max, tail);
    return wrong(ps, text, sentence);
}

/* Some of the chosen may be too small: that is a result. All: a mistake. */
static int check_size(struct parser *ps)
{
    struct choice *ch = ps->ch;
    size_t min, max, most = 0;

    op_sizes(ch->op, &min, &max);
    if (ch->size < min || ch->size > max)
        return wrong_size(ps, "", min, max);
    if (ch->op == OP_LIST && (ch->size - min) % LIST_HITS != 0)
        return wrong_size(ps, ", in steps of 36", min, max);
    for (size_t i = 0; i < ch->transport_count; i++) {
        const struct transport *t = tp_find(ch->transports[i]);
        size_t carries = t ? t->max_msg : SIZE_MAX;

        most = carries > most ? carries : most;
    }
    return ch->size > most
               ? wrong_size(ps, ", and no chosen mechanism carries as many",
                            min, most < max ? most : max)
               : 0;
}

/* What only the whole command line can tell. */
static int check(struct parser *ps)
{
    struct choice *ch = ps->ch;

    ps->option = "rate";
    if (ch->rate > 0 && (ch->depth > 1 || ch->think_us > 0))
        return wrong(ps, "",
                     "requests come at their own times: not with "
                     "--depth or --think");
    ps->option = "depth";
    if (ch->depth > 1 && (ch->op != OP_GET && ch->op != OP_RAW))
        return wrong(ps, "", "more than one in flight with get or raw only");
    if (ch->depth > 1 && ch->think_us > 0)
        return wrong(ps, "", "requests follow each other: not with --think");
    ps->option = "events";
    if (ch->op == OP_LIST && ch->events < EVENTS_LISTED)
        return wrong(ps, "", "a list needs 64 or more");
    ps->option = "deadline";
    if (!ch->plain && ch->waits == 1u << TP_SPIN)
        return wrong(ps, "", "spinning is measured without a deadline");
    ps->option = "sync";
    if (ch->sync && ch->op != OP_ADD)
        return wrong(ps, "", "only --op add changes anything");
    return check_size(ps);
}

static int two_files(struct parser *ps, int argc)
{
    ps->option = "compare";
    if (!ps->o->now || optind != argc)
        return wrong(ps, ps->o->base, "a second file is expected: OLD NEW");
    return ORDER_COMPARE;
}

static int parse_all(struct parser *ps, int argc, char **argv)
{
    int option, which = 0, err = 0;
    const char *arg;

    /* '+': it stops at the first word, which is one too many. */
    while (!err &&
           (arg = argv[optind ? optind : 1],
            option = getopt_long(argc, argv, "+h", known, &which)) != -1) {
        if (option == 'h')
            return ORDER_HELP;
        ps->option = known[which].name;
        if (option == '?') {
            const char letter[] = {'-', (char)optopt, '\0'};

            (void)snprintf(ps->why, CASE_WHY_MAX,
                           "%.80s: an unknown option, or "
                           "one without its value",
                           strncmp(arg, "--", 2) == 0 ? arg : letter);
            return ORDER_USAGE;
        }
        err = take(ps, option, optarg);
    }
    if (err)
        return ORDER_USAGE;
    if (ps->o->base)
        return two_files(ps, argc);
    if (optind < argc) {
        (void)snprintf(ps->why, CASE_WHY_MAX, "%.80s: an option is expected",
                       argv[optind]);
        return ORDER_USAGE;
    }
    set_defaults(ps);
    return check(ps) ? ORDER_USAGE : ORDER_MEASURE;
}

enum order options_parse(struct options *o, int argc, char **argv,
                         char why[CASE_WHY_MAX])
{
    struct parser ps = {.ch = &o->choice, .o = o, .argv = argv, .why = why};

    *o = (struct options){.threshold = COMPARE_THRESHOLD,
                          .choice = {.deadline_ms = -1,
                                     .size = 128,
                                     .clients = 1,
                                     .depth = 1,
                                     .events = CASE_EVENTS,
                                     .runs = 9,
                                     .seconds = 0.06,
                                     .count = true}};
    optind = 0; /* glibc: start afresh, for a second parse in a test */
    opterr = 0;
    return (enum order)parse_all(&ps, argc, argv);
}

bool options_fit(const struct choice *ch, const struct machine *m,
                 char why[CASE_WHY_MAX])
{
    unsigned spinners = ch->clients + 1;
    bool busy = ch->waits >> TP_SPIN & 1 || ch->rate > 0;
    /* Else all clients share one CPU. */
    bool apart = ch->places == 1u << PLACE_FREE;

    /* One pair on one CPU is the counter-example, and on purpose. */
    if (!busy || ch->clients == 1 ||
        (spinners <= (unsigned)m->allowed && apart))
        return true;
    (void)snprintf(why, CASE_WHY_MAX,
                   "--clients %u: %u processes would spin, and %d CPU%s may "
                   "be used here; they would wait for each other's time "
                   "slices. Choose --wait block without --rate, or fewer "
                   "clients and --place free",
                   ch->clients, spinners, m->allowed,
                   m->allowed == 1 ? "" : "s");
    return false;
}

void options_help(FILE *f)
{
    (void)fputs(
        "usage: ipcbench [OPTION VALUE]...\n"
        "       ipcbench --compare OLD.json NEW.json [--threshold PERCENT, "
        "usually 10]\n"
        "What a round trip costs, by mechanism and condition. LIST: values "
        "with commas between.\n"
        "  --transports LIST  pipe fifo mqueue shm socket none    [these six]\n"
        "                     tcp zmq nng redis sqlite file, where installed\n"
        "  --wait LIST        block spin adapt                    "
        "[block,spin]\n"
        "  --place LIST       same cross smt cache package free   "
        "[same,cross]\n"
        "  --op OP            get echo raw list add               [get]\n"
        "  --deadline LIST    none, or milliseconds               "
        "[none,1000]\n"
        "  --size BYTES       of the whole reply                  [128]\n"
        "  --clients N  --depth N   clients; requests in flight   [1, 1]\n"
        "  --think US         a client sleeps before each request [0]\n"
        "  --work US          the server computes for each        [0]\n"
        "  --stall US         the server stops, ten times a second [0]\n"
        "  --rate N           open loop: so many requests a second [closed]\n"
        "  --events N         in the store                        [1000]\n"
        "  --sync             add: on disk before the reply\n"
        "  --sweep LIST       base size clients depth think work rate sync "
        "events peers [base]\n"
        "  --seconds S        measured in each run, up to 1       [0.06]\n"
        "  --runs N           each in fresh processes             [9]\n"
        "  --no-why           don't count system calls, don't take costs "
        "apart\n"
        "  --dry-run          print the plan and its length only\n"
        "  --json FILE.json   results; FILE.csv, .md and .html beside it\n"
        "Exit: 0; 1 a measurement failed, or a comparison found something "
        "worse; 64 usage; 65 results\nthat aren't ours to compare; 73, 74 "
        "can't write or read a file; 130 interrupted.\n",
        f);
}
