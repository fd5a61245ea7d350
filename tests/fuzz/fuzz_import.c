/*
 * fuzz_import.c - timetables from other programs (common/exchange.c)
 *
 * What the check of a file lets through must be fit for the store; written by
 * us and read again it must be the same events with the same tokens, or a
 * second import wouldn't be recognised.
 */
#define _POSIX_C_SOURCE 200809L
#include "events.h"

#include <errno.h>
#include <stdlib.h>

static void check_tokens(const struct exchange *x)
{
    for (size_t i = 0; i < x->count; i++)
        for (size_t k = 0; k < i; k++)
            MUST(x->tokens[k] != x->tokens[i]);
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
    MUST(exchange_parse(&back, text, len, why, sizeof why) == 0);
    MUST(back.note[0] == '\0');
    must_be_same(x, &back);
    exchange_free(&back);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[300] = "";
    struct exchange x;
    int err = exchange_parse(&x, (const char *)data, size, why, sizeof why);

    if (err == 0) {
        must_be_fit(&x);
        check_tokens(&x);
        write_and_back(&x);
    } else {
        MUST(err == -EBADMSG && why[0] != '\0');
    }
    exchange_free(&x);
    return 0;
}
