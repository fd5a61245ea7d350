/*
 * crash_roles.h - who plays a cell's story, and what each does
 *
 * Every role is a process of its own. What it sees it writes down in its
 * witness (crash_stop.h); what is promised isn't its business. These functions
 * start them; who waits for whom is in the stories of crash_cell.c.
 */
#ifndef IPCLAB_CRASH_ROLES_H
#define IPCLAB_CRASH_ROLES_H

#include "crash_cell.h"

/* Event k of a role has the title "TITLE k". */
extern const char *const role_titles[ROLES];

/* The server; the first one stops where the step says. A pipe is opened here,
 * and is s->pipe until the director lets go of it. */
void start_server(struct scene *s, bool first);

/* Neighbour, stranger or asker: opens, asks, and meets what comes. */
void start_client(struct scene *s, enum role r);

/* The same one, back at the next server as a new process: as a pipe's clients
 * have to come. */
void start_again(struct scene *s, enum role r);

/* Takes the dead asker's place. */
void start_heir(struct scene *s);

/* In the director's own process: opens every slot but the first `taken`, which
 * others hold, and asks once over each; then one more. */
void fill_slots(struct scene *s, unsigned taken);

#endif
