/*
 * fuzz_ics.c - calendars from other programs (common/ics_*.c)
 *
 * Whatever comes in: events that are fit for the store, or a sentence that
 * names a line of the file. What we write of them must be read back as the
 * same events with the same tokens, and leave nothing out.
 */
#define _POSIX_C_SOURCE 200809L
#include "events.h"

#include "ics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct ics_opts all = {1795348800, EVENT_TIME_MIN, EVENT_TIME_MAX};

static void check_sentence(const char *why, const uint8_t *data, size_t size)
{
    size_t line = 0, lines = 1;

    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    MUST(sscanf(why, "line %zu: ", &line) == 1);
    MUST(line >= 1 && line <= lines);
}

static void write_and_back(const struct exchange *x)
{
    char *text = NULL, why[300];
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct exchange back;

    MUST(out != NULL);
    for (size_t i = 0; i < x->count; i++)
        x->events[i].id = (uint32_t)i + 1; /* as a store would: for the UIDs */
    ics_write(out, x->events, x->count, "fuzz", all.now);
    MUST(fclose(out) == 0);
    MUST(ics_is(text, len));
    MUST(ics_parse(&back, text, len, &all, why, sizeof why) == 0);
    MUST(back.notes[0] == '\0');
    must_be_same(x, &back);
    exchange_free(&back);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[300] = "";
    struct exchange x;
    int err = ics_parse(&x, (const char *)data, size, &all, why, sizeof why);

    if (err == 0) {
        must_be_fit(&x);
        write_and_back(&x);
    } else {
        MUST(err == -EBADMSG && x.count == 0);
        check_sentence(why, data, size);
    }
    exchange_free(&x);
    return 0;
}
