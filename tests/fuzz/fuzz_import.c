/*
 * fuzz_import.c - timetables from other programs (common/exchange.c)
 *
 * What the check of a file lets through must be fit for the store; written by
 * us and read again it must be the same events with the same tokens, or a
 * second import wouldn't be recognised.
 */
#define _POSIX_C_SOURCE 200809L
#include "fuzz.h"

#include "exchange.h"

#include <errno.h>
#include <stdlib.h>

/* Reads a text as a file: exchange_read's result. */
static int read_text(struct exchange *x, const void *text, size_t len,
                     char *why, size_t cap)
{
    static char nothing;
    FILE *in = fmemopen(len > 0 ? (void *)(uintptr_t)text : &nothing,
                        len > 0 ? len : 1, "r");
    int err;

    MUST(in != NULL);
    if (len == 0)
        (void)getc(in); /* fmemopen(3) wants one byte at least */
    err = exchange_read(x, in, why, cap);
    (void)fclose(in); /* only read */
    return err;
}

static void check_events(const struct exchange *x)
{
    for (size_t i = 0; i < x->count; i++) {
        const struct event *ev = &x->events[i];

        MUST(strlen(ev->title) == ev->title_len);
        MUST(event_title_check(ev->title, ev->title_len) == 0);
        MUST(!event_title_blank(ev->title, ev->title_len));
        MUST(event_times_check(ev->start, ev->end) == 0);
        MUST(exchange_title_fault(ev->title) == NULL);
        MUST(exchange_times_fault(ev->start, ev->end) == NULL);
        MUST(ev->id == 0 && ev->rev == 0 && x->tokens[i] != 0);
        for (size_t k = 0; k < i; k++)
            MUST(x->tokens[k] != x->tokens[i]);
    }
}

static void write_and_back(const struct exchange *x)
{
    char *text = NULL, why[300];
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct exchange back;

    MUST(out != NULL);
    exchange_write(out, x->events, x->count, x->count % 2 == 0);
    MUST(fclose(out) == 0);
    MUST(read_text(&back, text, len, why, sizeof why) == 0);
    MUST(back.count == x->count && back.note[0] == '\0');
    for (size_t i = 0; i < x->count; i++) {
        MUST(strcmp(back.events[i].title, x->events[i].title) == 0);
        MUST(back.events[i].start == x->events[i].start);
        MUST(back.events[i].end == x->events[i].end);
        MUST(back.tokens[i] == x->tokens[i]);
    }
    exchange_free(&back);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[300] = "";
    struct exchange x;
    int err = read_text(&x, data, size, why, sizeof why);

    if (err == 0) {
        check_events(&x);
        write_and_back(&x);
    } else {
        MUST(err == -EBADMSG && why[0] != '\0');
    }
    exchange_free(&x);
    return 0;
}
