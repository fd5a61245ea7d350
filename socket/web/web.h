/*
 * web.h - what `ipclab` loads of gateway.so
 */
#ifndef IPCLAB_WEB_H
#define IPCLAB_WEB_H

#include "cmd.h"

/* Serve the page, whose files are in the folder `dir`, until SIGTERM, SIGINT or
 * SIGHUP, as far as they aren't ignored when it is called. The exit code; it
 * has said why if it isn't 0. */
int web_main(const struct cli *cli, const char *dir);

#endif
