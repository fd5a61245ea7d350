/*
 * shelf.h - the page's files, in memory
 *
 * They are read once, when the gateway starts: what isn't on the shelf can't
 * be asked for, so no path from outside ever reaches open(2).
 *
 * Rests on: opendir(3), readdir(3), fopen(3).
 */
#ifndef IPCLAB_WEB_SHELF_H
#define IPCLAB_WEB_SHELF_H

#include "door.h"

#define SHELF_MAX      32                               /* files */
#define SHELF_FILE_MAX (1 << 20)                        /* bytes of one */
#define SHELF_SCRIPT   "text/javascript; charset=utf-8" /* a type */

struct shelf_file {
    char path[64];    /* "/style.css"; index.html is "/" */
    const char *type; /* constant */
    char *bytes;      /* the shelf's */
    size_t len;
};

struct shelf {
    struct shelf_file file[SHELF_MAX];
    size_t count;
};

/* Read every .html .css .js .svg file of the folder `dir`. 0; -ENOENT: there
 * is no such folder, or no index.html in it; or what reading gave. The caller
 * calls shelf_empty in any case. */
int shelf_fill(struct shelf *s, const char *dir);

/* Free them. An empty one may be all zero. */
void shelf_empty(struct shelf *s);

/* The file under this path, the shelf's; or NULL. */
const struct shelf_file *shelf_find(const struct shelf *s, const char *path);

/* What each of them takes. */
extern const struct door_path shelf_takes;

#endif
