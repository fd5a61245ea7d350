/*
 * crash_traces.h - what the dead leave: names, objects, descriptors, events
 */
#ifndef IPCLAB_CRASH_TRACES_H
#define IPCLAB_CRASH_TRACES_H

#include "crash_cell.h"

/* A cell's folders in `home`, for names and for data. That of the names stays
 * the same one, whoever closes last: the names of queues and segments depend
 * on it. */
void make_folders(const char *home);

/* The path of a file in the cell's data folder. */
void data_path(char path[128], const char *name);

/* Removes, and counts, the queues and segments that stand under our names; of
 * a server that serves, those that aren't its own. */
unsigned crash_objects(bool serving, bool remove);

/* Names in the runtime folder that aren't those of the server that serves now
 * (if one does), and what else is left: how many. */
unsigned names_left(const struct scene *s, bool serving);

/* How many pipe ends a process has. */
int pipe_ends(pid_t pid);

/* Reads this store of the data folder as its next start would. */
struct tally take_stock(const char *name);

/* The same for a copy of the journal's first `size` bytes (< 0: all). */
struct tally take_stock_of_copy(long long size);

#endif
