/*
 * libfuzzer.c - the other half of fuzz.h under libFuzzer
 *
 * Its own main() comes from -fsanitize=fuzzer. An abort is what it takes for a
 * finding; it then keeps the input in a file.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

/* libFuzzer calls it once, before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    return atexit(fuzz_dir_remove);
}

_Noreturn void fuzz_failed(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "%s:%d: must hold: %s\n", file, line, what);
    fuzz_dir_remove();
    abort();
}
