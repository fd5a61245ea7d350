/*
 * cmd_web.c - web: the timetable page, where the HTTP library is installed
 *
 * The gateway (socket/web/) is a shared object that is loaded only here. What
 * it needs of the lab, this program exports.
 *
 * Rests on: dlopen(3), dlsym(3), and the link /proc/self/exe, which says where
 * this program is, and so where the gateway and the page's files are.
 */
#include "cmd.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FOLDER_MAX 1024 /* bytes of its path */
#define PLACE_MAX  64   /* of that, for one of the places below */

typedef int web_main(const struct cli *cli, const char *dir);

/* Beside ipclab, and where `make install` puts it. */
static const char *const places[] = {"web", "../lib/ipclab/web"};

/* The folder with gateway.so and the page; false: there is none. */
static bool find_folder(char dir[FOLDER_MAX])
{
    char self[FOLDER_MAX - PLACE_MAX], file[FOLDER_MAX + 16];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (n < 0)
        return false;
    self[n] = '\0';
    slash = strrchr(self, '/'); /* it is an absolute path */
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        (void)snprintf(dir, FOLDER_MAX, "%s/%s", self, places[i]);
        (void)snprintf(file, sizeof file, "%s/gateway.so", dir);
        if (access(file, R_OK) == 0)
            return true;
    }
    return false;
}

int cmd_web(const struct cli *cli)
{
    char dir[FOLDER_MAX], file[FOLDER_MAX + 16];
    web_main *run = NULL;
    void *handle;

    if (!find_folder(dir))
        return cmd_error(CMD_CREATE,
                         "the page's gateway isn't built; type: make deps-web "
                         "all");
    (void)snprintf(file, sizeof file, "%s/gateway.so", dir);
    handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (handle)
        /* C has no cast from an object to a function; POSIX has this. */
        *(void **)&run = dlsym(handle, "web_main");
    if (!run)
        return cmd_error(CMD_CREATE, "cannot load the gateway: %s", dlerror());
    return run(cli, dir); /* and leave it loaded: the process ends */
}
