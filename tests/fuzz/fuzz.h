/*
 * fuzz.h - what the fuzz targets share
 *
 * A target is one file with one function: it takes any bytes, hands them to
 * the lab's own code, and checks with MUST what has to hold for every input.
 * Each is used twice:
 *
 *   make fuzz   with libFuzzer (clang), which looks for inputs that reach new
 *               code; the interesting ones were kept in corpus/TARGET/
 *   make test   test_fuzz.c calls the target with every file of its corpus,
 *               and with many small changes of them. There a macro names the
 *               function of fuzz_NAME.c fuzz_NAME.
 */
#ifndef IPCLAB_FUZZ_H
#define IPCLAB_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The target of this file. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Something that must hold doesn't: says so and ends the process. */
_Noreturn void fuzz_failed(const char *file, int line, const char *what);

#define MUST(cond) ((cond) ? (void)0 : fuzz_failed(__FILE__, __LINE__, #cond))

/* A folder for a target's files, made by the first call; and its end. */
const char *fuzz_dir(void);
void fuzz_dir_remove(void);

/* ---- the input as a supply of numbers ------------------------------------- */

/* Used from the front. One that is used up gives zeros. */
struct supply {
    const uint8_t *at, *end;
};

static inline size_t supply_left(const struct supply *s)
{
    return (size_t)(s->end - s->at);
}

/* A number of `bytes` bytes, 8 at most. */
static inline uint64_t supply_number(struct supply *s, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes && s->at < s->end; i++)
        v |= (uint64_t)*s->at++ << 8 * i;
    return v;
}

static inline unsigned supply_byte(struct supply *s)
{
    return (unsigned)supply_number(s, 1);
}

/* Up to `len` bytes in a row; *got is how many. */
static inline const uint8_t *supply_bytes(struct supply *s, size_t len,
                                          size_t *got)
{
    const uint8_t *p = s->at;

    *got = len < supply_left(s) ? len : supply_left(s);
    s->at += *got;
    return p;
}

#endif
