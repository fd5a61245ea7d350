/*
 * folder.h - one private folder for what the peers put on disk
 *
 *      $TMPDIR/ipcbench-peers-XXXXXX/     (/var/tmp without TMPDIR)
 *          zmq nng redis                  sockets
 *          events.db events.jsonl ...     data
 *
 * ipcbench makes it when the first peer asks for a file, and removes it with
 * all that is in it when it exits: it outlives its servers, so that even what
 * a killed one left goes. If ipcbench itself was killed, the next one that
 * makes a folder removes the old one. Runs come one after the other, so the
 * same names serve all of them.
 */
#ifndef BENCH_FOLDER_H
#define BENCH_FOLDER_H

#include <stddef.h>

#define FOLDER_PATH_MAX 100 /* fits into a socket's address (unix(7)) */

/*
 * The path of the file `name`; what an earlier run left under it is removed.
 * To be called before fork. 0, or -errno with one sentence in why[cap] (why
 * may be NULL).
 */
int folder_file(char path[FOLDER_PATH_MAX], const char *name, char *why,
                size_t cap);

/* Remove the folder and all in it, if this process made it. exit(3) does it;
 * a process that ends by _exit(2) calls it itself. */
void folder_remove(void);

#endif
