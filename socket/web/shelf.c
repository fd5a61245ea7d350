/*
 * shelf.c - see shelf.h
 */
#include "shelf.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct door_path shelf_takes = {"GET, HEAD", 0, false};

static const char *type_of(const char *name)
{
    static const struct {
        const char *suffix, *type;
    } types[] = {{".html", "text/html; charset=utf-8"},
                 {".css", "text/css; charset=utf-8"},
                 {".js", SHELF_SCRIPT},
                 {".svg", "image/svg+xml"}};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (!strcmp(dot, types[i].suffix))
            return types[i].type;
    return NULL;
}

static int read_file(struct shelf_file *f, const char *path)
{
    FILE *in = fopen(path, "r");
    int err = 0;

    if (!in)
        return -errno;
    f->bytes = malloc(SHELF_FILE_MAX);
    if (f->bytes) {
        f->len = fread(f->bytes, 1, SHELF_FILE_MAX, in);
        err = ferror(in) ? -EIO : f->len == SHELF_FILE_MAX ? -EFBIG : 0;
    }
    (void)fclose(in); /* only read */
    return f->bytes ? err : -ENOMEM;
}

static int add_file(struct shelf *s, const char *dir, const char *name)
{
    const char *type = type_of(name);
    char path[512];
    struct shelf_file *f = &s->file[s->count];

    if (!type || name[0] == '.')
        return 0;
    if (s->count == SHELF_MAX ||
        snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path ||
        snprintf(f->path, sizeof f->path, "/%s", name) >= (int)sizeof f->path)
        return -ENAMETOOLONG;
    if (!strcmp(name, "index.html"))
        f->path[1] = '\0';
    f->type = type;
    s->count++; /* also when it fails: shelf_empty frees it */
    return read_file(f, path);
}

int shelf_fill(struct shelf *s, const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int err = 0;

    *s = (struct shelf){0};
    if (!d)
        return -errno;
    /* NULL is the end, or an error if errno says so. */
    while (err == 0 && (errno = 0, e = readdir(d)))
        err = add_file(s, dir, e->d_name);
    if (err == 0)
        err = -errno;
    (void)closedir(d); /* only read */
    if (err == 0 && !shelf_find(s, "/"))
        err = -ENOENT;
    return err;
}

void shelf_empty(struct shelf *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->file[i].bytes);
    *s = (struct shelf){0};
}

const struct shelf_file *shelf_find(const struct shelf *s, const char *path)
{
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->file[i].path, path))
            return &s->file[i];
    return NULL;
}
