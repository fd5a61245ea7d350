/*
 * folder.c - a folder for a target's files; see fuzz.h
 */
#define _POSIX_C_SOURCE 200809L
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[64];

/* In FUZZ_DIR, which somebody else removes: a target that is killed or misses
 * its time limit can't. Else in memory where that is possible: a target writes
 * its files for each input, and a disk would take longer than the rest of it. */
const char *fuzz_dir(void)
{
    const char *places[] = {getenv("FUZZ_DIR"), "/dev/shm", "/tmp"};

    for (size_t i = 0; dir[0] == '\0' && i < 3; i++) {
        if (places[i] == NULL)
            continue;
        (void)snprintf(dir, sizeof dir, "%s/ipclab-fuzz-XXXXXX", places[i]);
        if (mkdtemp(dir) == NULL)
            dir[0] = '\0';
    }
    MUST(dir[0] != '\0');
    return dir;
}

void fuzz_dir_remove(void)
{
    static const char *const left[] = {"journal", "journal.lock",
                                       "journal.compacting"};
    char file[sizeof dir + 16];

    if (dir[0] == '\0')
        return;
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        (void)snprintf(file, sizeof file, "%s/%s", dir, left[i]);
        (void)unlink(file); /* as a rule it isn't there */
    }
    (void)rmdir(dir); /* a leftover is no reason to complain */
    dir[0] = '\0';
}
