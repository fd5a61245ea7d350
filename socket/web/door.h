/*
 * door.h - who may speak to the gateway, and how: looked at before any body
 *
 * Loopback is no wall: every user of this machine and every web page that is
 * open in the browser can connect to it. So each request passes these, in this
 * order, and the first that fails answers:
 *
 *   400  a target that isn't a path, or has a NUL or control character in it;
 *        a header twice that must be there once; a Transfer-Encoding; a length
 *        that isn't a number; a body where none belongs
 *   421  a Host that isn't ours: a foreign name that leads to 127.0.0.1 (DNS
 *        rebinding)
 *   403  the browser says that another site's page is asking
 *   401  the API without the token that only our link has
 *   404  no such path        405  not with this method
 *   411  no length           413  too long           415  another kind of body
 *
 * It sees no sockets: a request is what the gateway has collected of it.
 * Rests on: RFC 9110 and 9112; Fetch Metadata (Sec-Fetch-Site).
 */
#ifndef IPCLAB_WEB_DOOR_H
#define IPCLAB_WEB_DOOR_H

#include <stdbool.h>
#include <stddef.h>

#define DOOR_TOKEN 64 /* hexadecimal digits of the token */

/* What the gateway let in may be: */
enum door_kind { DOOR_PAGE, DOOR_API };

/* What a path takes; made by api.c and page.c. */
struct door_path {
    enum door_kind kind;
    const char *methods; /* "GET, POST": as the header Allow says it */
    size_t body_max;     /* bytes of a body; 0 = none belongs here */
    bool calendar;       /* text/calendar is welcome beside JSON */
};

struct door_header {
    const char *name, *value;
};

/* A request's head, as it came. */
struct door_request {
    const char *method, *target;
    const struct door_header *headers;
    size_t count;
};

struct door {
    unsigned port;
    char token[DOOR_TOKEN + 1];
};

/* The first look, before anybody knows the path: 0, or the HTTP status that
 * refuses it, and *why a sentence, a constant. */
int door_look(const struct door *d, const struct door_request *rq,
              const char **why);

/* The second one, with what `path` takes (NULL: there is no such path). */
int door_enter(const struct door *d, const struct door_request *rq,
               const struct door_path *path, const char **why);

/* The body's length that the head announces; 0 if none. After door_enter. */
size_t door_length(const struct door_request *rq);

/* A header's value, or NULL. Names are the same in any case. */
const char *door_header(const struct door_request *rq, const char *name);

/* A token from getrandom(2). 0, or -errno. */
int door_make_token(char token[DOOR_TOKEN + 1]);

#endif
