/*
 * table_machine.c - where and how it was measured: the head of all results
 */
#include "table_parts.h"

#include <string.h>

/* "label:    the words", wrapped behind the labels. */
#define HANG 13

static void print_item(FILE *f, const char *label, const char *text)
{
    table_words(f, fprintf(f, "%-*s", HANG, label), HANG, text);
}

static void print_cpu(FILE *f, const struct machine *m)
{
    char text[TABLE_TEXT] = "";

    table_also(text, "%s", m->cpu[0] ? m->cpu : "unknown CPU");
    if (m->mhz > 0)
        table_also(text, "%d MHz", m->mhz);
    table_also(text, "%d CPU%s", m->cpus, m->cpus == 1 ? "" : "s");
    if (m->allowed < m->cpus)
        table_also(text, "%d of them ours", m->allowed);
    table_also(text, "SMT %s", m->smt ? "on" : "off");
    if (m->governor[0])
        table_also(text, "governor %s", m->governor);
    print_item(f, "CPU:", text);
}

static void print_system(FILE *f, const struct machine *m)
{
    char text[TABLE_TEXT] = "";

    table_also(text, "%s", m->kernel[0] ? m->kernel : "unknown kernel");
    if (strcmp(m->hypervisor, "yes") == 0)
        table_also(text, "in a virtual machine");
    else if (m->hypervisor[0])
        table_also(text, "in a virtual machine (%s)", m->hypervisor);
    if (m->container)
        table_also(text, "in a container");
    print_item(f, "system:", text);
    if (m->mitigations[0])
        print_item(f, "mitigations:", m->mitigations);
}

/* An earlier placement with the same two CPUs, or PLACE_COUNT. */
static unsigned twin_of(const struct spot *spots, unsigned i)
{
    for (unsigned k = 0; k < i; k++)
        if (spots[k].there && spots[k].client == spots[i].client &&
            spots[k].server == spots[i].server)
            return k;
    return PLACE_COUNT;
}

static void print_spots(FILE *f, const struct machine *m)
{
    char there[TABLE_TEXT] = "", absent[TABLE_TEXT] = "";

    for (unsigned i = 0; i < PLACE_COUNT; i++) {
        const struct spot *s = &m->spots[i];
        unsigned twin = twin_of(m->spots, i);

        if (i == PLACE_FREE)
            continue; /* every machine has it */
        if (!s->there)
            table_also(absent, "%s", place_names[i]);
        else if (twin < PLACE_COUNT)
            table_also(there, "%s = %s", place_names[i], place_names[twin]);
        else if (s->client == s->server)
            table_also(there, "%s = CPU %d", place_names[i], s->client);
        else
            table_also(there, "%s = client CPU %d + server CPU %d",
                       place_names[i], s->client, s->server);
    }
    print_item(f, "placement:", there);
    if (absent[0])
        table_words(f, fprintf(f, "%*snot here: ", HANG, ""), HANG, absent);
}

void table_machine(FILE *f, const struct machine *m)
{
    char text[TABLE_TEXT];

    print_cpu(f, m);
    print_system(f, m);
    print_spots(f, m);
    (void)snprintf(
        text, sizeof text,
        "%s, %.0f ns a reading; measuring costs %.0f ns a request, one "
        "reading of it inside p50, not subtracted",
        m->clock_source[0] ? m->clock_source : "unknown", m->clock_ns,
        m->harness_ns);
    print_item(f, "clock:", text);
    (void)snprintf(text, sizeof text,
                   "%.2f, %.2f, %.2f on %d CPU%s (averages of 1, 5, 15 "
                   "minutes)",
                   m->load[0], m->load[1], m->load[2], m->cpus,
                   m->cpus == 1 ? "" : "s");
    print_item(f, "load:", text);
}
