/*
 * table_noise.c - are these numbers to be trusted?
 */
#include "table_parts.h"

#define NAMES_MOST 5 /* cases named; the others are counted */

static bool two_modes(const struct summary *v)
{
    return v->two_modes;
}

/* The first cases of which `odd` is true, by name. Returns how many in all. */
static size_t odd_cases(char list[TABLE_TEXT * 2], const struct plan *p,
                        bool (*odd)(const struct summary *), bool percent)
{
    size_t n = 0, at = 0, cap = TABLE_TEXT * 2;

    list[0] = '\0';
    for (size_t i = 0; i < p->count; i++) {
        char name[CASE_NAME_MAX];
        struct summary v;

        if (!table_measured(&p->rows[i]) || plan_jumps(&p->rows[i]))
            continue;
        plan_summary(&v, p, &p->rows[i]);
        if (!odd(&v) || ++n > NAMES_MOST)
            continue;
        plan_name(name, &p->rows[i]);
        at += (size_t)snprintf(list + at, cap - at, "%s%s", n > 1 ? ", " : "",
                               name);
        if (percent && at < cap)
            at += (size_t)snprintf(list + at, cap - at, " (%+.0f%%)",
                                   100 * (v.drift - 1));
        at = at < cap ? at : cap - 1;
    }
    return n;
}

static void print_odd(const struct sheet *s, const char *what,
                      bool (*odd)(const struct summary *), bool percent)
{
    char list[TABLE_TEXT * 2];
    size_t n = odd_cases(list, s->p, odd, percent);

    if (n > NAMES_MOST)
        table_say(s->f, "%s: %s and %zu more", what, list, n - NAMES_MOST);
    else if (n > 0)
        table_say(s->f, "%s: %s", what, list);
}

void table_noise(const struct sheet *s, const struct machine *m)
{
    char text[TABLE_TEXT];
    bool noisy = plan_noise(text, sizeof text, s->p, m);

    if (noisy)
        table_title(s, "%s", text);
    else
        (void)fprintf(s->f, "\n");
    if (!noisy)
        table_words(s->f, 0, 2, text);
    print_odd(s,
              "Drifted by more than 10 % between the first third of a run "
              "and the last",
              plan_drifted, true);
    print_odd(s,
              "Two modes (the runs fall into two groups, and p50 is the "
              "luck of which)",
              two_modes, false);
    if (noisy)
        table_say(s->f,
                  "What helps: end other programs, plug in the power supply, "
                  "choose the governor performance where there is one, take "
                  "more --runs, and measure again. CPU time that was stolen "
                  "went to other virtual machines: only another hour or "
                  "another machine helps.");
}
